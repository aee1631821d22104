"""The header of a table: the line of column names, between titles above and rows below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from optlab.text import shortened

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?", re.ASCII)
SAVED_INDEX = re.compile(r"(Unnamed: \d+(\.\d+)*|#|)")  # names that pandas and others give it
_MOST_TITLES = 20


class Record(NamedTuple):
    """The fields of one row of text, and the line (from 1) on which it begins."""

    line: int
    fields: list[str]


def is_number(text: str) -> bool:
    """Return whether a field is one number, with a decimal point or comma."""
    return _NUMBER.fullmatch(text.strip()) is not None


def count_titles(head: Sequence[Record], width: int) -> int:
    """Return how many records above the header are titles.

    A title fills one field, in a table of ``width`` columns, and is no number; the header below it
    fills several and has no number.
    """
    for count, record in enumerate(head[: _MOST_TITLES if width > 1 else 0]):
        filled = [field for field in record.fields if field.strip()]
        if len(filled) > 1:
            return 0 if any(map(is_number, filled)) else count
        if filled and is_number(filled[0]):
            return 0
    return 0


def column_names(header: Record) -> list[str]:
    """Return the names without surrounding spaces and line breaks.

    Raises
    ------
    ValueError
        For a header of numbers, which is most likely the first row, and one without any name.
    """
    names = [re.sub(r"\s*[\r\n]+\s*", " ", field.strip()) for field in header.fields]
    present = [name for name in names if name]
    if not present:
        raise ValueError(
            f"the header line (line {header.line}) holds no name: put a line of column names there"
        )
    numbers = [name for name in present if is_number(name)]
    fractions = [name for name in numbers if not name.isdecimal()]
    if fractions or len(numbers) == len(present):
        shown = ", ".join(map(shortened, (fractions or numbers)[:3]))
        raise ValueError(
            f"the header line (line {header.line}) holds numbers ({shown}): is there a header? "
            "Put a line of column names above the first row, or rename these columns"
        )
    return names


def name_columns(frame: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with its names, without empty columns and row labels that have no name.

    Raises
    ------
    ValueError
        For a column that has values and no name.
    """
    keep, notes, leading = [], [], True
    for j, name in enumerate(names):
        if not SAVED_INDEX.fullmatch(name):
            keep.append(j)
            leading = False
            continue
        values = frame.iloc[:, j]
        shown = f"column {shortened(name)}" if name else f"column {j + 1}, which has no name,"
        labels = _row_labels(values, strict=name == "#") if leading else None
        if labels:
            notes.append(f"{shown} {labels}: left out")
        elif name != "#" and values.isna().all():
            notes.append(f"{shown} is empty: left out")
        elif name:
            keep.append(j)
            leading = False
        else:
            raise ValueError(
                f"column {j + 1} has no name in the header line: name it, or delete it"
            )
    named = frame.iloc[:, keep]
    named.columns = pd.Index([names[j] for j in keep], dtype=object)
    return named, notes


def _row_labels(values: pd.Series, *, strict: bool) -> str | None:
    """Return how a column without a real name labels the rows, or None where it does not.

    With ``strict`` it must count them: 0, 1, 2, ... or 1, 2, 3, ...; otherwise whole numbers or
    text that differ from row to row are labels as well.
    """
    if not len(values) or values.hasnans or not values.is_unique:
        return None
    if pd.api.types.is_integer_dtype(values):
        if values.iloc[0] in {0, 1} and (values.diff().iloc[1:] == 1).all():
            return "counts the rows"
        return None if strict else "labels the rows"
    return "labels the rows" if pd.api.types.is_string_dtype(values) and not strict else None
