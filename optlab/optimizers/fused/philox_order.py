r"""Draw random orders by a counter-based generator: the same on every device, any epoch at once.

Each row of each epoch has a random key of 63 bits; the order of an epoch sorts its keys. The keys
are two words each of Philox4x32-10 at the counter (row // 2, epoch), whose key is the seed: no
state, so that any epoch is drawn without those before it, and all rows at once.

With ideal words all orders are equally likely but for ties of keys, which go by the row's number:
the distribution is within :math:`n (n - 1) / 2^{64}` of the uniform one (total variation; 5e-8 at
a million rows).

References
----------
Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
"""The increments of the two words of the key from round to round."""

WORD = 0xFFFFFFFF


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> list[Tensor]:
    """Return the four random words of Philox4x32-10 at each counter.

    Words are int64 from 0 to 2**32 - 1, of shapes that broadcast; a product that overflows keeps
    its low 64 bits, all of which are used.

    Examples
    --------
    The first vector of the authors' own test (Random123, kat_vectors):

    >>> import torch
    >>> zero = torch.zeros((), dtype=torch.int64)
    >>> [f"{int(word):08x}" for word in philox((zero, zero, zero, zero), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    a, b, c, d = counter
    first, second = key
    for _ in range(ROUNDS):
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, c = (right >> 32 & WORD) ^ b ^ first, (left >> 32 & WORD) ^ d ^ second
        b, d = right & WORD, left & WORD
        first, second = (first + WEYL[0]) & WORD, (second + WEYL[1]) & WORD
    return [a, b, c, d]


def draw_fast_orders(
    seed: int, n: int, first: int, epochs: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the rows' orders of some epochs from ``first`` on, (epochs, n), by torch calls.

    int32, or int64 from 2**31 rows on.

    Examples
    --------
    >>> draw_fast_orders(1, 5, first=0, epochs=3).tolist()
    [[4, 3, 1, 2, 0], [4, 0, 3, 1, 2], [1, 0, 3, 4, 2]]
    >>> draw_fast_orders(1, 5, first=2, epochs=1).tolist()
    [[1, 0, 3, 4, 2]]
    """
    block = torch.arange((n + 1) // 2, device=device)
    epoch = torch.arange(first, first + epochs, device=device)[:, None]
    key = seed & WORD, seed >> 32 & WORD
    words = philox((block & WORD, block >> 32, epoch & WORD, epoch >> 32), key)
    low, high = torch.stack(words[::2], 2), torch.stack(words[1::2], 2)
    keys = ((high & (WORD >> 1)) << 32 | low).flatten(1)[:, :n]
    orders = keys.argsort(dim=1, stable=True)
    return orders if n >= 2**31 else orders.to(torch.int32)


def draw_fast_orders_compiled(
    seed: int, n: int, first: int, epochs: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Return what `draw_fast_orders` does, compiled on the CPU where numba is there."""
    if torch.device(device).type != "cpu" or n >= 2**31 or find_spec("numba") is None:
        return draw_fast_orders(seed, n, first, epochs, device)
    from optlab.optimizers.fused.compiled_philox import fill_orders  # noqa: PLC0415 - optional

    orders = np.empty((epochs, n), np.int32)
    fill_orders(np.uint64(seed & WORD), np.uint64(seed >> 32 & WORD), np.uint64(first), orders)
    return torch.from_numpy(orders)
