"""Data of your own: CSV and Parquet files."""

from __future__ import annotations

import difflib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from optlab.datasets.dataset import Dataset
from optlab.text import encodable


def read_table(path: str | Path, *, target: str) -> Dataset:
    r"""Read a CSV or Parquet file: one column is the target, all others are features.

    Parameters
    ----------
    path
        A ``.parquet`` or ``.pq`` file (needs the extra ``optlab[parquet]``); any other ending is
        read as CSV with a header line.
    target
        The name of the target's column.

    Raises
    ------
    ValueError
        For a file that cannot be read as a table, a missing target column, columns of text,
        missing or infinite values, duplicate column names, or no rows.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import optlab as ol
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.csv")
    ...     _ = path.write_text("x,y\n0,1\n1,3\n2,5\n")
    ...     ol.datasets.read_table(path, target="y")
    Dataset('points', n=3, d=1, float64)
    """
    path = Path(path)
    frame = _read(path)
    if target not in frame.columns:
        near = difflib.get_close_matches(target, [str(c) for c in frame.columns], n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        columns = ", ".join(repr(str(column)) for column in frame.columns)
        if len(frame.columns) == 1 and set(";\t") & set(columns):
            hint += " (fields must be separated by commas)"
        raise ValueError(f"{path} has no column {target!r}{hint}; its columns are {columns}")
    if frame.empty:
        raise ValueError(f"{path} has a header but no rows")
    if len(frame.columns) == 1:
        raise ValueError(f"{path} has only the target {target!r}: there is no feature to fit it by")
    for column in frame.columns:
        _check_numeric(path, frame, str(column))
    features = frame.drop(columns=target)
    wide = all(dtype == np.float32 for dtype in frame.dtypes)
    dtype = np.float32 if wide else np.float64
    return Dataset(
        name=encodable(path.stem),
        X=features.to_numpy(dtype),
        y=frame[target].to_numpy(dtype),
        feature_names=tuple(str(column) for column in features.columns),
        target_name=target,
        source=str(path),
    )


def _read(path: Path) -> pd.DataFrame:
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
            return pd.read_parquet(path, engine="pyarrow")
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
            return pd.read_csv(path, index_col=False, skipinitialspace=True, header=0, names=header)
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from None


def _check_numeric(path: Path, frame: pd.DataFrame, column: str) -> None:
    values = frame[column]
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        numbers = pd.to_numeric(values, errors="coerce")
        texts = values[numbers.isna() & values.notna()]
        if texts.empty:  # whole numbers beyond int64, or booleans with gaps
            _check_numeric(path, frame.assign(**{column: numbers.astype(float)}), column)
            return
        first = texts.index[0]
        raise ValueError(
            f"{path}: column {column!r} holds text, not numbers: {values[first]!r} in row {first} "
            f"(rows counted from 0), {len(texts)} such values; drop or encode the column first"
        )
    bad = ~np.isfinite(values.to_numpy(np.float64, na_value=np.nan))
    if bad.any():
        raise ValueError(
            f"{path}: column {column!r} has {bad.sum()} missing, NaN or infinite values, the first "
            f"in row {int(bad.argmax())} (rows counted from 0); drop or fill these rows first"
        )
