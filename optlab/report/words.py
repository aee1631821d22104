"""Parts of sentences: ratios, counts and lists in words."""

from __future__ import annotations

import math

from optlab.text import number


def times(ratio: float) -> str:
    """Return a ratio in three digits, as many in one as in another.

    Examples
    --------
    >>> times(1.5), times(0.03456), times(12.34), times(2.3e-9)
    ('1.50', '0.0346', '12.3', '2.3e-09')
    >>> times(6369.4).split()
    ['6', '370']
    """
    if not math.isfinite(ratio) or not 1e-3 <= ratio < 1e6:
        return number(ratio)
    rounded = float(f"{ratio:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(rounded)))
    return f"{rounded:,.{decimals}f}".replace(",", "\u202f")


def counted(count: int, one: str, more: str = "") -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "epoch"), counted(2, "epoch"), counted(2, "is", "are")
    ('1 epoch', '2 epochs', '2 are')
    """
    return f"{number(count)} {one if count == 1 else more or one + 's'}"


def every(count: int, what: str) -> str:
    """Return all of so many, in words.

    Examples
    --------
    >>> every(2, "settings"), every(8, "settings")
    ('both settings', 'all 8 settings')
    """
    return f"both {what}" if count == 2 else f"all {count} {what}"


def share(target: str) -> str:
    """Return a target as people write it.

    Examples
    --------
    >>> share("1e-06"), share("1e-01")
    ('1e-6', '0.1')
    """
    if not target:
        return "a share"
    value = float(target)
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def several(names: list[str], most: int = 3) -> str:
    """Return names in a row, the first few where there are many.

    Examples
    --------
    >>> several(["a", "b"]), several(list("abcdef"))
    ('a and b', 'a, b, c and 3 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
