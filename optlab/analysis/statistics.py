"""Summaries over repeats and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.intervals import median_ranks

CELL = ["problem", "optimizer", "batch", "device", "dtype"]
"""The columns that name what was compared; seeds and repeats are samples of one cell."""

ENDED_WELL = ("finished", "converged")
"""The statuses of trials whose seconds are those of a whole solve."""

CROWDED_ABOVE = 0.25
"""Trials that were short of more cores than this are marked crowded."""

UNSTABLE_ABOVE = 0.1
"""Repeats whose IQR is more than this share of their median are marked unstable."""

_MEDIANS = [
    "epochs",
    "samples",
    "transfer_seconds",
    "first_pass_seconds",
    "seconds",
    "loss",
    "suboptimality",
    "parameter_error",
    "gradient_norm",
    "peak_bytes",
]
_MADE = ["epochs", "samples"]
_SECONDS = ["transfer_seconds", "first_pass_seconds", "seconds"]


def timed(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials' seconds may be ranked: those that ended well and ran alone."""
    return trials["status"].isin(ENDED_WELL) & ~trials["contended"].astype(bool)


def cell_numbers(trials: pd.DataFrame, *more: str) -> pd.Series[int]:
    """Return the number of each trial's cell, from 0 in order of appearance.

    ``more`` names further columns that tell cells apart.
    """
    return trials.groupby([*CELL, *more], sort=False, observed=True).ngroup()


def by_cell(table: pd.DataFrame, column: str, *more: str, **how: str) -> pd.DataFrame:
    """Return a row for each cell (and values of ``more``) with a column aggregated."""
    groups = table.groupby([*CELL, *more], sort=False, observed=True)[column]
    table = groups.agg(**how).reset_index()  # type: ignore[call-overload]
    return pd.DataFrame(table)


