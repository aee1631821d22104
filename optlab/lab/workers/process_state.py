"""Find out whether a trial left its process as it was, so that another trial may run there."""

from __future__ import annotations

import builtins
import gc
import math
import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from optlab.lab.measure.torch_settings import TorchSettings

_DATA = 5
"""The place of the pages of data (and stack) in /proc/self/statm."""

MOST_GROWTH = 128 << 20
"""Bytes by which a process may grow over its trials."""

_LIBRARIES = (builtins, math, os, gc, time, torch, torch.autograd, torch.linalg, np,
              np.linalg, torch.nn.functional)  # fmt: skip

_SIGNALS = [
    number
    for name in ("INT", "TERM", "HUP", "ALRM", "VTALRM", "PROF", "CHLD", "PIPE", "USR1", "USR2")
    if (number := getattr(signal, f"SIG{name}", None)) is not None
]

_CACHES = {"__annotations__", "__slotnames__"}
"""Names that Python itself gives a class, when it is asked or pickled."""


class ProcessState:
    """The state of this process before its first trial.

    It holds what one trial can change for the next: the settings of torch, numpy, Python and the
    system, threads, signals, limits, the folder, the environment, every name in the lab's modules
    and classes, those of torch's and numpy's main modules, and the states of the global random
    generators of numpy and torch. It does not hold what other modules hold, nor changes within an
    object.

    Examples
    --------
    >>> state = ProcessState()
    >>> with torch.autograd.set_detect_anomaly(True, check_nan=False):
    ...     print(state.is_kept())
    False
    """

    def __init__(self) -> None:
        self._names = [(names, dict(names)) for names in _namespaces()]
        self._settings = _settings()
        self._held = _held()
        self._generators = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the global one

    def is_kept(self) -> bool:
        """Return whether all is as it was, no process was left, and the memory grew little."""
        gc.collect()
        try:
            return (
                _settings() == self._settings
                and not _has_children()
                and _held() <= self._held + MOST_GROWTH
                and all(_are_kept(names, before) for names, before in self._names)
            )
        except Exception:  # what is there now cannot be compared
            return False

    def restore_generators(self) -> None:
        """Set the global random generators of numpy and torch as they were.

        Python's goes on: it seeds itself anew in each process.
        """
        numpy, of_torch = self._generators
        np.random.set_state(numpy)  # noqa: NPY002 - the global one
        torch.set_rng_state(of_torch)


def _namespaces() -> Iterator[Mapping[str, Any]]:
    """Yield the names of the lab's modules and classes, of the libraries', and of tensors."""
    yield vars(torch.Tensor)
    for module in _LIBRARIES:
        yield vars(module)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "optlab" and isinstance(module, ModuleType):
            yield vars(module)
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == name:
                    yield vars(value)


def _are_kept(names: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    if names == before:  # the most frequent, and far less work than what follows
        return True
    if not names.items() >= before.items():
        return False
    # A module may get names, as of modules within it; what is new in a class can hide what was.
    is_larger = len(names) > len(before)
    return not is_larger or "__spec__" in names or names.keys() - before.keys() <= _CACHES


def _settings() -> tuple[object, ...]:
    threads = set(sys._current_frames())  # those that the module `threading` does not know too
    return (
        TorchSettings.current(),
        torch.get_num_threads(),
        torch.is_anomaly_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        np.geterr(),
        threads,
        (sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(), sys.getswitchinterval()),
        (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, list(sys.path)),
        (gc.isenabled(), gc.get_threshold(), list(gc.callbacks), list(warnings.filters)),
        (str(Path.cwd()), os.environb.copy(), os.getpriority(os.PRIO_PROCESS, 0)),
        *_of_the_system(),
    )


def _of_the_system() -> Iterator[object]:
    """Yield signal handlers, timers, limits but that on data, and the processors allowed."""
    import resource  # noqa: PLC0415 - not there on Windows, where no trial is isolated

    yield [signal.getsignal(number) for number in _SIGNALS]
    yield signal.getitimer(signal.ITIMER_REAL)
    yield [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
    if sys.platform == "linux":
        yield os.sched_getaffinity(0)


def _has_children() -> bool:
    with suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False


def _held() -> int:
    """Return the bytes of this process's data; 0 where the system does not tell them."""
    if sys.platform != "linux":
        return 0
    # Of one line, where /proc/self/status has sixty: it is asked after every trial.
    return int(Path("/proc/self/statm").read_bytes().split()[_DATA]) * mmap.PAGESIZE
