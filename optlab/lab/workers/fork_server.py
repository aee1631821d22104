"""A fork server: a process that has loaded torch, and forks a child for each trial.

A fork takes milliseconds where a new process takes seconds to load torch, and each child begins
with the same memory, whatever earlier children did to theirs. The server itself runs nothing of an
optimizer, computes nothing, and has no threads of Python's: OpenMP's are started by the first
parallel loop, in a child; OpenBLAS ends its own before each fork and starts them again after it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from optlab.lab.measure.machine import keep_machine_label
from optlab.lab.measure.threads import set_threads
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.lab.trial.run import run_trial
from optlab.lab.workers.child import Order, Setup, end_process, flush, run_order
from optlab.lab.workers.huge_pages import use_huge_pages
from optlab.optimizers.analytic_sgd import AnalyticSGD
from optlab.problems.linear_regression import LinearRegression

DESCRIPTORS = 3
"""File descriptors that come with each order: see `run_order`."""


def main(control: int, parent: int) -> None:
    """Fork a child for each order that comes by a socket, until the socket closes.

    The messages sent are "ready" once all is loaded, and when a child has ended its number and how
    it ended: its exit code, or the negative number of the signal that killed it.
    """
    _end_with(parent)
    # The parent handles Ctrl-C; here it may come from a terminal or from a script.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Asked whether there is a CUDA device, torch would start CUDA, which no fork survives.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    connection = Connection(control)
    with suppress(EOFError, OSError):
        setup: Setup = pickle.loads(connection.recv_bytes())
        keep_machine_label(setup.machine)
        _warm_up()
        set_threads(setup.threads)
        _load(setup.modules)
        gc.collect()
        use_huge_pages()
        connection.send_bytes(pickle.dumps("ready"))
        _Server(control, connection, setup).serve()
    end_process()


class _Server:
    """The loop of the server, with the children that it has: process numbers by their own."""

    def __init__(self, control: int, connection: Connection, setup: Setup) -> None:
        self.control, self.connection, self.setup = control, connection, setup
        self.running: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        self.woken, self.waker = socket.socketpair()
        for end in (self.woken, self.waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # or nothing would be written to the waker
        signal.set_wakeup_fd(self.waker.fileno())

    def serve(self) -> None:
        """Fork as ordered, and tell who has ended, until the socket closes."""
        while True:
            ready = wait([self.connection, self.woken])
            if self.connection in ready:
                self.obey(pickle.loads(self.connection.recv_bytes()))
            if self.woken in ready:
                self.woken.recv(4096)  # before the look: what ends after it wakes again
            for number, child in list(self.running.items()):
                if (code := _exit_code(child)) is not None:
                    self.ended[number] = self.running.pop(number)
                    self.connection.send_bytes(pickle.dumps((number, code)))

    def obey(self, message: Order | int) -> None:
        """Fork for an order; reap the child of a number."""
        if isinstance(message, int):
            # Only now, when the parent has killed its group: until then no other has its number.
            os.waitpid(self.ended.pop(message), 0)
            return
        descriptors = _descriptors(self.control)
        _load(message.imports)
        self.running[message.process] = self.fork(message, descriptors)

    def fork(self, order: Order, descriptors: list[int]) -> int:
        """Return the process number of a child that runs the order."""
        flush()  # what is in the buffers would be written by the child too
        server = os.getpid()
        child = os.fork()
        if child == 0:
            try:
                self.leave()
                _end_with(server)
                run_order(order, descriptors, self.setup)
            finally:
                end_process()
        for descriptor in descriptors:
            os.close(descriptor)
        return child

    def leave(self) -> None:
        """Let go, in a child, of what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.control)
        self.woken.close()
        self.waker.close()


def _warm_up() -> None:
    """Run a trial of three rows, on one thread: no child then looks up what every trial needs.

    Without autograd: where there is a CUDA device its first backward pass starts threads, and no
    child of a process that has them can make one.
    """
    problem = LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    trial = Trial(0, problem.name, "AnalyticSGD", 1, "cpu", "float64", seed=0)
    run_trial(trial, problem, AnalyticSGD(), Budget(epochs=1), threads=1)


def _descriptors(control: int) -> list[int]:
    with socket.socket(fileno=os.dup(control)) as here:
        _, descriptors, *_ = socket.recv_fds(here, 1, DESCRIPTORS)
    return descriptors


def _load(modules: tuple[str, ...]) -> None:
    """Import modules that trials would import, each anew."""
    for module in modules:
        if module not in sys.modules:
            with suppress(Exception):  # the trial that needs it says what is wrong
                importlib.import_module(module)
    # What is there stays: no collection in a child walks over it, which would copy its pages.
    gc.freeze()


def _exit_code(child: int) -> int | None:
    """Return how a child ended; None while it runs."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, even in an endless loop in C."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        # Where memory runs out, this process is to go, not the one that keeps the results.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if os.getppid() != parent:  # the parent ended before we asked
        end_process()
