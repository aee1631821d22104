"""The parameters along a trial, thinned out where they would take too much memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_BYTES = 1 << 22
"""The bytes that the recorded parameters of one trial may take, 4 MiB; the start and one more
iterate are kept in any case."""

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass
class RecordedParameters:
    """The parameters of recorded iterates, the start first, in the order of their epochs.

    Where one more takes them above ``most_bytes``, every second one is dropped, and from then on
    only every second one that would have been kept is: what is kept lies evenly over the looks.

    Examples
    --------
    >>> recorded = RecordedParameters(most_bytes=40)
    >>> for epoch in range(12):
    ...     recorded.add(epoch, {"weight": np.full(1, float(epoch))})
    >>> recorded.epochs
    [0, 4, 8]
    """

    epochs: list[int] = field(default_factory=list)
    iterates: list[Arrays] = field(default_factory=list)
    every: int = 1  # of so many looks one is kept
    looks: int = 0
    most_bytes: int = MOST_BYTES

    def add(self, epoch: int, parameters: Arrays) -> None:
        """Keep the parameters of one look, which may not be changed later."""
        if self.looks % self.every == 0:
            self.epochs.append(epoch)
            self.iterates.append(parameters)
            size = sum(value.nbytes for value in parameters.values())
            while size * len(self.epochs) > self.most_bytes and len(self.epochs) > 2:
                del self.epochs[1::2], self.iterates[1::2]
                self.every *= 2
        self.looks += 1

    def stacked(self) -> Arrays:
        """Return the values of each parameter, shape ``(kept iterates, *its own)``."""
        return {name: np.stack([own[name] for own in self.iterates]) for name in self.iterates[0]}

    @classmethod
    def unstacked(cls, epochs: np.ndarray[Any, Any], stacks: Arrays) -> RecordedParameters:
        """Return what `stacked` was made of."""
        values = [{name: own[k] for name, own in stacks.items()} for k in range(len(epochs))]
        return cls([int(epoch) for epoch in epochs], values)
