"""Run a trial, or a sweep, in a process that was forked for it, and send what comes of it.

Where trials may share processes, it waits for the next of its optimizer on its problem, as long as
all is as it was before (see `ProcessState`).

Messages go through a socket of their own, so that what an optimizer prints does no harm.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import NamedTuple, NoReturn

import numpy as np
import scipy.linalg.blas

from optlab.lab.measure.memory import process_status
from optlab.lab.measure.threads import set_threads
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.sweep import Sweep
from optlab.lab.trial.task import Task
from optlab.lab.workers.pickle_file import Layout, load
from optlab.lab.workers.process_state import MOST_GROWTH, ProcessState

TRACEBACK_SIGNAL = signal.SIGUSR2
"""The signal on which a worker process writes its traceback into the crash log."""


class Setup(NamedTuple):
    """The settings of all trials of a worker.

    ``threads`` as in `run_trial`; ``time_limit`` in seconds; ``memory_limit`` in bytes beyond what
    the process holds before its trial; ``acknowledged``: wait at each recorded iterate until
    the parent has dealt with it, so that its work falls beside no trial's clock. ``machine`` is
    the machine's label, which a process that forks must not look for: it would start CUDA.
    ``trials_per_process``: how many trials of one optimizer on one problem one process may run.
    ``modules`` are optlab's own that the server loads, so that no process that it forks need to.
    """

    threads: int
    time_limit: float | None
    memory_limit: int | None
    peak_memory: bool
    acknowledged: bool
    torch: TorchSettings
    machine: str
    trials_per_process: int = 1
    modules: tuple[str, ...] = ()


class Order(NamedTuple):
    """Trials to be run, with the place of their problem in its file, and their optimizers, pickled.

    Several are run together, as a sweep. ``imports`` are modules that are loaded before the process
    is forked; ``process`` is the number by which its server tells of that process.
    """

    trials: tuple[Trial, ...]
    problem: Layout
    optimizers: bytes
    budget: Budget
    imports: tuple[str, ...]
    process: int


def run_order(order: Order, descriptors: list[int], setup: Setup) -> None:
    """Run an order in this process, which was forked for it, and others that may follow.

    ``descriptors`` are those of the socket, of the file for tracebacks, and of the file that the
    problem is read from.
    """
    socket, crash_log, problem = descriptors
    # A group of its own, so that whatever the optimizer starts can be ended with it.
    os.setsid()
    faulthandler.enable(file=crash_log, all_threads=False)
    faulthandler.register(TRACEBACK_SIGNAL, file=crash_log, all_threads=False)
    _Child(Connection(socket), setup).work(order, problem)


class _Child:
    def __init__(self, connection: Connection, setup: Setup) -> None:
        self.connection, self.setup = connection, setup
        self.is_shared = setup.trials_per_process > 1
        self.state: ProcessState | None = None
        self.rows: list[tuple[int, TraceRow]] = []
        self.present: Sequence[Task] = ()

    def work(self, order: Order, problem: int) -> None:
        """Run the order, and then others as they come, as long as this process is as it was."""
        self.send("forked", os.getpid())
        if self.is_shared:
            _adopt_orphans()
        for left in reversed(range(self.setup.trials_per_process)):
            is_result = self.run_order(order, problem)
            stays = is_result and left > 0 and self.state is not None and self.state.is_kept()
            self.send("done", stays)
            if not stays:
                return
            order = pickle.loads(self.receive())

    def run_order(self, order: Order, problem: int) -> bool:
        """Run an order; return whether all ended in a result and without an accelerator."""
        if self.setup.memory_limit is not None:
            _warm_up_blas(self.setup.threads)
            _limit_memory(self.setup.memory_limit, MOST_GROWTH if self.is_shared else 0)
        try:
            optimizers = pickle.loads(order.optimizers)
            loaded = load(problem, order.problem)
        except BaseException as error:  # unpickling runs a person's code
            if len(order.trials) > 1:
                self.send("failure", f"the sweep raised {describe_exception(error)[0]}")
            else:
                self.send("record", _failed(order.trials[0], error))
            return False
        tasks = [
            Task(trial, loaded, optimizer, order.budget)
            for trial, optimizer in zip(order.trials, optimizers, strict=True)
        ]
        if self.state:
            self.state.restore_generators()
        self.setup.torch.apply()
        if self.is_shared and not self.state:
            self.state = ProcessState()
            gc.freeze()  # it collects what came later, after each trial
        self.send("started")
        is_result = self.sweep(tasks) if len(tasks) > 1 else self.run(*tasks)
        # A context on an accelerator would hold memory there that other processes need.
        return is_result and order.trials[0].device == "cpu"

    def run(self, task: Task) -> bool:
        """Run a trial, and send its record; return whether it is a result."""
        setup, self.present = self.setup, (task,)
        try:
            record = run_trial(
                task.trial,
                task.problem,
                task.optimizer,
                task.budget,
                watch=self.watch,
                threads=setup.threads,
                time_limit=setup.time_limit,
                catch=(BaseException,),
            )
        except BaseException as error:  # no memory even to describe the exception
            record = _failed(task.trial, error)
        if record.status == Status.INTERRUPTED:  # Ctrl-C does not come here: the optimizer raised
            record.status, record.message = Status.FAILED, "KeyboardInterrupt"
        self.send("record", record)
        self.measure_memory(task, record)
        return record.status.is_result

    def sweep(self, tasks: Sequence[Task]) -> bool:
        """Run trials together, and send their records as they end; return whether all are results.

        Those that are left where the sweep fails run by themselves, in other processes.
        """
        setup, by_number = self.setup, {task.trial.number: task for task in tasks}
        sweep = Sweep(tasks, watch=self.watch, threads=setup.threads, time_limit=setup.time_limit)
        self.present, are_results = sweep.tasks, True
        while ended := sweep.advance():
            self.present = sweep.tasks
            if any(record.status == Status.INTERRUPTED for record in ended):
                sweep.failure = "KeyboardInterrupt"  # see `run`
                break
            for record in ended:
                self.send("record", replace(record, trace=[]))  # its rows have been sent
                self.measure_memory(by_number[record.trial.number], record)
                are_results &= record.status.is_result
            self.send("ended", [record.trial.number for record in ended])
        if sweep.failure:
            self.send("failure", f"the sweep raised {sweep.failure}")
        return are_results and not sweep.failure

    def measure_memory(self, task: Task, record: TrialRecord) -> None:
        """Send the peak memory of a trial that gave a result, where it is asked for.

        The record has been sent before, so that a crash in this pass loses nothing of it.
        """
        if self.setup.peak_memory and record.status.is_result and record.trace:
            passes = replace(task.budget, epochs=max(1, record.trace[-1].epoch))
            with suppress(BaseException):  # an exception of the second pass is no result
                peak = peak_bytes(task.trial, task.problem, task.optimizer, passes)
                self.send("peak", (task.trial.number, peak))

    def watch(self, trial: Trial, row: TraceRow) -> None:
        """Send the rows of a look once all present trials have theirs: one message, one answer."""
        self.rows.append((trial.number, row))
        if len(self.rows) >= len(self.present):
            rows, self.rows = self.rows, []
            self.send("rows", rows)
            if self.setup.acknowledged:
                self.receive()

    def receive(self) -> bytes:
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            end_process()

    def send(self, kind: str, what: object = None) -> None:
        try:
            self.connection.send_bytes(pickle.dumps((kind, what)))
        except OSError:
            end_process()


def _failed(trial: Trial, error: BaseException) -> TrialRecord:
    message, said = describe_exception(error)
    return TrialRecord(trial, Status.FAILED, message, said)


def _warm_up_blas(threads: int) -> None:
    """Let each OpenBLAS take the memory for its threads, and the buffer of this one."""
    set_threads(threads)
    factor = np.ones((20, 3))
    _ = factor.T @ factor  # such a product takes the buffer, however small it is
    scipy.linalg.blas.dsyrk(1.0, factor)


def _limit_memory(most: int, growth: int) -> None:
    """Limit the data of this process to so many more bytes, and for good to ``growth`` beyond."""
    import resource  # noqa: PLC0415 - not there on Windows, where no limit is asked for

    # The limit on data, not on address space: CUDA reserves terabytes of addresses it never uses.
    limit = process_status()["VmData"] + most
    hardest = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hardest == resource.RLIM_INFINITY:  # before the first trial
        hardest = limit + growth
    resource.setrlimit(resource.RLIMIT_DATA, (min(limit, hardest), hardest))


def _adopt_orphans() -> None:
    """Make the processes children of this one that an optimizer's children leave behind (Linux)."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1)


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # an optimizer may have closed them
            stream.flush()


def end_process() -> NoReturn:
    """End this process at once: an orderly end would wait for threads that an optimizer left."""
    flush()
    os._exit(0)
