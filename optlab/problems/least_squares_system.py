"""Linear regression as a least-squares system: the intercept and the penalty taken into account."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from optlab.problems.problem import Parameters


class LeastSquaresSystem(NamedTuple):
    """``min ||A w - b||`` and the way back from its solution to a problem's parameters.

    ``A`` has shape ``(m, d)`` and ``b`` shape ``(m,)``: see
    `LinearRegression.as_least_squares`.
    """

    A: Tensor
    b: Tensor
    to_parameters: Callable[[Tensor], Parameters]


def least_squares_system(
    X: Tensor, y: Tensor, *, fit_intercept: bool, l2: float
) -> LeastSquaresSystem:
    """Return the system of `LinearRegression.as_least_squares`."""
    A, b = X, y
    if fit_intercept:
        X_mean, y_mean = A.mean(0), b.mean()
        A, b = A - X_mean, b - y_mean
        # A mean is rounded, which matters where the offset dwarfs the spread: centre again,
        # and leave no rounding where a constant column stood.
        A, b = A - A.mean(0), b - b.mean()
        A = torch.where((X[0] == X).all(0), 0.0, A)
    if l2:
        n, d = A.shape
        root = math.sqrt(n * l2 / 2)
        A = torch.cat([A, root * torch.eye(d, dtype=A.dtype, device=A.device)])
        b = torch.cat([b, b.new_zeros(d)])

    def to_parameters(weight: Tensor) -> Parameters:
        if not fit_intercept:
            return {"weight": weight}
        return {"weight": weight, "bias": y_mean - X_mean @ weight}

    return LeastSquaresSystem(A, b, to_parameters)


def why_another_minimiser(A: Tensor, rank: int, cut_off: float) -> str | None:
    """Say that a relative cut-off of A's singular values leaves less than its rank, or None."""
    values = torch.linalg.svdvals(A)
    kept = int((values > cut_off * values[0]).sum())
    if kept >= rank:
        return None
    dtype = str(A.dtype).removeprefix("torch.")
    return (
        f"in {dtype} the cut-off at {cut_off:.1e} of the largest singular value dropped "
        f"{rank - kept} of {rank} directions that the data have: this is the minimiser of "
        "another problem; standardize the columns, or use float64 or RefinedLstsq"
    )
