"""Run trials and sweeps on any `concurrent.futures.Executor`, or on workers of a Dask cluster."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import cloudpickle

from optlab.lab.trial.record import Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.sweep import Sweep, one_by_one
from optlab.lab.trial.task import Task, Work
from optlab.lab.workers.pickling import dumps_by_value

LOOK_SECONDS = 2.0
"""Seconds without the end of a trial after which a cluster is asked whether it is still there."""

_TASKS_A_WORKER = 2
"""Trials in flight for each worker: one that runs, and one that waits for it to end."""

_MOST_PROBLEMS = 2
"""Problems that a worker keeps."""

_MISSING = b""
"""The answer of a worker that has not the problem and cannot read its file: it is then sent it."""


class Cluster(Protocol):
    """The workers that run trials, by whatever library they are reached."""

    def executor_for(self, trial: Trial) -> Executor | str:
        """Return the executor for a trial, or the reason why there is none."""

    def hold(self, problem: bytes) -> Path | None:
        """Make a pickled problem known; return the file where it is, if in one."""

    def workers(self) -> int:
        """Return how many trials run at once."""

    def lost(self) -> str | None:
        """Return the reason why no trial that waits will run, or None."""


class LocalCluster:
    """An executor, whose workers read each problem from a file where they can, else are sent it."""

    def __init__(self, executor: Executor, folder: Path) -> None:
        self._executor, self._folder = executor, folder

    def executor_for(self, _: Trial) -> Executor:
        """Return the executor, which is one for all trials."""
        return self._executor

    def hold(self, problem: bytes) -> Path:
        """Write the problem into a file."""
        path = self._folder / content_key(problem)
        path.write_bytes(problem)
        return path

    def workers(self) -> int:
        """Return the number of workers as far as the executor has one, else of processors."""
        return int(getattr(self._executor, "_max_workers", 0)) or os.cpu_count() or 1

    def lost(self) -> None:
        """Return None: an executor tells of its end by the futures it has given."""


@contextmanager
def open_executor(executor: str | Executor | None) -> Iterator[Cluster | None]:
    """Give the workers of the Dask scheduler at an address, or those of an executor."""
    if isinstance(executor, str):
        from optlab.lab.workers.dask_cluster import dask_cluster  # noqa: PLC0415 - optional

        with dask_cluster(executor) as cluster:
            yield cluster
    elif executor is None:
        yield None
    elif hasattr(executor, "submit"):
        with tempfile.TemporaryDirectory(prefix="optlab-") as folder:
            yield LocalCluster(executor, Path(folder))
        _kept.clear()  # where the workers were threads of this process
    else:
        raise ValueError(
            "executor must be a concurrent.futures.Executor or the address of a Dask scheduler, "
            f"not {executor!r}"
        )


def run_on_executor(
    work: Iterable[Work],
    cluster: Cluster,
    *,
    threads: int,
    time_limit: float | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Generator[TrialRecord]:
    """Submit trials, a few for each worker at a time; yield their records, marked as contended.

    The data of a problem go to each worker once. The trials of a sweep are submitted together, and
    by themselves where that fails, of which ``note`` gets a sentence. A trial whose worker died, as
    far as the executor says so, is a crashed record; those that never ran, or whose executor or
    cluster was lost as a whole, are interrupted. After Ctrl-C what has not begun is cancelled, and
    what has ended is yielded.
    """
    run = _Submissions(cluster, threads, time_limit, note)
    try:
        for each in work:
            yield from run.submit([each] if isinstance(each, Task) else each)
            while run.is_full() or run.has_ended():
                yield from run.next_records()
        while run.sent:
            yield from run.next_records()
    except KeyboardInterrupt:
        run.cancel()
        for future, (tasks, _) in list(run.sent.items()):
            if future.done() and not future.cancelled():
                yield from _ended(future, tasks)[0]
    finally:
        run.cancel()


class _Submissions:
    """The trials that have been submitted and have not ended."""

    def __init__(
        self,
        cluster: Cluster,
        threads: int,
        time_limit: float | None,
        note: Callable[[str], None],
    ) -> None:
        self.cluster, self.options, self.note = cluster, (threads, time_limit), note
        self.sent: dict[Future[bytes], tuple[Sequence[Task], Executor]] = {}
        self.ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        self.gone: str | None = None
        self._problems: dict[int, tuple[Any, str, Path | None]] = {}

    def submit(self, tasks: Sequence[Task], *, problem_too: bool = False) -> list[TrialRecord]:
        """Send a trial, or those of a sweep; return their records where that cannot be done."""
        trials = [task.trial for task in tasks]
        if self.gone:
            return [_lost_with_all(trial, self.gone) for trial in trials]
        executor = self.cluster.executor_for(trials[0])
        if isinstance(executor, str):
            return [TrialRecord(trial, Status.SKIPPED, executor) for trial in trials]
        problem, optimizers = tasks[0].problem, [task.optimizer for task in tasks]
        try:
            rest = dumps_by_value((trials, optimizers, tasks[0].budget, *self.options))
            body = dumps_by_value(problem) if problem_too else None
            key, held = self._hold(problem)
        except (TypeError, AttributeError, pickle.PicklingError, RecursionError) as error:
            if len(tasks) > 1:
                return self._submit_alone(tasks, f"the sweep cannot be sent to a worker: {error}")
            return [_not_sent(trials[0], error)]
        except Exception as error:  # the cluster does not take the data
            return [_never_ran(trial, error) for trial in trials]
        try:
            future = executor.submit(_run_pickled, key, body or held, rest)
        except Exception as error:  # a broken executor refuses what is submitted later
            return [_never_ran(trial, error) for trial in trials]
        self.sent[future] = tasks, executor
        future.add_done_callback(self.ended.put)
        return []

    def _submit_alone(self, tasks: Sequence[Task], why: str) -> list[TrialRecord]:
        """Send the trials of a sweep that failed by themselves, which shows whose fault it is."""
        self.note(one_by_one(len(tasks), why))
        return [record for task in tasks for record in self.submit([task])]

    def _hold(self, problem: Any) -> tuple[str, Path | None]:
        if id(problem) not in self._problems:
            body = dumps_by_value(problem)
            key = content_key(body)
            # Kept, so that no other problem gets its id.
            self._problems[id(problem)] = problem, key, self.cluster.hold(body)
        return self._problems[id(problem)][1:]

    def is_full(self) -> bool:
        """Whether the workers have enough to do."""
        return len(self.sent) >= _TASKS_A_WORKER * max(1, self.cluster.workers())

    def has_ended(self) -> bool:
        """Whether a trial's end can be taken without waiting."""
        return not self.ended.empty()

    def next_records(self) -> list[TrialRecord]:
        """Wait for the next end of a trial; return the records of those that ended with it."""
        try:
            future = self.ended.get(timeout=LOOK_SECONDS)
        except Empty:
            self.gone = self.cluster.lost()
            return self._all_lost(self.gone) if self.gone else []
        if future not in self.sent:
            return []
        tasks, _ = self.sent.pop(future)
        if not future.cancelled() and not future.exception() and future.result() == _MISSING:
            return self.submit(tasks, problem_too=True)
        records, failure = _ended(future, tasks)
        crashed = [record for record in records if record.status == Status.CRASHED]
        if len(tasks) > 1 and len(crashed) == len(tasks):
            return self._submit_alone(tasks, f"the sweep crashed: {crashed[0].message}")
        if failure:
            self.note(failure)
        return records

    def _all_lost(self, reason: str) -> list[TrialRecord]:
        lost = [task.trial for tasks, _ in self.sent.values() for task in tasks]
        self.cancel()
        self.sent.clear()
        return [_lost_with_all(trial, reason) for trial in lost]

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for future in self.sent:
            with suppress(Exception):  # its cluster may be gone
                future.cancel()


