"""When a trial has ended, and what that end is called."""

from __future__ import annotations

import math

from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow
from optlab.lab.trial.status import Status

DIVERGED_ABOVE = 1e6
"""A loss this many times the start's counts as diverged."""


class StoppingRule:
    """What an iterate's evaluation says of its trial: an end with its message, or None to go on."""

    def __init__(self, start: TraceRow, budget: Budget) -> None:
        self.start, self.budget = start, budget

    def of(self, row: TraceRow) -> tuple[Status, str] | None:
        """Return how a trial ends at this iterate, or None."""
        start, stop_at = self.start, self.budget.stop_at
        if not math.isfinite(row.loss):
            return Status.DIVERGED, f"the loss is {row.loss} after epoch {row.epoch}"
        if row.loss > DIVERGED_ABOVE * start.loss > 0:
            times = f"{row.loss / start.loss:.1e} times its start"
            return Status.DIVERGED, f"the loss is {times} after epoch {row.epoch}"
        reached = stop_at is not None and row.suboptimality <= stop_at * start.suboptimality
        # A start whose loss overflows, or underflows to 0, says nothing of what was reached.
        if reached and 0 < start.suboptimality < math.inf:
            return Status.CONVERGED, f"stop_at={stop_at:g} reached after epoch {row.epoch}"
        if row.epoch >= self.budget.epochs:
            spent = f"budget spent after epoch {row.epoch}"
            return Status.FINISHED, spent + (
                f", stop_at={stop_at:g} not reached" if stop_at else ""
            )
        return None
