"""What proves a problem's optimum, in lines and a table that people can read."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

import numpy as np

from optlab.lab import ProblemSummary
from optlab.report.page.appendix import facts_list, told
from optlab.text import number

MOST_PARAMETERS = 12
"""Of a problem's parameters so many are listed."""

_LINES = (
    ("found", "{message}"),
    ("to be trusted", "{trusted}"),
    ("digits predicted", "{digits}, of the least accurate parameter"),
    ("backward error", "{backward_error} eps of the data's norm"),
    ("condition number", "{condition_scaled} with columns scaled, {condition_raw} as given"),
    (
        "rank",
        "{rank} of {unknowns} (of singular values, those below {rank_tolerance} are 0)",
    ),
    ("solved by", "the {route} route, refined {refinement_steps} times"),
)
"""What is said of a certificate's facts, as far as it has them: see `optlab.linalg.Certificate`."""


def certificate(facts: ProblemSummary) -> str:
    """Return what proves a problem's optimum, as HTML."""
    columns = f"{facts.d} column" + ("" if facts.d == 1 else "s")
    lines = [
        ("problem", f"{facts.kind}, {facts.n} rows, {columns}, {facts.dtype}"),
        ("loss at the optimum", number(facts.optimum_loss, 10)),
        *_lines(facts.certificate),
    ]
    return f"<h3>{html.escape(facts.name)}</h3>{facts_list(lines)}{_parameters(facts)}"


def _lines(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and what is said; what no line speaks of comes as it is."""
    said = {"standard_errors"}
    for name, line in _LINES:
        keys = {key for _, key, _, _ in Formatter().parse(line) if key}
        if all(known.get(key) is not None for key in keys):
            yield name, line.format(**{key: _short(known[key]) for key in keys})
            said |= keys
    for key, value in known.items():
        if key not in said and value is not None:
            yield key.replace("_", " "), told(value)


def _short(value: object) -> str:
    return number(value, 3) if isinstance(value, float) else told(value)


def _parameters(facts: ProblemSummary) -> str:
    errors = facts.certificate.get("standard_errors") or {}
    rows = [
        (name, float(np.ravel(values)[place]), _error(errors.get(key), place))
        for key, values in facts.optimum.items()
        for place, name in enumerate(facts.parameter_names(key, np.size(values)))
    ]
    head = ["parameter", "at the optimum", *(["standard error"] if errors else [])]
    cells = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td class='number'>{number(value, 10)}</td>"
        + (f"<td class='number'>{number(error, 10)}</td>" if errors else "")
        + "</tr>"
        for name, value, error in rows[:MOST_PARAMETERS]
    )
    more = (
        f"<p>{MOST_PARAMETERS} of {len(rows)} parameters; <code>optlab export</code> writes all</p>"
    )
    return (
        f"<table class='parameters'><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"
        f"{more if len(rows) > MOST_PARAMETERS else ''}"
    )


def _error(errors: Any, place: int) -> float:
    return float(np.ravel(errors)[place]) if errors is not None else float("nan")
