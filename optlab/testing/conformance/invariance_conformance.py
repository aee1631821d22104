"""Checks of invariances: those that a method claims hold to rounding."""

from __future__ import annotations

import math

from optlab.testing.claimed_invariances import claimed_invariances
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.rounding_of_runs import rounding
from optlab.testing.conformance.subject import Subject
from optlab.testing.invariances import INVARIANCES, Invariance
from optlab.testing.run_checks import CheckSkipped


def _make(invariance: Invariance) -> None:
    """Register the check of one invariance."""

    def function(subject: Subject) -> None:
        claims = claimed_invariances(subject.optimizer)
        if claims is None:
            raise CheckSkipped("it claims none: optlab.testing.signature measures them")
        if invariance.name not in claims:
            raise CheckSkipped("it does not claim it")
        size = 2 if subject.uses_batches else "full"
        run = subject.setting(options={"fit_intercept": False}, batch_size=size, count=3)
        subject.require(is_linear=True)
        digits = invariance.digits(subject.optimizer, run)
        # Solvers stop a little apart where a change alters the last digits: twice the rounding.
        least = -math.log10(20 * rounding(run))
        if digits < least:
            fail(
                subject,
                theory=f"{invariance.formula}, which the method claims",
                seen=f"the iterates agree to {digits:.1f} digits",
                tolerance=f"{least:.1f} digits, for rounding",
                runs=[run],
            )

    function.__name__ = "invariance_to_" + invariance.name.replace(" ", "_")
    function.__doc__ = f"The iterates follow a change of the problem: {invariance.formula}."
    check("full")(function)


for _invariance in INVARIANCES:
    _make(_invariance)
