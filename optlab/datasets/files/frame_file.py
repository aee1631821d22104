"""A file read as a pandas DataFrame, with a note on every choice made."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from optlab.datasets.files.arrow_tables import ARROW_FORMATS, read_arrow
from optlab.datasets.files.decompression import decompress
from optlab.datasets.files.delimited_text import read_text_table
from optlab.datasets.files.excel_sheets import read_sheet
from optlab.datasets.files.file_signatures import file_format, refuse_text_format
from optlab.datasets.files.text_encodings import decode
from optlab.text import encodable, shortened

_BINARY_ENDINGS = {
    ".parquet": "Parquet", ".pq": "Parquet", ".feather": "Feather", ".arrow": "Arrow",
    ".xlsx": "Excel", ".xlsm": "Excel", ".xls": "Excel",
}  # fmt: skip


class FrameFile(NamedTuple):
    """A table read from a file.

    ``frame`` has the columns as read, by name, with a ``RangeIndex``: numbers where the whole
    column holds numbers, otherwise text; Parquet, Feather and Excel keep their dtypes. Whole
    numbers are never rounded (see `exact_integers`). ``notes`` has a plain sentence for each choice
    made: the separator, a line skipped, a column left out.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def read_frame(
    path: str | Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
) -> FrameFile:
    r"""Read a table from a file: delimited text, Parquet, Feather, Arrow or Excel.

    The format and the compression (gzip, bzip2, xz, zip, zstd) are recognised by the file's first
    bytes, whatever its name ends with. What is not given is recognised: ``separator`` is one
    character, or ``"tab"`` or ``"space"`` (one or more blanks); ``decimal`` is ``"."`` or ``","``;
    ``encoding`` is a codec of Python (recognised: UTF-8, UTF-16 and UTF-32). ``sheet`` is an Excel
    sheet's name, or its number from 0; needed where there are several.

    Raises
    ------
    ValueError
        For a file that is not there or cannot be read as a table, in one sentence that names the
        file and says what to do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from optlab.datasets.files import read_frame
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.csv")
    ...     _ = path.write_text("x;y\n0,5;1\n1,5;3\n")
    ...     frame, notes = read_frame(path)
    >>> frame["x"].tolist(), notes
    ([0.5, 1.5], ("separator ';', decimal comma",))
    """
    name = encodable(str(path))
    try:
        content, notes = decompress(_bytes_of(path))
        expected = _BINARY_ENDINGS.get(Path(path).suffix.lower())
        text_options = {"separator": separator, "decimal": decimal, "encoding": encoding}
        frame, more = _read(content, expected, text_options, sheet)
        _refuse_duplicates(frame)
    except MemoryError:
        raise ValueError(
            f"{name} does not fit into memory; save it as Parquet and read it with "
            "optlab.datasets.ParquetBlocks"
        ) from None
    except ValueError as error:
        joint = ": " if str(error).startswith(("the ", "column ")) else " "
        raise ValueError(f"{name}{joint}{error}") from None
    return FrameFile(frame, (*notes, *more))


def _read(
    content: bytes,
    expected: str | None,
    text_options: dict[str, str | None],
    sheet: str | int | None,
) -> tuple[pd.DataFrame, Sequence[str]]:
    """Return the frame and the notes; ``expected`` is the format that the file's name promises."""
    found = file_format(content)
    if found is not None:
        _refuse_options(text_options, f"this is {found}")
    if found == "Excel":
        return read_sheet(content, sheet)
    _refuse_options({"sheet": sheet}, "this is no Excel file")
    if found in ARROW_FORMATS:
        return read_arrow(content, found)
    text, notes = decode(content, text_options["encoding"])
    refuse_text_format(text)
    if expected is not None:
        notes = (f"no {expected} file in spite of its name: read as text", *notes)
    frame, more = read_text_table(text, text_options["separator"], text_options["decimal"])
    return frame, (*notes, *more)


def _refuse_options(options: Mapping[str, object], reason: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise ValueError(
                f"cannot be read with {option}={shortened(value)}, for {reason}: leave it out"
            )


def _bytes_of(path: str | Path) -> bytes:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise ValueError("is an address (URL), not a file: download it first")
    if Path(path).is_dir():
        raise ValueError("is a folder (a directory): name one file in it")
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for names that are too long
        raise ValueError(f"does not exist{_nearest(Path(path))}")
    if not Path(path).is_file():
        raise ValueError("is a pipe or a device, not a file: save its content to a file first")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be opened: {error.strerror}; check its permissions") from None
    if not content.strip():
        raise ValueError(
            "is empty: a table has a line of column names and then a line for each row"
        )
    return content


def _nearest(path: Path) -> str:
    folder = path.parent
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        return f": there is no folder {encodable(str(folder))}"
    try:
        near = difflib.get_close_matches(path.name, os.listdir(folder), n=1)  # noqa: PTH208 - names
    except OSError:
        return ""
    return f" (did you mean {encodable(near[0])!r}?)" if near else ": check its name and folder"


def _refuse_duplicates(frame: pd.DataFrame) -> None:
    twice = frame.columns[frame.columns.duplicated()].unique().tolist()
    if twice:
        names = ", ".join(map(shortened, twice[:5]))
        raise ValueError(f"names columns twice: {names}; rename them in the file")
