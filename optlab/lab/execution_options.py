"""The options of `Execution`, documented once: threads, limits, `--jobs`, `--isolate`, `--redo`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from optlab.checks import check_bytes, check_count, check_positive
from optlab.lab.store.redo import check_redo


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Options for running trials: threads, limits, processes, and which are run again.

    Parameters
    ----------
    threads
        Threads of torch, BLAS and OpenMP in a trial; torch's present number, shared among the
        jobs, by default.
    time_limit
        Seconds of wall time that a trial may take, everything included. The limit is hard with
        isolate or jobs; else it is checked between iterates. A problem whose reference solution
        takes longer is refused before anything runs.
    memory_limit
        Bytes that a trial, or a sweep, may hold beyond the worker process itself, its forks and
        what it shares included, such as 500M or 2G (Linux only, with isolate or jobs).
    measure_memory
        Run each trial once more, untimed, to measure its peak memory.
    isolate
        Run each trial, or each sweep, in a process of its own, which may crash or be killed.
    trials_per_process
        How many trials of one optimizer on one problem may run in one process, with isolate or
        jobs. More than 1 saves some 20 ms a trial, but what an optimizer keeps in its own module or
        in a library is there in its next trial; no other optimizer's trial is touched.
    sweep
        Run together the trials that differ only in hyperparameters (numbers, learning rates) or
        seed, where their optimizer can: one pass over the data serves all. Each trial's results
        are its own, but for the order of sums; its seconds are its share of the sweep's, and are
        never ranked. A sweep has the time limits of all its trials, and with isolate a process of
        its own; with jobs or executor it is split where workers would have nothing to do. The
        trials of one that crashes or raises run again by themselves.
    jobs
        Worker processes at once; more than one marks all seconds as contended.
    executor
        Address of a Dask scheduler whose workers run the trials, such as tcp://HOST:8786; in
        Python also any `concurrent.futures.Executor`. All seconds are contended.
    fresh
        Start over: what the store holds is moved into an archive file beside it.
    redo
        Kinds of stored trials that are run again, with commas between: failed (failed, crashed or
        timed out), contended, shared (ran in a sweep), unmeasured (no peak memory).

    Raises
    ------
    ValueError
        For values that are not allowed, and for options that exclude each other.

    See Also
    --------
    Experiment.run, compare : What takes it.

    Examples
    --------
    >>> Execution(isolate=True, time_limit=60, memory_limit="2G").memory_bytes
    2147483648
    """

    threads: int | None = None
    time_limit: float | None = None
    memory_limit: str | int | None = None
    measure_memory: bool = False
    isolate: bool = False
    trials_per_process: int = 1
    sweep: bool = False
    jobs: int = 1
    executor: str | Executor | None = None
    fresh: bool = False
    redo: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        check_count("jobs", self.jobs)
        check_count("trials_per_process", self.trials_per_process)
        if self.trials_per_process > 1 and not self.in_workers:
            raise ValueError("trials_per_process needs isolate or jobs: else one process runs all")
        if self.threads is not None:
            check_count("threads", self.threads)
        if self.time_limit is not None:
            check_positive("time_limit", self.time_limit)
        if self.memory_limit is not None:
            check_bytes("memory_limit", self.memory_limit)
            if not self.in_workers:
                raise ValueError("memory_limit needs isolate or jobs: it holds in worker processes")
        if self.executor is not None and self.in_workers:
            raise ValueError("executor, and isolate or jobs, exclude each other: choose one")
        if self.executor is not None and self.measure_memory:
            raise ValueError("measure_memory is not done on executors or Dask workers")
        object.__setattr__(self, "redo", check_redo(self.redo))
        if self.fresh and self.redo:
            raise ValueError("fresh and redo exclude each other: fresh runs every trial again")
        if "unmeasured" in self.redo and not self.measure_memory:
            raise ValueError("redo='unmeasured' needs measure_memory")

    @property
    def memory_bytes(self) -> int | None:
        """The memory limit in bytes."""
        limit = self.memory_limit
        return None if limit is None else check_bytes("memory_limit", limit)

    @property
    def threads_used(self) -> int:
        """The threads of each trial: those that run at once share torch's present number."""
        import torch  # noqa: PLC0415 - the command line's help needs no torch

        return self.threads or max(1, torch.get_num_threads() // self.jobs)

    @property
    def in_workers(self) -> bool:
        """Whether trials run in worker processes of this machine."""
        return self.isolate or self.jobs > 1

    @property
    def is_contended(self) -> bool:
        """Whether trials run beside others, so that their seconds are never ranked."""
        return self.jobs > 1 or self.executor is not None
