"""Theory of one method at one batch size on a problem, where it is known and cheap to compute."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.problems import Parameters, Problem
from optlab.problems.hessian import Modes, modes
from optlab.theory.descent_theory import decay_offset
from optlab.theory.row_gradients import RowGradients, row_gradients
from optlab.theory.sgd_moments import SGDMoments
from optlab.theory.standardized_condition import standardized_condition

Array: TypeAlias = np.ndarray[Any, Any]
T = TypeVar("T")

PARAMETERS = 500
"""The most parameters of a problem whose modes are computed unasked."""

NUMBERS = 10**7
"""The most entries of its Jacobian."""

PRODUCTS = 10**9
"""The most products of its Gram matrix, a tenth of a second's work."""

STATE = 10
"""The most errors and velocities whose second moments are followed unasked."""

DENSE = 256
"""Epochs that are looked at one by one for the first below a target; later ones by bisection."""

KEPT = 256
"""Settings of a problem whose moments are kept, for its other seeds and repeats."""

LIMIT = 10**9
"""No prediction reaches further than so many epochs."""


class StableRate(NamedTuple):
    """The learning rate below which a method is stable, and of which of its moments that holds.

    ``kind`` is ``"full batch"``; ``"mean square"`` for mini-batches, whose second moment stays
    bounded below it; or ``"mean"`` where only their mean is known to be, so that the limit is
    necessary and not sufficient.
    """

    rate: float
    kind: Literal["full batch", "mean square", "mean"]


@dataclass(frozen=True, eq=False)
class ProblemTheory:
    """The modes of a problem, and what was computed of its rows: kept as long as the problem is."""

    modes: Modes
    rows: int
    _rates: dict[object, float] = field(default_factory=dict)
    _gradients: dict[float, RowGradients | None] = field(default_factory=dict)
    _moments: dict[object, SGDMoments] = field(default_factory=dict)

    def moments(
        self, problem: Problem, descent: LinearDescent, batch_size: int
    ) -> SGDMoments | None:
        """Return the moments of mini-batch descent, or None where they are not known or too dear.

        Batches are drawn independently of each other, each without replacement.
        """
        r = int((self.modes.eigenvalues > 0).sum())
        state = r * (2 if descent.momentum else 1)
        if state > STATE or self.rows * r * r > NUMBERS:
            return None
        if descent.weight_decay not in self._gradients:
            self._gradients[descent.weight_decay] = _or_none(
                lambda: row_gradients(problem, descent)
            )
        gradients = self._gradients[descent.weight_decay]
        if gradients is None:
            return None
        share = (self.rows - batch_size) / (batch_size * max(self.rows - 1, 1))
        if (descent, share) not in self._moments:
            if len(self._moments) >= KEPT:
                self._moments.clear()
            self._moments[descent, share] = SGDMoments.of(gradients, descent, share)
        return self._moments[descent, share]

    def mean_square_rate(self, moments: SGDMoments) -> float:
        """Return the largest rate that is stable in mean square; one for all rates of a method."""
        key = moments.descent.at(1.0), moments.factor
        if key not in self._rates:
            self._rates[key] = moments.stable_rate()
        return self._rates[key]

    def standardized_condition(self, problem: Problem) -> float:
        """Return the condition number with standardized features; infinite where not known."""
        key = "standardized"
        if key not in self._rates:
            found = _or_none(lambda: standardized_condition(problem))
            self._rates[key] = math.inf if found is None else found
        return self._rates[key]


_KNOWN: dict[int, tuple[weakref.ref[Problem], ProblemTheory | None]] = {}


def problem_theory(problem: Problem) -> ProblemTheory | None:
    """Return a problem's modes, computed once, or None where they are not known or too dear.

    It never raises: the members of a problem of one's own may. A problem is known again as the same
    object, as long as it lives.
    """
    found = _KNOWN.get(id(problem))
    if found is not None and found[0]() is problem:
        return found[1]
    theory = _or_none(lambda: _computed(problem))
    key = id(problem)
    with suppress(TypeError):  # an object without weak references is not remembered
        _KNOWN[key] = weakref.ref(problem, lambda _: _KNOWN.pop(key, None)), theory
    return theory


def _computed(problem: Problem) -> ProblemTheory | None:
    reference = problem.reference()
    if reference is None or reference.parameters is None:
        return None
    n, p = len(problem.data.y), sum(value.numel() for value in reference.parameters.values())
    if p > PARAMETERS or n * p > NUMBERS or n * p * p > PRODUCTS:
        return None
    found = modes(problem)
    known = np.isfinite(found.eigenvalues).all() and np.isfinite(found.vectors).all()
    return ProblemTheory(found, n) if known and found.largest > 0 else None


