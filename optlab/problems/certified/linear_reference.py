"""The reference of a linear model: its minimiser or infimum, and the proof of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.linalg import least_squares
from optlab.linalg.certificate import predicted_digits
from optlab.linalg.column_offsets import offsets
from optlab.problems.certified.active_set_newton import Point, minimise
from optlab.problems.certified.exact_rank import exact_rank
from optlab.problems.certified.growth_bound import growth_bound
from optlab.problems.certified.kinks import Kinks
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.recession import Recession, recession
from optlab.problems.certified.ridge_kinks import minimise_ridge_kinks
from optlab.problems.certified.suboptimality_bound import Bound, newton_bound
from optlab.problems.certified.vertex import minimise_kinks
from optlab.problems.losses.loss import Pair
from optlab.problems.problem import Parameters, Reference

TRUSTED = 1e-9  # of the best constant's loss: a bound above this share is no certificate
REACHES = (1e1, 1e2, 1e3, 1e4, 1e6, 1e8)
EPS = 2.0**-52


class LinearOptimum(NamedTuple):
    """A reference, and the minimiser as a pair ``(p, *outputs)``, intercept first; None for none.

    ``slope`` is the loss's slope ``(n, *outputs)`` at the minimiser, one that balances the
    penalty's; ``eta`` its predictions; both are pairs.
    """

    reference: Reference
    theta: Pair | None = None
    eta: Pair | None = None
    slope: Pair | None = None


class Columns(NamedTuple):
    """Name the flat entries that determine the predictions, and the dependence of columns.

    ``is_exact``: the entries left out are combinations of the others in exact arithmetic. Where
    they are so at rounding only, the others' minimum may be far above the infimum.
    """

    allowed: Tensor
    dependent: str = ""
    is_exact: bool = True


def optimum(objective: Objective, intercept: bool) -> LinearOptimum:
    """Return the minimiser of a linear model, and its certificate."""
    found = _optimum(objective, intercept)
    loss = type(objective.loss)
    if vars(loss).get("has_bounds", False):
        return found
    message = f"{found.reference.message}; that takes for granted the bounds of {loss.__name__}, "
    message += "whose class does not set has_bounds: no proof"
    reference = replace(
        found.reference,
        kind="computed",
        bound=math.nan,
        digits=math.nan,
        unique=None,
        message=message,
    )
    return LinearOptimum(reference)


def _optimum(objective: Objective, intercept: bool) -> LinearOptimum:
    """Return the minimiser and its certificate, where the loss's own bounds hold."""
    if objective.loss.kink is not None:
        shift = _offsets(objective, intercept)
        columns = _independent(_shifted(objective, shift))
        found = _at_vertex(objective, shift, columns, intercept)
        return found if columns.is_exact else _without_proof(found, columns, intercept)
    columns = _independent(objective)
    point, bound = _solved(objective, columns.allowed)
    scale = _scale(objective, intercept)
    if not bool(bound.errors.isfinite().all()):
        receding = recession(objective)
        if receding is not None:
            return LinearOptimum(_at_infinity(objective, receding, scale))
    found = _attained(objective, point, bound, (intercept, columns.dependent, scale))
    return found if columns.is_exact else _without_proof(found, columns, intercept)


def _without_proof(found: LinearOptimum, columns: Columns, intercept: bool) -> LinearOptimum:
    """Return the minimum without the columns that are dependent at rounding only: no bound."""
    assert found.theta is not None
    reference = Reference(
        kind="computed",
        loss=found.reference.loss,
        parameters=_parameters(found.theta[0], intercept),
        trusted=False,
        message=f"the minimum without the columns that depend on others; not trusted, as "
        f"{columns.dependent}: leave such columns out, or add a penalty",
    )
    return LinearOptimum(reference)


def constant_optimum(objective: Objective, intercept: bool) -> Parameters:
    """Return the best constant prediction's parameters, all zero where no finite one is best."""
    zero = torch.zeros(objective.shape, dtype=torch.float64)
    if intercept:
        alone = replace(
            objective, design=objective.design[:, :1], l1=objective.l1[:1], l2=objective.l2[:1]
        )
        found = optimum(alone, intercept).reference.parameters
        if found is not None:
            zero[0] = found["bias"]
    return _parameters(zero, intercept)


