"""The results as one HTML page that loads nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.findings.caveats import doubts
from optlab.report.findings.findings import findings
from optlab.report.findings.sentence import Sentence
from optlab.report.page.appendix import experiment, facts_list, tracebacks
from optlab.report.page.certificate_table import certificate
from optlab.report.page.embed import axes_of, columns_of, in_script, view_data
from optlab.report.style import Styles
from optlab.report.tables import PAPER
from optlab.report.views import Outcome, View, all_views, headline

SECONDS = ("seconds", "seconds_low", "seconds_high", "median", "min", "max", "transfer_seconds",
           "first_pass_seconds")  # fmt: skip
"""The columns that tables show with a unit of time."""

LABELS = {"low": "from", "high": "to", "seconds_low": "from", "seconds_high": "to",
          "median": "seconds", "timed": "trials timed", "batch": "batch size", "at": "at batch size",
          "peak_bytes": "peak memory"}  # fmt: skip
"""What columns are called in tables, where not by their name."""

SINGLE = ("problem", "device", "dtype", "machine", "file")
"""The columns that tables show only where trials differ in them; their CSV has them always."""

SCRIPTS = ("ticks", "tables", "charts", "filters", "page")
"""In this order, in one function, so that nothing of theirs is global."""


def write_page(results: Outcome, path: str | Path) -> Path:
    """Write the page into a file, in a folder made where it is missing, and return the file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(render_page(results), encoding="utf-8")
    unfinished.replace(path)  # a page that is there is whole
    return path


def render_page(results: Outcome) -> str:
    """Return the page as HTML: what was found, the views, the tables, and how it was measured.

    ``results`` are `optlab.Results`, or whatever has their shape.
    """
    views = all_views(results)
    drawn = [view for view in views.values() if not view.table.empty]
    not_drawn = [view for view in views.values() if view.table.empty]
    parts = {
        "title": html.escape(results.name or "experiment"),
        "subtitle": html.escape(_subtitle(results)),
        "css": _file("page.css"),
        "found": _found(findings(results, views), named=len(results.problems) > 1),
        "doubts": _doubts(doubts(results, views)),
        "nav": " ".join(f'<a href="#{v.key}">{html.escape(v.title)}</a>' for v in drawn),
        "views": "\n".join(_section(view) for view in drawn) + _not_drawn(not_drawn),
        "certificates": "".join(certificate(facts) for facts in results.problems.values()),
        "machine": facts_list(results.machine.items()),
        "experiment": experiment(results.definition),
        "tracebacks": tracebacks(results),
        "version": html.escape(_version()),
        "data": in_script(_data(results, views)),
        "plotly": _plotly(),
        "scripts": "\n".join(_file(f"{name}.js") for name in SCRIPTS),
    }
    return Template(_file("page.html")).substitute(parts)


def _file(name: str) -> str:
    return files("optlab.report.page").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        import plotly.offline  # noqa: PLC0415 - the page alone needs it
    except ImportError as error:
        raise ImportError("the page needs plotly: pip install 'optlab[report]'") from error
    script: str = plotly.offline.get_plotlyjs()
    return script.replace("</script", "<\\/script")


def _version() -> str:
    try:
        return version("optlab")
    except PackageNotFoundError:
        return ""


def _subtitle(results: Outcome) -> str:
    counts = results.trials["status"].value_counts()
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    started = str(results.definition.get("started", ""))[:16].replace("T", " ")
    return f"{len(results.trials)} trials: {told}" + (f"; {started} UTC" if started else "")


def _data(results: Outcome, views: Mapping[str, View]) -> dict[str, Any]:
    trials, styles = results.trials, Styles.of_trials(results.trials)
    tables = {
        "summary": _ordered(results.summary()),
        "trials": _ordered(trials),
        "optimizers": _optimizers(trials),
    }
    return {
        "name": results.name or "experiment",
        "styles": {
            "optimizers": {name: vars(style) for name, style in styles.by_optimizer.items()},
            "sizes": styles.batches,
        },
        "axes": axes_of(trials, styles.batches),
        "target": headline(views["target"].table, results.definition.get("stop_at")),
        "labels": LABELS,
        "seconds": SECONDS,
        "paper": {"summary": PAPER["summary"]},
        "single": [c for c in SINGLE if c in trials and len(set(trials[c])) < 2],
        "tables": {name: columns_of(table, digits=None) for name, table in tables.items()},
        "views": [view_data(view) for view in views.values()],
    }


