"""Class labels of any kind as numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from optlab.datasets.validation import unwrapped

Labels = np.ndarray[Any, Any]
MOST_SHOWN = 6


class Target(NamedTuple):
    """Targets as numbers ``(n,)`` (a series keeps its row labels), and the classes they stand for.

    ``classes`` is sorted, and None where the numbers are counts or measurements.
    """

    y: Any
    classes: Labels | None


def encoded(y: object, classes: Labels | None = None, *, exactly: int | None = None) -> Target:
    """Return labels as positions among the sorted classes; these are the labels' own if None.

    Parameters
    ----------
    y
        Labels ``(n,)``: numbers, booleans or text; an array, tensor, series or list.
    classes
        The classes to look them up in.
    exactly
        The number of classes that there must be; None: at least two.

    Raises
    ------
    ValueError
        For labels that are missing, fractions (measurements, not labels), of several kinds, of too
        few or too many classes, or not among the classes given; and where y is no vector.

    Examples
    --------
    >>> encoded(["yes", "no", "yes"])
    Target(y=array([1, 0, 1]), classes=array(['no', 'yes'], dtype='<U3'))
    """
    values = unwrapped(y)
    labels = values.detach().cpu().numpy() if isinstance(values, Tensor) else _plain(values)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"y must hold one class label a row, (n,), not shape {labels.shape}")
    missing = pd.isna(labels)
    if missing.any():
        first = int(missing.argmax())
        raise ValueError(
            f"y has {int(missing.sum())} missing class labels, the first in row {first} "
            "(rows counted from 0): leave these rows out"
        )
    _refuse_fractions(labels)
    own = _classes(labels) if classes is None else classes
    codes = np.minimum(np.searchsorted(own, labels), len(own) - 1)
    if (wrong := own[codes] != labels).any():
        raise ValueError(
            f"label {labels[wrong].tolist()[0]!r} is none of the classes {_listed(own)}"
        )
    if len(own) < 2 or len(own) != (exactly or len(own)):
        needed = f"{exactly} classes" if exactly else "at least 2 classes"
        hint = "; for more than two, use SoftmaxRegression" if len(own) > 2 else ""
        raise ValueError(
            f"y must have {needed}, not {len(own)} in {len(labels)} rows: {_listed(own)}{hint}"
        )
    if isinstance(values, pd.Series):
        return Target(pd.Series(codes, index=values.index), own)
    return Target(
        torch.from_numpy(codes).to(values.device) if isinstance(values, Tensor) else codes, own
    )


def _plain(values: Any) -> Labels:
    """Return labels as an array of one kind: text as text, numbers as numbers."""
    array = np.asarray(values)
    if array.dtype.kind == "U" and not isinstance(values, np.ndarray):
        kinds = {type(value) for value in values}
        if any(not issubclass(kind, str) for kind in kinds):  # numpy made text of numbers
            array = np.asarray(values, dtype=object)
    if array.dtype.kind != "O" or array.ndim != 1:
        return array
    present = [value for value in array if not pd.isna(value)]
    narrow = np.array(present)
    alike = len({isinstance(value, str) for value in present}) == 1
    return narrow if alike and len(narrow) == len(array) and narrow.ndim == 1 else array


def _refuse_fractions(labels: Labels) -> None:
    if labels.dtype.kind != "f":
        return
    wrong = ~np.isfinite(labels) | (labels != np.rint(labels))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"y must hold class labels, not continuous numbers such as {labels[first].item()!r} in "
            f"row {first} (rows counted from 0; {int(wrong.sum())} such values): fit these by "
            "LinearRegression, or make labels of them with pandas.cut, or as text"
        )


def _classes(labels: Labels) -> Labels:
    try:
        return np.unique(labels)
    except TypeError as error:
        raise ValueError(f"y mixes class labels of several kinds: {error}") from None


def _listed(classes: Labels) -> str:
    shown = ", ".join(repr(value) for value in classes[:MOST_SHOWN].tolist())
    return shown + (", ..." if len(classes) > MOST_SHOWN else "")


def check_counts(y: Tensor) -> None:
    """Raise ValueError where y has a value that is no whole number of at least 0."""
    wrong = (y < 0) | (y != y.round())
    if wrong.any():
        first = int(wrong.int().argmax())
        raise ValueError(
            f"y must hold counts, whole numbers of at least 0, not {y[first].item()} in row "
            f"{first} (rows counted from 0; {int(wrong.sum())} such values)"
        )
