"""The remarks on what keeps gradient descent slow: its slowest mode, and mini-batches' noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL
from optlab.analysis.theory_tables import SETTING, theory
from optlab.report.answer.ranking import NO_ANSWER, NOT_REACHED, NOT_TIMED, ranked_settings
from optlab.report.views.time_to_target import target_rules
from optlab.report.words import describe_target, share
from optlab.text import DIRECT, number, pluralize

MOST_PROBLEMS = 3
"""Of more problems nothing is said: the page's tables of theory have it."""

NEAR = 3.0
"""Noise keeps a setting up whose suboptimality fell to this many times the noise floor, or less."""

LOW = 0.5
"""Full batches at less than this share of 1/L are slow for their learning rate."""


def slow_remarks(results: ResultTables) -> Iterator[str]:
    """Yield at most two sentences a problem, on the best settings that theory describes.

    The first is on the best of those without noise (full batches), where it took more than an epoch
    to halve its slowest mode; the second on the best of mini-batches that came near to their noise
    floor, which is above the target.
    """
    settings = ranked_settings(results)
    settings = settings[(settings["batch"] != DIRECT) & (settings["tier"] < NO_ANSWER)]
    settings = settings[~settings["optimizer"].isin(_decayed(results))]
    limits = theory(results)
    if settings.empty or limits.empty or settings["problem"].nunique() > MOST_PROBLEMS:
        return
    columns = [name for name in limits if name in SETTING or name not in settings]
    described = settings.merge(limits.loc[limits["exact"].astype(bool), columns], on=SETTING)
    several = len(results.problems) > 1
    for problem, rows in described.groupby("problem", sort=False):
        lead = f"{problem}: " if several else ""
        for sentence in (_conditioned(rows), _noisy(results, rows)):
            if sentence:
                yield f"{lead}{sentence}"


def _decayed(results: ResultTables) -> set[str]:
    """Return the optimizers with weight decay, which end at another point than the minimiser."""
    predictions = results.predictions
    decayed = predictions.loc[predictions["weight_decay"] > 0, "trial"]
    return set(results.trials.loc[results.trials["trial"].isin(decayed), "optimizer"])


def _conditioned(rows: pd.DataFrame) -> str:
    """Return what the best setting without noise needs, and its slowest mode."""
    rows = rows[(rows["noise_floor"] == 0) & (rows["half_life"] > 1)]
    if rows.empty or not math.isfinite(rows.iloc[0]["half_life"]):
        return ""
    best = rows.iloc[0]
    spent = pluralize(best["epochs"], "epoch")
    goal = share(str(best["target"]))
    does = f"needs {spent} to {goal}" if best["tier"] <= NOT_TIMED else f"misses {goal} in {spent}"
    rate, largest = float(best["learning_rate"]), float(best["largest_eigenvalue"])
    low = not best["momentum"] and rate < LOW / largest
    faster = f" (1/L = {number(1 / largest)} is faster)" if low else ""
    return (
        f"{best['label']} {does}: the error's slowest mode halves every "
        f"{number(best['half_life'])} epochs at the learning rate {number(rate)}{faster} and the "
        f"condition number {number(best['condition'])}"
    )


def _noisy(results: ResultTables, rows: pd.DataFrame) -> str:
    """Return at what level noise keeps the best setting that missed the target for it."""
    for row in rows[rows["tier"] == NOT_REACHED].to_dict("records"):
        level, scale = float(row["noise_floor"]), _scale(results, row)
        rule = target_rules(results).get(row["target"])
        if rule is None or rule.measure != "suboptimality" or not 0 < scale < math.inf:
            continue
        fell = row["measure"] == "suboptimality" and row["value"] <= NEAR * level
        if fell and rule.limit(scale) < level < math.inf:
            return (
                f"{row['label']} stays above {share(str(row['target']))}: at the learning rate "
                f"{number(row['learning_rate'])} the noise of mini-batches keeps it near "
                f"{describe_target(number(level / scale, 2))}; a smaller or falling rate, or "
                "larger batches, go lower"
            )
    return ""


def _scale(results: ResultTables, row: dict[Any, Any]) -> float:
    """Return the suboptimality of which a setting's target is a share."""
    own = results.trials[(results.trials[CELL] == [row[name] for name in CELL]).all(axis=1)]
    return float(own["stop_scale"].astype(float).median())
