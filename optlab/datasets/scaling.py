"""Standardize a column to mean 0 and standard deviation 1, at any offset and any scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optlab.datasets.rounding import FloatArray


@dataclass(frozen=True)
class ColumnScaling:
    """The mean and the standard deviation of a column, which can neither overflow nor cancel."""

    exponent: int  # the column is seen as x * 2**-exponent, below 1 in magnitude (exact)
    centre: float  # centre + rest is the mean of what is seen
    rest: float  # what float64 rounds off it
    deviation: float  # the standard deviation of what is seen, divisor n; 0 for a constant column

    @classmethod
    def of(cls, column: FloatArray) -> ColumnScaling:
        """Return the scaling of a column's values ``(n,)``, computed in float64 and corrected once.

        The mean of the values less a first mean is small, so that nothing is left to cancel: at
        1e15 + k too, where a mean rounded to float64 is off by a tenth. The differences are exact
        as pairs (Knuth's two-sum).
        """
        largest, least = float(column.max()), float(column.min())
        exponent = int(np.frexp(max(abs(largest), abs(least)))[1])
        seen = np.ldexp(column.astype(np.float64), -exponent)
        if largest == least:
            return cls(exponent, float(seen[0]), 0.0, 0.0)
        centre = float(np.clip(seen.mean(), seen.min(), seen.max()))
        high, low = _difference(seen, centre)
        rest = float(high.mean() + low.mean())
        centred = (high - rest) + low
        # A second power of two: squares of small differences would vanish.
        power = int(np.frexp(np.abs(centred).max())[1])
        deviation = float(np.sqrt(np.square(np.ldexp(centred, -power)).mean()))
        return cls(exponent, centre, rest, float(np.ldexp(deviation, power)))

    def apply(self, column: FloatArray) -> FloatArray:
        """Return the column less the mean, over the deviation (over 1 for a constant column)."""
        high, low = _difference(np.ldexp(column.astype(np.float64), -self.exponent), self.centre)
        centred = (high - self.rest) + low
        scaled = centred / self.deviation if self.deviation else np.ldexp(centred, self.exponent)
        return scaled.astype(column.dtype)

    @property
    def in_units(self) -> tuple[float, float, float]:
        """Return the mean in the column's units, what float64 rounds off it, and the deviation."""
        mean = self.centre + self.rest
        low = math.fsum([self.centre, self.rest, -mean])
        own = [float(np.ldexp(value, self.exponent)) for value in (mean, low, self.deviation)]
        return own[0], own[1], own[2] if self.deviation else 1.0


def _difference(values: FloatArray, centre: float) -> tuple[FloatArray, FloatArray]:
    """Return ``values - centre`` as an unevaluated sum of two float64 arrays, exactly."""
    high = values - centre
    taken = values - high
    return high, (values - (high + taken)) + (taken - centre)
