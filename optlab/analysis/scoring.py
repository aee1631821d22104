"""Scores of methods over problems: AlgoPerf's, from the best of a few settings in each study."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats
from optlab.analysis.order_statistics import best_of
from optlab.analysis.profiles import ratios_to_least
from optlab.analysis.resampling import RESAMPLES, generator, problem_interval, resampled_medians
from optlab.analysis.targets import COSTS, time_to_target
from optlab.lab.trial.stop_at import StopAt
from optlab.text import method_name

LIMIT = 4.0
"""A method that takes this many times the least cost scores nothing, as in AlgoPerf."""

INSTANCE = ["problem", "device", "dtype"]
"""The columns that name what methods are compared on."""


def attempts(
    trials: pd.DataFrame, traces: pd.DataFrame, stop_at: float | StopAt, cost: str = "epochs"
) -> pd.DataFrame:
    """Return what each setting of each method took to the target, seed by seed.

    The settings of a method differ in hyperparameters and batch size. Those of a tuned optimizer
    are its tuning trials, on the seeds of its search; its measured trials are not among them.

    Parameters
    ----------
    trials, traces
        The two tables.
    stop_at
        The target, as in `optlab.analysis.time_to_target`.
    cost
        ``"epochs"``, ``"samples"``, ``"steps"`` or ``"seconds"``.

    Returns
    -------
    pandas.DataFrame
        ``problem, device, dtype, method, study`` (the seed), ``attempt`` (the setting) and
        ``cost``: the median over repeats, inf where the target was not reached. Settings that never
        ran are left out.

    Raises
    ------
    ValueError
        For a cost that is none, and for seconds of trials that ran beside others or in a sweep.

    See Also
    --------
    scores : What they are for.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> rates = [ol.SGD(0.01), ol.SGD(0.3), ol.Lstsq()]
    >>> results = ol.compare(problem, rates, epochs=50, stop_at=1e-3)
    >>> attempts(results.trials, results.traces, 1e-3)[["method", "attempt", "cost"]]
      method                  attempt  cost
    0    SGD  SGD(learning_rate=0.01)   inf
    1    SGD   SGD(learning_rate=0.3)   5.0
    2  Lstsq                    Lstsq   1.0
    """
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    chosen = trials[_is_attempt(trials)].reset_index(drop=True)
    times = time_to_target(chosen.assign(stage="measured"), traces, stop_at)
    ran = times["epochs"].notna()
    reached = times["reached"].astype(bool)
    if (times[cost].isna() & ran & reached).any():
        raise ValueError(
            f"{cost} of trials that ran beside others or in a sweep cannot be compared: "
            "score by epochs, steps or samples, or run the trials alone"
        )
    table = times[INSTANCE].astype(str)
    table["method"] = [method_name(str(name)) for name in times["optimizer"]]
    table["study"] = times["seed"]
    table["attempt"] = _settings(chosen)
    table["cost"] = times[cost].astype(float).where(reached, np.inf)
    keys = [*INSTANCE, "method", "study", "attempt"]
    return table[ran].groupby(keys, sort=False)["cost"].median().reset_index()


def _is_attempt(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials are attempts: of tuned optimizers the search, of others all."""
    if "stage" not in trials:
        return pd.Series(True, index=trials.index)
    tuning = trials["stage"] == "tuning"
    return tuning | ~trials["optimizer"].isin(trials.loc[tuning, "optimizer"])


def _settings(trials: pd.DataFrame) -> list[str]:
    """Return the name of each trial's setting."""
    several = trials.groupby("optimizer")["batch"].transform("nunique") > 1
    names = [
        f"{name}, batch {batch}" if own else str(name)
        for name, batch, own in zip(trials["optimizer"], trials["batch"], several, strict=True)
    ]
    numbers = trials.get("setting", pd.Series(pd.NA, index=trials.index))
    return [
        name if pd.isna(number) else f"{name}, setting {number}"
        for name, number in zip(names, numbers, strict=True)
    ]


