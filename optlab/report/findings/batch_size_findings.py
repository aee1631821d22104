"""Sentences on the batch size: the one with the fewest steps, epochs and seconds to a target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import join_names, share
from optlab.text import DIRECT, cell_label, format_seconds, number

COSTS = ("steps", "epochs", "samples", "seconds")
"""The costs whose least batch sizes are named."""


def batch_size_findings(views: dict[str, View], problem: str, target: str) -> Iterator[Sentence]:
    """Yield for each optimizer the batch sizes that reach a target in least of each cost.

    Of the settings that reach it in every trial, where these are of several batch sizes, and where
    not one of these is the least in all. A cost that is not known of each of them is left out.
    """
    table = views["target"].table
    rows = table[(table["problem"] == problem) & (table["target"] == target)]
    there = rows[(rows["batch"] != DIRECT) & (rows["reached"] == rows["trials"])]
    several = [name for name in ("device", "dtype") if len(set(views["digits"].table[name])) > 1]
    others = [column for column in CELL if column not in {"problem", "batch"}]
    for key, cells in there.groupby(others, sort=False, observed=True):
        names = {column: str(value) for column, value in zip(others, key, strict=True)}
        best = {cost: _least(cells, cost) for cost in COSTS if cells[cost].notna().all()}
        if best and not set.intersection(*(set(sizes) for sizes, _ in best.values())):
            who = cell_label(names, ["optimizer", *several])
            numbers = {"target": target, **names, "sizes": len(cells)}
            yield _sentence(problem, who, numbers, best)


def _least(cells: pd.DataFrame, cost: str) -> tuple[list[str], float]:
    """Return the batch sizes of the least median cost, several where they tie, and that cost."""
    least = cells[cost].min()
    return [str(size) for size in cells.loc[cells[cost] == least, "batch"]], float(least)


def _sentence(
    problem: str,
    who: str,
    numbers: dict[str, Any],
    best: dict[str, tuple[list[str], float]],
) -> Sentence:
    parts = [
        f"the lowest median seconds at {join_names(sizes)} ({format_seconds(value)})"
        if cost == "seconds"
        else f"the fewest {cost} at {join_names(sizes)} ({number(value, 6)})"
        for cost, (sizes, value) in best.items()
    ]
    where = f"Of {numbers['sizes']} batch sizes at which {who} reaches {share(numbers['target'])}"
    numbers = numbers | {cost: (", ".join(sizes), value) for cost, (sizes, value) in best.items()}
    return Sentence("batch sizes", f"{where}: {', '.join(parts)}.", problem, numbers)
