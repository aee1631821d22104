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
    rows = table[table["problem"] == problem]
    if not (rows["pairs"] > 0).any():
        return
    baseline = rows.loc[rows["pairs"] > 0, "baseline"].iloc[0]
    rows = rows[rows["baseline"] == baseline]
    groups = {str(name): part for name, part in rows.groupby("optimizer", sort=False)}
    groups = {name: part for name, part in groups.items() if (part["pairs"] > 0).any()}
    first = next(iter(groups))
    parts = [f"{name}{_sized(part, name == first)} {_told(part)}" for name, part in groups.items()]
    found = {
        "baseline": baseline,
        "ratios": {name: _range(part) for name, part in groups.items()},
    }
    yield Sentence("ratio", f"Beside {baseline}, {several(parts, MOST)}.", problem, found)


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    return float(rows["ratio"].min()), float(rows["ratio"].max())


def _sized(part: pd.DataFrame, first: bool) -> str:
    """Return how an optimizer is compared, and the verb that the first one needs."""
    same = (part["batch_size"].notna() & part["baseline_batch_size"].notna()).any()
    return (" at the same batch size" if same else "") + (" takes" if first else "")


def _told(rows: pd.DataFrame) -> str:
    """Return the ratio of an optimizer with its interval, or the ratios' range and the verdicts."""
    made = rows[rows["pairs"] > 0]
    shaky = ", unstable" if made["unstable"].astype(bool).any() else ""
    if len(rows) == 1:
        return _one(rows.iloc[0], shaky)
    low, high = number(made["ratio"].min()), number(made["ratio"].max())
    ratio = f"{low} times its seconds" if low == high else f"{low} to {high} times its seconds"
    counts = made["verdict"].value_counts()
    kinds = [v for v in (FASTER, SLOWER, SAME, TOO_FEW) if v in counts]
    words = {TOO_FEW: "too few comparable pairs"}
    parts = [f"{words.get(kind, kind)} in {counts[kind]}" for kind in kinds]
    if len(made) < len(rows):
        parts.append(f"no pair ended alike in {len(rows) - len(made)}")
    if len(parts) == 1:
        said = words.get(kinds[0], kinds[0])
        return f"{ratio} ({said} in all {len(rows)} comparisons{shaky})"
    return f"{ratio} ({', '.join(parts)} of {len(rows)} comparisons{shaky})"


def _one(row: Any, shaky: str) -> str:
    ratio = f"{number(row['ratio'])} times its seconds"
    if row["verdict"] == TOO_FEW:
        return f"{ratio} (by {row['pairs']} comparable pair{'' if row['pairs'] == 1 else 's'} only)"
    ends = f"{ratio} [{number(row['low'])}, {number(row['high'])}]"
    said = (SAME if row["verdict"] == SAME else "") + shaky
    return f"{ends} ({said.removeprefix(', ')})" if said else ends
