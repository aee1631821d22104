"""Text that files can hold, and sizes as people read them."""

from __future__ import annotations

import math
import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = 60


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: a file's name in an error's message may not be one."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(value: object) -> str:
    """Return the repr of a value from outside, cut in its middle to some 60 characters.

    Examples
    --------
    >>> shortened("y"), len(shortened("y" * 1000))
    ("'y'", 60)
    """
    return _SHORT.repr(value)


def format_seconds(seconds: float) -> str:
    """Return seconds with a unit that suits them, three digits.

    Examples
    --------
    >>> format_seconds(0.001234), format_seconds(75.5)
    ('1.23 ms', '75.5 s')
    """
    if not math.isfinite(seconds):
        return "-"
    unit, scale = "us", 1e-6
    if seconds >= 1:
        unit, scale = "s", 1.0
    elif seconds >= 1e-3:
        unit, scale = "ms", 1e-3
    return f"{seconds / scale:.3g} {unit}"


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
