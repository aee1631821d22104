"""The encoding of a table's feature columns: the way from a new table to the columns fitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from optlab.checks import did_you_mean
from optlab.datasets.feature_encoding import FeatureColumn
from optlab.datasets.rounding import FloatArray
from optlab.text import number, pluralize


@dataclass(frozen=True)
class TableEncoding:
    """Encode tables as that which a dataset was made of: by name, with its levels and fills.

    Parameters
    ----------
    columns
        The encoding of each column that features are made of, in their order.

    Examples
    --------
    >>> import optlab as ol
    >>> frame = pd.DataFrame({"city": ["A", "B"], "size": [1.0, 3.0], "y": [1, 2]})
    >>> data = ol.datasets.from_pandas(frame, target="y", categories="one-hot")
    >>> data.encoding.transform(pd.DataFrame({"size": [2.0], "city": ["B"]}))
    array([[1., 2.]])
    """

    columns: tuple[FeatureColumn, ...]

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The names of the table's columns."""
        return tuple(column.name for column in self.columns)

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """The names of the columns of numbers that are made of them."""
        return tuple(name for column in self.columns for name in column.encoded_names)

    def transform(self, frame: pd.DataFrame) -> FloatArray:
        """Return the columns of numbers ``(n, d)``, float64, of a table; others are ignored.

        Raises
        ------
        ValueError
            For a column that is missing or stands twice, and, by its name and row, for a level
            that no fitted row has, for what is no finite number, and for missing values where none
            were filled.
        """
        names = [str(column) for column in frame.columns]
        for name in self.raw_names:
            if names.count(name) != 1:
                self._refuse(name, names)
        parts = [
            column.transform(frame.iloc[:, names.index(column.name)]) for column in self.columns
        ]
        return np.concatenate(parts, axis=1, dtype=np.float64)

    def gaps(self, frame: pd.DataFrame) -> str:
        """Return in words which missing values `transform` fills, and by what; "" for none.

        Examples
        --------
        >>> from optlab.datasets.feature_encoding import NumberColumn
        >>> encoding = TableEncoding((NumberColumn("floor", 4.0),))
        >>> encoding.gaps(pd.DataFrame({"floor": [1.0, None]}))
        "1 missing value of column 'floor' filled with 4"
        """
        names, texts = [str(column) for column in frame.columns], []
        for column in self.columns:
            count = int(frame.iloc[:, names.index(column.name)].isna().sum())
            if count and (fill := column.fill) is not None:
                by = repr(fill) if isinstance(fill, str) else number(fill, 6)
                counted = pluralize(count, "missing value")
                texts.append(f"{counted} of column {column.name!r} filled with {by}")
        return ", ".join(texts)

    def _refuse(self, name: str, names: Iterable[str]) -> None:
        if name in names:
            raise ValueError(f"the table has two columns {name!r}: rename one of each")
        hint = did_you_mean(name, names)
        needed = ", ".join(map(repr, self.raw_names))
        raise ValueError(f"the table has no column {name!r}: {hint}the fit has {needed}")
