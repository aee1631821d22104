"""Advise what to change after a trial that ended badly, from what its optimizer has to change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from optlab.lab.trial.record import TraceRow
from optlab.lab.trial.theory_advice import TheoryAdvice
from optlab.optimizers import BatchSize, Optimizer, hyperparameters
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasConstantFit
from optlab.theory.setting_theory import setting_theory

UNSCALED_ABOVE = 10.0
"""A feature whose root mean square is above this was not standardized: that makes it 1."""

MANY_EPOCHS, HARDLY = 100, 0.1
"""More epochs are no remedy where so many take less than this share off the suboptimality."""


@dataclass(frozen=True, eq=False)
class Advice:
    """Words for the end of a message: what to try next.

    Where theory says why a trial ended badly (`optlab.lab.trial.theory_advice`), it has the word.

    Parameters
    ----------
    problem, optimizer
        Those of the trial.
    batch_size, start
        Likewise; without them theory is not asked.
    """

    problem: Problem
    optimizer: Optimizer
    batch_size: BatchSize | None = None
    start: Parameters | None = None

    def smaller(self) -> str:
        """Return what to try where the loss has grown."""
        if words := self._said(TheoryAdvice.too_large):
            scale = self.standardize()
            return f"{words}; try a smaller one, or {scale}" if scale else words
        if has_rate(hyperparameters(self.optimizer)):
            return f"try a smaller learning rate{self._or_standardize}"
        return self.standardize() or "try another start"

    def more(self, epochs: int = 0, fall: float = math.nan) -> str:
        """Return what to try where the budget was too small.

        ``fall`` is by what share of the start's the suboptimality fell in so many ``epochs``.
        """
        if not has_rate(hyperparameters(self.optimizer)):
            return "try more epochs"
        if epochs >= MANY_EPOCHS and fall < HARDLY:
            fell = f"in {epochs} epochs the suboptimality fell by {max(fall, 0.0):.1%} only"
            return f"try another learning rate ({fell})"
        return "try more epochs, or another learning rate"

    def slow(self, row: TraceRow, limit: float) -> str:
        """Return what keeps a trial from a suboptimality, by theory, or nothing."""
        return self._said(lambda theory: theory.too_slow(row.epoch, row.suboptimality, limit))

    def standardize(self) -> str:
        """Return the advice to standardize the features, or nothing where they are."""
        return "standardize the features" if is_unscaled(self.problem) else ""

    def _said(self, say: Callable[[TheoryAdvice], str]) -> str:
        """Return a sentence of theory, or nothing where there is none.

        A problem of one's own may raise wherever it is asked; the trial's record matters more.
        """
        try:
            theory = setting_theory(self.problem, self.optimizer, self.batch_size)
            if theory is None or self.start is None:
                return ""
            return say(TheoryAdvice(theory, self.start))
        except Exception:
            return ""

    @property
    def _or_standardize(self) -> str:
        return f", or {words}" if (words := self.standardize()) else ""


def has_rate(values: Mapping[str, Any]) -> bool:
    """Return whether a learning rate is among hyperparameters, or among those of a wrapped one."""
    return any(
        name in RATE_FIELDS or (isinstance(value, Mapping) and has_rate(value))
        for name, value in values.items()
    )


def is_unscaled(problem: Problem) -> bool:
    """Return whether a linear model's features ``(n, d)`` have a root mean square far above 1."""
    X = problem.data.X
    if (
        not isinstance(problem, HasConstantFit)
        or X.ndim != 2
        or not X.numel()
        or not X.is_floating_point()
    ):
        return False
    largest = float(X.norm(dim=0).max()) / math.sqrt(len(X))
    return UNSCALED_ABOVE < largest < torch.inf
