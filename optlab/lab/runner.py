"""Run all trials of a grid that the store does not hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from optlab.lab.execution_options import Execution
from optlab.lab.grid import Grid, interleaved
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.resume import Resume, StoreStatus
from optlab.lab.rounds import Rounds, by_seconds, rounds, untuned_tasks
from optlab.lab.store.redo import check_redo
from optlab.lab.store.store import Store
from optlab.lab.store.store_error import StoreError
from optlab.lab.sweeps import sweeps, unswept
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.predict import predict
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.sweep import Sweep, one_by_one
from optlab.lab.trial.task import Task, Work
from optlab.lab.trial.working_copy import WorkingCopy
from optlab.lab.workers.executors import Cluster, open_executor, run_on_executor
from optlab.lab.workers.pool import WorkerPool
from optlab.lab.workers.reference_deadline import check_references

NOT_STARTED = "not started: the experiment was stopped"


@dataclass(frozen=True)
class Listener:
    """Callbacks at the events of a run: each may be left out."""

    known: Callable[[StoreStatus], None] = field(default=lambda _: None)
    started: Callable[[Trial], None] = field(default=lambda _: None)
    watch: Callable[[Trial, TraceRow], None] = field(default=lambda *_: None)
    finished: Callable[[TrialRecord], None] = field(default=lambda _: None)
    added: Callable[[int], None] = field(default=lambda _: None)
    """Called with the number of trials that come to those of the grid: repeats of short ones."""
    note: Callable[[str], None] = field(default=lambda text: warnings.warn(text, stacklevel=2))
    """Called with a sentence where trials are not run as they were asked to be."""


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

    After Ctrl-C, at whatever moment, the running trials keep their partial trace, and those that
    had not started are recorded as interrupted too; before the first it is raised.

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

    Raises
    ------
    ValueError
        Where a problem's reference solution takes longer than the time limit: nothing has run then.
    StoreError
        Where the store can no longer be written or read; its ``records`` are those that would have
        been returned, as far as they can be had.
    """
    execution, listener = execution or Execution(), listener or Listener()
    if execution.time_limit is not None:
        check_references(grid.problems, execution.time_limit)
    asked = set_threads(execution.threads)
    threads = execution.threads_used
    about = definition if definition is not None else grid.definition() | budget.definition()
    collected = _Collected(untuned_tasks(grid, budget))
    try:
        with ExitStack() as stack:
            cluster = stack.enter_context(open_executor(execution.executor))
            if store and execution.fresh and store.experiments():  # when all else is right
                store.archive()
            if store:
                redo = check_redo(execution.redo)
                resume = Resume(store, name, about, grid, budget, asked, threads, redo)
                stack.enter_context(closing(resume))
                collected.resume = resume
            plan = rounds(grid, budget)
            tasks = next(plan, None)
            while tasks is not None:
                how, heard = _round_execution(tasks, grid, execution, listener)
                collected.expect(tasks)
                by_number = {task.trial.number: task for task in tasks}
                order = interleaved([task.trial for task in tasks])
                waiting = [by_number[trial.number] for trial in order]
                # Closed, so that workers end with us, whatever happens.
                with closing(_run(waiting, collected, how, cluster, threads, heard)) as ended:
                    _collect(ended, collected, heard)
                tasks = collected.next_round(plan)
        return collected.of_all()
    except KeyboardInterrupt:
        if not collected.began:
            raise
        return collected.of_all()
    except StoreError as error:
        if collected.began:
            error.records = collected.without_store(error)
        raise


def _round_execution(
    tasks: Sequence[Task], grid: Grid, execution: Execution, listener: Listener
) -> tuple[Execution, Listener]:
    """Return how a round is run, and who hears of it: tuning trials run in sweeps where they can.

    Raises
    ------
    ValueError
        For trials that are judged by their seconds where they would run beside others.
    """
    if tasks[0].trial.repeat > grid.repeats:
        listener.added(len(tasks))
    measured, first = tasks[0].trial.stage == "measured", tasks[0].trial.repeat == 1
    if not measured or (grid.repeats_short and first):  # others in the store may be asked for later
        tell = listener.known
        listener = replace(listener, known=lambda status: tell(status._replace(others=0, saved=0)))
    if measured:
        return execution, listener
    if by_seconds(tasks, grid):
        if execution.is_contended:
            raise ValueError("optimizers are tuned by seconds by trials that run alone: leave jobs "
                             "and executor out, or tune by epochs")  # fmt: skip
        return replace(execution, sweep=False, redo=(), measure_memory=False), listener
    how = replace(execution, sweep=True, redo=(), measure_memory=False)
    return how, listener if execution.sweep else replace(listener, note=lambda _: None)


