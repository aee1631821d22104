"""Choose the rows of a table: those with all values, split into training and held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from optlab.datasets.feature_columns import place
from optlab.text import pluralize

MOST_LISTED = 10  # columns in one sentence
Positions = np.ndarray[Any, np.dtype[np.intp]]


class Partition(NamedTuple):
    """Positions of the rows in use, counted from 0, and what was done to choose them."""

    training: Positions
    held_out: Positions
    notes: tuple[str, ...]

    @property
    def used(self) -> Positions:
        """Return all rows in use, training and held out, in order."""
        if not len(self.held_out):
            return self.training
        return np.sort(np.concatenate([self.training, self.held_out]))


def partition(
    columns: Mapping[str, Any],
    index: pd.Index[Any],
    *,
    needed: Sequence[str],
    missing: str,
    share: float | None,
    seed: int,
) -> Partition:
    """Return the rows to train on and those held out, at random; missing values as asked.

    ``index`` holds the rows' labels, ``needed`` the columns that are never filled (the target and
    the weights), and ``share`` is that of the rows held out. The same seed holds out the same rows.

    Raises
    ------
    ValueError
        For missing values where none are allowed, with their count in each column and the first
        row; where no row is left for a part.

    Examples
    --------
    >>> columns = {"x": np.array([1.0, np.nan, 3.0])}
    >>> rows = partition(
    ...     columns, pd.RangeIndex(3), needed=[], missing="drop", share=None, seed=0
    ... )
    >>> rows.training.tolist()
    [0, 2]
    >>> rows.notes[0]
    "left out: 1 of 3 rows have missing values (column 'x': 1 missing, the first in row 1)"
    """
    rows, notes = _complete_rows(columns, index, needed, missing)
    if share is None:
        return Partition(rows, rows[:0], notes)
    count = round(share * len(rows))
    if not 0 < count < len(rows):
        raise ValueError(
            f"validation = {share!r} of {len(rows)} rows leaves {len(rows) - count} to fit and "
            f"{count} held out: each part needs at least one"
        )
    shuffled = np.random.default_rng(seed).permutation(rows)
    held = f"{count} of {len(rows)} rows held out at random (seed {seed})"
    return Partition(np.sort(shuffled[count:]), np.sort(shuffled[:count]), (*notes, held))


def _complete_rows(
    columns: Mapping[str, Any], index: pd.Index[Any], needed: Sequence[str], missing: str
) -> tuple[Positions, tuple[str, ...]]:
    gaps = {column: np.asarray(pd.isna(values)) for column, values in columns.items()}
    filled = missing in {"mean", "median"}
    gaps = {c: gap for c, gap in gaps.items() if gap.any() and not (filled and c not in needed)}
    every = np.arange(len(index))
    if not gaps:
        return every, ()
    any_gap = np.logical_or.reduce(list(gaps.values()))
    counts = ", ".join(
        f"column {c!r}: {gap.sum()} missing, the first in {place(index, int(gap.argmax()))}"
        for c, gap in list(gaps.items())[:MOST_LISTED]
    ) + (f", and {len(gaps) - MOST_LISTED} more columns" if len(gaps) > MOST_LISTED else "")
    sentence = f"{any_gap.sum()} of {pluralize(len(index), 'row')} have missing values ({counts})"
    if missing == "error":
        raise ValueError(
            f"{sentence}; rows are counted from 0; choose "
            'missing="drop" to leave these rows out, "mean" or "median" to fill features, '
            "or leave columns out with drop=[...]"
        )
    if any_gap.all():
        raise ValueError(f"{sentence}; no row is left: leave such columns out with drop=[...]")
    return every[~any_gap], (f"left out: {sentence}",)
