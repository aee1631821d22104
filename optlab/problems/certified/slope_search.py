"""A line search by the slope alone, for convex objectives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.problems.certified.linear_objective import Objective
from optlab.problems.losses.loss import Pair

MOST = 100
FALLING, RISING = -0.5, 0.1  # the slope's share of the first one's size at which a length will do


def step_length(
    objective: Objective, theta: Pair, eta: Tensor, step: tuple[Tensor, Tensor, Tensor]
) -> float:
    """Return how far to go along a step: 1 where that will do, else near where the slope is zero.

    0 where the slope does not fall, but for rounding.

    ``step`` is the free entries, their move, and the signs that they keep (0 for no penalty).
    Values are not compared, as their differences are lost in rounding long before the slope's sign.
    """
    free, move, sign = step
    whole = torch.zeros(theta[0].numel(), dtype=move.dtype)
    whole[free] = move
    along = objective.design @ whole.reshape(theta[0].shape)
    values = theta[0].reshape(-1)[free]
    l1, l2 = (objective.per_entry(s)[free] for s in (objective.l1, objective.l2))
    pull = float((l1 * sign) @ move)

    def slope(length: float) -> float:
        rows = objective.loss.slope(eta + length * along, objective.y) * along
        rows = rows if rows.ndim == 1 else rows.sum(-1)
        found = float((objective.share * rows).sum() + (l2 * (values + length * move)) @ move)
        return math.inf if math.isnan(found) else found + pull

    first = slope(0.0)
    if not -math.inf < first < 0.0:
        return 0.0
    low, high = 0.0, 1.0
    found = slope(high)
    for _ in range(MOST):
        if found >= FALLING * -first:
            break
        low, high = high, 2.0 * high
        found = slope(high)
    if found <= RISING * -first:
        return high
    for _ in range(MOST):
        middle = (low + high) / 2 if low else high / 16  # a damped step may be far too long
        found = slope(middle)
        if FALLING * -first <= found <= RISING * -first:
            return middle
        low, high = (middle, high) if found < 0 else (low, middle)
    return low
