"""One sheet of an Excel workbook (.xlsx) as a DataFrame."""

from __future__ import annotations

import io
import warnings
from importlib.util import find_spec

import pandas as pd

from optlab.datasets.files.exact_integers import exact_integers
from optlab.datasets.files.header_line import Record, column_names, count_titles, name_columns
from optlab.datasets.files.text_columns import numbers_from_text
from optlab.text import pluralize, shortened

_HEAD = 25


def read_sheet(content: bytes, sheet: str | int | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of a sheet, and notes; titles above the header are skipped.

    Raises
    ------
    ValueError
        For several sheets where none is named, a damaged file, or where openpyxl is missing.
    """
    if find_spec("openpyxl") is None:  # optional: the extra `excel`
        raise ValueError(
            "is an Excel file, which needs openpyxl: pip install 'optlab[excel]', or save the "
            "sheet as CSV in Excel"
        )
    cells, notes = _cells(content, sheet)
    filled = cells.notna().any(axis=1)
    blank = int((~filled).sum())
    cells = cells.loc[filled]
    if cells.empty:
        raise ValueError("holds no table: its sheet is empty")
    head = [
        Record(int(row) + 1, ["" if pd.isna(cell) else str(cell) for cell in cells.loc[row]])
        for row in cells.index[:_HEAD]
    ]
    titles = count_titles(head, cells.shape[1])
    if titles:
        notes.append(f"{pluralize(titles, 'line')} above the header skipped: a title")
    if blank:
        notes.append(f"{pluralize(blank, 'row')} without any value left out")
    names = column_names(head[titles])
    body = cells.iloc[titles + 1 :]
    lines = (int(body.index.min()) + 1, int(body.index.max()) + 1) if len(body) else (0, 0)
    columns = []
    for j, name in enumerate(names):
        column, more = _column(body.iloc[:, j], name or str(j + 1), lines)
        columns.append(column.reset_index(drop=True))
        notes += more
    frame, more = name_columns(pd.concat(columns, axis=1), names)
    return frame, [*notes, *more]


def _cells(content: bytes, sheet: str | int | None) -> tuple[pd.DataFrame, list[str]]:
    try:
        with (
            warnings.catch_warnings(action="ignore", category=UserWarning),  # styles, validation
            pd.ExcelFile(io.BytesIO(content), engine="openpyxl") as book,
        ):
            names = [str(name) for name in book.sheet_names]
            if names and _is_there(sheet, names):
                chosen = names[sheet] if isinstance(sheet, int) else sheet or names[0]
                cells = pd.read_excel(
                    book,
                    sheet_name=chosen,
                    header=None,
                    dtype=object,
                    keep_default_na=False,
                    na_values=[""],
                )
                return cells, [f"Excel sheet {chosen!r}"]
    # openpyxl raises what its parts raise on a damaged file: KeyError, BadZipFile, ParseError.
    except Exception:
        raise ValueError(
            "is a damaged Excel file: open it in Excel and save it again, or save it as CSV"
        ) from None
    if not names:
        raise ValueError("is an Excel file without a sheet of cells: save the table as CSV")
    shown = ", ".join(map(shortened, names))
    if sheet is None:
        raise ValueError(f"has {len(names)} sheets ({shown}): give one, sheet={names[0]!r}")
    raise ValueError(f"has no sheet {sheet!r}; its sheets are {shown}")


def _is_there(sheet: str | int | None, names: list[str]) -> bool:
    if sheet is None:
        return len(names) == 1
    return sheet in names if isinstance(sheet, str) else 0 <= sheet < len(names)


def _column(cells: pd.Series, name: str, lines: tuple[int, int]) -> tuple[pd.Series, list[str]]:
    """Return the cells of a column in the plainest dtype that holds all of them."""
    kinds = set(cells.dropna().map(type))
    if str in kinds:
        return numbers_from_text(cells.map(str, na_action="ignore"), name, ".", lines)
    if kinds == {int}:
        return exact_integers(cells.where(cells.notna(), None)), []
    if kinds == {bool}:
        return cells.astype("boolean" if cells.hasnans else "bool"), []
    return pd.Series(cells.tolist(), index=cells.index), []