class _Collected:
    """The records of trials that ended, each written to the store at once."""

    def __init__(self, tasks: Collection[Task]) -> None:
        self.resume: Resume | None = None
        self.began = False
        """Whether a trial may have started."""
        self._tasks = {task.trial.number: task for task in tasks}
        self._records: dict[int, TrialRecord] = {}
        self._expected: set[int] = set()

    def expect(self, tasks: Sequence[Task]) -> None:
        """Add the tasks of a round."""
        self._tasks |= {task.trial.number: task for task in tasks}
        self._expected |= {task.trial.number for task in tasks}
        if self.resume:
            self.resume.want(tasks)

    def next_round(self, plan: Rounds) -> list[Task] | None:
        """Return the tasks of the next round; None where there is none, or Ctrl-C came."""
        ended = {r.trial.number: r for r in self.of_all() if r.trial.number in self._expected}
        if any(record.status == Status.INTERRUPTED for record in ended.values()):
            return None
        try:
            return plan.send(ended)
        except StopIteration:
            return None

    def add(self, record: TrialRecord) -> None:
        """Keep a record, and write it; it may be repeated after Ctrl-C at any place."""
        predict(record, self._tasks[record.trial.number])
        self._records[record.trial.number] = record
        if self.resume:
            self.resume.keep(record)

    def of_all(self) -> list[TrialRecord]:
        """Return a record of each task, those of the store included."""
        records = self._records
        if self.resume:
            cut_short = {n: r for n, r in records.items() if r.status == Status.INTERRUPTED}
            records = records | self.resume.records(records) | cut_short
        return self._with_all(records, NOT_STARTED)

    def without_store(self, error: StoreError) -> list[TrialRecord]:
        """Return a record of each task when the store can no longer be used, or only be read."""
        try:
            return self.of_all()
        except StoreError:
            return self._with_all(self._records, f"not started, or not to be read: {error}")

    def _with_all(self, records: Mapping[int, TrialRecord], missing: str) -> list[TrialRecord]:
        found = []
        for _, task in sorted(self._tasks.items()):
            record = records.get(task.trial.number, TrialRecord(task.trial, message=missing))
            record.optimizer = task.about_optimizer()
            found.append(record)
        return found


def _collect(
    ended: Generator[TrialRecord, None, object], collected: _Collected, listener: Listener
) -> None:
    record = None
    try:
        for record in ended:
            collected.add(record)
            listener.finished(record)
    except KeyboardInterrupt:  # it came between two trials; within one, the trial catches it
        if record is not None:
            collected.add(record)  # again: that may be what was cut off
        for cut_short in _cut_short(ended):
            collected.add(cut_short)


def _cut_short(ended: Generator[TrialRecord, None, object]) -> Generator[TrialRecord]:
    """Pass Ctrl-C on to what runs the trials, and yield the records of those that were running."""
    try:
        yield ended.throw(KeyboardInterrupt)
        yield from ended
    except (StopIteration, KeyboardInterrupt):
        return


def _run(
    waiting: Sequence[Task],
    collected: _Collected,
    execution: Execution,
    cluster: Cluster | None,
    threads: int,
    listener: Listener,
) -> Generator[TrialRecord, None, object]:
    """Run the tasks that the store does not hold."""
    missing: Callable[[Iterable[Task]], Iterable[Task]] = iter
    left = len(waiting)
    if collected.resume:
        known = collected.resume.known(waiting)
        listener.known(known)
        missing, left = collected.resume.missing, left - known.done
    collected.began = True
    work: Iterable[Work] = missing(waiting)
    if execution.sweep:
        at_once = execution.jobs if cluster is None else cluster.workers()
        work = _together(waiting, missing, at_once, listener)
    if cluster is not None:
        limit = execution.time_limit
        return run_on_executor(work, cluster, threads=threads, time_limit=limit,
                               note=listener.note)  # fmt: skip
    if left and execution.in_workers:
        return _run_isolated(work, left, execution, threads, listener)
    return _run_here(work, execution, threads, listener)


