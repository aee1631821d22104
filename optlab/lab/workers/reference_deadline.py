"""The time limit of reference solutions, which every trial of a problem is judged against."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress

from optlab.lab.measure.threads import set_threads
from optlab.problems import Problem

_START_SECONDS = 2.0
"""Seconds beyond the limit for the fork of a large process on a busy machine."""

_LONGEST_LOOK = 0.05


def check_references(problems: Mapping[str, Problem], seconds: float) -> None:
    """Raise ValueError where a problem's reference solution takes longer than the time limit.

    Each is computed in a forked process, on one thread, which can be killed in the midst of a call
    into a library; it is then computed once more where it is needed, which is known to end. Where
    processes cannot be forked (Windows), nothing is checked.
    """
    if sys.platform == "win32":
        return
    for name, problem in problems.items():
        if not _ends_within(problem, seconds + _START_SECONDS):
            raise ValueError(
                f"the reference solution of problem {name!r} was not found within the time limit "
                f"of {seconds:g} s (on one thread), and every trial is judged against it: give a "
                "longer time limit, or none"
            )


def _ends_within(problem: Problem, seconds: float) -> bool:
    with warnings.catch_warnings():  # of threads, which the child has none of: it computes on one
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            set_threads(1)
            problem.reference()  # what it raises is raised again where it is needed
        finally:
            os._exit(0)
    deadline, pause = time.monotonic() + seconds, 0.001
    try:
        while time.monotonic() < deadline:
            if os.waitpid(child, os.WNOHANG)[0]:
                child = 0
                return True
            time.sleep(pause)
            pause = min(_LONGEST_LOOK, 2 * pause)
        return False
    finally:
        if child:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
