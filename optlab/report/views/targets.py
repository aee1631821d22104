"""How long it took to get as near the optimum as one needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.intervals import median_ranks
from optlab.analysis.profiles import performance_profile
from optlab.analysis.statistics import CELL, cell_numbers
from optlab.analysis.targets import time_to_target
from optlab.report.views.view import Axis, View, uncontended
from optlab.report.words import share
from optlab.text import DIRECT

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
"""The shares of the start's suboptimality that times are given for."""

_COLUMNS = [*CELL, "target", "seconds", "low", "high", "epochs", "reached", "trials"]
_SOLVER = ["optimizer", "batch", "device", "dtype"]


def to_targets(
    trials: pd.DataFrame, traces: pd.DataFrame, own: float | None = None
) -> pd.DataFrame:
    """Return each cell's seconds and epochs to each of `TARGETS` that any trial reached.

    ``own`` is the experiment's own target, given among the others, and even if none reached it.

    Columns: the cell's, ``target`` (as text, ``"1e-06"``), ``seconds`` with ``low`` and ``high``,
    ``epochs``, ``reached`` and ``trials`` (how many ran). A trial that did not get there counts as
    longer than any that did, and where that makes a median or an end of an interval infinite, it is
    missing. Seconds are those of trials that ran alone.
    """
    ran = trials[trials["status"] != "skipped"]
    parts = []
    for target in sorted({*TARGETS, *([own] if own else [])}, reverse=True):
        times = time_to_target(ran, traces, target)
        times = times[times["epochs"].notna()]
        if times.empty or not (times["reached"].any() or target == own):
            continue
        parts.append(_medians(times).assign(target=target_text(target)))
    return (
        pd.concat(parts, ignore_index=True)[_COLUMNS] if parts else pd.DataFrame(columns=_COLUMNS)
    )


def with_unstable(table: pd.DataFrame, timed: pd.DataFrame) -> pd.DataFrame:
    """Return `to_targets` with whether each cell's seconds, as `seconds` has them, are unstable."""
    shaky = timed.loc[timed["unstable"].astype(bool), CELL]
    keys = set(shaky.itertuples(index=False, name=None))
    cells = table[CELL].itertuples(index=False, name=None)
    return table.assign(unstable=[cell in keys for cell in cells])


def target_text(target: float) -> str:
    """Return a target as the key it has in tables and menus; it reads back as the same number.

    Examples
    --------
    >>> target_text(1e-6), target_text(0.0025)
    ('1e-06', '0.0025')
    """
    short = f"{target:.0e}"
    return short if float(short) == target else repr(target)


def _medians(times: pd.DataFrame) -> pd.DataFrame:
    cell = cell_numbers(times)
    rows = times.loc[~cell.duplicated(), CELL].reset_index(drop=True)
    rows["trials"] = times.groupby(cell).size()
    rows["reached"] = times["reached"].groupby(cell).sum().astype(int)
    reached = times["reached"].astype(bool)
    seconds = times["seconds"].astype(float).where(reached, np.inf)
    alone = ~times["contended"].astype(bool)
    rows[["seconds", "low", "high"]] = _middle(seconds[alone], cell[alone], len(rows))
    epochs = times["epochs"].astype(float).where(reached, np.inf)
    rows["epochs"] = _middle(epochs, cell, len(rows))[:, 0]
    costs = ["seconds", "low", "high", "epochs"]
    rows[costs] = rows[costs].where(np.isfinite(rows[costs]))
    return rows


