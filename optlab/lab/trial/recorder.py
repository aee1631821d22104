"""Record a trial's iterates, and decide where it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optlab.lab.trial.advice import Advice
from optlab.lab.trial.baseline import Baseline, TrivialFits
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow, TrialRecord, Watcher
from optlab.lab.trial.recorded_parameters import RecordedParameters
from optlab.lab.trial.status import Status
from optlab.lab.trial.stopping import End, StoppingRule
from optlab.lab.trial.validate import check_iterate
from optlab.optimizers import Batches, Cost, Iterate, Optimizer, is_direct
from optlab.optimizers.linear_descent import linear_descent
from optlab.problems import Evaluation, Parameters, Problem
from optlab.problems.capabilities import HasBuffers, has
from optlab.problems.joint_evaluation import evaluate_together
from optlab.text import pluralize
from optlab.theory.setting_theory import PARAMETERS


class Recorder:
    """Evaluate the iterates of one trial, off the clock, write them into its record, and judge.

    The snapshots of a compiled loop are evaluated together, where the problem can. A trial that
    ends at one of them has the record that it would have had alone: what its loop has made since is
    thrown away.

    Parameters
    ----------
    record
        The trial's record, which is filled.
    problem, local
        The problem, and its copy that the optimizer works on.
    optimizer, budget, batches, start
        What the trial takes; ``start`` is the recorder's own.
    watch
        Called at each recorded iterate.
    fits
        Those of the problem, where they are known.
    more
        Further measures that are the same in each row.
    """

    def __init__(
        self,
        record: TrialRecord,
        problem: Problem,
        local: Problem,
        optimizer: Optimizer,
        budget: Budget,
        batches: Batches,
        start: Parameters,
        watch: Watcher | None = None,
        fits: TrivialFits | None = None,
        more: Mapping[str, float] | None = None,
    ) -> None:
        self.record, self.optimizer, self.watch = record, optimizer, watch
        self._more = dict(more or {})
        self._problem, self._start = problem, start
        self._samples, self._steps = batches.samples, batches.steps
        self._rows = len(local.data.y)
        # Asked once: each look would wait for the answer.
        self._buffered = local if has(local, HasBuffers) else None
        self.takes_snapshots = self._buffered is None  # what buffers were at them is not known
        self._direct = is_direct(optimizer)
        self._seen: tuple[Parameters, int | None] = ({}, None)  # the last ones recorded
        if budget.record_parameters and record.trial.stage == "measured":
            record.recorded = RecordedParameters()
        self._evaluate(0, 0.0, self._all(start), math.nan)
        fits = fits or TrivialFits.of(problem, start)
        baseline = Baseline.of(record.trial, problem, optimizer, self._row, fits)
        record.stop_scale = baseline.stop_scale
        numbers = sum(value.numel() for value in start.values())
        if numbers <= PARAMETERS and linear_descent(optimizer) is not None:
            record.start = dict(record.parameters)  # theory will ask for it
        advice = Advice(problem, optimizer, record.trial.batch_size, start)
        self._stopping = StoppingRule(baseline, budget, advice)

    def end_at_start(self) -> End | None:
        """Return the end of a trial whose start has reached ``stop_at``, or None."""
        return None if self._direct else self._stopping.check(self._row)

    def look(self, epoch: int, seconds: float, iterate: Iterate) -> End | None:
        """Record an iterate; return the end of the trial, or None where it goes on."""
        self.check(iterate, epoch)
        loss = math.nan if iterate.batch_loss is None else float(iterate.batch_loss)
        self._evaluate(epoch, seconds, self._all(iterate.parameters), loss, iterate.cost)
        return self._stopping.check(self._row)

    def check(self, iterate: Iterate, epoch: int) -> None:
        """Raise unless an iterate has the start's parameters, as real numbers."""
        check_iterate(iterate, self._start, epoch)

    def look_at_snapshots(
        self, epochs: Sequence[int], seconds: Sequence[float], iterate: Iterate, kept: Sequence[int]
    ) -> End | None:
        """Record an iterate's snapshots at some places; return the end of the trial, or None."""
        self.check(iterate, epochs[-1])
        assert iterate.snapshots is not None
        taken, end = iterate.snapshots.at(kept), None
        points, losses = taken.parameters, taken.batch_losses.tolist()
        found = evaluate_together(self._problem, points)
        looks = zip(epochs, seconds, losses, found, range(len(kept)), strict=True)
        try:
            for epoch, at, loss, point, place in looks:
                if end := self.write(epoch, at, points, loss, point, place):
                    break
        finally:  # where it was stopped, the record holds what was recorded last
            self.keep_parameters()
        return end

    def write(
        self,
        epoch: int,
        seconds: float,
        points: Parameters,
        batch_loss: float,
        point: Evaluation,
        place: int,
    ) -> End | None:
        """Record an evaluated iterate; return the end of the trial, or None where it goes on.

        The parameters are those of several iterates, of which this one is at ``place``. They may
        not be changed later, and are copied by `keep_parameters`.
        """
        row = self._add(epoch, seconds, batch_loss, point, (points, place))
        return self._stopping.check(row)

    def timed_out(self) -> End:
        """Return the end of a trial whose time limit ran out after the last recorded iterate."""
        reason = f"the time limit ran out after epoch {self._row.epoch}"
        return self._stopping.finish(self._row, reason, Status.TIMED_OUT)

    def stopped_by_itself(self, epoch: int, seconds: float, iterate: Iterate) -> End:
        """Return the end of a trial whose optimizer yields no more."""
        end = self.look(epoch, seconds, iterate) if self._row.epoch < epoch else None
        at_once = epoch == 1 and self._direct
        by_itself = f"stopped by itself after {pluralize(epoch, 'epoch')}"
        reason = "answered in one pass" if at_once else by_itself
        return end or self._stopping.finish(self._row, reason)

    def keep_parameters(self) -> None:
        """Copy the last recorded parameters into the record."""
        self.record.parameters = self._copied()

    def _copied(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return a copy of the last recorded parameters."""
        parameters, place = self._seen
        return {
            name: np.array((value if place is None else value[place]).detach().cpu().numpy())
            for name, value in parameters.items()
        }

    def _all(self, parameters: Parameters) -> Parameters:
        return parameters if self._buffered is None else parameters | self._buffered.buffers()

    def _evaluate(
        self,
        epoch: int,
        seconds: float,
        parameters: Parameters,
        batch_loss: float,
        cost: Cost | None = None,
    ) -> None:
        """Evaluate and record an iterate, and copy its parameters."""
        point = self._problem.evaluate(parameters)
        self._add(epoch, seconds, batch_loss, point, (parameters, None), cost)
        self.keep_parameters()

    def _add(
        self,
        epoch: int,
        seconds: float,
        batch_loss: float,
        point: Evaluation,
        seen: tuple[Parameters, int | None],
        cost: Cost | None = None,
    ) -> TraceRow:
        """Add the row of an evaluated iterate to the record, and return it."""
        more = getattr(point, "more", None)
        # By place: the names of all would take as long as the rest of a compiled loop's look.
        self._row = row = TraceRow(
            epoch,
            epoch * self._samples,
            seconds,
            point.loss,
            point.suboptimality,
            point.gradient_norm,
            batch_loss,
            point.parameter_error,
            epoch * self._steps,
            *self._evaluations(epoch, cost),
            math.nan,  # what theory predicts is not known here
            {**more, **self._more} if more else self._more,
        )
        self._seen, record = seen, self.record
        record.trace.append(row)
        if record.recorded is not None:
            record.recorded.add(epoch, self._copied())
        record.seconds = seconds
        if self.watch:
            self.watch(record.trial, row)
        return row

    def _evaluations(self, epoch: int, cost: Cost | None) -> tuple[float, float, float]:
        """Return the passes of losses, gradients and Hessian products since the start.

        Left out, they are those of a method with one gradient of each row a pass; NaN of a direct
        one.
        """
        if cost is not None:
            return float(cost.losses), float(cost.gradients), float(cost.hessian_products)
        passes = epoch * self._samples / self._rows
        return (math.nan,) * 3 if self._direct and passes else (passes, passes, 0.0)
