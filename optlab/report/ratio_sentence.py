"""How the seconds of all others compare with those of the first optimizer, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from optlab.analysis.comparison import FASTER, SAME, SLOWER, TOO_FEW
from optlab.report.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import number, several

MOST = 4
"""Optimizers told of; the view has all."""


def beside_baseline(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield how many times the baseline's seconds the others take, and how sure that is.

    The baseline is the first optimizer that there is anything to compare with.
    """
    table = views["ratio"].table
    rows = table[(table["problem"] == problem) & (table["pairs"] > 0)]
    if rows.empty:
        return
    baseline = rows["baseline"].iloc[0]
    rows = rows[rows["baseline"] == baseline]
    groups = dict(iter(rows.groupby("optimizer", sort=False)))
    told = {str(name): _told(part) for name, part in groups.items()}
    first = next(iter(told))
    parts = [f"{name} takes {text}" if name == first else f"{name} {text}"
             for name, text in told.items()]  # fmt: skip
    found = {
        "baseline": baseline,
        "ratios": {
            str(name): (float(part["ratio"].min()), float(part["ratio"].max()))
            for name, part in groups.items()
        },
    }
    sized = " at the same batch size" if rows["batch_size"].notna().any() else ""
    text = f"Beside {baseline}{sized}, {several(parts, MOST)}."
    yield Sentence("ratio", text, problem, found)


def _told(rows: pd.DataFrame) -> str:
    """Return the ratios of one optimizer: the one with its interval, or their range, and verdicts.

    A plain verdict where all say the same; else how many of them.
    """
    if len(rows) == 1:
        return _one(rows.iloc[0])
    low, high = number(rows["ratio"].min()), number(rows["ratio"].max())
    ratio = f"{low} times its seconds" if low == high else f"{low} to {high} times its seconds"
    counts = rows["verdict"].value_counts()
    sure = len(rows) - int(counts.get(TOO_FEW, 0))
    if not sure:
        return f"{ratio} (too few repeats to say)"
    shown = [f"{v} in {counts[v]}" for v in (FASTER, SLOWER) if v in counts]
    return f"{ratio} ({' and '.join(shown)} of {sure})" if shown else f"{ratio} ({SAME})"


def _one(row: Any) -> str:
    ratio = f"{number(row['ratio'])} times its seconds"
    if row["verdict"] == TOO_FEW:
        return f"{ratio} ({TOO_FEW})"
    ends = f"{ratio} [{number(row['low'])}, {number(row['high'])}]"
    return f"{ends} ({SAME})" if row["verdict"] == SAME else ends
