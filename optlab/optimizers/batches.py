"""The order in which mini-batches are visited, epoch by epoch."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from optlab.optimizers.fused.dataloader_order import draw_order, draw_orders
from optlab.optimizers.fused.philox_order import draw_fast_orders, draw_fast_orders_compiled
from optlab.problems import Batch

BatchSize: TypeAlias = int | Literal["full"]
Order: TypeAlias = Literal["dataloader", "fast"]

_AHEAD_ROWS = 1 << 15
"""Rows whose order is drawn ahead at most: enough to make calls cheap, few enough for the cache."""

_CHEAP_ROWS = 1 << 9
"""Rows whose order takes no longer to draw than the calls around it."""

_GATHERED_BYTES = 1 << 18
"""Rows gathered at once: enough to make calls cheap, few enough to stay in the cache."""


class Batches:
    """The mini-batches of a problem: endless epochs, each an iterator of `Batch`.

    The order is, bit for bit, the one in which ``DataLoader(TensorDataset(X, y), batch_size,
    shuffle=True)`` visits the rows when the global generator is in the state that ``generator`` is
    in here. It is drawn on the CPU, so every device sees the same rows in the same order.
    ``order="fast"`` is the order of `optlab.optimizers.fused.philox_order`, by the seed that the
    generator was given: the same on every device too, and drawn there.

    A ``"full"`` batch is the data as they are: nothing is drawn, nothing is copied.

    Parameters
    ----------
    X, y
        Data of ``n`` rows: ``(n, d)`` and ``(n,)``, or rows of any other shape.
    batch_size
        Rows a batch, at least 1, or ``"full"``. One larger than n is one batch of n rows, shuffled.
    generator
        A CPU generator; its state is advanced as orders are drawn, with ``order="fast"`` never.
    shuffle
        Whether a new order is drawn for each epoch.
    drop_last
        Whether a last batch that is short is left out.
    weight
        The rows' weights, shape ``(n,)``, or None: each batch carries those of its rows.
    looks
        The epochs after which the iterate is looked at, in order: an optimizer that runs many
        epochs at once need yield no others. Empty: each epoch's.
    order
        ``"dataloader"`` or ``"fast"``, as above.

    See Also
    --------
    Batch : Rows that are visited together.
    descend : The loop over batches that rules share.

    Examples
    --------
    >>> import torch
    >>> from optlab.optimizers import Batches
    >>> X, y = torch.arange(5.0).reshape(5, 1), torch.arange(5.0)
    >>> batches = Batches(X, y, 2, torch.Generator().manual_seed(0))
    >>> first_epoch = next(iter(batches))
    >>> [batch.y.tolist() for batch in first_epoch]
    [[1.0, 4.0], [2.0, 3.0], [0.0]]
    >>> fast = Batches(X, y, 2, torch.Generator().manual_seed(0), order="fast")
    >>> fast.orders(2).tolist()
    [[3, 1, 4, 2, 0], [1, 4, 2, 3, 0]]

    References
    ----------
    torch/utils/data/dataloader.py and sampler.py (RandomSampler), torch 2.13.
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        batch_size: BatchSize,
        generator: torch.Generator,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        weight: Tensor | None = None,
        looks: Sequence[int] = (),
        order: Order = "dataloader",
    ) -> None:
        self.X, self.y, self.weight = X, y, weight
        self.batch_size = check_batch_size(batch_size)
        self.generator = generator
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.looks = looks
        self.order = check_order(order)
        self._begun = 0  # epochs whose order has been given out
        self._upcoming: Tensor | None = None  # orders drawn ahead, (epochs, n)
        self._first, self._last = 0, 0  # those of them that have not been given out
        n = len(y)
        size = n if batch_size == "full" else min(batch_size, n)
        short = 0 if batch_size == "full" or not drop_last else n % batch_size
        if short == n:
            raise ValueError(
                f"drop_last leaves nothing of {n} rows at batch size {batch_size}: "
                f"the batch size must be at most {n}"
            )
        self._size = size
        row_bytes = X.element_size() * X[:1].numel()
        self._gathered = size * max(1, _GATHERED_BYTES // max(1, row_bytes * size))
        self.samples = n - short
        """Rows visited each epoch."""
        self.steps = -(-self.samples // size)
        """Batches each epoch."""

    def __iter__(self) -> Iterator[Iterator[Batch]]:
        while True:
            yield self._epoch()

    def _epoch(self) -> Iterator[Batch]:
        size = self._size
        parts = [part for part in (self.X, self.y, self.weight) if part is not None]
        if not self.is_shuffled:
            rows = slice(0, self.samples)
            yield from map(Batch, *(part[rows].split(size) for part in parts))
            return
        # Rows are gathered some batches at a time: one gather a batch costs calls where batches
        # are small, one an epoch costs a second way through memory where the data are large.
        order = self._next_order()[: self.samples]
        for rows in order.split(self._gathered):
            picked = (part.index_select(0, rows) for part in parts)
            yield from map(Batch, *(part.split(size) for part in picked))

    @property
    def rows_a_step(self) -> int:
        """Rows of a batch that is not the short last one."""
        return self._size

    @property
    def is_shuffled(self) -> bool:
        """Whether an order is drawn for each epoch."""
        return self.shuffle and self.batch_size != "full"

    def orders(self, epochs: int) -> Tensor | None:
        """Return the rows' order in each of the next epochs, (epochs, n), on the data's device.

        For compiled loops: an epoch's batches are its first ``samples`` rows, cut into
        ``rows_a_step``. None where nothing is shuffled: the rows as they lie, in each epoch.
        """
        if not self.is_shuffled:
            return None
        return self._take(epochs, compiled=True)

    def _next_order(self) -> Tensor:
        """Return the next epoch's order, by torch's calls."""
        if self.order == "fast" or self._upcoming is not None:
            return self._take(1, compiled=False)[0]
        self._begun += 1
        return draw_order(self.generator, len(self.y)).to(self.y.device)

    def _take(self, epochs: int, *, compiled: bool) -> Tensor:
        """Return the next orders. As many are drawn ahead as were given out before.

        So their cost falls on the epochs that they are for, but for a factor of two and what costs
        next to nothing.
        """
        upcoming, have = self._upcoming, self._last - self._first
        if upcoming is None or have < epochs:
            missing, n = epochs - have, len(self.y)
            ahead = min(max(self._begun, _CHEAP_ROWS // n), _AHEAD_ROWS // n)
            if self.looks:
                ahead = min(ahead, self.looks[-1] - self._begun - have)
            count = max(missing, ahead)
            drawn = self._draw(count, self._begun + have, compiled=compiled)
            upcoming = drawn if upcoming is None else torch.cat([upcoming[self._first :], drawn])
            self._first, self._last = 0, have + count
        first = self._first
        self._begun += epochs
        self._first += epochs
        self._upcoming = upcoming if self._first < self._last else None
        return upcoming[first : self._first]

    def _draw(self, epochs: int, first: int, *, compiled: bool) -> Tensor:
        n, device = len(self.y), self.y.device
        if self.order == "dataloader":
            return draw_orders(self.generator, n, epochs).to(device)
        draw = draw_fast_orders_compiled if compiled else draw_fast_orders
        return draw(self.generator.initial_seed(), n, first, epochs, device)

    def epochs_at_once(self, most: int) -> Iterator[int]:
        """Yield, for ever, how many epochs to make until the runner looks, at most ``most``."""
        done = 0
        for look in self.looks:
            while done < look:
                epochs = min(look - done, most)
                yield epochs
                done += epochs
        while True:
            yield 1


def check_order(order: object) -> Order:
    """Return the order, or raise a ValueError that says what it must be."""
    if order not in ("dataloader", "fast"):
        raise ValueError(f"order must be 'dataloader' or 'fast', not {order!r}")
    return order


def check_batch_size(batch_size: object) -> BatchSize:
    """Return the batch size, or raise a ValueError that says what it must be."""
    if isinstance(batch_size, str) and batch_size == "full":
        return "full"
    whole = isinstance(batch_size, numbers.Integral) and not isinstance(batch_size, bool)
    if not whole or int(batch_size) < 1:  # type: ignore[call-overload]  # whole is a number
        raise ValueError(
            f"batch_size must be a whole number of at least 1 or 'full', not {batch_size!r}"
        )
    return int(batch_size)  # type: ignore[call-overload,no-any-return]  # as above
