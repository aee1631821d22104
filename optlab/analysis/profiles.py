"""Performance profiles: solvers compared over many problems at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats
from optlab.analysis.statistics import CELL
from optlab.analysis.targets import COSTS
from optlab.text import cell_label

SOLVER = ("optimizer", "batch")
"""The columns that name a solver, unless others are given; the rest of a cell, and the seed, name
an instance."""


def performance_profile(
    times: pd.DataFrame,
    cost: str = "seconds",
    *,
    solver: Sequence[str] = SOLVER,
    taus: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return for each solver the share of instances solved within tau times the least cost.

    ``rho_s(tau) = |{p : t_ps <= tau min_r t_pr}| / |P|``: at tau = 1 the share of instances where
    the solver is the best (or as good), at the right end the share it solves at all.

    Parameters
    ----------
    times
        What `optlab.analysis.targets.time_to_target` returned, over several problems or seeds.
    cost
        ``"seconds"``, ``"epochs"`` or ``"samples"`` to the target; the median over repeats.
    solver
        The columns that name a solver. An instance is a value of the others among problem,
        optimizer, batch, device, dtype and seed; without ``"batch"`` here, methods that use no
        batches have instances of their own.
    taus
        Where to give the shares; where they change, if left out, from 1 on.

    Returns
    -------
    pandas.DataFrame
        ``solver`` (a label), its columns, ``tau, share``: a row for each solver and tau, to be
        drawn as steps that hold to the right. Whatever did not reach the target, was skipped or was
        not run costs inf: it is never within tau, and its instance counts among all. Where no
        solver reaches the target, none is within any tau.

    Raises
    ------
    ValueError
        For columns that are none, and for seconds where a solver reached the target of an instance
        in contended trials only: those cannot be ranked.

    See Also
    --------
    scores : Its area.

    Notes
    -----
    Dolan and Moré (2002), Mathematical Programming 91, 201-213. With more than two solvers the
    order of the others can turn round when the best is left out: Gould and Scott (2016), ACM
    Transactions on Mathematical Software 43, 15.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("p", "A", 1.0), ("p", "B", 2.0), ("q", "A", float("inf")), ("q", "B", 3.0)]
    >>> times = pd.DataFrame(rows, columns=["problem", "optimizer", "seconds"]).assign(
    ...     batch="full", device="cpu", dtype="float32", seed=0, reached=[1, 1, 0, 1]
    ... )
    >>> performance_profile(times, solver=["optimizer"], taus=[1, 2, 10])
      solver optimizer   tau  share
    0      A         A   1.0    0.5
    1      A         A   2.0    0.5
    2      A         A  10.0    0.5
    3      B         B   1.0    0.5
    4      B         B   2.0    1.0
    5      B         B  10.0    1.0
    """
    costs, names = _costs(times, cost, solver)
    ratios = ratios_to_least(costs)
    return _shares(ratios, names, taus)


def ratios_to_least(costs: Floats) -> Floats:
    """Return each cost over the least along the last axis: inf where it is infinite.

    Where the least is 0, others are infinitely far from it.

    Examples
    --------
    >>> ratios_to_least(np.array([[2.0, 3.0, np.inf], [0.0, 0.0, 1.0]])).tolist()
    [[1.0, 1.5, inf], [1.0, 1.0, inf]]
    """
    least = costs.min(axis=-1, keepdims=True, initial=np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(costs == least, 1.0, costs / least)
    return np.where(np.isfinite(costs), ratios, np.inf)


def _costs(times: pd.DataFrame, cost: str, solver: Sequence[str]) -> tuple[Floats, pd.DataFrame]:
    """Return the costs (instances, solvers) and the solvers' names."""
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    axes = [*CELL, "seed"]
    if not solver or "problem" in solver or not set(solver) <= set(axes):
        raise ValueError(f"solver must be columns among {', '.join(axes[1:])}, not {solver!r}")
    rest = [axis for axis in axes if axis not in solver]
    by_solver = times.groupby(list(solver), sort=False, observed=True).ngroup()
    by_instance = times.groupby(rest, sort=False, observed=True).ngroup()
    reached = times["reached"].astype(bool)
    value = times[cost].astype(float).where(reached, np.inf)
    median = value.groupby([by_instance, by_solver]).median()
    if median.isna().any():
        raise ValueError(
            f"{cost} of contended trials cannot be ranked, nor those of sweeps, and there are no "
            f"others for {int(median.isna().sum())} instances: rank by epochs or samples"
        )
    names = times.loc[~by_solver.duplicated(), list(solver)].reset_index(drop=True)
    costs = np.full((by_instance.nunique(), len(names)), np.inf)
    at = median.index
    costs[at.get_level_values(0), at.get_level_values(1)] = median.to_numpy()
    labels = [cell_label(row) for row in names.to_dict("records")]
    names.insert(0, "solver", pd.Series(labels, index=names.index, dtype=str))
    return costs, names


def _shares(costs: Floats, names: pd.DataFrame, taus: Sequence[float] | None) -> pd.DataFrame:
    """Return the share of each column's costs (instances, solvers) at most tau, as a tidy table."""
    if taus is None:
        grid = np.unique(np.append(costs[np.isfinite(costs)], 1.0))
    else:
        grid = np.asarray(taus, dtype=float)
    within = np.array([np.searchsorted(np.sort(column), grid, side="right") for column in costs.T])
    table = names.loc[names.index.repeat(grid.size)].reset_index(drop=True)
    table["tau"] = np.tile(grid, len(names))
    table["share"] = within.ravel() / max(1, len(costs))
    return table
