"""A proven bound on how far a point's loss is above the infimum."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.active_set_newton import Point, slope_errors
from optlab.problems.certified.curvature_factor import EPS, Factor
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.losses.loss import rounded


class Bound(NamedTuple):
    """``value``: the objective at a point is at most this far above its infimum.

    ``errors``, flat: no entry is farther than this from that of a minimiser; infinite where nothing
    is proven. ``is_strict``: entries at zero are zero in every minimiser.
    """

    value: float
    errors: Tensor
    is_strict: bool


def newton_bound(objective: Objective, point: Point, allowed: Tensor) -> Bound:
    r"""Return a bound by the gradient and the least curvature around a point.

    Let G be the gradient in the active entries (the penalty's slope included), and H a matrix that
    the Hessian is nowhere below while no prediction moves by more than its radius. With
    :math:`\lambda^2 = G' H^{-1} G`, where a step of length :math:`\lambda` in the norm of H keeps
    every prediction within its radius, a minimiser over the active entries exists, lies no farther
    than :math:`\lambda`, and

    .. math:: f(\theta) - \min f \le \lambda^2 / 2

    for on the sphere of a radius just above :math:`\lambda` the slope away from the centre is
    positive, and f less half the squared distance in H is convex inside. An entry outside, whose
    slope at that minimiser exceeds its l1 by v, adds at most v times its size in a minimiser; all
    of these together have ``sum l1 |w| <= f``, as losses are not negative.

    The gradient is summed in double-double; the errors of the loss's slopes, rounding in the factor
    of H, and that of predictions are added. At last, no bound exceeds f itself.
    """
    free = point.free
    eta, low = objective.predictions(point.theta)
    value = objective.value(point.theta, (eta, low))
    value += objective.value_error(point.theta, (eta, low))
    nothing = Bound(value, torch.full((point.active.numel(),), math.inf, dtype=eta.dtype), False)
    high = objective.gradient(point.theta, (eta, low))
    pull = (objective.per_entry(objective.l1) * point.sign)[free]
    gradient = rounded(dd.pair_add((high[0][free], high[1][free]), (pull, 0 * pull)))
    around = _around(objective, eta, free, gradient)
    if around is None:
        return nothing
    factor, decrement, reach = around
    errors = torch.zeros_like(nothing.errors)
    errors[free] = decrement / factor.floor * factor.whitening().norm(dim=0)
    change = objective.loss.slope_change(eta, objective.y, decrement * reach)
    excess = _excess(objective, point, allowed, rounded(high), eta, change)
    bound = decrement**2 / 2 + max(excess, 0.0) * value
    return Bound(min(bound, value), errors, excess < 0.0)


def _around(
    objective: Objective, eta: Tensor, free: Tensor, gradient: Tensor
) -> tuple[Factor, float, Tensor] | None:
    """Return a factor of H, the decrement in it, and the rows' reach; None where nothing is proven.

    The reach ``(n, *outputs)`` is how far a prediction moves for a step of length 1 in H.
    """
    y = objective.y
    factor = objective.factor(eta, free)
    if factor is None:
        return None
    reach = objective.reach(factor.whitening(), free) / factor.floor
    decrement = _decrement(objective, factor, eta, free, gradient)
    rounding = EPS * (eta.abs() + (y.abs() if objective.loss.is_of_residual else 0.0))
    radius = _widest((4 * decrement + 1e-250) * reach + rounding)
    factor = objective.factor(eta, free, radius)
    if factor is None:
        return None
    reach = objective.reach(factor.whitening(), free) / factor.floor
    decrement = _decrement(objective, factor, eta, free, gradient, radius)
    moved = _widest((decrement * (1 + 1e-9) + 1e-260) * reach + rounding)
    return (factor, decrement, reach) if bool((moved <= radius).all()) else None


def _decrement(
    objective: Objective,
    factor: Factor,
    eta: Tensor,
    free: Tensor,
    gradient: Tensor,
    radius: Tensor | float = 0.0,
) -> float:
    """Return the gradient's length in the dual norm, plus the lesser of two bounds on its error's.

    For slopes that err by d and rows' curvatures H, the error ``sum_i share_i d_i x_i`` has at most
    the length ``(sum_i share_i d_i' H_i^-1 d_i)**.5`` (a projection), and that of its entries'
    bounds.
    """
    by_entry = float((factor.whitening().abs() @ slope_errors(objective, eta)[free]).norm())
    squares = objective.loss.slope_error_squares(eta, objective.y, radius)
    by_row = float((objective.share * squares).sum().sqrt())
    return (float(factor.dual(gradient).norm()) + min(by_entry, by_row)) / factor.floor


def _excess(
    objective: Objective,
    point: Point,
    allowed: Tensor,
    gradient: Tensor,
    eta: Tensor,
    change: Tensor,
) -> float:
    """Return the largest slope outside over its l1, less 1, at the active entries' minimiser."""
    l1 = objective.per_entry(objective.l1)
    outside = allowed & ~point.active
    if not bool(outside.any()):
        return -1.0
    most = gradient.abs() + slope_errors(objective, eta, change)
    return float((most[outside] / l1[outside]).max()) - 1.0


def _widest(values: Tensor) -> Tensor:
    """Return the largest of the outputs of each row."""
    return values if values.ndim == 1 else values.amax(-1)
