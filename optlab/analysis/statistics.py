"""Summaries over repeats and seeds."""

from __future__ import annotations

import pandas as pd

CELL = ["problem", "optimizer", "batch_size", "device", "dtype"]
"""The columns that name what was compared; seeds and repeats are samples of one cell."""

_MEDIANS = [
    "epochs",
    "first_pass_seconds",
    "seconds",
    "loss",
    "suboptimality",
    "parameter_error",
    "gradient_norm",
]


def summary(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell: its trials, statuses, and medians over repeats and seeds.

    ``status`` counts where they differ (``"4 finished, 1 diverged"``); ``message`` is the first of
    those that did not end well, or the first at all.
    """
    groups = trials.groupby(CELL, sort=False, dropna=False)
    rows = []
    for key, cell in groups:
        row = dict(zip(CELL, key, strict=True))
        row |= {"trials": len(cell), "status": _status(cell), "message": _message(cell)}
        row |= {column: cell[column].median() for column in _MEDIANS}
        rows.append(row)
    return pd.DataFrame(rows)


def _status(cell: pd.DataFrame) -> str:
    counts = cell["status"].value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _message(cell: pd.DataFrame) -> str:
    bad = cell[~cell["status"].isin(["finished", "converged"])]
    return str((cell if bad.empty else bad)["message"].iloc[0])
