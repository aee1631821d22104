"""Measure the suboptimality of two results from one loss, where no reference is known."""

from __future__ import annotations

import pandas as pd

from optlab.analysis.result_tables import ResultTables

Tables = tuple[pd.DataFrame, pd.DataFrame]
"""Trials and traces."""


def from_one_loss(
    old: ResultTables, new: ResultTables, trials: tuple[pd.DataFrame, pd.DataFrame]
) -> tuple[Tables, Tables]:
    """Return trials and traces of two results with suboptimality measured from the same losses.

    Trials of a problem without a reference are judged by the least loss that any of their own found
    (best known): of two results that is the lesser of both.
    """
    sides = (old, new)
    least: dict[str, float] = {}
    for results in sides:
        for name, facts in results.problems.items():
            if facts.reference is not None and facts.reference.kind == "best known":
                least[name] = min(facts.reference.loss, least.get(name, facts.reference.loss))
    first, second = (
        _measured_from(least, own, results.traces)
        for own, results in zip(trials, sides, strict=True)
    )
    return first, second


def _measured_from(least: dict[str, float], trials: pd.DataFrame, traces: pd.DataFrame) -> Tables:
    traces = traces[traces["trial"].isin(trials["trial"])]
    loss = trials["problem"].map(least).astype(float)
    trials = trials.assign(
        suboptimality=trials["suboptimality"].mask(loss.notna(), trials["loss"] - loss)
    )
    below = traces["trial"].map(trials.set_index("trial")["problem"].map(least).astype(float))
    own = traces["suboptimality"].mask(below.notna(), traces["loss"] - below)
    traces = traces.assign(suboptimality=own)
    if loss.notna().any() and "stop_scale" in trials:
        start = traces[traces["epoch"] == 0].set_index("trial")["suboptimality"]
        scale = trials["stop_scale"].mask(loss.notna(), trials["trial"].map(start))
        trials = trials.assign(stop_scale=scale)
    return trials, traces
