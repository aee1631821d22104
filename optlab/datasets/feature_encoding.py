"""Encode a column of a table as columns of numbers, as it was learnt from the training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from optlab.datasets.feature_columns import MARKED, finite_floats, marked_numbers, place
from optlab.datasets.rounding import FloatArray
from optlab.text import pluralize

MOST_LEVELS = 1000
FEW_LEVELS = 20
"""More levels than `MOST_LEVELS`, or than half of the rows and `FEW_LEVELS`, are identifiers."""

_CENTRES: dict[str, Callable[[FloatArray], Any]] = {"mean": np.nanmean, "median": np.nanmedian}


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, taken as they are.

    Parameters
    ----------
    name
        The column's name.
    fill
        The number that stands for missing values; None where none were to be filled.
    """

    name: str
    fill: float | None = None

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """The names of the columns that are made of it."""
        return (self.name,)

    def encode(self, numbers: FloatArray) -> FloatArray:
        """Return numbers ``(n,)``, NaN where missing, as a filled column ``(n, 1)``."""
        filled = numbers if self.fill is None else np.where(np.isnan(numbers), self.fill, numbers)
        return filled[:, None].astype(numbers.dtype, copy=False)

    def transform(self, values: pd.Series[Any]) -> FloatArray:
        """Encode the column of another table; ValueError for what is no finite number."""
        numbers = finite_floats(values, self.name)
        if self.fill is None:
            _refuse_missing(np.isnan(numbers), values, self.name)
        return self.encode(numbers)


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories, one column of 0 and 1 for each level but the first (dummy coding).

    Parameters
    ----------
    name
        The column's name.
    levels
        The levels of the training rows, as text.
    fill
        The level that stands for missing values; None where none were to be filled.
    """

    name: str
    levels: tuple[str, ...]
    fill: str | None = None

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """The names of the columns that are made of it."""
        return tuple(f"{self.name}={level}" for level in self.levels[1:])

    def encode(self, texts: pd.Series[Any]) -> FloatArray:
        """Return texts ``(n,)``, None where missing, as ``(n, k)``; other levels as the first."""
        filled = pd.Index(self.filled(texts), dtype=object)
        codes = pd.Index(self.levels, dtype=object).get_indexer(filled)
        rows = np.flatnonzero(codes > 0)
        encoded = np.zeros((len(codes), len(self.levels) - 1))
        encoded[rows, codes[rows] - 1] = 1
        return encoded

    def transform(self, values: pd.Series[Any]) -> FloatArray:
        """Encode the column of another table; ValueError for a level that was not fitted."""
        texts = self.filled(as_texts(values))
        _refuse_missing(texts.isna().to_numpy(), values, self.name)
        unseen = ~texts.isin(self.levels).to_numpy()
        if unseen.any():
            first = int(unseen.argmax())
            listed = ", ".join(map(repr, self.levels[:9])) + (", ..." * (len(self.levels) > 9))
            raise ValueError(
                f"column {self.name!r} has the level {texts.iloc[first]!r} in "
                f"{place(values.index, first)} (rows counted from 0), which no fitted row has; "
                f"there are {listed}"
            )
        return self.encode(texts)

    def filled(self, texts: pd.Series[Any]) -> pd.Series[Any]:
        """Return the texts with missing ones filled."""
        return texts if self.fill is None else texts.where(texts.notna(), self.fill)


FeatureColumn: TypeAlias = NumberColumn | CategoryColumn


class Encoded(NamedTuple):
    """Columns of numbers ``(n, k)`` made of one column, the encoding, and what was done."""

    numbers: FloatArray
    column: FeatureColumn
    notes: tuple[str, ...] = ()


def encoded_numbers(values: FloatArray, name: str, training: FloatArray, missing: str) -> Encoded:
    """Encode numbers ``(n,)``, NaN where missing, filled with the training rows' mean or median.

    ``training`` holds the training rows' numbers. The mean is that of numbers scaled by a power of
    two, so that no sum overflows.
    """
    gaps = int(np.isnan(values).sum())
    if np.isnan(training).all():
        raise ValueError(
            f"column {name!r} has no value in the training rows to take a {missing} of: leave it "
            f"out with drop=[{name!r}]"
        )
    exponent = int(np.frexp(np.nanmax(np.abs(training)))[1])
    centre = float(_CENTRES[missing](np.ldexp(training.astype(np.float64), -exponent)))
    column = NumberColumn(name, float(np.ldexp(centre, exponent).astype(values.dtype)))
    counted = pluralize(gaps, "missing value")
    note = f"column {name!r}: {counted} filled with the {missing}, {column.fill:.6g}"
    return Encoded(column.encode(values), column, (note,) if gaps else ())


def encoded_categories(
    values: pd.Series[Any], name: str, training: np.ndarray[Any, Any], missing: str
) -> Encoded:
    """Encode a column of categories as 0 and 1, one column a level but the first (dummy coding).

    ``training`` holds the positions of the training rows, whose levels count. Where ``missing`` is
    a mean or median, a missing value takes the most frequent level.

    Raises
    ------
    ValueError
        Where there are no levels, or so many that they are identifiers; where two levels read the
        same; where most of the values are numbers and some are not.
    """
    texts, levels = _levels(values, name, training)
    counts = texts.iloc[training].value_counts()
    fill = min(counts.index[counts == counts.max()]) if missing in _CENTRES else None
    column = CategoryColumn(name, tuple(levels), fill)
    notes = [_encoding_note(name, levels)]
    if gaps := int(texts.isna().sum()):
        notes.append(
            f"column {name!r}: {pluralize(gaps, 'missing value')} filled with the most frequent "
            f"level, {fill!r}"
        )
    if unseen := int((texts.notna() & ~texts.isin(levels)).sum()):
        notes.append(
            f"column {name!r}: {pluralize(unseen, 'held-out row')} with a level that "
            f"no training row has, taken as {levels[0]!r}"
        )
    return Encoded(column.encode(texts), column, tuple(notes))


def as_texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return values as text, None where missing.

    Examples
    --------
    >>> as_texts(pd.Series(["a", 1, None], dtype=object)).tolist()
    ['a', '1', None]
    """
    pairs = zip(values, values.isna(), strict=True)
    return pd.Series([None if missing else str(value) for value, missing in pairs], dtype=object)


def _refuse_missing(missing: np.ndarray[Any, Any], values: pd.Series[Any], name: str) -> None:
    if missing.any():
        where = place(values.index, int(missing.argmax()))
        raise ValueError(
            f"column {name!r} has {pluralize(int(missing.sum()), 'missing value')}, the first in "
            f"{where} (rows counted from 0): fill them, or leave these rows out; datasets made "
            'with missing="mean" or "median" fill them'
        )


def _encoding_note(name: str, levels: list[str]) -> str:
    if len(levels) == 1:
        return f"column {name!r} left out: it has one level only, {levels[0]!r}"
    others = ", ".join(map(repr, levels[1:4])) + (", ..." if len(levels) > 4 else "")
    return (
        f"column {name!r} encoded as {pluralize(len(levels) - 1, 'column')} of 0 and 1 ({others}); "
        f"all 0 is {levels[0]!r}"
    )


def _levels(
    values: pd.Series[Any], name: str, training: np.ndarray[Any, Any]
) -> tuple[pd.Series[Any], list[str]]:
    """Return the values as text, None where missing, and the levels of the training rows."""
    ordered = isinstance(values.dtype, pd.CategoricalDtype)
    if not ordered:
        _refuse_mixed(values, name)
    texts = as_texts(values)
    if len(set(values[values.notna()])) > texts.nunique():
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
