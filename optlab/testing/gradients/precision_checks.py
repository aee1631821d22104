"""Checks of precision: float64 is float64, and the digits that float32 keeps."""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch

from optlab.problems.problem import Parameters
from optlab.testing.failure_message import failure_message
from optlab.testing.gradients.differentiable import Differentiable, random_direction
from optlab.testing.gradients.gradient_subject import GradientSubject
from optlab.testing.gradients.line import rounding_noise
from optlab.testing.gradients.place import Place
from optlab.testing.run_checks import CheckFailedError, CheckSkipped

_STEP = 2.0**-17
_SEGMENTS = 5


def check_double_precision(subject: GradientSubject) -> None:
    """Require that a loss in float64 has the rounding noise of float64.

    The noise is measured along short lines, and should be 2**29 times less than that of the same
    loss in float32; 2**14 is between the two. A function that has no float32 is compared with the
    noise of float32 on a number of the loss's size.
    """
    double, single = subject.double, subject.single
    place = Place(double, subject.seed)
    seeds = [7 * subject.seed + k for k in range(_SEGMENTS)]
    noise = statistics.median(_noise(double, place.point, seed) for seed in seeds)
    loss = abs(double.value(place.point))
    noise32, factor = 2.0**-26 * loss, 2.0**-3
    if single is not None:
        point = {k: v.to(torch.float32) for k, v in place.point.items()}
        seen = statistics.median(_noise(single, point, seed) for seed in seeds)
        noise32, factor = max(seen, noise32), 2.0**-14
    if math.isfinite(noise) and noise > factor * noise32:
        of = "of the same loss in float32" if single is not None else "of float32 at its size"
        arguments, scaled = place.arguments.replace("point", "near"), f"(1 + k * {_STEP!r})"
        near = f"{{name: value * {scaled} for name, value in point.items()}}"
        near = f"point * {scaled}" if place.is_vector else near
        raise CheckFailedError(
            failure_message(
                "a loss of parameters and data in float64 is computed in float64",
                f"values that scatter by {noise:.2g} around a smooth curve near {place}, where the "
                f"scatter {of} is {noise32:.2g}",
                hint="a part is computed in float32: a cast, or a constant in float32",
                tolerance=f"{factor * noise32:.2g}, between the scatter of float32 and 2**-29 of "
                "it, that of float64",
                example=f"""{place.code()}
for k in range(9):
    near = {near}
    print(k, float(loss({arguments})))""",
            )
        )


def _noise(of: Differentiable, point: Parameters, seed: int) -> float:
    direction = random_direction(point, seed)
    values = [
        of.value({k: v + step * _STEP * direction[k] for k, v in point.items()})
        for step in range(9)
    ]
    return rounding_noise(np.array(values))


def check_single_precision(subject: GradientSubject) -> str | None:
    """Require that float32 goes in and comes out, and tell where its digits end.

    Returns
    -------
    A note: the digits that float32 keeps of the gradient at the start, and the size of a gradient
    that is nothing but rounding there.
    """
    double, single = subject.double, subject.single
    if single is None:
        raise CheckSkipped("the function has no float32: it raises, or returns another dtype")
    place = Place(double, subject.seed)
    point = {k: v.to(torch.float32) for k, v in place.point.items()}
    with torch.no_grad():
        loss = single.loss(point)
    if not isinstance(loss, torch.Tensor):
        raise CheckSkipped("the function returns a float, which has one precision")
    found = {"loss": loss, **single.gradient(point)}
    wrong = {name: value.dtype for name, value in found.items() if value.dtype != torch.float32}
    exact = {k: v.double() for k, v in point.items()}
    slopes = double.gradient(exact)
    largest = max(_largest(slopes), abs(double.value(exact)))
    is_finite = all(bool(value.isfinite().all()) for value in found.values())
    if wrong or (not is_finite and largest < 2.0**100):
        _refuse_single(place, wrong, largest)
    lost = _largest({name: found[name].double() - value for name, value in slopes.items()})
    if not is_finite or not lost or not _largest(slopes):
        return None
    digits = max(0.0, math.log10(_largest(slopes) / lost))
    return (
        f"at the start float32 keeps {digits:.1f} digits of the gradient: one whose entries are "
        f"below {lost:.2g} is nothing but rounding there"
    )


def _largest(values: Parameters) -> float:
    return max((float(v.abs().max()) for v in values.values() if v.numel()), default=0.0)


def _refuse_single(place: Place, wrong: dict[str, torch.dtype], largest: float) -> None:
    seen = ", ".join(f"{k} in {v}" for k, v in wrong.items()) or "a number that is not finite"
    example = f"""{place.code()}
single = problem.to("cpu", torch.float32, copy=True)
print(single.loss({{name: value.float() for name, value in point.items()}}))"""
    raise CheckFailedError(
        failure_message(
            "a loss of parameters and data in float32 is a finite number in float32",
            f"{seen}, at {place}; in float64 it is at most {largest:.3g}",
            hint="a constant tensor in float64" if wrong else "an intermediate result overflows",
            example=example if place.at.problem is not None else "",
        )
    )
