"""The rows of a least-squares problem, in blocks that can be visited again and again.

Rows on the CPU are numpy arrays (their operations start faster, and reach BLAS without a copy);
rows on any other device are torch tensors. Only what is small, (d, d), ever leaves the device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

Vector = npt.NDArray[np.float64]
Exponents = npt.NDArray[np.int64]

SAFE_EXPONENT = 300  # squares of numbers within 2**-300 .. 2**300, and their sums, stay in range
CHUNK_ROWS = 8192  # with 50 columns 3 MB: stays in the cache, and is long enough for BLAS
SAMPLE_ROWS = 1024
CONVERTED_ELEMENTS = 1 << 20  # numbers of float32 rows that are float64 at a time: 8 MB


class Block(NamedTuple):
    """Some rows: ``X (m, d)`` and ``y (m,)``, float64, and what else there is of them.

    Low parts of X and y, and the rows' weights ``(m,)``, above 0; None where there are none.
    """

    X: Any
    y: Any
    X_low: Any = None
    y_low: Any = None
    weights: Any = None


@dataclass(frozen=True)
class Rows:
    """All rows of a problem.

    The data seen here is X * 2**-column_exponents and y * 2**-target_exponent (exact), with
    exponents only where squares of the original numbers would leave the range of float64.
    """

    blocks: Callable[[], Iterable[Block]]  # called once a pass: the same blocks in the same order
    features: int  # d, the number of columns of X
    intercept: bool  # whether a column of ones stands before them
    whole: Block | None = None  # the one block of all rows, where the data is in memory
    column_exponents: Exponents | None = None
    target_exponent: int = 0
    shift: Vector | None = None  # (d,), taken off the columns of X before all else
    weight_sum: tuple[float, float] | None = None  # as a pair; None without weights

    @property
    def unknowns(self) -> int:
        """p: the columns of X, and the intercept if there is one."""
        return self.features + self.intercept


def in_memory(block: Block, intercept: bool) -> Rows:
    """Return the rows of one block in memory, visited in chunks that fit the cache.

    Those of float32 are made float64 some at a time: no second copy of all of them is held.
    """
    n, d = block.X.shape
    if block.X.dtype == np.float32:
        return Rows(lambda: map(_in_float64, pieces(block, CONVERTED_ELEMENTS)), d, intercept)
    elements = max(CHUNK_ROWS * d, 1 << 19)
    if n * d <= elements:
        only = [block]
        return Rows(lambda: only, d, intercept, block)
    return Rows(lambda: pieces(block, elements), d, intercept, block)


def _in_float64(block: Block) -> Block:
    return block._replace(X=block.X.astype(np.float64), y=block.y.astype(np.float64))


def pieces(block: Block, elements: int) -> Iterator[Block]:
    """Yield the block in pieces of equal height, of at most about so many elements of X."""
    n, d = block.X.shape
    step = max(1, elements // max(d, 1))
    step = -(-n // max(1, -(-n // step)))
    for start in range(0, n, max(1, step)):
        yield Block(*(None if part is None else part[start : start + step] for part in block))


def offset(block: Block) -> tuple[Any, Any] | None:
    """Return roughly the means of X's columns and of y, or None where they need not be taken off.

    They come from at most some 2000 rows, evenly spread. They are only an offset that makes the
    Gram matrix well conditioned: any value near will do. In few rows they are always taken off; in
    many, where a mean is above four times the spread of its column.
    """
    step = max(1, block.X.shape[0] // SAMPLE_ROWS)
    X, y = (block.X, block.y) if step == 1 else (block.X[::step], block.y[::step])
    mean = X.sum(0) / X.shape[0]
    if step > 1 and bool((abs(mean) <= 4.0 * X.std(0)).all()):
        return None
    return mean, y.sum() / X.shape[0]


def check_finite(block: Block, first_row: int = 0) -> None:
    """Raise ValueError naming the first element of X or y that is NaN or infinite."""
    for name, part in zip(("X", "y", "X_low", "y_low", "weights"), block, strict=True):
        if part is None:
            continue
        bad = ~(torch.isfinite(part) if isinstance(part, torch.Tensor) else np.isfinite(part))
        count = int(bad.sum())
        if count:
            first = bad.nonzero()[0] if isinstance(bad, torch.Tensor) else np.argwhere(bad)[0]
            where = [int(i) for i in first]
            column = f", column {where[1]}" if len(where) > 1 else ""
            value = float(part[tuple(where)])
            raise ValueError(
                f"{name} must be finite, but holds {value} at row {first_row + where[0]}{column} "
                f"({count} such value{'s' if count > 1 else ''} in all in these rows)"
            )


def rescaled(rows: Rows, ridge: float) -> Rows:
    """Return the same rows with magnitudes whose squares cannot overflow or vanish.

    Raises ValueError where an element is not finite. Where all columns are moderate already the
    rows come back as they are. The scaling is by powers of two, so it rounds nothing, but for
    elements below 2**-1074 of their column's largest, which become zero.
    """
    largest = np.zeros(rows.features + 1)
    count = 0
    for block in rows.blocks():
        check_finite(block, count)
        count += block.X.shape[0]
        if block.X.shape[0]:
            X, y = abs(block.X), abs(block.y)
            if block.weights is not None:
                root = block.weights**0.5
                X, y = X * root[:, None], y * root
            tops = X.amax(0).cpu().numpy() if isinstance(X, torch.Tensor) else X.max(0)
            largest = np.maximum(largest, [*tops, float(y.max())])
    return with_safe_exponents(rows, largest, ridge)


def with_safe_exponents(rows: Rows, largest: Vector, ridge: float) -> Rows:
    """Return the rows scaled by these largest magnitudes (of X's columns, then y) if need be."""
    exponents = np.frexp(largest)[1].astype(np.int64)
    penalty = int(np.frexp(min(ridge, sys.float_info.max))[1])
    if np.abs(exponents).max(initial=0) <= SAFE_EXPONENT and penalty <= 2 * SAFE_EXPONENT:
        return rows
    columns = exponents[:-1]
    if ridge > 0:  # a tiny column is ruled by the penalty; keep penalty * 4**-exponent in range
        columns = np.maximum(columns, (penalty - 2 * SAFE_EXPONENT) // 2)
    target = int(exponents[-1])

    def scaled(block: Block) -> Block:
        return Block(
            times_power(block.X, -columns),
            times_power(block.y, -np.int64(target)),
            None if block.X_low is None else times_power(block.X_low, -columns),
            None if block.y_low is None else times_power(block.y_low, -np.int64(target)),
            block.weights,
        )

    if rows.whole is not None:
        moderate = in_memory(scaled(rows.whole), rows.intercept)
        return replace(
            rows,
            blocks=moderate.blocks,
            whole=moderate.whole,
            column_exponents=columns,
            target_exponent=target,
        )
    visit = rows.blocks
    return replace(
        rows,
        blocks=lambda: (scaled(block) for block in visit()),
        column_exponents=columns,
        target_exponent=target,
    )


def times_power(values: Any, exponents: Any) -> Any:
    """Return ``values * 2**exponents`` exactly; in two steps, for 2**1074 is no float64."""
    half = exponents // 2
    for part in (half, exponents - half):
        power = np.ldexp(1.0, part)
        if isinstance(values, torch.Tensor):
            values = values * torch.as_tensor(power, device=values.device)
        else:
            values = values * power
    return values
