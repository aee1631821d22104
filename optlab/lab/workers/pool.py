"""A worker pool: hand each trial, or sweep, to a process of its own, and collect the records."""

from __future__ import annotations

import pickle
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Self

import torch

from optlab.checks import check_count
from optlab.lab.measure.machine import machine_label
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.record import Trial, TrialRecord, Watcher
from optlab.lab.trial.run import STOPPED
from optlab.lab.trial.status import Status
from optlab.lab.trial.sweep import one_by_one
from optlab.lab.trial.task import Task, Work
from optlab.lab.workers.child import Setup
from optlab.lab.workers.pickling import dumps_by_value
from optlab.lab.workers.process import GRACE, LOOK_SECONDS, ProblemFile, WorkerProcess
from optlab.optimizers import Optimizer

Starting = Callable[[Trial], None]
"""Called when a trial begins."""

_EXIT_SECONDS = 0.5
"""Seconds that a process may take to end by itself once its connection has closed."""

_MOST_FAILED_STARTS = 3
"""Processes in a row that may die before they are ready."""

_OPTIMIZERS_USE = tuple(
    f"optlab.{folder}." for folder in ("linalg", "problems", "optimizers", "theory", "lab")
)
"""The folders of optlab whose loaded modules a server loads too, before it forks."""

_SIGNAL_SECONDS = 0.5
"""Seconds of a wait, after which Python answers a signal that came just before it."""


