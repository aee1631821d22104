"""Run one trial in a process of its own, forked for it, and send what comes of it.

Messages go through a socket of their own, so that what an optimizer prints does no harm.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import NamedTuple

from optlab.lab.measure.memory import process_status
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.pickle_file import Layout, load

TRACEBACK_SIGNAL = signal.SIGUSR2
"""The signal on which a worker process writes its traceback into the crash log."""


class Setup(NamedTuple):
    """The settings of all trials of a worker.

    ``threads`` as in `run_trial`; ``time_limit`` in seconds; ``memory_limit`` in bytes beyond what
    the process holds before its trial; ``acknowledged``: wait at each recorded iterate until
    the parent has dealt with it, so that its work falls beside no trial's clock. ``machine`` is
    the machine's label, which a process that forks must not look for: it would start CUDA.
    """

    threads: int
    time_limit: float | None
    memory_limit: int | None
    peak_memory: bool
    acknowledged: bool
    torch: TorchSettings
    machine: str


class Order(NamedTuple):
    """One trial to be run, where its problem lies in its file, and its optimizer, pickled.

    ``imports`` are modules that are loaded before the process is forked.
    """

    trial: Trial
    problem: Layout
    optimizer: bytes
    budget: Budget
    imports: tuple[str, ...]


def run_order(order: Order, descriptors: list[int], setup: Setup) -> None:
    """Run a trial in this process, which was forked for it, and end the process.

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

    def work(self, order: Order, problem: int) -> None:
        """Run the trial and send its record, and its peak memory where asked for."""
        self.send("forked", os.getpid())
        if self.setup.memory_limit is not None:
            _limit_memory(self.setup.memory_limit)
        try:
            optimizer = pickle.loads(order.optimizer)
            task = Task(order.trial, load(problem, order.problem), optimizer, order.budget)
        except BaseException as error:  # unpickling runs a person's code
            self.send("record", _failed(order.trial, error))
        else:
            self.run(task)
        self.send("done")

    def run(self, task: Task) -> None:
        setup = self.setup
        setup.torch.apply()
        self.send("started")
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
        if setup.peak_memory and record.status.is_result and record.trace:
            # The record has been sent before, so that a crash in this pass loses nothing of it.
            passes = replace(task.budget, epochs=max(1, record.trace[-1].epoch))
            with suppress(BaseException):  # an exception of the second pass is no result
                peak = peak_bytes(task.trial, task.problem, task.optimizer, passes)
                self.send("peak", peak)

    def watch(self, _: Trial, row: TraceRow) -> None:
        self.send("row", row)
        if self.setup.acknowledged:
            try:
                self.connection.recv_bytes()
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


def _limit_memory(most: int) -> None:
    """Limit the data of this process to so many more bytes."""
    import resource  # noqa: PLC0415 - not there on Windows, where no limit is asked for

    # The limit on data, not on address space: CUDA reserves terabytes of addresses it never uses.
    held = process_status()["VmData"]
    resource.setrlimit(resource.RLIMIT_DATA, (held + most, held + most))


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # an optimizer may have closed them
            stream.flush()


def end_process() -> None:
    """End this process at once: an orderly end would wait for threads that an optimizer left."""
    flush()
    os._exit(0)
