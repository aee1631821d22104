"""The encoding of a table's feature columns: the way from a new table to the columns fitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from optlab.checks import did_you_mean
from optlab.datasets.feature_encoding import FeatureColumn
from optlab.datasets.rounding import FloatArray


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

    def _refuse(self, name: str, names: Iterable[str]) -> None:
        if name in names:
            raise ValueError(f"the table has two columns {name!r}: rename one of each")
        hint = did_you_mean(name, names)
        needed = ", ".join(map(repr, self.raw_names))
        raise ValueError(f"the table has no column {name!r}: {hint}the fit has {needed}")
