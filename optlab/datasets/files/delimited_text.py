"""Text with separators (CSV and its relatives) as a DataFrame."""

from __future__ import annotations

import io
import re
from typing import Any

import pandas as pd

from optlab.datasets.files.header_line import Record, name_columns
from optlab.datasets.files.separators import (
    BLANKS,
    checked_decimal,
    checked_separator,
    recognised_decimal,
    recognised_separator,
    tabs_for_blanks,
)
from optlab.datasets.files.text_columns import numbers_from_text
from optlab.datasets.files.text_layout import Layout, find_layout, start_of
from optlab.text import pluralize

_EXACT = 2.0**53  # from here on float64 skips whole numbers
_SHOWN = {",": "','", ";": "';'", "\t": "tab", "|": "'|'", BLANKS: "blanks"}
# From 3.1 on pandas rounds correctly without being asked, and warns where it is asked.
_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
_ROUNDING: dict[str, Any] = {} if _PANDAS >= (3, 1) else {"float_precision": "round_trip"}


def read_text_table(
    text: str, separator: str | None, decimal: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of a delimited text, and a note on each choice made.

    Two passes: `csv` counts the fields of every row, so that none is shifted, cut or filled up;
    then pandas reads the numbers, correctly rounded.

    Raises
    ------
    ValueError
        For rows of different lengths, a header of numbers, columns without a name, a line of
        units, a footer, and where the separator or the decimal mark cannot be told.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, declared = _without_sep_line(text)
    text, ruled = _without_ruled_lines(text)
    text, comments = _without_comments(text)
    chosen = checked_separator(separator) if separator else declared or recognised_separator(text)
    if chosen == BLANKS:
        text = tabs_for_blanks(text)
        comments = [Record(line, [tabs_for_blanks(c)]) for line, (c,) in comments]
    delimiter = "\t" if chosen == BLANKS else chosen
    mark = checked_decimal(decimal) if decimal else recognised_decimal(text, delimiter)
    plain = (chosen, mark) == (",", ".")
    point = "comma" if mark == "," else "point"
    notes = [] if plain else [f"separator {_SHOWN.get(chosen, repr(chosen))}, decimal {point}"]
    if ruled:
        notes.append(f"{pluralize(ruled, 'ruled line')} (---) left out")
    layout, more = find_layout(text, delimiter, comments)
    frame, last = _converted(text, layout, delimiter, mark)
    return frame, [*notes, *more, *last]


def _without_sep_line(text: str) -> tuple[str, str | None]:
    """Return the text without Excel's line ``sep=;``, and the separator that it declares."""
    match = re.match(r'"?sep=(.)"?[^\S\n]*(?=\n|\Z)', text, re.IGNORECASE)
    return (text[match.end() :], checked_separator(match[1])) if match else (text, None)


def _without_comments(text: str) -> tuple[str, list[Record]]:
    """Return the text with blank lines for lines that begin with ``#``, and these lines.

    In a text with quotation marks only those above the header: a quoted field may hold such lines.
    """
    if not text.startswith("#") and "\n#" not in text:
        return text, []
    comments, lines, quoted = [], text.split("\n"), '"' in text
    for number, line in enumerate(lines):
        if quoted and line and not line.startswith("#"):
            break
        if line.startswith("#"):
            comments.append(Record(number + 1, [line.lstrip("#").strip()]))
            lines[number] = ""
    return "\n".join(lines), comments


def _without_ruled_lines(text: str) -> tuple[str, int]:
    """Return the text with blank lines for lines such as ``|---|---|``, and their number."""
    if "---" not in text:
        return text, 0
    lines = text.split("\n")
    ruled = [n for n, line in enumerate(lines) if "---" in line and not line.strip("-+|:= \t")]
    for number in ruled:
        lines[number] = ""
    return "\n".join(lines), len(ruled)


def _parsed(text: str, layout: Layout, delimiter: str, **options: Any) -> pd.DataFrame:
    """Return the rows below the header as pandas reads them; only empty fields are missing."""
    if not layout.rows:
        return pd.DataFrame({j: pd.Series(dtype="float64") for j in range(len(layout.names))})
    body = io.StringIO(text[start_of(text, layout.first_line) :])
    frame: pd.DataFrame = pd.read_csv(
        body, sep=delimiter, header=None, names=range(len(layout.names)), index_col=False,
        skipinitialspace=True, keep_default_na=False, na_values=[""], low_memory=False,
        **_ROUNDING, **options,
    )  # fmt: skip
    if len(frame) != layout.rows:  # the two parsers must see the same rows
        raise ValueError(
            f"has {layout.rows} rows by its line ends and {len(frame)} by its quotation marks: "
            "mend the quotation marks"
        )
    return frame


def _converted(
    text: str, layout: Layout, delimiter: str, mark: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return the named columns, as numbers where all of a column is numbers, and notes."""
    values = _parsed(text, layout, delimiter, decimal=mark)
    floats = values.select_dtypes("float64")
    large = pd.Index(floats.columns[(floats.abs() >= _EXACT).any()])
    if len(large):  # pandas may have rounded whole numbers
        values[large] = _parsed(text, layout, delimiter, usecols=large.tolist(), dtype=str)
    blank = values.isna().all(axis=1)
    values = values.loc[~blank].reset_index(drop=True)
    count = int(blank.sum())
    notes = [f"{pluralize(count, 'row')} without any value left out"] if count else []
    lines = (layout.first_line, layout.last_line)
    for j, dtype in enumerate(values.dtypes):
        if pd.api.types.is_numeric_dtype(dtype):
            continue
        kind = pd.api.types.infer_dtype(values[j], skipna=True)
        if kind == "string":
            shown = layout.names[j] or str(j + 1)
            values[j], more = numbers_from_text(values[j], shown, mark, lines)
            notes += more
        elif kind == "boolean":
            values[j] = values[j].astype("boolean" if values[j].hasnans else "bool")
    named, more = name_columns(values, layout.names)
    return named, [*notes, *more]
