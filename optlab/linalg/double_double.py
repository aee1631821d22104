"""Double-double arithmetic: a number kept as an unevaluated sum ``high + low``, some 32 digits.

Everything here is written with ``+``, ``-`` and ``*`` only, so it runs on torch tensors of any
device and on numpy arrays alike. No fused multiply-add is assumed: products are split (Dekker).

Sources: T. J. Dekker, Numer. Math. 18 (1971) 224-242; D. E. Knuth, TAOCP vol. 2, 4.2.2;
T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26 (2005) 1955-1988 (Dot2).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

Array = TypeVar("Array", torch.Tensor, npt.NDArray[np.float64])

# Products are exact while no factor exceeds 2**996 (the splitting overflows above) and no product
# falls below 2**-969 (its rounding error would be subnormal). Callers scale by powers of two first.
SPLITTER = 134217729.0  # 2**27 + 1
UNIT = 2.0**-104  # the relative error of one operation; Dekker's bound is 4 * 2**-106
BLOCK_ELEMENTS = 1 << 16  # temporaries of half a megabyte stay in the cache


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the sum of ``a`` and ``b`` and its rounding error, exactly: ``a + b == s + e``.

    Examples
    --------
    >>> s, e = two_sum(torch.tensor(1.0, dtype=torch.float64), torch.tensor(2.0**-60))
    >>> s.item(), e.item() == 2.0**-60
    (1.0, True)

    Source: Knuth, TAOCP vol. 2, section 4.2.2, theorem B.
    """
    s = a + b
    b_part = s - a
    return s, (a - (s - b_part)) + (b - b_part)


def fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return ``a + b`` and its rounding error, exactly, where ``|a| >= |b|`` or ``a`` is zero."""
    s = a + b
    return s, b - (s - a)


def split(a: Array) -> tuple[Array, Array]:
    """Return ``a`` as the exact sum of two numbers of at most 26 bits each (Veltkamp).

    Examples
    --------
    >>> high, low = split(torch.tensor(1.0 + 2.0**-52, dtype=torch.float64))
    >>> high.item(), low.item() == 2.0**-52
    (1.0, True)
    """
    t = a * SPLITTER
    high = t - (t - a)
    return high, a - high


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the product of ``a`` and ``b`` and its rounding error, exactly: ``a * b == p + e``.

    Examples
    --------
    >>> a = torch.tensor(1.0 + 2.0**-30, dtype=torch.float64)
    >>> p, e = two_product(a, a)
    >>> e.item() == 2.0**-60
    True

    Source: Dekker (1971), ``mul12``.
    """
    return split_product(a, split(a), b, split(b))


def split_product(
    a: Array, a_parts: tuple[Array, Array], b: Array, b_parts: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return ``a * b`` and its rounding error, for factors that are split already."""
    (a_high, a_low), (b_high, b_low) = a_parts, b_parts
    p = a * b
    e = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
    return p, e


def pair_sum(high: Array, low: Array, axis: int) -> tuple[Array, Array]:
    """Return the sum of the pairs along ``axis`` (0 or 1), by halves, as a normalised pair.

    The pairs need not be normalised, and have up to 3 axes. The error is at most ``(log2(m) + 2)**2
    * 2**-106`` times the sum of ``|high|`` over the m terms: high parts are added without error,
    only the low parts round.
    """
    size = high.shape[axis]
    if size == 0:
        total: Array = high.sum(axis)
        return total, total
    before: tuple[slice, ...] = (slice(None),) * axis
    while size > 1:
        half = size // 2
        first, second, rest = (
            (*before, slice(0, half)),
            (*before, slice(half, 2 * half)),
            (*before, slice(2 * half, size)),
        )
        s, e = two_sum(high[first], high[second])
        e = e + (low[first] + low[second])
        if size % 2:  # the odd one out joins the first pair
            head = (*before, slice(0, 1))
            t, f = two_sum(s[head], high[rest])
            e[head] += f + low[rest]
            s[head] = t
        high, low, size = s, e, half
    only: Any = (*before, 0)
    return fast_two_sum(high[only], low[only])


def pair_add(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the sum of two pairs as a normalised pair; error ``2 UNIT (|a| + |b|)``."""
    s, e = two_sum(a[0], b[0])
    return fast_two_sum(s, e + (a[1] + b[1]))


def matvec(A: Array, x: tuple[Array, Array], A_low: Array | None = None) -> tuple[Array, Array]:
    """Return ``(A + A_low) @ (x_high + x_low)`` as a pair (m,), to twice the working precision.

    A is (m, k), x a pair of (k,), and ``A_low`` the low part of a design known to more than 16
    digits. Rows are worked on in blocks, so the temporaries stay below some ten times
    ``BLOCK_ELEMENTS`` numbers whatever m is.

    Examples
    --------
    >>> A = torch.tensor([[1e16, 1.0, -1e16]], dtype=torch.float64)
    >>> one = torch.ones(3, dtype=torch.float64)
    >>> matvec(A, (one, 0 * one))[0].item()
    1.0
    """
    high, low = x
    parts = split(high)
    out_high, out_low = A[:, :0].sum(1), A[:, :0].sum(1)  # zeros of the right kind, any device
    for rows in row_blocks(A.shape[0], A.shape[1]):
        block = A[rows]
        p, e = split_product(block, split(block), high, parts)
        e = e + block * low
        if A_low is not None:
            e = e + A_low[rows] * high
        out_high[rows], out_low[rows] = pair_sum(p, e, 1)
    return out_high, out_low


def transposed_matvec(
    A: Array, x: tuple[Array, Array], A_low: Array | None = None
) -> tuple[Array, Array]:
    """Return ``(A + A_low).T @ (x_high + x_low)`` as a pair of shape (k,); see :func:`matvec`.

    Examples
    --------
    >>> A = torch.tensor([[1e16], [1.0], [-1e16]], dtype=torch.float64)
    >>> one = torch.ones(3, dtype=torch.float64)
    >>> transposed_matvec(A, (one, 0 * one))[0].item()
    1.0
    """
    high, low = x
    total = (A[:0].sum(0), A[:0].sum(0))
    for rows in row_blocks(A.shape[0], A.shape[1]):
        block, column = A[rows], high[rows][:, None]
        p, e = split_product(block, split(block), column, split(column))
        e = e + block * low[rows][:, None]
        if A_low is not None:
            e = e + A_low[rows] * column
        total = pair_add(total, pair_sum(p, e, 0))
    return total


def gram(A: Array, A_low: Array | None = None) -> tuple[Array, Array]:
    """Return ``A' A`` as a pair of shape (k, k), for ``A`` of shape (m, k); see :func:`matvec`."""
    m, k = A.shape
    total = (A[:0].T @ A[:0], A[:0].T @ A[:0])
    for rows in row_blocks(m, k * k):
        block = A[rows]
        left, right = block[:, :, None], block[:, None, :]
        p, e = split_product(left, split(left), right, split(right))
        if A_low is not None:
            extra = A_low[rows]
            e = e + (extra[:, :, None] * right + left * extra[:, None, :])
        total = pair_add(total, pair_sum(p, e, 0))
    return total


def row_blocks(rows: int, width: int) -> list[slice]:
    """Return slices over ``rows`` rows, each of about ``BLOCK_ELEMENTS`` numbers."""
    step = max(1, BLOCK_ELEMENTS // max(width, 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
