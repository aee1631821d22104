"""How much memory a trial needs, measured in a pass of its own that nobody times."""

from __future__ import annotations

import ctypes
import gc
from itertools import islice
from pathlib import Path

import torch

from optlab.lab.budget import Budget
from optlab.lab.records import Trial
from optlab.optimizers import Batches, Optimizer
from optlab.problems import Problem

_CLEAR_PEAK = "5"
"""Written to /proc/self/clear_refs, this sets the peak resident size to the present one."""


def peak_bytes(trial: Trial, problem: Problem, optimizer: Optimizer, budget: Budget) -> int | None:
    """Return the most memory that a trial's solve holds beyond its data, in bytes.

    The solve is made once more, ``budget.epochs`` passes without judging or recording; for a trial
    that ended early, give the budget as many epochs as it made. On an accelerator it is the peak of
    what torch has allocated there, to the byte. On the CPU it is the growth of the resident set,
    to some tens of pages: what is touched counts, what is only reserved does not. Called after
    the trial itself, it holds no first-time costs (libraries loaded, threads started).

    None where it cannot be known: on the CPU of other systems than Linux, on accelerators whose
    module keeps no peak.

    Raises
    ------
    Exception
        Whatever the optimizer raises.

    References
    ----------
    proc(5): /proc/pid/clear_refs, VmHWM and VmRSS in /proc/pid/status.
    """
    device = torch.device(trial.device)
    local = problem.to(device, getattr(torch, trial.dtype), copy=True)
    meter = _ResidentSet() if device.type == "cpu" else _Accelerator(device)
    if not meter.start():
        return None
    generator = torch.Generator().manual_seed(trial.seed)
    start = local.start(generator)
    batches = Batches(local.X, local.y, trial.batch_size or "full", generator)
    for _ in islice(optimizer.iterates(local, batches, start), budget.epochs):
        pass
    return meter.stop()


class _ResidentSet:
    """The growth of this process's resident set, as Linux keeps it."""

    def start(self) -> bool:
        gc.collect()
        _give_back_free_memory()
        try:
            Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK, encoding="ascii")
            self._before = process_status()["VmRSS"]
        except (OSError, KeyError):  # not Linux, or a sandbox that forbids it
            return False
        return True

    def stop(self) -> int:
        return max(0, process_status()["VmHWM"] - self._before)


class _Accelerator:
    """The growth of what torch has allocated on an accelerator."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._module = device, getattr(torch, device.type)

    def start(self) -> bool:
        if not hasattr(self._module, "max_memory_allocated"):
            return False
        gc.collect()
        self._module.synchronize(self._device)
        self._module.reset_peak_memory_stats(self._device)
        self._before = self._module.memory_allocated(self._device)
        return True

    def stop(self) -> int:
        self._module.synchronize(self._device)
        return int(self._module.max_memory_allocated(self._device) - self._before)


def process_status() -> dict[str, int]:
    """Return this process's sizes as Linux tells them (VmRSS, VmHWM, VmData...), in bytes.

    Raises
    ------
    OSError
        On other systems.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(size.split()[0]) * 1024 for key, size in pairs if size.endswith(" kB")}


def _give_back_free_memory() -> None:
    # What the trial before freed, malloc keeps: reused, it would not show as growth.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl and macOS do not
    if trim is not None:
        trim(0)
