"""Shift columns whose offset dwarfs their spread to where their digits are, without rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optlab.linalg import double_double as dd
from optlab.linalg.certificate import NEGLIGIBLE
from optlab.linalg.row_blocks import SAMPLE_ROWS, Block, Rows, in_memory, times_power
from optlab.linalg.solve import Found
from optlab.linalg.traversal import to_numpy

DWARFS = 64.0  # below, the intercept and the column are still well apart
LARGEST_SHIFT = 2.0**990  # larger numbers cannot be split in two (double_double.split)


def without_offsets(rows: Rows, sample: Block) -> Rows:
    """Return the rows less their first row, in the columns whose offset dwarfs their spread.

    They have an intercept and no low parts; ``sample`` are the first of them. The rows come back as
    they are where there is no such column. A difference that does not fit into float64 gets a low
    part, so nothing is rounded, and the problem is the same but for its intercept. As the shift is
    a value of the column's own, offset over spread is below sqrt(n) afterwards, whatever the other
    rows hold.
    """
    shift = offsets(sample.X)
    if not bool((shift != 0.0).any()):
        return rows

    def less(block: Block) -> Block:
        with np.errstate(all="ignore"):  # elements that are not finite are reported later
            high, low = dd.two_sum(block.X, -shift)
        return block._replace(X=high, X_low=low if bool((low != 0.0).any()) else None)

    taken_off = to_numpy(shift)
    if rows.whole is not None:
        less_all = in_memory(less(rows.whole), rows.intercept)
        return replace(less_all, shift=taken_off, weight_sum=rows.weight_sum)
    visit = rows.blocks
    return replace(rows, blocks=lambda: (less(block) for block in visit()), shift=taken_off)


def offsets(X: Any) -> Any:
    """Return the first row of X (d,), zero where the offset does not dwarf the spread."""
    head = X[:SAMPLE_ROWS]
    if not isinstance(head, torch.Tensor):
        head = np.asarray(head, dtype=np.float64)
    row = head[0]
    with np.errstate(all="ignore"):
        apart = abs(head - row)
        spread = apart.amax(0) if isinstance(apart, torch.Tensor) else apart.max(0)
        return row * ((abs(row) > DWARFS * spread) & (abs(row) < LARGEST_SHIFT))


def with_offsets(found: Found, rows: Rows) -> Found:
    """Return the answer for the columns as given: their bias is that of the shifted less shift'w.

    The sum is taken in double-double, as the offsets may cancel. Its error is measured against the
    largest term where nothing is left of it but rounding.
    """
    assert rows.shift is not None
    taken_off = rows.shift
    if rows.column_exponents is not None:
        taken_off = times_power(taken_off, -rows.column_exponents)
    row = np.concatenate([[1.0], -taken_off])
    high, low, powers = found.answer.high, found.answer.low, found.powers
    bias = dd.matvec(row[None, :], (high, low))
    factors = np.abs(row * powers) / powers[0]
    terms = factors * np.abs(high / powers)
    # Of the pairs high + low: what rounding took off the high parts is no error of the sum.
    errors = np.maximum(found.answer.errors - np.abs(low / powers), 0.0)
    rounded = abs(float(bias[1][0])) + 2.0 * len(row) * dd.UNIT * float(terms.sum()) * powers[0]
    error = float(factors @ errors) + rounded / powers[0]
    size = abs(float(bias[0][0])) / powers[0]
    first = np.arange(len(row)) == 0
    answer = found.answer._replace(
        high=np.where(first, bias[0], high),
        low=np.where(first, bias[1], low),
        errors=np.where(first, error, found.answer.errors),
    )
    largest = float(terms.max())
    if size <= error <= NEGLIGIBLE * largest:
        size = largest
    return found._replace(answer=answer, size=np.where(first, size, found.size))
