"""The rows of the table of two results' differences, as text: one a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from optlab.analysis.common_cells import SETTING
from optlab.analysis.judge_pairs import NOT_COMPARED
from optlab.analysis.run_differences import DIFFERENCES, METRICS, NOT_JUDGED, RunDifferences
from optlab.report.words import format_ratio
from optlab.text import DIRECT, cell_label, number

HEADINGS = {"epochs": "epochs", "seconds": "new / old seconds", "suboptimality": "suboptimality"}
"""The headings of the metrics' columns."""


class DiffRows(NamedTuple):
    """The headings and the rows; the regressions come first, then the other differences.

    ``differ`` is how many rows at the beginning differ.
    """

    headings: list[str]
    rows: list[list[str]]
    differ: int


def setting_labels(
    diff: RunDifferences, cells: pd.DataFrame, columns: Sequence[str] = ("optimizer", "batch")
) -> list[str]:
    """Return cells in words, with further columns in which the cells of these results differ."""
    every = pd.concat([diff.table[SETTING], diff.only_old, diff.only_new])
    several = [name for name in ("device", "dtype") if len(set(every[name])) > 1]
    orders, problems = set(every["order"]) - {""}, every["problem"].nunique()
    found = []
    for row in cells.to_dict("records"):
        text = cell_label(row, [*columns, *several])
        text += f" on {row['problem']}" if problems > 1 else ""
        found.append(f"{text}, order {row['order']}" if len(orders) > 1 and row["order"] else text)
    return found


def labels_by_cell(diff: RunDifferences) -> dict[Any, str]:
    """Return the settings of the differences' table in words, by the number of their cell."""
    first = diff.table.drop_duplicates("cell")
    return dict(zip(first["cell"], setting_labels(diff, first), strict=True))


def diff_rows(diff: RunDifferences) -> DiffRows:
    """Return the table's texts."""
    groups = [own for _, own in diff.table.groupby("cell", sort=False)]
    ranks = [_rank(own) for own in groups]
    metrics = [m for m in METRICS if (diff.table["metric"] == m).any()]
    labels = setting_labels(diff, diff.table.drop_duplicates("cell"), ["optimizer"])
    batches = [str(own["batch"].iloc[0]).replace(DIRECT, "-") for own in groups]
    rows = [
        [labels[n], batches[n], *(_number(groups[n], m) for m in metrics), _verdict(groups[n])]
        for n in sorted(range(len(groups)), key=ranks.__getitem__)
    ]
    headings = ["optimizer", "batch size", *(HEADINGS[m] for m in metrics), "difference"]
    return DiffRows(headings, rows, sum(rank < 2 for rank in ranks))


def _rank(cell: pd.DataFrame) -> int:
    """Return 0 for a regression, 1 for another difference, 2 for none."""
    if cell["regression"].any():
        return 0
    return 1 if cell["verdict"].isin(DIFFERENCES).any() else 2


def _number(cell: pd.DataFrame, metric: str) -> str:
    row = cell[cell["metric"] == metric].iloc[0]
    if row["verdict"] == NOT_COMPARED:
        return "-"
    if metric == "seconds":
        ends = [row["ratio_low"], row["ratio_high"]]
        interval = " [{}, {}]".format(*map(_short, ends)) if np.isfinite(ends).all() else ""
        return f"{_short(row['ratio'])}{interval}"
    texts = [reached(row[side], metric) for side in ("old", "new")]
    return texts[0] if texts[0] == texts[1] else " -> ".join(texts)


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else format_ratio(ratio)


def reached(value: float, metric: str) -> str:
    """Return epochs, or a suboptimality, in words; epochs are inf where a target is not reached.

    Examples
    --------
    >>> reached(120.0, "epochs"), reached(np.inf, "epochs"), reached(0.00123456, "suboptimality")
    ('120', 'never', '0.0012')
    """
    if np.isinf(value):
        return "never"
    return number(value, 6 if metric == "epochs" else 2)


def _verdict(cell: pd.DataFrame) -> str:
    """Return the differences that are shown, each with its metric; or why there is none."""
    shown = cell[cell["verdict"].isin(DIFFERENCES)]
    if len(shown):
        words = shown.groupby("verdict", sort=False)["metric"].agg(", ".join)
        return "; ".join(f"{verdict}: {metrics}" for verdict, metrics in words.items())
    compared = ~cell["verdict"].isin([NOT_COMPARED, NOT_JUDGED])
    return "none shown" if compared.any() else NOT_COMPARED


def describe_difference(row: Any) -> str:
    """Return a row of the differences' table in words, without its setting.

    Examples
    --------
    >>> ends = {"ratio": 1.2, "ratio_low": 1.18, "ratio_high": 1.22}
    >>> describe_difference(ends | {"metric": "epochs", "old": 10.0, "new": 12.0})
    'needs 1.20 times the epochs [1.18, 1.22] (10, now 12)'
    """
    metric = row["metric"]
    if metric == "status":
        return f"was {row['message']}"
    ends = [row["ratio_low"], row["ratio_high"]]
    interval = " [{}, {}]".format(*map(format_ratio, ends)) if np.isfinite(ends).all() else ""
    values = [reached(row[side], metric) for side in ("old", "new")]
    if metric == "seconds":
        return f"takes {format_ratio(row['ratio'])} times the seconds{interval}"
    if metric == "epochs" and "never" in values:
        before = (
            "never" if values[0] == "never" else f"after {values[0]} epoch{'s' * (row['old'] != 1)}"
        )
        return f"reached the target {before}, now {values[1]}"
    verb = (
        "needs {} times the epochs" if metric == "epochs" else "ends at {} times the suboptimality"
    )
    return f"{verb.format(format_ratio(row['ratio']))}{interval} ({values[0]}, now {values[1]})"
