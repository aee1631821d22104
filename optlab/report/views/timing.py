"""The views of seconds: in total, by phase, relative to a baseline, on each device."""

from __future__ import annotations

import pandas as pd

from optlab.analysis.comparison import ratios_to_each
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import (
    CELL,
    UNSTABLE_ABOVE,
    by_cell,
    cell_numbers,
    median_intervals,
    spread,
    timed,
)
from optlab.report.views.cache import cached
from optlab.report.views.view import Axis, View
from optlab.text import DIRECT

_BATCH_SIZE = Axis("batch", "batch size", scale="category")
_INTERVAL = (
    "Medians over seeds and repeats; bars are intervals that cover the median in 95 % of "
    "experiments (in less with fewer than six trials; the table says in how many)"
)

MOST_BASELINES = 12
"""At most so many optimizers take their turn as the baseline."""


def _seconds(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's median seconds and its interval, over trials that had an answer.

    Columns: the cell's, ``median, low, high, coverage`` (of the interval), ``min, max, timed`` (how
    many trials), ``spread`` (IQR / median) and ``unstable`` (the spread is over 10 %). Trials that
    ran beside others are left out.
    """
    chosen = trials[timed(trials) & trials["seconds"].notna()]
    cell = cell_numbers(chosen)
    rows = chosen.loc[~cell.duplicated(), CELL].reset_index(drop=True)
    groups = chosen["seconds"].astype(float).groupby(cell)
    own = median_intervals(chosen["seconds"], cell).join(groups.agg(["min", "max", "count"]))
    own = own.rename(columns={"count": "timed"})
    own["spread"] = spread(chosen["seconds"], cell, chosen["seed"])
    own["unstable"] = own["spread"] > UNSTABLE_ABOVE
    return pd.concat([rows, own], axis=1)


@cached
def seconds_view(results: ResultTables) -> View:
    """Return the view of seconds by batch size."""
    return View(
        key="seconds",
        title="Seconds",
        question="How long does each take?",
        how="Seconds the optimizer worked, warm, in trials that finished or converged, and "
        f"that ran alone. {_INTERVAL}; a single trial has none. Hollow marks are unstable: "
        "the spread over the repeats of a seed (IQR / median; the median over seeds) is over 10 %.",
        kind="points",
        table=_seconds(results.trials),
        x=(_BATCH_SIZE,),
        y=(Axis("median", "seconds of work", "s", "log", "linear", "low", "high"),),
        missing="No trial that finished or converged ran alone.",
    )


def _phases(trials: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's median seconds of each phase, with the least and the most.

    ``warm pass`` is the warm solve's seconds over its epochs, to set beside the cold first pass.
    """
    chosen = trials[timed(trials)]
    phases = {
        "transfer": chosen["transfer_seconds"],
        "cold pass": chosen["first_pass_seconds"],
        "warm pass": chosen["seconds"] / chosen["epochs"].astype(float).clip(lower=1),
    }
    parts = [
        chosen[CELL].assign(phase=name, seconds=values.astype(float))
        for name, values in phases.items()
    ]
    rows = pd.concat(parts)
    # What took no time has no place on a logarithmic axis.
    rows = rows[rows["seconds"] > 0].reset_index(drop=True)
    return by_cell(rows, "seconds", "phase", seconds="median", low="min", high="max")


@cached
def phases_view(results: ResultTables) -> View:
    """Return the view of the phases: transfer, cold pass, warm pass."""
    return View(
        key="phases",
        title="Cold, warm, transfer",
        question="How long do the transfer and the first pass take?",
        how="Moving data to the device, the first, cold pass over the data, and a warm pass (the "
        "warm solve's seconds over its epochs). They are measured apart and never summed. "
        "Medians, bars from the least to the most.",
        kind="points",
        table=_phases(results.trials),
        x=(Axis("phase", "phase", scale="category"),),
        y=(Axis("seconds", "seconds", "s", "log", "linear", "low", "high"),),
        missing="No trial that finished or converged ran alone.",
    )


