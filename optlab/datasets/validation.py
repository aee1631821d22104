"""Check the arrays, tensors and data frames of a regression task, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.feature_columns import place, to_floats
from optlab.datasets.rounding import FloatArray
from optlab.remedies import remedy
from optlab.text import pluralize

_LARGEST_EXACT = 2.0**53


class Design(NamedTuple):
    """Checked data: ``X (n, d)`` and ``y (n,)`` of one dtype, and the names of the columns."""

    X: Tensor
    y: Tensor
    feature_names: tuple[str, ...]


def checked_design(
    X: ArrayLike | Tensor | pd.DataFrame,
    y: ArrayLike | Tensor | pd.Series[Any],
    feature_names: Sequence[str] | None = None,
) -> Design:
    """Return ``X (n, d)`` and ``y (n,)`` as float tensors on one device, with the columns' names.

    float32 and float64 are kept; other numbers become float64. ``y`` takes the dtype of ``X`` where
    that holds each of its values exactly; else both become float64. A data frame gives its columns'
    names where none are given.

    Raises
    ------
    ValueError
        For dates, durations, text, categories and complex numbers; masked values; integers that
        float64 would round; wrong or differing shapes or row labels; no rows, no columns, a name
        twice; NaN or infinity (naming the first place and the counts).
    """
    X, y = unwrapped(X), unwrapped(y)
    if isinstance(X, pd.DataFrame) and isinstance(y, pd.Series) and not X.index.equals(y.index):
        _refuse_other_labels(X.index, y.index, "y")
    rows = X.index if isinstance(X, pd.DataFrame) else None
    if feature_names is None and isinstance(X, pd.DataFrame):
        feature_names = [str(name) for name in X.columns]
    labels = y.index if isinstance(y, pd.Series) else rows
    X, y = _as_float_tensor("X", X), _as_float_tensor("y", y)
    _check_shapes(X, y)
    names = checked_names(feature_names, X.shape[1])
    if X.dtype != y.dtype:
        # Rounding y to the float32 of X would change the problem without a word.
        exact = X.dtype == torch.float32 and torch.equal(y.to(X.dtype).to(y.dtype), y)
        X, y = (X, y.to(X.dtype)) if exact else (X.double(), y.double())
    _check_finite("X", X, names if feature_names else None, rows)
    _check_finite("y", y, None, labels)
    return Design(X, y, names)


def checked_features(X: ArrayLike | Tensor | pd.DataFrame, names: Sequence[str]) -> Tensor:
    """Return rows of the named columns, ``X (B, d)``, as a float tensor.

    Raises
    ------
    ValueError
        As `checked_design`, and for a data frame without one of these columns.
    """
    X = named_columns(unwrapped(X), names)
    rows = _as_float_tensor("X", X)
    _check_matrix(rows)
    if rows.shape[1] != len(names):
        raise ValueError(f"X must have the {len(names)} columns {names}, not {rows.shape[1]}")
    _check_finite("X", rows, names, X.index if isinstance(X, pd.DataFrame) else None)
    return rows


def named_columns(X: Any, names: Sequence[str]) -> Any:
    """Return a data frame's columns of these names, in their order; anything else as it is.

    Names x0, x1, ... stand for none: then a frame's columns are taken as they stand.

    Raises
    ------
    ValueError
        For a data frame without one of the columns, or with one of them twice.
    """
    if not isinstance(X, pd.DataFrame) or tuple(names) == checked_names(None, len(names)):
        return X
    own = [str(name) for name in X.columns]
    if own == list(names):
        return X
    if not set(own) >= set(names):
        raise ValueError(
            f"X must have the columns {tuple(names)}, not {tuple(own)}: rename them, or pass "
            "X.to_numpy() where they are the same columns"
        )
    refuse_duplicates([name for name in own if name in names], "X")
    return X.iloc[:, [own.index(name) for name in names]]


def checked_names(feature_names: Sequence[str] | None, columns: int) -> tuple[str, ...]:
    """Return the names of so many columns (x0, x1, ... for None), or refuse a name twice."""
    if not feature_names:
        return tuple(f"x{j}" for j in range(columns))
    names = tuple(feature_names)
    if len(names) != columns:
        raise ValueError(f"{len(names)} feature names for the {columns} columns of X: {names}")
    refuse_duplicates(names, "X")
    return names


def refuse_duplicates(names: Sequence[str], what: str) -> None:
    """Raise ValueError where a name stands twice."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(
            f"{what} names columns twice: {', '.join(map(repr, twice))}; rename one of each"
        )


