"""When a trial ends and when it is looked at."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from optlab.optimizers.optimizer import check_positive

Record: TypeAlias = Literal["growing"] | int | Sequence[int]


MOST_RECORDED = 10_000_000
"""Recorded iterates a trial, each a row that is judged and kept."""


@dataclass(frozen=True)
class Budget:
    """How long an optimizer is asked for iterates, and which of them are recorded.

    Parameters
    ----------
    epochs
        The most passes over the data, at least 1.
    target
        Stop with status converged at the first recorded iterate whose suboptimality is at most
        ``target`` times the start's.
    record
        ``"growing"``: some 100 epochs at growing distances; a whole number k: every k-th epoch
        from the first; a sequence: these epochs. The start (epoch 0), the first and the last are
        always recorded.

    Raises
    ------
    ValueError
        For fewer than one epoch, a target or record that is no such thing.

    Examples
    --------
    >>> sorted(Budget(epochs=25, record=10).recorded)
    [1, 11, 21, 25]
    """

    epochs: int = 1000
    target: float | None = None
    record: Record = "growing"

    def __post_init__(self) -> None:
        check_count("epochs", self.epochs)
        if self.epochs >= 2**53:
            raise ValueError(f"epochs must be below 2**53, not {self.epochs!r}")
        object.__setattr__(self, "epochs", int(self.epochs))  # numpy's numbers are not JSON's
        if self.target is not None:
            check_positive("target", self.target)
            object.__setattr__(self, "target", float(self.target))
        if isinstance(self.record, numbers.Integral):
            check_count("record", self.record)
            object.__setattr__(self, "record", int(self.record))
            if self.epochs > MOST_RECORDED * self.record:
                raise ValueError(
                    f"record={self.record} of {self.epochs} epochs is more than {MOST_RECORDED} "
                    "iterates a trial: take a larger distance, or 'growing'"
                )
        elif self.record != "growing":
            if isinstance(self.record, str) or not isinstance(self.record, Iterable):
                raise ValueError(
                    f"record must be 'growing', a distance or epochs, not {self.record!r}"
                )
            epochs = tuple(self.record)
            for epoch in epochs:
                check_count("each epoch of record", epoch)
            object.__setattr__(self, "record", tuple(int(epoch) for epoch in epochs))

    def definition(self) -> dict[str, Any]:
        """Return the budget as values that JSON can hold."""
        record = self.record if isinstance(self.record, str | int) else list(self.record)
        return {"epochs": self.epochs, "target": self.target, "record": record}

    @property
    def recorded(self) -> frozenset[int]:
        """The epochs after which the clock stops and the iterate is recorded."""
        if isinstance(self.record, int):
            chosen = set(range(1, self.epochs + 1, self.record))
        elif isinstance(self.record, str):
            chosen = set(np.rint(np.geomspace(1, self.epochs, 100)).astype(int).tolist())
        else:
            chosen = {epoch for epoch in self.record if epoch <= self.epochs}
        return frozenset(chosen | {1, self.epochs})


def check_count(name: str, value: object) -> None:
    """Raise a ValueError that names the argument unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
