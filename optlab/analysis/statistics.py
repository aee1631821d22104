"""Summaries over repeats and seeds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.intervals import median_ranks

CELL = ["problem", "optimizer", "batch", "device", "dtype"]
"""The columns that name a cell; its seeds and repeats are samples of one distribution."""

ENDED_WELL = ("finished", "converged")
"""The statuses of trials whose seconds are those of a whole solve."""

CROWDED_ABOVE = 0.25
"""Trials that were short of more cores than this are marked crowded."""

UNSTABLE_ABOVE = 0.1
"""Repeats whose IQR is more than this share of their median are marked unstable."""

_MADE = ["epochs", "steps", "samples"]
_SECONDS = ["transfer_seconds", "compile_seconds", "first_pass_seconds", "seconds"]
_MEDIANS = [*_MADE, *_SECONDS, "loss", "suboptimality", "parameter_error", "gradient_norm",
            "best_suboptimality", "best_epoch", "peak_bytes", "best_loss"]  # fmt: skip


def measured(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the measured trials, without those that tuned an optimizer."""
    return trials[trials["stage"] != "tuning"] if "stage" in trials else trials


def timed(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials' seconds may be ranked: those that ended well and ran alone."""
    return trials["status"].isin(ENDED_WELL) & ran_alone(trials)


def ran_alone(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials ran neither beside others (contended) nor in a sweep (shared)."""
    return ~(trials["contended"].fillna(False).astype(bool) | in_sweep(trials))


def in_sweep(trials: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials ran in a sweep; none do in tables that do not say it."""
    if "shared" not in trials:
        return pd.Series(False, index=trials.index)
    return trials["shared"].fillna(False).astype(bool)


def cell_numbers(trials: pd.DataFrame, *more: str) -> pd.Series[int]:
    """Return the number of each trial's cell, from 0 in order of appearance.

    ``more`` names further columns that tell cells apart.
    """
    return trials.groupby([*CELL, *more], sort=False, observed=True).ngroup()


def by_cell(table: pd.DataFrame, column: str, *more: str, **how: str) -> pd.DataFrame:
    """Return a row for each cell (and values of ``more``) with a column aggregated."""
    groups = table.groupby([*CELL, *more], sort=False, observed=True)[column]
    table = groups.agg(**how).reset_index()  # type: ignore[call-overload]
    return pd.DataFrame(table)


def further_measures(trials: pd.DataFrame) -> list[str]:
    """Return the columns of further measures, such as an accuracy: the last of the trials' table.

    Examples
    --------
    >>> further_measures(pd.DataFrame(columns=["trial", "reference", "accuracy"]))
    ['accuracy']
    """
    columns = [str(name) for name in trials]
    return columns[columns.index("reference") + 1 :] if "reference" in columns else []


def summary(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell: its trials, statuses, medians, and the interval of its seconds.

    Parameters
    ----------
    trials
        The table of trials.

    Returns
    -------
    pandas.DataFrame
        The cell's columns, its ``batch_size`` and hyperparameters, then

        - ``trials``; ``status``, counted where they differ (``"4 finished, 1 diverged"``); and
          ``message``, the first of those that did not end well, or the first at all;
        - medians over repeats and seeds: ``epochs, steps, samples, transfer_seconds,
          compile_seconds, first_pass_seconds, seconds, loss, suboptimality, parameter_error,
          gradient_norm, best_suboptimality, best_epoch, best_loss`` over the trials that got as
          far, and ``peak_bytes`` over those that it was measured of;
        - ``timed``: how many trials' seconds (and transfer and first pass) entered. Only those of
          trials that finished or converged do, and never those that ran beside others or in a
          sweep; where none is left they are NaN;
        - ``seconds_low, seconds_high, seconds_coverage``: the interval of the median and the share
          of experiments in which it covers, at least 95 % from six timed trials on, less below.
          NaN for one;
        - ``cores_short``: the most over the timed trials: by how many cores their threads and what
          other processes used exceeded the machine;
        - ``spread``: IQR / median of the seconds over repeats, the median over seeds; NaN where no
          seed was repeated. ``unstable``: whether it is over 10 %;
        - ``contended``: whether any trial ran beside others; ``shared``: whether any ran in a
          sweep;
        - the medians of further measures, such as ``accuracy`` or ``validation_loss``, where trials
          have some.

    See Also
    --------
    ratios : Pairs of optimizers.
    target_summary : Costs of a target.

    Notes
    -----
    The interval's ends are order statistics chosen by their exact coverage (see
    `optlab.analysis.intervals.median_ranks`). The percentile bootstrap of a median is made of the
    same order statistics: at three and at five repeats it too is the least and the most, and at
    seven, where it takes the second from either end, it covers 87.5 %. No random numbers enter.

    It covers the median of further repeats of these seeds on this machine in this state: what would
    vary if the experiment were run again at once. It says nothing of other seeds, other machines or
    another day, and takes repeats as independent; interleaving them is what makes that reasonable.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> results = ol.compare(problem, [ol.ManualSGD(0.1), ol.Lstsq()], epochs=20, repeats=6)
    >>> summary(results.trials)[["optimizer", "trials", "status", "timed", "seconds_coverage"]]
       optimizer  trials    status  timed  seconds_coverage
    0  ManualSGD       6  finished      6           0.96875
    1      Lstsq       6  finished      6           0.96875
    """
    trials = measured(trials).reset_index(drop=True)
    cell, alone = cell_numbers(trials), timed(trials)
    number = int(cell.max()) + 1 if len(cell) else 0
    own = [c for c in trials if c == "batch_size" or str(c).startswith("hp_")]
    rows = trials.loc[~cell.duplicated(), [*CELL, *own]].reset_index(drop=True)
    values = _numbers(trials, alone)
    seconds = values["seconds"]
    medians = values.groupby(cell).median()
    found: dict[str, Any] = {
        "trials": np.bincount(cell, minlength=number),
        "status": pd.Series(_status(trials["status"], cell, number), dtype=str),
        "message": pd.Series(_message(trials, cell, number), dtype=str),
        **{name: medians[name] for name in _MEDIANS if name in values},
        "timed": np.bincount(cell[seconds.notna()], minlength=number),
    }
    ends = median_intervals(seconds, cell)
    found |= {f"seconds_{end}": ends[end] for end in ("low", "high", "coverage")}
    found["spread"] = spread(seconds, cell, trials["seed"])
    found["unstable"] = found["spread"] > UNSTABLE_ABOVE
    for name, marks in (("contended", trials["contended"]), ("shared", in_sweep(trials))):
        found[name] = np.bincount(cell[marks.astype(bool)], minlength=number) > 0
    found["cores_short"] = trials["cores_short"].where(alone).groupby(cell).max()
    found |= {str(name): medians[name] for name in medians if name not in {*rows, *found}}
    return pd.concat([rows, pd.DataFrame(found, index=rows.index)], axis=1)


def _numbers(trials: pd.DataFrame, alone: pd.Series[bool]) -> pd.DataFrame:
    """Return the columns that medians are taken of, as far as each trial counts in them."""
    ran = trials["status"].isin(ENDED_WELL) | (trials["epochs"] > 0) | trials["loss"].notna()
    values = {}
    for name in [*(n for n in _MEDIANS if n in trials), *further_measures(trials)]:
        numbers = pd.to_numeric(trials[name], errors="coerce").astype(float)
        counts = alone if name in _SECONDS else ran if name in _MADE else None
        values[name] = numbers if counts is None else numbers.where(counts)
    return pd.DataFrame(values)


def median_intervals(values: pd.Series[float], cell: pd.Series[int]) -> pd.DataFrame:
    """Return each cell's ``median`` with ``low, high, coverage`` of its interval.

    A row for each cell, in the order of their numbers. Missing values are left out; infinite ones
    count, and may make a median or an end infinite. The median of an even number of values is the
    mean of the two in the middle; of one value there is no interval.
    """
    given = values.notna().to_numpy()
    numbers, cells = values.to_numpy(float)[given], cell.to_numpy()[given]
    ordered = numbers[np.lexsort((numbers, cells))]
    counts = np.bincount(cells, minlength=cell.max() + 1 if len(cell) else 0)
    first = np.cumsum(counts) - counts
    rows = np.full((counts.size, 4), np.nan)
    for n in np.unique(counts[counts > 0]):
        chosen = np.flatnonzero(counts == n)
        start = first[chosen]
        rows[chosen, 0] = (ordered[start + (n - 1) // 2] + ordered[start + n // 2]) / 2
        if n > 1:
            k, coverage = median_ranks(int(n))
            rows[chosen, 1:3] = np.column_stack([ordered[start + k - 1], ordered[start + n - k]])
            rows[chosen, 3] = coverage
    return pd.DataFrame(rows, columns=["median", "low", "high", "coverage"])


def spread(seconds: pd.Series[float], cell: pd.Series[int], seed: pd.Series[int]) -> pd.Series[Any]:
    """Return IQR / median over the repeats of each seed, then the median over a cell's seeds.

    NaN seconds are left out, and seeds with fewer than two others. Indexed by the cell's number.
    """
    given = seconds.notna().to_numpy()
    seeds, known = pd.factorize(seed)
    place = (cell.to_numpy() * len(known) + seeds)[given]
    values = seconds.to_numpy(float)[given]
    ordered = values[np.lexsort((values, place))]
    groups, counts = np.unique(place, return_counts=True)
    first = np.cumsum(counts) - counts
    relative = np.full(len(groups), np.nan)
    for n in np.unique(counts[counts > 1]):
        chosen = np.flatnonzero(counts == n)
        samples = ordered[first[chosen, None] + np.arange(n)]
        low, middle, high = np.quantile(samples, [0.25, 0.5, 0.75], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # of seconds that are 0
            relative[chosen] = (high - low) / middle
    own = pd.Series(groups // max(len(known), 1), dtype=int)
    medians = median_intervals(pd.Series(relative), own)["median"]
    return medians.reindex(range(cell.max() + 1 if len(cell) else 0))


def _status(status: pd.Series[str], cell: pd.Series[int], number: int) -> list[str]:
    """Return each cell's statuses, the most frequent first, with their counts where they differ."""
    counts: list[Counter[str]] = [Counter() for _ in range(number)]
    for name, own in zip(status, cell, strict=True):
        counts[own][name] += 1
    return [
        ", ".join(f"{count} {name}" if len(own) > 1 else name for name, count in own.most_common())
        for own in counts
    ]


def _message(trials: pd.DataFrame, cell: pd.Series[int], number: int) -> list[str | None]:
    """Return each cell's first message of a trial that did not end well, or the first at all."""
    found: list[str | None] = [None] * number
    well = trials["status"].isin(ENDED_WELL)
    for those in (~well, well):
        known = those & trials["message"].notna()
        for own, message in zip(cell[known], trials["message"][known], strict=True):
            if found[own] is None:
                found[own] = message
    return found
