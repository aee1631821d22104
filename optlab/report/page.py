"""The results as one HTML page that loads nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.doubts import doubts
from optlab.report.embed import axes_of, columns_of, in_script, view_data
from optlab.report.sentences import Sentence, findings
from optlab.report.style import Styles
from optlab.report.views import Outcome, View, all_views, headline
from optlab.report.words import number

SECONDS = ("seconds", "seconds_low", "seconds_high", "median", "min", "max", "transfer_seconds",
           "first_pass_seconds")  # fmt: skip
"""The columns that tables show with a unit of time."""

LABELS = {"low": "from", "high": "to", "seconds_low": "from", "seconds_high": "to",
          "median": "seconds", "timed": "trials timed", "at": "at batch size"}  # fmt: skip
"""What columns are called in tables, where not by their name."""


SCRIPTS = ("tables", "charts", "filters", "page")
"""In this order, in one function, so that nothing of theirs is global."""


def write_page(results: Outcome, path: str | Path, **keywords: Any) -> Path:
    """Write the page into a file, in a folder made where it is missing, and return the file.

    The keywords are those of `render_page`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(results, **keywords), encoding="utf-8")
    return path


def render_page(
    results: Outcome, *, command: str = "", definition: Mapping[str, Any] | None = None
) -> str:
    """Return the page as HTML: what was found, the views, the tables, and how it was measured.

    Parameters
    ----------
    results
        An `optlab.Results`, or whatever has its ``name, trials, traces, problems, machine`` and
        ``parameters``.
    command
        The command that repeats the experiment.
    definition
        What the experiment was asked for, by keyword; the results' own where left out, or else
        read off the trials.
    """
    views = all_views(results)
    parts = {
        "title": html.escape(results.name or "experiment"),
        "subtitle": html.escape(_subtitle(results)),
        "css": _file("page.css"),
        "found": _sentences(findings(results, views), named=len(results.problems) > 1),
        "doubts": _doubts(doubts(results, views)),
        "nav": " ".join(f'<a href="#{v.key}">{html.escape(v.title)}</a>' for v in views.values()),
        "views": "\n".join(_section(view) for view in views.values()),
        "certificates": "".join(_certificate(facts) for facts in results.problems.values()),
        "machine": _list(results.machine.items()),
        "experiment": _experiment(results, command, definition),
        "tracebacks": _tracebacks(results),
        "version": html.escape(_version()),
        "data": in_script(_data(results, views)),
        "plotly": _plotly(),
        "scripts": "\n".join(
            _file(name) for name in ("tables.js", "charts.js", "filters.js", "page.js")
        ),
    }
    return Template(_file("page.html")).substitute(parts)


def _file(name: str) -> str:
    return files("optlab.report").joinpath(name).read_text(encoding="utf-8")


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
    return f"{len(results.trials)} trials: {told}"