def _scale(objective: Objective, intercept: bool) -> float:
    """Return the loss of the best constant: an offset of the target is no part of it."""
    zero = torch.zeros(objective.shape, dtype=torch.float64)
    constant = zero.clone()
    if intercept and len(constant) > 1:
        constant[0] = constant_optimum(objective, intercept)["bias"]
    return _value(objective, (constant, zero))


def _solved(objective: Objective, allowed: Tensor) -> tuple[Point, Bound]:
    theta = torch.zeros(objective.shape, dtype=torch.float64)
    for loss in objective.loss.path(objective.y):
        point = minimise(replace(objective, loss=loss), allowed, theta)
        theta = point.theta[0]
    bound = newton_bound(objective, point, allowed)
    if math.isinf(float(bound.errors.max())):
        bound = min(bound, growth_bound(objective, point, allowed), key=lambda b: b.value)
    return point, bound


def _independent(objective: Objective) -> Columns:
    """Return which entries determine the predictions.

    Of the entries without a penalty, those that depend on others are left at zero. Of K outputs
    only differences count, so that one output's are always left.
    """
    free = objective.per_entry(_unpenalised(objective).double()).nonzero()[:, 0]
    allowed = torch.ones(math.prod(objective.shape), dtype=torch.bool)
    if not len(free):
        return Columns(allowed)
    rows = objective.damping(free)
    norms = rows.norm(dim=0)
    scale = torch.where(norms > 0, torch.exp2(-norms.log2().round()), 0.0)
    R, order = scipy.linalg.qr((rows * scale).numpy(), mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(R))
    rank = int((diagonal > EPS * max(rows.shape) * diagonal[0]).sum())
    allowed[free[torch.from_numpy(order[rank:].astype(np.int64))]] = False
    columns = objective.design[:, _unpenalised(objective)]
    each = objective.loss.outputs[0] - 1 if objective.loss.outputs else 1
    full = columns.shape[1] * each
    if rank == full:
        return Columns(allowed)
    dependent, exact = f"the columns have rank {rank} of {full}", _exact_rank(objective)
    if exact is None:
        dependent += " as judged at rounding, and are too many for the exact rank"
    elif exact != rank:
        dependent += f" as judged at rounding, but {exact} in exact arithmetic"
    return Columns(allowed, dependent, exact == rank)


def _exact_rank(objective: Objective) -> int | None:
    """Return the exact rank of what the entries without a penalty make of the predictions.

    Of K outputs, that is the rank of all rows' contrasts of classes, of which each row has K - 1
    unless some have receded.
    """
    columns, each = objective.design[:, _unpenalised(objective)], 1
    if objective.loss.outputs:
        each, contrasts = objective.loss.outputs[0] - 1, objective.loss.contrasts(objective.y)
        if contrasts is not None and len(contrasts.row) < each * len(columns):
            rows = columns[contrasts.row, :, None] * contrasts.direction[:, None, :]
            return exact_rank(rows.flatten(1))
    rank = exact_rank(columns)
    return None if rank is None else each * rank


def _attained(
    objective: Objective, point: Point, bound: Bound, facts: tuple[bool, str, float]
) -> LinearOptimum:
    """Return the optimum at a point."""
    intercept, dependent, scale = facts
    theta = _centred(objective, point.theta)
    eta = objective.predictions(theta)
    rounding = objective.value_error(theta, eta)
    is_proven = bool(bound.value <= TRUSTED * scale + rounding)
    is_unique = not dependent and bound.is_strict and bool(bound.errors.isfinite().all())
    parameters = _parameters(theta[0], intercept)
    digits = math.nan
    if is_unique:
        digits = _digits(objective, theta[0], bound.errors)
    elif dependent:
        parameters = _least_norm(objective, eta, intercept)
    message = f"Newton's method; the minimiser's loss is proven to {bound.value:.1e}"
    if objective.l1.any():
        zeros = int((theta[0] == 0)[objective.l1 > 0].sum())
        of = int((objective.l1 > 0).sum()) * math.prod(objective.loss.outputs)
        message += f", {of - zeros} of {of} weights are not zero"
        message += "" if zeros < of else ": l1 is at or above the level at which all vanish"
    message += _common_shift(objective)
    if dependent:
        message += f"; the minimiser is not unique ({dependent}): weights of minimum norm"
    elif not is_unique:
        message += "; whether the minimiser is unique is not proven"
    if not is_proven:
        message += "; not trusted: no small bound could be proven"
    reference = Reference(
        kind="certified" if is_proven else "computed",
        loss=_value(objective, theta),
        parameters=parameters,
        bound=bound.value + rounding,
        digits=digits,
        unique=is_unique or (False if dependent else None),
        trusted=is_proven,
        message=message,
    )
    return LinearOptimum(reference, theta, eta, objective.loss.slope_pair(eta, objective.y))


