"""The differences of two results in a terminal: the verdict, a table, and what changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import StringIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from optlab.analysis.run_differences import RunDifferences
from optlab.report.answer.terminal import NARROW, fold
from optlab.report.run_diff.diff_rows import DiffRows, diff_rows
from optlab.report.run_diff.diff_sentences import change_lines, diff_sentences
from optlab.text import pluralize

MOST_ROWS = 24
"""So many rows are shown at most, and all that differ."""


def diff_text(diff: RunDifferences, width: int | None = None) -> str:
    """Return the differences as plain text; ``width`` in characters, the terminal's or 100."""
    file = StringIO()
    columns = width or shutil.get_terminal_size((NARROW, 24)).columns
    print_diff(Console(file=file, width=columns, color_system=None, soft_wrap=False), diff)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def print_diff(console: Console, diff: RunDifferences) -> None:
    """Print the verdict, the table, what is left out of it, and what changed besides."""
    for part in _parts(diff, console.width):
        console.print(part, soft_wrap=False)


def _parts(diff: RunDifferences, width: int) -> Iterator[RenderableType]:
    for sentence in diff_sentences(diff):
        yield Text(sentence, overflow="fold")
    yield Text("")
    rows = diff_rows(diff)
    shown = max(rows.differ, MOST_ROWS)
    yield _table(rows._replace(rows=rows.rows[:shown]), width)
    if (more := len(rows.rows) - shown) > 0:
        yield Text(f"and {pluralize(more, 'more setting')} without a difference", style="dim")
    old, new = diff.names
    lines = change_lines(diff)
    yield Text("")
    yield Text(
        f"Changed from {old} to {new}:" if lines else f"Nothing else changed from {old} to {new}."
    )
    for line in lines:
        yield Text(f"  {line}", overflow="fold")


def _table(rows: DiffRows, width: int) -> Table:
    widths, gap = _widths(rows, width)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, header_style="bold", pad_edge=False,
        padding=(0, gap - 1, 0, 0),
    )  # fmt: skip
    for heading, size in zip(rows.headings, widths, strict=True):
        table.add_column(Text(heading, overflow="fold"), overflow="fold", width=size)
    for place, row in enumerate(rows.rows):
        cells = [
            Text(fold(cell, size), overflow="fold") for cell, size in zip(row, widths, strict=True)
        ]
        table.add_row(*cells, style="bold" if place < rows.differ else "")
    return table


def _widths(rows: DiffRows, width: int) -> tuple[list[int], int]:
    """Return the columns' widths and the gap; where room is short, texts fold, then numbers too."""
    columns = list(zip(rows.headings, *rows.rows, strict=True))
    widths = [max(map(len, texts[1:]), default=0) for texts in columns]
    widths = [
        max(own, *map(len, texts[0].split())) for own, texts in zip(widths, columns, strict=True)
    ]
    numbers = range(2, len(widths) - 1)
    longest = max(len(word) for text in columns[-1] for word in text.split())
    gap = 2 if sum(widths) + 2 * len(widths) <= width else 1
    for folded, least in ((0, len(widths) - 1), longest), (numbers, 9):
        while sum(widths) + gap * len(widths) > width:
            place = max(folded, key=widths.__getitem__)
            if widths[place] <= least:
                break
            widths[place] -= 1
    return widths, gap
