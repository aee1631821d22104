"""Convert one column of any dtype to float64 exactly, or refuse it by name."""

from __future__ import annotations

import datetime as dt
import numbers
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pandas as pd

from optlab.datasets.rounding import FloatArray, is_whole, nearest_floats
from optlab.text import pluralize

Kind = Literal["number", "date", "duration", "text", "category", "complex", "other"]

# The first that fits decides: numpy's timedelta64 counts as an integer, pandas' NaT as a date.
_TYPES: tuple[tuple[Kind, tuple[type, ...]], ...] = (
    ("duration", (dt.timedelta, np.timedelta64)),
    ("date", (dt.date, dt.time, np.datetime64, pd.Period, pd.DateOffset)),
    ("text", (str, bytes)),
    ("number", (bool, np.bool_, int, float, np.integer, np.floating, Decimal, Fraction)),
    ("complex", (numbers.Complex,)),
)
_DTYPES: dict[str, Kind] = {
    "b": "number", "i": "number", "u": "number", "f": "number", "c": "complex",
    "M": "date", "m": "duration", "S": "text", "U": "text",
}  # fmt: skip
# 2020-01-31, 31.1.2020, 1/31/2020, 2020年1月31日, each with a time behind it or without, and 23:59.
_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{4}|\d{4}年\d{1,2}月(\d{1,2}日)?"
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)([T ].*)?"
)
_MARKED = r"[€$£¥]?\s*[-+]?\d[\d.,\s']*[%€$£¥]?"
# A column's values, as they stand in one object column, are judged by the worst of them.
_WORST_FIRST: tuple[Kind, ...] = ("date", "duration", "other", "complex", "text", "number")

REMEDIES: dict[Kind, str] = {
    "date": "dates and times have no unit of their own: turn them into numbers first, for example "
    "days, (t - t.min()) / pd.Timedelta(days=1), or leave the column out (--drop)",
    "duration": "durations have no unit of their own: turn them into numbers first, for example "
    "hours, t / pd.Timedelta(hours=1), or leave the column out",
    "text": 'encode it with categories="one-hot" in from_pandas or read_table '
    "(--categories one-hot), or leave it out (--drop)",
    "category": 'encode it with categories="one-hot" in from_pandas or read_table, or turn it '
    "into numbers with .astype(float)",
    "complex": "split it into real and imaginary parts",
    "other": "turn it into columns of numbers, or leave it out",
}
CLASSES = (
    "it is the target, which must be numbers here: of class labels make a problem of "
    "classification, LogisticRegression (two classes) or SoftmaxRegression"
)
"""The remedy for a target of text, in place of that for a feature."""

_WORDS: dict[Kind, str] = {
    "date": "dates or times", "duration": "durations", "text": "text", "category": "categories",
    "complex": "complex numbers", "other": "objects",
}  # fmt: skip


def column_kind(values: pd.Series[Any]) -> Kind:
    """Return the kind of a column's values: numbers, dates, durations, text, categories, ...

    Examples
    --------
    >>> column_kind(pd.Series([1, None], dtype="Int64")), column_kind(pd.Series(["a"]))
    ('number', 'text')
    """
    kind = _kind_of_dtype(values)
    return "date" if kind == "text" and _are_dates(values) else kind


def _are_dates(texts: pd.Series[Any]) -> bool:
    """Return whether all texts are dates or times, as files of text hold them."""
    present = texts[texts.notna()]
    return not present.empty and all(_DATE.fullmatch(str(text)) for text in present)


