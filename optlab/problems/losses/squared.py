"""Squared error, without a half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.losses.loss import Loss, Pair


@dataclass(frozen=True)
class Squared(Loss):
    """Squared error ``(eta - y)**2``."""

    is_of_residual: ClassVar[bool] = True
    steepest: ClassVar[float] = 2.0
    has_bounds: ClassVar[bool] = True

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``(eta - y)**2``."""
        return (eta - y).pow(2)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``2 (eta - y)``."""
        return 2 * (eta - y)

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return 2."""
        return torch.full_like(eta, 2.0)

    def slope_pair(self, eta: Pair, y: Tensor) -> Pair:
        """Return ``2 (eta - y)`` to all digits of a pair."""
        high, low = dd.pair_add(eta, (-y, 0 * y))
        return 2 * high, 2 * low

    def slope_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return a bound on the error of one sum of pairs."""
        return 4 * dd.UNIT * (eta.abs() + y.abs())
