"""Draw the orders of many epochs at once, bit for bit those of a DataLoader."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MOST_ROWS = (2**32 - 1) // 20
"""From so many rows on torch permutes by 64-bit draws."""


def draw_orders(generator: torch.Generator, n: int, epochs: int) -> Tensor:
    """Return the rows' order of the next epochs, shape (epochs, n), int32 (int64 from 2**31 rows).

    The state of the CPU generator is advanced. Compiled where numba is there and agrees with this
    torch, else by torch's own calls: the same numbers.

    Examples
    --------
    >>> import torch
    >>> draw_orders(torch.Generator().manual_seed(0), 5, 2).tolist()
    [[1, 4, 2, 3, 0], [2, 3, 4, 0, 1]]
    """
    if n < _MOST_ROWS and _compiled_agrees():
        return _draw_compiled(generator, n, epochs)
    return _draw_by_torch(generator, n, epochs)


def draw_order(generator: torch.Generator, n: int) -> Tensor:
    """Return one epoch's order by torch's calls, int64.

    A DataLoader draws two int64 an epoch: the seed of its worker processes, unused here, and the
    seed of the generator that permutes.
    """
    _draw(generator)
    permuted = torch.Generator().manual_seed(_draw(generator))
    return torch.randperm(n, generator=permuted, device="cpu")


def _draw(generator: torch.Generator) -> int:
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_(generator=generator).item())


def _draw_by_torch(generator: torch.Generator, n: int, epochs: int) -> Tensor:
    orders = torch.empty(epochs, n, dtype=torch.int32 if n < 2**31 else torch.int64, device="cpu")
    for order in orders:
        order.copy_(draw_order(generator, n))
    return orders


def _draw_compiled(generator: torch.Generator, n: int, epochs: int) -> Tensor:
    from optlab.optimizers.fused.mersenne_twister import WORDS, permutations  # noqa: PLC0415

    orders = np.empty((epochs, n), np.int32)
    # The layout of the state: uint64 seed, int32 left, int32 seeded, uint64 next, uint64[624], ...
    state = generator.get_state()
    raw: np.ndarray[Any, Any] = state.numpy()
    left, following, words = raw[8:12].view(np.int32), raw[16:24].view(np.uint64), raw[24:5016]
    twister = words.view(np.uint64).astype(np.uint32)
    left[0] = permutations(twister, int(left[0]), orders)
    following[0] = WORDS + 1 - int(left[0])
    words.view(np.uint64)[:] = twister
    generator.set_state(state)
    return torch.from_numpy(orders)


@cache
def _compiled_agrees() -> bool:
    """Return whether numba is there and its orders and states are those of this torch."""
    if find_spec("numba") is None:
        return False
    for n in (1, 10, 228, 229, 1300):
        ours, theirs = (torch.Generator().manual_seed(n) for _ in range(2))
        for epochs in (1, 160):  # four words each: the second time across a twist of the state
            orders = _draw_compiled(ours, n, epochs), _draw_by_torch(theirs, n, epochs)
            states = ours.get_state(), theirs.get_state()
            if not (torch.equal(*orders) and torch.equal(*states)):
                return False
    return True
