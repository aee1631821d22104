"""A worker process: start it, exchange messages, and kill it when its time or memory runs out."""

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
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, NamedTuple

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task
from optlab.lab.workers.child import TRACEBACK_SIGNAL, Order, Setup
from optlab.lab.workers.group_memory import group_memory
from optlab.lab.workers.pickle_file import Layout, dump
from optlab.optimizers.together import imports_of

# The search path comes first: `-m optlab.lab.workers.fork_server` would look elsewhere for optlab.
_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from optlab.lab.workers.fork_server import main
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

LOOK_SECONDS = 0.2
"""Seconds between looks at the memory of a trial's processes, where that is limited."""

_OWN_BYTES = 64 << 20
"""Bytes beyond its limit that a group may hold: pages that the process itself writes once it runs
(counts of references, buffers of BLAS), and what it needs to fail by itself at its own limit."""

_TRACEBACK_SECONDS = 1.0
"""Seconds that a process may take to write its traceback before it is killed."""


_MOST_IDLE = 32
"""Processes of a server that may wait for another trial of their optimizer."""


class ProblemFile:
    """A problem, pickled into a file from which every process maps its data."""

    def __init__(self, problem: object) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self.problem = problem  # kept alive, so that no other object gets its id
        try:
            self.layout: Layout = dump(problem, self.file)
        except BaseException:
            self.file.close()
            raise


class _Forked(NamedTuple):
    """A process that a server forked: the server's number of it, its channel and its crash log."""

    number: int
    connection: Connection
    crash_log: BinaryIO


