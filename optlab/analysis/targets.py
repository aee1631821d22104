"""How long each trial took to a target, those that never reached it included."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pandas as pd

from optlab.analysis.intervals import kaplan_meier_median, wilson_interval
from optlab.analysis.statistics import CELL, cell_numbers
from optlab.optimizers.optimizer import check_positive

NEVER = ("diverged", "failed", "crashed")
"""The statuses of trials that no longer time would have brought to a target."""

COSTS = ("epochs", "samples", "seconds")
"""What a target can cost."""


def time_to_target(trials: pd.DataFrame, traces: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return what each trial cost to its first recorded iterate at the target.

    The target is reached at the first recorded iterate (the start is none) whose suboptimality is
    at most ``target`` times the start's of that trial: with the target of the experiment, just
    where the trial was ``converged``.

    Parameters
    ----------
    trials, traces
        The two tables.
    target
        A share of the start's suboptimality.

    Returns
    -------
    pandas.DataFrame
        A row for each trial, in their order:

        - ``trial``, the cell's columns, ``seed, repeat, status, contended``;
        - ``reached``: whether it reached the target;
        - ``epochs, samples, seconds``: the cost of that. For a trial that did not get there they
          are those of its last recorded iterate, where the looking stopped (it is censored); inf
          for one that diverged, failed or crashed, which never gets there, even if it passed the
          target on its way; NaN for one that never ran (skipped, or interrupted before its start).
          Seconds of contended trials are NaN;
        - ``spent_seconds``: what it took to the target or to its end, finite for those that never
          get there too.

    Raises
    ------
    ValueError
        For a target that is not positive and finite.

    Notes
    -----
    Costs are those of recorded iterates: the true first is somewhere after the recorded one before.
    Where there is no optimum, suboptimality is NaN and no trial reaches a target. Relative to the
    start, as in Moré and Wild (2009), SIAM Journal on Optimization 20, 172-191, but to the
    certified optimum, not to the best that any of the methods compared found.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> rates = [ol.ManualSGD(0.1), ol.ManualSGD(2.0)]
    >>> results = ol.compare(problem, rates, epochs=50, recorded_epochs=1)
    >>> times = time_to_target(results.trials, results.traces, 0.01)
    >>> times[["optimizer", "status", "reached", "epochs", "samples"]]
                            optimizer    status  reached  epochs  samples
    0                 ManualSGD(...)  finished     True    11.0    110.0
    1  ManualSGD(learning_rate=2.0)  diverged    False     inf      inf
    """
    check_positive("target", target)
    ordered = traces.sort_values(["trial", "epoch"], kind="stable")
    start = ordered[ordered["epoch"] == 0].set_index("trial")["suboptimality"].astype(float)
    # A start whose loss overflows, or underflows to 0, says nothing of what was reached.
    start = start.where((start > 0) & np.isfinite(start))
    at_target = ordered["suboptimality"] <= target * ordered["trial"].map(start)
    hits = ordered[at_target & (ordered["epoch"] > 0)].drop_duplicates("trial")
    ends = ordered.drop_duplicates("trial", keep="last")
    ends = pd.concat([hits, ends]).drop_duplicates("trial").set_index("trial")
    columns = ["trial", *CELL, "seed", "repeat", "status", "contended"]
    times = trials[columns].reset_index(drop=True)
    times["contended"] = times["contended"].astype(bool)
    never = times["status"].isin(NEVER)
    times["reached"] = times["trial"].isin(hits["trial"]) & ~never
    ends = ends[["epoch", "samples", "seconds"]].astype(float).reindex(times["trial"])
    for cost, column in zip(COSTS, ends.columns, strict=True):
        times[cost] = ends[column].to_numpy()
    times["spent_seconds"] = times["seconds"].mask(times["contended"])
    last = ordered.drop_duplicates("trial", keep="last").set_index("trial")["seconds"]
    times.loc[never, "spent_seconds"] = times["trial"].map(last).mask(times["contended"])
    times.loc[never, list(COSTS)] = np.inf
    times["seconds"] = times["seconds"].mask(times["contended"])
    return times


def target_summary(times: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell: how many of its trials reach the target, and what it costs.

    Parameters
    ----------
    times
        What `time_to_target` returned.

    Returns
    -------
    pandas.DataFrame
        The cell's columns, then

        - ``trials``: how many ran; ``seeds`` among them; ``reached``: how many reached the target;
        - ``share_reached``: the share of repeats that reached it, averaged over seeds, and
          ``share_low, share_high``, Wilson's 95 % interval of it with the number of seeds for n:
          repeats of a seed walk the same path, so that they say nothing new of who gets there;
        - ``epochs, samples, seconds``: the median costs by Kaplan and Meier, which keep those that
          did not get there as such: inf where too few did to know a median. Read them beside
          ``share_reached``: a method that stops by itself, early and short of the target, counts
          as one whose end was not seen;
        - ``expected_seconds``: seconds spent by all trials, over the number that reached the
          target: the mean time to a first success if one starts again after each failure (ERT of
          Auger and Hansen, 2005, IEEE Congress on Evolutionary Computation). inf where none did.

        Seconds are those of the trials that ran alone, and NaN where none did.

    Examples
    --------
    >>> import pandas as pd
    >>> cell = dict(problem="p", optimizer="A", batch="1", device="cpu", dtype="float32")
    >>> ends = [(True, 2.0), (True, 3.0), (False, 9.0)]
    >>> times = pd.DataFrame(
    ...     dict(cell, seed=seed, repeat=1, status="finished", contended=False, reached=reached)
    ...     | dict(epochs=seconds, samples=seconds, seconds=seconds, spent_seconds=seconds)
    ...     for seed, (reached, seconds) in enumerate(ends)
    ... )
    >>> target_summary(times)[["trials", "reached", "seconds", "expected_seconds"]]
       trials  reached  seconds  expected_seconds
    0       3        2      3.0               7.0
    """
    cell = cell_numbers(times)
    rows = times.loc[~cell.duplicated(), CELL].reset_index(drop=True)
    ran = times["epochs"].notna()
    runs = dict(iter(times[ran].groupby(cell[ran])))
    measured = [_cell_summary(runs.get(number, times.iloc[:0])) for number in rows.index]
    columns = ["trials", "seeds", "reached", "share_reached", "share_low", "share_high"]
    columns += [*COSTS, "expected_seconds"]
    return rows.join(pd.DataFrame(measured, index=rows.index, columns=columns))


def _cell_summary(runs: pd.DataFrame) -> dict[str, float]:
    by_seed = runs.groupby("seed")["reached"].mean()
    share = float(by_seed.mean())
    low, high = wilson_interval(share, len(by_seed))
    alone = runs[~runs["contended"]]
    spent, successes = alone["spent_seconds"].sum(), int(alone["reached"].sum())
    expected = spent / successes if successes else math.inf
    medians = {
        cost: kaplan_meier_median(
            part[cost].to_numpy(dtype=float), part["reached"].to_numpy(dtype=bool)
        )
        for cost, part in zip(COSTS, (runs, runs, alone), strict=True)
    }
    return {
        "trials": len(runs),
        "seeds": len(by_seed),
        "reached": cast("int", runs["reached"].sum()),
        "share_reached": share,
        "share_low": low,
        "share_high": high,
        **medians,
        "expected_seconds": expected if len(alone) else math.nan,
    }