def checked_sample_weight(
    weights: ArrayLike | pd.Series[Any] | Tensor, rows: int, X: object = None
) -> FloatArray:
    """Return row weights ``(n,)`` in float64: finite, at least 0, and not all 0.

    Labels of the rows, where both the weights and ``X`` have some, must agree.
    """
    frame, series = unwrapped(X), unwrapped(weights)
    labelled = isinstance(frame, pd.DataFrame) and isinstance(series, pd.Series)
    if labelled and not frame.index.equals(series.index):
        _refuse_other_labels(frame.index, series.index, "sample_weight")
    array = _as_float_tensor("sample_weight", series).double().cpu().numpy()
    if array.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), not {array.shape}")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        first = int(bad.argmax())
        raise ValueError(
            f"sample_weight must be finite and at least 0, not {array[first]} in row {first} "
            f"(rows counted from 0), {pluralize(int(bad.sum()), 'such value')}"
        )
    if not array.any():
        raise ValueError("sample_weight is 0 in every row: at least one must be above 0")
    return array


def unwrapped(values: Any) -> Any:
    """Return Arrow's tables and arrays, and pandas' indexes and arrays, as a frame or a series."""
    if type(values).__module__.partition(".")[0] == "pyarrow":
        return values.to_pandas(types_mapper=pd.ArrowDtype)
    if isinstance(values, pd.Index):
        return values.to_series(index=pd.RangeIndex(len(values)))
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return pd.Series(values)
    return values


def _refuse_other_labels(X: pd.Index[Any], y: pd.Index[Any], name: str) -> None:
    if len(X) != len(y):
        return  # the shapes say it better
    pairs = list(zip(X.tolist(), y.tolist(), strict=True))
    first = next(i for i, (one, other) in enumerate(pairs) if one != other)
    raise ValueError(
        f"X and {name} have different row labels: {pairs[first][0]!r} and {pairs[first][1]!r} in "
        f"row {first} (rows counted from 0); bring {name} into the order of X with "
        f"{name}.loc[X.index], or pass {name}.to_numpy() where the rows do belong together"
    )


def _check_matrix(X: Tensor) -> None:
    if X.ndim != 2:
        hint = "; for one feature, X.reshape(-1, 1) (a series: X.to_frame())" if X.ndim == 1 else ""
        raise ValueError(f"X must have shape (n, d), not {tuple(X.shape)}{hint}")


def _check_shapes(X: Tensor, y: Tensor) -> None:
    if X.ndim == 1 and y.ndim == 2 and len(X) == len(y):
        raise ValueError(f"X and y are swapped: X has shape {tuple(X.shape)}, y {tuple(y.shape)}; "
                         "X (n, d) comes first, then y (n,)")  # fmt: skip
    _check_matrix(X)
    if y.ndim != 1:
        flat = y.ndim == 2 and 1 in y.shape
        hint = "; flatten it with y.ravel() (a frame: y.squeeze())" if flat else ""
        raise ValueError(f"y must have shape (n,), not {tuple(y.shape)}{hint}")
    if len(X) != len(y):
        raise ValueError(f"X and y differ in length: X has {len(X)} rows, y has {len(y)}")
    if X.numel() == 0:
        raise ValueError(f"the data are empty: X has shape {tuple(X.shape)}")
    if X.device != y.device:
        raise ValueError(f"X and y must be on one device, not on {X.device} and {y.device}")


def _as_float_tensor(name: str, values: Any) -> Tensor:
    if not isinstance(values, Tensor):
        return torch.from_numpy(_as_float_array(name, values))
    tensor = values.detach()
    if tensor.layout != torch.strided or torch.masked.is_masked_tensor(tensor):
        raise ValueError(f"{name} must be a dense tensor without masks, not {tensor.layout}: pass "
                         f"{name}.to_dense()")  # fmt: skip
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.is_floating_point() or tensor.dtype == torch.bool:  # half precision: exact in float64
        return tensor.to(torch.float64)
    return torch.from_numpy(_as_float_array(name, tensor.cpu().numpy())).to(tensor.device)


