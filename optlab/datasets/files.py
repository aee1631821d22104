"""Read a file of a table as a data frame, its values as they stand."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import pandas as pd


class RawTable(NamedTuple):
    """A table as it stands in a file, and what was decided when it was read."""

    frame: pd.DataFrame
    notes: tuple[str, ...]


def read_frame(
    path: str | Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> RawTable:
    """Return the table of a CSV or Parquet file."""
    del separator, decimal, encoding, sheet
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    if path.suffix in {".parquet", ".pq"}:
        try:
            import pyarrow.lib  # noqa: PLC0415 - optional: the extra `parquet`
        except ImportError:
            raise ValueError(
                "reading Parquet needs pyarrow: pip install 'optlab[parquet]'"
            ) from None
        try:
            return RawTable(pd.read_parquet(path, engine="pyarrow", dtype_backend="pyarrow"), ())
        except (OSError, pyarrow.lib.ArrowException) as error:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
    try:
        first_line = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
        header = ["" if pd.isna(name) else str(name).strip() for name in first_line]
        if "" in header:
            raise ValueError(f"column {header.index('')} has no name: is there a header line?")
        duplicates = sorted({name for name in header if header.count(name) > 1})
        if duplicates:
            raise ValueError(f"its header names columns twice: {', '.join(duplicates)}")
        # Rows longer than the header are an error: without index_col=False they shift the columns
        # silently, with it they are cut with a warning.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path, index_col=False, skipinitialspace=True, header=0, names=header
            )
            return RawTable(frame, ())
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from None
