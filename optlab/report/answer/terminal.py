"""The answer in a terminal: the verdict, and the ranked table at the terminal's width."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optlab.analysis.result_tables import ResultTables
from optlab.report.answer.ranked_rows import (
    INTERVAL,
    LEAVES_FIRST,
    METHOD,
    SETTINGS,
    TEXTS,
    Bar,
    RankedRows,
    ranked_rows,
)
from optlab.report.answer.remarks import remarks
from optlab.report.answer.verdict import verdict
from optlab.report.findings.sentence import by_problem
from optlab.report.trial_counts import trial_counts
from optlab.report.views.cache import unchanged_tables

BAR_WIDTHS = (16, 10, 6)
"""Characters of the bars, the widest that finds room."""

_FOLDED = {METHOD: 18, SETTINGS: 18, "status": 10}
"""Columns whose texts may go on in further lines, and the widths that they have at least."""

NARROW = 100
"""Without a terminal the answer is this wide."""


def answer_text(results: ResultTables, width: int | None = None) -> str:
    """Return the verdict and the ranked table as plain text.

    ``width`` in characters; the terminal's where left out, and 100 where there is none.
    """
    file = StringIO()
    columns = width or shutil.get_terminal_size((NARROW, 24)).columns
    console = Console(file=file, width=columns, color_system=None, soft_wrap=False)
    print_answer(console, results)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


@unchanged_tables()
def print_answer(console: Console, results: ResultTables) -> None:
    """Print the verdict, the ranked table of each problem, and what did not run."""
    for part in _parts(console, results):
        console.print(part, soft_wrap=False)


def _parts(console: Console, results: ResultTables) -> Iterator[RenderableType]:
    heading = Text(results.name or "experiment", style="bold", overflow="fold")
    yield heading.append(f"  {trial_counts(results.trials)}", style="not bold dim")
    for problem, sentences in by_problem(verdict(results), results.problems):
        if problem:
            yield Text(f"{problem}:", style="bold")
        for sentence in sentences:
            yield Padding(Text(sentence.text, overflow="fold"), (0, 0, 0, 2 if problem else 0))
    several = len(results.problems) > 1
    tables = ranked_rows(results)
    for place, ranked in enumerate(tables):
        yield Text("")
        next_caption = tables[place + 1].caption if place + 1 < len(tables) else ""
        told_later = ranked.caption == next_caption
        yield from _ranked(console, ranked, several=several, told_later=told_later)
    for line in remarks(results):
        yield Text(line, overflow="fold")


def _ranked(
    console: Console, ranked: RankedRows, *, several: bool, told_later: bool
) -> Iterator[RenderableType]:
    """Yield a problem's ranked table, its caption, and the names of what found no room."""
    chosen = layout(ranked, console.width)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="bold",
        pad_edge=False,
        padding=(0, chosen.gap - 1, 0, 0),
    )
    if several:
        table.title, table.title_justify, table.title_style = Text(ranked.problem), "left", "bold"
    for name, width in chosen.widths.items():
        justify: JustifyMethod = "left" if name in TEXTS else "right"
        heading = Text(name, overflow="fold")
        table.add_column(heading, justify=justify, overflow="fold", width=width)
    fancy = console.encoding.lower().startswith("utf")
    for row, bar in zip(ranked.rows, ranked.bars, strict=True):
        texts = dict(zip(ranked.columns, row, strict=True))
        if chosen.merged:
            texts[METHOD] = f"{texts[METHOD]}\n{texts[SETTINGS]}".rstrip()
        if INTERVAL in chosen.widths:
            texts[INTERVAL] = _bar(bar, chosen.widths[INTERVAL], fancy)
        cells = (fold(texts[name], width) for name, width in chosen.widths.items())
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    yield table
    caption = [ranked.caption] if ranked.caption and not told_later else []
    if chosen.left_out:
        caption.append(f"left out for width: {', '.join(chosen.left_out)}")
    if caption:
        yield Text("; ".join(caption), style="dim", overflow="fold")


@dataclass(frozen=True)
class Layout:
    """The columns of a table with their widths, and those that found no room.

    ``merged``: the hyperparameters stand below the method, in one column.
    """

    widths: dict[str, int]
    merged: bool
    left_out: list[str]
    gap: int  # characters between two columns


def layout(ranked: RankedRows, width: int) -> Layout:
    """Return the layout that shows most in so many characters."""
    has_settings = SETTINGS in ranked.columns
    kept = [name for name in LEAVES_FIRST if name in ranked.columns]
    choices = [(False, size, 0) for size in BAR_WIDTHS] + [(True, size, 0) for size in BAR_WIDTHS]
    choices += [(True, BAR_WIDTHS[-1], count) for count in range(1, len(kept) + 1)]
    for merged, size, count in choices:
        left_out = kept[:count]
        merged_here = merged and has_settings
        gone = {*left_out, *([SETTINGS] if merged_here else [])}
        columns = [name for name in ranked.columns if name not in gone]
        naturals = {name: _natural(ranked, name, size, merged_here) for name in columns}
        least = {name: min(w, _FOLDED.get(name, w)) for name, w in naturals.items()}
        room = width - sum(least.values())
        gap = 2 if room >= 2 * len(columns) else 1
        room -= gap * len(columns)
        if room >= 0 or count == len(kept):
            return Layout(_widened(least, naturals, room), merged_here, left_out, gap)
    raise AssertionError("the last choice is always taken")


def _natural(ranked: RankedRows, name: str, size: int, merged: bool) -> int:
    """Return the width in which a column needs one line (its heading may take several)."""
    if name == INTERVAL:
        return max(size, len(name))
    heading = max(map(len, name.split()))
    places = [ranked.columns.index(name)]
    places += [ranked.columns.index(SETTINGS)] if merged and name == METHOD else []
    return max([heading, *(len(row[place]) for row in ranked.rows for place in places)])


def _widened(least: dict[str, int], naturals: dict[str, int], room: int) -> dict[str, int]:
    """Return widths with the room that is left given to the columns of folded texts."""
    widths = dict(least)
    for name in least:
        more = max(0, min(naturals[name] - widths[name], room))
        widths[name] += more
        room -= more
    return widths


def fold(text: str, width: int) -> str:
    """Return a text in lines of a width, broken at spaces, after signs and between words.

    Examples
    --------
    >>> fold("SklearnLinearRegression", 18).split()
    ['SklearnLinear', 'Regression']
    """
    lines = []
    for own in text.split("\n"):
        line = ""
        for piece in re.findall(r".[^A-Z(=_, ]*[(=_, ]*", own):
            if line and len((line + piece).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += piece
        lines.append(line.rstrip())
    return "\n".join(lines)


def _bar(bar: Bar | None, size: int, fancy: bool) -> str:
    """Return a bar in characters, a dot at the median.

    Examples
    --------
    >>> _bar(Bar(0.0, 0.5, 1.0, ""), 5, False), _bar(Bar(1.0, 1.0, 1.0, ""), 3, True)
    ('--o--', '  ●')
    """
    if bar is None:
        return ""
    low, middle, high = (round(place * (size - 1)) for place in (bar.low, bar.middle, bar.high))
    line, dot = ("─", "●") if fancy else ("-", "o")
    signs = [line if low <= place <= high else " " for place in range(size)]
    signs[middle] = dot
    return "".join(signs).rstrip()