def _together(
    waiting: Sequence[Task],
    missing: Callable[[Iterable[Task]], Iterable[Task]],
    at_once: int,
    listener: Listener,
) -> Generator[Sequence[Task]]:
    """Yield the tasks that the store does not hold in groups that run together."""
    left = list(missing(waiting))
    if sentence := unswept(left):
        listener.note(sentence)
    for group in sweeps(left, at_once):
        if tasks := list(missing(group)):
            yield tasks


def _run_isolated(
    work: Iterable[Work], left: int, execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    workers = WorkerPool(
        min(execution.jobs, left),
        threads=threads,
        time_limit=execution.time_limit,
        memory_limit=execution.memory_bytes,
        peak_memory=execution.measure_memory,
        trials_per_process=execution.trials_per_process,
    )
    with closing(workers), workers:  # closed twice: Ctrl-C can come where it is closed
        try:
            yield from workers.run(
                work, started=listener.started, watch=listener.watch, note=listener.note
            )
        except KeyboardInterrupt:
            yield from workers.interrupt()


def _run_here(
    work: Iterable[Work], execution: Execution, threads: int, listener: Listener
) -> Generator[TrialRecord]:
    """Run tasks one after the other, and those of a sweep together where they can be."""
    copy = WorkingCopy()
    for each in work:
        tasks = [each] if isinstance(each, Task) else list(each)
        if len(tasks) > 1:
            sweep = Sweep(tasks, watch=listener.watch, threads=threads,
                          time_limit=execution.time_limit, copy=copy)  # fmt: skip
            if (yield from _run_sweep(sweep, execution, listener, copy)):
                return
            tasks = sweep.tasks
            if tasks:
                listener.note(one_by_one(len(tasks), f"the sweep raised {sweep.failure}"))
        if (yield from _run_alone(tasks, execution, threads, listener, copy)):
            return


def _run_alone(
    tasks: Iterable[Task],
    execution: Execution,
    threads: int,
    listener: Listener,
    copy: WorkingCopy,
) -> Generator[TrialRecord, None, bool]:
    """Run tasks one after the other; return whether Ctrl-C has ended that."""
    for task in tasks:
        record = None
        try:
            listener.started(task.trial)
            record = run_trial(
                task.trial,
                task.problem,
                task.optimizer,
                task.budget,
                watch=listener.watch,
                threads=threads,
                time_limit=execution.time_limit,
                copy=copy,
            )
            if execution.measure_memory:
                _measure_memory(task, record, copy)
            yield record
        except KeyboardInterrupt:  # the record stands, and the next trial does not start
            if record is not None:
                yield record
            return True
        if record.status == Status.INTERRUPTED:
            return True
    return False


def _run_sweep(
    sweep: Sweep, execution: Execution, listener: Listener, copy: WorkingCopy
) -> Generator[TrialRecord, None, bool]:
    """Run a sweep until its trials have ended or it fails; return whether Ctrl-C has ended it."""
    ended: list[TrialRecord] = []
    try:
        for task in sweep.tasks:
            listener.started(task.trial)
        by_number = {task.trial.number: task for task in sweep.tasks}
        while ended := sweep.advance():
            for record in ended:
                if execution.measure_memory:
                    _measure_memory(by_number[record.trial.number], record, copy)
                yield record
            if ended[-1].status == Status.INTERRUPTED:
                return True
    except KeyboardInterrupt:  # between two advances; within one, the sweep catches it
        yield from [*ended, *sweep.interrupt()]
        return True
    return False


def _measure_memory(task: Task, record: TrialRecord, copy: WorkingCopy) -> None:
    """Run a trial once more to measure its peak memory, where it gave a result."""
    if not (record.trace and record.status.is_result):
        return
    passes = replace(task.budget, epochs=max(1, record.trace[-1].epoch))
    try:
        record.peak_bytes = peak_bytes(task.trial, task.problem, task.optimizer, passes, copy)
    except KeyboardInterrupt:
        raise
    except BaseException:  # the trial itself went well: it stands without this figure
        record.peak_bytes = None
