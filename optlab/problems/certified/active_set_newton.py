"""Newton's method with an active set for the l1 penalty, to the last digits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.curvature_factor import factored
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.slope_search import step_length
from optlab.problems.losses.loss import Pair, rounded

STEPS = 100
DAMPING = (
    1e-8,
    1e-4,
    1.0,
)  # of the mean curvature, tried in turn where there is none in a direction
NOTHING = 1e-25  # of the loss at the start: an infimum of zero, which may not be attained
# Of the loss, squared decrements: that end a rough search, a line search, and trust in its slopes.
ROUGH, FINE, NEAR = 1e-10, 1e-20, 1e-8


class Point(NamedTuple):
    """Parameters ``(p, *outputs)`` as a pair, with what is active among their flat entries.

    ``active`` entries are free to move; ``sign`` is that of each active penalised entry, else 0.
    """

    theta: Pair
    active: Tensor
    sign: Tensor

    @property
    def free(self) -> Tensor:
        """The flat indices of the active entries."""
        return self.active.nonzero()[:, 0]


def minimise(objective: Objective, allowed: Tensor, start: Tensor) -> Point:
    """Return the minimiser over the allowed entries ``(P,)``; the others stay at the start.

    Newton steps on the active entries, with a line search; where one of these would change its sign
    it stops at zero and leaves. At a minimum over the active entries, those outside join whose
    slope exceeds l1. The objective falls at every step, so no set comes back but by a tie (a column
    that stands twice).

    References
    ----------
    Lee, Battle, Raina and Ng, Efficient sparse coding algorithms (2007): feature-sign search.
    """
    l1 = objective.per_entry(objective.l1)
    entries = start.reshape(-1)
    point = Point(
        (start, torch.zeros_like(start)),
        allowed & ((l1 == 0) | (entries != 0)),
        torch.where(l1 > 0, entries.sign(), 0.0),
    )
    before, before_precise = None, None  # the sets of the last minima: one that comes back is a tie
    for _ in range(STEPS + 4 * len(entries)):
        point = _settled(objective, point, precise=False)
        is_tie = before is not None and torch.equal(before, point.active)
        before = point.active
        joining = None if is_tie else _joining(objective, point, allowed, 1e-8)
        if joining is None:
            point = _settled(objective, point, precise=True)
            if before_precise is not None and torch.equal(before_precise, point.active):
                return point
            before_precise = point.active
            joining = _joining(objective, point, allowed, 1e-15)
        if joining is None:
            return point
        point = joining
    return point


def slope_errors(objective: Objective, eta: Tensor, extra: Tensor | None = None) -> Tensor:
    """Return a bound on the error of each entry of the gradient, flat, from those of the slopes."""
    error = objective.loss.slope_error(eta, objective.y)
    error = error if extra is None else error + extra
    share = objective.share if error.ndim == 1 else objective.share[:, None]
    return (objective.design.abs().T @ (share * error)).reshape(-1)


def _joining(objective: Objective, point: Point, allowed: Tensor, tolerance: float) -> Point | None:
    """Return the point with more entries active, those that most exceed l1; None if none does.

    The tolerance is a share of l1.
    """
    l1 = objective.per_entry(objective.l1)
    outside = allowed & ~point.active
    if not bool(outside.any()):
        return None
    eta = objective.predictions(point.theta)
    gradient = rounded(objective.gradient(point.theta, eta))
    error = slope_errors(objective, eta[0])
    excess = torch.where(outside, gradient.abs() - l1 - 2 * error - tolerance * l1, -1.0)
    count = min(int((excess > 0).sum()), 1 + int(point.active.sum()) // 4)
    if not count:
        return None
    chosen = excess.topk(count).indices
    active, sign = point.active.clone(), point.sign.clone()
    active[chosen], sign[chosen] = True, -gradient[chosen].sign()
    return point._replace(active=active, sign=sign)


def _settled(objective: Objective, point: Point, *, precise: bool) -> Point:
    """Return the minimiser over the active entries, less those that reach zero on the way."""
    l1 = objective.per_entry(objective.l1)
    previous, was_whole, first = torch.inf, False, 0.0
    for _ in range(STEPS):
        free = point.free
        eta = objective.predictions(point.theta)
        high, low = objective.gradient(point.theta, eta)
        pull = (l1 * point.sign)[free]
        gradient = rounded(dd.pair_add((high[free], low[free]), (pull, 0 * pull)))
        move, decrement, is_flat = _direction(objective, eta[0], free, gradient)
        values = point.theta[0].reshape(-1)[free]
        sign = point.sign[free]
        wrong = (values == 0) & (sign != 0) & (move * sign <= 0)
        if bool(wrong.any()):
            point, previous = _less(point, free[wrong]), torch.inf
            continue
        value = objective.value(point.theta, eta) + objective.value_error(point.theta, eta)
        first = max(first, value)
        is_near = decrement**2 <= FINE * value
        if decrement == 0 or value <= NOTHING * first:
            break
        if not precise and decrement**2 <= ROUGH * value:
            break
        if was_whole and is_near and decrement > previous / 2:
            break
        crossing = torch.where(values * move * sign.abs() < 0, -values / move, torch.inf)
        farthest = float(crossing.min()) if len(free) else torch.inf
        length = 1.0
        if is_flat:
            length = farthest
        elif not is_near:
            length = step_length(objective, point.theta, eta[0], (free, move, sign))
            length = length or float(decrement**2 <= NEAR * value)
        length = min(length, farthest)
        if not 0.0 < length < torch.inf:
            break
        point = _moved(point, free, length * move)
        was_whole, previous = length == 1.0, decrement
        if length == farthest:
            point, previous = _less(point, free[crossing <= length]), torch.inf
    return point


def _direction(
    objective: Objective, eta: Tensor, free: Tensor, gradient: Tensor
) -> tuple[Tensor, float, bool]:
    """Return Newton's step in the free entries, and its decrement: infinite for a damped step.

    True, and a step of any length, where the columns are dependent: along their null space only the
    penalty changes, and falls or stays one way until an entry reaches zero.
    """
    factor = objective.factor(eta, free)
    if factor is not None:
        return -factor.solve(gradient), float(factor.dual(gradient).norm()), False
    rows = objective.root(eta, free)
    damping = objective.damping(free)
    mean = float(rows.square().sum() / damping.square().sum().clamp(min=1e-300)) or 1.0
    for share in DAMPING:
        factor = factored(torch.cat([rows, (share * mean) ** 0.5 * damping]))
        if factor is not None:
            return -factor.solve(gradient), torch.inf, False
    norms = damping.norm(dim=0).clamp(min=1e-300)
    null = torch.linalg.svd(damping / norms, full_matrices=True).Vh[-1] / norms
    return -null if float(gradient @ null) > 0 else null, torch.inf, True


def _moved(point: Point, free: Tensor, move: Tensor) -> Point:
    whole = torch.zeros(len(point.active), dtype=move.dtype)
    whole[free] = move
    whole = whole.reshape(point.theta[0].shape)
    return point._replace(theta=dd.pair_add(point.theta, (whole, 0 * whole)))


def _less(point: Point, entries: Tensor) -> Point:
    """Return the point with these entries at zero and not active."""
    active, sign = point.active.clone(), point.sign.clone()
    active[entries], sign[entries] = False, 0.0
    high, low = (part.reshape(-1).clone() for part in point.theta)
    high[entries], low[entries] = 0.0, 0.0
    shape = point.theta[0].shape
    return Point((high.reshape(shape), low.reshape(shape)), active, sign)
