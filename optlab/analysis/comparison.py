"""Paired ratios of seconds, and the verdict: faster, slower, or no difference shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

Indices: TypeAlias = NDArray[np.intp]

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
    return ratios_to_each(trials, [baseline])[0]


def ratios_to_each(
    trials: pd.DataFrame, baselines: Iterable[str | Mapping[str, object]]
) -> list[pd.DataFrame]:
    """Return the table of `ratios` for each of several baselines."""
    trials = measured(trials)
    cell = cell_numbers(trials)
    repeat = trials.groupby(["seed", "repeat"], sort=False, dropna=False).ngroup()
    sides = pd.DataFrame(
        {
            "cell": cell,
            "repeat": repeat,
            "place": cell * (repeat.max() + 1) + repeat,
            "seconds": trials["seconds"].astype(float),
            "status": trials["status"].astype(object),
            "contended": trials["contended"].astype(bool),
            "shared": in_sweep(trials),
        }
    )
    if not sides["place"].is_unique:
        which = trials.loc[sides["place"].duplicated(), [*CELL, "seed", "repeat"]]
        raise ValueError(f"trials must have each repeat once, not twice {which.iloc[0].to_dict()}")
    cells = trials.loc[~cell.duplicated(), CELL].reset_index(drop=True)
    seconds = sides["seconds"].where(timed(trials))
    unstable = spread(seconds, cell, trials["seed"]).reindex(cells.index) > UNSTABLE_ABOVE
    sides = sides.sort_values("cell", kind="stable", ignore_index=True)
    return [_to_one(sides, cells, unstable.to_numpy(), baseline) for baseline in baselines]


def _to_one(
    sides: pd.DataFrame,
    cells: pd.DataFrame,
    unstable: NDArray[np.bool_],
    baseline: str | Mapping[str, object],
) -> pd.DataFrame:
    """Return the table of one baseline, from the trials as sides of pairs, ordered by cell."""
    compared, against, name = _comparisons(cells, baseline)
    pairs = _pairs(sides, compared, against)
    counted = pairs[pairs["left_out"] == ""]
    counts = np.bincount(counted["row"], minlength=len(compared))
    ratio, low, high = np.exp(_intervals(counted["log_ratio"].to_numpy(), counts)).T
    conditions = [counts < LEAST_PAIRS, low > 1, high < 1]
    rows = cells.take(compared).reset_index(drop=True)
    return rows.assign(
        baseline=name,
        baseline_batch=cells["batch"].reindex(against).set_axis(rows.index),
        pairs=counts,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        verdict=pd.Series(np.select(conditions, [TOO_FEW, SLOWER, FASTER], SAME), dtype=str),
        unstable=unstable[compared] | (unstable[against] & (against >= 0)),
        message=_messages(pairs, against, name),
    )


def _comparisons(
    cells: pd.DataFrame, baseline: str | Mapping[str, object]
) -> tuple[Indices, Indices, str]:
    """Return the cells to compare, the baseline cell of each or -1, and the baseline's name."""
    if isinstance(baseline, str):
        is_baseline, place = cells["optimizer"] == baseline, _PLACE
    else:
        is_baseline, place = (cells == [baseline[column] for column in CELL]).all(axis=1), CELL[:1]
    if not is_baseline.any():
        one = cells["optimizer"].unique() if isinstance(baseline, str) else cells.to_dict("records")
        raise ValueError(f"baseline must be one of {', '.join(map(repr, one))}, not {baseline!r}")
    others, own = np.flatnonzero(~is_baseline), np.flatnonzero(is_baseline)
    places = cells.groupby(place, sort=False, observed=True).ngroup().to_numpy()
    match = places[others, None] == places[own]
    if isinstance(baseline, str):
        batch, sizes = pd.factorize(cells["batch"].astype(object))
        direct = (sizes == DIRECT)[batch]
        match &= (batch[others, None] == batch[own]) | direct[others, None] | direct[own]
    row, column = np.nonzero(np.column_stack([match, ~match.any(axis=1)]))
    return others[row], np.append(own, -1)[column], cells["optimizer"].iloc[own[0]]


def _pairs(sides: pd.DataFrame, compared: Indices, against: Indices) -> pd.DataFrame:
    """Return each pair's row, its log ratio, and why it is left out (empty where it counts).

    Of the sides, ordered by cell, those of each cell of ``compared`` are paired with those of the
    same seed and repeat of its cell of ``against``.
    """
    counts = np.bincount(sides["cell"])
    number = counts[compared]
    row = np.repeat(np.arange(len(compared)), number)
    first = (np.cumsum(counts) - counts)[compared] - (np.cumsum(number) - number)
    one = np.arange(len(row)) + first[row]
    repeat = sides["repeat"].to_numpy()
    wanted = against[row] * (repeat.max() + 1) + repeat[one]
    other = pd.Index(sides["place"]).get_indexer(wanted)
    row, one, other = row[other >= 0], one[other >= 0], other[other >= 0]
    log_ratio, left_out = _judged(sides, one, other)
    return pd.DataFrame({"row": row, "log_ratio": log_ratio, "left_out": left_out})


def _judged(sides: pd.DataFrame, one: Indices, other: Indices) -> tuple[Floats, NDArray[np.str_]]:
    """Return the log ratios of pairs of sides, and why each is left out."""
    seconds, status = sides["seconds"].to_numpy(), sides["status"].to_numpy()
    well, took_time = sides["status"].isin(ENDED_WELL).to_numpy(), seconds > 0
    contended, shared = sides["contended"].to_numpy(), sides["shared"].to_numpy()
    reasons = {
        "did not end well": ~(well[one] & well[other]),
        "contended": contended[one] | contended[other],
        "ran in a sweep": shared[one] | shared[other],
        "reached stop_at in one of the two only": status[one] != status[other],
        "took no time the clock could see": ~(took_time[one] & took_time[other]),
    }
    with np.errstate(divide="ignore", invalid="ignore"):  # those are left out
        log_ratio = np.log(seconds[one] / seconds[other])
    return log_ratio, np.select(list(reasons.values()), list(reasons), "")


def _intervals(ordered: Floats, counts: Indices) -> Floats:
    """Return each row's mean log ratio, low and high, NaN where there are too few pairs."""
    intervals = np.full((len(counts), 3), np.nan)
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


def _messages(pairs: pd.DataFrame, against: Indices, baseline: str) -> pd.Series[str]:
    missing = f"{baseline} has no trial here to compare with"
    messages = pd.Series(np.where(against < 0, missing, ""), dtype=str)
    if (pairs["left_out"] != "").any():
        messages.update(left_out_texts(pairs, "row"))
    return messages
