"""Least squares for data in blocks: the same answer and certificate, memory independent of n."""

from __future__ import annotations

import itertools
import math
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from optlab.linalg.column_offsets import without_offsets
from optlab.linalg.factor import from_triangle
from optlab.linalg.row_blocks import (
    CHUNK_ROWS,
    Block,
    Rows,
    pieces,
    times_power,
    with_safe_exponents,
)
from optlab.linalg.solution import LeastSquaresSolution, make_solution
from optlab.linalg.solve import by_gram, by_triangle
from optlab.linalg.triangle import qr_triangle, triangle

BlockSource = Iterable[tuple[Any, ...]] | Callable[[], Iterable[tuple[Any, ...]]]

MOST_PASSES = 10
BLOCK_ELEMENTS = 1 << 22  # 32 MB: large enough for BLAS, and a handful of them are in memory
# The Gram matrix is three times faster than QR. It is tried where the first block's condition
# number leaves it some room below its limit of 5e6.
GRAM_CONDITION = 1e6


@dataclass(frozen=True)
class ArrayBlocks:
    """Blocks of rows of two arrays or memory-mapped files, from :func:`array_blocks`."""

    X: Any
    y: Any
    rows: int
    weights: Any = None

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        parts = [part for part in (self.X, self.y, self.weights) if part is not None]
        for start in range(0, len(self.y), self.rows):
            yield tuple(part[start : start + self.rows] for part in parts)
            for part in parts:
                _forget(part)