@dataclass(frozen=True, eq=False)
class SettingTheory:
    """Theory of one method at one batch size on a problem.

    Where the loss is no quadratic it is that near the reference, and there are no curves. Of
    mini-batches it is that of batches drawn independently of each other: an epoch's, which share no
    row, have less noise in the long run.

    Parameters
    ----------
    problem, theory
        The problem and its modes.
    descent
        The method's recurrence.
    batch_size
        Rows a step, at most those of the data.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> theory = setting_theory(problem, ol.ManualSGD(0.05), 1)
    >>> theory.stable_rate().kind, round(theory.stable_rate().rate, 4)
    ('mean square', 0.4064)
    >>> round(theory.noise_floor(), 4)
    0.031
    """

    problem: Problem
    theory: ProblemTheory
    descent: LinearDescent
    batch_size: int

    @property
    def is_full(self) -> bool:
        """Whether a step is over all rows."""
        return self.batch_size >= self.theory.rows

    @property
    def is_exact(self) -> bool:
        """Whether the loss is a quadratic, so that theory holds everywhere."""
        return self.theory.modes.quadratic

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return math.ceil(self.theory.rows / self.batch_size)

    @property
    def largest(self) -> float:
        """The largest eigenvalue, L."""
        return self.theory.modes.largest

    def stable_rate(self) -> StableRate:
        """Return the learning rate below which the method is stable here."""
        full = self.descent.stable_rate(self.largest)
        if self.is_full:
            return StableRate(full, "full batch")
        if (moments := self._moments) is None:
            return StableRate(full, "mean")
        return StableRate(self.theory.mean_square_rate(moments), "mean square")

    def half_lives(self) -> Array:
        """Return the epochs in which the mean error along each mode halves, ``(r,)``."""
        half: Array = self.descent.half_life(self.theory.modes.eigenvalues) / self.steps
        return half

    def slowest_half_life(self) -> float:
        """Return the half-life, in epochs, of the slowest mode that changes the loss."""
        along = self.theory.modes.eigenvalues > 0
        return float(self.half_lives()[along].max())

    def noise_floor(self) -> float:
        """Return the expected suboptimality in the long run; infinite where it is not stable.

        NaN where it is not known. Of full batches it is zero but for weight decay.
        """
        if not self.is_exact:
            return math.nan
        if not self.descent.is_stable(self.largest):
            return math.inf
        if self.is_full:
            return self.decay_floor()
        moments = self._moments
        return math.nan if moments is None else moments.noise_floor()

    def decay_floor(self) -> float:
        """Return the suboptimality of the point that weight decay moves the minimiser to."""
        return float(self._gaps(decay_offset(self.descent, self.theory.modes)).sum())

    def suboptimality_at(self, start: Parameters, epochs: Array) -> Array:
        """Return the predicted suboptimality after given epochs, ``(k,)``; NaN where not known.

        That of full batches is exact; of mini-batches it is the mean over all orders.
        """
        steps = np.asarray(epochs, dtype=np.int64) * self.steps
        if self._moments is not None:
            return self._moments.suboptimality_at(start, steps)
        if not (self.is_exact and self.is_full):
            return np.full(len(steps), math.nan)
        curve: Array = self._gaps(self.mean_errors(start, steps)).sum(-1)
        return curve

    def mean_errors(self, start: Parameters, steps: Array) -> Array:
        """Return the mean distance from the minimiser along each mode after steps, ``(k, r)``."""
        h, offset = self.theory.modes.eigenvalues, decay_offset(self.descent, self.theory.modes)
        first = self.theory.modes.coordinates(start) - offset
        errors: Array = self.descent.errors_at(h, first, steps) + offset
        return errors

    def mode_gaps(self, start: Parameters, epoch: int) -> Array:
        """Return the suboptimality of the mean error, part by part along the modes, ``(r,)``."""
        gaps: Array = self._gaps(self.mean_errors(start, np.array([epoch * self.steps])))[0]
        return gaps

    def epochs_to(self, target: float, start: Parameters) -> float:
        """Return the first epoch after which the predicted suboptimality is at most a target.

        Infinite where no epoch's is, NaN where it is not known.
        """
        return first_below(lambda epochs: self.suboptimality_at(start, epochs), target)

    def standardized_condition(self) -> float:
        """Return the condition number that the problem would have with standardized features.

        Infinite where that is not known.
        """
        return self.theory.standardized_condition(self.problem)

    @cached_property
    def _moments(self) -> SGDMoments | None:
        if self.is_full or not self.is_exact:
            return None
        return self.theory.moments(self.problem, self.descent, self.batch_size)

    def _gaps(self, errors: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            gaps: Array = self.theory.modes.eigenvalues * errors**2 / 2
        return gaps


def setting_theory(
    problem: Problem, optimizer: object, batch_size: int | str | None
) -> SettingTheory | None:
    """Return the theory of an optimizer at a batch size, or None where there is none.

    There is none of methods that are no descent at a constant rate (Adam, schedules, direct
    methods), and of problems without modes: see `problem_theory`. It never raises.
    """
    descent = _or_none(lambda: linear_descent(optimizer))
    theory = None if descent is None or batch_size is None else problem_theory(problem)
    if descent is None or theory is None or not _is_count(batch_size):
        return None
    rows = theory.rows if isinstance(batch_size, str) else min(theory.rows, int(batch_size or 0))
    return SettingTheory(problem, theory, descent, rows)


def first_below(curve: Callable[[Array], Array], target: float) -> float:
    """Return the first epoch at which a curve is at most a target; infinite where there is none.

    The first `DENSE` epochs are looked at one by one, of later ones powers of two, and between two
    of these by bisection, as is right for curves that fall.

    Examples
    --------
    >>> first_below(lambda epochs: 0.5**epochs, 1e-3), first_below(lambda epochs: 1.0 + epochs, 0.5)
    (10, inf)
    """
    dense = curve(np.arange(DENSE))
    if np.isnan(dense[0]):
        return math.nan
    if (reached := np.flatnonzero(dense <= target)).size:
        return int(reached[0])
    powers = DENSE * 2 ** np.arange(int(math.log2(LIMIT / DENSE)) + 1)
    below = np.flatnonzero(curve(powers) <= target)
    if not below.size:
        return math.inf
    high = int(powers[below[0]])
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if curve(np.array([middle]))[0] <= target else (middle, high)
    return high


def _is_count(batch_size: object) -> bool:
    return batch_size == "full" or (isinstance(batch_size, int) and batch_size > 0)


def _or_none(compute: Callable[[], T]) -> T | None:
    """Return what a computation does, or None where it raises: theory is never owed."""
    try:
        return compute()
    except Exception:
        return None
