"""What stands at the end of the page: machine, experiment, tracebacks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from optlab.report.views import Outcome
from optlab.text import number


def facts_list(pairs: Iterable[tuple[Any, Any]]) -> str:
    """Return names and values, escaped."""
    rows = (f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in pairs)
    return f"<dl>{''.join(rows)}</dl>"


def told(value: Any) -> str:
    """Return a value in a line: numbers in 10 digits, the first 12 of a list."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {told(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        more = f", ... ({len(value)} values)" if len(value) > 12 else ""
        return ", ".join(told(part) for part in value[:12]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value, 10) if isinstance(value, float) else str(value)


def experiment(definition: Mapping[str, Any]) -> str:
    """Return what was asked for, and the command that repeats it; of several files, each one's."""
    if "files" in definition:
        parts = (
            f"<h3>{html.escape(str(name))}</h3>{experiment(own)}"
            for name, own in definition["files"].items()
        )
        return "".join(parts)
    asked = {key: value for key, value in definition.items() if key != "command"}
    rows = "".join(
        f"<dt>{html.escape(str(key).replace('_', ' '))}</dt><dd>{_asked(key, value)}</dd>"
        for key, value in asked.items()
    )
    command = definition.get("command")
    again = f"{_AGAIN}<pre>{html.escape(str(command))}</pre>" if command else ""
    return f"<dl>{rows}</dl>{again}"


_AGAIN = (
    "<p>The command; a trial that its store has is not run again, <code>--fresh</code> starts over:"
    "</p>"
)

_LEFT_OUT = {"dtypes": "the data's own", "stop_at": "none: each trial spends its budget"}
"""What it means where an experiment does not say."""


def _asked(key: str, value: Any) -> str:
    """Return a value of a definition as HTML: a line for each entry of a mapping."""
    if isinstance(value, Mapping):
        lines = (f"<li><b>{html.escape(str(k))}</b>: {_settings(v)}</li>" for k, v in value.items())
        return f"<ul>{''.join(lines)}</ul>"
    if value in (None, [None], (None,)):
        return html.escape(_LEFT_OUT.get(key, "-"))
    return html.escape(told(value))


def _settings(value: Any) -> str:
    if not isinstance(value, Mapping):
        return html.escape(str(value))
    own = [f"{k}={v!r}" for k, v in value.items() if k != "class"]
    return html.escape(f"{value.get('class', '')}({', '.join(own)})")


def tracebacks(results: Outcome) -> str:
    """Return the tracebacks of failed and crashed trials, the first of each message."""
    failed = results.trials[results.trials["status"].isin(["failed", "crashed"])]
    shown = []
    for _, row in failed.drop_duplicates("message").head(10).iterrows():
        text = results.traceback(int(row["trial"]))
        if text:
            title = html.escape(f"Trial {row['trial']}, {row['optimizer']}")
            shown.append(f'<details class="plain"><summary>{title}</summary>'
                         f"<pre>{html.escape(text)}</pre></details>")  # fmt: skip
    if not shown:
        return ""
    return f'<section id="tracebacks"><h2>Tracebacks</h2>{"".join(shown)}</section>'
