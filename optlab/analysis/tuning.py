"""Tables of tuning: best settings, their ranges, tunability, and the cost of the search."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.order_statistics import best_of, expected_attempts
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import ENDED_WELL, in_sweep, measured
from optlab.lab.trial.stop_at import StopAt
from optlab.lab.tuning.range_edge import edge_of
from optlab.lab.tuning.scores import Outcome, Score, best, score
from optlab.lab.tuning.scores import measured as measured_value
from optlab.optimizers.ranges import Choice, LogUniform, OneMinus, Range, range_of

PLACE = ["problem", "optimizer", "batch"]
"""The columns that name a search."""

WITHIN = 2.0
"""A setting is near the best where its score is within this factor of it."""


class SearchTable(NamedTuple):
    """The settings of one search: their table, scores and ranges."""

    place: tuple[str, str, str]
    table: pd.DataFrame  # a row each setting
    scores: list[Score]
    ranges: Mapping[str, Range]
    definition: Mapping[str, Any]


def searches(results: ResultTables) -> Iterator[SearchTable]:
    """Yield the search of each tuned optimizer, problem and batch size, in order of appearance.

    Settings that were interrupted at some seed are left out: nothing is known of them.
    """
    trials = results.trials
    if "stage" not in trials or not (trials["stage"] == "tuning").any():
        return
    rule = StopAt.stored(results.definition.get("stop_at"))
    settings = optimizer_settings(results.definition)
    tuning = trials[trials["stage"] == "tuning"]
    setting = [tuning[name] for name in [*PLACE, "setting"]]
    stopped = tuning["status"].eq("interrupted").groupby(setting, observed=True).transform("any")
    tuning = tuning[~stopped.astype(bool)]
    for place, rows in tuning.groupby(PLACE, sort=False, observed=True):
        about = settings.get(str(place[1]), {})
        if not isinstance(about.get("space"), Mapping):
            continue  # a definition that does not say what was searched
        ranges = {name: range_of(own) for name, own in about["space"].items()}
        names = (str(place[0]), str(place[1]), str(place[2]))
        table, scores = _settings(rows, ranges, str(about["by"]), rule)
        yield SearchTable(names, table, scores, ranges, about)


def _settings(
    rows: pd.DataFrame, ranges: Mapping[str, Range], by: str, rule: StopAt | None
) -> tuple[pd.DataFrame, list[Score]]:
    found, scores = [], []
    for number, own in rows.groupby("setting", sort=True):
        trials = own.to_dict("records")
        outcomes = [
            Outcome(
                row["status"],
                measured_value(by, row["loss"], row["suboptimality"], _reader(row)),
                float(row["epochs"]),
                float(row["seconds"]),
            )
            for row in trials
        ]
        made = score(outcomes, by, rule.measure if rule else None)
        scores.append(made)
        values = {name: _value(trials[0], name) for name in ranges}
        found.append(
            {
                "setting": int(str(number)),
                **values,
                "status": _status(own["status"]),
                "reached": float((own["status"] == "converged").mean()),
                "value": float(np.median([o.value for o in outcomes])),
                "epochs": made.cost,
                "score": made.value,
            }
        )
    return pd.DataFrame(found), scores


def _reader(row: Mapping[Any, Any]) -> Any:
    return lambda name: float(row.get(name, math.nan))


def _value(row: Mapping[Any, Any], name: str) -> Any:
    """Return a hyperparameter of a trial; one of a wrapped optimizer is inside the wrapper's."""
    first, *rest = name.split(".")
    value = row.get(f"hp_{first}")
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        value, rest = row.get("hp_options"), [first, *rest]  # an adapter's
    for part in rest:
        value = json.loads(value) if isinstance(value, str) else value
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _status(statuses: pd.Series[str]) -> str:
    """Return the worst status of a setting's trials."""
    bad = statuses[~statuses.isin(ENDED_WELL)]
    if len(bad):
        return str(bad.iloc[0])
    return "converged" if (statuses == "converged").all() else "finished"


