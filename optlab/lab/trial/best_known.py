"""The best known solution of a problem, where a trial found a lower loss than the reference's."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch

from optlab.lab.trial.baseline import rounding_share
from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.trial.stop_at import StopAt
from optlab.problems import Problem
from optlab.problems.capabilities import HasLeastSquares, has

_REMARK = "the reference is not trusted"
_DOUBLE = torch.finfo(torch.float64).eps


class ReferenceLoss(NamedTuple):
    """The loss of a problem's reference, and by how much evaluated losses may be off by rounding.

    ``rounding`` is NaN where it is not known: then no trial counts as better than the reference.
    """

    loss: float
    rounding: float

    @classmethod
    def of(cls, problem: Problem) -> ReferenceLoss:
        """Return the reference's loss, and the rounding of losses that are evaluated in float64.

        A mean of terms is off by some eps of their size, for which the loss at zero parameters
        stands, beside what the reference itself may be off by (its bound). Of least squares more
        is known: with predictions off by d each, the mean square of the residuals r is off by up to
        2 d sqrt(mean r^2) + d^2. Both are NaN where the problem has no reference.
        """
        reference = problem.reference()
        if reference is None:
            return cls(math.nan, math.nan)
        start = problem.start(torch.Generator())
        zero = {name: torch.zeros_like(value) for name, value in start.items()}
        at_zero = problem.evaluate(zero).loss
        if has(problem, HasLeastSquares):
            square = rounding_share(_DOUBLE) * at_zero
            return cls(reference.loss, 2 * math.sqrt(square * abs(reference.loss)) + square)
        sizes = [abs(loss) for loss in (reference.loss, at_zero) if math.isfinite(loss)]
        own = 0.0 if math.isnan(reference.bound) else reference.bound
        return cls(reference.loss, own + 64 * _DOUBLE * max(sizes, default=math.nan))


class BestKnown(NamedTuple):
    """The least loss that any trial found, where it is below the reference's.

    ``record`` is the trial that found it and ``below`` is how far it is below the reference.
    """

    record: TrialRecord
    loss: float
    below: float


def best_known(records: Collection[TrialRecord], reference: ReferenceLoss) -> BestKnown | None:
    """Return the best known solution of a problem, or None where its reference holds.

    A lower loss than the reference's within the rounding of both is no better one.
    """
    least = least_loss(records)
    if least is None or not least[0] < reference.loss - reference.rounding:
        return None
    loss, record = least
    return BestKnown(record, loss, reference.loss - loss)


def least_loss(records: Collection[TrialRecord]) -> tuple[float, TrialRecord] | None:
    """Return the least loss that any trial recorded, with that trial; None where none recorded."""
    rows = [
        (row.loss, record) for record in records for row in record.trace if math.isfinite(row.loss)
    ]
    return min(rows, key=lambda pair: pair[0], default=None)


def measure_from(records: Collection[TrialRecord], loss: float) -> None:
    """Set the suboptimality of every recorded iterate to its loss above a given one.

    The scale of ``stop_at`` becomes the start's. No status changes: what a trial has not been
    judged by while it ran, it has neither reached nor missed.
    """
    for record in records:
        record.trace = [row._replace(suboptimality=row.loss - loss) for row in record.trace]
        if record.trace:
            record.stop_scale = record.trace[0].suboptimality


def judge_against_best_known(
    records: Collection[TrialRecord],
    references: Mapping[str, ReferenceLoss],
    stop_at: float | Mapping[str, Any] | StopAt | None,
) -> None:
    """Withdraw the status converged where another trial has beaten the reference.

    Where a trial found a lower loss than the reference of its problem, the trials that converged
    are judged again by their distance from the best known loss. Those that have not reached
    ``stop_at`` by that become ``finished``; the message of each names the trial that was better.
    """
    rule = StopAt.stored(stop_at)
    if rule is None or rule.measure != "suboptimality":
        return
    for name, reference in references.items():
        own = [record for record in records if record.trial.problem == name and record.trace]
        converged = [record for record in own if record.status == Status.CONVERGED]
        best = best_known(own, reference) if converged else None
        for record in converged if best else ():
            assert best is not None
            if _REMARK in record.message:  # it has been judged before
                continue
            distance = record.trace[-1].loss - best.loss
            if not rule.reached(distance, record.stop_scale + best.below):
                record.status = Status.FINISHED
                record.message = f"stop_at={rule} not reached"
            record.message += (
                f"; {_REMARK}: {best.record.trial.optimizer} (trial "
                f"{best.record.trial.number}) has a loss {best.below:.2g} below it, and this "
                f"trial ended {distance:.2g} above that"
            )
