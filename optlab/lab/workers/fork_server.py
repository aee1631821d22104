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
from multiprocessing.connection import Connection
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

    The messages sent are "ready" once all is loaded, and after each child how it ended: its exit
    code, or the negative number of the signal that killed it.
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
        gc.collect()
        use_huge_pages()
        connection.send_bytes(pickle.dumps("ready"))
        while True:
            order: Order = pickle.loads(connection.recv_bytes())
            descriptors = _descriptors(control)
            _load(order.imports)
            child = _fork(order, descriptors, setup, control)
            # Not reaped before the parent has killed its group: until then no other has its number.
            connection.send_bytes(pickle.dumps(_exit_code(child)))
            connection.recv_bytes()
            os.waitpid(child, 0)
    end_process()


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


def _fork(order: Order, descriptors: list[int], setup: Setup, control: int) -> int:
    flush()  # what is in the buffers would be written by the child too
    server = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(control)
            _end_with(server)
            run_order(order, descriptors, setup)
        finally:
            end_process()
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _exit_code(child: int) -> int:
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert ended is not None
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
