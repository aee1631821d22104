"""How many cores a trial was short of because other processes used them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import NamedTuple

LEAST_SECONDS = 0.5
"""Windows are at least so long: the kernel counts in hundredths of a second."""

MOST_SECONDS = 10.0
"""What was so long ago says nothing of a trial that begins now."""


class Reading(NamedTuple):
    """Seconds by the monotonic clock, of all processes' work, and of this one's."""

    clock: float
    all: float
    own: float

    @classmethod
    def now(cls) -> Reading | None:
        """Read the kernel's counts; None where it keeps none (not Linux)."""
        try:
            with Path("/proc/stat").open(encoding="ascii") as file:
                name, *ticks = file.readline().split()[:9]
        except OSError:
            return None
        if name != "cpu":
            return None
        user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, ticks)
        busy = (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
        return cls(time.monotonic(), busy, time.process_time())


class MachineLoad:
    """What other processes of the machine use, over windows of half a second and more.

    Stolen time counts too: what the host gave to others while this virtual machine would have run.

    Examples
    --------
    >>> crowding = Crowding()
    >>> crowding.begin()
    >>> crowding.cores_short(threads=1) >= 0 or math.isnan(crowding.cores_short(threads=1))
    True
    """

    def __init__(self) -> None:
        self._last = Reading.now()
        self._others = math.nan

    def begin(self) -> None:
        """Let nothing that is long over count for the trial that begins."""
        if self._last and time.monotonic() - self._last.clock > MOST_SECONDS:
            self._last, self._others = Reading.now(), math.nan

    def cores_short(self, threads: int) -> float:
        """Return by how many cores so many threads and all other processes exceeded the machine.

        Over the window that ends now, or, where a trial is shorter than a window, over the one
        before. NaN where it cannot be known.
        """
        if self._last and time.monotonic() - self._last.clock >= LEAST_SECONDS:
            before, self._last = self._last, Reading.now()
            if self._last:
                spent = self._last.all - before.all - (self._last.own - before.own)
                self._others = max(0.0, spent) / (self._last.clock - before.clock)
        short = self._others + threads - (os.cpu_count() or 1)
        return short if math.isnan(short) else max(0.0, short)


MACHINE_LOAD = MachineLoad()
"""That of this process, from when it loaded optlab."""
