"""Compare two results cell by cell: epochs, seconds, suboptimality and status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from optlab.analysis.common_cells import CommonCells, common_cells
from optlab.analysis.comparison import FASTER, SLOWER
from optlab.analysis.epochs_to_target import common_target, epoch_pairs
from optlab.analysis.judge_pairs import NOT_COMPARED, judge_pairs
from optlab.analysis.one_reference import Tables, from_one_loss
from optlab.analysis.paired_runs import second_pairs, suboptimality_pairs, trial_pairs
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.run_changes import Change, machine_changes, run_changes
from optlab.analysis.status_changes import BETTER, WORSE, status_changes
from optlab.lab.trial.stop_at import StopAt

METRICS = ("epochs", "seconds", "suboptimality")
"""The numbers that are compared; the status always is."""

STATUS = "status"
NOT_JUDGED = "not judged"
REGRESSIONS = (SLOWER, WORSE)
DIFFERENCES = (SLOWER, WORSE, FASTER, BETTER)

TOLERANCE = {"epochs": 0.05, "seconds": 0.1, "suboptimality": 0.05}
"""The share by which a ratio must differ from 1 to be called a difference."""

LEVEL = {"epochs": 0.05, "seconds": 0.01, "suboptimality": 0.05}
"""The share of comparisons of unchanged code in which any cell may be called different."""

_WORDS = {"epochs": (FASTER, SLOWER), "seconds": (FASTER, SLOWER), "suboptimality": (BETTER, WORSE)}


@dataclass(frozen=True, eq=False)
class RunDifferences:
    """The differences of two results, cell by cell, and what else changed."""

    table: pd.DataFrame  # a row for each common cell and metric
    only_old: pd.DataFrame  # cells
    only_new: pd.DataFrame
    problems: dict[str, str]  # why problems of one name are not compared
    changes: list[Change]
    target: StopAt | str  # that epochs are counted to, or why there is none
    drift: dict[str, float]  # the factor between the median cell's seconds, by device
    tolerance: dict[str, float]  # by metric
    names: tuple[str, str]  # of the old and the new results
    metrics: list[str]  # that were asked for


def run_differences(
    old: ResultTables,
    new: ResultTables,
    *,
    metrics: Sequence[str] | None = None,
    stop_at: float | StopAt | None = None,
    tolerance: float | None = None,
    names: tuple[str, str] = ("old", "new"),
) -> RunDifferences:
    """Compare two results; see `optlab.results.Results.diff` for the arguments and the rules."""
    asked, tolerances = _checked(metrics, tolerance)
    common = common_cells(old, new)
    if common.cells.empty:
        raise ValueError(_nothing_common(common))
    first, second = from_one_loss(old, new, (common.old, common.new))
    pairs = trial_pairs(first[0], second[0])
    _check_runs(pairs)
    target = common_target(old, new) if stop_at is None else StopAt.of(stop_at)
    changes, drift = run_changes(old, new, names), dict[str, float]()
    parts = [status_changes(pairs, (old.machine, new.machine)).assign(metric=STATUS)]
    for metric in asked:
        if metric == "epochs":
            if isinstance(target, str):
                continue
            found = epoch_pairs(first, second, target)
        elif metric == "seconds":
            found = second_pairs(pairs)
            drift = _device_drift(found, pairs)
        else:
            same = old.definition.get("epochs") == new.definition.get("epochs")
            found = suboptimality_pairs(
                pairs, _start_losses(second), _limits(new, second), same_budget=same
            )
        rules = {"tolerance": tolerances[metric], "level": LEVEL[metric]}
        rows = judge_pairs(found, _WORDS[metric], exact=metric != "seconds", **rules)
        if metric == "seconds" and metrics is None:
            rows = _only_fair(rows, found, machine_changes(changes))
        parts.append(rows.assign(metric=metric))
    return RunDifferences(
        _in_order(common.cells, parts), common.only_old, common.only_new, common.problems,
        changes, target, drift, tolerances, names, asked,
    )  # fmt: skip


def _checked(
    metrics: Sequence[str] | None, tolerance: float | None
) -> tuple[list[str], dict[str, float]]:
    asked = list(METRICS if metrics is None else metrics)
    if wrong := [name for name in asked if name not in METRICS]:
        raise ValueError(f"metrics must be of {', '.join(METRICS)}, not {wrong[0]!r}")
    if tolerance is None:
        return asked, dict(TOLERANCE)
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be a share, at least 0 and below 1, not {tolerance!r}")
    return asked, dict.fromkeys(TOLERANCE, tolerance)


def _check_runs(pairs: pd.DataFrame) -> None:
    """Refuse pairs of which there are none, or that are one run's trials twice."""
    if pairs.empty:
        raise ValueError("no seed and repeat of a common setting is in both: nothing to compare")
    seconds = pairs[["seconds_old", "seconds_new"]].dropna()
    if len(seconds) and (seconds["seconds_old"] == seconds["seconds_new"]).all():
        raise ValueError(
            "both hold the same trials, to the nanosecond: this is one run, not two; run the "
            "experiment again into a new file"
        )


