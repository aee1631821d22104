"""Paired ratios of seconds, and the verdict: faster, slower, or no difference shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats, trimmed_mean_interval
from optlab.analysis.statistics import (
    CELL,
    ENDED_WELL,
    UNSTABLE_ABOVE,
    cell_numbers,
    in_sweep,
    measured,
    spread,
    timed,
)
from optlab.text import DIRECT

FASTER, SLOWER = "faster", "slower"
SAME = "no difference shown"
TOO_FEW = "too few repeats to say"

LEAST_PAIRS = 3
"""With fewer pairs no interval is given."""

_PLACE = ["problem", "device", "dtype"]


def ratios(trials: pd.DataFrame, baseline: str | Mapping[str, object]) -> pd.DataFrame:
    """Return how many times the baseline's seconds each other optimizer takes, and a verdict.

    A pair is a trial and the baseline's trial of the same problem, device, dtype, seed and repeat,
    and of the same batch size where both have one. Where the baseline is one cell, every other cell
    of its problem is compared with it, by seed and repeat. A pair counts where both ended well, ran
    alone, took more than no time, and ended alike: both reached ``stop_at`` or neither did, since
    one that stopped short is not compared by its seconds. The ratio is
    ``exp(trimmed mean of log(seconds / the baseline's seconds))`` over pairs, the interval that of
    `optlab.analysis.intervals.trimmed_mean_interval` on the logarithms.

    Parameters
    ----------
    trials
        The table of trials, or times to a target with a status.
    baseline
        The name of the optimizer that the others are compared with, or a cell: a mapping with its
        ``problem, optimizer, batch, device, dtype``.

    Returns
    -------
    pandas.DataFrame
        A row for each cell of another optimizer and each of the baseline's batch sizes it is
        compared with (one; a method without batches is compared with each):

        - the cell's columns, ``baseline, baseline_batch`` (missing where there is none);
        - ``pairs``: how many counted;
        - ``ratio, ratio_low, ratio_high``: above 1 is slower than the baseline; NaN without pairs,
          and the ends with fewer than 3;
        - ``verdict``: ``faster`` or ``slower`` where the interval excludes 1, else ``no difference
          shown``, or ``too few repeats to say`` with fewer than 3 pairs;
        - ``unstable``: whether either side's spread is over 10 %;
        - ``message``: why pairs were left out, or empty.

    Raises
    ------
    ValueError
        Where no trial is of the baseline, or several trials are of one cell, seed and repeat.

    See Also
    --------
    summary : Each optimizer alone.

    Notes
    -----
    The interval is at 95 %: of pairs of equal optimizers, one in twenty is called different. Each
    row stands for itself; nothing is corrected for their number. It speaks of the seeds that were
    run and of this machine in this state, as `optlab.analysis.statistics.summary` says.

    Measured over 20 000 simulated experiments each, every trial with log-normal noise of 3 % (the
    pairs' logarithms: 4 %) and worse: of equal optimizers, how many were called different, and of
    one 1.3 times slower, how many were called slower, in per cent. Slowdowns multiply a share of
    all trials by 1.5 to 3; in bursts the machine is up to 2 times slower for some trials on end;
    drift is a random walk of 3 % a trial.

    ===== ========== ============= ============= ============== ========== ==========
    pairs noise only slowdowns 2 % slowdowns 5 % slowdowns 10 % bursts     drift
    ===== ========== ============= ============= ============== ========== ==========
    3     5.0, 99.7  4.2, 88       3.9, 74       2.9, 54        4.1, 86    5.2, 98
    5     4.8, 99.6  4.9, 98       4.5, 95       3.8, 84        4.5, 97    4.9, 98
    10    4.9, 100   4.6, 100      4.2, 98       3.4, 90        4.6, 100   5.1, 100
    20    5.0, 100   5.0, 100      4.5, 100      3.8, 99        4.7, 100   5.3, 100
    ===== ========== ============= ============= ============== ========== ==========

    At 5 pairs and 5 % slowdowns Student's interval finds the 1.3 in 68 %, and the sign test, whose
    false alarms cannot be fewer than 6.2 % there, in 78 %; the percentile bootstrap of the median
    is that sign test at 5 pairs. Where the machine is busy throughout and the logarithms scatter by
    20 %, a 1.3 is found in 31 % by 5 pairs, 84 % by 10 and 99 % by 20 (Student's: 60, 96 and
    100 %, which is what trimming costs there): a busy machine asks for more repeats.

    The interval: Tukey and McLaughlin (1963), Sankhya A 25, 331-352. Why ratios of paired runs, and
    logarithms: Fleming and Wallace (1986), Communications of the ACM 29, 218-221.

    Examples
    --------
    >>> import pandas as pd
    >>> def trial(optimizer, repeat, seconds):
    ...     where = dict(problem="p", batch="full", device="cpu", dtype="float32", seed=0)
    ...     how = dict(status="finished", contended=False)
    ...     return where | how | dict(optimizer=optimizer, repeat=repeat, seconds=seconds)
    >>> seconds = [(1.00, 1.31), (1.02, 1.35), (0.99, 1.30), (1.01, 3.90), (1.03, 1.32)]
    >>> rows = [
    ...     trial(name, repeat, s)
    ...     for repeat, both in enumerate(seconds)
    ...     for name, s in zip("AB", both)
    ... ]
    >>> ratios(pd.DataFrame(rows), "A")[["optimizer", "pairs", "ratio", "ratio_low", "verdict"]]
      optimizer  pairs     ratio  ratio_low verdict
    0         B      5  1.315541   1.287965  slower
    """
    trials = measured(trials)
    _check(trials)
    cell = cell_numbers(trials)
    cells = trials.loc[~cell.duplicated(), CELL].reset_index(drop=True)
    rows = _comparisons(cells, baseline)
    pairs = _pairs(trials, cell, rows)
    counted = pairs.loc[pairs["left_out"] == "", ["row", "log_ratio"]]
    rows["pairs"] = counted.groupby("row").size().reindex(rows.index, fill_value=0)
    rows[["ratio", "ratio_low", "ratio_high"]] = np.exp(_intervals(counted, len(rows)))
    rows["verdict"] = SAME
    rows.loc[rows["ratio_high"] < 1, "verdict"] = FASTER
    rows.loc[rows["ratio_low"] > 1, "verdict"] = SLOWER
    rows.loc[rows["pairs"] < LEAST_PAIRS, "verdict"] = TOO_FEW
    seconds = trials["seconds"].astype(float).where(timed(trials))
    unstable = spread(seconds, cell, trials["seed"]) > UNSTABLE_ABOVE
    shaky = unstable[unstable].index
    rows["unstable"] = rows["cell"].isin(shaky) | rows["baseline_cell"].isin(shaky)
    rows["message"] = _messages(pairs, rows)
    return rows.drop(columns=["cell", "baseline_cell"])


def _check(trials: pd.DataFrame) -> None:
    twice = cell_numbers(trials, "seed", "repeat").duplicated()
    if twice.any():
        which = trials.loc[twice, [*CELL, "seed", "repeat"]].iloc[0].to_dict()
        raise ValueError(f"trials must have each repeat once, not twice {which}")


def _comparisons(cells: pd.DataFrame, baseline: str | Mapping[str, object]) -> pd.DataFrame:
    """Return a row for each cell and baseline cell to compare; one with -1 where there is none."""
    if isinstance(baseline, str):
        is_baseline, place = cells["optimizer"] == baseline, _PLACE
    else:
        is_baseline, place = (cells == [baseline[column] for column in CELL]).all(axis=1), CELL[:1]
    if not is_baseline.any():
        one = cells["optimizer"].unique() if isinstance(baseline, str) else cells.to_dict("records")
        raise ValueError(f"baseline must be one of {', '.join(map(repr, one))}, not {baseline!r}")
    numbered = cells.assign(cell=cells.index)
    names = {"optimizer": "baseline", "batch": "baseline_batch", "cell": "baseline_cell"}
    against = numbered[is_baseline].rename(columns=names)[[*place, *names.values()]]
    others = numbered[~is_baseline]
    both = others.merge(against, on=place)
    if isinstance(baseline, str):
        mine, its = both["batch"], both["baseline_batch"]
        both = both[(mine == its) | (mine == DIRECT) | (its == DIRECT)]
    rows = others.merge(both[["cell", *names.values()]], on="cell", how="left")
    rows["baseline"] = cells.loc[is_baseline, "optimizer"].iloc[0]
    rows["baseline_cell"] = rows["baseline_cell"].fillna(-1).astype(int)
    return rows[["cell", "baseline_cell", *CELL, "baseline", "baseline_batch"]]


def _pairs(trials: pd.DataFrame, cell: pd.Series[int], rows: pd.DataFrame) -> pd.DataFrame:
    """Return each pair's row, its log ratio, and why it is left out (empty where it counts)."""
    key = ["seed", "repeat"]
    sides = trials[[*key, "status", "contended", "seconds"]].assign(cell=cell)
    sides["contended"], sides["shared"] = sides["contended"].astype(bool), in_sweep(trials)
    sides["seconds"] = sides["seconds"].astype(float)
    numbers = rows[["cell", "baseline_cell"]].assign(row=rows.index)
    theirs = sides.rename(columns={"cell": "baseline_cell"})
    pairs = numbers.merge(sides, on="cell").merge(theirs, on=["baseline_cell", *key])
    well = pairs[["status_x", "status_y"]].isin(ENDED_WELL).all(axis=1)
    took_time = (pairs[["seconds_x", "seconds_y"]] > 0).all(axis=1)
    reasons = {
        "did not end well": ~well,
        "contended": pairs["contended_x"] | pairs["contended_y"],
        "ran in a sweep": pairs["shared_x"] | pairs["shared_y"],
        "reached stop_at in one of the two only": pairs["status_x"] != pairs["status_y"],
        "took no time the clock could see": ~took_time,
    }
    left_out = np.select(list(reasons.values()), list(reasons), default="")
    with np.errstate(divide="ignore", invalid="ignore"):  # those are left out
        log_ratio = np.log(pairs["seconds_x"] / pairs["seconds_y"])
    return pairs[["row"]].assign(log_ratio=log_ratio, left_out=left_out)


def _intervals(counted: pd.DataFrame, rows: int) -> Floats:
    """Return each row's mean log ratio, low and high, NaN where there are too few pairs."""
    intervals = np.full((rows, 3), np.nan)
    ordered = counted.sort_values("row", kind="stable")["log_ratio"].to_numpy()
    counts = np.bincount(counted["row"], minlength=rows)
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[counts > 0]):
        chosen = np.flatnonzero(counts == n)
        samples = ordered[starts[chosen, None] + np.arange(n)]
        intervals[chosen] = np.column_stack(trimmed_mean_interval(samples))
    intervals[counts < LEAST_PAIRS, 1:] = np.nan
    return intervals


def left_out_texts(pairs: pd.DataFrame, by: str) -> pd.Series[str]:
    """Return why pairs were left out, with their number, by the values of a column."""
    left_out = pairs[pairs["left_out"] != ""]
    counts = left_out.groupby([by, "left_out"], sort=False).size().rename("count").reset_index()
    words = counts["count"].astype(str) + " " + counts["left_out"]
    return "pairs left out: " + words.groupby(counts[by]).agg(", ".join)


def _messages(pairs: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[str]:
    messages = left_out_texts(pairs, "row").reindex(rows.index, fill_value="")
    missing = rows["baseline"] + " has no trial here to compare with"
    return messages.mask(rows["baseline_cell"] < 0, missing)
