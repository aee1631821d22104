"""A bound on the suboptimality for losses that grow with the size of residuals."""

from __future__ import annotations

import math

import torch

from optlab.linalg import double_double as dd
from optlab.problems.certified.curvature_factor import factored
from optlab.problems.certified.newton import Point, slope_errors
from optlab.problems.certified.objective import Objective
from optlab.problems.certified.suboptimality_bound import Bound


def growth_bound(objective: Objective, point: Point, allowed: torch.Tensor) -> Bound:
    r"""Return a bound by the gradient and the distance of any better point.

    For a loss of at least ``a |r| - b`` (`Loss.growth`), a point no worse than this one, of
    objective F, has a mean absolute residual of at most ``(F + b) / a``, so that predictions are
    apart by at most twice that in the mean. With G the gradient and A the rows ``share**.5 x``,

    .. math:: F - \inf f \le G' \Delta \le \lVert (A'A)^{-1/2} G \rVert \, \lVert A \Delta \rVert,
        \quad \lVert A \Delta \rVert \le 2 \frac{F + b}{a \sqrt{\min_i share_i}}

    No curvature is needed. Entries at zero whose slope exceeds l1 add that excess times F / l1.
    """
    eta, low = objective.predictions(point.theta)
    value = objective.value(point.theta, (eta, low))
    value += objective.value_error(point.theta, (eta, low))
    unknown = torch.full((point.active.numel(),), math.inf, dtype=eta.dtype)
    growth = objective.loss.growth
    entries = allowed.nonzero()[:, 0]
    factor = factored(objective.damping(entries)) if growth else None
    if factor is None or growth is None:
        return Bound(value, unknown, False)
    at_least, less = growth
    high, small = objective.gradient(point.theta, (eta, low))
    pull = objective.per_entry(objective.l1) * point.sign
    total = sum(dd.pair_add((high, small), (pull, 0 * pull)))
    error = slope_errors(objective, eta)
    l1 = objective.per_entry(objective.l1)
    outside = allowed & ~point.active
    excess = 0.0
    if bool(outside.any()):
        most = (high + small).abs() + error
        excess = max(0.0, float((most[outside] / l1[outside]).max()) - 1.0)
    total = torch.where(outside, 0.0, total)[entries]
    error = torch.where(outside, 0.0, error)[entries]
    length = float(factor.dual(total).norm() + (factor.whitening().abs() @ error).norm())
    apart = 2 * (value + less) / (at_least * float(objective.share.min().sqrt()))
    return Bound(min(value, length / factor.floor * apart + excess * value), unknown, False)