def _nothing_common(common: CommonCells) -> str:
    """Return why there is nothing to compare."""
    if common.problems:
        reasons = "; ".join(f"{name}: {why}" for name, why in common.problems.items())
        return f"the problems of one name are not the same ({reasons}): nothing to compare"
    sides = [", ".join(_kinds(table)) for table in (common.only_old, common.only_new)]
    return f"no setting is in both: one has {sides[0]}; the other has {sides[1]}"


def _kinds(cells: pd.DataFrame) -> list[str]:
    """Return the optimizers of cells with their problems, the first five."""
    names = list(dict.fromkeys(cells["optimizer"] + " on " + cells["problem"]))
    return names[:5] + (["..."] if len(names) > 5 else [])


def _start_losses(tables: Tables) -> pd.Series[float]:
    """Return the loss of each trial's start."""
    traces = tables[1]
    return traces[traces["epoch"] == 0].set_index("trial")["loss"].astype(float)


def _limits(new: ResultTables, tables: Tables) -> pd.Series[float]:
    """Return the suboptimality at which each trial stops, NaN where it stops at none."""
    rule, trials = StopAt.stored(new.definition.get("stop_at")), tables[0].set_index("trial")
    if rule is None or rule.measure != "suboptimality":
        return pd.Series(np.nan, index=trials.index)
    return pd.Series(rule.limit(trials["stop_scale"].astype(float)), index=trials.index)


def _device_drift(seconds: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, float]:
    """Return the factor by which the median cell's seconds differ, by device, where it is known."""
    drift = seconds["drift"].groupby(pairs["device"].to_numpy()).median().dropna()
    return {str(device): float(value) for device, value in np.exp(drift).items()}


def _only_fair(rows: pd.DataFrame, pairs: pd.DataFrame, machine: list[Change]) -> pd.DataFrame:
    """Return the rows, not judged where the machine changed, or where its drift is not known."""
    drift = pairs.groupby("cell")["drift"].median().reindex(rows["cell"]).to_numpy()
    compared = rows["verdict"] != NOT_COMPARED
    if machine:
        return rows.assign(
            verdict=rows["verdict"].mask(compared, NOT_JUDGED),
            message=rows["message"].mask(compared, "another machine, or other threads"),
        )
    unknown = compared & np.isnan(drift)
    why = "too few settings to tell the machine's own drift"
    return rows.assign(
        verdict=rows["verdict"].mask(unknown, NOT_JUDGED),
        message=rows["message"].mask(unknown, why),
    )


def _in_order(cells: pd.DataFrame, parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all metrics under their cells, in the order of the new results."""
    rows = pd.concat(parts, ignore_index=True)
    place = {metric: number for number, metric in enumerate((STATUS, *METRICS))}
    rows = rows.assign(place=rows["metric"].map(place)).sort_values(["cell", "place"])
    numbers = ["old", "new", "ratio", "ratio_low", "ratio_high", "pairs", "p"]
    table = cells.merge(rows, on="cell").reindex(
        columns=[*cells.columns, "metric", *numbers, "verdict", "message"]
    )
    return table.assign(regression=table["verdict"].isin(REGRESSIONS))
