"""Parquet, Feather and Arrow files as a DataFrame."""

from __future__ import annotations

from typing import Any

import pandas as pd

from optlab.datasets.files.exact_integers import exact_integers
from optlab.text import shortened

ARROW_FORMATS = frozenset({"Parquet", "Feather", "Arrow"})


def read_arrow(content: bytes, kind: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the table of a Parquet, Feather or Arrow file, and notes.

    An index that pandas stored beside the columns is left out. Parquet pages are checked against
    their checksums where the file has some.

    Raises
    ------
    ValueError
        For a damaged file, or where pyarrow is missing.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional: the extra `parquet`
    except ImportError:
        raise ValueError(
            f"is a {kind} file, which needs pyarrow: pip install 'optlab[parquet]'"
        ) from None
    try:
        table = _arrow_table(pa.BufferReader(content), kind)
        table.validate(full=True)
        index = _stored_index(table)
        frame = _frame(table.drop_columns(index).replace_schema_metadata(None))
    # pyarrow raises what its many layers raise: ArrowInvalid, OSError, KeyError, OverflowError.
    except Exception:
        raise ValueError(f"is damaged ({kind}): copy, download or write it again") from None
    notes = [f"the index {shortened(name)} that pandas stored is left out" for name in index]
    return frame, notes


def _arrow_table(source: Any, kind: str) -> Any:
    if kind == "Parquet":
        from pyarrow import parquet  # noqa: PLC0415 - as above

        return parquet.ParquetFile(source, page_checksum_verification=True).read()
    if kind == "Feather":
        from pyarrow import feather  # noqa: PLC0415 - as above

        return feather.read_table(source)
    from pyarrow import ipc  # noqa: PLC0415 - as above

    return ipc.open_stream(source).read_all()


def _stored_index(table: Any) -> list[str]:
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in stored if isinstance(name, str) and name in table.column_names]


def _frame(table: Any) -> pd.DataFrame:
    """Return the columns in pandas' types; whole numbers and truth values with gaps stay such."""
    nullable = {"int64": pd.Int64Dtype(), "uint64": pd.UInt64Dtype(), "bool": pd.BooleanDtype()}
    columns = []
    for column in table.columns:
        gaps = column.null_count > 0
        dtype = nullable.get(str(column.type)) if gaps else None
        series = column.to_pandas(types_mapper=None if dtype is None else lambda _, d=dtype: d)
        whole = pd.api.types.is_integer_dtype(series) and gaps
        columns.append(exact_integers(series) if whole else series)
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    frame.columns = pd.Index([str(name) for name in table.column_names], dtype=object)
    return frame.reset_index(drop=True)
