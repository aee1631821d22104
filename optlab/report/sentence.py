"""A sentence with the numbers that it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optlab.report.views import View
from optlab.report.views.view import setting


@dataclass(frozen=True)
class Sentence:
    """A sentence and the numbers it was made from.

    Parameters
    ----------
    kind
        What it speaks of: ``right, nearest with batches, reached, first, batch size, ratio,
        device``; of doubts ``skipped, failed, ..., optimum, unstable, contended, once, one seed,
        machines, left out``.
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
    table, words = views["digits"].table, setting(row)
    several_devices = len(set(table["device"])) > 1
    words += f" on {row['device']}" if several_devices else ""
    return words + (f" in {row['dtype']}" if len(set(table["dtype"])) > 1 else "")
