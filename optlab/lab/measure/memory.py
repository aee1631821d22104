"""Meters of peak memory, on the CPU and on accelerators."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import torch

_CLEAR_PEAK = "5"
"""Written to /proc/self/clear_refs, this sets the peak resident size to the present one."""


def memory_meter(device: torch.device) -> ResidentSet | AllocatedMemory:
    """Return the meter of a device; its `stop` returns the peak in bytes since its `start`."""
    return ResidentSet() if device.type == "cpu" else AllocatedMemory(device)


class ResidentSet:
    """The growth of the resident set of this process, which Linux records."""

    def start(self) -> bool:
        """Begin to measure, and return whether this system can."""
        gc.collect()
        _give_back_free_memory()
        try:
            Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK, encoding="ascii")
            self._before = process_status()["VmRSS"]
        except (OSError, KeyError):  # not Linux, or a sandbox that forbids it
            return False
        return True

    def stop(self) -> int:
        """Return the growth to its peak, in bytes."""
        return max(0, process_status()["VmHWM"] - self._before)


class AllocatedMemory:
    """The growth of torch's allocations on an accelerator."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._module = device, getattr(torch, device.type)

    def start(self) -> bool:
        """Begin to measure, and return whether this device can."""
        if not hasattr(self._module, "max_memory_allocated"):
            return False
        gc.collect()
        self._module.synchronize(self._device)
        self._module.reset_peak_memory_stats(self._device)
        self._before = self._module.memory_allocated(self._device)
        return True

    def stop(self) -> int:
        """Return the growth to its peak, in bytes."""
        self._module.synchronize(self._device)
        return int(self._module.max_memory_allocated(self._device) - self._before)


def process_status() -> dict[str, int]:
    """Return the memory sizes of this process (VmRSS, VmHWM, VmData, ...), in bytes.

    Raises
    ------
    OSError
        On other systems.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(size.split()[0]) * 1024 for key, size in pairs if size.endswith(" kB")}


def _give_back_free_memory() -> None:
    # malloc keeps memory that an earlier trial has freed; reused, it would not show as growth.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl and macOS do not
    if trim is not None:
        trim(0)
