"""What was found, in words made from the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.comparison import ratios
from optlab.analysis.statistics import CELL
from optlab.analysis.targets import time_to_target
from optlab.report.ratio_sentence import beside_baseline
from optlab.report.sentence import Sentence, place
from optlab.report.views import Outcome, View, headline
from optlab.report.words import duration, number, several, share

TIE = 0.3
"""Digits that are not told apart: a factor of two in the distance to the optimum."""

MOST_PROBLEMS = 3
"""Each of so many problems gets its own sentences; of more, the first ones do."""


def findings(results: Outcome, views: dict[str, View]) -> list[Sentence]:
    """Return what was found: who was right, who got there, who was first, on what."""
    said: list[Sentence] = []
    problems = list(results.problems)
    own = results.definition.get("target")
    target = headline(views["target"].table, own)
    for name in problems[:MOST_PROBLEMS]:
        said += _right(views, name)
        said += _nearest_with_batches(views, name)
        said += _reached(views, name, target, own=own)
        said += _first(results, views, name, target)
        said += beside_baseline(views, name)
        said += _devices(views, name)
    if not said:
        said = [Sentence("nothing", "No trial ended with an answer: there is nothing to compare.")]
    elif len(problems) > MOST_PROBLEMS:
        text = f"{len(problems)} problems in all: the filters show each one's charts and tables."
        said.append(Sentence("more", text))
    return said


def _interval(low: float, high: float) -> str:
    if not (np.isfinite(low) and np.isfinite(high)) or low == high:
        return ""
    return f" [{duration(low)}, {duration(high)}]"


def _right(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    table = views["digits"].table
    rows = table[table["problem"] == problem]
    if rows.empty:
        return
    near = rows[rows["digits"] >= rows["digits"].max() - TIE]
    best = _fastest(near, views["seconds"].table)
    others = [place(row, views) for label, row in near.iterrows() if label != best.name]
    what = f"is as near the optimum as any (with {several(others)})" if others else ""
    yield _digits("right", views, best, f"{place(best, views)} {what or 'is nearest the optimum'}")


def _nearest_with_batches(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield who of the methods with batches came nearest, where others came nearer."""
    table = views["digits"].table
    rows = table[table["problem"] == problem]
    with_batches = rows[rows["batch_size"].notna()]
    if with_batches.empty or with_batches["digits"].max() >= rows["digits"].max() - TIE:
        return
    near = with_batches[with_batches["digits"] >= with_batches["digits"].max() - TIE]
    best = _fastest(near, views["seconds"].table)
    others = [place(row, views) for label, row in near.iterrows() if label != best.name]
    beside = f" (with {several(others)})" if others else ""
    text = f"Of methods with batches, {place(best, views)} comes nearest{beside}"
    yield _digits("nearest with batches", views, best, text)


def _digits(kind: str, views: dict[str, View], best: Any, text: str) -> Sentence:
    """Return a sentence on a cell's digits and the seconds that they took."""
    found = {"cell": tuple(best[CELL]), "digits": float(best["digits"])}
    text += f": {best['digits']:.1f} digits"
    seconds = views["seconds"].table.merge(best[CELL].to_frame().T.astype(object), on=CELL)
    if len(seconds):
        one = seconds.iloc[0]
        found["seconds"] = float(one["median"])
        text += f" in {duration(one['median'])}{_interval(one['low'], one['high'])}"
    return Sentence(kind, text + ".", str(best["problem"]), found)


def _fastest(rows: pd.DataFrame, timed: pd.DataFrame) -> Any:
    """Return the row of least median seconds; the first where none was timed."""
    seconds = rows[CELL].merge(timed[[*CELL, "median"]], on=CELL, how="left")["median"]
    return rows.iloc[int(np.argmin(seconds.astype(float).fillna(np.inf)))]


def _reached(
    views: dict[str, View], problem: str, target: str, *, own: float | None
) -> Iterator[Sentence]:
    table = views["target"].table
    with_batches = table[(table["problem"] == problem) & table["batch_size"].notna()]
    rows = with_batches[with_batches["target"] == target]
    settings = with_batches[CELL].drop_duplicates()
    if settings.empty:
        return
    good = int((rows["reached"] == rows["trials"]).sum())
    some = int(((rows["reached"] > 0) & (rows["reached"] < rows["trials"])).sum())
    how = f"come down to {share(target)} of the starting suboptimality"
    if own and float(target) == own:
        how = f"reach the experiment's target, {share(target)} of the starting suboptimality,"
    text = f"{good} of {len(settings)} settings of methods with batches {how} in every trial"
    text += f", {some} in some." if some else "."
    found = {"target": target, "good": good, "some": some, "settings": len(settings)}
    yield Sentence("reached", text, problem, found)


