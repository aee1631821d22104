"""The views of targets: the costs of coming down to a share of the start; performance profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.profiles import performance_profile
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, ran_alone
from optlab.analysis.targets import summarize_targets, times_to_targets
from optlab.lab.trial.stop_at import StopAt
from optlab.report.views.cache import cached
from optlab.report.views.timing import seconds_view
from optlab.report.views.view import Axis, View
from optlab.report.words import describe_references, describe_target
from optlab.text import DIRECT

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
"""The shares of `stop_scale` that times are given for."""

_COLUMNS = [
    *CELL,
    "target",
    "seconds",
    "low",
    "high",
    "epochs",
    "steps",
    "samples",
    "reached",
    "trials",
    "timed",
]
_COSTS = (
    Axis("seconds", "seconds to the target", "s", "log", "linear", "low", "high"),
    Axis("epochs", "epochs to the target", "", "log", "linear"),
    Axis("steps", "steps to the target", "", "log", "linear"),
    Axis("samples", "samples touched to the target", "", "log", "linear"),
)
_SOLVER = ["optimizer", "batch", "device", "dtype"]
_INSTANCE = ["problem", "seed"]


def target_rules(results: ResultTables) -> dict[str, StopAt]:
    """Return the targets that times are given for, by their text: `TARGETS` and the experiment's.

    From the largest share on; a limit that is no share comes last.
    """
    rules = [*map(StopAt.of, TARGETS), *_own_rule(results)]
    rules.sort(key=lambda rule: rule.share or 0, reverse=True)
    return {target_text(rule): rule for rule in rules}


def own_target(results: ResultTables) -> str:
    """Return the target of the experiment's ``stop_at``, as text; empty where it has none."""
    return "".join(map(target_text, _own_rule(results)))


def _own_rule(results: ResultTables) -> list[StopAt]:
    own = StopAt.stored(results.definition.get("stop_at"))
    return [own] if own else []


def target_text(stop_at: Any) -> str:
    """Return a target as the key it has in tables and menus.

    Examples
    --------
    >>> target_text(1e-6), target_text(0.0025), target_text({"measure": "loss", "value": 2})
    ('1e-06', '0.0025', 'loss <= 2')
    """
    rule = StopAt.of(stop_at)
    if rule.share is None or rule.measure != "suboptimality":
        return str(rule)
    short = f"{rule.share:.0e}"
    return short if float(short) == rule.share else repr(rule.share)


@cached
def target_times(results: ResultTables) -> dict[str, pd.DataFrame]:
    """Return each trial's costs to each target, by its text, as `time_to_target` gives them."""
    ran = results.trials[results.trials["status"] != "skipped"]
    rules = target_rules(results)
    tables = times_to_targets(ran, results.traces, [*rules.values()])
    return dict(zip(rules, tables, strict=True))


def _times(results: ResultTables) -> pd.DataFrame:
    """Return each cell's seconds, epochs, steps and samples to each target that any trial reached.

    The experiment's own target is given even if none reached it. Columns: the cell's, ``target``
    (its text), ``seconds`` with ``low`` and ``high``, ``epochs``, ``steps``, ``samples``,
    ``reached``, ``trials`` (how many ran), ``timed`` and ``unstable``, as
    `optlab.analysis.target_summary` has them; where a median or an end of an interval is infinite,
    it is missing.
    """
    parts = [table.assign(target=text) for text, table in target_times(results).items()]
    table = summarize_targets(pd.concat(parts, ignore_index=True), "target")
    table = table[table["trials"] > 0]
    reached = table["reached"].groupby(table["target"]).transform("any")
    table = table[reached | (table["target"] == own_target(results))].reset_index(drop=True)
    if table.empty:
        return pd.DataFrame(columns=[*_COLUMNS, "unstable"])
    table = table.rename(columns={"seconds_low": "low", "seconds_high": "high"})[_COLUMNS]
    costs = ["seconds", "low", "high", "epochs", "steps", "samples"]
    table[costs] = table[costs].where(np.isfinite(table[costs]))
    steady = seconds_view(results).table[[*CELL, "unstable"]]
    return table.assign(unstable=table.merge(steady, on=CELL, how="left")["unstable"].eq(True))


@cached
def headline(results: ResultTables) -> str:
    """Return the target that the findings report, as text; empty where none was reached.

    The experiment's own, where it has one, else `common_target`.
    """
    table, own = target_view(results).table, own_target(results)
    return own if (table["target"] == own).any() else common_target(table)


def common_target(table: pd.DataFrame) -> str:
    """Return the smallest target that at least half of the cells with batches reach in all trials.

    Else the smallest that any of them reaches in all; else the largest that any cell reaches.
    """
    with_batches = table[table["batch"] != DIRECT]
    whole = with_batches["reached"] == with_batches["trials"]
    reached = whole.groupby(with_batches["target"]).mean()
    for needed in (0.5, 1e-9):
        good = [str(target) for target, value in reached.items() if value >= needed]
        if good:
            return min(good, key=float)
    return max((str(target) for target in table["target"]), key=float, default="")


