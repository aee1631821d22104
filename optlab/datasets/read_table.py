"""Read a file of a table as a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from optlab.datasets.dataset import Dataset
from optlab.datasets.files import read_frame
from optlab.datasets.files.header_line import SAVED_INDEX
from optlab.datasets.from_pandas import Categories, Missing, from_pandas
from optlab.text import encodable


def read_table(
    path: str | Path,
    *,
    target: str,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    features: Iterable[str] | str | None = None,
    drop: Iterable[str] | str = (),
    missing: Missing = "error",
    categories: Categories = "error",
    weights: str | None = None,
    validation: float | None = None,
    seed: int = 0,
    labels: bool = False,
    name: str | None = None,
) -> Dataset:
    r"""Read a file of a table as a dataset: one column is the target, all others are features.

    Parameters
    ----------
    path
        Text with a header line and fields between separators, Parquet, Feather or Arrow (extra
        ``optlab[parquet]``), or Excel (extra ``optlab[excel]``), compressed or not.
    target
        The name of the target's column.
    separator, decimal, encoding, sheet
        The sign between fields, the decimal sign, the encoding of a text, and the sheet of a
        workbook; recognised where they are not given.
    features, drop, missing, categories, weights, validation, seed, labels
        As in `from_pandas`.
    name
        The dataset's name; the file's where none is given.

    Returns
    -------
    Dataset
        As `from_pandas` makes it of the table; ``provenance`` says what was done to each column.

    Raises
    ------
    ValueError
        For a file that cannot be read as a table, and as `from_pandas`; the error names the file.

    See Also
    --------
    from_pandas : From a data frame.
    ParquetBlocks : A file larger than memory.

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
    table = read_frame(path, separator=separator, decimal=decimal, encoding=encoding, sheet=sheet)
    # An index column that the reader has left out already may be dropped by name all the same.
    unwanted = [drop] if isinstance(drop, str) else list(drop)
    columns = set(table.frame.columns)
    unwanted = [n for n in unwanted if n in columns or not SAVED_INDEX.fullmatch(str(n))]
    try:
        dataset = from_pandas(
            table.frame, target=target, features=features, drop=unwanted, missing=missing,
            categories=categories, weights=weights, validation=validation, seed=seed,
            labels=labels, name=name or encodable(Path(path).stem),
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return replace(dataset, source=str(path), provenance=(*table.notes, *dataset.provenance))
