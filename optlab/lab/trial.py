"""One trial, run and recorded."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from optlab.lab.budget import Budget
from optlab.lab.clock import Stopwatch
from optlab.lab.devices import unavailable
from optlab.lab.status import Status
from optlab.optimizers import Batches, BatchSize, Iterate, Optimizer, unsupported
from optlab.problems import Parameters, Problem

DIVERGED_ABOVE = 1e6
"""A loss this many times the start's counts as diverged."""


@dataclass(frozen=True)
class Trial:
    """One optimizer on one problem at one batch size, device, dtype, seed and repeat.

    Parameters
    ----------
    number
        Its place in the grid, from 0.
    problem, optimizer
        Their names in the experiment.
    batch_size
        None for a method that uses no batches.
    device, dtype
        As torch writes them: ``"cuda:0"``, ``"float32"``.
    seed
        Of the generator that draws the start and the batches' order.
    repeat
        From 1.
    """

    number: int
    problem: str
    optimizer: str
    batch_size: BatchSize | None
    device: str
    dtype: str
    seed: int
    repeat: int = 1


@dataclass(frozen=True)
class TraceRow:
    """What is recorded of one iterate; epoch 0 is the start."""

    epoch: int
    samples: int
    seconds: float
    loss: float
    suboptimality: float
    gradient_norm: float
    batch_loss: float
    parameter_error: float = field(repr=False)


@dataclass
class TrialRecord:
    """What became of a trial."""

    trial: Trial
    status: Status = Status.INTERRUPTED
    message: str = ""
    traceback: str = ""
    transfer_seconds: float = float("nan")
    first_pass_seconds: float = float("nan")
    seconds: float = float("nan")
    trace: list[TraceRow] = field(default_factory=list)
    parameters: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


Watcher = Callable[[Trial, TraceRow], None]
"""Called at each recorded iterate, off the clock."""


def run_trial(
    trial: Trial,
    problem: Problem,
    optimizer: Optimizer,
    budget: Budget,
    *,
    watch: Watcher | None = None,
    warm_up: bool = True,
    catch: type[BaseException] | tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt),
) -> TrialRecord:
    """Run one trial under the clock and return what became of it; it never raises.

    The clock runs while the optimizer works. It stands still while an iterate is judged, and
    whatever happens then touches neither the optimizer's state nor its generator.

    Parameters
    ----------
    trial, problem, optimizer, budget
        What to run.
    watch
        Called at each recorded iterate, off the clock.
    warm_up
        Whether one pass is made and timed first (``first_pass_seconds``), then thrown away, so
        that ``seconds`` holds no first-time costs.
    catch
        The exceptions that become statuses.
    """
    record = TrialRecord(trial)
    try:
        with _garbage_collection_off():
            _run(record, problem, optimizer, budget, watch or (lambda *_: None), warm_up)
    except catch as error:
        if isinstance(error, KeyboardInterrupt):
            record.status, record.message = Status.INTERRUPTED, "stopped by Ctrl-C"
        else:
            record.status = Status.FAILED
            record.message = f"{type(error).__name__}: {error}"
            record.traceback = "".join(traceback.format_exception(error))
    return record


def _run(
    record: TrialRecord,
    problem: Problem,
    optimizer: Optimizer,
    budget: Budget,
    watch: Watcher,
    warm_up: bool,
) -> None:
    trial, dtype = record.trial, getattr(torch, record.trial.dtype)
    reason = unavailable(trial.device, dtype)
    reason = reason or unsupported(optimizer, problem, torch.device(trial.device))
    if reason:
        record.status, record.message = Status.SKIPPED, reason
        return
    watch_device = Stopwatch(torch.device(trial.device))
    watch_device.start()
    local = problem.to(trial.device, dtype)
    record.transfer_seconds = watch_device.stop()
    if warm_up:
        _, _, iterates = _prepare(trial, local, optimizer)
        watch_device = Stopwatch(torch.device(trial.device))
        watch_device.start()
        next(iterates, None)
        record.first_pass_seconds = watch_device.stop()
        del iterates
    _solve(record, problem, local, optimizer, budget, watch)


