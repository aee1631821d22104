"""Draw the orders of a DataLoader in compiled code: torch's mt19937. Importing it imports numba.

Torch's CPU generator is the Mersenne twister MT19937. Each epoch a DataLoader draws two int64 of
it, of two words each; the low word of the second seeds another twister, which permutes the rows.
Short epochs need few words of that one, so that only these are computed, for some epochs at once.

References
----------
Matsumoto and Nishimura, Mersenne Twister (1998); ATen/core/MT19937RNGEngine.h and
ATen/native/TensorFactories.cpp (randperm_cpu), torch 2.13.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from optlab.optimizers.fused.cached_njit import cached_njit

WORDS, MIDDLE = 624, 397
SHORT = WORDS - MIDDLE + 1
"""The most rows of an epoch whose permutation needs no twist of the whole state: 228."""

_LANES = 128
"""Twisters seeded at once, by vector instructions: their chains of products run side by side."""


def _temper(word: Any) -> Any:
    word ^= word >> np.uint32(11)
    word ^= (word << np.uint32(7)) & np.uint32(0x9D2C5680)
    word ^= (word << np.uint32(15)) & np.uint32(0xEFC60000)
    return word ^ (word >> np.uint32(18))


temper: Any = numba.njit(inline="always")(_temper)


def _mix(first: Any, second: Any, middle: Any) -> Any:
    mixed = (first & np.uint32(0x80000000)) | (second & np.uint32(0x7FFFFFFF))
    return middle ^ (mixed >> np.uint32(1)) ^ ((mixed & np.uint32(1)) * np.uint32(0x9908B0DF))


mix: Any = numba.njit(inline="always")(_mix)


@cached_njit
def _twist(state: Any) -> None:
    """Compute the next 624 words in place."""
    for i in range(WORDS):
        state[i] = mix(state[i], state[(i + 1) % WORDS], state[(i + MIDDLE) % WORDS])


@cached_njit
def _draw_seeds(state: Any, left: int, seeds: Any) -> int:
    """Draw a seed an epoch as a DataLoader does; return how many words are left."""
    for i in range(len(seeds)):
        for _ in range(4):
            left -= 1
            if left == 0:
                _twist(state)
                left = WORDS
            seeds[i] = temper(state[WORDS - left])
    return left


@cached_njit
def _seed_lanes(lane: Any, n: int, head: Any, tail: Any) -> None:
    """Seed a twister a lane; keep its first words and those that its first twists mix with them."""
    for j in range(_LANES):  # loops: an array in an array takes seconds to compile
        head[0, j] = lane[j]
    for i in range(1, MIDDLE + n - 1):
        for j in range(_LANES):
            lane[j] = np.uint32(1812433253) * (lane[j] ^ (lane[j] >> np.uint32(30)))
            lane[j] += np.uint32(i)
        if i < n:
            for j in range(_LANES):
                head[i, j] = lane[j]
        elif i >= MIDDLE:
            for j in range(_LANES):
                tail[i - MIDDLE, j] = lane[j]


@cached_njit
def _permute_short(seeds: Any, orders: Any) -> None:
    """Permute up to 228 rows by each seed's first words."""
    n = orders.shape[1]
    lane = np.empty(_LANES, np.uint32)
    head, tail = np.empty((n, _LANES), np.uint32), np.empty((n, _LANES), np.uint32)
    others = np.empty((n, _LANES), np.int32)
    for first in range(0, len(seeds), _LANES):
        most = min(_LANES, len(seeds) - first)
        for j in range(_LANES):
            lane[j] = seeds[first + j] if j < most else 0
        _seed_lanes(lane, n, head, tail)
        for i in range(n - 1):
            left = np.float64(n - i)
            for j in range(most):
                word = temper(mix(head[i, j], head[i + 1, j], tail[i, j]))
                # The remainder: the quotient of such whole numbers never rounds up to the next.
                whole = np.uint32(np.float64(word) / left)
                others[i, j] = i + np.int32(word - whole * np.uint32(n - i))
        for j in range(most):
            order = orders[first + j]
            for i in range(n):
                order[i] = i
            for i in range(n - 1):
                other = others[i, j]
                order[i], order[other] = order[other], order[i]


@cached_njit
def _permute_long(seeds: Any, orders: Any) -> None:
    """Permute any number of rows by each seed."""
    n = orders.shape[1]
    state = np.empty(WORDS, np.uint32)
    for epoch in range(len(seeds)):
        state[0] = seeds[epoch]
        for i in range(1, WORDS):
            word = state[i - 1] ^ (state[i - 1] >> np.uint32(30))
            state[i] = np.uint32(1812433253) * word + np.uint32(i)
        order = orders[epoch]
        for i in range(n):
            order[i] = i
        for i in range(n - 1):
            if i % WORDS == 0:
                _twist(state)
            other = i + np.int64(temper(state[i % WORDS]) % np.uint32(n - i))
            order[i], order[other] = order[other], order[i]


def permutations(state: np.ndarray[Any, Any], left: int, orders: np.ndarray[Any, Any]) -> int:
    """Fill ``orders`` (epochs, n) by a generator's 624 words, and return how many are left.

    ``state`` is changed as the generator's own would be.
    """
    seeds = np.empty(len(orders), np.uint32)
    left = int(_draw_seeds(state, left, seeds))
    (_permute_short if orders.shape[1] <= SHORT else _permute_long)(seeds, orders)
    return left
