"""Evaluate a point of linear regression against the optimum; the clock does not run meanwhile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.linalg import LeastSquaresSolution
from optlab.linalg import double_double as dd
from optlab.linalg.column_offsets import offsets
from optlab.problems.problem import Evaluation, Parameters

_SMALL = 1 << 15
"""Entries of X below which BLAS uses one thread."""


class Judge:
    """Evaluate points in float64 on the CPU: see `LinearRegression.evaluate`.

    Parameters
    ----------
    X, y
        The data, float64 on the CPU.
    solution
        The optimum, with what rounding to float64 took off it.
    fit_intercept, l2
        Those of the problem.
    share
        The rows' shares of the loss, (n,), above 0 and adding up to 1; None where all are 1 / n.
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        solution: LeastSquaresSolution,
        fit_intercept: bool,
        l2: float,
        *,
        share: Tensor | None = None,
    ) -> None:
        self.l2, self.fit_intercept = l2, fit_intercept
        self.bias, self.bias_low = solution.bias.item(), solution.bias_low.item()
        certificate = solution.certificate
        self.unique = certificate.rank == certificate.unknowns
        # Numpy's calls cost a fraction of torch's, which is most of the time on small data; on
        # large data torch's threads are used, so that no second pool of threads wakes beside them.
        self._array: Any = np.asarray if X.numel() <= _SMALL else torch.as_tensor
        self.X: Any = self._array(X)
        self.weight: Any = self._array(solution.weight)
        self.weight_low: Any = self._array(solution.weight_low)
        self.share: Any = None if share is None else self._array(share)
        self.residual: Any = self._residual(self._array(y), certificate.route)
        # An offset that dwarfs the spread would hide how far a point is from the optimum.
        self.shift = offsets(self.X) if fit_intercept else 0.0 * self.X[0]
        self.is_shifted = bool((self.shift != 0.0).any())
        if self.is_shifted:
            self.X = self.X - self.shift

    def _residual(self, y: Any, route: str) -> Any:
        """Return the residuals at the optimum, to all digits where the optimum has them."""
        with np.errstate(all="ignore"):
            plain = self.X @ self.weight + self.bias - y
            if route == "fast":
                return plain
            residual = dd.matvec(self.X, (self.weight, self.weight_low))
            residual = dd.pair_add(residual, (self.bias - 0.0 * y, self.bias_low - 0.0 * y))
            high, low = dd.pair_add(residual, (-y, 0.0 * y))
        # Numbers above 2**996 cannot be split in two for double-double.
        return high + low if math.isfinite(float((high + low).sum())) else plain

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return what is known of a point."""
        X, n, l2 = self.X, len(self.residual), self.l2
        point = {
            name: self._array(value.detach().to("cpu", torch.float64))
            for name, value in parameters.items()
        }
        weight, bias = point["weight"], float(point.get("bias", 0.0))
        with np.errstate(all="ignore"):  # where descent diverges, infinity is the answer
            apart = (weight - self.weight) - self.weight_low
            bias_apart = (bias - self.bias) - self.bias_low
            gap = X @ apart + (self._level(weight, bias) if self.is_shifted else bias_apart)
            residual = self.residual + gap
            share = residual if self.share is None else n * self.share * residual
            slope = X.T @ share
            if self.is_shifted:
                slope = slope + self.shift * share.sum()
            slope = slope * (2 / n)
            loss = share @ residual / n
            suboptimality = (gap if self.share is None else n * self.share * gap) @ gap / n
            if l2:
                slope = slope + l2 * weight
                loss = loss + l2 / 2 * (weight @ weight)
                suboptimality = suboptimality + l2 / 2 * (apart @ apart)
            bias_slope = 2 * share.mean() if self.fit_intercept else 0.0
            error = _norm(apart, bias_apart) / (_norm(self.weight, self.bias) or 1.0)
            return Evaluation(
                loss=float(loss),
                suboptimality=float(suboptimality),
                gradient_norm=_norm(slope, bias_slope),
                parameter_error=error if self.unique else math.nan,
            )

    def _level(self, weight: Any, bias: float) -> float:
        """Return ``shift'(w - w*) + b - b*``, terms that cancel, in double-double."""
        zero = 0.0 * self.weight
        apart = dd.pair_add(dd.two_sum(weight, -self.weight), (-self.weight_low, zero))
        level = dd.matvec(self.shift[None, :], apart)
        biases = self._array([[bias, -self.bias, -self.bias_low]])
        high, low = dd.pair_add(level, dd.pair_sum(biases, 0.0 * biases, 1))
        found = float(high[0] + low[0])
        return found if math.isfinite(found) else float(self.shift @ apart[0] + bias - self.bias)


def _norm(vector: Any, number: Any) -> float:
    """Return the Euclidean norm of a vector and a number, also where its square is not a float."""
    largest = max(float(abs(vector).max()), abs(float(number)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    vector, number = vector / largest, float(number) / largest
    return largest * math.sqrt(float(vector @ vector) + number * number)
