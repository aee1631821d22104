"""Convert data frames to datasets: choose columns, impute, encode categories, hold rows out."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from optlab.datasets.dataset import Dataset
from optlab.datasets.feature_columns import REMEDIES, column_kind, finite_floats
from optlab.datasets.feature_encoding import (
    Encoded,
    NumberColumn,
    encoded_categories,
    encoded_numbers,
)
from optlab.datasets.observations import counted_rows, design_notes
from optlab.datasets.partition import Partition, Positions, partition
from optlab.datasets.refused_columns import Refused, refusal
from optlab.datasets.rounding import FloatArray
from optlab.datasets.selection import names_in, select_features
from optlab.datasets.table_encoding import TableEncoding
from optlab.datasets.validation import unwrapped

Missing = Literal["error", "drop", "mean", "median"]
Categories = Literal["error", "one-hot"]


def from_pandas(
    frame: pd.DataFrame,
    *,
    target: str,
    features: Iterable[str] | str | None = None,
    drop: Iterable[str] | str = (),
    missing: Missing = "error",
    categories: Categories = "error",
    weights: str | None = None,
    validation: float | None = None,
    seed: int = 0,
    labels: bool = False,
    name: str = "table",
) -> Dataset:
    """Make a dataset of a data frame: one column is the target, the others are features.

    All that is done stands in the dataset's ``provenance``. The index is no feature. Columns of
    float32 alone give float32; everything else gives float64.

    Parameters
    ----------
    frame
        A pandas DataFrame or an Arrow table; the columns used hold numbers or booleans of any
        dtype, or, with ``categories="one-hot"``, text or categories.
    target
        The column that is fitted.
    features
        The columns to fit it by; None for all others.
    drop
        Columns to leave out.
    missing
        ``"error"`` counts the rows with missing values; ``"drop"`` leaves them out; ``"mean"`` and
        ``"median"`` fill features with that of the training rows (text with the most frequent
        level), and leave out rows whose target or weight is missing.
    categories
        ``"error"``, or ``"one-hot"``: a column of 0 and 1 for each level but the first.
    weights
        A column of row weights, finite, at least 0, not all 0.
    validation
        The share of rows, between 0 and 1, that is kept back for validation, at random; these rows
        have no part in means, medians, levels and standardization.
    seed
        The same seed holds out the same rows.
    labels
        Whether the target holds class labels: text and categories are kept as text then.
    name
        The dataset's name.

    Returns
    -------
    Dataset
        In float32 where all columns are float32, else in float64.

    Raises
    ------
    ValueError
        For unknown or duplicate names; dates, durations and other columns that are not numbers;
        missing or infinite values; integers that float64 would round; no rows.

    See Also
    --------
    read_table : From a file.

    Examples
    --------
    >>> import pandas as pd
    >>> import optlab as ol
    >>> frame = pd.DataFrame({"city": ["A", "B", "B"], "size": [1.0, None, 3.0], "y": [1, 2, 3]})
    >>> data = ol.datasets.from_pandas(
    ...     frame, target="y", missing="mean", categories="one-hot"
    ... )
    >>> data.feature_names, data.X.tolist()
    (('city=B', 'size'), [[0.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    """
    frame = unwrapped(frame)
    _check_words(frame, missing, categories, validation, seed)
    weights = None if weights is None else str(weights)
    table = _table(frame, target, weights, features, drop, categories, missing, labels=labels)
    rows = partition(
        table.columns,
        frame.index,
        needed=table.needed,
        missing=missing,
        share=validation,
        seed=seed,
    )
    encoded = [_encoded(table.columns[c], c, rows, missing) for c in table.features]
    data = _dataset(name, table, encoded, rows.training)
    held = _dataset(name, table, encoded, rows.held_out) if len(rows.held_out) else None
    notes = [*table.notes, *rows.notes, *(note for part in encoded for note in part.notes)]
    if data.X.dtype != encoded[0].numbers.dtype and all(_is_single(part) for part in encoded):
        notes.append(f"the target {table.target!r} needs float64: features become float64 too")
    notes += design_notes(data.X, data.feature_names)
    return replace(data, validation=held, provenance=tuple(notes))


@dataclass(frozen=True)
class _Table:
    """The columns in use: numbers with NaN where missing, or text and categories to encode."""

    columns: dict[str, FloatArray | pd.Series[Any]]
    features: tuple[str, ...]
    target: str
    weights: str | None
    notes: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.target,) if self.weights is None else (self.target, self.weights)


def _table(
    frame: pd.DataFrame,
    target: str,
    weights: str | None,
    features: Iterable[str] | str | None,
    drop: Iterable[str] | str,
    categories: str,
    missing: str,
    *,
    labels: bool,
) -> _Table:
    names = [str(column) for column in frame.columns]
    index = "" if frame.index.name is None else str(frame.index.name)
    drop = names_in(drop)
    chosen = select_features(
        names, target=str(target), features=features, drop=drop, weights=weights, index=index
    )
    if frame.empty:
        raise ValueError("the table has a header but no rows")
    used = (*chosen, str(target), *([] if weights is None else [weights]))
    series = {column: frame.iloc[:, names.index(column)] for column in used}
    columns = _features(series, chosen, drop, missing, encode=categories == "one-hot")
    columns[str(target)] = _converted_target(series[str(target)], str(target), labels=labels)
    if weights is not None:
        columns[weights] = _converted(series[weights], weights, encode=False)
    left = [repr(column) for column in names if column not in columns]
    notes = [f"columns left out: {', '.join(left)}"] if left else []
    notes += [f"the index {index!r} is no feature"] if index else []
    notes += counted_rows({column: columns[column] for column in chosen})
    notes += [] if weights is None else [f"row weights are column {weights!r}"]
    return _Table(columns, chosen, str(target), weights, tuple(notes))


def _features(
    series: Mapping[str, pd.Series[Any]],
    chosen: Sequence[str],
    drop: Sequence[str],
    missing: str,
    *,
    encode: bool,
) -> dict[str, FloatArray | pd.Series[Any]]:
    """Return the features' columns; ValueError for all that are refused, together."""
    columns, wrong = {}, {}
    for column in chosen:
        try:
            columns[column] = _converted(series[column], column, encode=encode)
        except ValueError as error:
            wrong[column] = Refused(str(error), column_kind(series[column]))
    if wrong:
        gaps = {name: int(values.isna().sum()) for name, values in series.items()}
        gaps = {name: count for name, count in gaps.items() if count}
        raise ValueError(refusal(wrong, gaps, drop, missing))
    return columns


def _converted_target(
    values: pd.Series[Any], column: str, *, labels: bool
) -> FloatArray | pd.Series[Any]:
    """Return the target as numbers, or as it is where it holds class labels of text."""
    if labels and column_kind(values) in {"text", "category"}:
        present = values.dropna().astype(str)
        return values.astype(object).where(values.isna(), present.reindex(values.index))
    try:
        return np.asarray(_converted(values, column, encode=False))
    except ValueError as error:
        sentence = str(error)
        for kind in ("text", "category"):
            sentence = sentence.replace(
                REMEDIES[kind],
                "it is the target, which must be numbers: name another column, or take its texts "
                "as class labels for a classification (labels=True; --problem logistic)",
            )
        raise ValueError(sentence) from None


def _check_words(frame: Any, missing: str, categories: str, validation: Any, seed: Any) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"frame must be a pandas DataFrame, not a {type(frame).__name__}")
    for word, value, allowed in (
        ("missing", missing, get_args(Missing)),
        ("categories", categories, get_args(Categories)),
    ):
        if value not in allowed:
            raise ValueError(f"{word} must be one of {', '.join(allowed)}, not {value!r}")
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}")
    is_share = isinstance(validation, numbers.Real) and 0 < float(validation) < 1
    if validation is not None and not is_share:
        raise ValueError(
            f"validation must be a share between 0 and 1, such as 0.2, not {validation!r}"
        )


def _converted(values: pd.Series[Any], column: str, *, encode: bool) -> FloatArray | pd.Series[Any]:
    """Return a column as numbers with NaN where missing, or as it is where it is encoded later."""
    if encode and column_kind(values) in {"text", "category"}:
        return values
    return finite_floats(values, column)


def _encoded(values: Any, column: str, rows: Partition, missing: str) -> Encoded:
    """Return a feature's numbers in all rows; what is filled or encoded is learnt in training."""
    if isinstance(values, np.ndarray) and missing not in {"mean", "median"}:
        return Encoded(values[:, None], NumberColumn(column))
    used = rows.used
    if isinstance(values, pd.Series):
        training = np.searchsorted(used, rows.training)
        part = encoded_categories(values.iloc[used], column, training, missing)
    else:
        part = encoded_numbers(values[used], column, values[rows.training], missing)
    # Back to the rows of the table, so that all columns are told by the same positions.
    full = np.full((len(values), part.numbers.shape[1]), np.nan, part.numbers.dtype)
    full[used] = part.numbers
    return part._replace(numbers=full)


def _dataset(name: str, table: _Table, encoded: list[Encoded], rows: Positions) -> Dataset:
    # One without columns of its own, for it has one level only, is not asked for in new tables.
    columns = (part.column for part in encoded if part.column.encoded_names)
    encoding = TableEncoding(tuple(columns))
    if not encoding.columns:
        raise ValueError("each feature has one level only: there is nothing to fit the target by")
    single = all(_is_single(part) for part in encoded)
    X = np.concatenate([part.numbers[rows] for part in encoded], axis=1)
    weights = None if table.weights is None else np.asarray(table.columns[table.weights])[rows]
    return Dataset(
        name=name,
        X=X.astype(np.float32 if single else np.float64, copy=False),
        y=np.asarray(table.columns[table.target])[rows],
        feature_names=encoding.encoded_names,
        target_name=table.target,
        sample_weight=weights,
        encoding=encoding,
    )


def _is_single(part: Encoded) -> bool:
    return part.numbers.dtype == np.float32