class WorkerPool:
    """A pool of fork servers, each of which forks a process for each trial.

    A trial gives the numbers of `run_trial`, bit for bit, and a sweep, which has one process, those
    of `Sweep`. What an optimizer changes in its process (a global, a setting of torch, a method of
    the lab's own) is there for no other trial, unless ``trials_per_process`` is more than 1.

    Parameters
    ----------
    count
        How many trials run at a time. Those that ran beside another, or beside the start of another
        process, are marked contended.
    time_limit
        Seconds a trial may take; a sweep has as many times this as it has trials. One that yields
        no iterate by then, in an endless loop of Python or C, is killed within a second, with its
        partial trace kept.
    threads
        Of torch, BLAS and OpenMP in each process; as many as torch has here by default.
    memory_limit
        Bytes that a process may hold beyond what it held before its first trial (Linux only). More
        is refused by the system: the trial fails, or its process crashes.
    peak_memory
        Whether each result's peak memory is measured, in a second pass (see `peak_bytes`).
    trials_per_process
        How many trials of one optimizer on one problem may run in one process, one after the other;
        other optimizers' run in between, in processes of theirs.

    Raises
    ------
    ValueError
        For limits that are not positive, or that this system cannot hold.

    Notes
    -----
    A server has loaded torch, the modules that optlab's optimizers import (see ``imports`` of
    `Optimizer`), and those of optlab that optimizers are made of and that are loaded here; it runs
    nothing of an optimizer and unpickles nothing of its. It forks where a new
    process would load torch for seconds. A problem
    is pickled once, into a file from which all processes map its arrays, copy-on-write. What the
    module of a person's own optimizer imports is imported in each process, before the trial begins.

    The memory limit is the kernel's for each process (RLIMIT_DATA). Forks of it and memory that it
    shares are added up every `LOOK_SECONDS` seconds, and a trial that is above its limit then is
    killed; in between it can take more.

    The trials of a sweep whose process dies, or that raised, run by themselves, one a process: what
    crashes is found so, and the others end as if it had not been there.

    Shared processes save the fork and the page faults after it, most of what a short trial costs.
    Nothing passes from one optimizer to another. A process ends, and the next trial gets a new one,
    after a trial that failed or ran on an accelerator, and where `ProcessState` finds a change. The
    optimizer and the problem are unpickled anew for each trial, and the global random generators
    of numpy and torch begin as in a new process. There remains what an optimizer keeps from one of
    its own trials to the next: in its module or class, within objects, or in libraries. Only the
    first trial of a process makes its first pass cold.

    On macOS a process in an endless loop in C outlives this one.
    """

    def __init__(
        self,
        count: int = 1,
        *,
        time_limit: float | None = None,
        threads: int | None = None,
        memory_limit: int | None = None,
        peak_memory: bool = False,
        trials_per_process: int = 1,
    ) -> None:
        _check(count=count, time_limit=time_limit, threads=threads, memory_limit=memory_limit)
        check_count("trials_per_process", trials_per_process)
        self.count = count
        self._setup = Setup(
            threads=threads or torch.get_num_threads(),
            time_limit=time_limit,
            memory_limit=memory_limit,
            peak_memory=peak_memory,
            acknowledged=count == 1,
            torch=TorchSettings.current(),
            machine=machine_label(),
            trials_per_process=trials_per_process,
            modules=_loaded_modules(),
        )
        self._workers: list[WorkerProcess] = []
        self._problems: dict[int, ProblemFile] = {}
        self._optimizers: dict[tuple[int, ...], tuple[list[Optimizer], bytes]] = {}
        self._alone: deque[Task] = deque()
        """Those of sweeps that failed, to be run by themselves."""
        self._ended: deque[TrialRecord] = deque()
        self._failed_starts = 0
        self._note: Callable[[str], None] = lambda _: None

    def __enter__(self) -> Self:
        # The processes load torch while the caller is still reading data.
        for _ in range(self.count):
            self._workers.append(WorkerProcess(self._setup))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        tasks: Iterable[Work],
        *,
        started: Starting = lambda _: None,
        watch: Watcher = lambda *_: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> Iterator[TrialRecord]:
        """Run tasks, and sweeps of them, and yield the record of each task as it ends.

        They are asked for one at a time. With one process, nothing is computed here while a trial
        is under the clock: it waits for ``watch``, called at each recorded iterate, and the next
        begins when the next record is asked for. ``note`` is called with a sentence where the
        trials of a sweep run by themselves.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C; `interrupt` then returns the records of what was running.
        RuntimeError
            Where no process can be started.
        """
        waiting = iter(tasks)
        self._note = note
        while True:
            while self._ended:
                # Removed only when the next is asked for: writing it may be interrupted.
                yield self._ended[0]
                self._ended.popleft()
            self._hand_out(waiting)
            if any(worker.tasks for worker in self._workers):
                self._listen(started, watch)
            elif not (self._ended or self._alone):
                return

    def interrupt(self) -> list[TrialRecord]:
        """End all processes; return the records of trials that ended or were running.

        To be called after Ctrl-C, wherever it came. The record given last can come once more.
        """
        records = list(self._ended)
        self._ended.clear()
        known = {record.trial.number for record in records}
        for worker in self._workers:
            if worker.started and worker.tasks:
                worker.record_end(Status.INTERRUPTED, STOPPED)
                worker.end_child()
                running = worker.take_records()
                records += [record for record in running if record.trial.number not in known]
        self.close()
        return records

    def close(self) -> None:
        """End all processes; it may be repeated after Ctrl-C at any place."""
        while self._workers:
            self._workers[-1].close()
            self._workers.pop()
        while self._problems:
            self._problems.popitem()[1].file.close()

    def _hand_out(self, waiting: Iterator[Work]) -> None:
        for dead in [w for w in self._workers if not (w.tasks or w.is_alive)]:
            self._replace(dead)
        for worker in self._workers:
            if not worker.tasks and (tasks := self._next(waiting)):
                worker.assign(tasks)
                if worker.ready:
                    self._send(worker)
        while len(self._workers) < self.count and (tasks := self._next(waiting)):
            self._workers.append(WorkerProcess(self._setup))
            self._workers[-1].assign(tasks)
        busy = [worker for worker in self._workers if worker.tasks or not worker.ready]
        for worker in busy:
            worker.contended |= len(busy) > 1

    def _next(self, waiting: Iterator[Work]) -> Sequence[Task]:
        """Return the tasks of the next process; none where no more come."""
        work: Work = self._alone.popleft() if self._alone else next(waiting, ())
        return [work] if isinstance(work, Task) else work

    def _send(self, worker: WorkerProcess) -> None:
        tasks = list(worker.tasks.values())
        problem, optimizers = tasks[0].problem, [task.optimizer for task in tasks]
        ids = tuple(map(id, optimizers))
        try:
            if id(problem) not in self._problems:
                problem.reference()  # solved once, here, not by every process
                self._problems[id(problem)] = ProblemFile(problem)
            if ids not in self._optimizers:  # kept alive: no others get their ids
                self._optimizers[ids] = optimizers, dumps_by_value(optimizers)
            worker.send_tasks(self._problems[id(problem)], self._optimizers[ids][1])
        except Exception as error:
            if worker.is_sweep:
                worker.failure = f"the sweep cannot be sent to a process: {error}"
                self._keep_records(worker)
                return
            worker.record_end(Status.FAILED, f"cannot be sent to a process: {error}")
            (record,) = worker.take_records()
            record.traceback = "".join(traceback.format_exception(error))
            self._ended.append(record)

    def _listen(self, started: Starting, watch: Watcher) -> None:
        """Wait for messages of the processes and their servers, until the first deadline."""
        soonest = min(worker.deadline for worker in self._workers) - time.monotonic()
        if self._setup.memory_limit is not None:
            soonest = min(soonest, LOOK_SECONDS)
        channels = [c for w in self._workers for c in (w.connection, w.control) if c]
        # Never without end: a signal that comes just before the wait would not end it.
        sending = wait(channels, max(0.0, min(soonest, _SIGNAL_SECONDS)))
        for worker in list(self._workers):
            if worker.connection in sending:
                self._receive(worker, started, watch)
            elif worker.control in sending:  # a process that it forked may hold its connection
                self._hear_server(worker)
            elif time.monotonic() > worker.deadline and worker.connection:
                # A message sent in time counts, even if we read it late.
                if not worker.connection.poll(0):
                    self._kill(worker, Status.TIMED_OUT, worker.timeout_message())
            elif self._setup.memory_limit is not None and (reason := worker.over_limit()):
                self._kill(worker, Status.CRASHED, reason)

    def _kill(self, worker: WorkerProcess, status: Status, message: str) -> None:
        worker.ask_for_traceback()
        worker.end_child()
        self._keep_end(worker, status, message)

    def _hear_server(self, worker: WorkerProcess) -> None:
        """Note that a server is ready, that its child has ended, or that it has died."""
        was_ready = worker.ready
        try:
            worker.hear()
        except (EOFError, OSError):
            if worker.connection:
                self._note_death(worker)
            else:
                self._replace(worker)
            return
        if worker.has_ended:
            self._note_death(worker)
        elif worker.ready and not was_ready:
            self._failed_starts = 0
            if worker.tasks:
                self._send(worker)

    def _note_death(self, worker: WorkerProcess) -> None:
        """Keep the records of tasks whose process has ended, or let a new process run them."""
        how = worker.end_child(wait=_EXIT_SECONDS)
        if worker.tasks and worker.is_reused and not worker.started:
            # It may have died while it waited: that is not this trial's doing.
            worker.assign(list(worker.tasks.values()))
            self._send(worker)
        else:
            self._keep_end(worker, Status.CRASHED, how)

    def _receive(self, worker: WorkerProcess, started: Starting, watch: Watcher) -> None:
        assert worker.connection is not None
        try:
            kind, what = pickle.loads(worker.connection.recv_bytes())
        except Exception:  # the process died, or its message cannot be unpickled
            self._note_death(worker)
            return
        match kind:
            case "started":
                worker.started = True
                worker.limit_time(GRACE)
                for record in worker.records.values():
                    record.started = time.time()
                    started(record.trial)
            case "rows":
                for number, row in what:
                    worker.records[number].trace.append(row)
                    watch(worker.records[number].trial, row)
                worker.acknowledge()
            case "ended":
                self._ended += worker.take(what)
            case "done":
                if what:  # it waits for another
                    worker.keep_child()
                else:
                    worker.end_child()
                self._keep_records(worker)
            case _:
                worker.note_message(kind, what)

    def _keep_end(self, worker: WorkerProcess, status: Status, message: str) -> None:
        """Keep the records of tasks whose process was killed or died."""
        if worker.is_sweep and status == Status.CRASHED:
            worker.failure = f"the sweep crashed: {message}"
        else:
            worker.record_end(status, message)
        self._keep_records(worker)

    def _keep_records(self, worker: WorkerProcess) -> None:
        """Keep the records of tasks that have ended; where their sweep failed, run the others."""
        if worker.failure:
            left = [number for number in worker.records if number not in worker.measured]
            self._alone += [worker.tasks[number] for number in left]
            worker.take(left)  # dropped: these trials begin anew
            if left:
                self._note(one_by_one(len(left), worker.failure))
        self._ended += worker.take_records()

    def _replace(self, worker: WorkerProcess) -> None:
        """Replace a server that died; its task, which had not begun, is given to the next."""
        how = worker.end_child(wait=_EXIT_SECONDS)
        self._workers.remove(worker)
        worker.close()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise RuntimeError(f"no process can be started to run trials in: {how}")
        if worker.tasks:
            self._workers.append(WorkerProcess(self._setup))
            self._workers[-1].assign(list(worker.tasks.values()))


def _loaded_modules() -> tuple[str, ...]:
    """Return the modules that an optimizer is made of, of those of optlab that are loaded here.

    A person's module imports them by ``import optlab``, each of its processes anew.
    """
    return tuple(sorted(name for name in sys.modules if name.startswith(_OPTIMIZERS_USE)))


def _check(**limits: float | None) -> None:
    if sys.platform == "win32":
        raise ValueError("trials can be isolated on Linux and macOS, not on Windows")
    if limits["memory_limit"] is not None and sys.platform != "linux":
        raise ValueError(f"memory_limit can be held on Linux, not on {sys.platform}")
    for name, value in limits.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, not {value!r}")
