"""Lines on a problem's reference solution: its certificate and its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from optlab.lab import ProblemSummary
from optlab.report.words import format_value
from optlab.text import number

MOST_PARAMETERS = 12
"""At most so many of a problem's parameters are listed."""

Table: TypeAlias = tuple[list[str], list[tuple[str, ...]]]
"""The head and the rows of a table."""

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
"""Sentences made from a certificate's facts, see `optlab.linalg.Certificate`."""


class CertificateLines(NamedTuple):
    """A problem's certificate in lines, and a table of its first `MOST_PARAMETERS` parameters."""

    name: str
    lines: list[tuple[str, Any]]
    head: list[str]
    rows: list[tuple[str, ...]]
    parameters: int  # how many there are


def certificate_lines(facts: ProblemSummary) -> CertificateLines:
    """Return the certificate and the parameters of a problem's reference solution."""
    columns = f"{facts.d} column" + ("" if facts.d == 1 else "s")
    lines: list[tuple[str, Any]] = [
        ("problem", f"{facts.kind}, {facts.n} rows, {columns}, {facts.dtype}"),
        ("loss at the optimum", number(facts.reference_loss.loss, 10)),
        *((f"{k.replace('_', ' ')} there", number(v, 10)) for k, v in facts.measures.items()),
        *_lines(facts.certificate),
    ]
    if facts.provenance:
        steps = [(str(place), step) for place, step in enumerate(facts.provenance, start=1)]
        lines.append(("preparation of the data", steps))
    head, rows = _coefficients(facts) if len(facts.coefficient_table()) else _parameters(facts)
    return CertificateLines(facts.name, lines, head, rows[:MOST_PARAMETERS], len(rows))


def _coefficients(facts: ProblemSummary) -> Table:
    """Return the coefficients as fitted, and in the units of the data where these differ."""
    table = facts.coefficient_table().set_index("name")
    columns = {"coefficient": "at the optimum", "standard_error": "standard error"}
    if not np.array_equal(table["coefficient"], table["raw_coefficient"], equal_nan=True):
        columns |= {
            "raw_coefficient": "in the units of the data",
            "raw_standard_error": "standard error in these units",
        }
    shown = table[list(columns)].dropna(axis="columns", how="all")
    rows = [(str(name), *(number(v, 10) for v in values)) for name, *values in shown.itertuples()]
    return ["parameter", *(columns[str(column)] for column in shown)], rows


def _parameters(facts: ProblemSummary) -> Table:
    """Return the parameters at the optimum, with their standard errors."""
    errors = facts.certificate.get("standard_errors") or {}
    rows = [
        (name, number(value, 10), *([number(_error(errors.get(key), place), 10)] if errors else []))
        for key, values in facts.parameters.items()
        for place, (name, value) in enumerate(
            zip(facts.parameter_names(key, np.size(values)), np.ravel(values).tolist(), strict=True)
        )
    ]
    return ["parameter", "at the optimum", *(["standard error"] if errors else [])], rows


def _lines(certificate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield names and sentences; a fact that no sentence uses is given as it is."""
    used = {"standard_errors"}
    for name, line in _LINES:
        keys = {key for _, key, _, _ in Formatter().parse(line) if key}
        if all(certificate.get(key) is not None for key in keys):
            yield name, line.format(**{key: _short(certificate[key]) for key in keys})
            used |= keys
    for key, value in certificate.items():
        if key not in used and value is not None:
            yield key.replace("_", " "), format_value(value)


def _short(value: object) -> str:
    return number(value, 3) if isinstance(value, float) else format_value(value)


def _error(errors: Any, place: int) -> float:
    return float(np.ravel(errors)[place]) if errors is not None else float("nan")
