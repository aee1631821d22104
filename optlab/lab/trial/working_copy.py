"""The copy of a problem's data that trials work on, one after the other."""

from __future__ import annotations

from typing import NamedTuple

import torch

from optlab.lab.measure.clock import Stopwatch
from optlab.problems import Batch, Problem
from optlab.problems.capabilities import TakesData, has
from optlab.problems.require_problem import require_moved


class _Held(NamedTuple):
    problem: Problem
    device: torch.device
    dtype: torch.dtype
    data: Batch
    seconds: float


class WorkingCopy:
    """A copy of a problem's data on a device, made once for trials that leave it as it is.

    A trial takes the copy, and gives it back when it has shown that no bit of it has changed. One
    that does not give it back (it raised, or changed the data) leaves the next to make its own. At
    most one copy is held: that of another problem is dropped before the next is made.
    """

    def __init__(self) -> None:
        self._held: _Held | None = None
        self._lent: _Held | None = None

    def take(
        self, problem: Problem, device: torch.device, dtype: torch.dtype
    ) -> tuple[Problem, float]:
        """Return the problem over data of its own, and the seconds that making these took."""
        held, self._held, self._lent = self._held, None, None
        same = held and held.problem is problem and (held.device, held.dtype) == (device, dtype)
        if held and same and has(problem, TakesData):
            self._lent = held
            return problem.with_data(_views(held.data)), held.seconds
        del held
        clock = Stopwatch(device)
        clock.start()
        local = problem.to(device, dtype, copy=True)
        seconds = clock.stop()
        require_moved(problem, local, device, dtype)
        self._lent = _Held(problem, device, dtype, _views(local.data), seconds)
        return local, seconds

    def give_back(self, data: Batch) -> None:
        """Keep the data for the next trial: they equal the problem's to the last bit."""
        lent, self._lent = self._lent, None
        # The trial may have put other tensors in their place.
        if lent and [_place(part) for part in data] == [_place(part) for part in lent.data]:
            self._held = lent


def _views(data: Batch) -> Batch:
    """Return other tensors over the same numbers: a trial may let its own require gradients."""
    X, y, weight = data
    return Batch(X.detach(), y.detach(), None if weight is None else weight.detach())


def _place(part: torch.Tensor | None) -> tuple[object, ...]:
    return () if part is None else (part.data_ptr(), part.shape, part.stride(), part.dtype)
