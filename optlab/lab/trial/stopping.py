"""Decide after each recorded iterate whether the trial ends, and with which status and message."""

from __future__ import annotations

import math
import sys
from functools import cached_property
from statistics import median
from typing import NamedTuple

from optlab.lab.trial.advice import Advice
from optlab.lab.trial.baseline import Baseline
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow
from optlab.lab.trial.status import Status
from optlab.lab.trial.stop_at import StopAt

DIVERGED_ABOVE = 1e6
"""A loss this many times its baseline has diverged, whatever the optimizer."""

RISEN_ABOVE = 2.0
"""A run whose last loss is this many times its least says so."""

ABOVE_CONSTANT = "the loss is above that of the best constant prediction"


class End(NamedTuple):
    """A status and its message."""

    status: Status
    message: str


class StoppingRule:
    """Decide from the recorded rows of a trial whether it has ended.

    Two rules find divergence. The first is a proof: a stable run of an optimizer that knows its
    ``stable_growth`` on a quadratic loss cannot be where this one is. The second serves every
    optimizer: a loss 1e6 times its baseline. The baseline is the smaller of the start's loss and
    the median of the losses so far (an offset of the target makes the start's enormous; a least
    loss alone can be a moment in which an oscillation passes the optimum), but at least the loss
    of the best constant (a start beside the optimum says nothing).
    """

    def __init__(self, baseline: Baseline, budget: Budget, advice: Advice) -> None:
        self.baseline, self.budget, self.advice = baseline, budget, advice
        self.stop_at = None if budget.stop_at is None else StopAt.of(budget.stop_at)
        self.least, self._least_loss = baseline.start, _loss_or_infinity(baseline.start)
        self._losses = [baseline.start.loss]
        # Asked at every look, which of a compiled loop are many in little time.
        growth, self._noise = baseline.stable_growth, max(baseline.stop_scale, baseline.drift)
        self._has_growth = not math.isnan(growth)
        self._most = DIVERGED_ABOVE * (max(1.0, growth) if self._has_growth else 1.0)
        self._ceiling = self._ceiling_above(baseline.start.loss)

    def check(self, row: TraceRow) -> End | None:
        """Return the end of a trial at this row, or None where it goes on."""
        if row.epoch:
            self._losses.append(row.loss)
            if row.loss < self._least_loss:  # NaN never is
                self.least, self._least_loss = row, row.loss
                self._ceiling = self._ceiling_above(row.loss)
            is_in_doubt = self._has_growth or not row.loss <= self._ceiling  # NaN never is
            if is_in_doubt and (grown := self._diverged(row)):
                reason = f"{grown} after epoch {row.epoch}: {self.advice.smaller()}"
                return End(Status.DIVERGED, reason)
        if self.stop_at is not None and self._reached(row):
            return End(Status.CONVERGED, f"stop_at={self.stop_at} reached after epoch {row.epoch}")
        if row.epoch >= self.budget.epochs:
            reason = f"budget spent after epoch {row.epoch}"
            fall = 1 - row.suboptimality / (self.baseline.start.suboptimality or math.nan)
            return self.finish(row, reason, more=self.advice.more(row.epoch, fall))
        return None

    def finish(
        self, row: TraceRow, reason: str, status: Status = Status.FINISHED, *, more: str = ""
    ) -> End:
        """Return the end of a trial that stops here for a reason, and say what it has missed."""
        parts = [reason]
        if self.stop_at is not None and not self._reached(row):
            parts.append(self._missed(row))
        if self._has_risen(row):
            parts.append(
                f"the loss has risen to {_times(row, self.least)}: {self.advice.smaller()}"
            )
        elif self._is_above_constant(row):
            tries = [part for part in (self.advice.standardize(), more) if part]
            reason = self._slow(row, more) or ", or ".join(tries) or "try another start"
            parts.append(f"{ABOVE_CONSTANT}: {reason}")
        elif more and len(parts) > 1 and not self._unjudged:
            parts.append(self._slow(row, more) or more)
        return End(status, "; ".join(parts))

    def _reached(self, row: TraceRow) -> bool:
        assert self.stop_at is not None
        return bool(self.stop_at.reached(row.measure(self.stop_at.measure), self._scale))

    @property
    def _unjudged(self) -> bool:
        """Whether the problem has no reference, of which the suboptimality could be a share."""
        return self._by_suboptimality and math.isnan(self.baseline.start.suboptimality)

    @property
    def _by_suboptimality(self) -> bool:
        return self.stop_at is not None and self.stop_at.measure == "suboptimality"

    @cached_property
    def _scale(self) -> float:
        assert self.stop_at is not None
        if self._by_suboptimality:
            return self.baseline.stop_scale
        return self.baseline.start.measure(self.stop_at.measure)

    def _missed(self, row: TraceRow) -> str:
        assert self.stop_at is not None
        missed = f"stop_at={self.stop_at} not reached"
        if self._unjudged:
            return f"{missed}: without a reference no suboptimality is known while a trial runs"
        value, limit = row.measure(self.stop_at.measure), self.stop_at.limit(self._scale)
        if self.stop_at.at_least is not None:
            return f"{missed}: {self.stop_at.measure} is {value:.3g}"
        if 0 < limit < math.inf and math.isfinite(value):
            times = f"{value / limit:.2g} times its limit"
            missed += f": {self.stop_at.measure} {value:.2g} is {times}"
        return missed

    def _slow(self, row: TraceRow, more: str) -> str:
        """Return what keeps a trial that spent its budget from ``stop_at``, by theory."""
        if not (more and self._by_suboptimality) or self._unjudged:
            return ""
        assert self.stop_at is not None
        return self.advice.slow(row, self.stop_at.limit(self._scale))

    def _diverged(self, row: TraceRow) -> str:
        """Return how far the loss has grown beyond all bounds, or an empty string."""
        base, start, growth = self.baseline, self.baseline.start, self.baseline.stable_growth
        if not math.isfinite(row.loss):
            return f"the loss is {row.loss}"
        # Above 0: of a start at the optimum no growth can be told from rounding.
        if row.suboptimality > self._noise > 0:
            # Half as much again is more than rounding; a run at the very limit tends to its bound.
            if growth == 1 and row.suboptimality > 1.5 * self.least.suboptimality:
                return f"the loss is {_times(row, self.least)}"
            if growth > 1 and row.suboptimality >= (1 - 1e-9) * growth * start.suboptimality:
                return f"the loss is {_times(row, start)}"
        if row.loss > self._ceiling:
            # Losses below zero (a log-likelihood) count by their size.
            usual = max(base.constant_loss, min(abs(start.loss), abs(median(self._losses))))
            if row.loss > self._most * usual > 0:
                return f"the loss is {_times(row, self.least)}"
        return ""

    def _ceiling_above(self, least: float) -> float:
        """Return the loss above which a run may have diverged, finite, from its least loss."""
        ceiling = self._most * max(self.baseline.constant_loss, abs(least))
        return min(ceiling, sys.float_info.max)  # NaN stays

    def _is_above_constant(self, row: TraceRow) -> bool:
        """Return whether the loss is above the best constant's, by more than rounding."""
        constant = self.baseline.constant_loss
        excess = row.loss - constant
        return constant > 0 and excess > max(1e-3 * constant, self.baseline.rounding)

    def _has_risen(self, row: TraceRow) -> bool:
        least = self.least.loss
        if least < 0:  # of which no multiple says how far a loss is above it
            return row.loss > self.baseline.start.loss
        return row.loss > max(RISEN_ABOVE * least, self.baseline.rounding)


def _loss_or_infinity(row: TraceRow) -> float:
    return math.inf if math.isnan(row.loss) else row.loss


def _times(row: TraceRow, other: TraceRow) -> str:
    """Return a loss as a multiple of another row's, which is named."""
    name = "its least" if other.epoch else "its start's"
    if other.loss < 0:
        return f"{row.loss:.3g}, above {name} ({other.loss:.3g} at epoch {other.epoch})"
    times = f"{row.loss / other.loss:.2g}" if other.loss else "infinitely many"
    return f"{times} times {name} ({other.loss:.3g} at epoch {other.epoch})"
