"""Text that files can hold, and sizes as people read them."""

from __future__ import annotations

import math


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: a file's name in an error's message may not be one."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def format_seconds(seconds: float) -> str:
    """Return seconds with a unit that suits them, in three digits; whole from 1000 s on.

    Examples
    --------
    >>> format_seconds(0.001234), format_seconds(75.5), format_seconds(4.5e-6)
    ('1.23 ms', '75.5 s', '4.5 µs')
    >>> format_seconds(0.9996), format_seconds(12345.6), format_seconds(float("nan"))
    ('1 s', '12346 s', '-')
    """
    if not math.isfinite(seconds):
        return "-"
    rounded = float(f"{seconds:.3g}")
    unit, scale = "µs", 1e-6
    if rounded >= 1 or rounded == 0:
        unit, scale = "s", 1.0
    elif rounded >= 1e-3:
        unit, scale = "ms", 1e-3
    value = seconds / scale
    return f"{value:.0f} {unit}" if value >= 999.5 else f"{value:.3g} {unit}"


def format_bytes(size: float) -> str:
    """Return bytes in the unit that suits them, three digits.

    Examples
    --------
    >>> format_bytes(123456.0), format_bytes(2.5 * 2**30)
    ('121 KiB', '2.5 GiB')
    """
    if not math.isfinite(size):
        return "-"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"
