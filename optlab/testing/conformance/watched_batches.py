"""Batches that count what is taken of them, and see whether they are changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from optlab.optimizers import Batches
from optlab.problems import Batch


class WatchedBatches(Batches):
    """The same batches as `Batches`, with ``taken`` batches counted, and ``changed`` ones noted."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.taken = 0
        """Batches handed out, or the epochs of compiled loops times the batches in each."""
        self.changed = False
        """Whether a batch's numbers were changed in place."""

    def _epoch(self) -> Iterator[Batch]:
        for batch in super()._epoch():
            self.taken += 1
            kept = [None if part is None else part.clone() for part in batch]
            yield batch
            pairs = zip(kept, batch, strict=True)
            self.changed |= any(a is not None and not a.equal(b) for a, b in pairs)  # type: ignore[arg-type]  # None where a is

    def orders(self, epochs: int) -> Tensor | None:
        """Return the orders of compiled loops, counted."""
        self.taken += epochs * self.steps
        return super().orders(epochs)