@cached
def problem_targets(results: ResultTables) -> dict[str, str]:
    """Return the target of each problem, as text, by which its methods are ranked.

    The experiment's own, where it has one. Else the smallest share that some setting with batches
    reaches in every trial: of two methods that pass a coarse one, the one that goes on is better.
    Where none is reached so, it is `headline`.
    """
    table, usual = target_view(results).table, headline(results) or target_text(TARGETS[0])
    found = dict.fromkeys(map(str, results.trials["problem"]), usual)
    if not own_target(results):
        whole = (table["batch"] != DIRECT) & (table["reached"] == table["trials"])
        for problem, rows in table[whole].groupby("problem", sort=False):
            found[str(problem)] = min(map(str, rows["target"]), key=float)
    return found


@cached
def target_view(results: ResultTables) -> View:
    """Return the view of seconds, epochs, steps and samples to each target, as far as known."""
    table = _times(results)
    axes = tuple(axis for axis in _COSTS if table[axis.column].notna().any()) or _COSTS
    return View(
        key="target",
        title=f"{axes[0].column.capitalize()} to a target",
        question="How long until the answer is near enough?",
        how="The time until the first recorded iterate whose suboptimality is at most the target's "
        "share of what there was to gain: of the suboptimality at the start, or of that of the "
        "best constant prediction where it is less. Medians over seeds and repeats, with intervals "
        "as for the seconds. Trials that did not reach the target count as longer than all that "
        "did; where half or more did not, no mark is drawn, and the table gives the number that "
        "did. Hollow marks: the seconds of the setting are unstable."
        + describe_references(results.problems),
        kind="points",
        table=table,
        x=(Axis("batch", "batch size", scale="category"),),
        y=axes,
        choose=("target", "target"),
        missing="No setting came down to a tenth of what there was to gain in more than half of "
        "its trials.",
    )


def _profile(results: ResultTables) -> pd.DataFrame:
    """Return the performance profile over problems and seeds, by seconds to the headline's target.

    Columns: the cell's without the problem, ``factor`` and ``share``; empty where there are fewer
    than two instances, or no target.
    """
    columns, target, trials = [*_SOLVER, "factor", "share"], headline(results), results.trials
    ran = trials[(trials["status"] != "skipped") & ran_alone(trials)]
    ran = ran[_given_to_all(trials, ran)]
    if not target or len(ran[_INSTANCE].drop_duplicates()) < 2:
        return pd.DataFrame(columns=columns)
    times = target_times(results)[target]
    times = times[times["trial"].isin(ran["trial"])]
    if not times["reached"].any():
        return pd.DataFrame(columns=columns)
    table = performance_profile(times, solver=_SOLVER).rename(columns={"tau": "factor"})
    last = table["factor"].max()
    step = table.groupby(_SOLVER, observed=True)["share"].diff()
    end = table[table["factor"] == last].assign(factor=max(2.0, 1.5 * last))  # steps hold on
    table = table[(table["factor"] == 1) | (step > 0)]
    whole: pd.DataFrame = pd.concat([table, end], ignore_index=True)[columns]
    return whole


def _given_to_all(trials: pd.DataFrame, ran: pd.DataFrame) -> pd.Series[bool]:
    """Return which trials are of instances that every setting was asked to solve.

    Of merged files not all settings were: what was not asked is no failure.
    """
    asked = trials[[*_SOLVER, *_INSTANCE]].drop_duplicates()
    solvers = ran[_SOLVER].drop_duplicates()
    counts = asked.merge(solvers, on=_SOLVER).groupby(_INSTANCE).size()
    whole = counts.index[counts == len(solvers)]
    given = pd.MultiIndex.from_frame(ran[_INSTANCE]).isin(whole)
    return pd.Series(given, index=ran.index)


@cached
def profile_view(results: ResultTables) -> View:
    """Return the view of the performance profile."""
    return View(
        key="profile",
        title="Performance profile",
        question="Which setting is near the fastest on most problems and seeds?",
        how="The share of instances (a problem with a seed) on which a setting is at "
        f"{describe_target(headline(results))} within a factor of the fastest's "
        "seconds. High and to the left is good (Dolan and Moré, 2002). The fastest may be on "
        "another device or in another dtype. Instances that not all settings were given are left "
        "out. The problem filter does not act here." + describe_references(results.problems),
        kind="lines",
        table=_profile(results),
        x=(Axis("factor", "seconds, as a multiple of the fastest's", "", "log", "linear"),),
        y=(Axis("share", "share of instances"),),
        missing="A profile needs at least two problems or seeds that all settings were given, and "
        "a target that some reached.",
    )
