"""An upper bound of the largest eigenvalue of the Gram matrix of a design."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from optlab.linalg.cross_product import cross_product

ENTRIES = 1 << 17  # of the rows that are made float64 at once: they stay within a cache


def largest_eigenvalue(X: Tensor, row_weight: Tensor | None, *, intercept: bool) -> float:
    r"""Return an upper bound of the largest eigenvalue of ``A'UA / n``, on the device of the data.

    A is X ``(n, d)``, with a column of ones where there is an intercept, and U the rows' weights
    ``(n,)``. The Gram matrix (of the rows, where these are fewer than the columns) is summed in
    float64: an entry errs by at most ``(m + 8) eps`` times the sum of its terms' sizes, m of them,
    so that the matrix errs by that times its trace at most; its computed eigenvalues err by a few
    ``p eps`` of its norm. Both are less than the ``8 (n + p) eps`` of the trace that are added.

    Examples
    --------
    >>> bound = largest_eigenvalue(torch.tensor([[3.0], [4.0]]), None, intercept=False)
    >>> 12.5 <= bound <= 12.5 * (1 + 1e-13)
    True

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 3.5.
    """
    n, p = len(X), X.shape[1] + intercept
    largest = max(float(torch.linalg.vector_norm(X, torch.inf)), float(intercept))
    scale = 2.0 ** (math.frexp(largest)[1] - 1)  # squares stay within range
    weight = None if row_weight is None else row_weight.split(_step(n, p))
    gram = X.new_zeros((min(n, p),) * 2, dtype=torch.float64)
    for i, part in enumerate(X.split(_step(n, p))):
        rows = part.double() / scale
        if intercept:
            rows = torch.cat([torch.full_like(rows[:, :1], 1 / scale), rows], 1)
        if weight is not None:
            rows = weight[i].double().sqrt()[:, None] * rows
        gram += cross_product(rows) if p <= n else rows @ rows.T
    rounding = 8 * (n + p) * torch.finfo(torch.float64).eps
    found = float(torch.linalg.eigvalsh(gram)[-1] + rounding * gram.trace())
    return found / n * scale * scale


def _step(n: int, p: int) -> int:
    """Return how many rows are taken at once: all where they are fewer than the columns."""
    return max(1, ENTRIES // p) if p <= n else n