def _middle(values: pd.Series[float], cell: pd.Series[int], cells: int) -> np.ndarray[Any, Any]:
    """Return each cell's median and the ends of its interval, NaN where there is none."""
    order = np.lexsort((values, cell))
    ordered = values.to_numpy()[order]
    counts = np.bincount(cell, minlength=cells)
    first = np.cumsum(counts) - counts
    found = np.full((cells, 3), np.nan)
    for n in np.unique(counts[counts > 0]):
        chosen = np.flatnonzero(counts == n)
        middle = ordered[first[chosen] + (n - 1) // 2], ordered[first[chosen] + n // 2]
        found[chosen, 0] = (middle[0] + middle[1]) / 2
        if n > 1:
            k, _ = median_ranks(int(n))
            found[chosen, 1] = ordered[first[chosen] + k - 1]
            found[chosen, 2] = ordered[first[chosen] + n - k]
    return found


def headline(table: pd.DataFrame, own: float | None = None) -> str:
    """Return the target that is spoken of, as text; empty where none was reached.

    The experiment's own, where it has one. Else the smallest that at least half of the cells with
    batches reach in all their trials; else the smallest that any of them reaches in all; else the
    largest that any cell reaches at all.
    """
    if own and (table["target"] == target_text(own)).any():
        return target_text(own)
    with_batches = table[table["batch"] != DIRECT]
    whole = with_batches["reached"] == with_batches["trials"]
    reached = whole.groupby(with_batches["target"]).mean()
    for needed in (0.5, 1e-9):
        good = [str(target) for target, value in reached.items() if value >= needed]
        if good:
            return min(good, key=float)
    return max((str(target) for target in table["target"]), key=float, default="")


def target_view(table: pd.DataFrame) -> View:
    """Return the view of seconds and epochs to a target, made from `to_targets`."""
    return View(
        key="target",
        title="Seconds to a target",
        question="Who gets as near as I need, first?",
        how="Until the first recorded iterate whose suboptimality is at most the target's share of "
        "the start's. Medians over seeds and repeats, with intervals as for the seconds. Trials "
        "that never got there count as longer than any that did; where half or more never did, "
        "there is no mark, and the table tells how many did. Hollow marks are of settings whose "
        "seconds are unstable.",
        kind="points",
        table=table,
        x=(Axis("batch", "batch size", scale="category"),),
        y=(
            Axis("seconds", "seconds to the target", "s", "log", "linear", "low", "high"),
            Axis("epochs", "epochs to the target", "", "log", "linear"),
        ),
        choose=("target", "target"),
        missing="No trial reached a tenth of its starting suboptimality.",
    )


def profile(trials: pd.DataFrame, traces: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return the performance profile over problems and seeds, by seconds to a target.

    Columns: the cell's without the problem, ``factor`` and ``share``; empty where there are fewer
    than two instances, or no target.
    """
    columns = [*_SOLVER, "factor", "share"]
    ran = uncontended(trials[trials["status"] != "skipped"])
    ran = ran[_given_to_all(trials, ran)]
    if not target or len(ran[_INSTANCE].drop_duplicates()) < 2:
        return pd.DataFrame(columns=columns)
    times = time_to_target(ran, traces, float(target))
    if not times["reached"].any():
        return pd.DataFrame(columns=columns)
    table = performance_profile(times, solver=_SOLVER).rename(columns={"tau": "factor"})
    last = table["factor"].max()
    step = table["share"].groupby([table[c] for c in _SOLVER], observed=True).diff()
    end = table[table["factor"] == last].assign(factor=max(2.0, 1.5 * last))  # steps hold on
    table = table[(table["factor"] == 1) | (step > 0)]
    whole: pd.DataFrame = pd.concat([table, end], ignore_index=True)[columns]
    return whole


_INSTANCE = ["problem", "seed"]


def _given_to_all(trials: pd.DataFrame, ran: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials are of instances that every setting was asked to solve.

    Of merged files not all settings were: what was not asked is no failure.
    """
    asked = trials[[*_SOLVER, *_INSTANCE]].drop_duplicates()
    solvers = ran[_SOLVER].drop_duplicates()
    counts = asked.merge(solvers, on=_SOLVER).groupby(_INSTANCE).size()
    whole = set(counts[counts == len(solvers)].index)
    pairs = zip(*(ran[name] for name in _INSTANCE), strict=True)
    return pd.Series([pair in whole for pair in pairs], index=ran.index, dtype=bool)


def profile_view(table: pd.DataFrame, target: str) -> View:
    """Return the view of `profile`."""
    return View(
        key="profile",
        title="Performance profile",
        question="Who is reliably near the fastest, over all problems and seeds?",
        how="The share of instances (a problem with a seed) on which a setting gets to "
        f"{share(target)} of the start's suboptimality within a factor of the fastest's seconds. "
        "High and to the left is good (Dolan and Moré, 2002). The fastest may be on another "
        "device or in another dtype. Instances that not all settings were given are left out. The "
        "problem filter does not act here.",
        kind="lines",
        table=table,
        x=(Axis("factor", "seconds, as a multiple of the fastest's", "", "log", "linear"),),
        y=(Axis("share", "share of instances"),),
        missing="A profile needs at least two problems or seeds that all settings were given, and "
        "a target that some reached.",
    )
