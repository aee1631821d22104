"""A stopwatch that waits for the device, and the clock that it reads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter_ns  # bound now: an optimizer may put another in its place

import torch


@dataclass(frozen=True)
class Clock:
    """A clock that never goes back, read in nanoseconds."""

    read: Callable[[], int] = perf_counter_ns

    @cached_property
    def resolution(self) -> float:
        """The least seconds that the clock can tell apart, its own call included.

        Examples
        --------
        >>> 0 < Clock().resolution < 1e-3
        True
        """
        readings = [self.read() for _ in range(1000)]
        steps = [b - a for a, b in itertools.pairwise(readings) if b > a]
        return min(steps) / 1e9


_clock = Clock()


def current_clock() -> Clock:
    """Return the clock that all stopwatches of this process read."""
    return _clock


@contextmanager
def use_clock(other: Clock) -> Iterator[Clock]:
    """Let the stopwatches made inside read another clock: for simulated time."""
    global _clock  # noqa: PLW0603 - one clock a process
    before, _clock = _clock, other
    try:
        yield other
    finally:
        _clock = before


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
        self._read = _clock.read
        self._nanoseconds = 0
        self._started = 0

    def start(self) -> None:
        """Let the watch run."""
        if self._synchronize:  # pragma: no cover - an accelerator
            self._synchronize()
        self._started = self._read()

    def stop(self) -> float:
        """Stop the watch and return the seconds so far."""
        if self._synchronize:  # pragma: no cover - an accelerator
            self._synchronize()
        self._nanoseconds += self._read() - self._started
        return self.seconds

    @property
    def seconds(self) -> float:
        """The seconds between all starts and stops so far."""
        return self._nanoseconds / 1e9
