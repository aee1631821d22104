"""Ticks of a logarithmic axis, and names cut to a length."""

from __future__ import annotations

import math

from optlab.text import number

_WITHIN = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))
"""Ticks of a decade, from few to many."""


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Return round values from low to high: three to ``most``, where such are found.

    Examples
    --------
    >>> log_ticks(0.9, 1100), log_ticks(0.9, 12), log_ticks(1.01, 1.09)
    ([1.0, 10.0, 100.0, 1000.0], [1.0, 3.0, 10.0], [1.02, 1.04, 1.06, 1.08])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for every in range(max(1, math.ceil((last - first) / most)), 0, -1):
        powers = [10.0**p for p in range(first, last + 1) if p % every == 0]
        for within in _WITHIN[: 1 if every > 1 else None]:
            ticks = [float(f"{m * power:.3g}") for power in powers for m in within]
            ticks = [tick for tick in ticks if low <= tick <= high]
            if min(3, most - 1) <= len(ticks) <= most:
                return ticks
    return _even(low, high, min(most, 5))


def _even(low: float, high: float, most: int) -> list[float]:
    """Return evenly spaced round values."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 3, 4, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{place * step:.6g}") for place in range(first, last + 1)]


def short_number(value: float) -> str:
    """Return a number at an axis: thousands as k, millions as M.

    Examples
    --------
    >>> short_number(30000), short_number(2.5e6), short_number(3000), short_number(0.01)
    ('30k', '2.5M', '3000', '0.01')
    """
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(scale, 1e4):
            return f"{value / scale:.3g}{letter}"
    return number(value)


def shorten(text: str, most: int) -> str:
    """Return a text that is no longer than so many characters, its middle left out.

    Examples
    --------
    >>> shorten("a_long_name_with_an_end", 11), shorten("short", 11)
    ('a_lon…n_end', 'short')
    """
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"
