"""Linear regression as residuals whose mean square is the loss, penalty included."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.problems.problem import Batch, Parameters


def linear_residuals(data: Batch, parameters: Parameters, l2: float) -> Tensor:
    """Return the residuals of a linear model, ``(n,)``, and with a penalty of the weights too.

    With a penalty there are ``m = n + d`` residuals, ``sqrt(m / n) sqrt(u) (X w + b - y)`` and
    ``sqrt(m l2 / 2) w``: the mean of their squares is the mean squared error plus ``l2 / 2 |w|^2``.

    Examples
    --------
    >>> data = Batch(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 1.0]))
    >>> linear_residuals(data, {"weight": torch.ones(1)}, 0.0)
    tensor([0., 1.])
    """
    weight = parameters["weight"]
    residual = data.X @ weight + parameters.get("bias", 0.0) - data.y
    if data.weight is not None:
        residual = data.weight.sqrt() * residual
    if not l2:
        return residual
    m = sum(data.X.shape)
    return torch.cat([math.sqrt(m / len(data.y)) * residual, math.sqrt(m * l2 / 2) * weight])


def linear_jacobian(data: Batch, parameters: Parameters, l2: float) -> Tensor:
    """Return the Jacobian of `linear_residuals`, ``(n, p)`` or ``(n + d, p)``."""
    X = data.X
    n, d = X.shape
    ones = [X.new_ones(n, 1)] * ("bias" in parameters)
    rows = torch.cat([X, *ones], 1)
    if data.weight is not None:
        rows = data.weight.sqrt()[:, None] * rows
    if not l2:
        return rows
    penalty = X.new_zeros(d, rows.shape[1])
    penalty[:, :d].fill_diagonal_(math.sqrt((n + d) * l2 / 2))
    return torch.cat([math.sqrt((n + d) / n) * rows, penalty])
