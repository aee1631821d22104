"""Ratios, counts and lists in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optlab.lab import ProblemSummary
from optlab.text import number


def format_ratio(ratio: float) -> str:
    """Return a ratio in three digits, as many in one as in another.

    Examples
    --------
    >>> format_ratio(1.5), format_ratio(0.03456), format_ratio(12.34), format_ratio(2.3e-9)
    ('1.50', '0.0346', '12.3', '2.3e-09')
    >>> format_ratio(6369.4).split()
    ['6', '370']
    """
    if not math.isfinite(ratio) or not 1e-3 <= ratio < 1e6:
        return number(ratio)
    rounded = float(f"{ratio:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(rounded)))
    return f"{rounded:,.{decimals}f}".replace(",", "\u202f")


def share(target: str) -> str:
    """Return a target as people write it.

    Examples
    --------
    >>> share("1e-06"), share("1e-01"), share("loss <= 2")
    ('1e-6', '0.1', 'loss <= 2')
    """
    if not target:
        return "a share"
    if not is_share(target):  # a limit of another measure
        return target
    value = float(target)
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


_PARTS = {0.1: "a tenth", 0.01: "a hundredth", 1e-3: "a thousandth"}


def explained_share(target: str) -> str:
    """Return a share that nobody asked for with what it is a share of.

    Examples
    --------
    >>> explained_share("1e-01"), explained_share("1e-06")
    ('0.1 (a tenth left of what there was to gain)', '1e-6 (left of what there was to gain)')
    """
    if not is_share(target):
        return share(target)
    part = _PARTS.get(float(target), "")
    return f"{share(target)} ({f'{part} left' if part else 'left'} of what there was to gain)"


def describe_target(target: str) -> str:
    """Return a target as a phrase.

    Examples
    --------
    >>> describe_target("1e-06"), describe_target("loss <= 2")
    ('1e-6 of what there was to gain', 'loss <= 2')
    """
    if target and not is_share(target):
        return target
    return f"{share(target)} of what there was to gain"


REFERENCES = {
    "certified": "a proof comes with it",
    "computed": "a solver's answer, without a proof",
    "best known": "the least loss that any trial recorded; the infimum may be lower",
}
"""The kinds of reference in words."""

MINIMISERS = {"computed": "the computed minimiser"}
"""The names for a reference's parameters, by its kind, where they are not the optimum."""


def describe_references(problems: Mapping[str, ProblemSummary]) -> str:
    """Return a sentence, after a space, on the references that no proof comes with, or nothing."""
    sentences = {
        "computed": "The reference of {} is computed: a solver's answer, without a proof.",
        "best known": "No reference of {} is known: the best known loss, the least that any trial "
        "recorded, stands for it.",
    }
    found = ""
    for kind, sentence in sentences.items():
        names = [n for n, facts in problems.items() if kind == reference_kind(facts)]
        found += f" {sentence.format(join_names(names))}" if names else ""
    return found


def reference_kind(facts: ProblemSummary) -> str:
    """Return the kind of a problem's reference; empty where nothing is known of it."""
    return "" if facts.reference is None else facts.reference.kind


def is_share(target: str) -> bool:
    """Return whether a target is a share, not a limit of a measure."""
    try:
        float(target)
    except ValueError:
        return False
    return True


def join_names(names: list[str]) -> str:
    """Return names in a row, the first three where there are more.

    Examples
    --------
    >>> join_names(["a", "b"]), join_names(list("abcdef"))
    ('a and b', 'a, b, c and 3 more')
    """
    if len(names) > 3:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return listed(names)


def listed(names: list[str]) -> str:
    """Return all names in a row.

    Examples
    --------
    >>> listed(["a"]), listed(list("abcd"))
    ('a', 'a, b, c and d')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def format_value(value: Any) -> str:
    """Return a value in a line: numbers in 10 digits, the first 12 values of a list.

    Examples
    --------
    >>> format_value({"a": True, "b": [1, 2.5]}), format_value(list(range(13)))[-20:]
    ('a: yes; b: 1, 2.5', ' 11, ... (13 values)')
    """
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {format_value(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        more = f", ... ({len(value)} values)" if len(value) > 12 else ""
        return ", ".join(format_value(part) for part in value[:12]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 10) if isinstance(value, float) else str(value)
