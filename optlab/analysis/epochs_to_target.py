"""The epochs to a target of two results' common trials, a pair a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from optlab.analysis.intervals import Floats
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.targets import time_to_target
from optlab.lab.trial.stop_at import StopAt

_COLUMNS = ["cell", "seed", "old", "new", "log_ratio", "left_out"]


def common_target(old: ResultTables, new: ResultTables) -> StopAt | str:
    """Return the target of two experiments, the easier of two shares; or why there is none."""
    own = [StopAt.stored(results.definition.get("stop_at")) for results in (old, new)]
    rules = list(dict.fromkeys(rule for rule in own if rule is not None))
    if not rules:
        return "the experiments have no stop_at: name a target with --stop-at"
    shares = [rule.share for rule in rules if rule.share is not None]
    if len(shares) == len(rules) and len({rule.measure for rule in rules}) == 1:
        return StopAt(rules[0].measure, share=max(shares))
    if len(rules) == 1:
        return rules[0]
    return f"the experiments stop at {rules[0]} and at {rules[1]}: name a target with --stop-at"


def epoch_pairs(
    old: tuple[pd.DataFrame, pd.DataFrame], new: tuple[pd.DataFrame, pd.DataFrame], rule: StopAt
) -> pd.DataFrame:
    """Return the epochs to a target, a row for each cell and seed.

    Repeats of a seed walk one path: their median counts. Where the recorded epochs that are the
    first at the target differ, the ratio is that of the epochs at which the measure crossed it,
    interpolated between recorded ones (the logarithm of the measure linearly, where it can be): a
    crossing that rounding moves beyond a recorded epoch moves by rounding only. Of a trial that did
    not get there the epochs that it made are the least that it needs.

    Parameters
    ----------
    old, new
        Trials with the number of their ``cell``, and traces.
    rule
        The target.

    Returns
    -------
    pandas.DataFrame
        ``cell, seed, old, new`` (recorded epochs, inf where not reached), ``log_ratio``, and
        ``left_out``: why a pair has no ratio, or empty.
    """
    sides = [_hits(trials, traces, rule) for trials, traces in (old, new)]
    pairs = sides[0].merge(sides[1], on=["cell", "seed"], suffixes=("_old", "_new"))
    reached = pairs[["reached_old", "reached_new"]].to_numpy(bool)
    ran = pairs[["ran_old", "ran_new"]].to_numpy(bool).all(axis=1)
    crossed = np.maximum(pairs[["crossed_old", "crossed_new"]].to_numpy(float), 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(crossed[:, 1] / crossed[:, 0])
    same = (pairs["epochs_old"] == pairs["epochs_new"]).to_numpy() & reached.all(axis=1)
    ratio[same] = 0
    # The trial that did not get there may have ended before the other's crossing.
    early = (reached[:, 0] & ~reached[:, 1] & (ratio < 0)) | (
        ~reached[:, 0] & reached[:, 1] & (ratio > 0)
    )
    reasons = [~ran, ~reached.any(axis=1), early]
    texts = [
        "did not end with an answer",
        "did not reach the target in either",
        "ended before the target in one of the two",
    ]
    left_out = np.select(reasons, texts, default="")
    recorded = pairs[["epochs_old", "epochs_new"]].where(reached, np.inf).to_numpy(float)
    return pd.DataFrame(
        {
            "cell": pairs["cell"], "seed": pairs["seed"], "old": recorded[:, 0],
            "new": recorded[:, 1], "log_ratio": np.where(left_out == "", ratio, np.nan),
            "left_out": left_out,
        }
    )[_COLUMNS]  # fmt: skip


def _hits(trials: pd.DataFrame, traces: pd.DataFrame, rule: StopAt) -> pd.DataFrame:
    """Return each cell's and seed's epochs to the target, as recorded and interpolated."""
    if rule.measure not in traces:
        raise ValueError(f"the traces have no measure {rule.measure!r}, at which a target stands")
    times = time_to_target(trials, traces, rule)
    times["cell"] = trials.set_index("trial")["cell"].reindex(times["trial"]).to_numpy()
    times["ran"] = times["epochs"].notna() & np.isfinite(times["epochs"])
    scales = dict(zip(trials["trial"], trials["stop_scale"].astype(float), strict=True))
    ordered = traces.sort_values(["trial", "epoch"], kind="stable")
    groups = {
        trial: own.to_numpy(float)
        for trial, own in ordered.groupby("trial")[["epoch", rule.measure]]
    }
    rows = zip(times["trial"], times["reached"], times["epochs"], strict=True)
    times["crossed"] = [
        _crossing(groups[trial], hit, float(rule.limit(scales[trial]))) if reached else hit
        for trial, reached, hit in rows
    ]
    by = times.groupby(["cell", "seed"], sort=False)
    numbers = by[["epochs", "crossed"]].median()
    return numbers.join(by[["reached", "ran"]].all()).reset_index()


def _crossing(trace: Floats, hit: float, limit: float) -> float:
    """Return the epoch at which a measure crossed a limit, before the recorded epoch ``hit``.

    Examples
    --------
    >>> _crossing(np.array([[0, 1.0], [10, 0.01], [20, 0.0001]]), 20, 0.001)
    15.0
    """
    after = int(np.searchsorted(trace[:, 0], hit))
    if not after or not np.isfinite(limit):
        return hit
    (start, above), (end, below) = trace[after - 1], trace[after]
    values: Sequence[float] = (above, limit, below)
    if min(values) > 0:
        values = [float(value) for value in np.log(values)]
    if values[0] == values[2] or not np.isfinite(values).all():
        return hit
    share = (values[0] - values[1]) / (values[0] - values[2])
    return float(start + (end - start) * min(max(share, 0.0), 1.0))
