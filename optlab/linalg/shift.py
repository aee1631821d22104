"""Data whose offset dwarfs their spread, moved to where their digits are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from optlab.linalg.factor import EPS
from optlab.linalg.solution import LeastSquaresSolution


@dataclass(frozen=True)
class Shifted:
    """Data whose columns have lost their means; the same problem, with another intercept.

    Near the offset the subtraction is exact (Sterbenz), so that nothing is lost by it; where it is
    not, the answer is not trusted.
    """

    X: torch.Tensor
    y: torch.Tensor
    X_mean: torch.Tensor
    exact: bool

    def back(self, solution: LeastSquaresSolution) -> LeastSquaresSolution:
        """Return a solution of the shifted data as one of the data as they were."""
        parts = torch.cat([self.X_mean * solution.weight, -solution.bias[None]])
        bias = -parts.sum()
        # The new intercept is a sum that may cancel: of p terms, each rounded once.
        lost = len(parts) * EPS * parts.abs().sum().item() / (abs(bias.item()) or 1.0)
        certificate = solution.certificate
        digits = min(
            certificate.digits, max(0.0, -math.log10(lost)) if lost else certificate.digits
        )
        message = f"offset dwarfs spread, solved less the means; {certificate.message}"
        return replace(
            solution,
            bias=bias,
            bias_low=torch.zeros_like(bias),
            certificate=replace(
                certificate,
                digits=digits,
                trusted=certificate.trusted and self.exact,
                message=message if self.exact else f"{message}; not trusted: the shift was rounded",
                # Standard errors would be those of the shifted intercept.
                small=certificate.small._replace(inverse=None),
            ),
        )


def shifted(X: torch.Tensor, y: torch.Tensor) -> Shifted:
    """Return data less the means of the columns of X, in float64."""
    X = X.detach().double()
    X_mean = X.mean(0)
    apart = X - X_mean
    return Shifted(apart, y, X_mean, exact=torch.equal(apart + X_mean, X))