def tuning_settings(results: ResultTables) -> pd.DataFrame:
    """Return a row for each setting that was tried, in long form: a row each hyperparameter.

    Returns
    -------
    pandas.DataFrame
        ``problem, optimizer, batch, setting, hyperparameter, value`` (text where it is no number),
        ``place`` (in its range, 0 to 1, outside where that was widened), ``status`` (the worst over
        seeds), ``reached`` (the share of seeds that reached ``stop_at``), ``epochs`` (median),
        ``measure`` (the median of what was tuned for) and ``chosen``.

    See Also
    --------
    tuning : What was found.
    """
    rows = []
    for search in searches(results):
        chosen = best(search.scores)
        for k, row in enumerate(search.table.to_dict("records")):
            for name, own in search.ranges.items():
                rows.append(
                    {
                        **dict(zip(PLACE, search.place, strict=True)),
                        "setting": row["setting"],
                        "hyperparameter": name,
                        "value": row[name],
                        "place": own.place(row[name]),
                        "status": row["status"],
                        "reached": row["reached"],
                        "epochs": row["epochs"],
                        "measure": row["value"],
                        "chosen": k == chosen,
                    }
                )
    columns = [*PLACE, "setting", "hyperparameter", "value", "place", "status", "reached",
               "epochs", "measure", "chosen"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def tuning(results: ResultTables) -> pd.DataFrame:
    """Return what the tuning found: a row for each search and hyperparameter.

    Parameters
    ----------
    results
        The results of an experiment with `optlab.Tuned` optimizers.

    Returns
    -------
    pandas.DataFrame
        ``problem, optimizer, batch, hyperparameter``, then

        - ``best``: the value that was chosen, and measured;
        - ``edge``: ``"low"`` or ``"high"`` where the optimum lies beyond that end of the range: it
          is censored; ``"cannot tell"`` where the settings were too few to say (see
          `optlab.lab.tuning.range_edge.edge_of`); empty where it lies inside. An end beyond which
          the optimizer has no values is none;
        - ``low, high``: the range that was searched, extensions included;
        - ``near_low, near_high``: the least and the largest value among the settings whose score
          is within a factor of 2 of the best; ``width``: their ratio where the range is logarithmic
          (of one minus the value for `OneMinus`), else their difference. A wide one means that the
          choice matters little;
        - ``settings``: how many were tried, ``failed``: diverged or failed at some seed, ``share``:
          of them that reached ``stop_at`` at all seeds, ``attempts``: how many of them, in random
          order, are tried on average to have the first that does, (settings + 1) / (reached + 1),
          infinite where none does;
        - ``tuning_trials, tuning_epochs, tuning_seconds``: the cost of the search (of optimizers
          that were tuned in sweeps, their shares of the sweeps' seconds, and ``shared`` is true);
          ``measured_epochs, measured_seconds``: the median of the measured trials.

    See Also
    --------
    tuning_settings, best_of_k, tuning_ranks : More of the search.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> narrow = ol.Tuned(ol.SGD(), {"learning_rate": ol.LogUniform(1e-4, 0.01)}, trials=4)
    >>> results = ol.compare(problem, narrow, epochs=50, stop_at=1e-6)
    >>> tuning(results)["edge"].item()
    'high'
    """
    rows = [row for search in searches(results) for row in _rows(results, search)]
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = [*PLACE, "hyperparameter", "best", "edge", "low", "high", "near_low", "near_high",
            "width", "settings", "failed", "share", "attempts", "tuning_trials", "tuning_epochs",
            "tuning_seconds", "shared", "measured_epochs", "measured_seconds"]  # fmt: skip


def _rows(results: ResultTables, search: SearchTable) -> Iterator[dict[str, Any]]:
    chosen = best(search.scores)
    names = list(search.ranges)
    table = search.table
    places = np.array(
        [[search.ranges[n].place(row[n]) for n in names] for row in table.to_dict("records")]
    )
    near = [k for k, own in enumerate(search.scores) if _is_near(own, search.scores[chosen])]
    reached = int((table["reached"] == 1).sum())
    shared = {
        **dict(zip(PLACE, search.place, strict=True)),
        "settings": len(table),
        "failed": sum(own.failures > 0 for own in search.scores),
        "share": reached / len(table),
        "attempts": expected_attempts(len(table), reached),
        **_costs(results, search.place),
    }
    for column, name in enumerate(names):
        own, values = search.ranges[name], table[name]
        edge = "" if isinstance(own, Choice) else edge_of(places, search.scores, column)
        row = shared | {"hyperparameter": name, "best": values[chosen], "edge": edge}
        if not isinstance(own, Choice):
            ends = (min(0.0, places[:, column].min()), max(1.0, places[:, column].max()))
            low, high = sorted(map(own.value, ends))
            if edge in _OTHER and not _goes_on(own, ends[1] if edge == "high" else ends[0], edge):
                row["edge"] = ""
            if isinstance(own, OneMinus):  # its places run downwards
                row["edge"] = _OTHER.get(row["edge"], row["edge"])
            row |= {"low": low, "high": high, **_near(own, values.iloc[near].astype(float))}
        yield row


_OTHER = {"low": "high", "high": "low"}


def _goes_on(own: Range, end: float, edge: str) -> bool:
    """Return whether there are values beyond an end: a momentum of 0 is no edge of a search."""
    beyond = own.value(end + (0.05 if edge == "high" else -0.05))
    return not isinstance(own, OneMinus) or 0 <= beyond < 1


def _near(own: Range, values: pd.Series[float]) -> dict[str, float]:
    low, high = float(values.min()), float(values.max())
    width = high - low
    if isinstance(own, LogUniform) or getattr(own, "log", False):
        width = high / low
    elif isinstance(own, OneMinus) and isinstance(own.range, LogUniform):
        width = (1 - low) / (1 - high)
    return {"near_low": low, "near_high": high, "width": width}


def _is_near(own: Score, least: Score) -> bool:
    if (own.failures, own.misses) != (least.failures, least.misses):
        return False
    return own.value == least.value or 0 < own.value <= WITHIN * least.value


def _of_place(trials: pd.DataFrame, place: tuple[str, str, str]) -> pd.DataFrame:
    same = trials[PLACE].astype(str) == list(place)
    return trials[same.all(axis=1)]


def _costs(results: ResultTables, place: tuple[str, str, str]) -> dict[str, Any]:
    own = _of_place(results.trials, place)
    tuned, last = own[own["stage"] == "tuning"], own[own["stage"] == "measured"]
    last = last[last["status"].isin(ENDED_WELL)]
    return {
        "tuning_trials": len(tuned),
        "tuning_epochs": int(tuned["epochs"].sum()),
        "tuning_seconds": float(tuned["seconds"].sum()),
        "shared": bool(in_sweep(tuned).any()),
        "measured_epochs": float(last["epochs"].median()),
        "measured_seconds": float(last["seconds"].median()),
    }


def best_of_k(results: ResultTables) -> pd.DataFrame:
    """Return how good the best of k settings is, for each search and every k.

    The settings that were tried are taken in random order, each order as likely; the best of the
    first k has the distribution of order statistics, computed exactly. ``what`` is ``epochs`` where
    some setting reached ``stop_at`` (infinite for those that did not), else what was tuned for.

    Returns
    -------
    pandas.DataFrame
        ``problem, optimizer, batch, what, k, best`` (the median), and ``low, high``: between these
        lies the best of k in at least 90 % of the orders.

    See Also
    --------
    tuning, tuning_settings : The search itself.
    """
    rows = []
    for search in searches(results):
        table = search.table
        reached = table["reached"] == 1
        what = "epochs" if reached.any() else str(search.definition["by"])
        values = table["epochs"].where(reached, math.inf) if reached.any() else table["value"]
        failed = np.array([own.failures > 0 for own in search.scores])
        values = values.where(~failed, math.inf).fillna(math.inf)
        for k in range(1, len(values) + 1):
            low, middle, high = best_of(values.to_numpy(float), k, (0.05, 0.5, 0.95))
            rows.append((*search.place, what, k, middle, low, high))
    return pd.DataFrame(rows, columns=[*PLACE, "what", "k", "best", "low", "high"])


def tuning_ranks(results: ResultTables) -> pd.DataFrame:
    """Rank optimizers by the epochs to ``stop_at``, without and with those that tuning took.

    Returns
    -------
    pandas.DataFrame
        A row for each problem, batch size and optimizer of the measured trials: ``epochs`` (the
        median over seeds and repeats, infinite where half of them or more did not reach it),
        ``tuning_epochs`` (0 for what was not tuned), ``total`` and, within a problem, ``rank`` and
        ``rank_with_tuning``; equal costs share the best rank. Empty without ``stop_at``.

    See Also
    --------
    tuning : The search itself.
    """
    columns = [*PLACE, "epochs", "tuning_epochs", "total", "rank", "rank_with_tuning"]
    if StopAt.stored(results.definition.get("stop_at")) is None or results.trials.empty:
        return pd.DataFrame(columns=columns)
    trials = measured(results.trials)
    spent = trials["epochs"].astype(float).where(trials["status"] == "converged", math.inf)
    groups = spent.groupby([trials[name].astype(str) for name in PLACE], sort=False)
    table = groups.median().rename("epochs").reset_index()
    costs = {search.place: _costs(results, search.place) for search in searches(results)}
    places = table[PLACE].itertuples(index=False, name=None)
    table["tuning_epochs"] = [costs.get(place, {}).get("tuning_epochs", 0) for place in places]
    table["total"] = table["epochs"] + table["tuning_epochs"]
    for name, column in (("rank", "epochs"), ("rank_with_tuning", "total")):
        table[name] = table.groupby("problem")[column].rank(method="min").astype(int)
    return table[columns]
