"""A stopwatch that knows devices."""

from __future__ import annotations

import itertools
from functools import cache
from time import perf_counter_ns  # bound now: an optimizer may put another in its place

import torch


class Stopwatch:
    """Seconds of work on a device, running only between `start` and `stop`.

    Work on an accelerator is asynchronous: the device is synchronised where the watch starts and
    stops, and nowhere else.

    Examples
    --------
    >>> import torch
    >>> watch = Stopwatch(torch.device("cpu"))
    >>> watch.start()
    >>> watch.stop() == watch.seconds > 0
    True
    """

    def __init__(self, device: torch.device) -> None:
        # torch.accelerator.synchronize() raises on a machine without an accelerator.
        self._synchronize = (
            None if device.type == "cpu" else getattr(torch, device.type).synchronize
        )
        self._nanoseconds = 0
        self._started = 0

    def start(self) -> None:
        """Let the watch run."""
        if self._synchronize:
            self._synchronize()
        self._started = perf_counter_ns()

    def stop(self) -> float:
        """Stop the watch and return the seconds so far."""
        if self._synchronize:
            self._synchronize()
        self._nanoseconds += perf_counter_ns() - self._started
        return self.seconds

    @property
    def seconds(self) -> float:
        """The seconds between all starts and stops so far."""
        return self._nanoseconds / 1e9


@cache
def clock_resolution() -> float:
    """Return the least seconds that the clock can tell apart, its own call included.

    Examples
    --------
    >>> 0 < clock_resolution() < 1e-3
    True
    """
    readings = [perf_counter_ns() for _ in range(1000)]
    steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
    return min(steps) / 1e9
