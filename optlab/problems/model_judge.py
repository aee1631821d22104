"""Evaluate a point of a linear model against its reference; the clock does not run meanwhile."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.active_set_newton import slope_errors
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.linear_reference import LinearOptimum
from optlab.problems.losses.loss import rounded
from optlab.problems.penalties.elastic_net import ElasticNet
from optlab.problems.problem import Evaluation, Parameters
from optlab.problems.row_weights import times

BALANCED = 2.0**-80  # of the terms of a balance of slopes: rounding, and where Newton stops


class ModelJudge:
    """Evaluate points in float64 on the CPU: see `LinearModel.evaluate`."""

    def __init__(
        self, objective: Objective, optimum: LinearOptimum, penalty: ElasticNet, intercept: bool
    ) -> None:
        self.objective, self.optimum, self.penalty = objective, optimum, penalty
        self.X = objective.design[:, int(intercept) :]
        self.first = int(intercept)
        if optimum.theta is None or optimum.eta is None or optimum.slope is None:
            return
        self.predictions = rounded(optimum.eta)
        self.eta, self.y = self.predictions, objective.y
        if objective.loss.is_of_residual:  # the residuals keep the digits that predictions lose
            high, low = dd.pair_add(optimum.eta, (-self.y, 0 * self.y))
            self.eta, self.y = 0 * self.y, -(high + low)
        self.slope = rounded(optimum.slope)
        self.pull, self.rest = _balance(objective, optimum)
        rows = objective.loss.divergence(self.eta, 0 * self.eta, self.y, self.slope)
        level = float(objective.share @ rows)
        is_rounding = level <= objective.value_error(optimum.theta, optimum.eta)
        self.level = 0.0 if is_rounding else level

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return what is known of a point."""
        objective, penalty = self.objective, self.penalty
        point = {
            name: value.detach().to("cpu", torch.float64) for name, value in parameters.items()
        }
        weight, bias = point["weight"], point.get("bias")
        eta = self.X @ weight if bias is None else self.X @ weight + bias
        value = (objective.share * objective.loss.value(eta, objective.y)).sum()
        loss = float(value + penalty.value(weight))
        slope = objective.loss.slope(eta, objective.y)
        shared = times(objective.share, slope)
        least = penalty.least_slope(self.X.T @ shared + penalty.l2 * weight, weight)
        norm = _norm(least, None if bias is None else shared.sum(0))
        apart = self._suboptimality(weight, bias, eta)
        return Evaluation(
            loss=loss,
            suboptimality=loss - self.optimum.reference.loss if apart is None else apart,
            gradient_norm=norm if objective.loss.kink is None else math.nan,
            parameter_error=self._error(weight, bias)
            if self.optimum.reference.unique
            else math.nan,
        )

    def _suboptimality(self, weight: Tensor, bias: Tensor | None, eta: Tensor) -> float | None:
        """Return the sum of divergences, none of them negative; None without a minimiser.

        Where the reference is not exact, its own divergence is taken off, and what its slopes leave
        unbalanced, times the distance, is added. The gap of predictions is computed of the distance from the minimiser, or for far points of
        the point itself, whichever rounds less.
        """
        if self.optimum.theta is None:
            return None
        high, low = self.optimum.theta
        apart = (weight - high[self.first :]) - low[self.first :]
        if apart.abs().sum() > weight.abs().sum():
            gap = eta - self.predictions
        else:
            gap = self.X @ apart
            gap = gap if bias is None else gap + ((bias - high[0]) - low[0])
        loss, penalty = self.objective.loss, self.penalty
        total = self.objective.share @ loss.divergence(self.eta, gap, self.y, self.slope)
        total = total + penalty.l2 / 2 * apart.square().sum()
        if penalty.l1:
            total = total + (penalty.l1 * weight.abs() - self.pull[self.first :] * weight).sum()
        if self.level or bool(self.rest.any()):
            total = total - self.level + (self.rest[self.first :] * apart).sum()
            if bias is not None:
                total = total + (self.rest[0] * ((bias - high[0]) - low[0])).sum()
        return float(total)

    def _error(self, weight: Tensor, bias: Tensor | None) -> float:
        """Return the relative distance from the minimiser, less what the loss does not see."""
        assert self.optimum.theta is not None
        high, low = self.optimum.theta
        apart = (weight - high[self.first :]) - low[self.first :]
        gap = None if bias is None else (bias - high[0]) - low[0]
        if self.objective.loss.outputs:
            gap = None if gap is None else gap - gap.mean()
            apart = apart if penalised(self.penalty) else apart - apart.mean(1, keepdim=True)
        size = _norm(high[self.first :], None if bias is None else high[0])
        return _norm(apart, gap) / (size or 1.0)


def _balance(objective: Objective, optimum: LinearOptimum) -> tuple[Tensor, Tensor]:
    """Return the l1 penalty's slope at the minimiser, and what it leaves of the loss's slope.

    Both have the parameters' shape. What is left is 0 where it may be rounding alone.
    """
    theta, eta, slopes = optimum.theta, optimum.eta, optimum.slope
    assert theta is not None
    assert eta is not None
    assert slopes is not None
    high, low = (part.reshape(objective.shape) for part in objective.balance(theta, slopes))
    l1 = times(objective.l1, torch.ones_like(high))
    pull = torch.minimum(torch.maximum(-high, -l1), l1)
    pull = torch.where(theta[0] == 0, pull, l1 * theta[0].sign())
    rest = rounded(dd.pair_add((high, low), (pull, 0 * pull)))
    is_free = (theta[0] == 0) & (high.abs() <= l1) & (l1 > 0)
    terms = objective.design.abs().T @ times(objective.share, slopes[0].abs())
    terms = terms + times(objective.l2, theta[0].abs()) + l1
    error = BALANCED * terms
    if objective.loss.kink is None:
        error = error + 4 * slope_errors(objective, eta[0]).reshape(objective.shape)
    return pull, torch.where(is_free | (rest.abs() <= error), 0.0, rest)


def penalised(penalty: ElasticNet) -> bool:
    """Return whether there is a penalty."""
    return bool(penalty.l1 or penalty.l2)


def _norm(values: Tensor, more: Tensor | None) -> float:
    flat = values.reshape(-1)
    flat = flat if more is None else torch.cat([flat, more.reshape(-1)])
    largest = float(flat.abs().max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float((flat / largest).norm())
