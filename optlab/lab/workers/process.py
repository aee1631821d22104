"""The parent's handle of one worker process: its start, its messages, its end."""

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
from optlab.lab.workers.child import Setup
from optlab.lab.workers.pickling import dumps_by_value
from optlab.problems import Problem

# The path first: `-m optlab.lab.workers.child` would look for optlab where this process may not look.
_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from optlab.lab.workers.child import main
main(*map(int, sys.argv[1:]))
"""

GRACE = 0.5
"""Seconds after its limit that a trial has to end by itself, as one that yields iterates does."""

_ARRIVAL = 30
"""Seconds after its limit that a task has to begin: unpickling it may run anybody's code."""

_STUCK_SECONDS = 10
"""A worker that neither takes nor gives another byte of a message for so long is lost."""

_DYING_SECONDS = 5
"""How long a killed process may take to be gone; the kernel can be busy with its memory."""

_MOST_CRASH_LOG = 20_000
"""Bytes kept of what a dying process says."""


class WorkerProcess:
    """One worker process, and the trial that it is at.

    Attributes
    ----------
    task
        What it has been given to do; None while it is idle.
    record
        What is known of its trial so far; complete once ``measured``.
    deadline
        When, by `time.monotonic`, it has to be ended.
    ready, started
        Whether it has told that it can work, and that it has begun with its task.
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
        self._forget_task()
        self._send(pickle.dumps(setup))

    def _forget_task(self) -> None:
        self.task: Task | None = None
        self.record: TrialRecord | None = None
        self.started = self.measured = self.contended = False
        self.deadline = math.inf

    @property
    def is_alive(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def assign(self, task: Task) -> None:
        """Give it a task, which it begins when it is ready."""
        self.task, self.record = task, TrialRecord(task.trial)

    def send_task(self) -> None:
        """Send it the task it has been given.

        Raises
        ------
        Exception
            Where the task cannot be pickled.
        """
        assert self.task is not None
        trial, problem = self.task.trial, self.task.problem
        key, problem_bytes = id(problem), None
        if key not in self._problems:
            problem.optimum()  # solved here, once, and not by every worker
            problem_bytes = dumps_by_value(problem)
        parcel = pickle.dumps(
            (trial, key, problem_bytes, dumps_by_value((self.task.optimizer, self.task.budget)))
        )
        self._problems[key] = problem  # held, so that its id stays its own
        self._send(parcel)
        self.limit_time(_ARRIVAL)

    def acknowledge(self) -> None:
        """Let it go on after a recorded iterate."""
        if self.setup.acknowledged:
            self._send(b"")

    def _send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except OSError:  # dead, or deaf; it is buried when it is listened to
            self.process.kill()

    def receive(self) -> tuple[str, Any]:
        """Return the next thing it tells.

        Raises
        ------
        Exception
            Where it has died, or can no longer be understood.
        """
        kind, what = pickle.loads(self.connection.recv_bytes())
        return kind, what

    def limit_time(self, grace: float) -> None:
        """Let its time run from now."""
        if self.setup.time_limit is not None:
            self.deadline = time.monotonic() + self.setup.time_limit + grace

    def late(self) -> str:
        """Return what it is killed for at its deadline, in words."""
        limit = self.setup.time_limit or math.inf
        if self.started:
            return f"killed at its time limit of {limit:g} s"
        return f"killed: not unpickled {limit + _ARRIVAL:g} s after it was sent to its process"

    def take_record(self) -> TrialRecord:
        """Return the record of its task, which is forgotten: it is idle."""
        assert self.record is not None
        record = replace(self.record, contended=self.contended)
        self._forget_task()
        return record

    def record_end(self, status: Status, message: str) -> None:
        """Put into its record how a trial ended that could not tell it itself."""
        if self.record is None or self.measured:
            return
        self.record.status, self.record.message = status, message
        self.record.traceback = self._said()
        if self.record.trace:
            self.record.seconds = self.record.trace[-1].seconds

    def end(self, *, at_once: bool) -> str:
        """End the process and its group; return how it ended by itself, in words."""
        with suppress(subprocess.TimeoutExpired):  # its connection closes a moment before it ends
            self.process.wait(0 if at_once else 0.5)
        code = self.process.returncode
        self.kill()
        return _in_words(code)

    def kill(self) -> None:
        """End the process at once, and all that it started that is still of its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_DYING_SECONDS)

    def close(self) -> None:
        """Give back what was held for the process."""
        self.connection.close()
        self._crash_log.close()

    def _said(self) -> str:
        size = self._crash_log.seek(0, os.SEEK_END)
        self._crash_log.seek(max(0, size - _MOST_CRASH_LOG))
        return self._crash_log.read().decode(errors="replace")


def _search_path() -> list[str]:
    """Where modules are looked for, so that those beside a person's script are found there too."""
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the folder we are in


def _in_words(code: int | None) -> str:
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
