"""The process that runs trials for `optlab.lab.workers.pool`, one after the other, until it is ended.

It is started with the number of a socket and told by it what to run. Everything that it tells goes
the same way, so whatever an optimizer prints does no harm.
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

CRASH_LOG_AFTER = 0.25
"""Seconds after the time limit at which a trial that does not end says where it hangs."""


class Setup(NamedTuple):
    """What holds for all trials of a worker.

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
    """Run the trials that come by a socket until it closes, then end this process."""
    _die_with(parent)
    # Ctrl-C is the parent's to answer; it may come here from a terminal or from a careless script.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(file=crash_log, all_threads=False)
    _Worker(Connection(socket), crash_log).serve()


class _Worker:
    def __init__(self, connection: Connection, crash_log: int) -> None:
        self.connection, self.crash_log = connection, crash_log
        self.setup: Setup = pickle.loads(self.hear())
        self.problems: dict[int, Problem] = {}
        self.most_data = math.inf
        if self.setup.memory_limit is not None:
            self.most_data = _limit_memory(self.setup.memory_limit)

    def serve(self) -> None:
        self.tell("ready")
        while True:
            trial, key, problem, rest = pickle.loads(self.hear())
            # A crash's last words are those of its own trial.
            os.ftruncate(self.crash_log, 0)
            os.lseek(self.crash_log, 0, os.SEEK_SET)
            threads = threading.active_count()
            self.fit = True
            self.work(trial, key, problem, rest)
            gc.collect()
            self.fit &= threading.active_count() <= threads and self.memory_is_free()
            _flush()
            self.tell("idle", self.fit)

    def work(self, trial: Trial, key: int, problem: bytes | None, rest: bytes) -> None:
        """Run one trial and tell its record, and its peak of memory where asked."""
        try:
            if problem is not None:
                self.problems[key] = pickle.loads(problem)
            optimizer, budget = pickle.loads(rest)
        except BaseException as error:  # unpickling runs code of anybody's
            self.fit = False  # the parent believes that the problem has arrived
            self.tell("record", _failed(trial, error))
            return
        setup, problem_here = self.setup, self.problems[key]
        setup.torch.apply()
        self.tell("started")
        if setup.time_limit is not None:
            faulthandler.dump_traceback_later(
                min(setup.time_limit + CRASH_LOG_AFTER, 1e6), file=self.crash_log
            )
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
        except BaseException as error:  # no memory even to tell what happened
            record = _failed(trial, error)
        if record.status == Status.INTERRUPTED:  # Ctrl-C does not come here: the optimizer raised
            record.status, record.message = Status.FAILED, "KeyboardInterrupt"
        faulthandler.cancel_dump_traceback_later()
        self.tell("record", record)
        if setup.peak_memory and record.status.is_result and record.trace:
            # The record has been told before, so that a death in this pass loses nothing of it.
            try:
                made = replace(budget, epochs=max(1, record.trace[-1].epoch))
                self.tell("peak", peak_bytes(trial, problem_here, optimizer, made))
            except BaseException:  # what it raises the second time is no result
                return

    def watch(self, _: Trial, row: TraceRow) -> None:
        self.tell("row", row)
        if self.setup.acknowledged:
            self.hear()

    def memory_is_free(self) -> bool:
        """Whether most of the memory allowed is there for the next trial."""
        return self.most_data == math.inf or process_status()["VmData"] < self.most_data

    def tell(self, kind: str, what: object = None) -> None:
        try:
            self.connection.send_bytes(pickle.dumps((kind, what)))
        except OSError:
            _end()

    def hear(self) -> bytes:
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            _end()
            raise


def _failed(trial: Trial, error: BaseException) -> TrialRecord:
    message, said = describe_exception(error)
    return TrialRecord(trial, Status.FAILED, message, said)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, even in an endless loop in C."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        # Where memory runs out, this process is to go, not the one that keeps the results.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if os.getppid() != parent:  # it ended before we asked
        _end()


def _limit_memory(most: int) -> float:
    """Forbid more than so many bytes beyond the present; return at what size half is used."""
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
    """End at once: an orderly end would wait for threads that an optimizer has left."""
    _flush()
    os._exit(0)
