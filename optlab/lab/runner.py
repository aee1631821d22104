"""Run all trials of a grid that the store does not hold."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from optlab.lab.execution import Execution
from optlab.lab.grid import Grid, interleaved
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.resume import Resume, StoreStatus
from optlab.lab.store.redo import check_redo
from optlab.lab.store.store import Store
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.executors import ExecutorFor, open_executor, run_on_executor
from optlab.lab.workers.pool import WorkerPool

NOT_STARTED = "not started: the experiment was stopped"


@dataclass(frozen=True)
class Listener:
    """Callbacks at the events of a run: each may be left out."""

    known: Callable[[StoreStatus], None] = field(default=lambda _: None)
    started: Callable[[Trial], None] = field(default=lambda _: None)
    watch: Callable[[Trial, TraceRow], None] = field(default=lambda *_: None)
    finished: Callable[[TrialRecord], None] = field(default=lambda _: None)


@threads_kept()
def run_grid(
    grid: Grid,
    budget: Budget,
    *,
    name: str = "experiment",
    definition: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    store: Store | None = None,
    listener: Listener | None = None,
) -> list[TrialRecord]:
    """Run every trial that the store does not hold, and return a record of each of the grid's.

    After Ctrl-C the running trials keep their partial trace, and those that had not started are
    recorded as interrupted too.

    Parameters
    ----------
    grid, budget
        The trials, and how long each may go on.
    name, definition
        The experiment's name and axes, for the store.
    execution
        How the trials are run; in this process, one after the other, where left out.
    store
        The results file that each trial is written to as soon as it ends, and that finished trials
        are read from.
    listener
        Called when trials start, at each recorded iterate, and when they end.
    """
    execution, listener = execution or Execution(), listener or Listener()
    threads = asked = set_threads(execution.threads)
    if execution.threads is None:  # trials that run at once share the processor
        threads = max(1, asked // execution.jobs)
    tasks = {
        trial.number: Task(
            trial, grid.problems[trial.problem], grid.optimizers[trial.optimizer], budget
        )
        for trial in grid.trials()
    }
    about = definition if definition is not None else grid.definition() | budget.definition()
    with ExitStack() as stack:
        executor_for = stack.enter_context(open_executor(execution.executor))
        if store and execution.fresh and store.experiments():  # when all else is known to be right
            store.archive()
        resume = None
        if store:
            everything = list(tasks.values())
            redo = check_redo(execution.redo)
            resume = Resume(store, name, about, grid, everything, asked, threads, redo)
            stack.enter_context(closing(resume))
        collected = _Collected(resume)
        waiting: Iterable[Task] = [tasks[trial.number] for trial in interleaved(grid.trials())]
        left = len(tasks)
        if resume:
            listener.known(known := resume.known())
            waiting, left = resume.missing(waiting), left - known.done
        ended = _run(waiting, left, execution, executor_for, threads, listener)
        stack.enter_context(closing(ended))  # so that workers end with us, whatever happens
        _collect(ended, collected, listener)
    return collected.of_all(tasks.values())


class _Collected:
    """The records of trials that ended, each written to the store at once."""

    def __init__(self, resume: Resume | None) -> None:
        self._resume = resume
        self._records: dict[int, TrialRecord] = {}
        self._unwritten: list[TrialRecord] = []

    def add(self, record: TrialRecord) -> None:
        self._records[record.trial.number] = record
        self._unwritten.append(record)
        if self._resume:
            self._resume.keep(record)
        self._unwritten.clear()

    def write_again(self) -> None:
        """Write the record whose writing was interrupted, if there is one."""
        for record in list(self._unwritten):
            self.add(record)

    def of_all(self, tasks: Iterable[Task]) -> list[TrialRecord]:
        """Return a record of each task, those of the store included."""
        records = self._records
        if self._resume:
            cut_short = {n: r for n, r in records.items() if r.status == Status.INTERRUPTED}
            records = records | self._resume.records(records) | cut_short
        found = []
        for task in tasks:
            not_started = TrialRecord(task.trial, message=NOT_STARTED)
            record = records.get(task.trial.number, not_started)
            record.optimizer = task.about_optimizer()
            found.append(record)
        return found


def _collect(ended: Generator[TrialRecord], collected: _Collected, listener: Listener) -> None:
    try:
        for record in ended:
            collected.add(record)
            listener.finished(record)
    except KeyboardInterrupt:  # it came between two trials; within one, the trial catches it
        collected.write_again()
        for record in _cut_short(ended):
            collected.add(record)


def _cut_short(ended: Generator[TrialRecord]) -> Generator[TrialRecord]:
    """Pass Ctrl-C on to what runs the trials, and yield the records of those that were running."""
    try:
        yield ended.throw(KeyboardInterrupt)
        yield from ended
    except (StopIteration, KeyboardInterrupt):
        return


def _run(
    tasks: Iterable[Task],
    left: int,
    execution: Execution,
    executor_for: ExecutorFor | None,
    threads: int,
    listener: Listener,
) -> Generator[TrialRecord]:
    if executor_for is not None:
        return run_on_executor(
            tasks, executor_for, threads=threads, time_limit=execution.time_limit
        )
    if left and execution.in_workers:
        return _run_isolated(tasks, left, execution, threads, listener)
    return _run_here(tasks, execution, threads, listener)


def _run_isolated(
    tasks: Iterable[Task], left: int, execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    with WorkerPool(
        min(execution.jobs, left),
        threads=threads,
        time_limit=execution.time_limit,
        memory_limit=execution.memory_bytes,
        peak_memory=execution.measure_memory,
    ) as workers:
        try:
            yield from workers.run(tasks, started=listener.started, watch=listener.watch)
        except KeyboardInterrupt:
            yield from workers.interrupt()


def _run_here(
    tasks: Iterable[Task], execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    for task in tasks:
        listener.started(task.trial)
        record = run_trial(
            task.trial,
            task.problem,
            task.optimizer,
            task.budget,
            watch=listener.watch,
            threads=threads,
            time_limit=execution.time_limit,
        )
        stopped = record.status == Status.INTERRUPTED
        if execution.measure_memory and record.trace and record.status.is_result:
            passes = replace(task.budget, epochs=max(1, record.trace[-1].epoch))
            try:
                record.peak_bytes = peak_bytes(task.trial, task.problem, task.optimizer, passes)
            except KeyboardInterrupt:  # the record stands, and the next trial does not start
                stopped = True
            except BaseException:  # the trial itself went well: it stands without this figure
                record.peak_bytes = None
        yield record
        if stopped:
            return
