"""The elastic-net penalty, of which the lasso's (l2 = 0) and ridge's (l1 = 0) are cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.checks import check_not_negative


@dataclass(frozen=True)
class ElasticNet:
    """Penalty ``l1 ||w||_1 + l2/2 ||w||**2`` on weights of any shape.

    Parameters
    ----------
    l1, l2
        The strengths, finite and at least 0; ValueError otherwise.

    Examples
    --------
    >>> penalty = ElasticNet(l1=1.0, l2=2.0)
    >>> weight = torch.tensor([3.0, -0.5])
    >>> penalty.value(weight).item(), penalty.proximal(weight, 1.0).tolist()
    (12.75, [2.0, -0.0])

    References
    ----------
    Zou and Hastie, Regularization and variable selection via the elastic net (2005).
    """

    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        check_not_negative("l1", self.l1)
        check_not_negative("l2", self.l2)

    def value(self, weight: Tensor) -> Tensor:
        """Return ``l1 ||w||_1 + l2/2 ||w||**2``."""
        if not self.l1:
            return self.l2 / 2 * weight.pow(2).sum()
        size = self.l1 * weight.abs().sum()
        return size + self.l2 / 2 * weight.pow(2).sum() if self.l2 else size

    def proximal(self, weight: Tensor, step: float | Tensor) -> Tensor:
        """Return the proximal step of the part with kinks, ``step l1 ||.||_1``: soft thresholding.

        The squared part is smooth, and belongs to the gradient.
        """
        return weight.sign() * (weight.abs() - step * self.l1).clamp(min=0.0) if self.l1 else weight

    def least_slope(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """Return the subgradient of least size of ``l1 ||w||_1 + gradient . w``."""
        rest = gradient.sign() * (gradient.abs() - self.l1).clamp(min=0.0)
        return torch.where(weight == 0, rest, gradient + self.l1 * weight.sign())
