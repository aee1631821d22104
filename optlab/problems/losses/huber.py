"""Huber's robust regression with a fixed threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from optlab.checks import check_positive
from optlab.linalg import double_double as dd
from optlab.problems.linear_model import ModelOptions, Values
from optlab.problems.losses.loss import Loss, Pair
from optlab.problems.smooth_linear_model import SmoothLinearModel


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss: ``r**2 / 2`` for ``r = eta - y`` up to delta, linear beyond."""

    delta: float = 1.35
    is_of_residual: ClassVar[bool] = True
    steepest: ClassVar[float] = 1.0
    has_bounds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("delta", self.delta)

    @property
    def growth(self) -> tuple[float, float]:
        """The slope beyond delta and the offset."""
        return self.delta, self.delta**2 / 2

    def path(self, y: Tensor) -> Iterator[Huber]:
        """Yield the loss with an ever smaller threshold, from the size of y to its own."""
        sizes = range(1 + max(0, int(math.log(1e-300 + float(y.abs().max()) / self.delta, 8))))
        return (Huber(self.delta * 8.0**k) for k in reversed(sizes))

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``c (r - c / 2)``, where c is r clipped to delta."""
        residual = eta - y
        clipped = residual.clamp(-self.delta, self.delta)
        return clipped * (residual - clipped / 2)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return the residual clipped to delta."""
        return (eta - y).clamp(-self.delta, self.delta)

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return 1 where all residuals within the radius are at most delta, else 0."""
        return ((eta - y).abs() + radius <= self.delta).to(eta.dtype)

    def slope_pair(self, eta: Pair, y: Tensor) -> Pair:
        """Return the clipped residual to all digits of a pair."""
        high, low = dd.pair_add(eta, (-y, 0 * y))
        clipped = high.clamp(-self.delta, self.delta)
        return clipped, torch.where(clipped == high, low, 0.0)

    def slope_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return a bound on the error of a sum of pairs; none beyond delta."""
        inside = (eta - y).abs() <= self.delta
        return torch.where(inside, 4 * dd.UNIT * (eta.abs() + y.abs()), 0.0)

    def divergence(self, eta: Tensor, gap: Tensor, y: Tensor, slope: Tensor) -> Tensor:
        """Return ``(p - q) ((r - p) + (p - q) / 2)`` for r clipped to p, and at gap 0 to q."""
        delta, residual = self.delta, eta - y
        q = residual.clamp(-delta, delta)
        outside = residual - q
        change = torch.minimum(torch.maximum(gap + outside, -delta - q), delta - q)  # p - q
        return change * ((gap + outside - change) + change / 2)


class HuberRegression(SmoothLinearModel):
    """Fit y by ``X @ weight + bias``, minimising Huber's loss of residuals: robust to outliers.

    The loss of a row is ``r**2 / 2`` up to ``|r| = delta`` and ``delta |r| - delta**2 / 2`` beyond.
    scikit-learn's HuberRegressor estimates the residuals' scale s too: at its s, the weights are
    those of our ``delta = epsilon s`` and ``l2 = alpha s / n``. Arguments: those of `LinearModel`,
    and ``delta``, above 0, in the units of y.

    See Also
    --------
    LinearModel : What all linear models share.
    QuantileRegression : The median and other quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.arange(5.0)[:, None], np.array([0.0, 1.0, 2.0, 3.0, 100.0])
    >>> problem = HuberRegression(X, y, delta=0.5)
    >>> round(problem.reference().parameters["weight"].item(), 12)
    1.25

    References
    ----------
    Huber, Robust estimation of a location parameter (1964).
    """

    def __init__(
        self, X: Values, y: Values, *, delta: float = 1.35, **options: Unpack[ModelOptions]
    ) -> None:
        super().__init__(X, y, Huber(delta), **options)