def _data(results: Outcome, views: Mapping[str, View]) -> dict[str, Any]:
    trials, styles = results.trials, Styles.of_trials(results.trials)
    each = ["optimizer", "hyperparameters", *(["versions"] if "versions" in trials else [])]
    tables = {
        "summary": _ordered(results.summary()),
        "trials": _ordered(trials.drop(columns=["hyperparameters", "versions"], errors="ignore")),
        "optimizers": trials[each].drop_duplicates(),
    }
    return {
        "name": results.name or "experiment",
        "styles": {
            "optimizers": {name: vars(style) for name, style in styles.by_optimizer.items()},
            "sizes": [str(size) for size in styles.sizes],
        },
        "axes": axes_of(trials, styles.sizes),
        "target": headline(views["target"].table),
        "labels": LABELS,
        "seconds": SECONDS,
        "single": [c for c in ("problem", "device", "dtype") if len(set(trials[c])) < 2],
        "tables": {name: columns_of(table, digits=None) for name, table in tables.items()},
        "views": [view_data(view) for view in views.values()],
    }


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with what is read first to the left, and the long messages last."""
    first = ["trial", *CELL, "seed", "repeat", "trials", "status", "seconds", "seconds_low"]
    first += ["seconds_high", "spread", "unstable", "epochs", "suboptimality", "parameter_error"]
    columns = [name for name in first if name in table]
    columns += [str(name) for name in table if name not in [*first, "message"]]
    return table[[*columns, *(["message"] if "message" in table else [])]]


def _sentences(said: Iterable[Sentence], *, named: bool) -> str:
    items = []
    for one in said:
        name = f"<b>{html.escape(one.problem)}:</b> " if named and one.problem else ""
        items.append(f'<li data-kind="{html.escape(one.kind)}">{name}{html.escape(one.text)}</li>')
    return "\n".join(items)


def _doubts(said: list[Sentence]) -> str:
    if not said:
        return ""
    return (
        '<section id="doubts" aria-labelledby="doubts-title">'
        '<h2 id="doubts-title">What cannot be said</h2>'
        f'<ul class="doubts">{_sentences(said, named=False)}</ul></section>'
    )


def _section(view: View) -> str:
    words = {name: html.escape(getattr(view, name)) for name in ("title", "question", "how")}
    head = (
        f'<div class="head"><h3 id="{view.key}-title">{words["title"]}</h3>'
        f'<p class="question">{words["question"]}</p></div>'
    )
    if view.table.empty:
        body = f'<p class="missing">{html.escape(view.missing)}</p>'
    else:
        role = ' role="img" aria-label="chart"' if view.kind != "matrix" else ""
        small = " text" if view.kind == "matrix" else ""
        body = (
            f'<div class="tools"></div><div class="chart{small}"{role}></div>'
            f'<p class="note" role="status"></p><p class="how">{words["how"]}</p>'
            f'<details class="behind"><summary>The numbers behind {words["title"].lower()}'
            "</summary></details>"
        )
    return (
        f'<section class="view" id="{view.key}" data-view="{view.key}" '
        f'aria-labelledby="{view.key}-title">{head}{body}</section>'
    )


def _list(pairs: Iterable[tuple[Any, Any]]) -> str:
    rows = (f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in pairs)
    return f"<dl>{''.join(rows)}</dl>"


def _certificate(facts: Any) -> str:
    told = {
        "problem": f"{facts.kind}, {facts.n} rows, {facts.d} "
        f"{'column' if facts.d == 1 else 'columns'}, {facts.dtype}",
        "loss at the optimum": number(facts.optimum_loss, 10),
        **{str(key).replace("_", " "): _told(value) for key, value in facts.certificate.items()},
    }
    lines = []
    for key, values in facts.optimum.items():
        lines.append((key, _told(np.ravel(values).tolist())))
    return f"<h3>{html.escape(facts.name)}</h3>{_list([*told.items(), *lines])}"


def _told(value: Any) -> str:
    """Return a certificate's value in a line: numbers in 10 digits, the first 12 of a list."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_told(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        more = f", ... ({len(value)} values)" if len(value) > 12 else ""
        return ", ".join(_told(part) for part in value[:12]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 10) if isinstance(value, float) else str(value)


def _experiment(results: Outcome, command: str, definition: Mapping[str, Any] | None) -> str:
    definition = definition or getattr(results, "definition", None)
    if not definition:
        columns = ["problem", "optimizer", "batch_size", "device", "dtype", "seed", "repeat"]
        definition = {
            f"{name.replace('_', ' ')}s": ", ".join(
                str(value) for value in dict.fromkeys(results.trials[name]) if not pd.isna(value)
            )
            for name in columns
        }
    told = {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in definition.items()
    }
    again = f"<p>This repeats it:</p><pre>{html.escape(command)}</pre>" if command else ""
    return _list(told.items()) + again


def _tracebacks(results: Outcome) -> str:
    tell = getattr(results, "traceback", None)
    if tell is None:
        return ""
    failed = results.trials[results.trials["status"].isin(["failed", "crashed"])]
    shown = []
    for _, row in failed.drop_duplicates("message").head(10).iterrows():
        text = tell(int(row["trial"]))
        if text:
            title = html.escape(f"Trial {row['trial']}, {row['optimizer']}")
            shown.append(f'<details class="plain"><summary>{title}</summary>'
                         f"<pre>{html.escape(text)}</pre></details>")  # fmt: skip
    if not shown:
        return ""
    return f'<section id="tracebacks"><h2>Tracebacks</h2>{"".join(shown)}</section>'
