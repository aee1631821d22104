"""How the suboptimality falls along a trial."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL
from optlab.report.views.view import Axis, View
from optlab.text import DIRECT

FLOOR = 1e-16
"""A suboptimality below this share of the start's is drawn at this share: it is rounding."""

MOST_EPOCHS = 150
"""Of a cell's recorded epochs at most so many are drawn, evenly spread; the last always."""


def convergence(
    trials: pd.DataFrame, traces: pd.DataFrame, problem: str | None = None
) -> pd.DataFrame:
    """Return the medians over seeds and repeats of each cell's recorded iterates.

    A trial that has ended counts on with its last iterate, so that a median is always over all of
    the cell's trials. Columns: the cell's, ``direct`` (whether the method uses no batches),
    ``epoch, samples, seconds``, ``suboptimality`` relative to the start's, at least `FLOOR`, with
    ``low`` and ``high``, the least and the most over the trials.
    """
    chosen = trials if problem is None else trials[trials["problem"] == problem]
    cells = chosen.groupby(CELL, sort=False, observed=True)
    chosen = chosen[["trial"]].assign(cell=cells.ngroup())
    rows = _relative(traces).merge(chosen, on="trial")
    if rows.empty:
        return pd.DataFrame(columns=[*CELL, "direct", "epoch", "samples", "seconds", *_BAND])
    full = _filled(rows)
    groups = full.groupby(["cell", "epoch"])
    view = groups[["samples", "seconds", "suboptimality"]].median()
    view[["low", "high"]] = groups["suboptimality"].agg(["min", "max"])
    names = trials.loc[[group[0] for group in cells.groups.values()], CELL].reset_index(drop=True)
    view = view.reset_index()
    named = names.iloc[view["cell"]].reset_index(drop=True)
    view = pd.concat([named, view.drop(columns="cell")], axis=1)
    view = view[np.isfinite(view["suboptimality"])]
    view["direct"] = view["batch"] == DIRECT
    table: pd.DataFrame = view.reset_index(drop=True)
    return table


_BAND = ["suboptimality", "low", "high"]


def _relative(traces: pd.DataFrame) -> pd.DataFrame:
    """Return the traces with the suboptimality as a share of the start's."""
    start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
    share = traces["suboptimality"] / traces["trial"].map(start).clip(lower=1e-300)
    columns = ["trial", "epoch", "samples", "seconds"]
    rows = traces[columns].assign(suboptimality=share.fillna(np.inf).clip(lower=FLOOR))
    judged: pd.DataFrame = rows[np.isfinite(traces["trial"].map(start))]
    return judged


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial at each epoch its cell has, the last known one carried on."""
    epochs = rows[["cell", "epoch"]].drop_duplicates().sort_values(["cell", "epoch"])
    place = epochs.groupby("cell").cumcount()
    last = epochs.groupby("cell")["epoch"].transform("size") - 1
    step = np.ceil((last + 1) / MOST_EPOCHS)
    epochs = epochs[(place % step == 0) | (place == last)]
    wanted = rows[["cell", "trial"]].drop_duplicates().merge(epochs, on="cell")
    known = rows.drop(columns="cell").sort_values("epoch")
    full: pd.DataFrame = pd.merge_asof(wanted.sort_values("epoch"), known, on="epoch", by="trial")
    return full


def view(trials: pd.DataFrame, traces: pd.DataFrame) -> View:
    """Return the view of convergence on every problem."""
    return View(
        key="convergence",
        title="Convergence",
        question="Who got there, and along which way?",
        how="Loss minus the optimum's loss, as a share of what it was at the start; 1e-16 stands "
        "for anything below. Lines are medians over seeds and repeats, bands reach from the least "
        "to the most. Methods that answer at once are horizontal lines.",
        kind="lines",
        table=convergence(trials, traces),
        x=(
            Axis("epoch", "epochs", scale="log", other="linear"),
            Axis("samples", "samples touched", scale="log", other="linear"),
            Axis("seconds", "seconds of work", "s", scale="log", other="linear"),
        ),
        y=(
            Axis(
                "suboptimality",
                "suboptimality (share of the start's)",
                scale="log",
                other="linear",
                low="low",
                high="high",
            ),
        ),
        missing="No trial recorded a finite loss.",
    )
