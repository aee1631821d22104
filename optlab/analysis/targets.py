"""The time each trial took to a target, and its median over a cell's trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from optlab.analysis.intervals import Floats, wilson_interval
from optlab.analysis.statistics import (
    CELL,
    cell_numbers,
    in_sweep,
    measured,
    median_intervals,
    ran_alone,
)
from optlab.lab.trial.stop_at import StopAt

NEVER = ("diverged", "failed", "crashed")
"""The statuses of trials that no longer time would have brought to a target."""

COSTS = ("epochs", "samples", "steps", "seconds")
"""The costs of reaching a target."""

_COLUMN = {"epochs": "epoch"}  # where the traces name a cost otherwise


def time_to_target(
    trials: pd.DataFrame, traces: pd.DataFrame, stop_at: float | StopAt
) -> pd.DataFrame:
    """Return each trial's costs up to its first recorded iterate at the target.

    The target is reached at the first recorded iterate, the start included, for which
    ``StopAt.reached`` holds, the rule by which trials stop: with the ``stop_at`` of the experiment
    just where the trial was ``converged``.

    Parameters
    ----------
    trials, traces
        The two tables.
    stop_at
        A share, below 1, of the trial's ``stop_scale`` (of the start's suboptimality in tables
        that have no scale), or a `StopAt`.

    Returns
    -------
    pandas.DataFrame
        A row for each trial, in their order:

        - ``trial``, the cell's columns, ``seed, repeat, status, contended, shared``;
        - ``reached``: whether it reached the target;
        - ``epochs, samples, steps, seconds``: the cost of that. For a trial that did not get there
          they are those of its last recorded iterate; inf for one that diverged, failed or crashed,
          which never gets there, even if it passed the target on its way; NaN for one that never
          ran (skipped, or interrupted before its start). Seconds of contended trials, and of those
          of sweeps, are NaN;
        - ``spent_epochs, spent_samples, spent_steps, spent_seconds``: what it took to the target or
          to its end, finite for those that never get there too.

    Raises
    ------
    ValueError
        For a share that is not above 0 and below 1, or a measure that the traces do not have.

    See Also
    --------
    target_summary : A row for each cell.
    performance_profile, win_rates, expected_cost : Made of this table.

    Notes
    -----
    Costs are those of recorded iterates: the true first is somewhere after the recorded one before.
    Relative to the start, as in Moré and Wild (2009), SIAM Journal on Optimization 20, 172-191, but
    to the problem's reference; only where it has none, to the best that any of the trials found.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> rates = [ol.ManualSGD(0.1), ol.ManualSGD(2.0)]
    >>> results = ol.compare(problem, rates, epochs=50, recorded_epochs=1)
    >>> times = time_to_target(results.trials, results.traces, 0.01)
    >>> times[["optimizer", "status", "reached", "epochs", "samples"]]
                          optimizer    status  reached  epochs  samples
    0  ManualSGD(learning_rate=0.1)  finished     True    14.0    140.0
    1  ManualSGD(learning_rate=2.0)  diverged    False     inf      inf
    """
    return times_to_targets(trials, traces, [StopAt.of(stop_at)])[0]


def times_to_targets(
    trials: pd.DataFrame, traces: pd.DataFrame, rules: Sequence[StopAt]
) -> list[pd.DataFrame]:
    """Return the table of `time_to_target` for each of several targets, read in one pass."""
    trials = measured(trials)
    ordered = traces.sort_values(["trial", "epoch"], kind="stable")
    times = trials[["trial", *CELL, "seed", "repeat", "status"]].reset_index(drop=True)
    times["contended"] = trials["contended"].astype(bool).to_numpy()
    times["shared"], alone = in_sweep(trials).to_numpy(), ran_alone(trials).to_numpy()
    never = times["status"].isin(NEVER).to_numpy()
    path, known = pd.factorize(ordered["trial"])
    own = pd.Index(known).get_indexer(times["trial"])  # -1, the place below: nothing recorded
    last = np.append(np.flatnonzero(np.diff(path, append=-1)), -1)
    costs, given = _costs(ordered)
    scales: dict[str, Floats] = {}
    tables = []
    for rule in rules:
        measure = rule.measure
        if measure not in ordered:
            raise ValueError(
                f"the traces have no measure {measure!r}: {', '.join(map(str, traces))}"
            )
        if measure not in scales:
            scale = target_scales(trials, ordered, measure).reindex(known)
            scales[measure] = np.asarray(scale, np.float64)[path]
        there = np.flatnonzero(rule.reached(ordered[measure].to_numpy(float), scales[measure]))
        hits, first = np.unique(path[there], return_index=True)
        ends = last.copy()
        ends[hits] = there[first]
        reached = np.isin(own, hits) & ~never
        found, spent = costs[ends[own]], costs[np.where(never, last[own], ends[own])]
        found[np.ix_(never, given)] = np.inf
        found[~alone, -1] = spent[~alone, -1] = np.nan  # seconds
        columns = dict(zip(COSTS, found.T, strict=True))
        columns |= {f"spent_{cost}": spent[:, k] for k, cost in enumerate(COSTS)}
        tables.append(times.assign(reached=reached, **columns))
    return tables


def _costs(traces: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each iterate's costs, below them a row of NaN, and which costs the traces have.

    An older file's table may have no steps.
    """
    costs = np.full((len(traces) + 1, len(COSTS)), np.nan)
    names = [_COLUMN.get(cost, cost) for cost in COSTS]
    given = np.array([name in traces for name in names])
    for place in np.flatnonzero(given):
        costs[:-1, place] = traces[names[place]].astype(float)
    return costs, given


