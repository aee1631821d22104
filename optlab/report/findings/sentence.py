"""The data type of a sentence: its text and its numbers; and the names of settings in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from optlab.analysis.intervals import median_ranks
from optlab.report.views import View
from optlab.text import cell_label, format_seconds, pluralize

Groups: TypeAlias = "list[tuple[str, list[Sentence]]]"
"""The name of a problem, or nothing, and sentences on it."""

SURE = 0.9
"""Intervals that cover in fewer experiments are given as the range of the trials."""


@dataclass(frozen=True)
class Sentence:
    """A sentence and the numbers it was made from.

    Its ``kind`` is its subject. Of the verdict: ``overall, direct, first, not reached, no answer,
    broken, nothing``; of findings ``accuracy, iterative accuracy, reached, fastest, not ranked,
    batch size, batch sizes, ratio, device, nothing, more``; of caveats ``skipped, failed, ...,
    without numba, reference, beaten, unstable, contended, shared, crowded, once, not repeated, one
    seed, files, machines, settings, left out``; of tuning ``tuning, censored, unsure edge, tuning
    cost, budgets, tuning ranks``; of scores ``score, score order``.
    """

    kind: str
    text: str  # plain: names in it are as users wrote them
    problem: str = ""  # that it is about
    numbers: dict[str, Any] = field(default_factory=dict)  # and names in it, unrounded


def by_problem(sentences: Iterable[Sentence], problems: Collection[str]) -> Groups:
    """Return the sentences on each problem after its name, which is left out where it is the one.

    Those that are on no one problem come last, after ``"All problems"``.

    Examples
    --------
    >>> sentences = [Sentence("tuning", "One.", "a"), Sentence("budgets", "Both.")]
    >>> [name for name, _ in by_problem(sentences, ["a", "b"])]
    ['a', 'All problems']
    >>> [name for name, _ in by_problem(sentences, ["a"])]
    ['', '']
    """
    groups: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        groups.setdefault(sentence.problem, []).append(sentence)
    general = groups.pop("", [])
    found = [(name if len(problems) > 1 else "", group) for name, group in groups.items()]
    head = "All problems" if len(problems) > 1 and found else ""
    return [*found, (head, general)] if general else found


def describe_setting(row: Any, views: dict[str, View]) -> str:
    """Return a setting in words, with its device and dtype where several were tried."""
    table = views["digits"].table
    several = [name for name in ("device", "dtype") if len(set(table[name])) > 1]
    return cell_label(row, ["optimizer", "batch", *several])


def describe_median(seconds: float, low: float, high: float, trials: int) -> str:
    """Return a median of seconds in words, with its interval.

    The interval stands in brackets from five trials on. It covers in 88 % of experiments with four,
    in 75 % with three and in 50 % with two: there it is given as the range of the trials.

    Examples
    --------
    >>> describe_median(1.0, 0.9, 1.2, 5), describe_median(1.0, 0.9, 1.2, 3)
    ('1 s [900 ms, 1.2 s]', '1 s (900 ms to 1.2 s in 3 trials)')
    """
    text, ends = format_seconds(seconds), (format_seconds(low), format_seconds(high))
    apart = bool(np.isfinite([low, high]).all()) and ends[0] != ends[1]
    if median_ranks(trials)[1] < SURE:
        spanned = f"{ends[0]} to {ends[1]} in " if apart else ""
        return f"{text} ({spanned}{pluralize(trials, 'trial')})"
    return f"{text} [{ends[0]}, {ends[1]}]" if apart else text
