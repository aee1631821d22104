"""Find columns that count the rows, are constant, or depend linearly on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from optlab.datasets.rounding import FloatArray
from optlab.datasets.scaling import ColumnScaling

_MOST_WORK = 1e9  # multiplications of a QR factorisation, some seconds: more is not worth a note
_SAMPLE_ROWS = 1000


def counted_rows(columns: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each column of numbers that merely counts the rows, from any number.

    Examples
    --------
    >>> counted_rows({"id": np.array([1.0, 2.0, 3.0]), "x": np.array([2.0, 1.0, 3.0])})
    ["column 'id' counts the rows, 1 to 3: if it is an index, drop=['id'] (--drop) leaves it out"]
    """
    notes = []
    for name, values in columns.items():
        if not isinstance(values, np.ndarray) or len(values) < 3 or values[0] % 1:
            continue
        if np.array_equal(values, values[0] + np.arange(len(values))):
            notes.append(
                f"column {name!r} counts the rows, {values[0] + 0.0:.0f} to {values[-1]:.0f}: if "
                f"it is an index, drop=[{name!r}] (--drop) leaves it out"
            )
    return notes


def design_notes(X: FloatArray, names: Sequence[str]) -> list[str]:
    """Return sentences on constant, equal and linearly dependent columns of ``X (n, d)``.

    Dependence is judged on standardized columns: a pivoted QR factorisation whose diagonal falls
    below ``max(n, d) eps`` of its first element.

    Examples
    --------
    >>> design_notes(np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]), ["a", "b"])
    ["column 'b' equals column 'a': their weights are not unique"]
    """
    notes: list[str] = []
    first: dict[bytes, str] = {}
    apart: list[int] = []
    for j, name in enumerate(names):
        column = X[:, j]
        if column.min() == column.max():
            notes.append(
                f"column {name!r} is constant ({column[0]:.6g}): it takes no part in the fit"
            )
            continue
        twin = first.setdefault((column + 0.0).tobytes(), name)  # -0.0 + 0.0 is 0.0
        if twin == name:
            apart.append(j)
        else:
            notes.append(f"column {name!r} equals column {twin!r}: their weights are not unique")
    n, d = len(X), len(apart)
    if n <= d:
        notes.append(f"{n} rows for {d} features and an intercept: the weights are not unique")
    elif d > 1:
        # Columns that are independent in some rows are so in all.
        some = _dependent(X[:: max(1, n // (_SAMPLE_ROWS + 10 * d))], apart)
        dependent = _dependent(X, apart) if some and n * d * d <= _MOST_WORK else []
        if dependent:
            listed = ", ".join(repr(names[j]) for j in dependent)
            notes.append(
                f"columns that depend linearly on the others: {listed}; the weights are not unique"
            )
    return notes


def _dependent(X: FloatArray, apart: list[int]) -> list[int]:
    scaled = np.empty((len(X), len(apart)))
    for k, j in enumerate(apart):
        column = X[:, j].astype(np.float64)
        scaled[:, k] = ColumnScaling.of(column).apply(column)
    R, order = scipy.linalg.qr(scaled, mode="r", pivoting=True, overwrite_a=True)
    size = np.abs(np.diag(R))
    limit = max(scaled.shape) * np.finfo(np.float64).eps * size[0]
    return sorted(apart[k] for k in order[: len(size)][size <= limit])