def _ended(future: Future[bytes], tasks: Sequence[Task]) -> tuple[list[TrialRecord], str]:
    """Return the records of a future's trials, and a sentence where their sweep failed."""
    records: list[TrialRecord]
    try:
        records, failure = cloudpickle.loads(future.result())
    except (Exception, CancelledError) as error:
        return [_lost(task.trial, error) for task in tasks], ""
    for record in records:
        record.contended = True
    return records, failure


def _lost_with_all(trial: Trial, reason: str) -> TrialRecord:
    return TrialRecord(trial, Status.INTERRUPTED, reason, contended=True)


def _not_sent(trial: Trial, error: Exception) -> TrialRecord:
    said, where = describe_exception(error)
    return TrialRecord(trial, Status.FAILED, f"cannot be sent to a worker: {said}", where)


def _never_ran(trial: Trial, error: BaseException) -> TrialRecord:
    said, where = describe_exception(error)
    if isinstance(error, BrokenExecutor):
        return _lost(trial, error)
    why = f"not run: its executor takes no more trials ({said})"
    return TrialRecord(trial, Status.INTERRUPTED, why, where, contended=True)


def _lost(trial: Trial, error: BaseException) -> TrialRecord:
    """Return what is known of a trial whose worker, or whole executor, was lost.

    An executor that broke tells of none of its trials whether it had begun, or which one broke it:
    they are interrupted, and run when the experiment is run again. Likewise those of a cluster that
    was lost, which it cancels.
    """
    said, where = describe_exception(error)
    status, why = Status.CRASHED, f"its worker was lost: {said}"
    if isinstance(error, BrokenExecutor):
        status = Status.INTERRUPTED
        why = f"its executor broke, by this trial or by another ({said}); jobs= survives that"
    elif isinstance(error, CancelledError | OSError):
        status, why = Status.INTERRUPTED, f"its executor or cluster was lost: {said}"
    return TrialRecord(trial, status, why, where, contended=True)


