"""What to draw: tidy tables, computed from the results, that say nothing of ink."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from optlab.analysis.statistics import CELL

FLOOR = 1e-16
"""A suboptimality below this share of the start's is drawn at this share: it is rounding."""


def batch_size_order(sizes: Iterable[object]) -> list[object]:
    """Return batch sizes from the smallest to "full"; those that use none are left out."""
    known = {size for size in sizes if not pd.isna(size)}  # type: ignore[call-overload]
    numbers = sorted(size for size in known if isinstance(size, int | np.integer))
    return [*numbers, *(["full"] if "full" in known else [])]


def convergence(trials: pd.DataFrame, traces: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Return the medians over seeds and repeats of each cell's recorded iterates.

    Columns: the cell's, ``direct`` (whether the method uses no batches), ``epoch, samples,
    seconds``, and ``suboptimality`` relative to the start's, at least `FLOOR`.
    """
    chosen = trials.loc[trials["problem"] == problem, ["trial", *CELL]]
    joined = traces.merge(chosen, on="trial")
    joined = joined[np.isfinite(joined["suboptimality"])]
    start = joined[joined["epoch"] == 0].set_index("trial")["suboptimality"]
    relative = joined["suboptimality"] / joined["trial"].map(start).clip(lower=1e-300)
    joined = joined.assign(suboptimality=relative.clip(lower=FLOOR))
    columns = ["samples", "seconds", "suboptimality"]
    groups = joined.groupby([*CELL, "epoch"], sort=False, dropna=False)
    view: pd.DataFrame = groups[columns].median().reset_index()
    return view.assign(direct=view["batch_size"].isna())


def seconds(trials: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Return each cell's median seconds with the least and the most over seeds and repeats."""
    chosen = trials[(trials["problem"] == problem) & trials["seconds"].notna()]
    groups = chosen.groupby(CELL, sort=False, dropna=False)["seconds"]
    columns = {"median": groups.median(), "min": groups.min(), "max": groups.max()}
    view = pd.DataFrame(columns).reset_index()
    return view.assign(direct=view["batch_size"].isna())


def best_trials(trials: pd.DataFrame, problem: str) -> pd.DataFrame:
    """Return each optimizer's trial of least loss."""
    chosen = trials[(trials["problem"] == problem) & (trials["loss"].abs() < np.inf)]
    best = chosen.groupby("optimizer", sort=False)["loss"].idxmin()
    return chosen[chosen.index.isin(best)]
