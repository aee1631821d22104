"""Coefficients of standardized columns in the units of the columns before."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np

from optlab.datasets.rounding import FloatArray


class Coefficients(NamedTuple):
    """The weight ``(d,)`` and the bias of a linear model, float64."""

    weight: FloatArray
    bias: float


def raw_coefficients(
    weight: FloatArray, bias: float, standardized: Mapping[str, FloatArray] | None, name: str
) -> Coefficients:
    """Return coefficients of standardized columns in their units: see `Dataset.raw_coefficients`.

    ``standardized`` holds the columns' ``mean``, ``mean_low`` and ``deviation``; None for columns
    that were not standardized.
    """
    if standardized is None:
        return Coefficients(weight.copy(), bias)
    with localcontext(prec=80):
        exact = [[Decimal(value) for value in standardized[key].tolist()] for key in standardized]
        total, raw = Decimal(bias), []
        for w, mean, low, deviation in zip(weight.tolist(), *exact, strict=True):
            raw.append(Decimal(w) / deviation)
            total -= raw[-1] * (mean + low)
        found = Coefficients(np.array([float(value) for value in raw]), float(total))
    tiny = (np.finfo(np.float64).smallest_normal > standardized["deviation"]).any()
    if tiny or not np.isfinite([*found.weight, found.bias]).all():
        raise ValueError(
            f"the coefficients of {name!r} in its columns' own units are beyond the range "
            "of float64: multiply the columns by a power of ten first"
        )
    return found
