"""Gradient descent at a constant rate on a quadratic: roots, stability, best rates."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from optlab.checks import check_fraction, check_not_negative, check_positive

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LinearDescent:
    r"""Gradient descent with constant rate and momentum, whose error follows a linear recurrence.

    On a quadratic the error :math:`e` along an eigenvector of the Hessian with eigenvalue h, with
    :math:`a = \eta (h + \lambda)`, follows

    .. math::
        e_{t+1} = (1 + m - a) \, e_t - m \, e_{t-1}, \quad e_1 = (1 - a) \, e_0
        \qquad \text{(heavy ball; descent for } m = 0)

    .. math::
        e_{t+1} = (1 + m)(1 - a) \, e_t - m (1 - a) \, e_{t-1}, \quad e_1 = (1 - (1 + m) a) \, e_0
        \qquad \text{(Nesterov)}

    in torch's form of both. So the roots of :math:`z^2 - p z + q` decide everything. Adam and its
    kin divide by the gradients' size: they have no such recurrence.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite.
    momentum
        m, at least 0 and less than 1.
    nesterov
        Whether the momentum is Nesterov's.
    weight_decay
        :math:`\lambda`, at least 0, added to the gradient as :math:`\lambda w` by
        `torch.optim.SGD`. The error is then that from the minimiser of
        :math:`f + \frac{\lambda}{2} \lVert w \rVert^2`.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    linear_descent, best_descent, best_heavy_ball, best_nesterov : What return it.

    Examples
    --------
    >>> descent = LinearDescent(0.1)
    >>> descent.stable_rate(10.0), descent.contraction([10.0, 1.0]).round(6).tolist()
    (0.2, [0.0, 0.9])
    >>> LinearDescent(0.1, momentum=0.5).stable_rate(10.0)
    0.3
    >>> LinearDescent(0.1, momentum=0.5, nesterov=True).stable_rate(10.0)
    0.15

    References
    ----------
    Polyak, Introduction to Optimization (1987), sections 1.4 and 3.2; Lessard, Recht and Packard,
    Analysis and Design of Optimization Algorithms via Integral Quadratic Constraints (2016).
    """

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_fraction("momentum", self.momentum)
        check_not_negative("weight_decay", self.weight_decay)

    def roots(self, eigenvalues: ArrayLike) -> Array:
        """Return the two roots of each mode's recurrence, complex ``(..., 2)``, the larger first.

        Without momentum the second is 0.
        """
        p, q = self._coefficients(eigenvalues)
        apart = np.sqrt((p * p / 4 - q).astype(complex))
        # The larger root is a sum without cancellation, the smaller one their product over it.
        larger = p / 2 + np.where(p < 0, -apart, apart)
        safe = np.where(larger == 0, 1.0, larger)
        return np.stack([larger, np.where(larger == 0, 0.0, q / safe)], -1)

    def contraction(self, eigenvalues: ArrayLike) -> Array:
        """Return the factor ``(...)`` by which each mode's error shrinks a step in the long run.

        It is the larger root's modulus; the suboptimality shrinks by its square.
        """
        contraction: Array = np.abs(self.roots(eigenvalues)).max(-1)
        return contraction

    def half_life(self, eigenvalues: ArrayLike) -> Array:
        r"""Return the steps ``(...)`` in which each mode's error halves: ``log(1/2) / log(rho)``.

        Infinite for a mode that does not shrink, 0 for one that a step ends. An epoch has
        :math:`\lceil n / B \\rceil` steps; the suboptimality halves in half of them.
        """
        rho = self.contraction(eigenvalues)
        with np.errstate(divide="ignore"):
            steps: Array = np.where(rho < 1, np.log(0.5) / np.log(rho), np.inf)
        return np.abs(steps)

    def stable_rate(self, largest: float) -> float:
        r"""Return the rate below which full-batch descent is stable for a largest eigenvalue L.

        .. math:: \eta < \frac{2 (1 + m)}{L + \lambda}, \qquad
            \eta < \frac{2 + 2 m}{(1 + 2 m)(L + \lambda)} \text{ (Nesterov)}
        """
        check_not_negative("largest", largest)
        curvature = largest + self.weight_decay
        return self._limit / curvature if curvature else math.inf

    def is_stable(self, largest: float) -> bool:
        """Return whether no mode up to the largest eigenvalue grows."""
        return self.learning_rate < self.stable_rate(largest)

    def growth(self) -> float:
        r"""Return the most by which a stable full-batch run can exceed its start's suboptimality.

        At the limit of stability the heavy ball's roots are :math:`-1` and :math:`-m`, so that
        :math:`|e_t / e_0| = 1 + 2 (m + \dots + m^t)`, below :math:`(1 + m) / (1 - m)`; for Nesterov
        the largest is the first step's at the limit, :math:`(1 + 2 m + 2 m^2) / (1 + 2 m)`. Below
        the limit both are smaller, and suboptimality is a sum of squares. Without momentum it is
        1. With weight decay there is no such bound: the minimiser is another.

        Examples
        --------
        >>> [LinearDescent(0.1, m).growth() for m in (0.0, 0.5)]
        [1.0, 9.0]
        >>> LinearDescent(0.1, 0.5, nesterov=True).growth()
        1.5625
        """
        m = self.momentum
        most = (1 + 2 * m + 2 * m * m) / (1 + 2 * m) if self.nesterov else (1 + m) / (1 - m)
        return math.nan if self.weight_decay else most * most

    def errors(self, eigenvalues: ArrayLike, start: ArrayLike, steps: int) -> Array:
        """Return each mode's error after 0, 1, ..., steps full-batch steps, ``(steps + 1, r)``.

        ``eigenvalues`` and the errors at the ``start`` are ``(r,)``.
        """
        p, q = self._coefficients(eigenvalues)
        a = self.learning_rate * (np.asarray(eigenvalues, dtype=float) + self.weight_decay)
        errors = np.empty((steps + 1, *p.shape))
        errors[0] = np.asarray(start, dtype=float)
        first = 1 - (1 + self.momentum) * a if self.nesterov else 1 - a
        with np.errstate(over="ignore", invalid="ignore"):  # one that diverges may leave float64
            errors[1:2] = first * errors[0]
            for t in range(2, steps + 1):
                errors[t] = p * errors[t - 1] - q * errors[t - 2]
        return errors

    def errors_at(self, eigenvalues: ArrayLike, start: ArrayLike, steps: ArrayLike) -> Array:
        """Return each mode's error after given numbers of full-batch steps, ``(k, r)``.

        The recurrence's powers are made by squaring, so that a million steps cost twenty products.

        Examples
        --------
        >>> LinearDescent(0.1).errors_at([1.0], [1.0], [0, 1, 100]).round(8).ravel().tolist()
        [1.0, 0.9, 2.656e-05]
        """
        p, q = self._coefficients(eigenvalues)
        first = self.errors(eigenvalues, start, 1)
        left = np.maximum(np.asarray(steps, dtype=np.int64) - 1, 0)
        power = np.stack([np.stack([p, -q], -1), np.stack([0 * p + 1, 0 * p], -1)], -2)
        state = np.broadcast_to(first[::-1].T, (len(left), len(p), 2))  # (e_1, e_0) of each mode
        with np.errstate(over="ignore", invalid="ignore"):  # one that diverges may leave float64
            while left.any():
                moved = np.einsum("rij,krj->kri", power, state)
                state = np.where((left % 2 == 1)[:, None, None], moved, state)
                left, power = left // 2, power @ power
        errors: Array = np.where(np.asarray(steps)[:, None] == 0, first[0], state[..., 0])
        return errors

    def step_parts(self) -> tuple[Array, Array]:
        """Return M ``(2, 2)`` and N ``(2,)``: a step takes z = (error, velocity) to M z + N g."""
        rate, m = self.learning_rate, self.momentum
        if self.nesterov:
            return np.array([[1.0, -rate * m * m], [0.0, m]]), np.array([-rate * (1 + m), 1.0])
        return np.array([[1.0, -rate * m], [0.0, m]]), np.array([-rate, 1.0])

    def at(self, learning_rate: float) -> Self:
        """Return the same method at another rate."""
        return replace(self, learning_rate=learning_rate)

    @property
    def _limit(self) -> float:
        m = self.momentum
        return (2 + 2 * m) / (1 + 2 * m) if self.nesterov else 2 * (1 + m)

    def _coefficients(self, eigenvalues: ArrayLike) -> tuple[Array, Array]:
        """Return p and q of ``z^2 - p z + q``, each ``(...)``."""
        a = self.learning_rate * (np.asarray(eigenvalues, dtype=float) + self.weight_decay)
        m = self.momentum
        if self.nesterov:
            return (1 + m) * (1 - a), m * (1 - a)
        return 1 + m - a, np.full_like(a, m)


def linear_descent(optimizer: object) -> LinearDescent | None:
    """Return the recurrence that an optimizer's error follows on a quadratic, where it says one.

    Returns
    -------
    LinearDescent or None
        The recurrence; None for a method that has none.

    See Also
    --------
    predicted_suboptimality : The curve that follows.

    Examples
    --------
    >>> import optlab as ol
    >>> linear_descent(ol.TorchSGD(0.1, momentum=0.9))
    LinearDescent(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
    >>> linear_descent(ol.Adam(0.1)) is None
    True
    """
    if isinstance(optimizer, LinearDescent):
        return optimizer
    ask = getattr(optimizer, "linear_descent", None)
    if ask is None:
        return None
    found: LinearDescent | None = ask()
    return found


def constant_descent(
    learning_rate: object,
    momentum: float = 0.0,
    *,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> LinearDescent | None:
    """Return a `LinearDescent`, or None for a schedule, the rates of many trials, or a text.

    Examples
    --------
    >>> import optlab as ol
    >>> constant_descent(0.1).learning_rate, constant_descent(ol.schedules.Cosine(0.1, epochs=9))
    (0.1, None)
    """
    if not isinstance(learning_rate, numbers.Real):
        return None
    return LinearDescent(float(learning_rate), momentum, nesterov, weight_decay)


def best_descent(smallest: float, largest: float) -> LinearDescent:
    r"""Return descent at the best constant rate, ``2 / (L + mu)``.

    The error shrinks by :math:`(k - 1) / (k + 1)` a step, :math:`k = L / \mu`.

    Returns
    -------
    LinearDescent
        Its recurrence.

    See Also
    --------
    best_heavy_ball, best_nesterov : With momentum.
    stable_rate : The largest rate.

    Examples
    --------
    >>> round(float(best_descent(1.0, 9.0).contraction([1.0, 9.0]).max()), 6)
    0.8

    References
    ----------
    Polyak, Introduction to Optimization (1987), section 1.4.
    """
    _check_spectrum(smallest, largest)
    return LinearDescent(2 / (largest + smallest))


def best_heavy_ball(
    smallest: float, largest: float, momentum: float | None = None
) -> LinearDescent:
    r"""Return the heavy ball at its best constant rate, and momentum where none is given.

    .. math:: \eta = \frac{4}{(\sqrt{L} + \sqrt{\mu})^2}, \quad
        m = \left( \frac{\sqrt{L} - \sqrt{\mu}}{\sqrt{L} + \sqrt{\mu}} \right)^2

    The error shrinks by :math:`\sqrt{m}` a step. For a given momentum the best rate is
    :math:`2 (1 + m) / (L + \mu)`: the roots of a and of :math:`2 (1 + m) - a` have one modulus.

    Returns
    -------
    LinearDescent
        Its recurrence.

    See Also
    --------
    best_descent, best_nesterov : Other methods at their best.

    Examples
    --------
    >>> best = best_heavy_ball(1.0, 9.0)
    >>> best.learning_rate, best.momentum
    (0.25, 0.25)

    References
    ----------
    Polyak, Some methods of speeding up the convergence of iteration methods (1964).
    """
    _check_spectrum(smallest, largest)
    low, high = math.sqrt(smallest), math.sqrt(largest)
    if momentum is None:
        return LinearDescent(4 / (high + low) ** 2, ((high - low) / (high + low)) ** 2)
    return LinearDescent(2 * (1 + momentum) / (largest + smallest), momentum)


def best_nesterov(smallest: float, largest: float, momentum: float | None = None) -> LinearDescent:
    r"""Return Nesterov's method at its best constant rate, and momentum where none is given.

    .. math:: \eta = \frac{4}{3 L + \mu}, \quad
        m = \frac{\sqrt{3 k + 1} - 2}{\sqrt{3 k + 1} + 2}, \quad k = L / \mu

    The error shrinks by :math:`1 - 2 / \sqrt{3 k + 1}` a step. For a given momentum the best rate
    is where the largest eigenvalue's mode shrinks as slowly as the smallest's, by bisection.

    Returns
    -------
    LinearDescent
        Its recurrence.

    See Also
    --------
    best_descent, best_heavy_ball : Other methods at their best.

    Examples
    --------
    >>> best = best_nesterov(1.0, 33.0)
    >>> best.learning_rate, round(best.momentum, 6)
    (0.04, 0.666667)
    >>> round(float(best.contraction([1.0, 33.0]).max()), 6)
    0.8

    References
    ----------
    Lessard, Recht and Packard, Analysis and Design of Optimization Algorithms via Integral
    Quadratic Constraints (2016), proposition 1.
    """
    _check_spectrum(smallest, largest)
    if momentum is None:
        root = math.sqrt(3 * largest / smallest + 1)
        rate, m = 4 / (3 * largest + smallest), max(0.0, (root - 2) / (root + 2))
        return LinearDescent(rate, m, nesterov=True)
    at_one = LinearDescent(1.0, momentum, nesterov=True)
    low, high = 1 / largest, at_one.stable_rate(largest)
    for _ in range(200):  # the bracket of float64 is empty long before
        middle = (low + high) / 2
        at_smallest, at_largest = at_one.at(middle).contraction([smallest, largest])
        low, high = (low, middle) if at_largest > at_smallest else (middle, high)
    return at_one.at(low)


def _check_spectrum(smallest: float, largest: float) -> None:
    check_positive("smallest", smallest)
    check_positive("largest", largest)
    if smallest > largest:
        raise ValueError(f"smallest must be at most largest, {largest!r}, not {smallest!r}")