def _common_shift(objective: Objective) -> str:
    """Return a sentence on the shifts of the outputs that change no loss, or nothing."""
    if not (objective.loss.outputs and bool(_unpenalised(objective).any())):
        return ""
    return (
        "; a number added to the parameters of all classes alike, where these have no penalty, "
        "changes no loss: these have mean 0"
    )


def _offsets(objective: Objective, intercept: bool) -> Tensor:
    """Return what can be taken off each column without rounding: see `column_offsets`."""
    if not intercept:
        return 0.0 * objective.l1
    shift: Tensor = offsets(objective.design)
    shift[0] = 0.0
    return torch.where((dd.two_sum(objective.design, -shift)[1] == 0).all(0), shift, 0.0)


def _shifted(objective: Objective, shift: Tensor) -> Objective:
    return replace(objective, design=objective.design - shift)


def _with_offsets(theta: Pair, shift: Tensor) -> Pair:
    """Return the parameters for the columns as given: the intercept less ``shift . w``."""
    if not bool(shift.any()):
        return theta
    first = torch.arange(len(shift)) == 0
    bias = dd.matvec(torch.where(first, 1.0, -shift)[None], theta)
    return torch.where(first, bias[0], theta[0]), torch.where(first, bias[1], theta[1])


def _at_vertex(
    given: Objective, shift: Tensor, columns: Columns, intercept: bool
) -> LinearOptimum:
    """Return the optimum of a loss of two slopes, at a vertex, by columns less their offsets."""
    objective = _shifted(given, shift)
    allowed, dependent, _ = columns
    scale, zero = _scale(given, intercept), torch.zeros(objective.shape, dtype=torch.float64)
    norms = objective.design[:, allowed].norm(dim=0)
    powers = torch.where(norms > 0, torch.exp2(-norms.log2().round()), 1.0)
    kinks = _kinks(objective, allowed, powers)
    vertex = minimise_ridge_kinks(kinks) if kinks.l2.any() else minimise_kinks(kinks)
    theta = (zero.clone(), zero.clone())
    size = vertex.theta[0].abs()
    for part, found in zip(theta, vertex.theta, strict=True):
        # A weight at its kink is zero but for rounding.
        is_zero = (objective.l1[allowed] > 0) & (size <= 1e-25 * size.norm())
        part[allowed] = torch.where(is_zero, 0.0, powers * found)
    eta = objective.predictions(theta)
    rounding = objective.value_error(theta, eta)
    loss, theta = objective.value(theta, eta), _with_offsets(theta, shift)
    is_proven = vertex.bound <= TRUSTED * scale + rounding
    is_unique = vertex.is_unique and not dependent
    what = "smoothing" if kinks.l2.any() else "a linear programme's vertex"
    message = f"found by {what}; its loss is proven to {vertex.bound:.1e}"
    if dependent:
        message += f"; the minimiser is not unique ({dependent}): weights of minimum norm"
    elif not is_unique:
        message += "; the minimiser may not be unique"
    reference = Reference(
        kind="certified" if is_proven else "computed",
        loss=loss,
        parameters=_least_norm(given, eta, intercept)
        if dependent
        else _parameters(theta[0], intercept),
        bound=vertex.bound + rounding,
        digits=_digits(objective, theta[0], 0 * theta[0]) if is_unique else math.nan,
        unique=is_unique or (False if dependent else None),
        trusted=is_proven,
        message=message,
    )
    high, low = (part[: len(objective.y)] for part in vertex.slope)
    return LinearOptimum(reference, theta, eta, (-high, -low))