def _as_float_array(name: str, values: Any) -> FloatArray:
    if isinstance(values, pd.Series):
        return _writeable(to_floats(values, name))
    if isinstance(values, pd.DataFrame):
        return _by_column(name, values)
    array = _as_array(name, values)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size in {4, 8}:
        return _writeable(array)
    if kind == "b" or (kind in "iuf" and size < 8):
        return array.astype(np.float64)
    if array.ndim == 1:
        return _writeable(to_floats(pd.Series(array), name))
    if array.ndim == 2:
        return _by_column(name, pd.DataFrame(array))
    made = remedy(values)
    raise ValueError(
        f"{name} must have shape {'(n, d)' if name == 'X' else '(n,)'}: it is {values!r:.99}"
        f"{'; ' if made else ''}{made}"
    )


def _by_column(name: str, frame: pd.DataFrame) -> FloatArray:
    columns = [
        to_floats(frame.iloc[:, j], f"column {label!r} of {name}")
        for j, label in enumerate(frame.columns)
    ]
    if not columns:
        return np.empty((len(frame), 0))
    single = all(column.dtype == np.float32 for column in columns)
    return np.stack(columns, axis=1, dtype=np.float32 if single else np.float64)


def _as_array(name: str, values: Any) -> np.ndarray[Any, Any]:
    """Return array-like values as a numpy array; masked values are refused."""
    _refuse_masked(name, values)
    if hasattr(values, "toarray"):
        raise ValueError(f"{name} must be dense: pass {name}.toarray()")
    try:
        array = np.asarray(values)
    except OverflowError:  # integers beyond float64 beside fractions
        return np.asarray(values, dtype=object)
    except ValueError as error:
        raise ValueError(f"{name} is no rectangular array: {error}") from None
    if array.dtype.kind == "V":
        raise ValueError(
            f"{name} holds records ({array.dtype}), not numbers: make a data frame of it first"
        )
    listed = isinstance(values, list | tuple) and array.dtype.kind == "f"
    if listed and (abs(array) >= _LARGEST_EXACT).any():
        # numpy rounds integers that stand beside fractions: look at each as it is.
        return np.asarray(values, dtype=object)
    return array


def _refuse_masked(name: str, values: Any) -> None:
    if isinstance(values, list | tuple):
        for part in values:
            if isinstance(part, list | tuple | np.ma.MaskedArray):
                _refuse_masked(f"an element of {name}" if " of " not in name else name, part)
        return
    if isinstance(values, np.ma.MaskedArray) and (masked := np.ma.getmaskarray(values)).any():
        count = pluralize(int(masked.sum()), "masked value")
        first = tuple(np.argwhere(masked)[0].tolist())
        where = f", the first at index {first} (counted from 0)" if first else ""
        raise ValueError(
            f"{name} has {count}{where}: leave these rows out, or fill them with .filled(value)"
        )


def _writeable(array: FloatArray) -> FloatArray:
    """Return an array that torch can share: native, writeable, without negative strides."""
    if not array.flags.writeable or not array.dtype.isnative or min(array.strides, default=0) < 0:
        return array.astype(array.dtype.newbyteorder("="), copy=True)
    return array


def _check_finite(
    name: str, values: Tensor, names: Sequence[str] | None, labels: pd.Index[Any] | None
) -> None:
    finite = torch.isfinite(values)
    if finite.all():
        return
    bad = (~finite).nonzero()
    first = bad[0].tolist()
    where = f"row {first[0]}" if labels is None else place(labels, first[0])
    counts = ""
    if len(first) == 2:
        text = (lambda j: repr(names[j])) if names else str
        where += f", column {text(first[1])}"
        columns, times = bad[:, 1].unique(return_counts=True)
        if len(columns) > 1:
            pairs = zip(columns[:9].tolist(), times[:9].tolist(), strict=True)
            counts = " (" + ", ".join(f"column {text(j)}: {k}" for j, k in pairs) + ")"
    count = f"{len(bad)} values that are" if len(bad) > 1 else "a value that is"
    raise ValueError(
        f"{name} has {count} NaN or infinite{counts}; {'the first is' if len(bad) > 1 else 'it is'}"
        f" {values[tuple(first)].item()} in {where} (rows and columns counted from 0)"
    )
