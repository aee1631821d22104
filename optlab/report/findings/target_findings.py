"""Who got there, and who was first, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from optlab.analysis.comparison import FASTER, SLOWER, TOO_FEW, ratios
from optlab.analysis.statistics import CELL
from optlab.analysis.targets import time_to_target
from optlab.report.findings.sentence import Sentence, measured, place
from optlab.report.views import TARGETS, Outcome, View
from optlab.report.views.view import answered
from optlab.report.words import counted, every, share, times
from optlab.text import DIRECT


def who_got_there(
    results: Outcome, views: dict[str, View], problem: str, target: str, *, own: float | None
) -> Iterator[Sentence]:
    """Yield how many settings of methods with batches come down to a target."""
    table = views["target"].table
    with_batches = table[(table["problem"] == problem) & (table["batch"] != DIRECT)]
    rows = with_batches[with_batches["target"] == target]
    settings = len(with_batches[CELL].drop_duplicates())
    if not target:  # nobody got to the largest of those that times are given for
        target, ended = str(TARGETS[0]), answered(results.trials)
        ended = ended[(ended["problem"] == problem) & (ended["batch"] != DIRECT)]
        settings = len(ended[CELL].drop_duplicates())
    if not settings:
        return
    good = int((rows["reached"] == rows["trials"]).sum())
    some = int(((rows["reached"] > 0) & (rows["reached"] < rows["trials"])).sum())
    verb, where = "come down to", f"{share(target)} of the starting suboptimality"
    if own and float(target) == own:
        verb, where = "reach", f"the experiment's target, {where},"
    text = _how_many(good, settings, verb)
    text += f" {where} in {'every' if good or some else 'any'} trial"
    if some:
        do = "" if good else f" {'does' if some == 1 else 'do'}"
        text += ", but does in some" if settings == 1 else f", {some}{do} in some"
    found = {"target": target, "good": good, "some": some, "settings": settings}
    yield Sentence("reached", f"{text}.", problem, found)


def _how_many(good: int, settings: int, verb: str) -> str:
    """Return how many settings do something, with the verb as their number needs it."""
    what, does = (
        "of methods with batches",
        verb.replace("come", "comes").replace("reach", "reaches"),
    )
    if settings == 1:
        return f"The only setting {what} {does if good else f'does not {verb}'}"
    if not good:
        none = "Neither" if settings == 2 else "None"
        return f"{none} of the {settings} settings {what} {does}"
    if good == settings:
        return f"{every(good, 'settings').capitalize()} {what} {verb}"
    return f"{good} of {settings} settings {what} {does if good == 1 else verb}"


def who_was_first(
    results: Outcome, views: dict[str, View], problem: str, target: str
) -> Iterator[Sentence]:
    """Yield who of those that always get there is the first, and how sure that is."""
    table = views["target"].table
    rows = table[(table["problem"] == problem) & (table["target"] == target)]
    there = rows[(rows["batch"] != DIRECT) & (rows["reached"] == rows["trials"])]
    rows = there[there["seconds"].notna()].sort_values("seconds", kind="stable")
    if rows.empty:
        yield from _not_ranked(results, problem, there=len(there))
        return
    rows = _compared(results, rows.reset_index(drop=True), target)
    best, others = rows.iloc[0], rows.iloc[1:]
    found = {"target": target, "cell": tuple(best[CELL]), "seconds": float(best["seconds"])}
    found["epochs"] = float(best["epochs"])
    seconds = measured(best["seconds"], best["low"], best["high"], int(best["timed"]))
    text = f"{place(best, views)} has the lowest median seconds to {share(target)} among them: "
    text += f"{seconds}, {counted(best['epochs'], 'epoch')}"
    if len(others):
        text += f"; {_others(others, views)}"
        found |= _numbers(others.iloc[0]) | {"slower": int((others["verdict"] == SLOWER).sum())}
    yield Sentence("first", f"{text}.", problem, found)
    where = ["optimizer", "device", "dtype"]
    same = others[(others[where] == best[where]).all(axis=1)]
    if len(same) and same.index[-1] > 1:  # the second stands in the sentence before
        slow = same.iloc[-1]
        needs = f"{place(slow, views)} needs {counted(slow['epochs'], 'epoch')}"
        than = _beside(slow, "it", f"batch size {best['batch']}")
        text = f"{needs} for {share(target)}; {than}."
        found = {"target": target, "cell": tuple(slow[CELL]), "epochs": float(slow["epochs"])}
        yield Sentence("batch size", text, problem, found | _numbers(slow))


def _not_ranked(results: Outcome, problem: str, *, there: int) -> Iterator[Sentence]:
    """Yield that trials ran beside others, where that is why nobody is called the first."""
    ended = answered(results.trials[results.trials["problem"] == problem])
    beside = ended["contended"].fillna(False).astype(bool)
    again = "Run them again one at a time to learn it."
    if len(ended) and beside.all():
        who = "The only trial" if len(ended) == 1 else every(len(ended), "trials").capitalize()
        text = f"{who} that ended with an answer ran beside others: who was fast cannot be said."
        yield Sentence("not ranked", f"{text} {again}", problem, {"trials": len(ended)})
    elif there:
        text = "The trials of those that got there ran beside others: who was first cannot be said."
        yield Sentence("not ranked", f"{text} {again}", problem, {"settings": there})


def _compared(results: Outcome, rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return cells with how their seconds compare with the first one's, by seed and repeat."""
    numbered = rows[CELL].assign(number=rows.index.map(str))
    trials = results.trials.merge(numbered, on=CELL)
    traces = results.traces[results.traces["trial"].isin(trials["trial"])]
    sides = time_to_target(trials, traces, float(target)).assign(
        optimizer=trials["number"], batch="full", device="", dtype="", status="converged"
    )
    sides = sides[sides["reached"]]
    alone = sides[~sides["contended"]].groupby("optimizer").size()
    table = ratios(sides, "0").set_index("optimizer")
    table = table[["ratio", "ratio_low", "ratio_high", "pairs", "verdict"]]
    table.index = table.index.astype(int)
    return rows.assign(timed=[int(alone[number]) for number in numbered["number"]]).join(table)


