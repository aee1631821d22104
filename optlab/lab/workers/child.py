"""Main loop of a worker process: receive a task, run its trial, send the record, repeat.

Tasks and records go through a socket of their own, so that what an optimizer prints does no harm.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import math
import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from optlab.lab.measure.memory import process_status
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.peak_memory import peak_bytes
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.run import describe_exception, run_trial
from optlab.lab.trial.status import Status
from optlab.problems import Problem

TRACEBACK_SIGNAL = signal.SIGUSR2
"""The signal on which a worker process writes its traceback into the crash log."""


class Setup(NamedTuple):
    """The settings of all trials of a worker.

    ``threads`` as in `run_trial`; ``time_limit`` in seconds; ``memory_limit`` in bytes beyond what
    the process holds before its first trial; ``acknowledged``: wait at each recorded iterate until
    the parent has dealt with it, so that its work falls beside no trial's clock.
    """

    threads: int
    time_limit: float | None
    memory_limit: int | None
    peak_memory: bool
    acknowledged: bool
    torch: TorchSettings


def main(socket: int, crash_log: int, parent: int) -> None:
    """Run the trials that come by a socket until it closes, then end this process.

    ``crash_log`` is the file descriptor that tracebacks are written to.
    """
    _end_with(parent)
    # The parent handles Ctrl-C; here it may come from a terminal or from a script.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(file=crash_log, all_threads=False)
    faulthandler.register(TRACEBACK_SIGNAL, file=crash_log, all_threads=False)
    _Worker(Connection(socket), crash_log).serve()


class _Worker:
    def __init__(self, connection: Connection, crash_log: int) -> None:
        self.connection, self.crash_log = connection, crash_log
        self.setup: Setup = pickle.loads(self.receive())
        self.problems: dict[int, Problem] = {}
        self.most_data = math.inf
        if self.setup.memory_limit is not None:
            self.most_data = _limit_memory(self.setup.memory_limit)

    def serve(self) -> None:
        gc.freeze()  # what has been imported stays: a collection need not walk over it again
        self.send("ready")
        while True:
            trial, key, problem, rest = pickle.loads(self.receive())
            # The crash log holds the traceback of the present trial only.
            os.ftruncate(self.crash_log, 0)
            os.lseek(self.crash_log, 0, os.SEEK_SET)
            threads = threading.active_count()
            self.is_reusable = True
            self.work(trial, key, problem, rest)
            gc.collect()
            self.is_reusable &= threading.active_count() <= threads and self.memory_is_free()
            _flush()
            self.send("idle", self.is_reusable)

    def work(self, trial: Trial, key: int, problem: bytes | None, rest: bytes) -> None:
        """Run one trial and send its record, and its peak memory where asked for."""
        try:
            if problem is not None:
                self.problems[key] = pickle.loads(problem)
            optimizer, budget = pickle.loads(rest)
        except BaseException as error:  # unpickling runs a person's code
            self.is_reusable = False  # the parent takes the problem for received
            self.send("record", _failed(trial, error))
            return
        setup, problem_here = self.setup, self.problems[key]
        setup.torch.apply()
        self.send("started")
        try:
            record = run_trial(
                trial,
                problem_here,
                optimizer,
                budget,
                watch=self.watch,
                threads=setup.threads,
                time_limit=setup.time_limit,
                catch=(BaseException,),
            )
        except BaseException as error:  # no memory even to describe the exception
            record = _failed(trial, error)
        if record.status == Status.INTERRUPTED:  # Ctrl-C does not come here: the optimizer raised
            record.status, record.message = Status.FAILED, "KeyboardInterrupt"
        self.send("record", record)
        if setup.peak_memory and record.status.is_result and record.trace:
            # The record has been sent before, so that a crash in this pass loses nothing of it.
            try:
                made = replace(budget, epochs=max(1, record.trace[-1].epoch))
                self.send("peak", peak_bytes(trial, problem_here, optimizer, made))
            except BaseException:  # an exception of the second pass is no result
                return

    def watch(self, _: Trial, row: TraceRow) -> None:
        self.send("row", row)
        if self.setup.acknowledged:
            self.receive()

    def memory_is_free(self) -> bool:
        """Whether at least half of the memory allowed is free for the next trial."""
        return self.most_data == math.inf or process_status()["VmData"] < self.most_data

    def send(self, kind: str, what: object = None) -> None:
        try:
            self.connection.send_bytes(pickle.dumps((kind, what)))
        except OSError:
            _end()

    def receive(self) -> bytes:
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            _end()
            raise


def _failed(trial: Trial, error: BaseException) -> TrialRecord:
    message, said = describe_exception(error)
    return TrialRecord(trial, Status.FAILED, message, said)


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, even in an endless loop in C."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        # Where memory runs out, this process is to go, not the one that keeps the results.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if os.getppid() != parent:  # the parent ended before we asked
        _end()


def _limit_memory(most: int) -> float:
    """Limit the data of this process to so many more bytes; return the size at half of them."""
    import resource  # noqa: PLC0415 - not there on Windows, where no limit is asked for

    # The limit on data, not on address space: CUDA reserves terabytes of addresses it never uses.
    held = process_status()["VmData"]
    resource.setrlimit(resource.RLIMIT_DATA, (held + most, held + most))
    return held + most / 2


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # an optimizer may have closed them
            stream.flush()


def _end() -> None:
    """End this process at once: an orderly end would wait for threads that an optimizer left."""
    _flush()
    os._exit(0)
