"""Sums over all rows in one pass: Gram matrix, residual and gradient.

The unknowns are ``c = [bias, weight...]`` (without the bias where there is no intercept), and
``A = [1 X]``. Where rows have weights, each sum over rows is weighted by them. Results are small,
and always numpy float64 on the CPU, wherever the rows are.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from optlab.linalg import double_double as dd
from optlab.linalg.cross_product import cross_product
from optlab.linalg.row_blocks import CHUNK_ROWS, Block, Rows, Vector, offset
from optlab.linalg.traversal import empty_like, is_large, like, rows_first, to_numpy, visit

Pair = tuple[Vector, Vector]


class Gram(NamedTuple):
    """``B'B`` with ``B = [1 X-shift y-shift]`` (the 1 only with an intercept), and the shift."""

    matrix: Vector
    shift: Vector  # of the columns of X, then of y
    rows: int
    blocks: int  # the number of products that were added up


class Gradient(NamedTuple):
    """``A'r`` as a pair, and ``r'r``, where ``r = y - A c``."""

    high: Vector
    low: Vector
    squares: float
    rows: int


def gram(rows: Rows) -> Gram:
    """Return the Gram matrix of the rows, by a product of each chunk.

    Where the columns' means are large against their spread, approximate means are taken off first:
    rounding there is relative to the spread, so they do not spoil the Cholesky factor.
    """
    # NaN, inf or overflow show on the diagonal, and are looked into only then: no pass is spent
    # on looking for them beforehand.
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        sample = rows.whole if rows.whole is not None else next(iter(rows.blocks()))
        shift = offset(sample) if rows.intercept else None
        large = sample.weights is None and (rows.whole is None or is_large(rows.whole))
        if shift is None and large and rows.features and not isinstance(sample.X, torch.Tensor):
            return _gram_in_place(rows)
        return _gram_of_copies(rows, shift)


def _gram_of_copies(rows: Rows, shift: tuple[Any, Any] | None) -> Gram:
    """Return the Gram matrix of chunks ``[1 X-shift y-shift]``, copied one after the other."""
    X_shift, y_shift = (0.0, 0.0) if shift is None else shift
    first = int(rows.intercept)
    total, scratch, count, blocks = None, None, 0, 0
    for block in rows.blocks():
        blocks += 1
        m = block.X.shape[0]
        if scratch is None or scratch.shape[0] < m:
            scratch = empty_like(block.X, (m, rows.unknowns + 1))
        part = scratch[:m]
        part[:, :first] = 1.0
        part[:, first:-1] = block.X - X_shift
        part[:, -1] = block.y - y_shift
        if block.weights is not None:
            part *= block.weights[:, None] ** 0.5
        product = cross_product(part)
        total = product if total is None else total + product
        count += m
    shifts = np.zeros(rows.features + 1)
    if shift is not None:
        shifts[:-1], shifts[-1] = to_numpy(X_shift), float(y_shift)
    return Gram(to_numpy(total), shifts, count, blocks)


def _gram_in_place(rows: Rows) -> Gram:
    """Return the Gram matrix without a copy of the rows, by as few and large products as can be.

    BLAS makes its threads wait for each other in every call: where others use the processor too,
    many small calls take ten times as long as a large one.
    """
    first, d = int(rows.intercept), rows.features
    inner, blocks = np.zeros((d, d)), 0
    for block in rows.blocks() if rows.whole is None else [rows.whole]:
        blocks += 1
        inner += cross_product(block.X)
    sums, count = np.zeros((3, max(d, 2))), 0
    for ones, products, squares, m in visit(rows, _column_sums):
        sums[0, :d] += ones
        sums[1, :d] += products
        sums[2, :2] += squares
        count += m
    G = np.zeros((d + first + 1,) * 2)
    G[first:-1, first:-1] = inner
    if first:
        G[0, 0], G[0, -1], G[-1, 0] = count, sums[2, 0], sums[2, 0]
        G[0, first:-1] = G[first:-1, 0] = sums[0, :d]
    G[-1, first:-1] = G[first:-1, -1] = sums[1, :d]
    G[-1, -1] = sums[2, 1]
    return Gram(G, np.zeros(d + 1), count, blocks)


def _column_sums(block: Block, compiled: ModuleType | None) -> Sums:
    """Return one block's ``X'1``, ``X'y`` and ``[1'y, y'y]``."""
    X, y = block.X, block.y
    if compiled is None:
        ones = np.ones(len(y))
        return ones @ X, y @ X, np.array([float(ones @ y), float(y @ y)]), len(y)
    totals, products, sums = np.zeros(X.shape[1]), np.zeros(X.shape[1]), np.zeros(2)
    compiled.column_sums(*rows_first(block), totals, products, sums)
    return totals, products, sums, len(y)


def gradient(rows: Rows, c: Vector) -> Gradient:
    """Return ``A'r`` and ``r'r`` with ``r = y - A c``, in working precision, summed by chunks."""
    if rows.whole is not None and len(rows.whole.y) <= CHUNK_ROWS:  # one block: no time to lose
        high, _, square, m = _plain(rows.whole, rows, c, None)
        return Gradient(high, np.zeros_like(high), float(square[0]), m)
    total, squares, count = np.zeros(rows.unknowns), 0.0, 0
    for high, _, square, m in visit(rows, lambda block, fast: _plain(block, rows, c, fast)):
        total, squares, count = total + high, squares + float(square[0]), count + m
    return Gradient(total, np.zeros_like(total), squares, count)


