"""Quantile regression: the pinball loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.problems.linear_model import LinearModel, ModelOptions
from optlab.problems.losses.loss import Loss


@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss ``max(q r, (q - 1) r)`` of residuals ``r = y - eta``, 0 < q < 1."""

    quantile: float = 0.5
    is_of_residual: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.quantile, float) and 0 < self.quantile < 1):
            raise ValueError(f"quantile must be between 0 and 1, not {self.quantile!r}")

    @property
    def kink(self) -> tuple[float, float]:
        """The slopes in the residual."""
        return self.quantile - 1, self.quantile

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``max(q r, (q - 1) r)``."""
        return torch.maximum(self.quantile * (y - eta), (self.quantile - 1) * (y - eta))

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``-q`` below y, ``1 - q`` above, and 0 at y: a subgradient."""
        return torch.where(eta < y, -self.quantile, torch.where(eta > y, 1 - self.quantile, 0.0))

    def divergence(self, eta: Tensor, gap: Tensor, y: Tensor, slope: Tensor) -> Tensor:
        """Return ``value + slope r`` at a gap, where slope balances at eta: never below 0."""
        residual = y - eta - gap
        over, under = residual.clamp(min=0.0), (-residual).clamp(min=0.0)
        return over * (self.quantile + slope) + under * (1 - self.quantile - slope)


class QuantileRegression(LinearModel):
    """Fit the q-quantile of y by ``X @ weight + bias``, minimising the mean pinball loss.

    scikit-learn's QuantileRegressor minimises the same with ``l1 = alpha``. Arguments: those of
    `LinearModel`, and ``quantile``, between 0 and 1 (ValueError otherwise).

    Examples
    --------
    >>> import numpy as np
    >>> problem = QuantileRegression(np.arange(5.0)[:, None], [0.0, 1.0, 2.0, 3.0, 100.0])
    >>> problem.reference().parameters["weight"].item()
    1.0

    References
    ----------
    Koenker and Bassett, Regression quantiles (1978).
    """

    def __init__(
        self,
        X: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        *,
        quantile: float = 0.5,
        **options: Unpack[ModelOptions],
    ) -> None:
        super().__init__(X, y, Quantile(quantile), **options)
