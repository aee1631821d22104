"""Measure the seconds of the phases of a computation, each without those inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from optlab.lab.measure.clock import current_clock


class PhaseTimer:
    """Exclusive seconds by phase: while one phase is inside another, only the inner one counts.

    Examples
    --------
    >>> timer = PhaseTimer()
    >>> timer.timed("sum", sum)([1, 2, 3])
    6
    >>> timer.calls["sum"], timer.seconds("sum") >= 0
    (1, True)
    """

    def __init__(self) -> None:
        self._read = current_clock().read
        self._nanoseconds: Counter[str] = Counter()
        self._inside: list[str] = []
        self._since = 0
        self.calls: Counter[str] = Counter()

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        now = self._read()
        if self._inside:
            self._nanoseconds[self._inside[-1]] += now - self._since
        self._inside.append(phase)
        self.calls[phase] += 1
        self._since = self._read()

    def leave(self) -> None:
        """End the phase that was entered last."""
        now = self._read()
        self._nanoseconds[self._inside.pop()] += now - self._since
        self._since = self._read()

    def timed(self, phase: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does what ``call`` does, as a phase."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            self.enter(phase)
            try:
                return call(*arguments, **keywords)
            finally:
                self.leave()

        return timed

    def seconds(self, phase: str) -> float:
        """Return the seconds of a phase, less what the timer itself takes inside of it."""
        own = own_nanoseconds()[0]
        return max(0.0, (self._nanoseconds[phase] - self.calls[phase] * own) / 1e9)

    def own_seconds(self) -> float:
        """Return what the timer itself has taken, inside of the phases and around them."""
        return self.calls.total() * own_nanoseconds()[1] / 1e9


def own_nanoseconds(calls: int = 2000) -> tuple[float, float]:
    """Return what a phase in which nothing is done takes: as the timer measures it, and in all.

    The least of five runs of so many such phases, once a process.
    """
    if not _own:
        read, found = current_clock().read, []
        for _ in range(5):
            timer = PhaseTimer()
            nothing = timer.timed("nothing", int)
            began = read()
            for _ in range(calls):
                nothing()
            whole = read() - began
            found.append((timer._nanoseconds["nothing"] / calls, whole / calls))
        _own.append((min(pair[0] for pair in found), min(pair[1] for pair in found)))
    return _own[0]


_own: list[tuple[float, float]] = []
