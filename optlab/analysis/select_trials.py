"""Selection of trials by the values of their columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from optlab.checks import did_you_mean

MOST_VALUES = 8
"""An error names at most so many of the values that there are."""


def select_trials(trials: pd.DataFrame, conditions: Mapping[str, Any]) -> pd.Series[bool]:
    """Return which trials meet all conditions.

    Parameters
    ----------
    trials
        The table of trials.
    conditions
        By column, the value that a trial must have, or several of which it must have one, or a
        function of the column that returns which rows to keep. Numbers are compared as numbers,
        texts as texts; a batch size may be either.

    Raises
    ------
    ValueError
        For a column that there is not, and for a value that no trial has.

    Examples
    --------
    >>> table = pd.DataFrame({"optimizer": ["A", "B", "B"], "batch": ["1", "1", "full"]})
    >>> select_trials(table, {"optimizer": "B", "batch": 1}).tolist()
    [False, True, False]
    >>> select_trials(table, {"batch": [1, "full"]}).sum()
    np.int64(3)
    """
    chosen = pd.Series(True, index=trials.index)
    for column, wanted in conditions.items():
        check_column(trials, column)
        if callable(wanted):
            chosen &= (
                pd.Series(wanted(trials[column]), index=trials.index).fillna(False).astype(bool)
            )
            continue
        values = list(wanted) if _is_several(wanted) else [wanted]
        for value in values:
            if not _equal(trials[column], value).any():
                raise ValueError(f"no trial has {column} = {value!r}: {_given(trials[column])}")
        chosen &= np.logical_or.reduce([_equal(trials[column], value) for value in values])
    return chosen


def check_column(trials: pd.DataFrame, column: str) -> None:
    """Refuse a column that the table of trials does not have, with the nearest.

    Raises
    ------
    ValueError
        For such a column.
    """
    if column not in trials:
        names = [str(name) for name in trials]
        hint = did_you_mean(str(column), names)
        raise ValueError(f"no column is called {column!r}: {hint}there are {', '.join(names)}")


def _is_several(wanted: Any) -> bool:
    return isinstance(wanted, Collection) and not isinstance(wanted, str | bytes | Mapping)


def _equal(column: pd.Series[Any], value: Any) -> np.ndarray[Any, Any]:
    """Return which values of a column are a value."""
    if value is None:
        return column.isna().to_numpy()
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if is_number and not isinstance(column.dtype, pd.CategoricalDtype):
        numbers = pd.to_numeric(column, errors="coerce").astype(float)
        return (numbers == float(value)).to_numpy(bool)
    return (column.astype(str) == str(value)).to_numpy(bool) & column.notna().to_numpy()


def _given(column: pd.Series[Any]) -> str:
    values = [repr(value) for value in dict.fromkeys(column.dropna().map(str))]
    more = f" and {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
    return f"there are {', '.join(values[:MOST_VALUES])}{more}" if values else "none has any"