def target_scales(trials: pd.DataFrame, traces: pd.DataFrame, measure: str) -> pd.Series[float]:
    """Return the value, by trial, of which a share is the target.

    A file of an older version holds no scale of any trial; there it is the start's value.
    """
    start = traces[traces["epoch"] == 0].set_index("trial")[measure].astype(float)
    # A start whose loss overflows, or underflows to 0, says nothing of what was reached.
    start = start.where((start > 0) & np.isfinite(start))
    if measure != "suboptimality" or "stop_scale" not in trials:
        return start
    scale = trials.set_index("trial")["stop_scale"].astype(float)
    files = trials["file"].to_numpy() if "file" in trials else np.zeros(len(trials))
    recorded = scale.groupby(files).transform("count") > 0
    return scale.where(recorded, start.reindex(scale.index))


def target_summary(times: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell: how many trials reach the target, and their median costs.

    This is the one time to a target that results, figures, page and findings give.

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
        - ``epochs, samples, steps, seconds``: the median costs, by the rule of all medians (of an
          even number the mean of the two in the middle), where a trial that did not get there
          counts as longer than any that did: inf where half of them or more did not. Read them
          beside ``share_reached``;
        - ``seconds_low, seconds_high``: the interval of the median seconds, as in
          `optlab.analysis.summary`; an end is inf where trials that did not get there make it so;
        - ``timed``: how many trials' seconds entered, those that did not get there included;
        - ``expected_seconds``: seconds spent by all trials, over the number that reached the
          target: the mean time to a first success if one starts again after each failure (ERT of
          Auger and Hansen, 2005, IEEE Congress on Evolutionary Computation). inf where none did.

        Seconds are those of the trials that ran alone, and NaN where none did.

    See Also
    --------
    time_to_target : The table that it takes.
    expected_cost : Means with restarts.

    Examples
    --------
    >>> import pandas as pd
    >>> cell = dict(problem="p", optimizer="A", batch="1", device="cpu", dtype="float32")
    >>> ends = [(True, 2.0), (True, 3.0), (False, 9.0)]
    >>> times = pd.DataFrame(
    ...     dict(cell, seed=seed, repeat=1, status="finished", contended=False, reached=reached)
    ...     | dict.fromkeys(["epochs", "samples", "steps", "seconds", "spent_seconds"], seconds)
    ...     for seed, (reached, seconds) in enumerate(ends)
    ... )
    >>> target_summary(times)[["trials", "reached", "seconds", "expected_seconds"]]
       trials  reached  seconds  expected_seconds
    0       3        2      3.0               7.0
    """
    return summarize_targets(times)


def summarize_targets(times: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return the table of `target_summary`, with further columns that tell its rows apart."""
    cell = cell_numbers(times, *more)
    rows = times.loc[~cell.duplicated(), [*CELL, *more]].reset_index(drop=True)
    ran, reached = times["epochs"].notna(), times["reached"].astype(bool)
    alone = ran & ran_alone(times)
    by_seed = reached[ran].groupby([cell[ran].rename("cell"), times["seed"][ran]]).mean()
    shares = by_seed.groupby(level="cell").agg(["mean", "size"]).reindex(rows.index)
    rows["trials"] = ran.groupby(cell).sum()
    rows["seeds"] = shares["size"].fillna(0).astype(int)
    rows["reached"] = (reached & ran).groupby(cell).sum()
    rows["share_reached"] = shares["mean"]
    pairs = zip(rows["share_reached"], rows["seeds"], strict=True)
    ends = np.array([wilson_interval(share, n) for share, n in pairs]).reshape(-1, 2)
    rows[["share_low", "share_high"]] = ends
    costs = times.reindex(columns=list(COSTS)).astype(float)
    costs.loc[~reached] = np.inf
    costs.loc[~ran] = np.nan
    costs.loc[~alone, "seconds"] = np.nan
    medians = {cost: median_intervals(costs[cost], cell) for cost in COSTS}
    rows[list(COSTS)] = pd.DataFrame({cost: medians[cost]["median"] for cost in COSTS})
    rows[["seconds_low", "seconds_high"]] = medians["seconds"][["low", "high"]]
    rows["timed"] = alone.groupby(cell).sum()
    spent = times["spent_seconds"].where(alone).groupby(cell).sum()
    successes = (reached & alone).groupby(cell).sum()
    expected = (spent / successes).where(successes > 0, np.inf)
    rows["expected_seconds"] = expected.where(rows["timed"] > 0)
    return rows
