"""Quantile regression: the pinball loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Unpack

from torch import Tensor

from optlab.problems.linear_model import LinearModel, ModelOptions, Values
from optlab.problems.losses.loss import Loss


@dataclass(frozen=True)
class Quantile(Loss):
    """Pinball loss ``max(q r, (q - 1) r)`` of residuals ``r = y - eta``, 0 < q < 1."""

    quantile: float = 0.5
    is_of_residual: ClassVar[bool] = True
    has_bounds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.quantile, float) and 0 < self.quantile < 1):
            raise ValueError(f"quantile must be between 0 and 1, not {self.quantile!r}")

    @property
    def kink(self) -> tuple[float, float]:
        """The slopes in the residual."""
        return self.quantile - 1, self.quantile

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``max(q r, (q - 1) r)``."""
        return self.slope(eta, y) * (eta - y)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``-q`` below y, ``1 - q`` above, and 0 at y: a subgradient."""
        above, below = (eta > y).to(eta.dtype), (eta < y).to(eta.dtype)
        return above * (1 - self.quantile) - below * self.quantile


class QuantileRegression(LinearModel):
    """Fit the q-quantile of y by ``X @ weight + bias``, minimising the mean pinball loss.

    scikit-learn's QuantileRegressor minimises the same with ``l1 = alpha``. Arguments: those of
    `LinearModel`, and ``quantile``, between 0 and 1 (ValueError otherwise).

    See Also
    --------
    LinearModel : What all linear models share.
    HuberRegression : A smooth loss that outliers move little.

    Examples
    --------
    >>> problem = QuantileRegression([[0], [1], [2], [3], [4]], [0, 1, 2, 3, 100])
    >>> problem.reference().parameters["weight"].item()
    1.0

    References
    ----------
    Koenker and Bassett, Regression quantiles (1978).
    """

    def __init__(
        self, X: Values, y: Values, *, quantile: float = 0.5, **options: Unpack[ModelOptions]
    ) -> None:
        super().__init__(X, y, Quantile(quantile), **options)