def scores(costs: pd.DataFrame, *, k: int | None = None, limit: float = LIMIT) -> pd.DataFrame:
    """Return AlgoPerf's score of each method: its performance profile, integrated.

    In each study a method costs what the best of its settings does, which may be another in another
    study; on a problem, the median over studies. Its score there is ``(limit - r) / (limit - 1)``
    for the ratio r of that cost to the least of all methods, and 0 from the limit on. The mean over
    problems is the area under the performance profile from 1 to the limit, over ``limit - 1``: 1
    for a method that is the best on every problem.

    Parameters
    ----------
    costs
        What `attempts` returned, or a table of the same columns: ``problem`` (and further columns
        of `INSTANCE`), ``method, study, attempt, cost``, inf where the target was not reached.
    k
        How many settings a study may try. The best of k is the median over all ways to choose k of
        those that were tried. All of them, if left out.
    limit
        The ratio from which on a method scores nothing.

    Returns
    -------
    pandas.DataFrame
        A row for each method, the best first: ``method, score, low, high`` (95 %, by resampling
        problems, and the studies of each; NaN with one problem), ``problems`` (what the mean is
        over) and ``solved`` (where its median reached the target). A method that was not run on a
        problem scores 0 there, and so do all where none reached the target.

    Raises
    ------
    ValueError
        For a k that is not positive, or larger than the number of settings that a method tried in
        some study, and for a limit that is not above 1.

    See Also
    --------
    attempts : The table that it takes.
    performance_profile : The curve of which it is the area.
    win_rates : Who beats whom.

    Notes
    -----
    Dahl et al. (2023), "Benchmarking neural network training algorithms", section 4, with its limit
    of 4; of its rules the held-out workloads are left out. Scores are relative to the methods in
    the table: leaving one out may change the order of the others (Gould and Scott, 2016).

    Examples
    --------
    >>> rows = [("p", "A", 1.0), ("p", "B", 2.5), ("q", "A", 3.0), ("q", "B", 1.0)]
    >>> costs = pd.DataFrame(rows, columns=["problem", "method", "cost"])
    >>> scores(costs.assign(study=0, attempt="only"))[["method", "score", "problems", "solved"]]
      method     score  problems  solved
    0      B  0.750000         2       2
    1      A  0.666667         2       2
    """
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if not limit > 1:
        raise ValueError(f"limit must be above 1, not {limit}")
    studies = _best_in_each_study(costs, k)
    instance = [name for name in INSTANCE if name in costs]
    problem = studies.groupby(instance, sort=False).ngroup().to_numpy()
    method, names = pd.factorize(studies["method"])
    shape = (problem.max(initial=-1) + 1, len(names))
    medians, samples = np.full((1, *shape), np.inf), np.full((RESAMPLES, *shape), np.inf)
    random = generator()
    cell = problem * len(names) + method
    for number, own in studies.groupby(cell)["cost"]:
        row, column = divmod(int(str(number)), len(names))
        medians[0, row, column] = own.median()
        samples[:, row, column] = resampled_medians(own.to_numpy(), random)
    low, high = problem_interval(lambda s: s.mean(axis=1), _score(samples, limit), random)
    found = {
        "method": names,
        "score": _score(medians, limit)[0].mean(axis=0),
        "low": low,
        "high": high,
        "problems": shape[0],
        "solved": np.isfinite(medians[0]).sum(axis=0),
    }
    return pd.DataFrame(found).sort_values(
        "score", ascending=False, kind="stable", ignore_index=True
    )


def _best_in_each_study(costs: pd.DataFrame, k: int | None) -> pd.DataFrame:
    """Return the cost of the best of k settings in each study of each method and problem."""
    keys = [*(name for name in INSTANCE if name in costs), "method", "study"]
    groups = costs.groupby(keys, sort=False, observed=True)["cost"]
    if k is None:
        return groups.min().reset_index()
    fewest = int(groups.size().min())
    if k > fewest:
        raise ValueError(f"k is {k}, but some method tried {fewest} settings only in a study")
    return groups.agg(lambda own: best_of(own.to_numpy(float), k, [0.5])[0]).reset_index()


def _score(costs: Floats, limit: float) -> Floats:
    """Return the score of each method, the last axis, from their costs on one problem."""
    return np.clip((limit - ratios_to_least(costs)) / (limit - 1), 0.0, None)
