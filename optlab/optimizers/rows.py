"""Rows of a linear model one by one: their numbers, their slopes, their curvature."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.problems import Batch, Parameters
from optlab.problems.capabilities import IsLinearModel
from optlab.problems.row_weights import times


def row_batches(batches: Batches) -> Batches:
    """Return the same mini-batches, of the same order, with the rows' numbers as their ``y``.

    Examples
    --------
    >>> batches = Batches(torch.rand(3, 1), torch.rand(3), 2, torch.Generator(), shuffle=False)
    >>> [batch.y.tolist() for batch in next(iter(row_batches(batches)))]
    [[0, 1], [2]]
    """
    numbers = torch.arange(len(batches.y), device=batches.y.device)
    return Batches(
        numbers[:, None],
        numbers,
        batches.batch_size,
        batches.generator,
        shuffle=batches.shuffle,
        drop_last=batches.drop_last,
        order=batches.order,
    )


def take(data: Batch, rows: Tensor) -> Batch:
    """Return the rows of these numbers."""
    weight = None if data.weight is None else data.weight[rows]
    return Batch(data.X[rows], data.y[rows], weight)


def slopes(model: IsLinearModel, point: Parameters, rows: Batch) -> Tensor:
    """Return the derivative of each row's loss in its prediction, times the row's weight."""
    return weighted_slope(model, model.linear_predictor(point, rows.X), rows)


def weighted_slope(model: IsLinearModel, eta: Tensor, rows: Batch) -> Tensor:
    """Return the derivative of each row's loss at predictions ``eta``, times the row's weight."""
    slope: Tensor = model.loss_function.slope(eta, rows.y)
    return slope if rows.weight is None else times(rows.weight, slope)


def row_curvature(model: IsLinearModel) -> Tensor:
    r"""Return an upper bound of each row's curvature, ``(n,)``.

    That is :math:`u_i \, c \, (\lVert x_i \rVert^2 + 1)`, the 1 for an intercept, with the largest
    second derivative c of the loss and the row's weight :math:`u_i`: the Lipschitz constant of the
    gradient of the row's loss.
    """
    bound: Tensor = (
        model.X.square().sum(1) + int(model.fit_intercept)
    ) * model.loss_function.steepest
    return bound if model.row_weight is None else model.row_weight * bound


def why_unbounded(name: str, model: IsLinearModel) -> str | None:
    """Say that the loss has kinks or no bound on its second derivative, or None."""
    if math.isfinite(model.loss_function.steepest):
        return None
    kind = type(model).__name__
    return f"{name} needs a loss with a bounded second derivative, which {kind} does not have"
