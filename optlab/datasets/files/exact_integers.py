"""Whole numbers as pandas columns, never rounded."""

from __future__ import annotations

import pandas as pd

_EXACT = 2**53  # float64 holds every whole number up to here


def exact_integers(values: pd.Series) -> pd.Series:
    """Return whole numbers in the plainest dtype that holds all of them exactly.

    ``values`` are Python's integers and missing values, or a nullable integer column. The result is
    int64 or uint64; with missing values float64, or Int64 or UInt64 where float64 would round;
    Python's integers where none of these is large enough.

    Examples
    --------
    >>> import pandas as pd
    >>> from optlab.datasets.files.exact_integers import exact_integers
    >>> exact_integers(pd.Series([2**53 + 1, None, 3], dtype=object)).dtype
    Int64Dtype()
    """
    present = values.dropna()
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
    gaps = len(present) < len(values)
    if gaps and low >= -_EXACT and high <= _EXACT:
        return values.astype("Float64").astype("float64")
    if low >= -(2**63) and high < 2**63:
        return values.astype("Int64") if gaps else values.astype("int64")
    if low >= 0 and high < 2**64:
        return values.astype("UInt64") if gaps else values.astype("uint64")
    return values.astype(object)