def _optimizers(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each optimizer's hyperparameters, and the versions of what it calls, in words."""
    own = [name for name in trials if str(name).startswith("hp_")]
    rows = trials[["optimizer", *own, "versions"]].drop_duplicates()
    settings = [
        {str(name).removeprefix("hp_"): value for name, value in row.items() if not pd.isna(value)}
        for row in rows[own].to_dict("records")
    ]
    columns = {"hyperparameters": settings, "versions": map(json.loads, rows["versions"])}
    table = rows[["optimizer"]].copy()
    for column, values in columns.items():
        words = [", ".join(f"{k} = {v}" for k, v in value.items()) for value in values]
        table[column] = [text or None for text in words]
    return table


_ELSEWHERE = ("versions", "batch_size")
"""The columns that tables leave to the table of optimizers, and to ``batch``."""


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with what is read first to the left, and the long messages last."""
    first = ["trial", *CELL, "seed", "repeat", "status", "suboptimality", "parameter_error"]
    first += ["epochs", "seconds", "seconds_low", "seconds_high", "unstable", "trials"]
    columns = [name for name in first if name in table]
    others = [name for name in map(str, table) if name not in {*first, "message", *_ELSEWHERE}]
    columns += [name for name in others if not name.startswith("hp_")]
    return table[[*columns, *(["message"] if "message" in table else [])]]


def _found(said: Iterable[Sentence], *, named: bool) -> str:
    """Return a list of sentences for each problem, under its name where there are several."""
    parts = []
    for name, group in groupby(said, key=lambda one: one.problem):
        head = f"<h3>{html.escape(name)}</h3>" if named and name else ""
        parts.append(f'{head}<ul class="found">{_sentences(group)}</ul>')
    return "\n".join(parts)


def _sentences(said: Iterable[Sentence]) -> str:
    items = (
        f'<li data-kind="{html.escape(one.kind)}">{html.escape(one.text)}</li>' for one in said
    )
    return "\n".join(items)


def _doubts(said: list[Sentence]) -> str:
    if not said:
        return ""
    return (
        '<section id="doubts" aria-labelledby="doubts-title">'
        '<h2 id="doubts-title">What cannot be said</h2>'
        f'<ul class="doubts">{_sentences(said)}</ul></section>'
    )


def _section(view: View) -> str:
    words = {name: html.escape(getattr(view, name)) for name in ("title", "question", "how")}
    head = (
        f'<div class="head"><h3 id="{view.key}-title">{words["title"]}</h3>'
        f'<p class="question">{words["question"]}</p></div>'
    )
    role = f' role="img" aria-label="{words["title"]}"' if view.kind != "matrix" else ""
    small = " text" if view.kind == "matrix" else ""
    body = (
        '<div class="tools"></div><p class="printed" aria-hidden="true"></p>'
        f'<div class="chart{small}"{role}></div>'
        f'<p class="note" role="status"></p><p class="how">{words["how"]}</p>'
        f'<details class="behind"><summary>The numbers behind {words["title"].lower()}'
        "</summary></details>"
    )
    return (
        f'<section class="view" id="{view.key}" data-view="{view.key}" '
        f'aria-labelledby="{view.key}-title">{head}{body}</section>'
    )


def _not_drawn(views: list[View]) -> str:
    if not views:
        return ""
    items = "".join(
        f'<li id="{view.key}">{html.escape(view.title)}: {html.escape(view.missing)}</li>'
        for view in views
    )
    return f'<section id="not-drawn"><h3>Not drawn</h3><ul class="missing">{items}</ul></section>'
