"""The layout of a delimited text: its header, and rows that all have as many fields."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from optlab.datasets.files.header_line import Record, column_names, count_titles, is_number
from optlab.text import pluralize, shortened

_SAMPLE = 200


class Layout(NamedTuple):
    """The names of a text table, and where its rows are."""

    names: list[str]  # one for each field of a row
    rows: int
    first_line: int  # of the rows below the header
    last_line: int


def find_layout(text: str, delimiter: str, comments: list[Record]) -> tuple[Layout, list[str]]:
    """Return where the names and the rows of a text are, and notes on the lines skipped.

    Raises
    ------
    ValueError
        For a text without a header, a header of numbers, and rows of different lengths.
    """
    header, first, width, notes = _find_header(text, delimiter, comments)
    names = column_names(header)
    while len(names) > width and not names[-1]:
        names.pop()
    if not first:
        return Layout(names, 0, 0, 0), notes
    body = (record for record in _records(text, delimiter) if record.line >= first)
    rows, last, ends_empty = _checked_rows(body, header, len(names), width, delimiter)
    row_names = width == len(names) + 1 and not ends_empty
    if row_names and not text[start_of(text, first) :].lstrip(" ").startswith('"'):
        # R quotes its row names; where they are not quoted, the last name may be the missing one.
        raise ValueError(
            f"has {width} fields in line {first}, but {len(names)} in its header (line "
            f"{header.line}): if the first field of the rows is a row name, name it in the header"
        )
    names = ["", *names] if row_names else names + [""] * (width - len(names))
    return Layout(names, rows, first, last), notes


def start_of(text: str, line: int) -> int:
    """Return where a line (counted from 1) begins in a text."""
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start


def _find_header(
    text: str, delimiter: str, comments: list[Record]
) -> tuple[Record, int, int, list[str]]:
    """Return the header, the first row's line (0: none), the number of its fields, and notes."""
    head = list(islice(_records(text, delimiter), _SAMPLE))
    if not head:
        raise ValueError("holds no table: there are only blank lines and comments in it")
    counts = Counter(len(record.fields) for record in head)
    width = max(counts, key=lambda length: (counts[length], length))
    titles = count_titles(head, width)
    notes = []
    if titles:
        notes.append(f"{pluralize(titles, 'line')} above the header skipped: a title")
    named = _header_in_comment(head[titles], comments, delimiter, width)
    if named:
        notes.append(f"the comment in line {named.line} names the columns")
        head.insert(titles, named)
    count = len(comments) - (named is not None)
    if count:
        notes.append(f"{pluralize(count, 'comment line')} ('#') left out")
    below = head[titles + 1 :]
    return head[titles], below[0].line if below else 0, width, notes


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
    return ValueError(
        f"has {pluralize(count, 'field')} in line {record.line}, but {names} in its header (line "
        f"{header.line}): {advice}"
    )
