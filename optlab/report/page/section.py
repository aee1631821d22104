"""A section of the page that is made of sentences, figures and tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from optlab.report.findings.sentence import Sentence
from optlab.report.output_file import SOFTWARE
from optlab.text import format_seconds, number


class Section(NamedTuple):
    """The parts of a section."""

    sentences: list[Sentence]
    figures: list[tuple[str, str]]  # a text that describes it, and its address as data
    tables: list[tuple[str, list[str], list[list[str]]]]  # title, head, rows


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
) -> tuple[str, list[str], list[list[str]]]:
    """Return a table as a title, its heads and its rows of text, without the columns left out.

    Examples
    --------
    >>> as_table("T", pd.DataFrame({"share": [0.5], "seconds": [0.25]}))
    ('T', ['share', 'seconds'], [['50%', '250 ms']])
    """
    columns = [str(name) for name in table if name not in left_out]
    rows = [[_text(name, row[name]) for name in columns] for row in table.to_dict("records")]
    return title, [(heads or {}).get(name, name.replace("_", " ")) for name in columns], rows


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if column.endswith("seconds"):
        return format_seconds(value)
    if column == "share":
        return f"{value:.0%}"
    return "∞" if value == float("inf") else number(value, 4)