def _kind_of_dtype(values: pd.Series[Any]) -> Kind:
    dtype: Any = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_kind(dtype.pyarrow_dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if isinstance(dtype, pd.StringDtype):
        return "text"
    if isinstance(dtype, pd.PeriodDtype):
        return "date"
    if dtype.kind != "O":
        return _DTYPES.get(dtype.kind, "other")
    kinds = {_type_kind(cls) for cls in set(map(type, values.to_numpy(object)))} - {None}
    return next((kind for kind in _WORST_FIRST if kind in kinds), "number")


def _arrow_kind(stored: Any) -> Kind:
    """Return the kind of an Arrow type; the column may hold no value to tell it by."""
    from pyarrow import types  # noqa: PLC0415 - there is no Arrow column without it

    if isinstance(stored, types.lib.BaseExtensionType):
        return "date" if "period" in stored.extension_name else "other"
    if types.is_temporal(stored):
        return "duration" if types.is_duration(stored) or types.is_interval(stored) else "date"
    if types.is_dictionary(stored):
        return "category"
    if types.is_integer(stored) or types.is_floating(stored) or types.is_decimal(stored):
        return "number"
    if types.is_boolean(stored) or types.is_null(stored):
        return "number"
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return "text" if any(is_text(stored) for is_text in texts) else "other"


def _type_kind(cls: type) -> Kind | None:
    if cls in {type(None), type(pd.NA)}:
        return None
    return next((kind for kind, types in _TYPES if issubclass(cls, types)), "other")


def to_floats(values: pd.Series[Any], name: str, first_row: int = 0) -> FloatArray:
    """Return a column of numbers as float32 where it is float32, else as float64; NaN is missing.

    ``name`` is the column as an error calls it, ``first_row`` the number of its first row, from 0.

    Raises
    ------
    ValueError
        For dates, durations, text, categories, complex numbers and other objects; for integers that
        float64 would round, and for decimals whose rounding is not small beside their spread.

    Examples
    --------
    >>> to_floats(pd.Series([1, None], dtype="Int64"), "column 'x'")
    array([ 1., nan])
    """
    kind = column_kind(values)
    if kind != "number":
        raise ValueError(_refusal(values, kind, name, first_row))
    if isinstance(values.dtype, pd.SparseDtype):
        values = pd.Series(np.asarray(values), values.index)
    if isinstance(values.dtype, np.dtype) and values.dtype.kind != "O":
        return _exact(values.to_numpy(), values.index, name, first_row)
    try:
        missing = values.isna().to_numpy()
    except InvalidOperation:
        raise ValueError(f"{name} holds signalling NaNs: replace them by None") from None
    positions = np.flatnonzero(~missing)
    present = _exact(
        values.iloc[positions].to_numpy(), values.index, name, first_row, positions=positions
    )
    floats = np.full(len(values), np.nan, present.dtype)
    floats[positions] = present
    return floats


def finite_floats(values: pd.Series[Any], column: str) -> FloatArray:
    """Return a column of numbers as `to_floats` does, and refuse infinite ones.

    Raises
    ------
    ValueError
        As `to_floats`, and for infinite values, with their count and the first row.
    """
    floats = to_floats(values, f"column {column!r}")
    infinite = np.isinf(floats)
    if infinite.any():
        raise ValueError(
            f"column {column!r} has {pluralize(int(infinite.sum()), 'infinite value')}, the first "
            f"in {place(values.index, int(infinite.argmax()))} (rows counted from 0); leave these "
            "rows or the column out"
        )
    return floats


def place(index: pd.Index[Any], position: int, first_row: int = 0) -> str:
    """Return a row's number, and its label where that is another.

    Examples
    --------
    >>> place(pd.Index([0, 7]), 0), place(pd.Index([0, 7]), 1), place(pd.Index(["a", "b"]), 1)
    ('row 0', 'row 1 (label 7)', "row 1 (label 'b')")
    """
    row, label = first_row + position, _plain(index[position])
    if isinstance(label, tuple):
        label = tuple(map(_plain, label))
    same = not isinstance(label, bool) and isinstance(label, int) and label == row
    return f"row {row}" if same else f"row {row} (label {label!r})"


MARKED = (
    "they are numbers with a sign of their unit: take it off first, for example "
    "t.str.replace('%', '').str.replace(',', '.').astype(float), or leave the column out (--drop)"
)


def marked_numbers(values: pd.Series[Any]) -> bool:
    """Return whether nearly all texts are numbers with a per cent or currency sign.

    Examples
    --------
    >>> marked_numbers(pd.Series(["12,5 %", "8 %", None])), marked_numbers(pd.Series(["a", "8 %"]))
    (True, False)
    """
    texts = values[values.notna()].astype(str).str.strip()
    marked = texts.str.fullmatch(_MARKED) & texts.str.contains("[%€$£¥]", regex=True)
    return len(texts) > 0 and bool(marked.mean() >= 0.9)


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's, which read plainly."""
    return value.item() if isinstance(value, np.number) else value


def _refusal(values: pd.Series[Any], kind: Kind, name: str, first_row: int) -> str:
    missing = values.isna().to_numpy()
    flags = ~missing
    remedy = CLASSES if name == "y" and kind in {"text", "category"} else REMEDIES[kind]
    written = kind == "date" and _kind_of_dtype(values) == "text"
    if written:
        remedy = remedy.replace(
            "days, ", "days, t = pd.to_datetime(t) (dayfirst=True where the day comes first), then "
        )
    elif values.dtype == object:
        flags &= np.array([_type_kind(type(value)) == kind for value in values], bool)
    if kind == "text" and flags.any():
        words = pd.to_numeric(values.astype(object), errors="coerce").isna().to_numpy() & flags
        if marked_numbers(values):
            remedy = MARKED
        elif words.any():
            flags = words  # the texts among numbers, in a file's column, are those that matter
        else:
            remedy = "they are numbers written as text: convert them with pd.to_numeric"
    many = int(flags.sum())
    counted = " (rows counted from 0)" if len(values) else ""
    sentence = f"{name} holds {_WORDS[kind]}, not numbers ({values.dtype})"
    if many:
        first = int(flags.argmax())
        value = _plain(values.iloc[first])
        sentence += f", {value!r} in {place(values.index, first, first_row)}"
        sentence += f", {pluralize(many, 'such value')}"
    if missing.any():
        where = place(values.index, int(missing.argmax()), first_row)
        sentence += f", and {missing.sum()} missing, the first in {where}"
    return f"{sentence}{counted}; {remedy}"


def _exact(
    array: np.ndarray[Any, Any],
    index: pd.Index[Any],
    name: str,
    first_row: int,
    *,
    positions: np.ndarray[Any, Any] | None = None,
) -> FloatArray:
    if array.dtype.kind == "f" and array.dtype.itemsize in {4, 8}:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    floats, rounded = nearest_floats(array)
    if rounded.any():
        first = int(rounded.argmax())
        where = place(index, first if positions is None else int(positions[first]), first_row)
        whole = is_whole(array[first])
        what = (
            "integers beyond 2**53, which float64 rounds" if whole else "more digits than float64"
        )
        raise ValueError(
            f"{name} holds {what}: {_shown(array[first])} in {where} (rows counted from 0) would "
            f"become {float(floats[first])!r}, {pluralize(int(rounded.sum()), 'such value')}; "
            "subtract an offset first, such as the column's least value, or convert the column to "
            "float64 yourself to accept the rounding"
        )
    return floats


def _shown(value: Any) -> str:
    """Return a number as text; Python refuses to write integers of thousands of digits."""
    return str(value) if abs(value) < 10**40 else f"a number beyond {'-' * (value < 0)}1e40"
