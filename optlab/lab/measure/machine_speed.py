"""Measure how fast this machine reads memory and multiplies: the bounds of any program."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from optlab.lab.measure.clock import current_clock

_READ_BYTES = 1 << 28  # more than processors' caches hold
_SIDE = 1024  # of the square matrices multiplied: 2 GFLOP
_ROUNDS = 5


@cache
def read_bandwidth(threads: int) -> float:
    """Return the bytes a second at which memory is read, by so many threads: the best of 5 sums.

    256 MB are read, more than a cache holds: data that stay in a cache are read faster. The count
    of threads is torch's present one, by which what was measured is kept.

    Examples
    --------
    >>> import torch
    >>> 1e8 < read_bandwidth(torch.get_num_threads()) < 1e13
    True

    References
    ----------
    McCalpin, STREAM: sustainable memory bandwidth in high performance computers (1995).
    """
    del threads
    values = torch.ones(_READ_BYTES // 8, dtype=torch.float64, device="cpu")
    return _READ_BYTES / _least_seconds(values.sum)


@cache
def arithmetic_rate(dtype: torch.dtype, threads: int) -> float:
    """Return the operations a second of a product of square matrices: the best of 5.

    A multiplication and an addition are two operations, as the field counts.

    Examples
    --------
    >>> import torch
    >>> 1e8 < arithmetic_rate(torch.float64, torch.get_num_threads()) < 1e15
    True
    """
    del threads
    A = torch.ones(_SIDE, _SIDE, dtype=dtype, device="cpu")
    return 2 * _SIDE**3 / _least_seconds(lambda: A @ A)


def _least_seconds(work: Callable[[], object]) -> float:
    read, found = current_clock().read, []
    for _ in range(_ROUNDS + 1):  # the first is cold, and never the least
        began = read()
        work()
        found.append(read() - began)
    return max(1, min(found)) / 1e9
