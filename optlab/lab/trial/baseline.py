"""The losses that a trial's are compared with: its start's and the best constant's."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch

from optlab.lab.trial.record import TraceRow, Trial
from optlab.optimizers import Optimizer
from optlab.optimizers.linear_descent import linear_descent
from optlab.problems import Evaluation, Parameters, Problem
from optlab.problems.capabilities import HasConstantFit, HasResiduals, has, is_quadratic

_DOUBLE = torch.finfo(torch.float64).eps


class TrivialFits(NamedTuple):
    """The evaluations of fits that have learnt nothing, the same for all trials of a problem."""

    zero_loss: float  # of parameters that are all zero
    constant: Evaluation | None  # of the best constant prediction, where the problem knows it
    constant_loss: float  # of the best constant prediction; 0 where the problem knows none

    @classmethod
    def of(cls, problem: Problem, start: Parameters) -> TrivialFits:
        """Evaluate a problem's constant and zero fits, off the clock; once for all its trials."""
        try:
            known = _known.setdefault(problem, {})
        except TypeError:  # a problem without a hash
            known = {}
        kind = tuple((value.dtype, value.device) for value in start.values())
        if kind not in known:
            known[kind] = cls._evaluated(problem, start)
        return known[kind]

    @classmethod
    def _evaluated(cls, problem: Problem, start: Parameters) -> TrivialFits:
        zero_loss = problem.evaluate({k: torch.zeros_like(v) for k, v in start.items()}).loss
        constant = None
        if has(problem, HasConstantFit):
            constant = problem.evaluate(problem.constant_fit())
        return cls(zero_loss, constant, _constant_loss(problem, constant))


_known: WeakKeyDictionary[Problem, dict[Hashable, TrivialFits]] = WeakKeyDictionary()
"""The trivial fits of problems, as their references are kept, by the parameters' kinds."""


@dataclass(frozen=True)
class Baseline:
    """The losses of trivial fits, and the bound of a stable run's growth."""

    start: TraceRow  # the first row of the trace
    constant_loss: float  # of the best constant prediction; 0 where the problem knows none
    stop_scale: float  # the suboptimality of which `stop_at` is a share
    # The suboptimality that predictions of the target's size can have by rounding alone, in the
    # trial's dtype.
    rounding: float
    # The suboptimality that rounding can add up to over a run. It grows with the condition number
    # k of the Hessian, as eps**2 k times the loss at zero parameters; where the design is not
    # singular in the trial's dtype, k is below 1 / eps.
    drift: float
    # The largest factor by which the suboptimality of a stable run can exceed its start's, NaN
    # where none is known. For 1 the suboptimality of a stable run never rises.
    stable_growth: float

    @classmethod
    def of(
        cls, trial: Trial, problem: Problem, optimizer: Optimizer, row: TraceRow, fits: TrivialFits
    ) -> Baseline:
        """Return the baseline of a trial that starts at a row, from its problem's trivial fits."""
        eps, zero_loss = torch.finfo(getattr(torch, trial.dtype)).eps, fits.zero_loss
        rounding, in_double = rounding_share(eps) * zero_loss, rounding_share(_DOUBLE) * zero_loss
        return cls(
            start=row,
            constant_loss=fits.constant_loss,
            stop_scale=stop_scale(row, fits.constant, rounding, in_double),
            rounding=rounding,
            drift=eps * zero_loss,
            stable_growth=_stable_growth(trial, problem, optimizer),
        )


def _constant_loss(problem: Problem, constant: Evaluation | None) -> float:
    """Return the loss of the best constant prediction, which of squares is a variance, or 0."""
    loss = 0.0
    if constant:
        loss = constant.loss
    elif has(problem, HasResiduals) and problem.data.y.ndim == 1:
        y = problem.data.y.detach().to("cpu", torch.float64)
        weight = problem.data.weight
        share = torch.ones_like(y) if weight is None else weight.to("cpu", torch.float64)
        share = share / share.sum()
        loss = float(share @ (y - share @ y).square())
    return loss if math.isfinite(loss) else 0.0


def stop_scale(
    start: TraceRow, constant: Evaluation | None, rounding: float, rounding_in_double: float
) -> float:
    """Return the smaller of the suboptimalities of a trial's start and of the best constant.

    One that can be all rounding is no scale and is left out; the best constant is evaluated in
    float64 whatever the trial's dtype. Where both are left out, the scale is 0 for a start at the
    optimum, and NaN where the numbers overflow or underflow and so say nothing, and where there is
    no reference.
    """
    if math.isnan(start.suboptimality):
        return math.nan
    known = [(start.suboptimality, rounding)]
    known += [(constant.suboptimality, rounding_in_double)] if constant else []
    scales = [value for value, least in known if least < value < math.inf]
    if scales:
        return min(scales)
    at_optimum = math.isfinite(start.loss) and (start.loss > 0 or start.gradient_norm == 0)
    return 0.0 if at_optimum else math.nan


def rounding_share(eps: float) -> float:
    """Return the share of the loss at zero that predictions off by some ``eps`` each can have."""
    return (64 * eps) ** 2


def _stable_growth(trial: Trial, problem: Problem, optimizer: Optimizer) -> float:
    """Return the optimizer's bound of the growth, for full batches and a quadratic loss."""
    descent = linear_descent(optimizer)
    growth = getattr(optimizer, "stable_growth", None) if descent is None else descent.growth
    whole = trial.batch_size == "full" or (trial.batch_size or 0) >= len(problem.data.y)
    if growth is None or not whole or not is_quadratic(problem):
        return math.nan
    return float(growth())
