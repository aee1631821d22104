"""A sentence with the numbers that it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optlab.analysis.intervals import median_ranks
from optlab.report.views import View
from optlab.report.words import counted
from optlab.text import cell_label, format_seconds

SURE = 0.9
"""An interval that covers in fewer experiments is told as what the trials spanned."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and the numbers it was made from.

    Parameters
    ----------
    kind
        What it speaks of: ``right, nearest with batches, reached, first, not ranked, batch size,
        ratio, device, nothing, more``; of doubts ``skipped, failed, ..., optimum, unstable,
        contended, once, one seed, files, machines, left out``.
    text
        Plain text: names in it are as users wrote them.
    problem
        The problem it speaks of, or empty.
    numbers
        What it says, unrounded.
    """

    kind: str
    text: str
    problem: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


def place(row: Any, views: dict[str, View]) -> str:
    """Return a setting in words, with its device and dtype where several were tried."""
    table = views["digits"].table
    several = [name for name in ("device", "dtype") if len(set(table[name])) > 1]
    return cell_label(row, ["optimizer", "batch", *several])


def measured(seconds: float, low: float, high: float, trials: int) -> str:
    """Return a median of seconds and how sure it is.

    The interval stands in brackets from five trials on. It covers in 88 % of experiments with four,
    in 75 % with three and in 50 % with two, so that of those it is told how far they went apart.

    Examples
    --------
    >>> measured(1.0, 0.9, 1.2, 5), measured(1.0, 0.9, 1.2, 3)
    ('1 s [900 ms, 1.2 s]', '1 s (900 ms to 1.2 s in 3 trials)')
    """
    text, ends = format_seconds(seconds), (format_seconds(low), format_seconds(high))
    apart = bool(np.isfinite([low, high]).all()) and ends[0] != ends[1]
    if median_ranks(trials)[1] < SURE:
        spanned = f"{ends[0]} to {ends[1]} in " if apart else ""
        return f"{text} ({spanned}{counted(trials, 'trial')})"
    return f"{text} [{ends[0]}, {ends[1]}]" if apart else text
