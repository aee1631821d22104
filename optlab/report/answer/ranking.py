"""The ranking: the best setting of each method on each problem."""

from __future__ import annotations

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, ENDED_WELL, summary
from optlab.analysis.targets import target_summary
from optlab.report.answer.method import PLACE, hyperparameter_texts, place_of
from optlab.report.findings.accuracy_findings import TIE
from optlab.report.findings.target_findings import compared
from optlab.report.views.accuracy import digits_view
from optlab.report.views.cache import cached
from optlab.report.views.time_to_target import problem_targets, target_rules, target_times
from optlab.report.views.timing import seconds_view
from optlab.text import DIRECT, method_name

TIMED, NOT_TIMED, SOMETIMES, NOT_REACHED, NO_ANSWER = range(5)
"""The tiers of the ranking, the best first.

Reached the target in every trial, and was timed alone; reached it in every trial; in some; ended
with an answer that is not there; has no answer.
"""

BY = {TIMED: "seconds", NOT_TIMED: "epochs", SOMETIMES: "reached", NOT_REACHED: "value"}
"""The column by which the rows of a tier are ranked."""

_COSTS = ["epochs", "gradient_evaluations", "seconds", "low", "high", "timed"]
_LOSSES = ["loss", "suboptimality", "digits"]
_ABOUT = ["method", "label", "optimizer", "hyperparameters", *CELL[2:], "settings"]
_ENDS = ["trials", "status", "tier", "target", "reached", "measure", "value"]
_SETTINGS = ["problem", *_ABOUT, *_ENDS, *_LOSSES, *_COSTS]
_RATIOS = ["ratio", "ratio_low", "ratio_high", "pairs", "verdict"]


@cached
def ranking(results: ResultTables) -> pd.DataFrame:
    """Return the best setting of each method on each problem, the best method first.

    Settings of one method differ in hyperparameters, batch size, device and dtype. A setting is
    better than another if it reached the target (the experiment's ``stop_at``, else the smallest
    share that some setting reached on the problem) in every trial and the other did not; of two
    that did, if its median seconds to the target are fewer. Seconds of trials that ran beside
    others or in a sweep rank nothing: such settings come after those that were timed, and are
    ranked by epochs only where none was.

    After these come settings that reached the target in a larger share of trials, then those of the
    least median suboptimality (of the loss, where no reference is known) at the end. Direct methods
    that are alone on a problem are ranked by seconds where they are within 0.3 digits of the most,
    before the others.

    Returns
    -------
    pandas.DataFrame
        ``problem, rank`` (missing where a setting cannot be ranked), ``method, label`` (the setting
        in words), ``optimizer, hyperparameters, batch, device, dtype, settings`` (of the method on
        the problem, those that ran), ``trials, status, tier, target, reached`` (trials that did),
        ``measure, value`` (of the last iterate: the median of what decides whether the target is
        reached), ``loss,
        suboptimality, digits, epochs, gradient_evaluations, seconds, low, high, timed`` (to the
        target where every trial reached it, else of the whole trials), and ``ratio, ratio_low,
        ratio_high, pairs, verdict``: of the seconds to the target to those of the first on the
        problem, paired as in `optlab.analysis.ratios`.
    """
    ordered = ranked_settings(results)
    best = ordered.drop_duplicates(["problem", "method"]).reset_index(drop=True)
    ranked = best["tier"] < NO_ANSWER
    alone = best["tier"].eq(TIMED).groupby(best["problem"]).transform("any")
    ranked &= ~(best["tier"].eq(NOT_TIMED) & alone)
    best["rank"] = ranked.groupby(best["problem"]).cumsum().where(ranked).astype("Int64")
    parts = [with_ratios(results, part) for _, part in best.groupby("problem", sort=False)]
    table = pd.concat(parts, ignore_index=True) if parts else best.assign(**dict.fromkeys(_RATIOS))
    return table[["problem", "rank", *_ABOUT, *_ENDS, *_LOSSES, *_COSTS, *_RATIOS]]


