"""Handle of one worker process in its parent: start it, exchange messages with it, end it."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.child import TRACEBACK_SIGNAL, Setup
from optlab.lab.workers.pickling import dumps_by_value
from optlab.problems import Problem

# The search path comes first: `-m optlab.lab.workers.child` would look elsewhere for optlab.
_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from optlab.lab.workers.child import main
main(*map(int, sys.argv[1:]))
"""

GRACE = 0.5
"""Seconds after its limit in which a trial may end by itself, as one that yields iterates does."""

_UNPICKLING_SECONDS = 30
"""Seconds beyond its limit in which a task must begin: unpickling it may run a person's code."""

_STUCK_SECONDS = 10
"""Seconds without another byte of a message after which a worker counts as lost."""

_DYING_SECONDS = 5
"""Seconds that a killed process may take to be gone; the kernel can be busy with its memory."""

_MOST_CRASH_LOG = 20_000
"""Bytes kept of the traceback that a process writes when it crashes or is killed."""

_TRACEBACK_SECONDS = 0.2
"""Seconds that a process may take to write its traceback before it is killed."""


class WorkerProcess:
    """A worker process and its present task.

    Attributes
    ----------
    task
        The task it has been given; None while it is idle.
    record
        The record of its trial so far; complete once ``measured``.
    deadline
        The time, by `time.monotonic`, at which it is ended.
    ready, started
        Whether it has reported that it can work, and that it has begun its task.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.ready = False
        self._problems: dict[int, Problem] = {}
        self._crash_log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        ours, theirs = socket.socketpair()
        with theirs:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _STUCK_SECONDS, 0))
            descriptors = theirs.fileno(), self._crash_log.fileno()
            arguments = [*map(str, (*descriptors, os.getpid())), json.dumps(_search_path())]
            # A session of its own: Ctrl-C at the terminal goes to us alone, and whatever processes
            # an optimizer starts can be ended with it. The kernel ends it (PR_SET_PDEATHSIG) with
            # the *thread* that starts it, so no helper thread may do this.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,
            )
        self.connection = Connection(ours.detach())
        self._clear_task()
        self._send(pickle.dumps(setup))

    def _clear_task(self) -> None:
        self.task: Task | None = None
        self.record: TrialRecord | None = None
        self.started = self.measured = self.contended = False
        self.deadline = math.inf

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def assign(self, task: Task) -> None:
        """Give the process a task, which it begins when it is ready."""
        self.task, self.record = task, TrialRecord(task.trial)

    def send_task(self) -> None:
        """Send the process the task that it has been given.

        Raises
        ------
        Exception
            Where the task cannot be pickled.
        """
        assert self.task is not None
        trial, problem = self.task.trial, self.task.problem
        key, problem_bytes = id(problem), None
        if key not in self._problems:
            problem.optimum()  # solved once, here, not by every worker
            problem_bytes = dumps_by_value(problem)
        message = pickle.dumps(
            (trial, key, problem_bytes, dumps_by_value((self.task.optimizer, self.task.budget)))
        )
        self._problems[key] = problem  # kept alive, so that no other object gets its id
        self._send(message)
        self.limit_time(_UNPICKLING_SECONDS)

    def acknowledge(self) -> None:
        """Let the process go on after a recorded iterate."""
        if self.setup.acknowledged:
            self._send(b"")

    def _send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except OSError:  # the pipe is closed; the pool sees it when it reads from it
            self.process.kill()

    def receive(self) -> tuple[str, Any]:
        """Return the next message of the process: its kind, and what it carries.

        Raises
        ------
        Exception
            Where the process has died, or its message cannot be unpickled.
        """
        kind, what = pickle.loads(self.connection.recv_bytes())
        return kind, what

    def limit_time(self, grace: float) -> None:
        """Set the deadline: the time limit and a grace period from now."""
        if self.setup.time_limit is not None:
            self.deadline = time.monotonic() + self.setup.time_limit + grace

    def timeout_message(self) -> str:
        """Return the reason for killing the process at its deadline."""
        limit = self.setup.time_limit or math.inf
        if self.started:
            return f"killed at its time limit of {limit:g} s"
        seconds = limit + _UNPICKLING_SECONDS
        return f"killed: not unpickled {seconds:g} s after it was sent to its process"

    def take_record(self) -> TrialRecord:
        """Return the record of the task and make the process idle."""
        assert self.record is not None
        record = replace(self.record, contended=self.contended)
        self._clear_task()
        return record

    def record_end(self, status: Status, message: str) -> None:
        """Record how a trial ended whose process could not report it."""
        if self.record is None or self.measured:
            return
        self.record.status, self.record.message = status, message
        self.record.traceback = self._crash_text()
        if self.record.trace:
            self.record.seconds = self.record.trace[-1].seconds

    def end(self, *, at_once: bool) -> str:
        """End the process and its group; return how it ended by itself, in words."""
        if at_once:
            self._ask_for_traceback()
        else:
            with suppress(subprocess.TimeoutExpired):  # its connection closes before it ends
                self.process.wait(0.5)
        code = self.process.poll()
        self.kill()
        return _describe_exit(code)

    def _ask_for_traceback(self) -> None:
        """Let the process write where it is, by `faulthandler`, and wait until it has.

        The process writes it in its own main thread, when it is asked. A thread that dumps the
        frames of another while these change can crash the process, and the trial would be blamed.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.process.pid, TRACEBACK_SIGNAL)
        end = time.monotonic() + _TRACEBACK_SECONDS
        while time.monotonic() < end and self.is_alive and not self._crash_text():
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill the process and all processes of its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_DYING_SECONDS)

    def close(self) -> None:
        """Close the connection and the crash log."""
        self.connection.close()
        self._crash_log.close()

    def _crash_text(self) -> str:
        size = self._crash_log.seek(0, os.SEEK_END)
        self._crash_log.seek(max(0, size - _MOST_CRASH_LOG))
        return self._crash_log.read().decode(errors="replace")


def _search_path() -> list[str]:
    """Return the module search path, absolute, so that modules beside a script are found."""
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the folder we are in


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "its process could no longer be reached"
    if code >= 0:
        return f"its process died: exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = "signal"
    cause = ", as where memory runs out" if -code == signal.SIGKILL else ""
    return f"its process died: {name} (signal {-code}){cause}"
