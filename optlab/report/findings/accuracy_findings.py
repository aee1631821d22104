"""Who was right, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.findings.sentence import Sentence, measured, place
from optlab.report.views import View
from optlab.report.words import every
from optlab.text import DIRECT

TIE = 0.3
"""Digits that are not told apart: a factor of two in the distance to the optimum."""

NEAR = 1.0
"""With fewer digits nobody is called near the optimum."""


def who_was_right(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield who is nearest the optimum, and of methods with batches where others are nearer."""
    table = _timed(views, problem)
    if table.empty:
        return
    most = table["digits"].max()
    yield _nearest("right", table, views)
    with_batches = table[table["batch"] != DIRECT]
    if most >= NEAR and with_batches["digits"].max() < most - TIE:
        yield _nearest("nearest with batches", with_batches, views)


def _timed(views: dict[str, View], problem: str) -> pd.DataFrame:
    """Return a problem's cells with their digits, and their seconds where they were timed."""
    digits, seconds = views["digits"].table, views["seconds"].table
    rows = digits.loc[digits["problem"] == problem, [*CELL, "digits"]]
    costs = ["median", "low", "high", "timed"]
    rows = rows.merge(seconds[[*CELL, *costs]], on=CELL, how="left")
    return rows.astype(dict.fromkeys(costs, float))


def _nearest(kind: str, rows: pd.DataFrame, views: dict[str, View]) -> Sentence:
    """Return who of some cells is nearest the optimum, and who is as near."""
    with_batches = kind != "right"
    most = rows["digits"].max()
    best = _fastest(rows[rows["digits"] == most])
    near = rows[rows["digits"] >= most - TIE]
    name = place(best, views)
    if most < NEAR:
        who = "method with batches" if with_batches else "method"
        text = f"No {who} got near the optimum: "
        if round(most, 1) == 0:
            text += "0.0 digits at best"
        else:
            text += f"the nearest, {name}, has {most:.1f} digits{_cost(best, ' after ')}"
    elif len(near) == len(rows) > 1:
        fast = best = _fastest(near)
        who = "settings of methods with batches" if with_batches else "settings"
        text = f"{every(len(rows), who).capitalize()} are equally near the optimum, within {TIE} "
        text += f"digits ({_span(near['digits'])})"
        text += _cost(fast, f"; {place(fast, views)} has the lowest median seconds: ")
    else:
        text = f"Of methods with batches, {name} comes" if with_batches else f"{name} is"
        text += f" nearest{'' if with_batches else ' the optimum'}: {most:.1f} digits"
        text += _cost(best, " in ") + _as_near(best, near, views)
    numbers = {"cell": tuple(best[CELL]), "digits": float(best["digits"]), "near": len(near)}
    if np.isfinite(best["median"]):
        numbers["seconds"] = float(best["median"])
    return Sentence(kind, f"{text}.", str(best["problem"]), numbers)


def _as_near(best: Any, near: pd.DataFrame, views: dict[str, View]) -> str:
    """Return who else is as near as the nearest, and who of them all is the fastest."""
    others = near.drop(index=best.name)
    if others.empty:
        return ""
    fast = _fastest(near)
    if len(others) == 1:
        other = others.iloc[0]
        return f"; {place(other, views)} is within {TIE} digits of it{_cost(other, ', in ')}"
    text = f"; {len(others)} others are within {TIE} digits of it"
    if fast.name == best.name:
        return text + (", none with lower median seconds" if np.isfinite(best["median"]) else "")
    return text + _cost(fast, f", of which {place(fast, views)} has the lowest median seconds: ")


def _cost(row: Any, before: str) -> str:
    """Return a cell's seconds after some words, or nothing where it was not timed."""
    if not np.isfinite(row["median"]):
        return ""
    return before + measured(row["median"], row["low"], row["high"], int(row["timed"]))


def _span(digits: pd.Series[float]) -> str:
    low, high = f"{digits.min():.1f}", f"{digits.max():.1f}"
    return low if low == high else f"{low} to {high}"


def _fastest(rows: pd.DataFrame) -> Any:
    """Return the row of least median seconds; the first where none was timed."""
    return rows.iloc[int(np.argmin(rows["median"].fillna(np.inf)))]
