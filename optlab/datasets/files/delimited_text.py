"""Text with separators (CSV and its relatives) as a DataFrame."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import pandas as pd

from optlab.datasets.files.header_line import (
    Record,
    column_names,
    count_titles,
    is_number,
    name_columns,
)
from optlab.datasets.files.separators import (
    BLANKS,
    checked_decimal,
    checked_separator,
    recognised_decimal,
    recognised_separator,
    tabs_for_blanks,
)
from optlab.datasets.files.text_columns import numbers_from_text
from optlab.text import shortened

_SAMPLE = 200
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
        notes.append(f"{ruled} ruled line{'s' * (ruled > 1)} (---) left out")
    layout, more = _find_layout(text, delimiter, comments)
    frame, last = _converted(text, layout, delimiter, mark)
    return frame, [*notes, *more, *last]


class _Layout(NamedTuple):
    names: list[str]  # one for each field of a row
    rows: int
    first_line: int  # of the rows below the header
    last_line: int


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


def _records(text: str, delimiter: str) -> Iterator[Record]:
    """Yield the rows of a text as `csv.reader` reads them, blank lines left out."""
    source = io.StringIO(text, newline="\n")
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield Record(line, fields)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f'cannot be read from line {line} on ({error}): a quotation mark (") there is not '
            "closed, or stands inside a field; mend that line"
        ) from None


def _find_layout(text: str, delimiter: str, comments: list[Record]) -> tuple[_Layout, list[str]]:
    head = list(islice(_records(text, delimiter), _SAMPLE))
    if not head:
        raise ValueError("holds no table: there are only blank lines and comments in it")
    counts = Counter(len(record.fields) for record in head)
    width = max(counts, key=lambda length: (counts[length], length))
    notes = []
    titles = count_titles(head, width)
    if titles:
        notes.append(f"{titles} line{'s' * (titles > 1)} above the header skipped: a title")
    header = head[titles]
    names_in_comment = _header_in_comment(header, comments, delimiter, width)
    if names_in_comment:
        notes.append(f"the comment in line {names_in_comment.line} names the columns")
        comments = [c for c in comments if c.line != names_in_comment.line]
        head.insert(titles, names_in_comment)
        header = names_in_comment
    if comments:
        count = len(comments)
        notes.append(f"{count} comment line{'s' * (count > 1)} ('#') left out")
    names = column_names(header)
    while len(names) > width and not names[-1]:
        names.pop()
    if len(head) == titles + 1:
        return _Layout(names, 0, 0, 0), notes
    first = head[titles + 1].line
    body = (record for record in _records(text, delimiter) if record.line >= first)
    rows, last, ends_empty = _checked_rows(body, header, len(names), width, delimiter)
    row_names = width == len(names) + 1 and not ends_empty
    if row_names and not _begins_quoted(text, first):
        raise ValueError(
            f"has {width} fields in line {first}, but {len(names)} in its header (line "
            f"{header.line}): if the first field of the rows is a row name, name it in the header"
        )
    names = ["", *names] if row_names else names + [""] * (width - len(names))
    return _Layout(names, rows, first, last), notes


def _start(text: str, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start


def _begins_quoted(text: str, line: int) -> bool:
    """Return whether a line begins with a quotation mark, as R writes its row names."""
    return text[_start(text, line) :].lstrip(" ").startswith('"')


def _header_in_comment(
    header: Record, comments: list[Record], delimiter: str, width: int
) -> Record | None:
    """Return the last comment above a first row of numbers, where it names all its columns."""
    above = [comment for comment in comments if comment.line < header.line]
    if not above or not all(is_number(field) for field in header.fields):
        return None
    names = next(_records(above[-1].fields[0], delimiter), Record(0, [])).fields
    if len(names) != width or any(is_number(name) for name in names):
        return None
    return Record(above[-1].line, names)


def _checked_rows(
    body: Iterator[Record], header: Record, names: int, width: int, delimiter: str
) -> tuple[int, int, bool]:
    """Return the number of rows, the last one's line, and whether all fields beyond are empty.

    Rows have as many fields as the header, or one more (row names), or more that are all empty.
    """
    rows, last, ends_empty, odd = 0, header.line, True, None
    for record in body:
        count = len(record.fields)
        if count != names and odd is None:
            odd = record
        if count > names:
            ends_empty = ends_empty and not any(field.strip() for field in record.fields[names:])
        if count != width or width < names or (width > names + 1 and not ends_empty):
            odd = odd or next((r for r in body if len(r.fields) != names), record)
            raise _ragged(odd, header, names, delimiter)
        rows, last = rows + 1, record.line
    return rows, last, ends_empty


def _ragged(record: Record, header: Record, names: int, delimiter: str) -> ValueError:
    count = len(record.fields)
    if count < names and not any(map(is_number, record.fields)):
        advice = f"if {shortened(record.fields[0])} begins a footer, delete the lines from there on"
    elif delimiter == "," and count == 2 * names:
        advice = "if its numbers have decimal commas, save it with another separator (;)"
    else:
        advice = (
            f"mend that line (a field that holds {delimiter!r} needs quotation marks), or give "
            "the right separator (--separator)"
        )
    fields = "field" if count == 1 else "fields"
    return ValueError(
        f"has {count} {fields} in line {record.line}, but {names} in its header (line "
        f"{header.line}): {advice}"
    )


def _parsed(text: str, layout: _Layout, delimiter: str, **options: Any) -> pd.DataFrame:
    """Return the rows below the header as pandas reads them; only empty fields are missing."""
    if not layout.rows:
        return pd.DataFrame({j: pd.Series(dtype="float64") for j in range(len(layout.names))})
    body = io.StringIO(text[_start(text, layout.first_line) :])
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
    text: str, layout: _Layout, delimiter: str, mark: str
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
    notes = [f"{count} row{'s' * (count > 1)} without any value left out"] if count else []
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
