"""Solvers over many problems at once: performance and data profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats
from optlab.analysis.statistics import CELL
from optlab.analysis.targets import COSTS

SOLVER = ("optimizer", "batch_size")
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
        optimizer, batch_size, device, dtype and seed; without ``"batch_size"`` here, methods that
        use no batches have instances of their own.
    taus
        Where to give the shares; where they change, if left out, from 1 on.

    Returns
    -------
    pandas.DataFrame
        ``solver`` (a label), its columns, ``tau, share``: a row for each solver and tau, to be
        drawn as steps that hold to the right. Whatever did not reach the target, was skipped or was
        not run costs inf: it is never within tau, and its instance counts among all. Where nobody
        gets there, nobody is within any tau.

    Raises
    ------
    ValueError
        For columns that are none, and for seconds where a solver reached the target of an instance
        in contended trials only: those cannot be ranked.

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
    ...     batch_size="full", device="cpu", dtype="float32", seed=0, reached=[1, 1, 0, 1]
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
    costs, names, _ = _costs(times, cost, solver)
    best = costs.min(axis=1, keepdims=True, initial=np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(costs == best, 1.0, costs / best)  # where the best is 0 only it is within
    ratios[~np.isfinite(costs)] = np.inf
    return _shares(ratios, names, taus, first=1.0)


def data_profile(
    times: pd.DataFrame,
    cost: str = "epochs",
    *,
    unit: Mapping[str, float] | None = None,
    solver: Sequence[str] = SOLVER,
    taus: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return for each solver the share of instances it solves within a budget of tau units.

    ``d_s(tau) = |{p : t_ps / u_p <= tau}| / |P|``. Unlike a performance profile it does not depend
    on who else was compared.

    Parameters
    ----------
    times, cost, solver, taus
        As for `performance_profile`; taus go from 0 on.
    unit
        The cost that counts as one, u_p, by the problem's name; 1 where left out. Moré and Wild
        measure evaluations in simplex gradients, u_p = d + 1.

    Returns
    -------
    pandas.DataFrame
        ``solver`` (a label), its columns, ``tau, share``, as for `performance_profile`.

    Raises
    ------
    ValueError
        As for `performance_profile`, and for a problem that has no positive unit.

    Notes
    -----
    Moré and Wild (2009), SIAM Journal on Optimization 20, 172-191.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("p", "A", 10.0), ("p", "B", 40.0), ("q", "A", float("inf")), ("q", "B", 5.0)]
    >>> times = pd.DataFrame(rows, columns=["problem", "optimizer", "epochs"]).assign(
    ...     batch_size="full", device="cpu", dtype="float32", seed=0, reached=[1, 1, 0, 1]
    ... )
    >>> profile = data_profile(times, solver=["optimizer"], taus=[20, 50])
    >>> profile[["solver", "tau", "share"]]
      solver   tau  share
    0      A  20.0    0.5
    1      A  50.0    0.5
    2      B  20.0    0.5
    3      B  50.0    1.0
    """
    costs, names, problems = _costs(times, cost, solver)
    if unit is not None:
        without = [p for p in dict.fromkeys(problems) if not unit.get(str(p), 0) > 0]
        if without:
            raise ValueError(f"unit must be positive for each problem, and is not for {without}")
        costs = costs / np.array([unit[str(p)] for p in problems], dtype=float)[:, None]
    return _shares(costs, names, taus, first=0.0)


def _costs(
    times: pd.DataFrame, cost: str, solver: Sequence[str]
) -> tuple[Floats, pd.DataFrame, list[object]]:
    """Return the costs (instances, solvers), the solvers' names, and each instance's problem."""
    if cost not in COSTS:
        raise ValueError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
    axes = [*CELL, "seed"]
    if not solver or "problem" in solver or not set(solver) <= set(axes):
        raise ValueError(f"solver must be columns among {', '.join(axes[1:])}, not {solver!r}")
    rest = [axis for axis in axes if axis not in solver]
    by_solver = times.groupby(list(solver), sort=False, dropna=False).ngroup()
    by_instance = times.groupby(rest, sort=False, dropna=False).ngroup()
    reached = times["reached"].astype(bool)
    value = times[cost].astype(float).where(reached, np.inf)
    median = value.groupby([by_instance, by_solver]).median()
    if median.isna().any():
        raise ValueError(
            f"{cost} of contended trials cannot be ranked, and there are no others for "
            f"{int(median.isna().sum())} instances: rank by epochs or samples"
        )
    names = times.loc[~by_solver.duplicated(), list(solver)].reset_index(drop=True)
    first = times.loc[~by_instance.duplicated(), "problem"]
    costs = np.full((len(first), len(names)), np.inf)
    at = median.index
    costs[at.get_level_values(0), at.get_level_values(1)] = median.to_numpy()
    labels = [_label(dict(row)) for _, row in names.iterrows()]
    names.insert(0, "solver", pd.Series(labels, index=names.index, dtype=str))
    return costs, names, list(first)


def _shares(
    costs: Floats,
    names: pd.DataFrame,
    taus: Sequence[float] | None,
    first: float,
) -> pd.DataFrame:
    """Return the share of each column's costs (instances, solvers) at most tau, as a tidy table."""
    if taus is None:
        grid = np.unique(np.append(costs[np.isfinite(costs)], first))
    else:
        grid = np.asarray(taus, dtype=float)
    within = np.array([np.searchsorted(np.sort(column), grid, side="right") for column in costs.T])
    table = names.loc[names.index.repeat(grid.size)].reset_index(drop=True)
    table["tau"] = np.tile(grid, len(names))
    table["share"] = within.ravel() / max(1, len(costs))
    return table


def _label(row: Mapping[str, object]) -> str:
    """Return a solver's name for people: ``"ManualSGD, batch size 5"``."""
    words = {"batch_size": "batch size {}", "device": "on {}", "seed": "seed {}"}
    known = {column: value for column, value in row.items() if not _missing(value)}
    return ", ".join(words.get(column, "{}").format(value) for column, value in known.items())


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or value != value  # noqa: PLR0124 - NaN is not itself