def _others(others: pd.DataFrame, views: dict[str, View]) -> str:
    """Return how the second compares with the first, and how many are shown to be slower."""
    second, slower = others.iloc[0], int((others["verdict"] == SLOWER).sum())
    text = f"next, {_beside(second, place(second, views))}"
    if len(others) == 1:
        return text
    if slower == len(others):
        return f"{text}; {every(slower, 'others')} are shown slower"
    of = f"of the {len(others)} others"
    which = f"{slower} {of} {'is' if slower == 1 else 'are'}" if slower else f"none {of} is"
    return f"{text}; {which} shown slower"


def _beside(row: Any, name: str, than: str = "") -> str:
    """Return how a cell compares with the one of the lowest median seconds.

    Its median is not lower. Its seconds may be, repeat by repeat: then this says that they are
    those of pairs, and without an interval above 1 never that it is slower.
    """
    if not row["pairs"]:
        return f"{name} has no repeat in common with {than or 'it'}"
    ratio = f"{times(row['ratio'])} times as long" + (f" as {than}" if than else "")
    ends = f" [{times(row['ratio_low'])}, {times(row['ratio_high'])}]"
    if row["verdict"] == SLOWER:
        return f"{name} takes {ratio}{ends}"
    if row["verdict"] == FASTER:
        return f"{name} has no lower median, but repeat by repeat takes {ratio}{ends}"
    if row["verdict"] == TOO_FEW:
        ends = ", too few repeats to say"
    return f"{name} is not shown to be slower ({ratio}{ends})"


def _numbers(row: Any) -> dict[str, Any]:
    names = {"ratio": "ratio", "low": "ratio_low", "high": "ratio_high"}
    return {name: float(row[of]) for name, of in names.items()} | {"verdict": row["verdict"]}
