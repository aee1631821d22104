"""All trials of a grid: in which order, by whom, and what is already known of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from optlab.lab.grid import Grid, interleaved
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.resume import Resume, StoreStatus
from optlab.lab.store.redo import Redo
from optlab.lab.store.store import Store
from optlab.lab.trial.budget import Budget, check_count
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.executors import ExecutorFor, run_on_executor
from optlab.lab.workers.pool import WorkerPool
from optlab.optimizers.optimizer import check_positive

NOT_STARTED = "not started: the experiment was stopped"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How trials are run.

    Parameters
    ----------
    threads
        How many threads torch, BLAS and OpenMP may use in a trial; torch's present number, shared
        among the jobs, by default.
    time_limit
        Seconds of wall time a trial may take, everything included. It is looked at between
        iterates; with ``isolate`` or ``jobs`` it is hard.
    isolate
        Whether trials run in a worker process that is replaced when it dies.
    jobs
        How many worker processes run trials at once; more than one marks all seconds as contended.
    executor_for
        The executor for a trial, where trials run on executors of the caller's.
    memory_limit
        Bytes that a worker process may hold beyond what it held before its first trial; Linux only,
        with ``isolate`` or ``jobs``.
    measure_memory
        Whether each trial is run once more, untimed, to measure its peak memory.
    """

    threads: int | None = None
    time_limit: float | None = None
    isolate: bool = False
    jobs: int = 1
    executor_for: ExecutorFor | None = None
    memory_limit: int | None = None
    measure_memory: bool = False

    def __post_init__(self) -> None:
        check_count("jobs", self.jobs)
        if self.threads is not None:
            check_count("threads", self.threads)
        if self.time_limit is not None:
            check_positive("time_limit", self.time_limit)
        if self.memory_limit is not None and not (self.isolate or self.jobs > 1):
            raise ValueError("memory_limit needs isolate or jobs (--isolate, --jobs): it holds in "
                             "worker processes only")  # fmt: skip
        if self.measure_memory and self.executor_for is not None:
            raise ValueError("measure_memory (--memory) is not done on executors or Dask workers")


@dataclass(frozen=True)
class Listener:
    """Who is told what happens: each may be left out."""

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
    redo: Collection[Redo] = (),
    listener: Listener | None = None,
) -> list[TrialRecord]:
    """Run every trial that the store does not know, and return a record of each of the grid's.

    After Ctrl-C the running trials keep their partial trace, and those that had not started are
    recorded as interrupted too.

    Parameters
    ----------
    grid, budget
        What to run, and for how long.
    name, definition
        The experiment's name and what was asked for, for the store.
    execution
        How the trials are run: here, one after the other, where left out.
    store
        Where each trial is kept as soon as it ends, and where those that are done are found.
    redo
        Which of those that are done are run again.
    listener
        Who is told of trials that start, are watched, and end.
    """
    execution, listener = execution or Execution(), listener or Listener()
    threads = asked = set_threads(execution.threads)
    if execution.threads is None:  # those that run at once share the processor
        threads = max(1, asked // execution.jobs)
    tasks = [
        Task(trial, grid.problems[trial.problem], grid.optimizers[trial.optimizer], budget)
        for trial in grid.trials()
    ]
    about = definition if definition is not None else grid.definition() | budget.definition()
    resume = Resume(store, name, about, grid, tasks, asked, threads, redo) if store else None
    by_number = {task.trial.number: task for task in tasks}
    waiting = [by_number[trial.number] for trial in interleaved(grid.trials())]
    known = resume.known() if resume else StoreStatus(0, {}, 0)
    if resume:
        listener.known(known)
    left = len(tasks) - known.done
    records: dict[int, TrialRecord] = {}
    unkept: list[TrialRecord] = []
    missing = resume.missing(waiting) if resume else waiting
    ended = _run(missing, left, execution, threads, listener)
    with ExitStack() as stack:
        if resume:
            stack.enter_context(closing(resume))
        stack.enter_context(closing(ended))  # so that workers end with us, whatever happens

        def keep(record: TrialRecord) -> None:
            records[record.trial.number] = record
            unkept.append(record)
            if resume:
                resume.keep(record)
            unkept.clear()

        try:
            for record in ended:
                keep(record)
                listener.finished(record)
        except KeyboardInterrupt:  # it came between two trials; within one, the trial takes it
            for record in list(unkept):  # it came while this one was written: once more
                keep(record)
            for record in _cut_short(ended):
                keep(record)
    if resume:
        cut_short = {n: r for n, r in records.items() if r.status == Status.INTERRUPTED}
        records |= resume.records() | cut_short
    for task in tasks:
        not_started = TrialRecord(task.trial, message=NOT_STARTED)
        record = records.setdefault(task.trial.number, not_started)
        record.optimizer = task.about_optimizer()
    return [records[task.trial.number] for task in tasks]


def _cut_short(ended: Generator[TrialRecord]) -> Generator[TrialRecord]:
    """Tell whoever runs the trials of Ctrl-C, and yield the records of those that were running."""
    try:
        yield ended.throw(KeyboardInterrupt)
        yield from ended
    except (StopIteration, KeyboardInterrupt):
        return


def _run(
    tasks: Iterable[Task], left: int, execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    if execution.executor_for is not None:
        return run_on_executor(
            tasks, execution.executor_for, threads=threads, time_limit=execution.time_limit
        )
    if left and (execution.isolate or execution.jobs > 1):
        return _run_isolated(tasks, left, execution, threads, listener)
    return _run_here(tasks, execution, threads, listener)


def _run_isolated(
    tasks: Iterable[Task], left: int, execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    with WorkerPool(
        min(execution.jobs, left),
        threads=threads,
        time_limit=execution.time_limit,
        memory_limit=execution.memory_limit,
        peak_memory=execution.measure_memory,
    ) as workers:
        try:
            yield from workers.run(tasks, started=listener.started, watch=listener.watch)
        except KeyboardInterrupt:
            yield from workers.interrupt()


def _run_here(
    tasks: Iterable[Task], execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    settings = TorchSettings.current()
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
        settings.apply()
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
