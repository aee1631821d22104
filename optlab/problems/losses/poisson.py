"""Poisson regression: half the Poisson deviance of counts, with a log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

import torch
from torch import Tensor

from optlab.problems.labels import check_counts
from optlab.problems.linear_model import ModelOptions, Values
from optlab.problems.losses.loss import Contrasts, Loss
from optlab.problems.smooth_linear_model import SmoothLinearModel


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the deviance, ``exp(eta) - y eta + y log y - y``, 0 for a perfect fit."""

    has_bounds: ClassVar[bool] = True

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``exp(eta) - y eta + y log y - y``."""
        return torch.exp(eta) - y * eta + (torch.xlogy(y, y) - y)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``exp(eta) - y``."""
        return torch.exp(eta) - y

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return ``exp(eta - radius)``."""
        return torch.exp(eta - radius)

    def slope_change(self, eta: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """Return ``exp(eta) (exp(radius) - 1)``."""
        return torch.exp(eta) * torch.expm1(radius)

    def slope_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return 8 units in the last place of ``exp(eta)`` and of y."""
        return 2.0**-50 * (torch.exp(eta) + y)

    def value_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return 8 units in the last place of each term of `value`."""
        return 2.0**-50 * (torch.exp(eta) + y * (1 + eta.abs()) + torch.xlogy(y, y).abs())

    def mean(self, eta: Tensor) -> Tensor:
        """Return the expected count, ``exp(eta)``."""
        return torch.exp(eta)

    def check(self, y: Tensor) -> None:
        """Raise ValueError for what is no count."""
        check_counts(y)

    def contrasts(self, y: Tensor) -> Contrasts:
        """Return that eta may fall for ever where y = 0, and is held where y > 0."""
        return Contrasts(torch.arange(len(y)), -torch.ones_like(y), y > 0)


class PoissonRegression(SmoothLinearModel):
    """Fit the log of expected counts y by ``X @ weight + bias``, minimising half the deviance.

    The loss of a row is ``exp(eta) - y eta + y log y - y``. scikit-learn's PoissonRegressor
    minimises the same with ``l2 = alpha``. Arguments: those of `LinearModel`; y holds counts, whole
    numbers of at least 0 (ValueError otherwise).

    See Also
    --------
    LinearModel : What all linear models share.
    LinearRegression : Targets that are no counts.

    Examples
    --------
    >>> import numpy as np
    >>> problem = PoissonRegression(np.array([[0.0], [1.0], [2.0]]), np.array([1, 2, 4]))
    >>> round(problem.reference().parameters["weight"].item(), 12)  # log 2
    0.69314718056

    References
    ----------
    McCullagh and Nelder, Generalized Linear Models (1989), chapter 6.
    """

    def __init__(self, X: Values, y: Values, **options: Unpack[ModelOptions]) -> None:
        super().__init__(X, y, Poisson(), **options)