def array_blocks(X: Any, y: Any, rows: int | None = None, weights: Any = None) -> ArrayBlocks:
    """Return ``(X, y)``, or ``(X, y, weights)``, cut into blocks of so many rows.

    They can be visited any number of times.

    Parameters
    ----------
    X, y
        Tensors, arrays or ``numpy.memmap`` of shapes (n, d) and (n,). Pages of a memory-mapped file
        are given back to the system after use, so the resident memory stays small.
    rows
        Rows a block, at least 1; by default as many as take 32 MB.
    weights
        Of the rows, (n,) like y, or None.

    Returns
    -------
    ArrayBlocks
        An iterable of the blocks, in order and in the dtype given.

    See Also
    --------
    streaming_least_squares : What takes them.

    Examples
    --------
    >>> [len(y) for _, y in array_blocks(np.zeros((5, 2)), np.zeros(5), rows=2)]
    [2, 2, 1]
    """
    if rows is None:
        rows = max(1, BLOCK_ELEMENTS // max(1, X.shape[1]))
    if rows < 1:
        raise ValueError(f"rows must be at least 1, not {rows}")
    if len(X) != len(y):
        raise ValueError(f"X and y must have as many rows, not {len(X)} and {len(y)}")
    if weights is not None and len(weights) != len(y):
        raise ValueError(f"weights must have {len(y)} rows like y, not {len(weights)}")
    return ArrayBlocks(X, y, rows, weights)


def streaming_least_squares(
    blocks: BlockSource,
    *,
    fit_intercept: bool = True,
    l2: float = 0.0,
    refinement_passes: int = 2,
) -> LeastSquaresSolution:
    """Return the minimiser of ``mean((X w + b - y)**2) + l2/2 ||w||**2`` over all blocks.

    Parameters
    ----------
    blocks
        Pairs ``(X (m, d), y (m,))`` of tensors or arrays, float64 or float32 on one device: a
        sequence, an iterable that starts afresh each time (:func:`array_blocks`), or a callable
        that returns one. A one-shot iterator will do where ``refinement_passes`` is 0.

        Triples ``(X, y, weights (m,))`` where rows have weights, as in :func:`least_squares`; with
        a penalty one more pass is made for their sum, so a one-shot iterator will not do then.
    fit_intercept, l2
        As in :func:`least_squares`.
    refinement_passes
        0: one pass, a running QR of ``[R; block]``: backward stable, predicted digits cautious.
        1 or 2 more passes, in double-double: all the digits the data has. Where these are asked for
        and the first block is well conditioned, the first pass takes the Gram matrix, not QR.

    Returns
    -------
    LeastSquaresSolution
        The answer and its certificate.

    Raises
    ------
    ValueError
        Shapes, dtypes or options that are not allowed; no rows; elements that are not finite.
    OverflowError
        Coefficients beyond the range of float64.

    See Also
    --------
    least_squares : Data in memory.
    array_blocks : Cuts arrays into blocks.

    Notes
    -----
    Memory: a handful of blocks of at most 32 MB, and a few (d, d) matrices.

    Examples
    --------
    >>> X = np.arange(6.0)[:, None]
    >>> solution = streaming_least_squares(array_blocks(X, 2.0 * X[:, 0] - 1.0, rows=4))
    >>> solution.weight.item(), solution.bias.item()
    (2.0, -1.0)

    Source: G. H. Golub, C. F. Van Loan, Matrix Computations (2013), section 6.5 (row updating).
    """
    if not 0 <= refinement_passes <= MOST_PASSES:
        raise ValueError(f"refinement_passes must be 0 to {MOST_PASSES}, not {refinement_passes}")
    if not 0.0 <= l2 < float("inf"):
        raise ValueError(f"l2 must be finite and at least 0, not {l2}")
    rows, device, sample = _rows(blocks, fit_intercept, refinement_passes > 0, l2)
    if fit_intercept:
        rows = without_offsets(rows, sample)
    found = None
    if refinement_passes and _well_conditioned(sample, rows):
        found = by_gram(rows, l2, "full", refinement_passes)
    if found is not None:
        n = found.rows
    else:
        R, n, updates = triangle(rows)
        largest = np.abs(R).max(axis=0)[int(fit_intercept) :]
        moderate = with_safe_exponents(rows, largest, 0.5 * n * l2)
        if moderate is not rows and moderate.column_exponents is not None:
            exponents = np.zeros(R.shape[1], dtype=np.int64)
            exponents[int(fit_intercept) : -1] = moderate.column_exponents
            exponents[-1] = moderate.target_exponent
            R, rows = times_power(R, -exponents), moderate
        found = by_triangle(rows, R, n, l2, updates, refinement_passes)
    return make_solution(rows, found._replace(route=_name(found.route)), n, l2, device)


def _name(route: str) -> str:
    return "streaming" if route == "full" else route


def _rows(
    source: BlockSource, intercept: bool, again: bool, l2: float
) -> tuple[Rows, torch.device, Block]:
    """Return the rows of the source, cut into chunks that fit the cache, and its first block."""

    def start() -> Iterator[tuple[Any, ...]]:
        return iter(source() if callable(source) else source)

    pending: list[Iterator[tuple[Any, ...]]] = []
    first = start()
    heads, sample = _first_rows(first)
    needed = "refinement_passes is not 0" if again else "the weights' sum is needed first"
    if first is source and (again or (l2 and sample.weights is not None)):
        raise ValueError(
            f"blocks can be visited only once (an iterator), but {needed}: "
            "pass a sequence or a callable that starts afresh"
        )
    if first is source:
        pending.append(itertools.chain(heads, first))
    features = sample.X.shape[1]
    if features + intercept == 0:
        raise ValueError("X has no columns and fit_intercept is False: there is nothing to fit")

    def visit() -> Iterator[Block]:
        for parts in pending.pop() if pending else start():
            block = _block(*parts)
            if block.X.shape[1] != features:
                raise ValueError(
                    f"blocks must have one number of columns, not {features} and {block.X.shape[1]}"
                )
            if len(block.y):
                yield from pieces(block, BLOCK_ELEMENTS)

    device = sample.X.device if isinstance(sample.X, torch.Tensor) else torch.device("cpu")
    rows = Rows(visit, features, intercept)
    if l2 and sample.weights is not None:
        rows = replace(rows, weight_sum=_weight_sum(rows))
    return rows, device, sample


def _first_rows(blocks: Iterator[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], Block]:
    """Return the blocks read until one has rows that count, and that one."""
    heads, sample = [], None
    for head in blocks:
        heads.append(head)
        sample = _block(*head)
        if len(sample.y):
            return heads, sample
    what = "blocks is empty" if sample is None else "blocks has no rows"
    raise ValueError(f"{what} (n = 0): there is nothing to fit")


def _weight_sum(rows: Rows) -> tuple[float, float]:
    """Return the sum of all rows' weights, as a pair."""
    sums = [float(block.weights.sum()) for block in rows.blocks()]
    total = math.fsum(sums)
    return total, math.fsum([*sums, -total])


def _block(X: Any, y: Any, weights: Any = None) -> Block:
    """Return a block as float64, without rows of weight 0: numpy on the CPU, else tensors."""
    parts = []
    given = [("X", X), ("y", y)] + ([] if weights is None else [("weights", weights)])
    for name, values in given:
        if isinstance(values, torch.Tensor):
            values = values.detach()  # noqa: PLW2901 - the same values, without their history
            if values.device.type == "cpu":  # pragma: no branch - else of an accelerator
                values = values.numpy()  # noqa: PLW2901 - likewise
        if str(values.dtype).rsplit(".", maxsplit=1)[-1] not in ("float64", "float32"):
            raise ValueError(f"{name} must be float64 or float32, not {values.dtype}")
        is_tensor = isinstance(values, torch.Tensor)
        parts.append(values.double() if is_tensor else np.asarray(values, dtype=np.float64))
    if parts[0].ndim != 2 or parts[1].shape != parts[0].shape[:1]:
        raise ValueError(
            "blocks must be pairs of X (m, d) and y (m,), not of shapes "
            f"{tuple(parts[0].shape)} and {tuple(parts[1].shape)}"
        )
    if weights is None:
        return Block(*parts)
    X, y, weights = parts
    if weights.shape != y.shape:
        raise ValueError(f"weights must have shape {tuple(y.shape)}, not {tuple(weights.shape)}")
    if not bool(((weights >= 0.0) & (weights < math.inf)).all()):
        raise ValueError("weights must be finite and at least 0")
    counts = weights > 0.0
    return Block(X[counts], y[counts], weights=weights[counts])


def _well_conditioned(sample: Block, rows: Rows) -> bool:
    """Return whether the first block has a condition number that the Gram matrix can bear."""
    m = min(len(sample.y), CHUNK_ROWS)
    if m < rows.unknowns or isinstance(sample.X, torch.Tensor):
        return False
    chunk = np.ones((m, rows.unknowns))
    chunk[:, int(rows.intercept) :] = sample.X[:m]
    if rows.shift is not None:
        chunk[:, 1:] -= rows.shift
    if sample.weights is not None:
        chunk *= sample.weights[:m, None] ** 0.5
    if not np.isfinite(chunk).all():
        return False
    with np.errstate(all="ignore"):  # squares out of range: the scaled way will be taken
        factor = from_triangle(np.asfortranarray(qr_triangle(chunk)))
    return factor is not None and factor.norm * factor.inverse_norm < GRAM_CONDITION


def _forget(array: Any) -> None:
    """Give the resident pages of a memory-mapped file back (they stay in the system's cache)."""
    mapped = getattr(array, "_mmap", None)
    if mapped is None or getattr(array, "mode", "c") == "c" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    mapped.madvise(mmap.MADV_DONTNEED)
