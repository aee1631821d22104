"""Judging a point of linear regression against the optimum, off everybody's clock."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.problems.problem import Evaluation, Parameters

_SMALL = 1 << 15
"""Entries of X below which BLAS uses one thread."""


class Judge:
    """Evaluates points in float64 on the CPU: see `LinearRegression.evaluate`.

    Parameters
    ----------
    X, y
        The data, float64 on the CPU.
    optimum
        The optimum's parameters, likewise.
    l2
        The penalty.
    """

    def __init__(self, X: Tensor, y: Tensor, optimum: Parameters, l2: float) -> None:
        self.l2 = l2
        self.has_bias = "bias" in optimum
        self.bias = optimum["bias"].item() if self.has_bias else 0.0
        # Numpy's calls cost a fraction of torch's, which is most of the time on small data; on
        # large data torch's threads are used, so that no second pool of threads wakes beside them.
        self._array: Any = np.asarray if X.numel() <= _SMALL else torch.as_tensor
        self.X: Any = self._array(X)
        self.y: Any = self._array(y)
        self.weight: Any = self._array(optimum["weight"])

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return what is known of a point."""
        X, y, l2 = self.X, self.y, self.l2
        point = {
            name: self._array(value.detach().to("cpu", torch.float64))
            for name, value in parameters.items()
        }
        weight, bias = point["weight"], point.get("bias", 0.0)
        with np.errstate(all="ignore"):  # where descent diverges, infinity is the answer
            apart, bias_apart = weight - self.weight, bias - self.bias
            residual = X @ weight + bias - y
            gap = X @ apart + bias_apart
            slope = X.T @ residual * (2 / len(y))
            loss, suboptimality = residual @ residual / len(y), gap @ gap / len(y)
            if l2:
                slope = slope + l2 * weight
                loss = loss + l2 / 2 * (weight @ weight)
                suboptimality = suboptimality + l2 / 2 * (apart @ apart)
            bias_slope = 2 * residual.mean() if self.has_bias else 0.0
            norm = _norm(self.weight, self.bias)
            return Evaluation(
                loss=float(loss),
                suboptimality=float(suboptimality),
                gradient_norm=_norm(slope, bias_slope),
                parameter_error=_norm(apart, bias_apart) / (norm or 1.0),
            )


def _norm(vector: Any, number: Any) -> float:
    """Return the Euclidean norm of a vector and a number, also where its square is not a float."""
    largest = max(float(abs(vector).max()), abs(float(number)))
    if largest == 0 or not math.isfinite(largest):
        return largest
    vector, number = vector / largest, float(number) / largest
    return largest * math.sqrt(float(vector @ vector) + number * number)