def crossover(table: pd.DataFrame) -> pd.DataFrame:
    """Return seconds by batch size and device, marking the fastest and where it changes.

    Of the view of seconds' table a row each cell with ``seconds, low, high``; ``fastest`` where no
    other device has a lower median, and it has rivals; ``crossover`` at the fastest of a batch size
    whose fastest device is not that of the next smaller batch size.
    """
    keys = ["problem", "optimizer", "dtype"]
    view = table[[*CELL, "median", "low", "high"]].rename(columns={"median": "seconds"})
    groups = view.groupby([*keys, "batch"], sort=False, observed=True)["seconds"]
    rivals = groups.transform("size") > 1
    view["fastest"] = rivals & (view["seconds"] == groups.transform("min"))
    view["crossover"] = False
    marked = view[view["fastest"] & (view["batch"] != DIRECT)].sort_values("batch")
    before = marked.groupby(keys, sort=False)["device"].shift()
    view.loc[marked.index, "crossover"] = before.notna() & (before != marked["device"])
    view["place"] = view.groupby(keys, sort=False).ngroup()
    ordered = view.sort_values(["place", "batch"], kind="stable", ignore_index=True)
    return ordered.drop(columns="place")


@cached
def crossover_view(results: ResultTables) -> View:
    """Return the view of batch sizes by devices."""
    return View(
        key="crossover",
        title="Batch size by device",
        question="Which device is faster at which batch size?",
        how="Median seconds of work. The fastest device of a row is marked, and the crossover: "
        "the first batch size whose fastest device is another than in the row above.",
        kind="matrix",
        table=crossover(seconds_view(results).table),
        x=(Axis("device", "device", scale="category"),),
        y=(Axis("seconds", "seconds of work", "s", "log", low="low", high="high"),),
        facets=False,
        missing="No two devices had trials that finished or converged, and that ran alone.",
    )


def _ratios(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the paired ratios of seconds with each optimizer as the baseline in its turn.

    Columns: the cell's, ``baseline``, ``at`` (the batch size where the two were compared, also for
    a method without batches), ``ratio, low, high, pairs, verdict, unstable, message,
    baseline_batch``. Without any pair the ratio is NaN, and the message says why.
    """
    columns = {"ratio_low": "low", "ratio_high": "high"}
    kept = [*CELL, "baseline", "at", "ratio", "low", "high", "pairs", "verdict", "unstable"]
    kept += ["message", "baseline_batch"]
    chosen = trials[trials["status"] != "skipped"]
    parts = []
    names = list(dict.fromkeys(chosen["optimizer"]))[:MOST_BASELINES]
    for table in ratios_to_each(chosen, names) if names else []:
        part = table.rename(columns=columns)
        part = part[(part["pairs"] > 0) | part["message"].str.startswith("pairs left out")]
        at = part["batch"].where(part["batch"] != DIRECT, part["baseline_batch"])
        parts.append(part.assign(at=at))
    parts = [part[kept] for part in parts if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=kept)


@cached
def ratio_view(results: ResultTables) -> View:
    """Return the view of paired ratios to a baseline."""
    return View(
        key="ratio",
        title="Compared with a baseline",
        question="How much faster or slower, and how sure is it?",
        how="Seconds over the baseline's, paired by problem, batch size, device, dtype, seed and "
        "repeat; below 1 is faster. Bars are 95 % intervals of the ratio, a trimmed mean "
        "of the pairs' logarithms: two are called different only where the interval excludes 1, "
        "and never with fewer than 3 pairs. Hollow marks: the seconds of one of the two are "
        "unstable. Where one reached stop_at and the other did not, there is no ratio; the table "
        "says so.",
        kind="points",
        table=_ratios(results.trials),
        x=(Axis("at", "batch size", scale="category"),),
        y=(Axis("ratio", "seconds / baseline's", "", "log", "linear", "low", "high", 1.0),),
        choose=("baseline", "baseline"),
        missing="A ratio needs two optimizers with timed answers on the same device, of which both "
        "or neither reached stop_at.",
    )
