"""Checks of precision: float64 is computed in float64, and float32 agrees with it to rounding."""

from __future__ import annotations

import torch

from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import differ, fail, shown
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped

_LARGE, _SMALL = 2.0**-10, 2.0**-33
"""Changes of the data: a large one, and one that float32, with 24 bits, does not see."""


@check()
def float64_is_float64(subject: Subject) -> None:
    """A change of the data by 1e-10, which float32 does not see, changes the iterate as much."""
    run = subject.setting(batch_size=3, count=2)
    base = subject.run(run)[-1].vector
    large, small = (
        (subject.run(run.but(X=run.X * (1 + size)))[-1].vector - base) / size
        for size in (_LARGE, _SMALL)
    )
    most = float(large.abs().max())
    if most * _SMALL < 1e-13 * max(1.0, float(base.abs().max())):
        raise CheckSkipped("small changes of the data change nothing: it takes signs or classes")
    if not float((small - large).abs().max()) <= most / 4:
        fail(
            subject,
            theory=f"data times 1 + 2^-10 move the iterate by 2^-10 times {shown(large)}, so times "
            "1 + 2^-33 by 2^-33 times about as much",
            seen=f"2^-33 times {shown(small)}: some of it is computed in float32",
            tolerance="a quarter of the largest, for curvature and for rounding (at 1e-16)",
            runs=[run, run.but(X=run.X * (1 + _SMALL))],
            show=["print(run[-1].parameters, other[-1].parameters)"],
        )


@check("full")
def float32_agrees_with_float64(subject: Subject) -> None:
    """The iterates in float32 are those in float64 but for the rounding of some steps."""
    run = subject.setting(batch_size=3, count=2)
    exact = subject.run(run)[-1].vector
    short = subject.run(run.but(dtype="float32"))[-1].vector
    # Of 6 steps each rounds by some 10 eps, and a solver by its condition number, below 10 here.
    gap, bound = differ(short, exact), 1e3 * torch.finfo(torch.float32).eps
    if gap > bound:
        fail(
            subject,
            theory=f"the same method in fewer digits: {shown(exact)}",
            seen=f"{shown(short)} in float32",
            tolerance=f"{bound:.1e} of the largest parameter: 1 000 eps of float32",
            runs=[run, run.but(dtype="float32")],
            show=["print(run[-1].parameters, other[-1].parameters)"],
        )
