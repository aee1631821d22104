"""Run trials on any `concurrent.futures.Executor`, or on the workers of a Dask cluster."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import cloudpickle

from optlab.lab.trial.record import Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
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
    tasks: Iterable[Task],
    cluster: Cluster,
    *,
    threads: int,
    time_limit: float | None = None,
) -> Generator[TrialRecord]:
    """Submit trials, a few for each worker at a time; yield their records, marked as contended.

    The data of a problem go to each worker once. A trial whose worker died, as far as the executor
    says so, is a crashed record; those that never ran, or whose executor or cluster was lost as a
    whole, are interrupted. After Ctrl-C what has not begun is cancelled, and what has ended is
    yielded.
    """
    run = _Submissions(cluster, threads, time_limit)
    waiting = iter(tasks)
    try:
        for task in waiting:
            if record := run.submit(task):
                yield record
            while run.is_full() or run.has_ended():
                yield from run.next_records()
        while run.sent:
            yield from run.next_records()
    except KeyboardInterrupt:
        run.cancel()
        for future, (task, _) in list(run.sent.items()):
            if future.done() and not future.cancelled():
                yield _record_of(future, task.trial)
    finally:
        run.cancel()


class _Submissions:
    """The trials that have been submitted and have not ended."""

    def __init__(self, cluster: Cluster, threads: int, time_limit: float | None) -> None:
        self.cluster, self.options = cluster, (threads, time_limit)
        self.sent: dict[Future[bytes], tuple[Task, Executor]] = {}
        self.ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        self.gone: str | None = None
        self._problems: dict[int, tuple[Any, str, Path | None]] = {}

    def submit(self, task: Task, *, problem_too: bool = False) -> TrialRecord | None:
        """Send a trial; return its record where that cannot be done."""
        if self.gone:
            return TrialRecord(task.trial, Status.INTERRUPTED, self.gone, contended=True)
        executor = self.cluster.executor_for(task.trial)
        if isinstance(executor, str):
            return TrialRecord(task.trial, Status.SKIPPED, executor)
        try:
            rest = dumps_by_value((task.trial, task.optimizer, task.budget, *self.options))
            body = dumps_by_value(task.problem) if problem_too else None
            key, held = self._hold(task.problem)
        except (TypeError, AttributeError, pickle.PicklingError, RecursionError) as error:
            return _not_sent(task.trial, error)
        except Exception as error:  # the cluster does not take the data
            return _never_ran(task.trial, error)
        try:
            future = executor.submit(_run_pickled, key, body or held, rest)
        except Exception as error:  # a broken executor refuses what is submitted later
            return _never_ran(task.trial, error)
        self.sent[future] = task, executor
        future.add_done_callback(self.ended.put)
        return None

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
        task, _ = self.sent.pop(future)
        if not future.cancelled() and not future.exception() and future.result() == _MISSING:
            record = self.submit(task, problem_too=True)
            return [record] if record else []
        return [_record_of(future, task.trial)]

    def _all_lost(self, reason: str) -> list[TrialRecord]:
        lost = [task.trial for task, _ in self.sent.values()]
        self.cancel()
        self.sent.clear()
        return [TrialRecord(trial, Status.INTERRUPTED, reason, contended=True) for trial in lost]

    def cancel(self) -> None:
        """Cancel what has not begun."""
        for future in self.sent:
            with suppress(Exception):  # its cluster may be gone
                future.cancel()


def _record_of(future: Future[bytes], trial: Trial) -> TrialRecord:
    try:
        record: TrialRecord = cloudpickle.loads(future.result())
    except (Exception, CancelledError) as error:
        return _lost(trial, error)
    record.contended = True
    return record


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
    """Run a trial on a worker; pickled by value, so that classes of scripts travel too."""
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
    trial, optimizer, budget, threads, time_limit = cloudpickle.loads(rest)
    record = run_trial(trial, ours, optimizer, budget, threads=threads, time_limit=time_limit)
    return bytes(cloudpickle.dumps(record))
