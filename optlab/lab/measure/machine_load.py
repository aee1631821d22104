"""The load of the machine by other processes, and the cores that a trial lacked because of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

LEAST_SECONDS = 0.5
"""The shortest window: systems count processor time in hundredths of a second."""

MOST_SECONDS = 10.0
"""The age beyond which a measured load says nothing of a trial that begins now."""

_NO_WORK = ("idle", "iowait", "guest", "guest_nice")  # guests' time is counted under user already


class Reading(NamedTuple):
    """Seconds by the monotonic clock, of all processes' work, and of this one's."""

    clock: float
    all: float
    own: float

    @classmethod
    def now(cls) -> Reading:
        """Read the system's counts."""
        times = psutil.cpu_times()._asdict()
        busy = sum(seconds for name, seconds in times.items() if name not in _NO_WORK)
        return cls(time.monotonic(), busy, time.process_time())


class MachineLoad:
    """A meter of what other processes of the machine use, over windows of half a second and more.

    Stolen time counts too: the host gave it to others while this virtual machine would have run.

    Parameters
    ----------
    read
        Returns a `Reading` of the present, which takes longer than a short trial.
    clock
        Returns the seconds that the next reading would have.

    Examples
    --------
    >>> load = MachineLoad()
    >>> load.begin()
    >>> load.cores_short(threads=1) >= 0 or math.isnan(load.cores_short(threads=1))
    True
    """

    def __init__(
        self,
        read: Callable[[], Reading] = Reading.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._clock = read, clock
        self._last = read()
        self._others = math.nan

    def begin(self) -> None:
        """Begin a trial: a load that was measured long ago no longer counts."""
        if self._clock() - self._last.clock > MOST_SECONDS:
            self._last, self._others = self._read(), math.nan

    def cores_short(self, threads: int) -> float:
        """Return by how many cores so many threads and all other processes exceeded the machine.

        Measured over the window that ends now, or, where a trial is shorter than a window, over
        the window before. NaN until a first window has passed.
        """
        last = self._last
        if self._clock() - last.clock >= LEAST_SECONDS:
            now = self._read()
            others = now.all - last.all - (now.own - last.own)
            self._last, self._others = now, max(0.0, others) / (now.clock - last.clock)
        short = self._others + threads - (os.cpu_count() or 1)
        return short if math.isnan(short) else max(0.0, short)


MACHINE_LOAD = MachineLoad()
"""The meter of this process, from when it loaded optlab."""
