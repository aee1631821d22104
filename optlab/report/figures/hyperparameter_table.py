"""The table of every setting against a hyperparameter: what the figure of it draws."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, ENDED_WELL
from optlab.analysis.targets import time_to_target
from optlab.checks import did_you_mean
from optlab.lab.tables import given_rates
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.report.answer.ranking import ranked_settings
from optlab.report.views.time_to_target import own_target, target_rules
from optlab.text import method_name

PANELS = ["device", "dtype"]
LINE = ["method", "batch", *PANELS]


def hyperparameter_table(
    results: ResultTables,
    problem: str,
    hyperparameter: str = "learning_rate",
    measure: str | None = None,
) -> pd.DataFrame:
    """Return a measure of each method at each value of a hyperparameter.

    ``"epochs"`` are those to the experiment's target, where it has one, else the final ones; any
    other measure is that of the last iterate. Where settings differ in other hyperparameters too,
    each value stands with the best of them: the first by `ranking`, where ``measure`` is left out
    or is the epochs to the target, else that of the least measure.

    Returns
    -------
    pandas.DataFrame
        ``method, batch, device, dtype, value``; the median ``height`` over seeds and repeats with
        ``low`` and ``high``, the least and the most, NaN where half or more of the trials diverged
        or failed (``lost``), or where not every trial reached the target; ``best``, whether it is
        the best of its line.

    Raises
    ------
    ValueError
        For a hyperparameter or measure that no trial of the problem has as a number.
    """
    results = results.measured
    trials = results.trials
    trials = trials[(trials["problem"] == problem) & (trials["status"] != "skipped")]
    values = _numbers(trials, hyperparameter)
    name = drawn_measure(results, problem, measure)
    heights, whole = _heights(results, trials, name), is_to_target(results, name)
    well = trials["status"].isin(ENDED_WELL)
    rows = trials[CELL].astype(str).assign(
        batch=trials["batch"], value=values, height=heights.where(well), lost=~well,
        method=trials["optimizer"].map(lambda name: method_name(str(name))),
    )[values.notna()]  # fmt: skip
    groups = rows.groupby(["optimizer", *LINE, "value"], sort=False, observed=True)
    table = groups["height"].agg(height="median", low="min", high="max").reset_index()
    table["lost"] = groups["lost"].mean().to_numpy() >= 0.5
    missed = groups["height"].count().to_numpy() < groups.size().to_numpy()
    table.loc[table["lost"] | (missed & whole), ["height", "low", "high"]] = np.nan
    ranked = whole or measure is None
    table["place"] = _places(results, problem, table) if ranked else table["height"]
    ordered = table.sort_values("place", kind="stable").drop_duplicates([*LINE, "value"])
    least = ordered.groupby(LINE, observed=True)["place"].transform("min")
    ordered["best"] = (ordered["place"] == least) & ordered["height"].notna()
    return ordered.drop(columns=["optimizer", "place"]).sort_values("value", ignore_index=True)


def drawn_measure(results: ResultTables, problem: str, measure: str | None) -> str:
    """Return the measure asked for; where none is, epochs if some trial reached the target."""
    if measure is not None:
        return measure
    trials = results.trials[results.trials["problem"] == problem]
    to_target = is_to_target(results, "epochs")
    return "epochs" if to_target and _to_target(results, trials).notna().any() else "suboptimality"


def is_to_target(results: ResultTables, measure: str) -> bool:
    """Return whether a measure is the cost of the experiment's own target."""
    return measure == "epochs" and bool(own_target(results))


def _to_target(results: ResultTables, trials: pd.DataFrame) -> pd.Series[float]:
    """Return each trial's epochs to the experiment's target, missing where it did not reach it."""
    times = time_to_target(trials, results.traces, target_rules(results)[own_target(results)])
    reached = times["epochs"].astype(float).where(times["reached"].astype(bool))
    return trials["trial"].map(dict(zip(times["trial"], reached, strict=True))).astype(float)


def _heights(results: ResultTables, trials: pd.DataFrame, measure: str) -> pd.Series[float]:
    """Return the measure of each trial."""
    if is_to_target(results, measure):
        return _to_target(results, trials)
    if measure in trials and (heights := _floats(trials[measure])).notna().any():
        return heights
    numeric = [str(name) for name in trials if trials[name].dtype.kind == "f"]
    hint = did_you_mean(measure, numeric)
    which = trials["problem"].iloc[0] if len(trials) else "the problem"
    raise ValueError(f"no trial of {which} has the measure {measure!r}; {hint}".rstrip("; "))


def _places(results: ResultTables, problem: str, table: pd.DataFrame) -> list[int]:
    """Return the place of each row's setting in the ranking."""
    keys = ["optimizer", "batch", *PANELS]
    ranked = ranked_settings(results)
    ranked = ranked.loc[ranked["problem"] == problem, keys].astype(str)
    places = {key: place for place, key in enumerate(ranked.itertuples(index=False, name=None))}
    return [places[key] for key in table[keys].astype(str).itertuples(index=False, name=None)]


def _numbers(trials: pd.DataFrame, hyperparameter: str) -> pd.Series[float]:
    """Return the values of a hyperparameter; of a schedule the number that it begins with.

    ``lr`` is a learning rate too.
    """
    is_rate = hyperparameter in RATE_FIELDS
    own = given_rates(trials) if is_rate else trials.get(f"hp_{hyperparameter}")
    values = pd.Series(np.nan, index=trials.index) if own is None else _floats(own)
    if values.notna().any():
        return values
    there = [str(n).removeprefix("hp_") for n in trials if str(n).startswith("hp_")]
    there = [name for name in there if _floats(trials[f"hp_{name}"]).notna().any()]
    hint = did_you_mean(hyperparameter, there)
    raise ValueError(
        f"no trial has a number for the hyperparameter {hyperparameter!r}: {hint}there are "
        f"{', '.join(there) or 'none'}"
    )


def _floats(column: pd.Series[Any]) -> pd.Series[float]:
    return pd.to_numeric(column.map(_first_number), errors="coerce").astype(float)


def _first_number(value: Any) -> Any:
    """Return the first number of a schedule, which the tables hold as JSON; else the value."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    parts = json.loads(value).values()
    return next((part for part in parts if isinstance(part, int | float)), np.nan)


def has_values(results: ResultTables, problem: str) -> bool:
    """Return whether some method ran at three learning rates or more."""
    try:
        table = hyperparameter_table(results, problem)
    except ValueError:
        return False
    return bool((table.groupby(LINE, observed=True)["value"].nunique() >= 3).any())
