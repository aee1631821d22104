"""Impute missing values and encode categories, fitted to the training rows."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from optlab.datasets.feature_columns import MARKED, marked_numbers
from optlab.datasets.rounding import FloatArray
from optlab.text import pluralize

MOST_LEVELS = 1000
FEW_LEVELS = 20
"""More levels than `MOST_LEVELS`, or than half of the rows and `FEW_LEVELS`, are identifiers."""


class Encoded(NamedTuple):
    """Columns of numbers ``(n, k)`` made of one column, their names, and what was done."""

    numbers: FloatArray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def impute(values: FloatArray, name: str, training: FloatArray, strategy: str) -> Encoded:
    """Fill the missing values (NaN) of ``(n,)`` numbers with the training rows' mean or median.

    ``training`` holds the training rows' numbers. scikit-learn's SimpleImputer, on numbers scaled
    by a power of two, so that no sum overflows.
    """
    missing = int(np.isnan(values).sum())
    if not missing:
        return Encoded(values[:, None], (name,), ())
    imputer = _imputer(strategy, np.nan)
    if np.isnan(training).all():
        raise ValueError(
            f"column {name!r} has no value in the training rows to take a {strategy} of: leave it "
            f"out with drop=[{name!r}]"
        )
    exponent = int(np.frexp(np.nanmax(np.abs(training)))[1])
    imputer.fit(np.ldexp(training.astype(np.float64), -exponent)[:, None])
    fill = np.ldexp(float(imputer.statistics_[0]), exponent).astype(values.dtype)
    filled = np.where(np.isnan(values), fill, values)
    gaps = pluralize(missing, "missing value")
    note = f"column {name!r}: {gaps} filled with the {strategy}, {fill:.6g}"
    return Encoded(filled[:, None], (name,), (note,))


def one_hot(values: pd.Series[Any], name: str, training: np.ndarray[Any, Any]) -> Encoded:
    """Encode a column of categories as 0 and 1, one column a level but the first (dummy coding).

    ``training`` holds the positions of the training rows, whose levels count. A missing value takes
    the most frequent level. scikit-learn's OneHotEncoder and SimpleImputer.

    Raises
    ------
    ValueError
        Where there are no levels, or so many that they are identifiers; where two levels read the
        same; where most of the values are numbers and some are not.
    """
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 - a second of import

    texts, levels = _levels(values, name, training)
    notes = [_encoding_note(name, levels)]
    filled, unknown = texts.to_numpy(object)[:, None], ~texts.isin(levels).to_numpy()
    if missing := int(texts.isna().sum()):
        imputer = _imputer("most_frequent", None).fit(filled[training])
        fill = imputer.statistics_[0]
        filled = np.where(texts.isna().to_numpy()[:, None], fill, filled)
        unknown &= texts.notna().to_numpy()
        notes.append(
            f"column {name!r}: {pluralize(missing, 'missing value')} filled with the most frequent "
            f"level, {fill!r}"
        )
    encoder = OneHotEncoder(
        categories=[np.array(levels, object)], drop="first", handle_unknown="ignore",
        sparse_output=False,
    ).fit(filled[training])  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        encoded = encoder.transform(filled)
    if unknown.any():
        notes.append(
            f"column {name!r}: {pluralize(int(unknown.sum()), 'held-out row')} with a level that "
            f"no training row has, taken as {levels[0]!r}"
        )
    return Encoded(encoded, tuple(f"{name}={level}" for level in levels[1:]), tuple(notes))


def _encoding_note(name: str, levels: list[str]) -> str:
    if len(levels) == 1:
        return f"column {name!r} left out: it has one level only, {levels[0]!r}"
    others = ", ".join(map(repr, levels[1:4])) + (", ..." if len(levels) > 4 else "")
    return (
        f"column {name!r} encoded as {pluralize(len(levels) - 1, 'column')} of 0 and 1 ({others}); "
        f"all 0 is {levels[0]!r}"
    )


def _imputer(strategy: str, missing: Any) -> Any:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - a second of import

    return SimpleImputer(strategy=strategy, missing_values=missing)


def _levels(
    values: pd.Series[Any], name: str, training: np.ndarray[Any, Any]
) -> tuple[pd.Series[Any], list[str]]:
    """Return the values as text, None where missing, and the levels of the training rows."""
    ordered = isinstance(values.dtype, pd.CategoricalDtype)
    if not ordered:
        _refuse_mixed(values, name)
    objects = [
        None if missing else value for value, missing in zip(values, values.isna(), strict=True)
    ]
    texts = pd.Series([None if v is None else str(v) for v in objects], dtype=object)
    present = {v for v in objects if v is not None}
    if len(present) > texts.nunique():
        raise ValueError(f"column {name!r} has levels that read the same, such as 1 and '1'")
    seen = set(texts.iloc[training].dropna())
    order = [str(c) for c in values.cat.categories] if ordered else sorted(seen)
    levels = [level for level in order if level in seen]
    if not levels:
        raise ValueError(
            f"column {name!r} has no value in the training rows: leave it out with drop=[{name!r}]"
        )
    most = min(MOST_LEVELS, max(FEW_LEVELS, len(training) // 2))
    if len(levels) > most:
        raise ValueError(
            f"column {name!r} has {len(levels)} levels in {len(training)} rows, more than {most}: "
            f"it reads like a name or an identifier; leave it out with drop=[{name!r}] (--drop)"
        )
    return texts, levels


def _refuse_mixed(values: pd.Series[Any], name: str) -> None:
    """Refuse a column of numbers with a few texts in it: such marks as '?' are no category."""
    present = values[values.notna()].astype(object)
    if marked_numbers(present):
        raise ValueError(f"column {name!r} holds text such as {present.iloc[0]!r}; {MARKED}")
    text = pd.to_numeric(present, errors="coerce").isna().to_numpy()
    if 0 < text.sum() < len(text) / 2:
        raise ValueError(
            f"column {name!r} holds numbers but for {text.sum()} texts, such as "
            f"{present.iloc[int(text.argmax())]!r}: read them as missing with pd.to_numeric(..., "
            "errors='coerce'), or turn the column into categories with .astype('category')"
        )
