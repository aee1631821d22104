"""A section of the page that is made of sentences, figures and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from optlab.report.findings.sentence import Groups, Sentence, by_problem
from optlab.report.output_file import SOFTWARE
from optlab.text import format_seconds, number

Table = tuple[str, list[str], list[list[str]], list[int]]
"""Title, heads, rows of text, and the places of the columns of numbers."""

MOST_SENTENCES = 6
"""Of more only the urgent ones stand before the figures."""

_URGENT = ("censored", "unsure edge", "budgets", "tuning ranks")
"""Kinds of sentences that stand before the figures."""


class Section(NamedTuple):
    """The parts of a section of results of some problems."""

    problems: Collection[str]
    sentences: list[Sentence]
    figures: list[tuple[str, str]]  # a text that describes it, and its address as data
    tables: list[Table]

    @property
    def first(self) -> Groups:
        """Return the sentences before the figures: all, or of many those on what went wrong."""
        few = len(self.sentences) <= MOST_SENTENCES
        chosen = [s for s in self.sentences if few or s.kind in _URGENT]
        return by_problem(chosen, self.problems)

    @property
    def others(self) -> Groups:
        """Return the sentences after the tables, which have their numbers too."""
        few = len(self.sentences) <= MOST_SENTENCES
        chosen = [s for s in self.sentences if not few and s.kind not in _URGENT]
        return by_problem(chosen, self.problems)


def as_image(figure: Figure) -> str:
    """Return a figure as the address of an SVG image that holds its data."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Creator": SOFTWARE, "Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def as_table(
    title: str,
    table: pd.DataFrame,
    left_out: Collection[str] = (),
    heads: Mapping[str, str] | None = None,
) -> Table:
    """Return a table as text, without the columns left out.

    Examples
    --------
    >>> as_table("T", pd.DataFrame({"share": [0.5], "seconds": [0.25]}))
    ('T', ['share', 'seconds'], [['50%', '250 ms']], [0, 1])
    """
    columns = [str(name) for name in table if name not in left_out]
    rows = [[_text(name, row[name]) for name in columns] for row in table.to_dict("records")]
    head = [(heads or {}).get(name, name.replace("_", " ")) for name in columns]
    numbers = [n for n, name in enumerate(columns) if pd.api.types.is_numeric_dtype(table[name])]
    return title, head, rows, numbers


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if column.endswith("seconds"):
        return format_seconds(value)
    if column == "share":
        return f"{value:.0%}"
    return "∞" if value == float("inf") else number(value, 4)
