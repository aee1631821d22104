"""The noisy quadratic model in closed form: expected loss, and steps to a target by batch size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from optlab.checks import check_count, check_positive
from optlab.optimizers.linear_descent import LinearDescent

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Steps:
    """The least number of steps to a target, and the rate and momentum that need no more.

    Parameters
    ----------
    steps
        The steps.
    descent
        The method whose expected loss is the least after so many steps.

    See Also
    --------
    NoisyQuadraticModel, Interpolation : What return it.
    """

    steps: int
    descent: LinearDescent


@dataclass(frozen=True, eq=False)
class NoisyQuadraticModel:
    r"""The noisy quadratic model, whose expected loss is known in closed form.

    .. math:: f(\theta) = \frac{1}{2} \sum_i h_i \theta_i^2, \qquad
        \mathrm{Cov}(g) = \frac{1}{B} \, \mathrm{diag}(c)

    Each step's noise is independent, so that without momentum

    .. math:: E \theta_i(t)^2 = r^{2t} E \theta_i(0)^2
        + \frac{\eta^2 c_i}{B} \, \frac{1 - r^{2t}}{1 - r^2}, \quad r = 1 - \eta h_i

    and with momentum the second moments of (error, velocity) follow a linear recurrence. It is the
    theory of `optlab.NoisyQuadratic`, where rows are drawn with replacement.

    Parameters
    ----------
    eigenvalues
        h, ``(d,)``, positive; 1, 1/2, ..., 1/100 where left out.
    noise
        c, ``(d,)``, the variances of one row's gradient; h where left out, as in the paper.
    start
        :math:`E \theta_i(0)^2`, a number or ``(d,)``.

    Raises
    ------
    ValueError
        For eigenvalues that are not positive, or noise or a start below 0.

    See Also
    --------
    SGDMoments : The same for linear least squares.
    optlab.NoisyQuadratic : The problem.

    Examples
    --------
    >>> model = NoisyQuadraticModel()
    >>> best = model.least_steps(0.01, batch_size=1024)
    >>> best.steps, round(best.descent.learning_rate, 2)
    (94, 1.7)
    >>> model.expected_loss(best.descent, 1024, 94) <= 0.01 < model.expected_loss(
    ...     best.descent, 1024, 93
    ... )
    True

    References
    ----------
    Zhang et al., Which Algorithmic Choices Matter at Which Batch Sizes? Insights From a Noisy
    Quadratic Model (2019), section 3.
    """

    eigenvalues: ArrayLike | None = None
    noise: ArrayLike | None = None
    start: ArrayLike = 1.0

    def __post_init__(self) -> None:
        given = 1 / np.arange(1.0, 101.0) if self.eigenvalues is None else self.eigenvalues
        h = np.asarray(given, dtype=float)
        if h.ndim != 1 or not len(h) or not (np.isfinite(h) & (h > 0)).all():
            raise ValueError(f"eigenvalues must be positive and finite, not {self.eigenvalues!r}")
        object.__setattr__(self, "eigenvalues", h)
        for name in ("noise", "start"):
            value = h if getattr(self, name) is None else getattr(self, name)
            values = np.broadcast_to(np.asarray(value, dtype=float), h.shape)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"{name} must be finite and at least 0, not {value!r}")
            object.__setattr__(self, name, values)

    def expected_loss(self, descent: LinearDescent, batch_size: float, steps: int) -> float:
        """Return the expected loss after some steps; infinite where it leaves float64."""
        return float(self._losses(descent, np.array([descent.learning_rate]), batch_size, steps)[0])

    def best_descent(
        self, batch_size: float, steps: int, *, momentum: float = 0.0, nesterov: bool = False
    ) -> LinearDescent:
        """Return the method at the constant rate of least expected loss after some steps.

        It is sought on a grid of rates, two to an octave and as many towards the limit of
        stability, and then between the neighbours of the three best of these.
        """
        descent = LinearDescent(1.0, momentum, nesterov)
        limit = descent.stable_rate(float(np.max(np.asarray(self.eigenvalues))))
        octaves = 2.0 ** -np.arange(1.0, 40.0, 0.5)
        rates = limit * np.concatenate([octaves[::-1], 1 - octaves[1:40]])
        losses = self._losses(descent, rates, batch_size, check_count("steps", steps))

        def loss(log_rate: float) -> float:
            return float(self._losses(descent, np.exp([log_rate]), batch_size, steps)[0])

        found = [(losses.min(), float(rates[losses.argmin()]))]
        for best in np.argsort(losses)[:3]:
            low, high = np.log(rates[[max(best - 1, 0), min(best + 1, len(rates) - 1)]])
            least = minimize_scalar(loss, bounds=(low, high), method="bounded", options=_TOLERANCE)
            found.append((least.fun, math.exp(least.x)))
        return descent.at(min(found)[1])

    def least_steps(
        self,
        target: float,
        batch_size: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
    ) -> Steps:
        """Return the least steps in which some constant rate brings the loss to a target.

        Each number of steps has a rate of least expected loss, `best_descent`; the number is found
        by bisection. With momentum the loss oscillates, so that a number below the one found may
        reach the target as well; without, none does.

        Parameters
        ----------
        target
            The expected loss to reach.
        batch_size
            B; infinity for no noise at all.
        momentum, nesterov
            As of `LinearDescent`.

        Raises
        ------
        ValueError
            For a target or a batch size that is not positive, or a target not reached in 2^40
            steps.
        """
        check_positive("target", target)
        low, high = 0, 1

        def best(steps: int) -> LinearDescent:
            return self.best_descent(batch_size, steps, momentum=momentum, nesterov=nesterov)

        def reached(steps: int) -> bool:
            return self.expected_loss(best(steps), batch_size, steps) <= target

        if float(np.asarray(self.eigenvalues) @ np.asarray(self.start)) / 2 <= target:
            return Steps(0, best(1))
        while not reached(high):
            low, high = high, 2 * high
            if high > 2**40:
                raise ValueError(f"target {target!r} is not reached in 2^40 steps")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return Steps(high, best(high))

    def _losses(self, descent: LinearDescent, rates: Array, batch_size: float, steps: int) -> Array:
        """Return the expected losses ``(k,)`` of a method at many rates ``(k,)``."""
        with np.errstate(over="ignore", invalid="ignore"):  # beyond 2 / L it leaves float64
            moments = self._moments(descent, rates, batch_size, steps)
            losses = moments @ np.asarray(self.eigenvalues) / 2
        return np.where(np.isfinite(losses), losses, np.inf)

    def _moments(
        self, descent: LinearDescent, rates: Array, batch_size: float, steps: int
    ) -> Array:
        """Return the second moments ``(k, d)`` of a method at many rates.

        With momentum by doubling, ``S(s + t) = F^t S(s) F'^t + Q(t)``: that takes ``log2(steps)``
        products of 2 x 2. With the rate times the velocity for the velocity, a step is
        ``z <- (M + rate h N e') z`` with M and N of the rate 1.
        """
        if batch_size != math.inf:
            check_positive("batch_size", batch_size)
        a = rates[:, None] * np.asarray(self.eigenvalues)
        variance: Array = rates[:, None] ** 2 * np.asarray(self.noise) / batch_size
        if not descent.momentum:
            left, gap = (1 - a) ** (2 * steps), a * (2 - a)
            added = np.where(gap == 0, steps, (1 - left) / np.where(gap == 0, 1, gap))
            closed: Array = left * np.asarray(self.start) + variance * added
            return closed
        by_state, by_gradient = descent.at(1.0).step_parts()
        power: Array = by_state + a[..., None, None] * np.outer(by_gradient, [1.0, 0.0])
        added = variance[..., None, None] * np.outer(by_gradient, by_gradient)
        moments = np.zeros_like(added)
        moments[..., 0, 0] = self.start
        while steps:
            if steps & 1:
                moments = power @ moments @ power.mT + added
            added = power @ added @ power.mT + added
            power, steps = power @ power, steps >> 1
        second: Array = moments[..., 0, 0]
        return second


_TOLERANCE = {"xatol": 1e-9}
