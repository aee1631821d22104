"""Order statistics of a finite list in random order: the best of k, and attempts to a success."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_of(values: NDArray[np.float64], k: int, shares: Sequence[float]) -> list[float]:
    """Return quantiles of the least of k values, drawn without replacement from a list.

    Of n values in ascending order, the least of k drawn is at most the i-th with probability
    ``1 - C(n - i, k) / C(n, k)``. The quantile of a share is the first value at which this is at
    least the share.

    Raises
    ------
    ValueError
        For a k that is not from 1 to n.

    Examples
    --------
    >>> best_of(np.array([4.0, 1.0, 2.0, 3.0]), 2, [0.5, 0.95])
    [1.0, 3.0]
    """
    ordered = np.sort(values)
    n = len(ordered)
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to {n}, not {k}")
    whole = math.comb(n, k)
    at_most = [1 - math.comb(n - i, k) / whole for i in range(1, n + 1)]
    places = [next(i for i, p in enumerate(at_most) if p >= share - 1e-12) for share in shares]
    return [float(ordered[i]) for i in places]


def expected_attempts(n: int, successes: int) -> float:
    """Return how many of n trials in random order are made on average until one succeeds.

    That is ``(n + 1) / (successes + 1)``; infinite where none does.

    Examples
    --------
    >>> expected_attempts(20, 6)
    3.0
    """
    return (n + 1) / (successes + 1) if successes else math.inf
