"""Pair the trials of two results by seed and repeat: their seconds, suboptimality and status."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from optlab.analysis.intervals import Floats
from optlab.analysis.statistics import ENDED_WELL, in_sweep

LEAST_CELLS = 3
"""With fewer cells timed, the drift of the machine cannot be told from a change of one of them."""

_FACTS = ["trial", "status", "seconds", "epochs", "suboptimality", "contended", "shared", "message"]


def trial_pairs(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each trial of a cell, seed and repeat that both results have.

    ``cell, seed, repeat, problem, device, dtype``, and of each of the two, with ``_old`` and
    ``_new``: ``trial, status, seconds, epochs, suboptimality, contended, shared, message``.
    """
    key = ["cell", "seed", "repeat"]
    sides = [table.assign(shared=in_sweep(table)) for table in (old, new)]
    where = ["problem", "device", "dtype"]
    return sides[1][[*key, *where, *_FACTS]].merge(
        sides[0][[*key, *_FACTS]], on=key, suffixes=("_new", "_old")
    )


def second_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds of pairs that both ended well and alike, and ran alone.

    Two runs are made at two times, and the machine may be slower in one of them, for a while or as
    a whole. This drift is the median, over the cells of a device, of the log ratios of the same
    repeat, of the seconds an epoch; it is taken from each. So a cell is compared with the median
    cell, which is taken as unchanged. Of fewer than 3 cells it is not known, and 0.

    Returns
    -------
    pandas.DataFrame
        ``cell, old, new, log_ratio`` (less the drift), ``drift`` (a logarithm, NaN where it is not
        known), and ``left_out``: why a pair has no ratio, or empty.
    """
    both = {name: pairs[[f"{name}_old", f"{name}_new"]] for name in _FACTS}
    seconds = both["seconds"].to_numpy(float)
    reasons = {
        "did not end with an answer": ~both["status"].isin(ENDED_WELL).all(axis=1),
        "ran beside others": both["contended"].astype(bool).any(axis=1),
        "ran in a sweep": both["shared"].astype(bool).any(axis=1),
        "reached stop_at in one of the two only": pairs["status_old"] != pairs["status_new"],
        "took no time the clock could see": ~(seconds > 0).all(axis=1),
        "is the same trial in both": seconds[:, 0] == seconds[:, 1],
    }
    left_out = np.select(list(reasons.values()), list(reasons), default="")
    counts = left_out == ""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(seconds[:, 1] / seconds[:, 0])
        epochs = np.maximum(both["epochs"].to_numpy(float), 1)
        an_epoch = log_ratio - np.log(epochs[:, 1] / epochs[:, 0])
    found = pairs[["cell", "device", "repeat"]].assign(
        old=seconds[:, 0], new=seconds[:, 1], log_ratio=np.where(counts, log_ratio, np.nan),
        an_epoch=np.where(counts, an_epoch, np.nan), left_out=left_out,
    )  # fmt: skip
    found["drift"] = _drift(found)
    found["log_ratio"] -= found["drift"].fillna(0)
    return found.drop(columns=["device", "repeat", "an_epoch"])


def _drift(pairs: pd.DataFrame) -> pd.Series[float]:
    """Return each pair's drift: the median over cells, of whose seeds the median counts."""
    repeat = [pairs["device"], pairs["repeat"]]
    by_cell = pairs.groupby(["device", "repeat", "cell"])["an_epoch"].median()
    groups = by_cell.groupby(level=["device", "repeat"])
    drift = groups.median().where(groups.count() >= LEAST_CELLS)
    keys = pd.MultiIndex.from_arrays(repeat)
    return pd.Series(drift.reindex(keys).to_numpy(float), index=pairs.index)


def suboptimality_pairs(
    pairs: pd.DataFrame, start_loss: pd.Series[float], limit: pd.Series[float], *, same_budget: bool
) -> pd.DataFrame:
    """Return the suboptimality at the end, a row for each cell and seed.

    Repeats of a seed end alike: their median counts. Pairs that both reached ``stop_at`` are left
    out, which their epochs tell apart; where one did, it counts as having ended at the limit. What
    is below the rounding of the trial's dtype, eps times the loss of the start (64 times float64's,
    as losses are evaluated in it), counts as that.

    Parameters
    ----------
    pairs
        What `trial_pairs` returned.
    start_loss
        The loss of the start, by the new results' trial.
    limit
        The suboptimality at which a trial stops, likewise; NaN where it stops at none.
    same_budget
        Whether both experiments had the same budget of epochs.
    """
    both = pairs[["status_old", "status_new"]]
    ends = pairs[["suboptimality_old", "suboptimality_new"]].to_numpy(float)
    eps = pairs["dtype"].map(lambda name: max(torch.finfo(getattr(torch, name)).eps, 64 * _DOUBLE))
    floor = (eps * pairs["trial_new"].map(start_loss).abs()).fillna(0).to_numpy(float)
    stops = pairs["trial_new"].map(limit).where((both == "converged").any(axis=1))
    floor = np.maximum(floor, stops.fillna(0).to_numpy(float))
    reasons = {
        "did not end with an answer": ~both.isin(ENDED_WELL).all(axis=1),
        "reached the target in both": (both == "converged").all(axis=1),
        "had another budget of epochs": np.full(len(pairs), not same_budget),
        "has no suboptimality": np.isnan(ends).any(axis=1),
    }
    left_out = np.select(list(reasons.values()), list(reasons), default="")
    raised = np.maximum(ends, np.maximum(floor, np.finfo(float).tiny)[:, None])
    log_ratio: Floats = np.log(raised[:, 1] / raised[:, 0])
    found = pairs[["cell", "seed"]].assign(
        old=ends[:, 0], new=ends[:, 1], log_ratio=np.where(left_out == "", log_ratio, np.nan),
        left_out=left_out,
    )  # fmt: skip
    by = found.groupby(["cell", "seed"], sort=False)
    return by[["old", "new", "log_ratio"]].median().join(by[["left_out"]].max()).reset_index()


_DOUBLE = torch.finfo(torch.float64).eps
