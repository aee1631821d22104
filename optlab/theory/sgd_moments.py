"""Exact moments of SGD on a quadratic: expected loss step by step, and the stationary state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike

from optlab.checks import check_positive
from optlab.optimizers import Optimizer
from optlab.optimizers.linear_descent import LinearDescent
from optlab.problems import Parameters, Problem
from optlab.theory.descent_theory import noise_share, required_descent
from optlab.theory.row_gradients import RowGradients, row_gradients

Array: TypeAlias = np.ndarray[Any, Any]

UNKNOWNS = 2500
"""The most entries of a symmetric second moment that are solved for."""


@final
class SGDMoments:
    r"""The mean and the second moment of SGD's error on linear least squares, exactly.

    Batches of B rows are drawn independently, with replacement (or each without). The gradient of a
    batch is :math:`G c + g`, the mean of its rows' :math:`A_i c + g_i`; so with
    :math:`m_t = E[c_t]` and :math:`S_t = E[c_t c_t^T]`

    .. math::
        m_{t+1} &= (I - \eta H) \, m_t \\
        S_{t+1} &= (I - \eta H) S_t (I - \eta H) + \frac{\eta^2}{B} \Sigma(S_t, m_t) \\
        E f(w_t) - f_* &= \tfrac{1}{2} \mathrm{tr}(H S_t)

    with :math:`\Sigma` the covariance of one row's gradient, :math:`\frac{1}{n} \sum_i A_i S A_i -
    H S H + C + C^T + \frac{1}{n} \sum_i g_i g_i^T`, :math:`C = \frac{1}{n} \sum_i A_i m g_i^T`.
    Batches without replacement have :math:`\frac{n - B}{B (n - 1)}` for :math:`1 / B`. Momentum
    makes the state (error, velocity), of twice the size. No term is left out: the textbook's
    formula, which takes the noise at the minimiser for that everywhere, is tens of percent off on
    small data.

    Parameters
    ----------
    problem
        Linear least squares (row weights, intercept, l2 included), or `NoisyQuadratic`.
    optimizer
        Descent at a constant rate, with or without momentum and weight decay.
    batch_size
        B, of any size with replacement; ``"full"`` is the gradient of all rows.
    replacement
        Whether the rows of a batch are drawn with replacement.

    Raises
    ------
    ValueError
        For another problem or optimizer.

    See Also
    --------
    NoisyQuadraticModel : A model in closed form.
    gradient_covariance : Its noise.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> start = {"weight": torch.zeros(1), "bias": torch.zeros(())}
    >>> moments = SGDMoments(problem, ol.SGD(0.05), batch_size=1)
    >>> moments.suboptimality(start, 300)[[0, 10, 300]].round(4).tolist()
    [32.0282, 4.4961, 0.031]
    >>> round(moments.noise_floor(), 4), moments.steps_to(0.1, start)
    (0.031, 31)

    References
    ----------
    Bach and Moulines, Non-strongly-convex smooth stochastic approximation with convergence rate
    O(1/n) (2013), section 3; Ziyin, Liu, Mori and Ueda, Strength of Minibatch Noise in SGD (2022).
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: Optimizer | LinearDescent,
        batch_size: int | str = 1,
        *,
        replacement: bool = True,
    ) -> None:
        descent = required_descent(optimizer)
        self.factor = noise_share(problem, batch_size, replacement=replacement)
        self.gradients = row_gradients(problem, descent)
        self._assemble(descent)

    @classmethod
    def of(cls, gradients: RowGradients, descent: LinearDescent, factor: float) -> SGDMoments:
        """Return the moments for gradients of rows computed before.

        ``factor`` is the share of a row's covariance that a batch's gradient has: see
        `optlab.theory.descent_theory.noise_share`. The weight decay is that of ``gradients``.
        """
        moments = object.__new__(cls)
        moments.factor, moments.gradients = factor, gradients
        moments._assemble(descent)
        return moments

    def _assemble(self, descent: LinearDescent) -> None:
        M, N = descent.step_parts()
        if not descent.momentum:  # the velocity is the gradient, and nothing depends on it
            M, N = M[:1, :1], N[:1]
        self.descent, self.parts = descent, len(N)
        self.r = len(self.gradients.eigenvalues)
        hessian = np.diag(self.gradients.eigenvalues + descent.weight_decay)
        takes_error = np.outer(N, np.eye(1, self.parts))
        self.step = np.kron(M, np.eye(self.r)) + np.kron(takes_error, hessian)
        self.by_gradient = np.outer(N, N)

    def at(self, learning_rate: float) -> SGDMoments:
        """Return the moments at another rate; the rows' gradients are computed once."""
        return SGDMoments.of(self.gradients, self.descent.at(learning_rate), self.factor)

    def moments(self, start: Parameters) -> Iterator[tuple[Array, Array]]:
        """Yield the mean ``(r,)`` and the second moment ``(r, r)`` of the error, from the start on.

        Coordinates are along the eigenvectors: ``gradients.modes``.
        """
        mean = self._first_mean(start)
        second = np.outer(mean, mean)
        while True:
            yield mean[: self.r], second[: self.r, : self.r]
            with np.errstate(over="ignore", invalid="ignore"):  # it may diverge
                second = self._advance(second, mean[: self.r])
                mean = self.step @ mean

    def suboptimality(self, start: Parameters, steps: int) -> Array:
        """Return the expected suboptimality after 0, 1, ..., steps, ``(steps + 1,)``."""
        gaps = (self._gap(second, mean) for mean, second in self.moments(start))
        return np.fromiter(islice(gaps, steps + 1), dtype=float, count=steps + 1)

    def suboptimality_at(self, start: Parameters, steps: ArrayLike) -> Array:
        """Return the expected suboptimality after given numbers of steps, ``(k,)``.

        By powers of the linear map of the moments, made by squaring: the steps between are not
        computed.

        Raises
        ------
        ValueError
            For a problem of too many parameters, as of `noise_floor`.
        """
        upper, mean = self._basis, self._first_mean(start)
        first = np.concatenate([np.outer(mean, mean)[upper], mean, [1.0]])
        left, power = np.array(steps, dtype=np.int64), self._affine
        states = np.repeat(first[:, None], len(left), 1)
        with np.errstate(over="ignore", invalid="ignore"):  # it may diverge
            while left.any():
                states = np.where(left % 2 == 1, power @ states, states)
                left, power = left // 2, power @ power
        diagonal = states[np.flatnonzero(upper[0] == upper[1])[: self.r]]
        means, offset = states[len(upper[0]) :][: self.r], self.gradients.offset[:, None]
        h = self.gradients.eigenvalues
        with np.errstate(over="ignore", invalid="ignore"):
            gaps: Array = h @ (diagonal + 2 * offset * means + offset**2) / 2
        return gaps

    def steps_to(self, target: float, start: Parameters, most: int = 1_000_000) -> int | None:
        """Return the first step at which the expected suboptimality is at most a target.

        None where no step up to the most is.
        """
        check_positive("target", target)
        for step, (mean, second) in enumerate(islice(self.moments(start), most + 1)):
            gap = self._gap(second, mean)
            if gap <= target:
                return step
            if not math.isfinite(gap):
                return None
        return None

    def noise_floor(self) -> float:
        """Return the expected suboptimality in the long run; infinite where SGD is not stable.

        It takes some ``n r**4 / 2`` operations, for n rows and r parameters.
        """
        second = self._stationary
        return math.inf if second is None else self._gap(second, np.zeros(self.r))

    def stationary_covariance(self) -> Array:
        """Return the covariance ``(p, p)`` of the parameters in the long run.

        Of parameters in their flat order. Directions in which the loss is flat have none: SGD does
        not move along them.

        Raises
        ------
        ValueError
            Where SGD is not stable at this rate and batch size.
        """
        second = self._stationary
        if second is None:
            raise ValueError(
                f"SGD is not stable in mean square at the rate {self.descent.learning_rate!r}"
            )
        V = self.gradients.modes.vectors[:, self.gradients.along]
        covariance: Array = V @ second @ V.T
        return covariance

    def mean_square_factor(self) -> float:
        """Return the factor by which the second moment shrinks a step in the long run.

        It is the spectral radius of the linear map of second moments; SGD is stable in mean square
        where it is below 1.
        """
        return float(np.abs(np.linalg.eigvals(self._matrix)).max())

    def stable_rate(self) -> float:
        """Return the learning rate below which the second moment stays bounded, by bisection.

        With mini-batches it is below the full batch's 2 / L.
        """
        low, high = 0.0, self.descent.stable_rate(float(self.gradients.eigenvalues.max()))
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            stable = self.at(middle).mean_square_factor() < 1
            low, high = (middle, high) if stable else (low, middle)
        return low

    def _first_mean(self, start: Parameters) -> Array:
        mean = np.zeros(self.r * self.parts)
        mean[: self.r] = self.gradients.coordinates(start)
        return mean

    def _advance(self, second: Array, mean: Array) -> Array:
        noise = self.gradients.covariance(second[: self.r, : self.r], mean) * self.factor
        return self.step @ second @ self.step.T + np.kron(self.by_gradient, noise)

    def _gap(self, second: Array, mean: Array) -> float:
        h, offset = self.gradients.eigenvalues, self.gradients.offset
        return float(h @ (np.diagonal(second) + 2 * offset * mean + offset**2)) / 2

    @cached_property
    def _basis(self) -> tuple[Array, Array]:
        size = self.r * self.parts
        if size * (size + 1) // 2 > UNKNOWNS:
            raise ValueError(
                f"the stationary state of {size} errors and velocities has more than {UNKNOWNS} "
                "unknowns: take a problem of fewer parameters"
            )
        upper: tuple[Array, Array] = np.triu_indices(size)
        return upper

    @cached_property
    def _matrix(self) -> Array:
        """The linear part of a step as a matrix over the upper triangles of second moments."""
        upper, size = self._basis, self.r * self.parts
        zero, columns = np.zeros(self.r), []
        constant = self._advance(np.zeros((size, size)), zero)
        for i, j in zip(*upper, strict=True):
            unit = np.zeros((size, size))
            unit[i, j] = unit[j, i] = 1.0
            columns.append((self._advance(unit, zero) - constant)[upper])
        return np.stack(columns, 1)

    @cached_property
    def _affine(self) -> Array:
        """A step as a matrix over second moments (upper triangle), mean and 1."""
        upper, size = self._basis, self.r * self.parts
        nothing, count = np.zeros((size, size)), len(self._basis[0])
        constant = self._advance(nothing, np.zeros(self.r))
        by_mean = [self._advance(nothing, unit) - constant for unit in np.eye(self.r)]
        whole = np.zeros((count + size + 1, count + size + 1))
        whole[:count, :count] = self._matrix
        for column, change in enumerate(by_mean, count):
            whole[:count, column] = change[upper]
        whole[:count, -1] = constant[upper]
        whole[count:-1, count:-1] = self.step
        whole[-1, -1] = 1.0
        return whole

    @cached_property
    def _stationary(self) -> Array | None:
        """The second moment in the long run ``(r, r)``, or None where there is none."""
        if not self.mean_square_factor() < 1:
            return None
        upper, size = self._basis, self.r * self.parts
        constant = self._advance(np.zeros((size, size)), np.zeros(self.r))[upper]
        second = np.zeros((size, size))
        second[upper] = np.linalg.solve(np.eye(len(constant)) - self._matrix, constant)
        second = second + second.T - np.diag(np.diagonal(second))
        return second[: self.r, : self.r]