def _first(
    results: Outcome, views: dict[str, View], problem: str, target: str
) -> Iterator[Sentence]:
    table = views["target"].table
    rows = table[(table["problem"] == problem) & (table["target"] == target)]
    rows = rows[rows["batch_size"].notna() & (rows["reached"] == rows["trials"])]
    rows = rows[rows["seconds"].notna()].sort_values("seconds", kind="stable")
    if rows.empty:
        return
    best = rows.iloc[0]
    found = {"target": target, "cell": tuple(best[CELL]), "seconds": float(best["seconds"])}
    found["epochs"] = float(best["epochs"])
    text = (
        f"{place(best, views)} has the lowest median seconds to {share(target)} among them: "
        f"{duration(best['seconds'])}{_interval(best['low'], best['high'])}, "
        f"{number(best['epochs'])} epochs"
    )
    if len(rows) > 1:
        told, more = _beside(results, best, rows.iloc[1], target)
        text += f"; {place(rows.iloc[1], views)} takes {told}"
        found |= more
    yield Sentence("first", text + ".", problem, found)
    same = rows[(rows["optimizer"] == best["optimizer"]) & (rows["device"] == best["device"])]
    same = same[same["dtype"] == best["dtype"]]
    slow = same.iloc[-1]
    if len(same) > 1 and tuple(map(str, slow[CELL])) != tuple(map(str, rows.iloc[1][CELL])):
        told, more = _beside(results, best, slow, target, of=f"batch size {best['batch_size']}")
        needs = f"{place(slow, views)} needs {number(slow['epochs'])} epochs for {share(target)}"
        text = f"{needs}, {told}."
        found = {"target": target, "cell": tuple(slow[CELL]), "epochs": float(slow["epochs"])}
        yield Sentence("batch size", text, problem, found | more)


def _beside(
    results: Outcome, best: Any, other: Any, target: str, of: str = ""
) -> tuple[str, dict[str, Any]]:
    """Return how many times the best's seconds another needs, paired by seed and repeat."""
    pairs = paired_ratio(results.trials, results.traces, best, other, float(target))
    ratio, low, high = pairs["ratio"], pairs["ratio_low"], pairs["ratio_high"]
    found = {"ratio": ratio, "low": low, "high": high, "verdict": pairs["verdict"]}
    text = f"{number(ratio)} times the seconds" + (f" of {of}" if of else "")
    if np.isfinite(low):
        text += f" [{number(low)}, {number(high)}]"
        return (text + ", no difference shown" if low <= 1 <= high else text), found
    return text + " (too few repeats for an interval)", found


def paired_ratio(
    trials: pd.DataFrame, traces: pd.DataFrame, best: Any, other: Any, target: float
) -> dict[str, Any]:
    """Return the ratio of two cells' seconds to a target, with its interval and verdict."""
    sides = []
    for name, cell in (("best", best), ("other", other)):
        same = np.logical_and.reduce([trials[c].map(str) == str(cell[c]) for c in CELL])
        chosen = trials[same]
        times = time_to_target(chosen, traces[traces["trial"].isin(chosen["trial"])], target)
        times = times[times["reached"]].assign(optimizer=name, batch_size="full", device="",
                                               dtype="", status="converged")  # fmt: skip
        sides.append(times)
    row = ratios(pd.concat(sides, ignore_index=True), "best").iloc[0]
    return {str(name): value for name, value in row.items()}


def _devices(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield where a device is the fastest throughout, and where another takes over for good."""
    table = views["crossover"].table
    rows = table[(table["problem"] == problem) & table["fastest"].astype(bool)]
    rows = rows[rows["batch_size"].notna()]
    several_dtypes = len(set(table["dtype"])) > 1
    said: dict[str, list[str]] = {}
    for (optimizer, dtype), same in rows.groupby(["optimizer", "dtype"], sort=False):
        name = f"{optimizer} in {dtype}" if several_dtypes else str(optimizer)
        turns = same[same["crossover"].astype(bool)]
        first = same["device"].iloc[0]
        if turns.empty:
            text = f"{first} has the lowest median seconds wherever several devices answered"
        elif len(turns) == 1:
            turn = turns.iloc[0]
            text = f"{turn['device']} has the lowest median seconds from batch size "
            text += f"{turn['batch_size']} on"
        else:
            text = "which device is the fastest goes to and fro with the batch size"
        said.setdefault(text, []).append(name)
    for text, names in said.items():
        yield Sentence(
            "device",
            f"For {several(names)}, {text}.",
            problem,
            {"optimizers": names},
        )
