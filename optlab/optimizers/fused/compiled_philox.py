"""Sort the random keys of `philox_order` in compiled code. Importing it imports numba.

Short epochs are ranked by counting, some epochs beside each other in vector instructions. Longer
ones are sorted by buckets: keys are uniform, so that their first bits tell where each belongs.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from optlab.optimizers.fused.cached_njit import cached_njit
from optlab.optimizers.fused.philox_order import MULTIPLIERS, ROUNDS, WEYL

SHORT = 48
"""The most rows of an epoch that are ranked by counting, of which the work is their square."""

_LANES = 64  # short epochs at once
_BITS = 63  # of a key
_M0, _M1, _W0, _W1 = (np.uint64(number) for number in (*MULTIPLIERS, *WEYL))
_WORD, _HALF, _SIGN = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0x7FFFFFFF)


def _two_keys(block: Any, epoch: Any, low: Any, high: Any) -> Any:
    a, b = block & _WORD, block >> _HALF
    c, d = epoch & _WORD, epoch >> _HALF
    for _ in range(ROUNDS):
        left, right = a * _M0, c * _M1
        a, c = (right >> _HALF) ^ b ^ low, (left >> _HALF) ^ d ^ high
        b, d = right & _WORD, left & _WORD
        low, high = (low + _W0) & _WORD, (high + _W1) & _WORD
    return ((b & _SIGN) << _HALF) | a, ((d & _SIGN) << _HALF) | c


two_keys: Any = numba.njit(inline="always")(_two_keys)
two_keys.__doc__ = "Return the keys of rows 2 block and 2 block + 1: two words each."


@cached_njit
def _rank_short(low: Any, high: Any, first: Any, orders: Any) -> None:
    """Order few rows: a row's place is the number of keys below its own."""
    epochs, n = orders.shape
    keys = np.empty((n + 1, _LANES), np.uint64)
    ranks = np.empty((n + 1, _LANES), np.int64)
    for start in range(0, epochs, _LANES):
        for block in range((n + 1) // 2):
            for lane in range(_LANES):
                one, other = two_keys(np.uint64(block), first + np.uint64(start + lane), low, high)
                keys[2 * block, lane] = one
                keys[2 * block + 1, lane] = other
        ranks[:] = 0
        for i in range(1, n):
            for j in range(i):
                for lane in range(_LANES):
                    later = np.int64(keys[j, lane] <= keys[i, lane])
                    ranks[i, lane] += later
                    ranks[j, lane] += 1 - later
        for lane in range(min(_LANES, epochs - start)):
            order = orders[start + lane]
            for i in range(n):
                order[ranks[i, lane]] = i


@cached_njit
def _sort_long(low: Any, high: Any, first: Any, orders: Any) -> None:
    """Order many rows by buckets of one or two keys each, and insertion within these."""
    epochs, n = orders.shape
    bits = 1
    while 2 << bits < n:
        bits += 1
    shift = np.uint64(_BITS - bits)
    ends = np.empty((1 << bits) + 1, np.int64)
    keys, placed = np.empty(n + 1, np.uint64), np.empty(n, np.uint64)
    for epoch in range(epochs):
        order = orders[epoch]
        for block in range((n + 1) // 2):
            one, other = two_keys(np.uint64(block), first + np.uint64(epoch), low, high)
            keys[2 * block] = one
            keys[2 * block + 1] = other
        ends[:] = 0
        for i in range(n):
            ends[np.int64(keys[i] >> shift) + 1] += 1
        for bucket in range(1, len(ends)):
            ends[bucket] += ends[bucket - 1]
        for i in range(n):  # in the order of the rows, in which ties stay
            own = np.int64(keys[i] >> shift)
            placed[ends[own]] = keys[i]
            order[ends[own]] = i
            ends[own] += 1
        for last in range(1, n):  # by insertion: no key leaves its bucket
            key, row = placed[last], order[last]
            j = last
            while j > 0 and placed[j - 1] > key:
                placed[j] = placed[j - 1]
                order[j] = order[j - 1]
                j -= 1
            placed[j] = key
            order[j] = row


def fill_orders(low: Any, high: Any, first: Any, orders: np.ndarray[Any, Any]) -> None:
    """Fill ``orders`` (epochs, n) from epoch ``first`` on by the two words of a seed."""
    (_rank_short if orders.shape[1] <= SHORT else _sort_long)(low, high, first, orders)
