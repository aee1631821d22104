"""Checks of arguments, whose errors name the argument, the value and what is allowed."""

from __future__ import annotations

import difflib
import math
import numbers
import re
from collections.abc import Iterable


def check_count(name: str, value: object) -> int:
    """Return a whole number of at least 1, as Python's own integer.

    Examples
    --------
    >>> check_count("epochs", 10)
    10
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return int(value)


def check_positive(name: str, value: object) -> None:
    """Require a number that is positive and finite."""
    if not (_is_real(value) and 0 < value < math.inf):  # type: ignore[operator]  # a number
        raise ValueError(f"{name} must be positive and finite, not {value!r}")


def check_not_negative(name: str, value: object) -> None:
    """Require a number that is finite and at least 0."""
    if not (_is_real(value) and 0 <= value < math.inf):  # type: ignore[operator]  # a number
        raise ValueError(f"{name} must be finite and at least 0, not {value!r}")


def check_fraction(name: str, value: object) -> None:
    """Require a number that is at least 0 and less than 1."""
    if not (_is_real(value) and 0 <= value < 1):  # type: ignore[operator]  # a number
        raise ValueError(f"{name} must be at least 0 and less than 1, not {value!r}")


def check_bytes(name: str, value: object) -> int:
    """Return a number of bytes, given as a number or as text with a unit.

    Examples
    --------
    >>> check_bytes("memory_limit", "1.5K"), check_bytes("memory_limit", 2**20)
    (1536, 1048576)
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return int(value)
    pattern = r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?"
    found = re.fullmatch(pattern, str(value).strip(), flags=re.IGNORECASE)
    size = int(float(found[1]) * 1024 ** " KMG".index(found[2].upper() or " ")) if found else 0
    if isinstance(value, str) and size > 0:
        return size
    raise ValueError(f"{name} must be a size such as 500M or 2G, not {value!r}")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint at the nearest of some names, or an empty text where none is near.

    Names of which each word is abbreviated come first.

    Examples
    --------
    >>> did_you_mean("pirce", ["price", "size"])
    "did you mean 'price'? "
    >>> did_you_mean("val_accuracy", ["accuracy", "validation_accuracy"])
    "did you mean 'validation_accuracy'? "
    """
    names = list(names)
    full = [known for known in names if _abbreviates(name, known)]
    near = difflib.get_close_matches(name, full or names, n=1, cutoff=0.0 if full else 0.6)
    return f"did you mean {near[0]!r}? " if near else ""


def _abbreviates(short: str, full: str) -> bool:
    """Return whether the words of a name begin with those of another, one by one."""
    parts, words = (re.split(r"[^a-z0-9]+", text.lower()) for text in (short, full))
    pairs = zip(parts, words, strict=False)
    return len(parts) == len(words) and all(part and word.startswith(part) for part, word in pairs)


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
