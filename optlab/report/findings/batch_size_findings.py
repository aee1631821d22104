"""Sentences on the batch size: the one with the fewest steps, epochs and seconds to a target."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import share
from optlab.text import DIRECT, format_seconds, number

COSTS = ("steps", "epochs", "samples", "seconds")
"""The costs whose least batch sizes are named."""


def batch_size_findings(views: dict[str, View], problem: str, target: str) -> Iterator[Sentence]:
    """Yield for each optimizer the batch sizes that reach a target in least of each cost.

    Of the settings that reach it in every trial, where these are of several batch sizes, and where
    not one of these is the least in all.
    """
    table = views["target"].table
    rows = table[(table["problem"] == problem) & (table["target"] == target)]
    there = rows[(rows["batch"] != DIRECT) & (rows["reached"] == rows["trials"])]
    others = [column for column in CELL if column not in {"problem", "batch"}]
    for key, cells in there.groupby(others, sort=False, observed=True):
        names = {column: str(value) for column, value in zip(others, key, strict=True)}
        best = {cost: _least(cells, cost) for cost in COSTS if cells[cost].notna().any()}
        if len({size for size, _ in best.values()}) > 1:
            yield _sentence(problem, target, names, best, len(cells))


def _least(cells: pd.DataFrame, cost: str) -> tuple[str, float]:
    """Return the batch size of the least median cost, and that cost."""
    row = cells.sort_values(cost, kind="stable").iloc[0]
    return str(row["batch"]), float(row[cost])


def _sentence(
    problem: str,
    target: str,
    names: dict[str, str],
    best: dict[str, tuple[str, float]],
    sizes: int,
) -> Sentence:
    parts = [
        f"the lowest median seconds at {size} ({format_seconds(value)})"
        if cost == "seconds"
        else f"the fewest {cost} at {size} ({number(value, 6)})"
        for cost, (size, value) in best.items()
    ]
    where = f"Of {sizes} batch sizes at which {names['optimizer']} reaches {share(target)}"
    numbers = {"target": target, **names, **best}
    return Sentence("batch sizes", f"{where}: {', '.join(parts)}.", problem, numbers)
