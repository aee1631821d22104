"""The budget of a trial, and the epochs at which it is recorded."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from optlab.checks import check_count
from optlab.lab.trial.stop_at import StopAt

RecordedEpochs: TypeAlias = Literal["growing"] | int | Sequence[int]


MOST_RECORDED = 10_000_000
"""The most recorded iterates of a trial: each is evaluated and kept."""


@dataclass(frozen=True)
class Budget:
    """The number of passes that an optimizer may make, and which of them are recorded.

    Parameters
    ----------
    epochs
        The most passes over the data, at least 1.
    stop_at
        Stop with status converged at the first recorded iterate that has reached this: a share of
        the suboptimality of a fit that has learnt nothing (above 0, below 1), or a
        `optlab.lab.trial.stop_at.StopAt`. A plain number becomes a `StopAt`.
    recorded_epochs
        ``"growing"``: some 100 epochs at growing distances, or with ``stop_at`` every epoch up to
        100 and then epochs at most 2 % apart, whatever ``epochs`` is: a trial stops that near to
        the epoch that reaches it. A whole number k: every k-th epoch from the first. A sequence:
        these epochs. The start (epoch 0), the first and the last are always recorded.
    record_parameters
        Keep the parameters of every recorded iterate of a measured trial, in the dtype computed in.
        Of one whose parameters would take more than 4 MiB (see
        `optlab.lab.trial.recorded_parameters`) those of every second, fourth, ... are kept.

    Raises
    ------
    ValueError
        For fewer than one epoch, or another argument outside of what is said above.

    Examples
    --------
    >>> Budget(epochs=25, recorded_epochs=10).looks
    (1, 11, 21, 25)
    """

    epochs: int = 1000
    stop_at: float | StopAt | None = None
    recorded_epochs: RecordedEpochs = "growing"
    record_parameters: bool = False

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs)
        if not isinstance(self.record_parameters, bool):
            raise ValueError(f"record_parameters must be True or False, not "
                             f"{self.record_parameters!r}")  # fmt: skip
        if self.epochs >= 2**53:
            raise ValueError(f"epochs must be below 2**53, not {self.epochs!r}")
        object.__setattr__(self, "epochs", int(self.epochs))  # numpy's numbers are not JSON's
        if self.stop_at is not None:
            object.__setattr__(self, "stop_at", StopAt.of(self.stop_at))
        if isinstance(self.recorded_epochs, numbers.Integral):
            check_count("recorded_epochs", self.recorded_epochs)
            object.__setattr__(self, "recorded_epochs", int(self.recorded_epochs))
            if self.epochs > MOST_RECORDED * self.recorded_epochs:
                raise ValueError(
                    f"recorded_epochs={self.recorded_epochs} of {self.epochs} epochs is more than "
                    f"{MOST_RECORDED} iterates a trial: take a larger distance, or 'growing'"
                )
        elif self.recorded_epochs != "growing":
            if isinstance(self.recorded_epochs, str) or not isinstance(
                self.recorded_epochs, Iterable
            ):
                raise ValueError(
                    "recorded_epochs must be 'growing', a distance or epochs, not "
                    f"{self.recorded_epochs!r}"
                )
            epochs = tuple(self.recorded_epochs)
            for epoch in epochs:
                check_count("each epoch of recorded_epochs", epoch)
            object.__setattr__(self, "recorded_epochs", tuple(int(epoch) for epoch in epochs))

    def definition(self) -> dict[str, Any]:
        """Return the budget as values that JSON can hold."""
        recorded = (
            self.recorded_epochs
            if isinstance(self.recorded_epochs, str | int)
            else list(self.recorded_epochs)
        )
        stop_at = StopAt.of(self.stop_at).definition() if self.stop_at else None
        found = {"epochs": self.epochs, "stop_at": stop_at, "recorded_epochs": recorded}
        return found | ({"record_parameters": True} if self.record_parameters else {})

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The epochs after which the clock stops and the iterate is recorded, in order.

        Of an optimizer that makes several epochs at once, the first iterate that has reached one.
        """
        if isinstance(self.recorded_epochs, int):
            chosen = set(range(1, self.epochs + 1, self.recorded_epochs))
        elif isinstance(self.recorded_epochs, str):
            chosen = (_growing if self.stop_at is None else _near)(self.epochs)
        else:
            chosen = {epoch for epoch in self.recorded_epochs if epoch <= self.epochs}
        return tuple(sorted(chosen | {1, self.epochs}))


@cache
def _growing(epochs: int) -> set[int]:
    """Return some 100 epochs at growing distances."""
    return set(np.rint(np.geomspace(1, epochs, 100)).astype(int).tolist())


@cache
def _near(epochs: int) -> set[int]:
    """Return every epoch up to 100, and then epochs at most 2 % apart."""
    chosen, epoch = set[int](), 1
    while epoch <= epochs:
        chosen.add(epoch)
        epoch += max(1, epoch // 50)
    return chosen


class Looks:
    """The epochs of a budget where the runner looks, reached one after the other.

    Parameters
    ----------
    epochs
        The epochs, in rising order.

    Examples
    --------
    >>> looks = Looks([1, 3, 4, 9])
    >>> [epoch for epoch in (1, 2, 5, 6, 9) if looks.reached(epoch)]
    [1, 5, 9]
    """

    def __init__(self, epochs: Iterable[int]) -> None:
        self._epochs = iter(epochs)
        self.next: float = next(self._epochs)
        """The next of them; infinity after the last."""

    def reached(self, epoch: int) -> bool:
        """Return whether the next look is reached at an epoch; then those up to it have been."""
        if epoch < self.next:
            return False
        while self.next <= epoch:
            self.next = next(self._epochs, math.inf)
        return True
