"""The answer as HTML, for notebooks and for the top of the page: the verdict and ranked tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

from optlab.analysis.result_tables import ResultTables
from optlab.html_templates import ENVIRONMENT
from optlab.report.answer.ranked_rows import (
    INTERVAL,
    LEAVES_FIRST,
    METHOD,
    SETTINGS,
    TEXTS,
    RankedRows,
    ranked_rows,
)
from optlab.report.answer.remarks import remarks
from optlab.report.answer.verdict import verdict
from optlab.report.findings.sentence import by_problem
from optlab.report.views.cache import unchanged_tables

MOST_ROWS = 20
"""Of each ranked table a notebook shows at most so many rows; the page shows all."""

MOST_TABLES = 5
"""Of so many problems a notebook shows the ranked tables; the page shows all."""

_LEAVES = (*LEAVES_FIRST, "#", "epochs", "batch size")
"""The columns that the page leaves out one after the other where it is narrow."""

_WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[(=_,])")

_ANSWER = ENVIRONMENT.from_string(
    files("optlab.report.answer").joinpath("answer.html").read_text(encoding="utf-8")
)


@unchanged_tables()
def answer_html(
    results: ResultTables, *, whole: bool = False, link: Callable[[str, str], str] | None = None
) -> str:
    """Return the verdict and the ranked table of each problem as HTML, every text escaped.

    At most 20 rows of 5 problems, unless ``whole`` is set. ``link`` marks the terms in a text of a
    part of the page, as `optlab.report.glossary.TermLinks` does.
    """
    tables = ranked_rows(results)
    shown = tables if whole else tables[:MOST_TABLES]
    return _ANSWER.render(
        groups=by_problem(verdict(results), results.problems),
        several=len(tables) > 1,
        tables=[_table(table, None if whole else MOST_ROWS) for table in shown],
        more_tables=len(tables) - len(shown),
        lines=remarks(results),
        link=link or _plain,
    )


def _plain(text: str, part: str) -> str:  # noqa: ARG001 - where there are no links
    return text


def _table(ranked: RankedRows, most: int | None) -> dict[str, Any]:
    columns = [name for name in ranked.columns if name != SETTINGS]  # they stand below the method
    kinds = ["short" if name in TEXTS else "number" for name in columns]
    kinds[columns.index(METHOD)] = "method"
    rows = [
        [
            (_value(row, name, ranked), kind, _drawn(bar) if name == INTERVAL and bar else None)
            for kind, name in zip(kinds, columns, strict=True)
        ]
        for row, bar in zip(ranked.rows[:most], ranked.bars[:most], strict=True)
    ]
    return {
        "problem": ranked.problem,
        "head": [
            (name, kind, _keep(name, columns)) for name, kind in zip(columns, kinds, strict=True)
        ],
        "rows": rows,
        "left": len(ranked.rows) - len(rows),
        "caption": ranked.caption,
    }


def _keep(name: str, columns: list[str]) -> int:
    """Return the place of a column in the order in which they are kept where room is scarce."""
    cost = "seconds" if "seconds" in columns else "epochs"
    if name in {METHOD, cost}:
        return int(name == cost)
    return 3 + _LEAVES[::-1].index(name) if name in _LEAVES else 2


def _value(row: list[str], name: str, ranked: RankedRows) -> str | tuple[str, str]:
    """Return a cell's text; a method's with its hyperparameters."""
    text = row[ranked.columns.index(name)]
    if name != METHOD:
        return text
    settings = row[ranked.columns.index(SETTINGS)] if SETTINGS in ranked.columns else ""
    return _breakable(text), _breakable(settings)


def _breakable(text: str) -> Markup:
    """Return a name that may go on in another line between its words."""
    return Markup("<wbr>").join(map(escape, _WORD_ENDS.split(text)))


def _drawn(bar: Any) -> dict[str, Any]:
    """Return the places of a bar in a drawing 100 wide."""
    places = {name: round(6 + 88 * getattr(bar, name), 1) for name in ("low", "middle", "high")}
    return places | {"text": bar.text}
