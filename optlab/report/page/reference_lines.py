"""Lines on a problem's reference: its kind, its certificate and its parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from optlab.lab import ProblemSummary
from optlab.lab.store.problem_summary import ReferenceSummary
from optlab.report.words import REFERENCES, format_value
from optlab.text import number, pluralize

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
"""Sentences made from a reference's facts, see `optlab.linalg.Certificate`."""


class ReferenceLines(NamedTuple):
    """A problem's reference in lines, and a table of its first `MOST_PARAMETERS` parameters."""

    name: str
    lines: list[tuple[str, Any]]
    head: list[str]
    rows: list[tuple[str, ...]]
    parameters: int  # how many there are
    fitted: str = ""  # of what the parameters are coefficients, in words


def reference_lines(facts: ProblemSummary) -> ReferenceLines:
    """Return the lines on a problem's reference solution, and its parameters where it has some."""
    size = f"{pluralize(facts.n, 'row')}, {pluralize(facts.d, 'column')}"
    lines: list[tuple[str, Any]] = [
        ("problem", f"{facts.kind}, {size}, {facts.dtype}"),
        *_of_reference(facts.reference),
        *((f"{k.replace('_', ' ')} there", number(v, 10)) for k, v in facts.measures.items()),
        *_lines(_facts(facts.reference)),
    ]
    if facts.provenance:
        steps = [(str(place), step) for place, step in enumerate(facts.provenance, start=1)]
        lines.append(("preparation of the data", steps))
    has_coefficients = len(facts.coefficient_table()) > 0
    head, rows = _coefficients(facts) if has_coefficients else _parameters(facts)
    of = f"of {facts.quantity}, " if facts.quantity else ""
    fitted = f"{of}{pluralize(facts.n, 'row')} fitted" if has_coefficients else ""
    return ReferenceLines(facts.name, lines, head, rows[:MOST_PARAMETERS], len(rows), fitted)


def _of_reference(reference: ReferenceSummary | None) -> Iterator[tuple[str, str]]:
    if reference is None:
        yield "reference", "none: no trial recorded a finite loss"
        return
    words = REFERENCES.get(reference.kind, "")
    if reference.kind == "certified" and not (reference.bound >= 0 or reference.certificate):
        words = "by those who publish the problem; how, is said below"
    yield "reference", f"{reference.kind}: {words}"
    yield "its loss", number(reference.loss, 10)
    if math.isfinite(reference.bound):
        yield "proven bound", f"at most {reference.bound:.2g} above the infimum"
    if reference.unique is False:
        yield "minimiser", "one of many"


def _facts(reference: ReferenceSummary | None) -> Mapping[str, Any]:
    """Return the facts on how a reference was found, those of its certificate among them."""
    if reference is None:
        return {}
    own: dict[str, Any] = {"message": reference.message, "trusted": reference.trusted}
    if math.isfinite(reference.digits):
        own["digits"] = reference.digits
    return own | dict(reference.certificate)


def _coefficients(facts: ProblemSummary) -> Table:
    """Return the coefficients in the units of the data, and as fitted where these differ."""
    table = facts.coefficient_table().set_index("name")
    same = np.array_equal(table["coefficient"], table["as_fitted"], equal_nan=True)
    shown = (table.iloc[:, :2] if same else table).dropna(axis="columns", how="all")
    rows = [(str(name), *(number(v, 10) for v in values)) for name, *values in shown.itertuples()]
    return ["name", *(str(column).replace("_", " ") for column in shown)], rows


def _parameters(facts: ProblemSummary) -> Table:
    """Return the reference's parameters, with their standard errors."""
    errors = facts.certificate.get("standard_errors") or {}
    rows = [
        (name, number(value, 10), *([number(_error(errors.get(key), place), 10)] if errors else []))
        for key, values in facts.parameters.items()
        for place, (name, value) in enumerate(
            zip(facts.parameter_names(key, np.size(values)), np.ravel(values).tolist(), strict=True)
        )
    ]
    return ["parameter", "reference", *(["standard error"] if errors else [])], rows


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
