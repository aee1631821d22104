"""Round numbers of any type to float64, and mark those that are rounded too far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.floating[Any]]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

# Decimal fractions are rounded as those of a CSV file are, unless that takes more than this share
# of what tells the values apart: 2**-32 leaves nine digits of the differences.
_ROUNDING_SHARE = Fraction(1, 2**32)


def nearest_floats(array: np.ndarray[Any, Any]) -> tuple[FloatArray, BoolArray]:
    """Return ``(n,)`` numbers as the nearest float64, and where these may not stand for them.

    Integers must be exact, and numbers of more than 64 bits too. Decimals and fractions may be
    rounded by 2**-32 of the spread of all values.

    Examples
    --------
    >>> nearest_floats(np.array([2**53, 2**53 + 1]))[1]
    array([False,  True])
    """
    return _objects(array) if array.dtype.kind == "O" else _numbers(array)


def is_whole(value: Any) -> bool:
    """Return whether a finite number is an integer."""
    return isinstance(value, int | np.integer) or value == int(value)


def _numbers(array: np.ndarray[Any, Any]) -> tuple[FloatArray, BoolArray]:
    """Return numpy numbers as float64, and which of them that rounds."""
    with np.errstate(over="ignore"):
        floats = array.astype(np.float64)
    if array.dtype.kind == "f":
        return floats, (floats.astype(array.dtype) != array) & ~np.isnan(floats)
    if array.dtype.kind == "b" or array.dtype.itemsize < 8:
        return floats, np.zeros(len(array), bool)
    # An integer below 2**64 that becomes 2**64 was rounded; casting that back is not defined.
    inside = floats < float(np.iinfo(array.dtype).max)
    rounded = ~inside
    rounded[inside] = floats[inside].astype(array.dtype) != array[inside]
    return floats, rounded


def _objects(array: np.ndarray[Any, Any]) -> tuple[FloatArray, BoolArray]:
    """Return Python's numbers as float64, and which of them that rounds too far."""
    floats = np.array([_nearest(value) for value in array], np.float64)
    # Python's floats compare with its integers exactly; numpy's round these first.
    inexact = [
        position
        for position, (value, near) in enumerate(zip(array, floats.tolist(), strict=True))
        if not isinstance(value, float) and value != near and value == value  # noqa: PLR0124 - NaN
    ]
    rounded = np.zeros(len(array), bool)
    fractions = [i for i in inexact if math.isfinite(floats[i]) and not is_whole(array[i])]
    rounded[inexact] = True
    if fractions:
        spread = _spread(array)
        for i in fractions:
            error = abs(Fraction(array[i]) - Fraction(floats[i]))
            rounded[i] = 0 < spread * _ROUNDING_SHARE < error
    return floats, rounded


def _nearest(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _spread(values: Sequence[Any] | np.ndarray[Any, Any]) -> Fraction:
    exact = [Fraction(value) for value in values if math.isfinite(_nearest(value))]
    return max(exact) - min(exact)
