"""Sentences on a target: the settings that reach it, and the fastest of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from optlab.analysis.comparison import FASTER, SLOWER, TOO_FEW, ratios
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, in_sweep, ran_alone
from optlab.report.findings.sentence import Sentence, describe_median, describe_setting
from optlab.report.views import TARGETS, View
from optlab.report.views.time_to_target import own_target, target_text, target_times
from optlab.report.views.view import answered
from optlab.report.words import describe_target, format_ratio, is_share, reference_kind, share
from optlab.text import DIRECT, pluralize


def reached_findings(
    results: ResultTables, views: dict[str, View], problem: str, target: str
) -> Iterator[Sentence]:
    """Yield the sentence on how many settings of iterative methods reach a target."""
    table = views["target"].table
    with_batches = table[(table["problem"] == problem) & (table["batch"] != DIRECT)]
    rows = with_batches[with_batches["target"] == target]
    settings = len(with_batches[CELL].drop_duplicates())
    if not target:  # no setting reached the largest of them
        target, ended = target_text(TARGETS[0]), answered(results.trials)
        ended = ended[(ended["problem"] == problem) & (ended["batch"] != DIRECT)]
        settings = len(ended[CELL].drop_duplicates())
    if not settings:
        return
    good = int((rows["reached"] == rows["trials"]).sum())
    some = int(((rows["reached"] > 0) & (rows["reached"] < rows["trials"])).sum())
    verb, where = "came down to" if is_share(target) else "reached", describe_target(target)
    if reference_kind(results.problems[problem]) == "best known":
        where += " (measured from the best known loss)"
    if target == own_target(results):
        where = f"the experiment's target, {where},"
    count = f"{good} of {pluralize(settings, 'setting')} of iterative methods"
    text = f"{count} {verb} {where} in every trial" + (f", {some} in some" if some else "")
    numbers = {"target": target, "good": good, "some": some, "settings": settings}
    yield Sentence("reached", f"{text}.", problem, numbers)


def fastest_findings(
    results: ResultTables, views: dict[str, View], problem: str, target: str
) -> Iterator[Sentence]:
    """Yield the sentences on the fastest setting that always reaches the target, and the others."""
    table = views["target"].table
    rows = table[(table["problem"] == problem) & (table["target"] == target)]
    there = rows[(rows["batch"] != DIRECT) & (rows["reached"] == rows["trials"])]
    rows = there[there["seconds"].notna()].sort_values("seconds", kind="stable")
    if rows.empty:
        yield from _not_ranked(results, problem, there=len(there))
        return
    rows = compared(results, rows.reset_index(drop=True), target)
    best, others = rows.iloc[0], rows.iloc[1:]
    seconds = describe_median(best["seconds"], best["low"], best["high"], int(best["timed"]))
    text = f"Of those that always reached {share(target)}, {describe_setting(best, views)} has "
    text += f"the lowest median seconds: {seconds}, {pluralize(best['epochs'], 'epoch')}"
    numbers = _numbers(best, target) | {"timed": int(best["timed"])}
    if len(others):
        text += f"; {_others(others, views)}"
        slower = int((others["verdict"] == SLOWER).sum())
        numbers |= {"next": _ratio(others.iloc[0]), "slower": slower, "others": len(others)}
    yield Sentence("fastest", f"{text}.", problem, numbers)
    where = ["optimizer", "device", "dtype"]
    same = others[(others[where] == best[where]).all(axis=1)]
    if len(same) and same.index[-1] > 1:  # the second stands in the sentence before
        slow = same.iloc[-1]
        needs = f"{describe_setting(slow, views)} needs {pluralize(slow['epochs'], 'epoch')}"
        than = _compare(slow, "it", f"batch size {best['batch']}")
        numbers = _numbers(slow, target) | {"than": _ratio(slow)}
        yield Sentence("batch size", f"{needs} for {share(target)}; {than}.", problem, numbers)


def _not_ranked(results: ResultTables, problem: str, *, there: int) -> Iterator[Sentence]:
    """Yield the sentence that no setting is called the fastest, as trials did not run alone."""
    ended = answered(results.trials[results.trials["problem"] == problem])
    again = "Run them again one at a time to learn it."
    how = "in sweeps" if in_sweep(ended).any() else "beside others"
    if len(ended) and not ran_alone(ended).any():
        text = f"All trials that ended with an answer ran {how}: no speed can be compared."
        yield Sentence("not ranked", f"{text} {again}", problem, {"trials": len(ended)})
    elif there:
        text = f"The trials that reached the target ran {how}: the fastest cannot be named."
        yield Sentence("not ranked", f"{text} {again}", problem, {"settings": there})


def compared(results: ResultTables, rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return cells with the paired ratios of their seconds to the first one's."""
    times = target_times(results)[target]
    reached = times[times["reached"]].merge(rows[CELL], on=CELL).assign(status="converged")
    table = ratios(reached, {column: rows[column].iloc[0] for column in CELL})
    columns = [*CELL, "ratio", "ratio_low", "ratio_high", "pairs", "verdict"]
    return rows.merge(table[columns], on=CELL, how="left")


def _others(others: pd.DataFrame, views: dict[str, View]) -> str:
    """Return the words on the second beside the first, and on the number shown to be slower."""
    text = f"next, {_compare(others.iloc[0], describe_setting(others.iloc[0], views))}"
    if len(others) == 1:
        return text
    slower = (others["verdict"] == SLOWER).sum()
    return f"{text}; shown slower: {slower} of the {len(others)} others"


def _compare(row: Any, name: str, than: str = "") -> str:
    """Return the words on a cell beside the one of the lowest median seconds.

    Its median is not lower, but its seconds may be, repeat by repeat: the words say so. It is
    called slower only where the interval of the paired ratio is above 1.
    """
    if not row["pairs"]:
        return f"{name} has no repeat in common with {than or 'it'}"
    ratio = f"{format_ratio(row['ratio'])} times as long" + (f" as {than}" if than else "")
    ends = f" [{format_ratio(row['ratio_low'])}, {format_ratio(row['ratio_high'])}]"
    if row["verdict"] == SLOWER:
        return f"{name} takes {ratio}{ends}"
    if row["verdict"] == FASTER:
        return f"{name} has no lower median, but repeat by repeat takes {ratio}{ends}"
    if row["verdict"] == TOO_FEW:
        ends = ", too few repeats to say"
    return f"{name} is not shown to be slower ({ratio}{ends})"


def _numbers(row: Any, target: str) -> dict[str, Any]:
    costs = {name: float(row[name]) for name in ("seconds", "epochs")}
    return {"target": target, "cell": tuple(row[CELL])} | costs


def _ratio(row: Any) -> dict[str, Any]:
    names = {"ratio": "ratio", "low": "ratio_low", "high": "ratio_high"}
    numbers: dict[str, Any] = {name: float(row[of]) for name, of in names.items()}
    return numbers | {"cell": tuple(row[CELL]), "verdict": row["verdict"]}