def _prepare(
    trial: Trial, local: Problem, optimizer: Optimizer
) -> tuple[Batches, Parameters, Iterator[Iterate]]:
    """Return the batches, a copy of the start, and the iterates, all from the trial's seed."""
    generator = torch.Generator().manual_seed(trial.seed)
    start = local.start(generator)
    batches = Batches(local.X, local.y, trial.batch_size or "full", generator)
    kept = {name: value.clone() for name, value in start.items()}
    return batches, kept, iter(optimizer.iterates(local, batches, start))


def _solve(
    record: TrialRecord,
    problem: Problem,
    local: Problem,
    optimizer: Optimizer,
    budget: Budget,
    watch: Watcher,
) -> None:
    trial, clock = record.trial, Stopwatch(torch.device(record.trial.device))
    batches, start, iterates = _prepare(trial, local, optimizer)

    def judge(epoch: int, iterate: Iterate) -> TraceRow:
        _check_iterate(iterate, start, epoch)
        point = problem.evaluate(iterate.parameters)
        row = TraceRow(
            epoch=epoch,
            samples=epoch * batches.samples,
            seconds=clock.seconds,
            loss=point.loss,
            suboptimality=point.suboptimality,
            gradient_norm=point.gradient_norm,
            batch_loss=float("nan") if iterate.batch_loss is None else float(iterate.batch_loss),
            parameter_error=point.parameter_error,
        )
        record.trace.append(row)
        record.parameters = {
            name: value.detach().cpu().numpy().copy() for name, value in iterate.parameters.items()
        }
        record.seconds = row.seconds
        watch(trial, row)
        gc.collect(0)  # what the optimizer left behind, off the clock
        return row

    verdict = _Verdict(judge(0, Iterate(start)), budget)
    recorded, epoch = budget.recorded, 0
    iterate: Iterate | None = None
    clock.start()
    for epoch, iterate in enumerate(iterates, start=1):
        if epoch in recorded:
            clock.stop()
            if end := verdict.of(judge(epoch, iterate)):
                record.status, record.message = end
                return
            clock.start()
    clock.stop()
    if iterate is None:
        raise RuntimeError(f"{trial.optimizer} yielded no iterate")
    end = None if epoch in recorded else verdict.of(judge(epoch, iterate))
    by_itself = "answered in one pass" if epoch == 1 else f"stopped by itself after {epoch} epochs"
    record.status, record.message = end or (Status.FINISHED, by_itself)


class _Verdict:
    """What an iterate's evaluation says of its trial: an end with its message, or None to go on."""

    def __init__(self, start: TraceRow, budget: Budget) -> None:
        self.start, self.budget = start, budget

    def of(self, row: TraceRow) -> tuple[Status, str] | None:
        start, target = self.start, self.budget.target
        if not np.isfinite(row.loss):
            return Status.DIVERGED, f"the loss is {row.loss} after epoch {row.epoch}"
        if row.loss > DIVERGED_ABOVE * start.loss > 0:
            times = row.loss / start.loss
            return (
                Status.DIVERGED,
                f"the loss is {times:.1e} times its start after epoch {row.epoch}",
            )
        if target is not None and row.suboptimality <= target * start.suboptimality:
            return Status.CONVERGED, f"target {target:g} reached after epoch {row.epoch}"
        if row.epoch >= self.budget.epochs:
            spent = f"budget spent after epoch {row.epoch}"
            return Status.FINISHED, spent + (f", target {target:g} not reached" if target else "")
        return None


def _check_iterate(iterate: object, start: Parameters, epoch: int) -> None:
    if not isinstance(iterate, Iterate):
        raise TypeError(f"an optimizer must yield Iterate, not {type(iterate).__name__}")
    shapes = {name: tuple(value.shape) for name, value in iterate.parameters.items()}
    expected = {name: tuple(value.shape) for name, value in start.items()}
    if shapes != expected:
        raise ValueError(
            f"the iterate of epoch {epoch} has parameters of shapes {shapes} where {expected} "
            "were expected"
        )


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
