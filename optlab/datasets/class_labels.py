"""Targets that are class labels, as they stand in a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optlab.datasets.feature_columns import column_kind
from optlab.datasets.validation import unwrapped

Labels = np.ndarray[Any, Any]


def text_labels(values: object) -> Labels | None:
    """Return a target of texts as an array of text, missing ones refused; None for another target.

    Raises
    ------
    ValueError
        For missing labels, and where the target is no column.

    Examples
    --------
    >>> text_labels(["yes", "no"]), text_labels([1.0, 0.0])
    (array(['yes', 'no'], dtype='<U3'), None)
    """
    values = unwrapped(values)
    if not isinstance(values, pd.Series | np.ndarray | list | tuple):
        return None
    column = values if isinstance(values, pd.Series) else pd.Series(list(values), dtype=None)
    if column_kind(column) not in {"text", "category"}:
        return None
    present = column.astype(object)
    if (missing := present.isna()).any():
        raise ValueError(
            f"y has {int(missing.sum())} missing class labels, the first in row "
            f"{int(missing.to_numpy().argmax())} (rows counted from 0): leave these rows out"
        )
    if not all(isinstance(value, str) for value in present):  # categories of numbers
        return None
    return present.to_numpy().astype(np.str_)
