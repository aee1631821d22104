"""The triangle of QR, of rows in any number of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.linalg import lapack

from optlab.linalg.cross_product import cross_product
from optlab.linalg.row_blocks import Rows, Vector, check_finite
from optlab.linalg.traversal import COMPILED_ELEMENTS, empty_like, to_numpy

CHOLESKY_QR_CONDITION = 1e6  # rounding leaves Q'Q within 1e-3 of I: the second round mends it
SMALL_QR = 1 << 13  # above, torch's QR is faster; below, calling LAPACK at once is


def triangle(rows: Rows) -> tuple[Vector, int, int]:
    """Return R of the QR factorisation of ``[1 X | y]``, the number of rows n, and of blocks.

    R is upper trapezoidal, (min(n, p) + 1, p + 1); its last row holds the norm of the residual.

    One pass: each block of rows is reduced to its own triangle, stacked under the triangle so far,
    and factored again. Scaling columns by powers of two would not change a bit of the directions,
    so none is applied. Rows with weights are multiplied by their roots, which rounds: corrections
    with the weights themselves follow.
    """
    size = rows.unknowns + 1
    R = np.zeros((size, size))
    count = blocks = 0
    for block in rows.blocks():
        blocks += 1
        m = block.X.shape[0]
        stack = empty_like(block.X, (m, size))
        stack[:, : rows.intercept] = 1.0
        stack[:, rows.intercept : -1] = block.X
        stack[:, -1] = block.y
        if block.weights is not None:
            stack *= block.weights[:, None] ** 0.5
        with np.errstate(all="ignore"):
            own = _cholesky_qr(stack)
            part = to_numpy(qr_triangle(stack)) if own is None else own
            R = qr_triangle(np.concatenate([R, part])) if count else part
        if not np.isfinite(R).all():  # say where, unless it is overflow
            check_finite(block, count)
            raise OverflowError("X or y are too large to be factored: divide them by 2**64, say")
        count += m
    if count < size:  # as many equations as can be met: no residual
        R = np.concatenate([R, np.zeros((1, size))])
    return R, count, blocks


def _cholesky_qr(A: Any) -> Vector | None:
    """Return R of A (m, p) by two rounds of Cholesky, or None where Householder must do it.

    Three large products instead of p small steps. Up to the condition number asked for, with
    columns scaled, its backward error is Householder's.

    Source: Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa, T. Fukaya, ETNA 44 (2015) 306-326.
    """
    if isinstance(A, torch.Tensor) or A.size < COMPILED_ELEMENTS or A.shape[0] < 8 * A.shape[1]:
        return None
    G = cross_product(A)
    squares = G.diagonal()
    if not (squares.min() > 2.0**-900 and squares.max() < 2.0**900):
        return None
    powers = np.ldexp(1.0, -np.frexp(np.sqrt(squares))[1])
    R, info = lapack.dpotrf(G * powers * powers[:, None])
    if info:
        return None
    inverse, info = lapack.dtrtri(R)
    if info or np.linalg.norm(R) * np.linalg.norm(inverse) > CHOLESKY_QR_CONDITION:
        return None
    Q = A @ (inverse * powers[:, None])
    again, info = lapack.dpotrf(cross_product(Q))
    product: Vector = again @ R / powers
    return None if info else product


def qr_triangle(A: Any) -> Any:
    """Return R (min(m, p), p) of a QR factorisation of A (m, p)."""
    p = A.shape[1]
    if isinstance(A, torch.Tensor):
        return torch.linalg.qr(A, mode="r").R
    if A.size > SMALL_QR:
        return torch.linalg.qr(torch.from_numpy(A), mode="r").R.numpy()
    # A copy in column order is what LAPACK works on; its workspace wants some 64 columns.
    factored, _, _, _ = lapack.dgeqrf(np.asfortranarray(A), lwork=64 * p, overwrite_a=1)
    return np.triu(factored[:p])
