"""Read a Parquet file as blocks of rows, for data larger than memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from optlab.datasets.columns import place, to_floats
from optlab.datasets.rounding import FloatArray
from optlab.datasets.selection import select_features
from optlab.text import pluralize


class ParquetBlocks:
    """The row groups of a Parquet file, one at a time, as ``(X (m, d), y (m,))`` in float64.

    For `optlab.linalg.streaming_least_squares`: it can be iterated again and again. The columns'
    types are checked when it is made, their values block by block, as `read_table` checks them.

    Parameters
    ----------
    path
        The file; it needs the extra ``optlab[parquet]``.
    target
        The target's column; all others are features, in the file's order. An index that pandas
        stored is none of them.
    features, drop
        The features, where not all others are; columns to leave out.

    Raises
    ------
    ValueError
        For a missing file or column, a file that is no Parquet, or where pyarrow is missing; for
        columns that do not hold numbers; and, while it is iterated, for missing or infinite values
        and integers that float64 would round. Rows are counted from 0 over the whole file.

    See Also
    --------
    read_table : A file that fits into memory.
    optlab.StreamingLstsq : Fits a linear model of it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> import optlab as ol
    >>> frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [1.0, 3.0, 5.0, 7.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.parquet")
    ...     frame.to_parquet(path, row_group_size=2)
    ...     blocks = ol.datasets.ParquetBlocks(path, target="y")
    ...     solution = ol.linalg.streaming_least_squares(blocks)
    >>> len(solution.weight), round(solution.weight.item(), 12), round(solution.bias.item(), 12)
    (1, 2.0, 1.0)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        target: str,
        features: Iterable[str] | str | None = None,
        drop: Iterable[str] | str = (),
    ) -> None:
        try:
            from pyarrow import ArrowException, parquet  # noqa: PLC0415 - the extra `parquet`
        except ImportError:
            raise ValueError("Parquet needs pyarrow: pip install 'optlab[parquet]'") from None
        self.path, self.target = Path(path), target
        if not self.path.is_file():
            raise ValueError(f"there is no file {path}")
        try:
            with parquet.ParquetFile(self.path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        except (OSError, ArrowException) as error:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
        try:
            self._index, self._first_label, self._label_step = _stored_index(schema)
            names = [name for name in schema.names if name not in self._index]
            self.feature_names = select_features(
                names, target=target, features=features, drop=drop, index=", ".join(self._index)
            )
            if not rows:
                raise ValueError("the table has a header but no rows")
            empty = schema.empty_table().to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
            for name in (*self.feature_names, target):
                to_floats(empty[name], f"column {name!r}")  # its type alone may refuse it
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def __iter__(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        from pyarrow import parquet  # noqa: PLC0415 - as above

        names, first_row = [*self.feature_names, self.target], 0
        with parquet.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=[*names, *self._index])
                frame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
                labels = self._labels(frame, first_row)
                columns = [self._floats(frame[name].set_axis(labels), first_row) for name in names]
                yield np.stack(columns[:-1], axis=1), columns[-1]
                first_row += len(frame)

    def _labels(self, frame: pd.DataFrame, first_row: int) -> pd.Index[Any]:
        if not self._index:
            first = self._first_label + first_row * self._label_step
            return pd.RangeIndex(first, first + len(frame) * self._label_step, self._label_step)
        return (
            pd.Index(frame[self._index[0]])
            if len(self._index) == 1
            else pd.MultiIndex.from_frame(frame[list(self._index)])
        )

    def _floats(self, values: pd.Series[Any], first_row: int) -> FloatArray:
        """Return a column of one block in float64; its values are there and finite."""
        try:
            floats = to_floats(values, f"column {values.name!r}", first_row).astype(np.float64)
            bad = ~np.isfinite(floats)
            if bad.any():
                where = place(values.index, int(bad.argmax()), first_row)
                raise ValueError(
                    f"column {values.name!r} has {pluralize(int(bad.sum()), 'value')} missing or "
                    f"infinite in one block, the first in {where} (rows counted from 0); drop or "
                    "fill these rows first"
                )
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        return floats


def _stored_index(schema: Any) -> tuple[tuple[str, ...], int, int]:
    """Return the columns that pandas stored as the frame's index, or its range's start and step."""
    entries = (schema.pandas_metadata or {}).get("index_columns", [])
    columns = tuple(entry for entry in entries if isinstance(entry, str) and entry in schema.names)
    spans = [e for e in entries if isinstance(e, dict) and e.get("kind") == "range"]
    return columns, *((int(spans[0]["start"]), int(spans[0]["step"])) if spans else (0, 1))
