"""When a trial has ended, and what that end is called."""

from __future__ import annotations

import math

from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow
from optlab.lab.trial.status import Status
from optlab.lab.trial.stop_at import StopAt

DIVERGED_ABOVE = 1e6
"""A loss this many times the start's counts as diverged."""


class StoppingRule:
    """What an iterate's evaluation says of its trial: an end with its message, or None to go on."""

    def __init__(self, start: TraceRow, budget: Budget) -> None:
        self.start, self.budget = start, budget

    def check(self, row: TraceRow) -> tuple[Status, str] | None:
        """Return how a trial ends at this iterate, or None."""
        start = self.start
        stop_at = None if self.budget.stop_at is None else StopAt.of(self.budget.stop_at)
        if not math.isfinite(row.loss):
            return Status.DIVERGED, f"the loss is {row.loss} after epoch {row.epoch}"
        if row.loss > DIVERGED_ABOVE * start.loss > 0:
            times = f"{row.loss / start.loss:.1e} times its start"
            return Status.DIVERGED, f"the loss is {times} after epoch {row.epoch}"
        # A start whose loss overflows, or underflows to 0, says nothing of what was reached.
        scale = start.suboptimality if start.suboptimality > 0 else math.nan
        if stop_at is not None and stop_at.reached(row.suboptimality, scale):
            return Status.CONVERGED, f"stop_at={stop_at} reached after epoch {row.epoch}"
        if row.epoch >= self.budget.epochs:
            spent = f"budget spent after epoch {row.epoch}"
            return Status.FINISHED, spent + (f", stop_at={stop_at} not reached" if stop_at else "")
        return None
