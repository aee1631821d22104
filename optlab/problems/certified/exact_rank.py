"""The exact rank of a matrix of floating-point numbers, modulo a prime."""

from __future__ import annotations

import numpy as np
import torch

PRIME = 2**31 - 1  # products of residues fit into 64 bits
MOST_WORK = 1 << 28  # operations of the elimination: about a second


def exact_rank(A: torch.Tensor) -> int | None:
    """Return the rank of A ``(n, p)``, float64, its numbers taken as exact; None where A is large.

    Floating-point numbers are whole numbers times powers of two, so that Gauss's elimination can be
    done in residues modulo a prime, without rounding. That rank is never above the true one, and
    below it only where the prime divides every minor of that order: one chance in about 2**31.

    Examples
    --------
    >>> tenth = torch.tensor([[0.1, 0.2, 0.30000000000000004], [1.0, 2.0, 3.0]]).double()
    >>> exact_rank(tenth[:, :2]), exact_rank(tenth)
    (1, 2)
    """
    n, p = A.shape
    if n * p * min(n, p) > MOST_WORK:
        return None
    mantissas, exponents = np.frexp(A.numpy())
    values = np.ldexp(mantissas, 53).astype(np.int64) % PRIME
    powers = {int(e): pow(2, int(e) - 53, PRIME) for e in np.unique(exponents)}
    residues = values * np.vectorize(powers.__getitem__, otypes=[np.int64])(exponents) % PRIME
    rank = 0
    for column in range(p):
        below = np.flatnonzero(residues[rank:, column])
        if not len(below):
            continue
        pivot = rank + int(below[0])
        residues[[rank, pivot]] = residues[[pivot, rank]]
        inverse = pow(int(residues[rank, column]), -1, PRIME)
        row = residues[rank] * inverse % PRIME
        factors = residues[rank + 1 :, column : column + 1]
        residues[rank + 1 :] = (residues[rank + 1 :] - factors * row % PRIME) % PRIME
        rank += 1
        if rank == n:
            break
    return rank
