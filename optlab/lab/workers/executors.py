"""Run trials on any `concurrent.futures.Executor`, or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import cloudpickle

from optlab.lab.trial.record import Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.pickling import dumps_by_value

MOST_RERUNS = 2
"""The most times that a trial whose Dask worker was lost is run again elsewhere."""

ExecutorFor = Callable[[Trial], Executor | str]
"""Return the executor for a trial, or the reason why there is none."""


@contextmanager
def open_executor(executor: str | Executor | None) -> Iterator[ExecutorFor | None]:
    """Give the executors of the Dask scheduler at an address, or one executor for all trials."""
    if isinstance(executor, str):
        with dask_executors(executor) as executor_for:
            yield executor_for
    elif executor is None:
        yield None
    elif hasattr(executor, "submit"):
        yield lambda _: executor
    else:
        raise ValueError(
            "executor must be a concurrent.futures.Executor or the address of a Dask scheduler, "
            f"not {executor!r}"
        )


def run_on_executor(
    tasks: Iterable[Task],
    executor_for: ExecutorFor,
    *,
    threads: int,
    time_limit: float | None = None,
) -> Generator[TrialRecord]:
    """Submit all trials and yield their records as they end, marked as contended.

    A trial whose worker died, as far as the executor says so, is a crashed record; those of an
    executor that broke altogether are interrupted. After Ctrl-C what has not begun is cancelled,
    and what has ended is yielded.
    """
    waiting: dict[Future[bytes], Trial] = {}
    ended: SimpleQueue[Future[bytes]] = SimpleQueue()
    try:
        for task in tasks:
            executor = executor_for(task.trial)
            if isinstance(executor, str):
                yield TrialRecord(task.trial, Status.SKIPPED, executor)
                continue
            try:
                parcel = dumps_by_value((task, threads, time_limit))
            except Exception as error:
                yield _not_sent(task.trial, error)
                continue
            try:
                future = executor.submit(_run_pickled, parcel)
            except Exception as error:  # a broken executor refuses what is submitted later
                yield _lost(task.trial, error)
                continue
            waiting[future] = task.trial
            future.add_done_callback(ended.put)
            while not ended.empty():  # kept as they end, not when all have been submitted
                yield _record_of(future := ended.get(), waiting.pop(future))
        while waiting:
            yield _record_of(future := ended.get(), waiting.pop(future))
    except KeyboardInterrupt:
        for future in waiting:
            future.cancel()
        for future, trial in waiting.items():
            if future.done() and not future.cancelled():
                yield _record_of(future, trial)
    finally:
        for future in waiting:
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


def _lost(trial: Trial, error: BaseException) -> TrialRecord:
    """Return what is known of a trial whose worker, or whole executor, was lost.

    An executor that broke tells of none of its trials whether it had begun, or which one broke it:
    they are interrupted, and run when the experiment is run again.
    """
    said, where = describe_exception(error)
    if isinstance(error, BrokenExecutor):
        why = f"its executor broke, by this trial or by another ({said}); jobs= survives that"
        return TrialRecord(trial, Status.INTERRUPTED, why, where, contended=True)
    return TrialRecord(trial, Status.CRASHED, f"its worker was lost: {said}", where, contended=True)


def _run_pickled(payload: bytes) -> bytes:
    """Run a trial on a worker; pickled by value, so that classes of scripts travel too."""
    task, threads, time_limit = cloudpickle.loads(payload)
    record = run_trial(
        task.trial,
        task.problem,
        task.optimizer,
        task.budget,
        threads=threads,
        time_limit=time_limit,
    )
    return bytes(cloudpickle.dumps(record))


@contextmanager
def dask_executors(address: str) -> Iterator[ExecutorFor]:
    """Connect to a Dask scheduler; trials on a device go to workers that have it.

    A worker says what it has by Dask's resources: ``dask worker ADDRESS --resources cuda=1``.
    Trials on the CPU go anywhere. While connected, the scheduler gives up on a task after
    `MOST_RERUNS` reruns on other workers.

    Raises
    ------
    ValueError
        Where distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - optional: the extra `cluster`
    except ImportError:
        raise ValueError(
            "a Dask scheduler needs distributed: pip install 'optlab[cluster]'"
        ) from None
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {error}") from None
    usual = client.run_on_scheduler(_allow_failures, failures=MOST_RERUNS)
    executors: dict[str, Executor] = {}

    def executor_for(trial: Trial) -> Executor | str:
        kind = trial.device.partition(":")[0]
        if kind not in executors:
            needs = {} if kind == "cpu" else {kind: 1}
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
            if needs and not any(worker["resources"].get(kind) for worker in workers):
                return f"no worker of the Dask cluster offers the resource {kind!r}"
            executors[kind] = client.get_executor(pure=False, resources=needs)
        return executors[kind]

    try:
        yield executor_for
    finally:
        client.run_on_scheduler(_allow_failures, failures=usual)
        client.close()


def _allow_failures(failures: int, dask_scheduler: Any = None) -> int:
    """Set how many lost workers a task may have, on the scheduler, and return the old number."""
    usual = int(dask_scheduler.allowed_failures)
    dask_scheduler.allowed_failures = failures
    return usual
