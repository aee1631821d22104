"""Scores of settings: an order in which the least is the best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.tuning.tuned import EPOCHS, SECONDS


class Outcome(NamedTuple):
    """The part of a trial's outcome that its setting is judged by."""

    status: str
    value: float  # of the measure that is tuned for, at the last recorded iterate
    epochs: float
    seconds: float

    @classmethod
    def of(cls, record: TrialRecord, by: str) -> Outcome:
        """Return the outcome of a trial's record."""
        if not record.trace:
            return cls(str(record.status), math.nan, 0.0, math.nan)
        last = record.trace[-1]
        value = measured(by, last.loss, last.suboptimality, last.measure)
        return cls(str(record.status), value, last.epoch, record.seconds)


class Score(NamedTuple):
    """A setting's score: compared field by field, the least is the best."""

    failures: int
    """Seeds at which it neither finished nor converged."""
    misses: int
    """Seeds at which it did not reach ``stop_at``, where that counts."""
    value: float
    """The median of what is tuned for; the cost, where all seeds have reached ``stop_at``."""
    cost: float
    """The median of epochs."""

    @property
    def scalar(self) -> float:
        """One number in about the same order, for samplers that take no other."""
        if self.failures:
            return 1e300 * self.failures
        if self.misses == 0 and self.value == self.cost:
            return -1e300 / (2 + self.value)
        return self.value


def measured(by: str, loss: float, suboptimality: float, measure: Callable[[str], float]) -> float:
    """Return the measure that is tuned for; of a time to ``stop_at``, that of those who missed it.

    The suboptimality is the loss where no reference is known.
    """
    if by in {"suboptimality", EPOCHS, SECONDS}:
        return loss if math.isnan(suboptimality) else suboptimality
    return loss if by == "loss" else measure(by)


def score(outcomes: Sequence[Outcome], by: str, stop_measure: str | None) -> Score:
    """Return the score of a setting from its trials at all seeds.

    ``stop_measure`` is the measure of the experiment's ``stop_at``, None where there is none.

    Examples
    --------
    >>> quick = score([Outcome("converged", 0.09, 5, 0.1)], "suboptimality", "suboptimality")
    >>> exact = score([Outcome("converged", 0.01, 9, 0.2)], "suboptimality", "suboptimality")
    >>> lost = score([Outcome("diverged", 1e9, 2, 0.1)], "suboptimality", "suboptimality")
    >>> quick < exact < lost
    True
    """
    failures = sum(o.status not in {Status.FINISHED, Status.CONVERGED} for o in outcomes)
    cost = statistics.median(o.epochs for o in outcomes)
    if failures:
        return Score(failures, 0, math.inf, cost)
    misses = 0
    if stop_measure and by in {"loss", "suboptimality", EPOCHS, SECONDS, stop_measure}:
        misses = sum(o.status != Status.CONVERGED for o in outcomes)
        if not misses:
            seconds = by == SECONDS
            reached = statistics.median(o.seconds if seconds else o.epochs for o in outcomes)
            return Score(0, 0, reached, cost)
    values = [math.inf if math.isnan(o.value) else o.value for o in outcomes]
    return Score(0, misses, statistics.median(values), cost)


def best(scores: Sequence[Score]) -> int:
    """Return the place of the least score, the first of equals."""
    return min(range(len(scores)), key=lambda place: (scores[place], place))