def content_key(problem: bytes) -> str:
    """Return the hash by which workers know a pickled problem."""
    return hashlib.sha256(problem).hexdigest()


SENT_PROBLEMS: dict[str, bytes] = {}
"""The pickled problems that were sent to this worker and that no trial has needed yet."""

_kept: dict[str, Any] = {}
"""The problems that this worker has loaded."""


def _run_pickled(key: str, problem: bytes | Path | None, rest: bytes) -> bytes:
    """Run trials on a worker; pickled by value, so that classes of scripts travel too."""
    ours = _kept.get(key)
    if ours is None:
        try:
            body = problem.read_bytes() if isinstance(problem, Path) else problem
        except OSError:  # this worker is on another machine
            return _MISSING
        body = body or SENT_PROBLEMS.pop(key, None)
        if body is None:
            return _MISSING
        ours = _kept[key] = pickle.loads(body)
        for old in list(_kept)[:-_MOST_PROBLEMS]:
            _kept.pop(old, None)
    trials, optimizers, budget, threads, time_limit = cloudpickle.loads(rest)
    pairs = zip(trials, optimizers, strict=True)
    tasks = [Task(trial, ours, optimizer, budget) for trial, optimizer in pairs]
    return bytes(cloudpickle.dumps(_run(tasks, threads, time_limit)))


def _run(
    tasks: list[Task], threads: int, time_limit: float | None
) -> tuple[list[TrialRecord], str]:
    """Run trials, together as far as they can; return their records, and why some could not."""
    records: list[TrialRecord] = []
    failure = ""
    if len(tasks) > 1:
        sweep = Sweep(tasks, threads=threads, time_limit=time_limit)
        while ended := sweep.advance():
            records += ended
        tasks = sweep.tasks
        if tasks:
            failure = one_by_one(len(tasks), f"the sweep raised {sweep.failure}")
    records += [
        run_trial(task.trial, task.problem, task.optimizer, task.budget,
                  threads=threads, time_limit=time_limit)
        for task in tasks
    ]  # fmt: skip
    return records, failure
