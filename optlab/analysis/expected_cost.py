"""The expected running time: what it takes on average to reach the target with restarts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.resampling import RESAMPLES, generator, percentile_interval
from optlab.analysis.statistics import CELL


def expected_cost(times: pd.DataFrame, cost: str = "epochs") -> pd.DataFrame:
    """Return the expected running time (ERT) of each cell, in any cost.

    What all its trials spent, to the target or to their end, over the number of those that reached
    it: the mean cost to a first success for someone who starts again after each failure.

    Parameters
    ----------
    times
        What `optlab.analysis.time_to_target` returned.
    cost
        ``"epochs"``, ``"samples"``, ``"steps"`` or ``"seconds"``.

    Returns
    -------
    pandas.DataFrame
        The cell's columns, ``seeds, trials, reached``, ``expected`` (inf where none reached the
        target) and ``low, high``: the 95 % interval by resampling seeds, inf where a resample holds
        no success, NaN with one seed. Trials without a cost, such as contended seconds, are left
        out.

    See Also
    --------
    target_summary : Medians in place of means.

    Notes
    -----
    Auger and Hansen (2005), IEEE Congress on Evolutionary Computation; Hansen et al. (2021),
    Optimization Methods and Software 36, 114-144. A trial that stopped at its budget spent it all:
    the larger the budget, the larger ERT may be.

    Examples
    --------
    >>> cell = dict(problem="p", optimizer="A", batch="1", device="cpu", dtype="float32")
    >>> ends = [(0, True, 2.0), (1, True, 3.0), (2, False, 10.0)]
    >>> times = pd.DataFrame(ends, columns=["seed", "reached", "spent_epochs"]).assign(**cell)
    >>> expected_cost(times)[["seeds", "trials", "reached", "expected"]]
       seeds  trials  reached  expected
    0      3       3        2       7.5
    """
    spent = times[f"spent_{cost}"].astype(float)
    ran = times.assign(spent=spent, reached=times["reached"].astype(bool))[spent.notna()]
    random = generator()
    rows = []
    for names, own in ran.groupby(CELL, sort=False, observed=True):
        by_seed = own.groupby("seed").agg(spent=("spent", "sum"), reached=("reached", "sum"))
        sums = by_seed.to_numpy(float)
        low = high = np.nan
        if len(sums) > 1:
            drawn = sums[random.integers(0, len(sums), (RESAMPLES, len(sums)))].sum(axis=1)
            low, high = map(float, percentile_interval(_ratio(drawn)))
        expected = float(_ratio(sums.sum(axis=0)))
        rows.append((*names, len(sums), len(own), int(sums[:, 1].sum()), expected, low, high))
    columns = [*CELL, "seeds", "trials", "reached", "expected", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _ratio(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / np.maximum(sums[..., 1], 1), np.inf)
