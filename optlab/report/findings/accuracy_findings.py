"""Sentences on accuracy: the settings whose answers are nearest the minimiser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.findings.sentence import Sentence, describe_median, describe_setting
from optlab.report.views import View
from optlab.text import DIRECT

TIE = 0.3
"""Digits that are not told apart: a factor of two in the distance to the minimiser."""

NEAR = 1.0
"""With fewer digits no setting is called near the minimiser."""


def accuracy_findings(views: dict[str, View], problem: str, minimiser: str) -> Iterator[Sentence]:
    """Yield the setting nearest the minimiser, and the nearest iterative one where that is another.

    ``minimiser`` is what the reference's parameters are called: the optimum, where it is proven.
    """
    table = _with_seconds(views, problem)
    if table.empty:
        return
    most = table["digits"].max()
    yield _nearest("accuracy", table, views, minimiser)
    with_batches = table[table["batch"] != DIRECT]
    if most >= NEAR and with_batches["digits"].max() < most - TIE:
        yield _nearest("iterative accuracy", with_batches, views, minimiser)


def _with_seconds(views: dict[str, View], problem: str) -> pd.DataFrame:
    """Return a problem's cells with their digits, and their seconds where they were timed."""
    digits, seconds = views["digits"].table, views["seconds"].table
    rows = digits.loc[digits["problem"] == problem, [*CELL, "digits"]]
    costs = ["median", "low", "high", "timed"]
    rows = rows.merge(seconds[[*CELL, *costs]], on=CELL, how="left")
    return rows.astype(dict.fromkeys(costs, float))


def _nearest(kind: str, rows: pd.DataFrame, views: dict[str, View], minimiser: str) -> Sentence:
    """Return the sentence on which of some cells is nearest, and which are as near."""
    of = " of iterative methods" if kind != "accuracy" else ""
    most = rows["digits"].max()
    best = _fastest(rows[rows["digits"] == most])
    near = rows[rows["digits"] >= most - TIE]
    name = describe_setting(best, views)
    if most < NEAR:
        text = f"No {'iterative ' if of else ''}method got near {minimiser}: "
        if round(most, 1) == 0:
            text += "0.0 digits at best"
        else:
            text += f"the nearest, {name}, has {most:.1f} digits{_cost(best, ' after ')}"
    elif len(near) == len(rows) > 1:
        best = _fastest(near)
        text = f"All {len(rows)} settings{of} are equally near {minimiser}, within {TIE} digits "
        text += f"({_range(near['digits'])})"
        text += _cost(best, f"; {describe_setting(best, views)} has the lowest median seconds: ")
    else:
        text = f"Of iterative methods, {name} comes" if of else f"{name} is"
        text += f" nearest{'' if of else f' {minimiser}'}: {most:.1f} digits"
        text += _cost(best, " in ") + _as_near(best, near, views)
    fast = _fastest(near)
    numbers = {"cell": tuple(best[CELL]), "digits": float(best["digits"]), "near": len(near)}
    numbers |= {"most": float(most), "fastest": tuple(fast[CELL])}
    if np.isfinite(best["median"]):
        numbers |= {"seconds": float(best["median"]), "timed": int(best["timed"])}
    return Sentence(kind, f"{text}.", str(best["problem"]), numbers)


def _as_near(best: Any, near: pd.DataFrame, views: dict[str, View]) -> str:
    """Return the words on the settings as near as the nearest, and the fastest of them all."""
    others = near.drop(index=best.name)
    if others.empty:
        return ""
    fast = _fastest(near)
    if len(others) == 1:
        other = others.iloc[0]
        name = describe_setting(other, views)
        return f"; {name} is within {TIE} digits of it{_cost(other, ', in ')}"
    text = f"; {len(others)} others are within {TIE} digits of it"
    if fast.name == best.name:
        return text + (", none with lower median seconds" if np.isfinite(best["median"]) else "")
    name = describe_setting(fast, views)
    return text + _cost(fast, f", of which {name} has the lowest median seconds: ")


def _cost(row: Any, before: str) -> str:
    """Return a cell's seconds after some words, or nothing where it was not timed."""
    if not np.isfinite(row["median"]):
        return ""
    return before + describe_median(row["median"], row["low"], row["high"], int(row["timed"]))


def _range(digits: pd.Series[float]) -> str:
    low, high = f"{digits.min():.1f}", f"{digits.max():.1f}"
    return low if low == high else f"{low} to {high}"


def _fastest(rows: pd.DataFrame) -> Any:
    """Return the row of least median seconds; the first where none was timed."""
    return rows.iloc[int(np.argmin(rows["median"].fillna(np.inf)))]