class WorkerProcess:
    """A fork server, its present task or tasks, and the process that was forked for them.

    The tasks of a sweep have one process, and leave one by one. Where trials may share processes,
    it keeps those that wait for another trial of their optimizer on their problem.

    Attributes
    ----------
    tasks
        Those it has been given, by number; none while it is idle.
    records
        The records of their trials so far, but for those that were taken; complete once
        ``measured`` has the number.
    is_sweep, failure
        Whether they run together, and why that could not go on.
    pid
        The number of the process that runs them; None before it has told it.
    deadline
        The time, by `time.monotonic`, at which that process is ended.
    ready, started
        Whether the server has loaded all, and whether the tasks have begun.
    is_reused
        Whether the process has run another trial before.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.ready = False
        ours, theirs = _socket_pair()
        with theirs:
            arguments = [str(theirs.fileno()), str(os.getpid()), json.dumps(_search_path())]
            # A session of its own: Ctrl-C at the terminal goes to us alone. The kernel ends it
            # (PR_SET_PDEATHSIG) with the *thread* that starts it, so no helper thread may do this.
            self.server = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control = ours
        self.control = Connection(os.dup(ours.fileno()))
        self._forks = 0
        self._exits: dict[int, int] = {}  # exit codes of processes whose end the server has told
        self._idle: dict[tuple[int, ...], tuple[_Forked, int]] = {}
        self._clear_task()
        with suppress(OSError):  # a server that has ended is seen by the pool
            self.control.send_bytes(pickle.dumps(setup))

    def _clear_task(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.records: dict[int, TrialRecord] = {}
        self.measured: set[int] = set()
        self.failure = ""
        self._forked: _Forked | None = None
        self._key: tuple[int, ...] = ()
        self.pid: int | None = None
        self._next_look = 0.0
        self._held_before = 0
        self.started = self.contended = self.is_reused = False
        self.deadline = math.inf

    @property
    def connection(self) -> Connection | None:
        """The channel to the process of the task; None before it is forked."""
        return self._forked and self._forked.connection

    @property
    def is_alive(self) -> bool:
        """Whether the server is running."""
        return self.server.poll() is None

    @property
    def is_sweep(self) -> bool:
        """Whether the tasks run together."""
        return len(self.tasks) > 1

    def assign(self, tasks: Sequence[Task]) -> None:
        """Give the server tasks of one process, which runs them when the server is ready."""
        if self._forked:  # a process that died while it waited, and did not begin the task
            _close(self._forked)
        self._clear_task()
        self.tasks = {task.trial.number: task for task in tasks}
        self.records = {
            number: TrialRecord(task.trial, shared=self.is_sweep)
            for number, task in self.tasks.items()
        }

    def send_tasks(self, problem: ProblemFile, optimizers: bytes) -> None:
        """Let a process run the tasks: one that waits for such ones, or a new one.

        The optimizers come pickled.
        """
        first, *_ = tasks = list(self.tasks.values())
        self._key = id(first.problem), *(id(task.optimizer) for task in tasks)
        imports = imports_of([task.optimizer for task in tasks])
        trials = tuple(task.trial for task in tasks)
        order = Order(trials, problem.layout, optimizers, first.budget, imports, self._forks)
        with suppress(EOFError, OSError):  # a server that has ended is seen by the pool
            while self.control.poll(0):  # one that waited may have died
                self.hear()
            if not self._reuse(order):
                self._fork(order, problem)
        self.limit_time(_UNPICKLING_SECONDS)

    def _reuse(self, order: Order) -> bool:
        """Send an order to a process that waits for such a one; return whether there is one."""
        if self._key not in self._idle:
            return False
        self._forked, self.pid = self._idle.pop(self._key)
        self.is_reused = True
        self._forked.crash_log.seek(0)  # the process writes where we are: we share the offset
        self._forked.crash_log.truncate()
        self.note_fork(self.pid)
        self._forked.connection.send_bytes(pickle.dumps(order))
        return True

    def _fork(self, order: Order, problem: ProblemFile) -> None:
        """Let the server fork a process for an order."""
        while len(self._idle) >= _MOST_IDLE:
            # Trials come in rounds over the optimizers: the last one's next is farthest off.
            self._end_idle(next(reversed(self._idle)))
        crash_log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        ours, theirs = _socket_pair()
        files = [f.fileno() for f in (crash_log, problem.file)]
        self._forked = _Forked(self._forks, Connection(ours.detach()), crash_log)
        self._forks += 1
        with theirs:
            self.control.send_bytes(pickle.dumps(order))
            socket.send_fds(self._control, [b"f"], [theirs.fileno(), *files])

    def acknowledge(self) -> None:
        """Let the process go on after a recorded iterate."""
        if self.setup.acknowledged and self.connection:
            with suppress(OSError):  # the process has ended; the pool sees it when it reads
                self.connection.send_bytes(b"")

    def hear(self) -> None:
        """Take a message of the server: that it is ready, or that a process has ended.

        Raises
        ------
        EOFError, OSError
            Where the server has ended.
        """
        message = pickle.loads(self.control.recv_bytes())
        if message == "ready":
            self.ready = True
            return
        number, code = message
        if self._forked and self._forked.number == number:
            self._exits[number] = code
            return
        for key, (forked, pid) in list(self._idle.items()):  # it died while it waited
            if forked.number == number:
                del self._idle[key]
                self._exits[number] = code
                self._bury(forked, pid)
                _close(forked)

    @property
    def has_ended(self) -> bool:
        """Whether the server has told that the process of the task has ended."""
        return self._forked is not None and self._forked.number in self._exits

    def limit_time(self, grace: float) -> None:
        """Set the deadline: the tasks' time limits and a grace period from now."""
        if self.setup.time_limit is not None:
            self.deadline = time.monotonic() + len(self.tasks) * self.setup.time_limit + grace

    def timeout_message(self) -> str:
        """Return the reason for killing the process at its deadline."""
        limit = len(self.tasks) * (self.setup.time_limit or math.inf)
        if self.started:
            whose = "its sweep's" if self.is_sweep else "its"
            return f"killed at {whose} time limit of {limit:g} s"
        seconds = limit + _UNPICKLING_SECONDS
        return f"killed: not unpickled {seconds:g} s after it was sent to its process"

    def note_message(self, kind: str, what: Any) -> None:
        """Take note of a message on the process, on a trial's record, or on the sweep."""
        match kind:
            case "forked":
                self.note_fork(what)
            case "record":
                number = what.trial.number
                # Those of a sweep come without their trace; another's is lost where memory ran out.
                what.trace = what.trace or self.records[number].trace
                self.records[number] = what
                self.measured.add(number)
                if self.setup.peak_memory:
                    self.limit_time(GRACE)
            case "peak":
                number, peak = what
                self.records[number].peak_bytes = peak
            case "failure":
                self.failure = what

    def note_fork(self, pid: int) -> None:
        """Take note of the process that was forked, and of the memory held before its trial."""
        self.pid = pid
        if self.setup.memory_limit is not None:
            self._held_before = group_memory(pid, self.server.pid)

    def over_limit(self) -> str | None:
        """Return a reason to kill the process for the memory of its group, or None."""
        most = self.setup.memory_limit
        if most is None or self.pid is None or time.monotonic() < self._next_look:
            return None
        began = time.monotonic()
        held = group_memory(self.pid, self.server.pid) - self._held_before
        now = time.monotonic()
        # To count pages takes time where there are many: it is to take a small part of it all.
        self._next_look = now + max(LOOK_SECONDS, 10 * (now - began))
        if held <= most + _OWN_BYTES:
            return None
        return (
            f"killed: it held {held / 2**20:.0f} MiB, with its forks and what it shared; "
            f"its memory limit is {most / 2**20:.0f} MiB"
        )

    def take(self, numbers: Iterable[int]) -> list[TrialRecord]:
        """Return the records of tasks that have left their sweep."""
        return [replace(self.records.pop(n), contended=self.contended) for n in numbers]

    def take_records(self) -> list[TrialRecord]:
        """Return the records of the tasks, whose process has ended or waits, and make this idle."""
        records = self.take(list(self.records))
        if self._forked:
            _close(self._forked)
        self._clear_task()
        return records

    def keep_child(self) -> None:
        """Let the process of the tasks wait for others of the same optimizers and problem."""
        assert self._forked is not None
        assert self.pid is not None
        self._idle[self._key] = self._forked, self.pid
        self._forked = self.pid = None

    def record_end(self, status: Status, message: str) -> None:
        """Record how trials ended whose process could not report it."""
        crash_text = self._crash_text()
        for number, record in self.records.items():
            if number not in self.measured:
                record.status, record.message, record.traceback = status, message, crash_text
                if record.trace:
                    record.seconds = record.trace[-1].seconds

    def end_child(self, *, wait: float = 0.0) -> str:
        """End the process of the task and its group, and return how it ended, in words.

        It has ``wait`` seconds to end by itself. A server that cannot tell its end is killed.
        """
        if self._forked is None:
            with suppress(subprocess.TimeoutExpired):
                self.server.wait(wait)
            return _describe_exit(self.server.poll())
        self._wait_for_exit(wait)
        _kill_group(self.pid)
        self._wait_for_exit(_DYING_SECONDS)
        if not self.has_ended:
            self._kill_server()
            return _describe_exit(None)
        code = self._exits[self._forked.number]
        self._bury(self._forked, self.pid)
        return _describe_exit(code)

    def _wait_for_exit(self, seconds: float) -> None:
        """Wait so long at most until the server tells that the process of the task has ended."""
        end = time.monotonic() + seconds
        with suppress(EOFError, OSError):
            while not self.has_ended and self.control.poll(max(0.0, end - time.monotonic())):
                self.hear()

    def _bury(self, forked: _Forked, pid: int | None) -> None:
        """End what a process that has ended forked at its last moment, and let it be reaped."""
        _kill_group(pid)
        del self._exits[forked.number]
        with suppress(OSError):  # a server that has ended is seen by the pool
            self.control.send_bytes(pickle.dumps(forked.number))

    def _end_idle(self, key: tuple[int, ...]) -> None:
        """End a process that waits for another trial."""
        assert self._forked is None
        self._forked, self.pid = self._idle.pop(key)
        self.end_child()
        _close(self._forked)
        self._forked = self.pid = None

    def ask_for_traceback(self) -> None:
        """Let the process write where it is, by `faulthandler`, and wait until it has.

        The process writes it in its own main thread, when it is asked. A thread that dumps the
        frames of another while these change can crash the process, and the trial would be blamed.
        """
        if self.pid is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, TRACEBACK_SIGNAL)
        end, text = time.monotonic() + _TRACEBACK_SECONDS, ""
        while time.monotonic() < end and not self.control.poll(0.005):
            before, text = text, self._crash_text()
            if text and text == before:
                return

    def close(self) -> None:
        """End the server, the process of its task, and all that this has started."""
        _kill_group(self.pid)
        for _, pid in self._idle.values():
            _kill_group(pid)
        self._kill_server()
        for forked in [self._forked, *(forked for forked, _ in self._idle.values())]:
            if forked:
                _close(forked)
        self._idle.clear()
        self.control.close()
        self._control.close()

    def _kill_server(self) -> None:
        self.server.kill()
        with suppress(subprocess.TimeoutExpired):
            self.server.wait(_DYING_SECONDS)

    def _crash_text(self) -> str:
        if self._forked is None:
            return ""
        # Not by `seek`: the process writes at the same offset.
        file = self._forked.crash_log.fileno()
        start = max(0, os.fstat(file).st_size - _MOST_CRASH_LOG)
        return os.pread(file, _MOST_CRASH_LOG, start).decode(errors="replace")


def _kill_group(pid: int | None) -> None:
    if pid is not None:  # else it has not begun, and ends with its server
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _close(forked: _Forked) -> None:
    forked.connection.close()
    forked.crash_log.close()


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets, ours such that no message can be waited for without end."""
    ours, theirs = socket.socketpair()
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _STUCK_SECONDS, 0))
    return ours, theirs


def _search_path() -> list[str]:
    """Return the module search path, absolute, so that modules beside a script are found."""
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the folder we are in


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "its process, or the server that had forked it, was lost"
    if code >= 0:
        return f"its process died: exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = "signal"
    cause = ", as where memory runs out" if -code == signal.SIGKILL else ""
    return f"its process died: {name} (signal {-code}){cause}"
