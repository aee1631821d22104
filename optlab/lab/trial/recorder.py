"""Record a trial's iterates, and decide where it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping

from optlab.lab.trial.advice import Advice
from optlab.lab.trial.baseline import Baseline
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow, TrialRecord, Watcher
from optlab.lab.trial.status import Status
from optlab.lab.trial.stopping import End, StoppingRule
from optlab.lab.trial.validate import check_iterate
from optlab.optimizers import Batches, Cost, Iterate, Optimizer, is_direct
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasBuffers, has
from optlab.text import pluralize


class Recorder:
    """Evaluate the iterates of one trial, off the clock, write them into its record, and judge.

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
        more: Mapping[str, float] | None = None,
    ) -> None:
        self.record, self.optimizer, self.watch = record, optimizer, watch
        self._more = dict(more or {})
        self._problem, self._start = problem, start
        self._samples, self._steps = batches.samples, batches.steps
        self._rows = len(local.data.y)
        # Asked once: each look would wait for the answer.
        self._buffered = local if has(local, HasBuffers) else None
        self._row = self._judge(0, 0.0, Iterate(start))
        baseline = Baseline.of(record.trial, problem, optimizer, start, self._row)
        record.stop_scale = baseline.stop_scale
        self._stopping = StoppingRule(baseline, budget, Advice(problem, optimizer))

    def end_at_start(self) -> End | None:
        """Return the end of a trial whose start has reached ``stop_at``, or None."""
        return None if is_direct(self.optimizer) else self._stopping.check(self._row)

    def look(self, epoch: int, seconds: float, iterate: Iterate) -> End | None:
        """Record an iterate; return the end of the trial, or None where it goes on."""
        self._row = self._judge(epoch, seconds, iterate)
        return self._stopping.check(self._row)

    def timed_out(self) -> End:
        """Return the end of a trial whose time limit ran out after the last recorded iterate."""
        reason = f"the time limit ran out after epoch {self._row.epoch}"
        return self._stopping.finish(self._row, reason, Status.TIMED_OUT)

    def stopped_by_itself(self, epoch: int, seconds: float, iterate: Iterate) -> End:
        """Return the end of a trial whose optimizer yields no more."""
        end = self.look(epoch, seconds, iterate) if self._row.epoch < epoch else None
        at_once = epoch == 1 and is_direct(self.optimizer)
        by_itself = f"stopped by itself after {pluralize(epoch, 'epoch')}"
        reason = "answered in one pass" if at_once else by_itself
        return end or self._stopping.finish(self._row, reason)

    def _judge(self, epoch: int, seconds: float, iterate: Iterate) -> TraceRow:
        check_iterate(iterate, self._start, epoch)
        parameters = iterate.parameters
        if self._buffered is not None:
            parameters = parameters | self._buffered.buffers()
        point = self._problem.evaluate(parameters)
        cost = iterate.cost or self._usual_cost(epoch * self._samples / self._rows)
        row = TraceRow(
            epoch=epoch,
            samples=epoch * self._samples,
            seconds=seconds,
            loss=point.loss,
            suboptimality=point.suboptimality,
            gradient_norm=point.gradient_norm,
            batch_loss=math.nan if iterate.batch_loss is None else float(iterate.batch_loss),
            parameter_error=point.parameter_error,
            steps=epoch * self._steps,
            more=dict(getattr(point, "more", {})) | self._more,
            loss_evaluations=float(cost.losses),
            gradient_evaluations=float(cost.gradients),
            hessian_products=float(cost.hessian_products),
        )
        record = self.record
        record.trace.append(row)
        record.parameters = {
            name: value.detach().cpu().numpy().copy() for name, value in parameters.items()
        }
        record.seconds = seconds
        if self.watch:
            self.watch(record.trial, row)
        return row

    def _usual_cost(self, passes: float) -> Cost:
        """Return the cost of a method with one gradient of each row a pass; NaN of a direct one."""
        if is_direct(self.optimizer) and passes:
            return Cost(math.nan, math.nan, math.nan)
        return Cost(losses=passes, gradients=passes)