def _kinks(objective: Objective, allowed: Tensor, scale: Tensor) -> Kinks:
    """Return the objective as kinks: a penalty ``l1 |w|`` is a row with two slopes of its own.

    Columns are multiplied by powers of two.
    """
    assert objective.loss.kink is not None
    below, above = objective.loss.kink
    l1 = objective.l1[allowed] * scale
    more = torch.eye(len(l1), dtype=l1.dtype)[l1 > 0]
    half = torch.full((len(more),), 0.5, dtype=l1.dtype)
    rows = torch.ones_like(objective.y)
    return Kinks(
        torch.cat([objective.design[:, allowed] * scale, more]),
        torch.cat([objective.y, 0 * half]),
        (
            torch.cat([objective.share, 2 * l1[l1 > 0]]),
            torch.cat([objective.share_low, 0 * half]),
        ),
        torch.cat([below * rows, -half]),
        torch.cat([above * rows, half]),
        objective.l2[allowed] * scale * scale,
    )


def _at_infinity(objective: Objective, receding: Recession, scale: float) -> Reference:
    """Return the infimum that is approached along a direction, as far as parameters may go.

    It is at least the minimum of the terms that remain, as the others are not negative, and at most
    the objective far along the direction from that minimum.
    """
    rest = receding.rest
    zero = torch.zeros(objective.shape, dtype=torch.float64)
    loss, bound, theta = 0.0, 0.0, (zero, zero)
    columns = _independent(rest) if len(rest.y) else Columns(zero)
    if len(rest.y):
        point, proven = _solved(rest, columns.allowed)
        theta = point.theta
        loss = _value(rest, theta)
        bound = proven.value + rest.value_error(theta, rest.predictions(theta))
    far = [
        _value(objective, (theta[0] + reach * receding.direction, theta[1])) for reach in REACHES
    ]
    above = min((value for value in far if not math.isnan(value)), default=math.inf) - loss
    bound = max(bound, above) if columns.is_exact else math.nan
    is_proven = bound <= TRUSTED * scale
    what = "the classes are separable" if objective.loss.steepest < math.inf else "counts are zero"
    return Reference(
        kind="certified" if is_proven else "computed",
        loss=loss,
        bound=bound,
        unique=False,
        trusted=is_proven,
        message=f"the infimum is not attained: {what}, along a direction in which the loss of "
        f"{receding.rows} of {len(objective.y)} rows falls for ever (found by a linear programme)"
        + ("" if columns.is_exact else f"; not trusted, as of the other rows {columns.dependent}")
        + ("" if bool((objective.l1 + objective.l2).any()) else "; a penalty makes it attained"),
    )


def _value(objective: Objective, theta: Pair) -> float:
    return objective.value(theta, objective.predictions(theta))


def _centred(objective: Objective, theta: Pair) -> Pair:
    """Return the parameters of K outputs with a mean of zero where no penalty determines it."""
    if not objective.loss.outputs:
        return theta
    free = _unpenalised(objective)[:, None]
    mean = torch.where(free, theta[0].mean(1, keepdim=True), 0.0).expand_as(theta[0])
    return dd.pair_add(theta, (-mean, 0 * mean))


def _unpenalised(objective: Objective) -> Tensor:
    return (objective.l1 + objective.l2) == 0


def _digits(objective: Objective, theta: Tensor, errors: Tensor) -> float:
    is_zero = (objective.design == 0).all(0)  # such a column's weights are zero, to all digits
    errors = torch.where(is_zero[:, None], 0.0, errors.reshape(len(theta), -1)).reshape(theta.shape)
    if theta.ndim == 2:  # a mean was taken off
        mean = errors.mean(1, keepdim=True) + EPS * theta.abs().amax(1, keepdim=True)
        errors = errors + torch.where(_unpenalised(objective)[:, None], mean, 0.0)
    errors = errors + EPS / 2 * theta.abs()
    return predicted_digits(theta.abs().reshape(-1).numpy(), errors.reshape(-1).numpy())


def _parameters(theta: Tensor, intercept: bool) -> Parameters:
    if not intercept:
        return {"weight": theta + 0.0}
    return {"weight": theta[1:] + 0.0, "bias": theta[0] + 0.0}


def _least_norm(objective: Objective, eta: Pair, intercept: bool) -> Parameters:
    """Return the parameters of minimum norm over the weights that make these predictions."""
    X = objective.design[:, int(intercept) :]
    outputs = eta[0].reshape(len(eta[0]), -1)
    found = [least_squares(X, column, fit_intercept=intercept) for column in outputs.T]
    weight = torch.stack([one.weight for one in found], 1).reshape(-1, *objective.loss.outputs)
    if not intercept:
        return {"weight": weight}
    return {
        "weight": weight,
        "bias": torch.stack([one.bias for one in found]).reshape(objective.loss.outputs),
    }
