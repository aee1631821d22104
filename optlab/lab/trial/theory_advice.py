"""Sentences of theory on a trial that ended badly: its largest stable rate, its slowest mode."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from optlab.problems import Parameters
from optlab.text import number
from optlab.theory.setting_theory import SettingTheory

HELPS = 4.0
"""By what factor a condition number must fall for it to be worth standardizing."""

AGREES = 2.0
"""A full-batch trial this factor off its predicted suboptimality is not what theory describes."""


@dataclass(frozen=True, eq=False)
class TheoryAdvice:
    """Sentences on a trial's rate, epochs and noise; empty where theory says nothing."""

    theory: SettingTheory
    start: Parameters

    def too_large(self) -> str:
        """Return the largest stable rate, where the trial's is at or above it."""
        rate, (limit, kind) = self.theory.descent.learning_rate, self.theory.stable_rate()
        if not rate >= limit:
            return ""
        largest = f"the largest stable learning rate here{self._with_momentum}"
        if not self.theory.is_exact:
            largest = f"near the minimiser {largest.replace(' here', '')}"
        if kind == "mean square":
            largest = (
                f"the largest learning rate that is stable in mean square at batch size "
                f"{self.theory.batch_size}{self._with_momentum}"
            )
        if kind == "mean":
            largest = f"{largest.replace(' here', '')} of full batches"
        above = " (mini-batches need a smaller one)" if kind == "mean" else ""
        return f"{largest} is {_apart(limit, rate)}{above}; this one is {_apart(rate, limit)}"

    def too_slow(self, epoch: int, suboptimality: float, limit: float) -> str:
        """Return what keeps a trial from a limit: a slow mode, noise or weight decay.

        ``suboptimality`` is what it had at the ``epoch`` where its budget was spent.
        """
        theory = self.theory
        if not (theory.is_exact and limit > 0 and math.isfinite(suboptimality)):
            return ""
        if large := self.too_large():
            return large
        if theory.decay_floor() > limit:
            decay = number(theory.descent.weight_decay)
            return (
                f"the weight decay {decay} moves the minimiser: the suboptimality ends at "
                f"{number(theory.decay_floor())}, above this limit; take a smaller one"
            )
        gaps = theory.mode_gaps(self.start, epoch)
        mean = float(gaps.sum())
        if not theory.is_full and mean < suboptimality / 2:
            return self._noise(limit)
        off = max(suboptimality / mean, mean / suboptimality) if mean else math.inf
        if not mean > limit or (theory.is_full and off > AGREES):
            return ""
        return self._slow_mode(gaps, epoch, limit)

    def _noise(self, limit: float) -> str:
        floor = self.theory.noise_floor()
        if floor <= limit:
            return ""
        known = "" if math.isnan(floor) else (
            f" (single iterates scatter about the noise floor, {number(floor)} on average for "
            "independent batches at this rate)"
        )  # fmt: skip
        return (
            f"the noise of mini-batches keeps it above this limit{known}: take a smaller learning "
            "rate, a larger batch or a schedule"
        )

    def _slow_mode(self, gaps: np.ndarray[Any, Any], epoch: int, limit: float) -> str:
        halves, along = self.theory.half_lives(), self.theory.theory.modes.eigenvalues > 0
        kept = np.flatnonzero(gaps > limit) if (gaps > limit).any() else [int(gaps.argmax())]
        half = float(halves[kept].max())
        if not half > 1:
            return ""
        whole = half >= halves[along].max() * (1 - 1e-9)
        mode = "the slowest mode halves" if whole else "a mode of the error halves only"
        needed = self.theory.epochs_to(limit, self.start) - epoch
        more = f" (some {count(needed)} more to stop_at)" if 0 < needed < math.inf else ""
        return f"{mode} every {count(half)} epochs{more}: {self._remedy(limit)}"

    def _remedy(self, limit: float) -> str:
        descent, L = self.theory.descent, self.theory.largest + self.theory.descent.weight_decay
        condition = self.theory.theory.modes.condition
        scaled = self.theory.standardized_condition()
        tries = []
        if scaled * HELPS < condition:
            tries.append(
                f"standardize the features (condition number {number(scaled)}, not "
                f"{count(condition, 3)})"
            )
        if self._is_slowed_by_momentum:
            tries.append("take less momentum")
        elif self.theory.is_full and descent.learning_rate < 0.5 / L:
            tries.append(f"use the learning rate 1/L = {number(1 / L)}")
        elif (larger := self._larger_rate()) and self.theory.noise_floor() > limit:
            tries.append(f"a schedule that begins {larger} and decays, for the noise floor")
        elif larger:
            tries.append(f"a larger learning rate, {larger[:-1]}")
        if not tries and not descent.momentum and condition > 100:
            tries.append("add momentum")
        return ", or ".join(tries or ["try more epochs"])

    def _larger_rate(self) -> str:
        """Return half the largest stable rate of mini-batches, where the trial's is far below."""
        limit, kind = self.theory.stable_rate()
        if kind != "mean square" or self.theory.descent.learning_rate > limit / 4:
            return ""
        return f"near {number(limit / 2)}, half the largest stable one,"

    @property
    def _is_slowed_by_momentum(self) -> bool:
        """Whether the slowest mode oscillates, and shrinks as the heavy ball's momentum does."""
        descent, mu = self.theory.descent, self.theory.theory.modes.smallest
        return bool(descent.momentum and descent.roots(mu)[0].imag)

    @property
    def _with_momentum(self) -> str:
        descent = self.theory.descent
        kind = "Nesterov's momentum" if descent.nesterov else "momentum"
        return f" with {kind} {descent.momentum:g}" if descent.momentum else ""


def count(value: float, digits: int = 2) -> str:
    """Return a count in some digits, those above 1 000 with spaces between thousands.

    Examples
    --------
    >>> count(3066.0), count(83500.0, 3), count(12.34), count(2.5e9)
    ('3 100', '83 500', '12.3', '2.5e+09')
    """
    if not 1000 <= value < 1e8:
        return number(value)
    return f"{float(f'{value:.{digits}g}'):,.0f}".replace(",", " ")


def _apart(rate: float, other: float) -> str:
    """Return a rate in seven digits, or in all where they do not tell it from another."""
    text = f"{rate:.7g}"
    return repr(rate) if text == f"{other:.7g}" else text
