"""A Parquet file as blocks of rows, for data larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from optlab.datasets.dataset import FloatArray


class ParquetBlocks:
    """The row groups of a Parquet file, one at a time, as ``(X (m, d), y (m,))`` in float64.

    For `optlab.linalg.streaming_least_squares`: it can be iterated again and again.

    Parameters
    ----------
    path
        The file; it needs the extra ``optlab[parquet]``.
    target
        The target's column; all others are features, in the file's order.

    Raises
    ------
    ValueError
        For a missing file or column, a file that is no Parquet, or where pyarrow is missing.

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

    def __init__(self, path: str | Path, *, target: str) -> None:
        try:
            from pyarrow import ArrowException, parquet  # noqa: PLC0415 - the extra `parquet`
        except ImportError:
            raise ValueError("Parquet needs pyarrow: pip install 'optlab[parquet]'") from None
        self.path, self.target = Path(path), target
        if not self.path.is_file():
            raise ValueError(f"there is no file {path}")
        try:
            with parquet.ParquetFile(self.path) as file:
                names = file.schema_arrow.names
        except ArrowException as error:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from None
        if target not in names:
            raise ValueError(f"{path} has no column {target!r}; its columns are {', '.join(names)}")
        self.feature_names = tuple(name for name in names if name != target)

    def __iter__(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        from pyarrow import parquet  # noqa: PLC0415 - as above

        with parquet.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                frame = file.read_row_group(group).to_pandas()
                X = frame[list(self.feature_names)].to_numpy(np.float64)
                yield np.ascontiguousarray(X), frame[self.target].to_numpy(np.float64)
