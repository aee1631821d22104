"""The ranked table as texts, from which the terminal, the notebook and the page are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL
from optlab.report.answer.ranking import NOT_TIMED, ranked_settings, ranking
from optlab.report.views.cache import cached
from optlab.report.views.time_to_target import own_target
from optlab.report.words import explained_share, share
from optlab.text import format_seconds, number

METHOD, SETTINGS, INTERVAL = "method", "hyperparameters", "interval"

TEXTS = (METHOD, SETTINGS, INTERVAL, "batch size", "device", "dtype", "status")
"""Columns that stand to the left; those of numbers stand to the right."""

LEAVES_FIRST = (INTERVAL, "gradient evals", "dtype", "device", "status")
"""The columns that are left out one after the other where there is no room for all."""

_AXES = {"batch": "batch size", "device": "device", "dtype": "dtype", "status": "status"}


@dataclass(frozen=True)
class Bar:
    """An interval of seconds and its median, as places from 0 to 1 on a logarithmic axis."""

    low: float
    middle: float
    high: float
    text: str


@dataclass(frozen=True)
class RankedRows:
    """The ranked table of one problem.

    A row is a text for each column; ``bars`` are what the column ``interval`` draws. The
    ``caption`` has what is the same in all rows.
    """

    problem: str
    columns: list[str]
    rows: list[list[str]]
    bars: list[Bar | None] = field(default_factory=list)
    caption: str = ""


@cached
def ranked_rows(results: ResultTables) -> list[RankedRows]:
    """Return the ranked table of each problem, from `ranking`."""
    table = ranking(results)
    groups = table.groupby("problem", sort=False)
    return [_of_problem(results, str(name), rows) for name, rows in groups]


def _of_problem(results: ResultTables, problem: str, rows: pd.DataFrame) -> RankedRows:
    cells = _cells(rows.reset_index(drop=True))
    bars = _bars(rows)
    if not any(bars):
        cells.pop(INTERVAL)
    columns = [name for name in cells if name not in _constant(cells)]
    if rows["target"].iloc[0] == own_target(results):  # there the status says it
        columns = [name for name in columns if not name.startswith("reached ")]
    texts = [list(row) for row in zip(*(cells[name] for name in columns), strict=True)]
    return RankedRows(problem, columns, texts, bars, _caption(results, problem, rows, cells))


def _cells(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of texts, in their order."""
    cells = {"#": ["-" if pd.isna(rank) else str(rank) for rank in rows["rank"]]}
    cells |= {METHOD: list(map(str, rows["method"])), SETTINGS: list(rows["hyperparameters"])}
    cells |= {title: list(map(str, rows[name])) for name, title in _AXES.items()}
    cells[f"reached {share(str(rows['target'].iloc[0]))}"] = [_reached(row) for row in _each(rows)]
    cells |= _accuracy(rows)
    cells["epochs"] = [number(value, 6) for value in rows["epochs"]]
    if rows["gradient_evaluations"].notna().any():
        made = rows["gradient_evaluations"]
        cells["gradient evals"] = [number(float(f"{v:.4g}"), 4) for v in made]
    cells["seconds"] = [format_seconds(value) for value in rows["seconds"]]
    cells[INTERVAL] = [_interval(row) for row in _each(rows)]
    return cells


def _each(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    return rows.to_dict("records")


def _reached(row: dict[Any, Any]) -> str:
    if row["tier"] <= NOT_TIMED:
        return "yes"
    return f"{row['reached']} of {row['trials']}" if row["reached"] else "no"


def _accuracy(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the column of digits, or of suboptimality or loss where no digits are known.

    The measure of the experiment's own ``stop_at`` comes before it, where that is another.
    """
    found, measure = {}, str(rows["measure"].iloc[0])
    if measure not in {"suboptimality", "loss"} and rows["value"].notna().any():
        found[measure.replace("_", " ")] = [number(value, 4) for value in rows["value"]]
    if rows["digits"].notna().any():
        return found | {"digits": [_digits(value) for value in rows["digits"]]}
    if rows["suboptimality"].notna().any():
        return found | {"suboptimality": [number(v, 2) for v in rows["suboptimality"]]}
    return found | {"loss": [number(value, 6) for value in rows["loss"]]}


def _digits(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def _interval(row: dict[Any, Any]) -> str:
    ends = (row["low"], row["high"])
    return f"{format_seconds(ends[0])} to {format_seconds(ends[1])}" if all(map(_is, ends)) else ""


def _is(value: float) -> bool:
    return bool(np.isfinite(value))


def _bars(rows: pd.DataFrame) -> list[Bar | None]:
    """Return the bar of each row whose seconds were timed, on one axis for all."""
    table = rows[["low", "seconds", "high"]].astype(float).where(lambda t: np.isfinite(t) & (t > 0))
    table = pd.DataFrame(
        {name: table[name].fillna(table["seconds"]) for name in ("low", "seconds", "high")}
    )
    logs = np.log(table.to_numpy())
    if not np.isfinite(logs).any():
        return [None] * len(rows)
    least, most = np.nanmin(logs), np.nanmax(logs)
    places = (
        (logs - least) / (most - least) if most > least else np.where(np.isnan(logs), logs, 0.5)
    )
    texts = [_interval(row) for row in _each(rows)]
    return [
        Bar(float(place[0]), float(place[1]), float(place[2]), text)
        if np.isfinite(place).all()
        else None
        for place, text in zip(places, texts, strict=True)
    ]


def _constant(cells: dict[str, list[str]]) -> list[str]:
    """Return the columns that are told once, in the caption; of numbers also those all unknown."""
    kept = {"#", METHOD, "seconds", "epochs", "digits", INTERVAL, "batch size"}
    same = [name for name, texts in cells.items() if len(set(texts)) == 1 and name not in kept]
    same += [name for name in ("seconds", "epochs") if set(cells[name]) == {"-"}]
    if cells["batch size"] and set(cells["batch size"]) == {"full"}:
        same.append("batch size")
    return same


def _caption(
    results: ResultTables, problem: str, rows: pd.DataFrame, cells: dict[str, list[str]]
) -> str:
    """Return in words what is the same in all rows, and what the rows are the best of."""
    own = results.trials[results.trials["problem"] == problem]
    told = {"reached": {"yes": "all", "no": "none"}, "batch size": {"full": "full batch"}}
    parts = []
    for name in _constant(cells):
        text = cells[name][0]
        reached = name.startswith("reached")
        words = told.get("reached" if reached else name, {})
        if (text and text != "-") or name in told:
            plain = text if name in {*_AXES.values(), SETTINGS} else f"{name} {text}"
            said = words.get(text, plain)
            if reached and text == "no" and not own_target(results):
                said = f"none reached {explained_share(str(rows['target'].iloc[0]))}"
            elif reached and text in words:
                said = f"{said} {name}"
            parts.append(said)
    seeds = sorted(set(own["seed"]))
    parts.append(f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds")
    if (repeats := len(set(own["repeat"]))) > 1:
        each = own[own["status"] != "skipped"].groupby(CELL, observed=True)["repeat"].nunique()
        parts.append(f"{'up to ' if each.min() < repeats else ''}{repeats} repeats")
    settings = ranked_settings(results)
    tried = int((settings["problem"] == problem).sum())
    if tried > len(rows):
        parts.append(f"the best setting of each method, of {tried} in all")
    if (rows["tier"] > NOT_TIMED).any() and (rows["tier"] <= NOT_TIMED).any():
        goal = share(str(rows["target"].iloc[0]))
        parts.append(f"costs to {goal} or, where that was not reached, of whole trials")
    return ", ".join(parts)