def summary(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell: its trials, statuses, medians, and how sure its seconds are.

    Parameters
    ----------
    trials
        The table of trials.

    Returns
    -------
    pandas.DataFrame
        The cell's columns, its ``batch_size`` and hyperparameters, then

        - ``trials``; ``status``, counted where they differ (``"4 finished, 1 diverged"``); and
          ``message``, the first of those that did not end well, or the first at all;
        - medians over repeats and seeds: ``epochs, samples, transfer_seconds, first_pass_seconds,
          seconds, loss, suboptimality, parameter_error, gradient_norm`` over the trials that got as
          far, and ``peak_bytes`` over those that it was measured of;
        - ``timed``: how many trials' seconds (and transfer and first pass) entered. Only those of
          trials that finished or converged do, and never those that ran beside others; where none
          is left they are NaN;
        - ``seconds_low, seconds_high, seconds_coverage``: the interval of the median and the share
          of experiments in which it covers, at least 95 % from six timed trials on, less below.
          NaN for one;
        - ``cores_short``: the most over the timed trials: by how many cores their threads and what
          other processes used exceeded the machine;
        - ``spread``: IQR / median of the seconds over repeats, the median over seeds; NaN where no
          seed was repeated. ``unstable``: whether it is over 10 %;
        - ``contended``: whether any trial ran beside others.

    Notes
    -----
    The interval's ends are order statistics chosen by their exact coverage (see
    `optlab.analysis.intervals.median_ranks`). The percentile bootstrap of a median is made of the
    same order statistics: at three and at five repeats it too is the least and the most, and at
    seven, where it takes the second from either end, it covers 87.5 %. No random numbers enter.

    It covers the median of further repeats of these seeds on this machine in this state: what would
    vary if the experiment were run again at once. It says nothing of other seeds, other machines or
    another day, and takes repeats as independent; interleaving them is what makes that reasonable.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> results = ol.compare(problem, [ol.ManualSGD(0.1), ol.Lstsq()], epochs=20, repeats=6)
    >>> summary(results.trials)[["optimizer", "trials", "status", "timed", "seconds_coverage"]]
       optimizer  trials    status  timed  seconds_coverage
    0  ManualSGD       6  finished      6           0.96875
    1      Lstsq       6  finished      6           0.96875
    """
    cell = cell_numbers(trials)
    table = trials.assign(timed=timed(trials), contended=trials["contended"].astype(bool))
    table[_SECONDS] = table[_SECONDS].astype(float).where(table["timed"])
    ran = table["status"].isin(ENDED_WELL) | (table["epochs"] > 0) | table["loss"].notna()
    table[_MADE] = table[_MADE].astype(float).where(ran)
    table["peak_bytes"] = pd.to_numeric(table["peak_bytes"], errors="coerce").astype(float)
    by_cell = table.groupby(cell)
    own = [c for c in trials if c == "batch_size" or str(c).startswith("hp_")]
    rows = trials.loc[~cell.duplicated(), [*CELL, *own]].reset_index(drop=True)
    rows["trials"] = by_cell.size()
    rows["status"] = _status(table["status"], cell)
    rows["message"] = _message(table, cell)
    rows[_MEDIANS] = by_cell[_MEDIANS].median()
    rows["timed"] = table["seconds"].groupby(cell).count()
    rows[["seconds_low", "seconds_high", "seconds_coverage"]] = _interval(table["seconds"], cell)
    rows["spread"] = spread(table["seconds"], cell, table["seed"])
    rows["unstable"] = rows["spread"] > UNSTABLE_ABOVE
    rows["contended"] = by_cell["contended"].any()
    rows["cores_short"] = table["cores_short"].where(table["timed"]).groupby(cell).max()
    return rows


def spread(seconds: pd.Series[float], cell: pd.Series[int], seed: pd.Series[int]) -> pd.Series[Any]:
    """Return IQR / median over the repeats of each seed, then the median over a cell's seeds.

    NaN seconds are left out, and seeds with fewer than two others. Indexed by the cell's number.
    """
    groups = seconds.groupby([cell.rename("cell"), seed.rename("seed")])
    relative = (groups.quantile(0.75) - groups.quantile(0.25)) / groups.median()
    return relative.where(groups.count() > 1).groupby(level="cell").median()


def _interval(seconds: pd.Series[float], cell: pd.Series[int]) -> np.ndarray[Any, Any]:
    """Return low, high and coverage for each cell's median, cells in the order of their numbers."""
    kept = seconds.notna()
    values, cells = seconds[kept].to_numpy(), cell[kept].to_numpy()
    ordered = values[np.lexsort((values, cells))]
    counts = np.bincount(cells, minlength=cell.max() + 1 if len(cell) else 0)
    ends = np.cumsum(counts)
    rows = np.full((counts.size, 3), np.nan)
    for n in np.unique(counts[counts > 1]):
        k, coverage = median_ranks(int(n))
        chosen = np.flatnonzero(counts == n)
        last = ends[chosen] - 1
        rows[chosen, 0] = ordered[last - n + k]
        rows[chosen, 1] = ordered[last - k + 1]
        rows[chosen, 2] = coverage
    return rows


def _status(status: pd.Series[str], cell: pd.Series[int]) -> pd.Series[str]:
    """Return each cell's statuses, the most frequent first, with their counts where they differ."""
    counts = status.groupby([cell.rename("cell"), status], sort=False).size().rename("count")
    table = counts.reset_index().sort_values("count", ascending=False, kind="stable")
    several = table["cell"].duplicated(keep=False)
    numbered = table["count"].astype(str) + " " + table["status"]
    return numbered.where(several, table["status"]).groupby(table["cell"]).agg(", ".join)


def _message(table: pd.DataFrame, cell: pd.Series[int]) -> pd.Series[str]:
    """Return each cell's first message of a trial that did not end well, or the first at all."""
    well = table["status"].isin(ENDED_WELL)
    order = well.sort_values(kind="stable").index
    return table["message"].loc[order].groupby(cell.loc[order]).first()