def with_ratios(results: ResultTables, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of one problem with the paired ratios of their seconds to those of the first.

    Missing unless both reached the target in every trial and were timed.
    """
    timed = rows[rows["tier"] == TIMED]
    empty = rows.drop(columns=_RATIOS, errors="ignore").assign(**dict.fromkeys(_RATIOS, np.nan))
    empty["verdict"] = ""
    if len(timed) < 2 or rows["tier"].iloc[0] != TIMED:
        return empty
    found = compared(results, timed[CELL].reset_index(drop=True), str(timed["target"].iloc[0]))
    own = empty.drop(columns=_RATIOS).merge(found[[*CELL, *_RATIOS]], on=CELL, how="left")
    own["verdict"] = own["verdict"].fillna("")
    return own


@cached
def ranked_settings(results: ResultTables) -> pd.DataFrame:
    """Return every setting of which a trial ran, the best of each problem first.

    The columns of `ranking`, but for ``rank`` and the ratios.
    """
    ran = results.trials[results.trials["status"] != "skipped"]
    if ran.empty:
        return pd.DataFrame(columns=_SETTINGS)
    rows = _measured(results, ran)
    rows["method"] = [method_name(str(name)) for name in rows["optimizer"]]
    texts = hyperparameter_texts(results)
    rows["hyperparameters"] = [texts[place_of(row)] for row in rows[PLACE].to_dict("records")]
    rows["label"] = _labels(rows)
    rows["settings"] = rows.groupby(["problem", "method"])["method"].transform("size")
    places = {name: place for place, name in enumerate(dict.fromkeys(ran["problem"]))}
    rows["place"] = rows["problem"].map(places).astype(float)
    keys = ["place", "tier", "first_key", "second_key"]
    rows = _keyed(rows).sort_values(keys, kind="stable", ignore_index=True)
    return rows[_SETTINGS]


def _labels(rows: pd.DataFrame) -> list[str]:
    """Return each setting in words, with its device and dtype where the problem has several."""
    counts = rows.groupby("problem")[["device", "dtype"]].nunique()
    found = []
    for row in rows.to_dict("records"):
        several = [name for name in ("device", "dtype") if counts.loc[row["problem"], name] > 1]
        parts = [row["hyperparameters"]] if row["hyperparameters"] else []
        if row["batch"] != DIRECT:
            parts.append("full batch" if row["batch"] == "full" else f"batch size {row['batch']}")
        parts += [f"on {row['device']}" if name == "device" else row[name] for name in several]
        found.append(f"{row['method']} ({', '.join(parts)})" if parts else row["method"])
    return found


def _measured(results: ResultTables, ran: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each cell with its tier, and what it is ranked by."""
    times, targets = times_to_problem_targets(results), problem_targets(results)
    at_target = target_summary(times)
    at_target["target"] = at_target["problem"].map(targets)
    ends = summary(ran)[[*CELL, "status", "loss", "suboptimality", "epochs"]]
    rows = ends.merge(digits_view(results).table[[*CELL, "digits"]], on=CELL, how="left")
    costs = {"epochs": "to_epochs", "seconds": "to_seconds", "timed": "to_timed"}
    names = [*CELL, "trials", "reached", "target", *costs.values(), "seconds_low", "seconds_high"]
    rows = rows.merge(at_target.rename(columns=costs)[names], on=CELL)
    rows = rows.merge(_evaluations(results, ran, times), on=CELL, how="left")
    rows = rows.merge(_whole(results), on=CELL, how="left")
    whole = (rows["reached"] == rows["trials"]) & (rows["trials"] > 0)
    rows["epochs"] = rows["to_epochs"].where(whole, rows["epochs"]).astype(float)
    for column, at in (("seconds", "to_seconds"), ("low", "seconds_low"), ("high", "seconds_high")):
        rows[column] = rows[at].where(whole, rows[column]).astype(float)
    rows["timed"] = rows["to_timed"].where(whole, rows["timed"]).fillna(0).astype(int)
    rule = target_rules(results)[str(rows["target"].iloc[0])]  # of all it is one measure
    rows["measure"], rows["value"] = _values(ran, rows, rule.measure)
    rows["tier"] = _tier(ran, rows, whole)
    return rows.drop(columns=[*costs.values(), "seconds_low", "seconds_high"])


def times_to_problem_targets(results: ResultTables) -> pd.DataFrame:
    """Return each trial's time to the target of its problem, in the order of the trials."""
    tables, targets = target_times(results), problem_targets(results)
    parts = [
        tables[text][tables[text]["problem"].map(targets) == text] for text in set(targets.values())
    ]
    return pd.concat(parts).sort_index()


def _whole(results: ResultTables) -> pd.DataFrame:
    """Return each cell's seconds of whole trials."""
    table = seconds_view(results).table[[*CELL, "median", "low", "high", "timed"]]
    return table.rename(columns={"median": "seconds"})


def _evaluations(results: ResultTables, ran: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Return each cell's median passes of gradient evaluations, at the epochs that it is given."""
    name = "gradient_evaluations"
    if name not in results.traces:
        return ran[CELL].drop_duplicates().assign(**{name: np.nan})
    traces = results.traces.rename(columns={"epoch": "at"})[["trial", "at", name]]
    last = results.traces.groupby("trial")["epoch"].max()
    end = times["trial"].map(last)
    whole = times.groupby(CELL, observed=True)["reached"].transform("all")
    at = times[["trial", *CELL]].assign(at=times["epochs"].where(whole, end))
    found = at.merge(traces, on=["trial", "at"], how="left")
    medians = found.groupby(CELL, observed=True)[name].median().astype(float)
    return medians.reset_index()


def _values(
    ran: pd.DataFrame, rows: pd.DataFrame, measure: str
) -> tuple[pd.Series[str], pd.Series[float]]:
    """Return the measure that rows are ranked by where they are not at the target, and its median.

    Of a problem whose suboptimality is not known it is the loss.
    """
    ended = ran[ran["status"].isin(ENDED_WELL)]
    names = [measure] if measure in ran else []
    columns = list(dict.fromkeys([*names, "loss"]))
    numbers = ended[columns].astype(float).join(ended[CELL])
    medians = numbers.groupby(CELL, observed=True)[columns].median()
    found = rows[CELL].merge(medians.reset_index(), on=CELL, how="left")
    if not names:
        return pd.Series("loss", index=rows.index), found["loss"].astype(float)
    own = found[measure].astype(float)
    known = own.notna().groupby(rows["problem"]).transform("any")
    shown = pd.Series(measure, index=rows.index).where(known, "loss")
    return shown, own.where(known, found["loss"].astype(float))


def _tier(ran: pd.DataFrame, rows: pd.DataFrame, whole: pd.Series[bool]) -> pd.Series[int]:
    answered = ran[ran["status"].isin(ENDED_WELL)][CELL].drop_duplicates().assign(answered=True)
    ended = rows[CELL].merge(answered, on=CELL, how="left")["answered"].notna()
    conditions = [whole & rows["seconds"].notna(), whole, rows["reached"] > 0, ended]
    tiers = np.select(conditions, [TIMED, NOT_TIMED, SOMETIMES, NOT_REACHED], NO_ANSWER)
    return pd.Series(tiers, index=rows.index)


def _keyed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the two numbers by which they are sorted within their tier."""
    rows = rows.assign(first_key=np.nan, second_key=np.nan)
    for tier, column in BY.items():
        here = rows["tier"] == tier
        values = rows[column].astype(float)
        rows.loc[here, "first_key"] = values[here]
    more_is_better = rows["target"].str.contains(">=", regex=False)
    value = rows["value"].where(~more_is_better, -rows["value"])
    rows["second_key"] = value
    unreached = rows["tier"] == NOT_REACHED
    rows.loc[unreached, "first_key"] = value[unreached]
    some = rows["tier"] == SOMETIMES
    rows.loc[some, "first_key"] = -(rows["reached"] / rows["trials"].clip(lower=1))[some]
    direct_only = (rows["batch"] == DIRECT).groupby(rows["problem"]).transform("all")
    far = rows["digits"] < rows.groupby("problem")["digits"].transform("max") - TIE
    return _exact_first(rows, direct_only & rows["digits"].notna(), far)


def _exact_first(rows: pd.DataFrame, chosen: pd.Series[bool], far: pd.Series[bool]) -> pd.DataFrame:
    """Return the rows with the keys of direct methods that are alone: as many digits, then time."""
    chosen &= rows["tier"].isin([TIMED, NOT_TIMED])
    behind = chosen & far
    rows.loc[behind, "first_key"] = np.inf
    rows.loc[behind, "second_key"] = -rows["digits"][behind]
    return rows