def accurate_gradient(rows: Rows, c: Pair) -> Gradient:
    """Return ``A'r`` as a pair and ``r'r``, with ``r = y - A c``, all in double-double."""
    total = (np.zeros(rows.unknowns), np.zeros(rows.unknowns))
    squares, count = (np.zeros(1), np.zeros(1)), 0
    for high, low, square, m in visit(rows, lambda block, fast: _accurate(block, rows, c, fast)):
        total = dd.pair_add(total, (high, low))
        squares = dd.pair_add(squares, (square[:1], square[1:]))
        count += m
    return Gradient(total[0], total[1], float(squares[0][0]), count)


def accurate_gram(rows: Rows) -> Pair:
    """Return ``A'A`` (p, p) in double-double, as a pair."""
    total = (np.zeros((rows.unknowns,) * 2), np.zeros((rows.unknowns,) * 2))
    for block in rows.blocks():
        X, X_low = block.X, block.X_low
        if rows.intercept:
            m = X.shape[0]
            X, extra = empty_like(block.X, (m, rows.unknowns)), X_low
            X[:, 0], X[:, 1:] = 1.0, block.X
            if extra is not None:
                X_low = empty_like(block.X, (m, rows.unknowns))
                X_low[:, 0], X_low[:, 1:] = 0.0, extra
        if block.weights is None:
            high, low = dd.gram(X, X_low)
        else:
            high, low = _weighted_gram(X, X_low, block.weights)
        total = dd.pair_add(total, (to_numpy(high), to_numpy(low)))
    return total


def _weighted_gram(A: Any, A_low: Any, weights: Any) -> tuple[Any, Any]:
    """Return ``A' W A`` as a pair, column by column."""
    high, low = 0.0 * (A[:1].T @ A[:1]), 0.0 * (A[:1].T @ A[:1])
    for j in range(A.shape[1]):
        column = (A[:, j], 0.0 * A[:, j] if A_low is None else A_low[:, j])
        high[:, j], low[:, j] = dd.transposed_matvec(A, _times(column, weights), A_low)
    return high, low


def _times(pair: tuple[Any, Any], factors: Any) -> tuple[Any, Any]:
    """Return the product of a pair and float64 factors, as a normalised pair."""
    p, e = dd.two_product(pair[0], factors)
    return dd.fast_two_sum(p, e + pair[1] * factors)


Sums = tuple[Vector, Vector, Vector, int]  # two vectors, two numbers, and the rows summed over


def _plain(block: Block, rows: Rows, c: Vector, compiled: ModuleType | None) -> Sums:
    """Return one block's share of the gradient in working precision."""
    first = int(rows.intercept)
    out, sums = np.zeros(rows.unknowns), np.zeros(2)
    if compiled is not None and block.weights is None:
        bias = float(c[0]) if first else 0.0
        compiled.residual_gradient(*rows_first(block), bias, c[first:], out[first:], sums)
        out[:first] = sums[:first]
        return out, out, sums[1:], len(block.y)
    r = block.y - block.X @ like(c[first:], block.X)
    if first:
        r = r - float(c[0])
    weighted = r if block.weights is None else block.weights * r
    if first:
        out[0] = float(weighted.sum())
    out[first:] = to_numpy(weighted @ block.X)
    sums[0] = float(weighted @ r)
    return out, out, sums, len(block.y)


def _accurate(block: Block, rows: Rows, c: Pair, compiled: ModuleType | None) -> Sums:
    """Return one block's share of the gradient in double-double."""
    first = int(rows.intercept)
    high, low = np.zeros(rows.unknowns), np.zeros(rows.unknowns)
    if compiled is not None and all(part is None for part in block[2:]):
        sums, bias = np.zeros(4), np.zeros(2)
        bias[:first], bias[1 : 1 + first] = c[0][:first], c[1][:first]
        compiled.accurate_residual_gradient(
            *rows_first(block), bias, c[0][first:], c[1][first:], high[first:], low[first:], sums
        )
        high[:first], low[:first] = sums[:first], sums[1 : 1 + first]
        return high, low, sums[2:], len(block.y)
    minus = (like(-c[0][first:], block.X), like(-c[1][first:], block.X))
    r = dd.matvec(block.X, minus, block.X_low)
    r = dd.pair_add(r, (block.y, 0.0 * block.y if block.y_low is None else block.y_low))
    if first:
        r = dd.pair_add(r, (like(-c[0][:1], block.X), like(-c[1][:1], block.X)))
    weighted = r if block.weights is None else _times(r, block.weights)
    if first:
        ones = dd.pair_sum(*weighted, 0)
        high[0], low[0] = float(ones[0]), float(ones[1])
    g = dd.transposed_matvec(block.X, weighted, block.X_low)
    high[first:], low[first:] = to_numpy(g[0]), to_numpy(g[1])
    p, e = dd.two_product(r[0], weighted[0])
    square = dd.pair_sum(p, e + (r[0] * weighted[1] + r[1] * weighted[0]), 0)
    return high, low, np.array([float(square[0]), float(square[1])]), len(block.y)
