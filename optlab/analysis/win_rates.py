"""Share of comparisons that each optimizer wins against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats
from optlab.analysis.resampling import RESAMPLES, generator, problem_interval, resampled_medians
from optlab.text import DIRECT, method_name

UNIT = ["problem", "device", "dtype", "batch"]
"""The columns that name a comparison."""

COLUMNS = ["optimizer", "other", "wins", "ties", "losses", "comparisons", "share", "low", "high"]


def win_rates(times: pd.DataFrame, cost: str = "epochs") -> pd.DataFrame:
    """Return how often each optimizer takes less to the target than each other.

    A comparison is of two optimizers on one problem, at one batch size, device and dtype: the less
    the median over seeds and repeats, the better. Where neither reached the target, or both took
    the same, it is a tie, and counts half. A method that uses no batches is compared at each batch
    size of the others.

    Parameters
    ----------
    times
        What `optlab.analysis.time_to_target` returned: ``problem, optimizer, batch, device, dtype,
        reached`` and the cost.
    cost
        ``"epochs"``, ``"samples"``, ``"steps"`` or ``"seconds"``.

    Returns
    -------
    pandas.DataFrame
        A row for each ordered pair that was compared: ``optimizer, other, wins, ties, losses,
        comparisons, share`` (of comparisons won, ties half) and ``low, high`` (its 95 % interval,
        by resampling problems, and the trials of each; NaN with one problem). Optimizers are
        ordered by their mean share, the best first.

    See Also
    --------
    time_to_target : The table that it takes.
    scores : How large the wins are.

    Notes
    -----
    The matrix that nevergrad draws ("fight plot"): Rapin and Teytaud (2018). A share of wins says
    nothing of how large they are: see `optlab.analysis.scores`.

    Examples
    --------
    >>> rows = [("p", "A", 1.0), ("p", "B", 2.0), ("q", "A", 4.0), ("q", "B", 3.0), ("q", "B", 5.0)]
    >>> times = pd.DataFrame(rows, columns=["problem", "optimizer", "epochs"]).assign(
    ...     batch="full", device="cpu", dtype="float32", reached=True
    ... )
    >>> win_rates(times)[["optimizer", "other", "wins", "ties", "losses", "share"]]
      optimizer other  wins  ties  losses  share
    0         A     B     1     1       0   0.75
    1         B     A     0     1       1   0.25
    """
    value = times[cost].astype(float).where(times["reached"].astype(bool), np.inf)
    table = times[["optimizer", *UNIT]].astype(str).assign(cost=value)[times[cost].notna()]
    names = list(dict.fromkeys(table["optimizer"]))
    random = generator()
    problems, medians, samples = [], [], []
    for problem, own in _comparisons(table):
        problems.append(problem)
        medians.append([np.median(own[n]) if n in own else np.nan for n in names])
        missing = np.full(RESAMPLES, np.nan)
        samples.append([resampled_medians(own[n], random) if n in own else missing for n in names])
    found = []
    if problems:
        seen, drawn = np.array(medians)[None], np.moveaxis(np.array(samples), 2, 0)
        for i, j in permutations(range(len(names)), 2):
            row = _pair(pd.Series(problems), seen[..., [i, j]], drawn[..., [i, j]], random)
            found += [(names[i], names[j], *row)] if row else []
    return _by_mean_share(pd.DataFrame(found, columns=COLUMNS))


def of_best_settings(table: pd.DataFrame, places: Mapping[str, float]) -> pd.DataFrame:
    """Return the rows of `win_rates` of each method's setting that wins the largest mean share.

    One setting of a method is taken for all problems; of several that win the same share the one
    with the least of ``places``. The table as it is where all are settings of one method.

    Examples
    --------
    >>> names = ["SGD(lr=1)", "Adam", "SGD(lr=2)"]
    >>> pairs = [(one, other, 0.5) for one in names for other in names if one != other]
    >>> table = pd.DataFrame(pairs, columns=["optimizer", "other", "share"])
    >>> sorted(of_best_settings(table, {"SGD(lr=1)": 3.0, "SGD(lr=2)": 2.0})["optimizer"])
    ['Adam', 'SGD(lr=2)']
    """
    share = table.groupby("optimizer", sort=False)["share"].mean().round(12)  # sums round
    names = share.index.to_series()
    keys = pd.DataFrame({"share": -share, "place": names.map(places).astype(float)})
    names = names.loc[keys.sort_values(["share", "place"], kind="stable").index]
    best = names[~names.map(method_name).duplicated()]
    if len(best) < 2:
        return table
    return _by_mean_share(table[table["optimizer"].isin(best) & table["other"].isin(best)])


def _comparisons(table: pd.DataFrame) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Yield the problem and the costs of each optimizer, for each that can be compared."""
    for (problem, *_), rows in table.groupby(UNIT[:3], sort=False):
        direct = rows[rows["batch"] == DIRECT]
        others = [own for _, own in rows[rows["batch"] != DIRECT].groupby("batch", sort=False)]
        for own in others or [direct.iloc[:0]]:
            costs = pd.concat([own, direct]).groupby("optimizer", sort=False)["cost"]
            yield str(problem), {str(name): c.to_numpy(float) for name, c in costs}


def _pair(
    problems: pd.Series[str], seen: Floats, drawn: Floats, random: np.random.Generator
) -> tuple[float, ...] | None:
    """Return a pair's row, from costs (draws, comparisons, 2); none if it was never compared."""
    both = np.isfinite(_won(seen)[0])
    if not both.any():
        return None
    won = _won(seen)[0, both]
    number, _ = pd.factorize(problems[both])
    counts = np.bincount(number)
    members = number == np.arange(len(counts))[:, None]
    sums = _won(drawn)[:, both] @ members.T.astype(float)
    by_problem = np.stack([sums, np.broadcast_to(counts, sums.shape)], axis=-1)
    low, high = problem_interval(_share, by_problem, random)
    wins, ties, losses = ((won == value).sum() for value in (1, 0.5, 0))
    return wins, ties, losses, len(won), won.mean(), float(low), float(high)


def _won(costs: Floats) -> Floats:
    """Return 1 where the first of two costs is less, 0.5 where they are equal, else 0."""
    first, second = costs[..., 0], costs[..., 1]
    won = np.where(first == second, 0.5, first < second)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, won)


def _share(drawn: Floats) -> Floats:
    totals = drawn.sum(axis=1)
    return np.asarray(totals[..., 0] / totals[..., 1])


def _by_mean_share(table: pd.DataFrame) -> pd.DataFrame:
    mean = table.groupby("optimizer")["share"].mean()
    keys = pd.DataFrame({name: -table[name].map(mean) for name in ("optimizer", "other")})
    order = keys.astype(float).sort_values(["optimizer", "other"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def mean_places(trials: pd.DataFrame) -> dict[str, float]:
    """Return each optimizer's place by median suboptimality on a problem, the mean over problems.

    An optimizer without any is the last.

    Examples
    --------
    >>> rows = [("p", "A", 0.5), ("p", "B", 0.1), ("q", "A", 9), ("q", "B", 3), ("q", "C", None)]
    >>> mean_places(pd.DataFrame(rows, columns=["problem", "optimizer", "suboptimality"]))
    {'A': 2.0, 'B': 1.0, 'C': 3.0}
    """
    errors = trials["suboptimality"].astype(float)
    medians = errors.groupby([trials["problem"], trials["optimizer"]], observed=True).median()
    places = medians.groupby(level="problem").rank(na_option="bottom")
    return {str(k): float(v) for k, v in places.groupby(level="optimizer").mean().items()}
