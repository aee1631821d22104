"""The door: arrays from outside are checked here once, and nothing behind it checks again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def checked_design(
    X: ArrayLike | Tensor, y: ArrayLike | Tensor, feature_names: Sequence[str] | None = None
) -> tuple[Tensor, Tensor]:
    """Return ``X (n, d)`` and ``y (n,)`` as float tensors on one device, or say what is wrong.

    Raises
    ------
    ValueError
        For text, complex or half-precision numbers, wrong or differing shapes, no rows, no
        columns, NaN or infinity (naming the first place and the count).
    """
    X, y = _as_float_tensor("X", X), _as_float_tensor("y", y)
    if X.ndim != 2:
        hint = "; for one feature, X.reshape(-1, 1)" if X.ndim == 1 else ""
        raise ValueError(f"X must have shape (n, d), not {tuple(X.shape)}{hint}")
    if y.ndim != 1:
        hint = "; flatten it with y.ravel()" if y.ndim == 2 and 1 in y.shape else ""
        raise ValueError(f"y must have shape (n,), not {tuple(y.shape)}{hint}")
    if len(X) != len(y):
        raise ValueError(f"X and y differ in length: X has {len(X)} rows, y has {len(y)}")
    if X.numel() == 0:
        raise ValueError(f"the data are empty: X has shape {tuple(X.shape)}")
    if X.device != y.device:
        raise ValueError(f"X and y must be on one device, not on {X.device} and {y.device}")
    if feature_names is not None and len(feature_names) != X.shape[1]:
        raise ValueError(
            f"{len(feature_names)} feature names for the {X.shape[1]} columns of X: {feature_names}"
        )
    y = y.to(X.dtype)
    _check_finite("X", X, feature_names)
    _check_finite("y", y, None)
    return X, y


def _as_float_tensor(name: str, values: ArrayLike | Tensor) -> Tensor:
    if isinstance(values, Tensor):
        tensor = values.detach()
    else:
        tensor = torch.from_numpy(_as_number_array(name, values))
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.is_complex() or tensor.is_floating_point():
        raise ValueError(f"{name} must be float32 or float64, not {tensor.dtype}")
    return tensor.to(torch.float64)


def _as_number_array(name: str, values: ArrayLike) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is no rectangular array: {error}") from None
    if array.dtype.kind == "O":  # a column of Python numbers, or of mixed text
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} must hold numbers only: {error}") from None
    if array.dtype.kind not in "fiubc":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")
    if array.dtype.kind in "iu":  # torch has no arithmetic on most unsigned types
        array = array.astype(np.float64)
    if not array.flags.writeable or not array.dtype.isnative or min(array.strides, default=0) < 0:
        array = array.astype(array.dtype.newbyteorder("="), copy=True)
    if array.dtype == np.longdouble and array.dtype.itemsize > 8:
        raise ValueError(f"{name} must be float32 or float64, not {array.dtype}")
    return array


def _check_finite(name: str, values: Tensor, feature_names: Sequence[str] | None) -> None:
    finite = torch.isfinite(values)
    if finite.all():
        return
    bad = (~finite).nonzero()
    first = bad[0].tolist()
    where = f"row {first[0]}"
    if len(first) == 2:
        column = f"{feature_names[first[1]]!r}" if feature_names else f"{first[1]}"
        where += f", column {column}"
    count = f"{len(bad)} values that are" if len(bad) > 1 else "a value that is"
    raise ValueError(
        f"{name} has {count} NaN or infinite; {'the first is' if len(bad) > 1 else 'it is'} "
        f"{values[tuple(first)].item()} in {where} (rows and columns counted from 0)"
    )
