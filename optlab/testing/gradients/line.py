"""A function along a line: its rounding noise, central differences and the Taylor remainder."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

EPS = 2.0**-52
_STEPS = [2.0**-k for k in range(4, 29)]
_NOISE_STEP = 2.0**-40
_NOISE_POINTS = 9


class Slope(NamedTuple):
    """A derivative along the line by a central difference, and a bound of its error."""

    value: float
    bound: float
    step: float


def rounding_noise(values: np.ndarray) -> float:
    r"""Return the standard deviation of the rounding errors of values at equal small steps.

    Fourth differences of a smooth function vanish at small steps; those of independent errors of
    standard deviation s have the standard deviation :math:`s \sqrt{\binom{8}{4}}`.

    Examples
    --------
    >>> steps = np.arange(9.0)
    >>> rounding_noise(3 * steps + 1)
    0.0

    References
    ----------
    Moré and Wild, Estimating computational noise (2011).
    """
    return math.sqrt(float((np.diff(values, 4) ** 2).mean()) / math.comb(8, 4))


class Line:
    r"""A function of one number, :math:`\phi(t) = f(x + t v)`, near :math:`t = 0`, in float64.

    Examples
    --------
    >>> line = Line(math.exp)
    >>> slope = line.central_difference()
    >>> abs(slope.value - 1) <= slope.bound < 1e-8
    True
    >>> line.remainder_order(1.0) > 1.9, line.remainder_order(1.01) < 1.1
    (True, True)
    """

    def __init__(self, function: Callable[[float], float]) -> None:
        self.function = function

    @cached_property
    def at_zero(self) -> float:
        """The function's value at 0."""
        return self.function(0.0)

    @cached_property
    def rounding(self) -> float:
        """Bound of the rounding error of one value: 8 of its standard deviation or of its ulps."""
        values = [self.function(k * _NOISE_STEP) for k in range(_NOISE_POINTS)]
        return 8 * max(rounding_noise(np.array(values)), EPS * abs(self.at_zero), 2.0**-1074)

    @cached_property
    def _pairs(self) -> list[tuple[float, float]]:
        """The values at plus and minus each step."""
        return [(self.function(h), self.function(-h)) for h in _STEPS]

    def central_difference(self) -> Slope:
        r"""Return the central difference of the step whose error bound is least.

        :math:`D_h = (\phi(h) - \phi(-h)) / 2h` is off by :math:`h^2 \phi''' / 6` and higher terms,
        which :math:`|D_{2h} - D_h| / 3` estimates, and by rounding, at most :math:`r / h` for
        values that are off by r. The bound is four times the estimate (three would do for a jump of
        the second derivative between 0 and h), of two neighbouring steps the larger, plus rounding.
        """
        slopes = [(a - b) / (2 * h) for h, (a, b) in zip(_STEPS, self._pairs, strict=True)]
        gaps = [math.inf] + [abs(a - b) / 3 for a, b in pairwise(slopes)]
        found = [
            Slope(slope, 4 * max(gap, before / 4) + self.rounding / h, h)
            for slope, h, gap, before in zip(
                slopes[2:], _STEPS[2:], gaps[2:], gaps[1:], strict=False
            )
            if math.isfinite(slope) and math.isfinite(gap)
        ]
        if not found:
            return Slope(math.nan, math.inf, _STEPS[-1])
        return min(found, key=lambda slope: slope.bound)

    @property
    def has_kink(self) -> bool:
        """Whether there is no derivative at 0, as the slopes on either side differ.

        Their difference shrinks with the step where there is one, by 16 between these two steps.
        """

        def apart(number: int) -> float:
            a, b = self._pairs[number]
            return abs(a - 2 * self.at_zero + b) / _STEPS[number]

        small = apart(20)
        return small > max(apart(16) / 4, 4 * self.rounding / _STEPS[20])

    def remainder_order(self, slope: float) -> float:
        r"""Return the order of the Taylor remainder :math:`|\phi(h) - \phi(0) - h s|` in h.

        It is 2 (more where the curvature is 0) for the derivative s, and 1 for another number. Of
        the three smallest steps at which the remainder is 32 times what rounding can be, the
        largest order counts: rounding moves it by at most log2(33 / 31) = 0.09, and a kink near 0
        leaves at least log2(3) = 1.58 at the first of them. Infinite where the remainder is nothing
        but rounding, as for a linear function.

        References
        ----------
        Farrell et al., Automated derivation of the adjoint of high-level transient finite element
        programs (2013), section 6.
        """
        rests = [
            abs(a - self.at_zero - h * slope) for h, (a, _) in zip(_STEPS, self._pairs, strict=True)
        ]
        valid = [k for k, rest in enumerate(rests) if 32 * self.rounding <= rest < math.inf]
        orders = [
            math.log2(rests[k - 1] / rests[k])
            for k in reversed(valid)
            if k and 0 < rests[k - 1] < math.inf
        ]
        return max(orders[:3], default=math.inf)
