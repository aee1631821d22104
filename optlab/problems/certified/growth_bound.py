"""A bound on the suboptimality for losses that grow with the size of residuals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.active_set_newton import Point, slope_errors
from optlab.problems.certified.curvature_factor import factored
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.suboptimality_bound import Bound
from optlab.problems.losses.loss import rounded


def growth_bound(objective: Objective, point: Point, allowed: Tensor) -> Bound:
    r"""Return a bound by the gradient and the distance of any better point.

    For a loss of at least ``a |r| - b`` (`Loss.growth`), a point no worse than this one, of
    objective F, has a mean absolute residual of at most ``(F + b) / a``, so that predictions are
    apart by at most twice that in the mean: D. With G the gradient,

    .. math:: F - \inf f \le G' \Delta \le \lVert (A'A)^{-1/2} G \rVert \, \lVert A \Delta \rVert,
        \quad \lVert A \Delta \rVert \le D / \sqrt{\min_i share_i}

    for the rows A of ``share**.5 x``. Under a penalty, the weights of both points have a norm of at
    most ``F / l1`` or ``(2 F / l2)**.5``, and the intercepts are apart by at most D and what these
    make of the predictions. No curvature is needed. Entries at zero whose slope exceeds l1 add that
    excess times F / l1.
    """
    eta, low = objective.predictions(point.theta)
    value = objective.value(point.theta, (eta, low))
    value += objective.value_error(point.theta, (eta, low))
    unknown = torch.full((point.active.numel(),), math.inf, dtype=eta.dtype)
    growth = objective.loss.growth
    if growth is None:
        return Bound(value, unknown, False)
    high, small = objective.gradient(point.theta, (eta, low))
    pull = objective.l1 * point.sign
    error = slope_errors(objective, eta)
    outside = allowed & ~point.active
    excess = 0.0
    if bool(outside.any()):
        most = (high + small).abs() + error
        excess = max(0.0, float((most[outside] / objective.l1[outside]).max()) - 1.0)
    gradient = rounded(dd.pair_add((high, small), (pull, 0 * pull)))
    gradient = torch.where(outside, 0.0, gradient)
    error = torch.where(outside, 0.0, error)
    apart = 2 * (value + growth[1]) / growth[0]
    if bool((objective.l1 + objective.l2).any()):
        product = _product_with_penalty(objective, gradient.abs() + error, apart, value)
    else:
        product = _product(objective, allowed.nonzero()[:, 0], (gradient, error), apart)
    return Bound(min(value, product + excess * value), unknown, False)


def _product(
    objective: Objective, entries: Tensor, gradient: tuple[Tensor, Tensor], apart: float
) -> float:
    """Return a bound on the gradient, with its error, times the distance; infinite for none."""
    factor = factored(objective.damping(entries))
    if factor is None:
        return math.inf
    slope, error = (part[entries] for part in gradient)
    length = float(factor.dual(slope).norm() + (factor.whitening().abs() @ error).norm())
    return length / factor.floor * apart / float(objective.share.min().sqrt())


def _product_with_penalty(
    objective: Objective, gradient: Tensor, apart: float, value: float
) -> float:
    """Return a bound on the gradient times the distance where weights are penalised."""
    penalised = (objective.l1 + objective.l2) > 0
    rows = objective.design[:, penalised]
    l1, l2 = float(objective.l1.max()), float(objective.l2.max())
    by_l1 = 2 * value / l1 if l1 else math.inf
    by_l2 = 2 * (2 * value / l2) ** 0.5 if l2 else math.inf
    moved = min(by_l1 * float(rows.abs().max()), by_l2 * float(rows.norm(dim=1).max()))
    weights = gradient[penalised]
    product = min(by_l1 * float(weights.max()), by_l2 * float(weights.norm()))
    return product + float(gradient[~penalised].sum()) * (apart + moved)
