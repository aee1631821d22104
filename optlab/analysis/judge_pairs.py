"""Judge pairs of numbers cell by cell: a verdict where a difference is shown, and is large."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.comparison import LEAST_PAIRS, SAME, TOO_FEW, left_out_texts
from optlab.analysis.intervals import Floats, holm, trimmed_mean_interval, trimmed_mean_p_value

NOT_COMPARED = "not compared"

COLUMNS = ["cell", "old", "new", "ratio", "ratio_low", "ratio_high", "pairs", "p", "verdict"]


def judge_pairs(
    pairs: pd.DataFrame, words: tuple[str, str], *, tolerance: float, level: float, exact: bool
) -> pd.DataFrame:
    """Return each cell's ratio, and a verdict.

    The ratio is ``exp(trimmed mean of the pairs' log_ratio)`` with the interval of
    `optlab.analysis.intervals.trimmed_mean_interval`. It is called a difference where it is beyond
    ``1 + tolerance`` (or its inverse), and its p-value, adjusted by Holm for the cells in which
    anything differs, is below ``level``. Of fewer than 3 pairs there is no interval: exact numbers
    differ where all pairs are beyond the tolerance, to the same side; of others too few are said.

    Parameters
    ----------
    pairs
        ``cell, old, new, log_ratio, left_out``.
    words
        The verdicts on ratios below and above 1.
    tolerance, level
        As above.
    exact
        Whether the numbers have no noise: they are the same each time that the same code runs.

    Returns
    -------
    pandas.DataFrame
        A row for each cell: ``cell``, the medians ``old, new``, ``ratio, ratio_low, ratio_high``
        (NaN with fewer than 3 pairs), ``pairs, p, verdict, message``: why pairs were left out.

    Notes
    -----
    Simulated for seconds, 2 000 comparisons each of six methods (`benchmarks/diff_simulation.py`):
    in how many any of unchanged ones was called different, and in how many one that is 1.5 times
    slower was called so, in per cent. Slowdowns multiply a share of all trials by 1.5 to 3; bursts
    make a repeat of all methods slower or faster.

    ===== ========= ============= ============== ========== ========
    pairs noise 3 % slowdowns 5 % slowdowns 20 % noise 20 % bursts
    ===== ========= ============= ============== ========== ========
    5     0.0, 37   0.0, 25       0.2, 7         0.7, 1     0.0, 35
    10    0.0, 100  0.0, 97       0.0, 29        0.6, 10    0.0, 100
    20    0.0, 100  0.0, 100      0.0, 77        0.2, 51    0.0, 100
    30    0.0, 100  0.0, 100      0.0, 90        0.3, 92    0.0, 100
    ===== ========= ============= ============== ========== ========
    """
    counted = pairs[pairs["left_out"] == ""]
    groups = {cell: own["log_ratio"].to_numpy(float) for cell, own in counted.groupby("cell")}
    cells = list(dict.fromkeys(pairs["cell"]))
    rows = [_row(groups.get(cell, np.empty(0))) for cell in cells]
    table = pd.DataFrame(rows, columns=["log_ratio", "low", "high", "pairs", "p", "one_side"])
    table.insert(0, "cell", cells)
    table["p"] = holm(table["p"].where(table["log_ratio"] != 0).to_numpy(float))
    small = table["pairs"] < LEAST_PAIRS
    large = table["log_ratio"].abs() > np.log1p(tolerance)
    shown = np.where(small, table["one_side"] > np.log1p(tolerance), table["p"] < level)
    above = (table["log_ratio"] > 0).astype(int)
    verdict = np.where(large & shown, np.take(words, above), SAME)
    table["verdict"] = verdict if exact else np.where(small, TOO_FEW, verdict)
    table.loc[table["pairs"] == 0, "verdict"] = NOT_COMPARED
    ends = {"log_ratio": "ratio", "low": "ratio_low", "high": "ratio_high"}
    table[list(ends.values())] = np.exp(table[list(ends)].to_numpy(float))
    medians = counted.groupby("cell")[["old", "new"]].median().reindex(cells)
    table["old"], table["new"] = medians["old"].to_numpy(), medians["new"].to_numpy()
    table["message"] = left_out_texts(pairs, "cell").reindex(cells, fill_value="").to_numpy()
    return table[[*COLUMNS, "message"]]


def _row(samples: Floats) -> tuple[float, float, float, int, float, float]:
    """Return the mean, the interval's ends, the number, the p-value, and the least to one side."""
    if not len(samples):
        return np.nan, np.nan, np.nan, 0, np.nan, np.nan
    mean, low, high = (float(end[0]) for end in trimmed_mean_interval(samples[None]))
    one_side = float(max(samples.min(), -samples.max()))
    if len(samples) < LEAST_PAIRS:
        return mean, np.nan, np.nan, len(samples), np.nan, one_side
    p = float(trimmed_mean_p_value(samples[None])[0])
    return mean, low, high, len(samples), p, one_side
