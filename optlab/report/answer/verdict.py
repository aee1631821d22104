"""The verdict: one to three sentences that answer which method to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, ENDED_WELL, in_sweep
from optlab.analysis.targets import target_scales
from optlab.lab import Status
from optlab.report.answer.ranking import (
    NO_ANSWER,
    NOT_TIMED,
    SOMETIMES,
    TIMED,
    ranked_settings,
    ranking,
    with_ratios,
)
from optlab.report.answer.told_apart import beside_first, busy_machine
from optlab.report.findings.accuracy_findings import TIE
from optlab.report.findings.all_findings import MOST_PROBLEMS
from optlab.report.findings.sentence import Sentence
from optlab.report.trial_counts import stopped_while_tuning
from optlab.report.views.cache import cached
from optlab.report.views.time_to_target import (
    common_target,
    own_target,
    target_rules,
    target_view,
)
from optlab.report.words import explained_share, join_names, listed, reference_kind, share
from optlab.text import DIRECT, format_seconds, method_name, number, pluralize

BROKEN = (Status.FAILED, Status.CRASHED)
"""The statuses of trials that an error ended."""

_CLIMBED = (
    "No method found a lower loss than its start: the gradient may be wrong "
    "(optlab.testing.check_gradient), or the learning rates too large."
)


def verdict(results: ResultTables) -> list[Sentence]:
    """Return the verdict, from the numbers of `ranking`: of each problem one to three sentences.

    The first names the method to use and its numbers, what the next costs beside it, and which
    others may be as fast. Where that is a direct method, the second names the best of the iterative
    ones; the last names the methods without an answer. What is not certain stands after the fact:
    seconds that are not told apart, or were measured while threads waited for busy cores. Of more
    than 3 problems one sentence counts how often each method is the first.
    """
    if said := stopped_while_tuning(results.trials):
        return [Sentence("nothing", said, "", {"tuning trials": len(results.trials)})]
    return list(_of_measured(results))


@cached
def _of_measured(results: ResultTables) -> list[Sentence]:
    """Return the sentences on the trials that did not tune an optimizer."""
    table = ranking(results)
    if not (table["tier"] < NO_ANSWER).any():
        counts = Counter(map(str, results.trials["status"]))
        text = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none was run"
        said = f"No trial ended with an answer: {text}."
        return [Sentence("nothing", said, "", {"statuses": dict(counts)})]
    problems = list(dict.fromkeys(table["problem"]))
    if len(problems) > MOST_PROBLEMS:
        return _overall(results, table)
    return [s for problem in problems for s in problem_verdict(results, problem)]


def _overall(results: ResultTables, table: pd.DataFrame) -> list[Sentence]:
    """Return the sentences on how often each method is the first, and on how many had no answer."""
    several = table["problem"].nunique()
    first = table[(table["rank"] == 1) & (table["tier"] <= NOT_TIMED)]
    counts = Counter(map(str, first["method"])).most_common()
    numbers = {"problems": several, "first": dict(counts)}
    targets = list(dict.fromkeys(table["target"]))
    goal = share(str(targets[0])) if len(targets) == 1 else "the best target that any reaches"
    if not counts:
        if len(targets) == 1 and not own_target(results):
            goal = explained_share(str(targets[0]))
        text = f"No method reached {goal} in every trial of any of {several} problems."
        return [Sentence("overall", text, "", numbers)]
    (best, times), others = counts[0], counts[1:]
    by = {TIMED: "fastest", NOT_TIMED: "first by epochs"}
    tiers = set(first["tier"])
    verb = by[tiers.pop()] if len(tiers) == 1 else "first"
    text = f"{best} is {verb} to {goal} on {times} of {several} problems"
    if others:
        text += f"; {', '.join(f'{name} on {count}' for name, count in others[:MOST_PROBLEMS])}"
        more = others[MOST_PROBLEMS:]
        text += f" and {len(more)} more on {sum(count for _, count in more)}" if more else ""
    left = several - sum(count for _, count in counts)
    text += f"; on {left} none reaches it in every trial" if left else ""
    text += busy_machine(results, table[table["tier"] == TIMED])
    answered = set(table["method"][table["tier"] < NO_ANSWER])
    broken = _broken(results.trials, "", answered)
    return [Sentence("overall", f"{text}.", "", numbers), *broken]


def problem_verdict(results: ResultTables, problem: str) -> Iterator[Sentence]:
    """Yield the verdict on one problem."""
    table = ranking(results)
    rows = table[table["problem"] == problem].reset_index(drop=True)
    if _only_climbed(results, problem):
        yield Sentence("nothing", _CLIMBED, problem, {"methods": list(rows["method"])})
        return
    direct = rows["batch"] == DIRECT
    answers = rows["tier"] < NO_ANSWER
    is_direct = direct[0] and answers[0]
    first = (_direct if is_direct else _iterative)(results, rows, problem)
    doubt = busy_machine(results, rows[rows["tier"] == TIMED]) if rows["tier"][0] == TIMED else ""
    yield replace(first, text=f"{first.text.removesuffix('.')}{doubt}.")
    if is_direct and not direct.all():
        own = with_ratios(results, rows[~direct].reset_index(drop=True))
        yield _iterative(results, own, problem, of=" of the iterative methods")
    if answers.any() and not answers.all():
        names = [f"{row['method']} ({row['status']})" for _, row in rows[~answers].iterrows()]
        verb = "has" if len(names) == 1 else "have"
        text = f"{join_names(names)} {verb} no answer."
        yield Sentence("no answer", text, problem, {"methods": list(rows["method"][~answers])})
    own = results.trials[results.trials["problem"] == problem]
    yield from _broken(own, problem, set(rows["method"][answers]))


def _broken(trials: pd.DataFrame, problem: str, answered: Collection[str]) -> Iterator[Sentence]:
    """Yield the sentence on the methods with an answer of which other trials failed or crashed."""
    ran = trials[trials["status"] != Status.SKIPPED]
    methods = ran["optimizer"].map(lambda label: method_name(str(label)))
    told, numbers = [], {}
    for method, own in ran.groupby(methods, sort=False):
        counts = {str(s): int((own["status"] == s).sum()) for s in BROKEN}
        counts = {status: count for status, count in counts.items() if count}
        if not counts or method not in answered:
            continue
        parts = [f"{status} in {count}" for status, count in counts.items()]
        told.append(f"{method} {' and '.join(parts)} of {pluralize(len(own), 'trial')}")
        numbers[str(method)] = counts
    if told:
        yield Sentence("broken", f"{listed(told)}.", problem, numbers)


def _only_climbed(results: ResultTables, problem: str) -> bool:
    """Return whether no trial of a problem found a lower loss than its start, though some moved."""
    own = results.trials[results.trials["problem"] == problem]
    moved = own[own["epochs"] > 0]
    best = reference_kind(results.problems[problem]) == "best known"
    return best and len(moved) > 0 and bool((moved["best_epoch"] == 0).all())


def _direct(results: ResultTables, rows: pd.DataFrame, problem: str) -> Sentence:
    """Return the sentence on a direct method that is the first."""
    best = rows.iloc[0]
    numbers = _numbers(best)
    text = f"Use {best['label']}: {_exactness(best)}"
    if best["tier"] == TIMED:
        text += f" in {format_seconds(best['seconds'])}"
    elif np.isfinite(best["seconds"]):
        text += f" after {format_seconds(best['seconds'])}"
    others = rows[(rows["batch"] == DIRECT) & (rows.index > 0)]
    exact = others[others["digits"] > best["digits"] + TIE]
    if len(exact):
        other = exact.loc[exact["digits"].idxmax()]
        numbers["more digits"] = _numbers(other)
        text += f"; {other['label']} is {_exactness(other)}"
        text += f" in {format_seconds(other['seconds'])}" if other["tier"] == TIMED else ""
    elif len(others):
        words, other = _next_direct(results, rows.iloc[:1], others)
        text += words
        numbers |= other
    text += _not_timed(results, best)
    return Sentence("direct", f"{text}.", problem, numbers)


def _beside(results: ResultTables, best: pd.DataFrame, others: pd.DataFrame) -> str:
    """Return the clause on the seconds of other settings beside those of the best."""
    rows = pd.concat([best, others])
    return f"; {beside_first(rows, crowded=bool(busy_machine(results, rows.iloc[:2])))}"


def _next_direct(
    results: ResultTables, best: pd.DataFrame, others: pd.DataFrame
) -> tuple[str, dict[str, Any]]:
    """Return the words on the next direct method, of as many digits where there is one."""
    near = others[~(others["digits"] < best["digits"].iloc[0] - TIE)]
    if len(near) and near.iloc[0]["pairs"] > 0:
        same_tier = near[near["tier"] == TIMED]
        return _beside(results, best, same_tier), {"next": _ratio(near.iloc[0])}
    other = others.iloc[0]
    if len(near) or other["tier"] >= NO_ANSWER:
        return "", {}
    text = f"; {other['label']} is {_exactness(other)} only"
    text += f", in {format_seconds(other['seconds'])}" if other["tier"] == TIMED else ""
    return text, {"fewer digits": _numbers(other)}


def _iterative(results: ResultTables, rows: pd.DataFrame, problem: str, of: str = "") -> Sentence:
    """Return the sentence on the best of some rows; ``of`` says of which where not of all."""
    best, name = rows.iloc[0], rows.iloc[0]["label"]
    numbers = _numbers(best)
    if best["tier"] == NO_ANSWER:
        counts = Counter(map(str, rows["status"]))
        each = ", ".join(f"{count} {status}" for status, count in counts.items())
        what = "iterative method" if of else "method"
        numbers = {"statuses": dict(counts)}
        text = f"No {what} ended with an answer ({each})"
        return Sentence("nothing", f"{text}.", problem, numbers)
    if best["tier"] in {TIMED, NOT_TIMED}:
        text = _first(results, rows, of)
        others = rows[(rows.index > 0) & (rows["tier"] == best["tier"])]
        if len(others) and best["tier"] == TIMED:
            numbers["next"] = _ratio(others.iloc[0])
        return Sentence("first", f"{text}.", problem, numbers)
    what = "iterative method" if of else "method"
    goal = _goal(results, best, share if own_target(results) else explained_share)
    text = f"No {what} reached {goal} in every trial: {name} "
    if best["tier"] == SOMETIMES:
        text += f"did in {best['reached']} of {best['trials']}"
    else:
        text += f"is nearest, {_end(results, best)} after {pluralize(best['epochs'], 'epoch')}"
    return Sentence("not reached", f"{text}.", problem, numbers)


def _end(results: ResultTables, row: Any) -> str:
    """Return in words where a setting ended: at a share, where the target is one."""
    rule, measure = target_rules(results)[str(row["target"])], str(row["measure"])
    if rule.share is not None and measure == rule.measure:
        trials = results.trials
        own = trials[(trials[CELL] == list(row[CELL])).all(axis=1)]
        own = own[own["status"].isin(ENDED_WELL)]
        scales = own["trial"].map(target_scales(trials, results.traces, measure))
        part = float((own[measure].astype(float) / scales).median())
        if np.isfinite(part):
            return f"at {number(part)}"
    return f"with {measure.replace('_', ' ')} {number(row['value'], 4)}"


def _first(results: ResultTables, rows: pd.DataFrame, of: str) -> str:
    """Return the words on the first to the target, and on the next."""
    best, name = rows.iloc[0], rows.iloc[0]["label"]
    goal = _goal(results, best)
    epochs = pluralize(best["epochs"], "epoch")
    timed = best["tier"] == TIMED
    others = rows[(rows.index > 0) & (rows["tier"] == best["tier"])]
    alone = not (rows["tier"].iloc[1:] <= NOT_TIMED).any()
    who = f"Of the iterative methods {name}" if of else f"Use {name}: it"
    cost = f"{format_seconds(best['seconds'])}, {epochs}" if timed else epochs
    if len(rows) == 1:
        lead = f"The one iterative method, {name}, is at" if of else f"Use {name}: at"
        return f"{lead} {goal} after {cost}{_not_timed(results, best)}"
    if alone:
        text = f"{who} alone reaches {goal}: {cost}"
    elif timed:
        text = f"{who} is fastest to {goal}: {cost}"
    else:
        text = f"{who} needs the fewest epochs to {goal}: {number(best['epochs'])}"
    text += _not_timed(results, best)
    if len(others) and timed:
        text += _beside(results, rows.iloc[:1], others)
    elif len(others):
        other = others.iloc[0]
        as_many = other["epochs"] == best["epochs"]
        needs = "as many" if as_many else pluralize(other["epochs"], "epoch")
        text += f"; {other['label']} needs {needs}"
    return text + _sooner(results, best)


def _sooner(results: ResultTables, best: Any) -> str:
    """Return the words on who is faster to a coarse target, where no ``stop_at`` was asked for.

    Of the settings with batches, and to the target that half of them reach in every trial.
    """
    if own_target(results):
        return ""
    table = target_view(results).table
    table = table[(table["problem"] == best["problem"]) & (table["batch"] != DIRECT)]
    coarse = common_target(table)
    there = table[(table["target"] == coarse) & (table["reached"] == table["trials"])]
    cost = "seconds" if best["tier"] == TIMED else "epochs"
    there = there[there[cost].notna()].sort_values(cost, kind="stable")
    its = there[(there[CELL] == list(best[CELL])).all(axis=1)]
    if coarse == best["target"] or its.empty or its.index[0] == there.index[0]:
        return ""
    first, own = there.iloc[0], its.iloc[0]
    if not first[cost] < own[cost] or (cost == "seconds" and first["high"] >= own["low"]):
        return ""
    labels = ranked_settings(results).merge(first[CELL].to_frame().T, on=CELL)["label"]
    spent = pluralize(first["epochs"], "epoch")
    spent = f"{format_seconds(first['seconds'])}, {spent}" if cost == "seconds" else spent
    verb = "is faster" if cost == "seconds" else "needs fewer"
    return f"; to {share(coarse)} {labels.iloc[0]} {verb}: {spent}"


def _goal(results: ResultTables, row: Any, words: Callable[[str], str] = share) -> str:
    """Return the target in words, and from where it is measured if that is not certain."""
    best_known = reference_kind(results.problems[row["problem"]]) == "best known"
    return f"{words(row['target'])}{' (from the best known loss)' if best_known else ''}"


def _exactness(row: Any) -> str:
    """Return in words how near the reference a direct method's answer is."""
    if np.isfinite(row["digits"]):
        return f"right to {row['digits']:.1f} digits"
    if np.isfinite(row["suboptimality"]):
        return f"suboptimality {number(row['suboptimality'], 2)}"
    return f"loss {number(row['loss'], 6)}"


def _not_timed(results: ResultTables, row: Any) -> str:
    """Return in parentheses why a setting's seconds are not given; nothing where they are."""
    if row["tier"] == TIMED:
        return ""
    own = results.trials[(results.trials[CELL] == list(row[CELL])).all(axis=1)]
    how = "in a sweep" if in_sweep(own).any() else "beside others"
    return f" (its trials ran {how}: seconds are not ranked)"


def _numbers(row: Any) -> dict[str, Any]:
    names = ("seconds", "epochs", "digits", "value")
    found: dict[str, Any] = {name: float(row[name]) for name in names}
    cell = {"cell": tuple(row[CELL]), "target": row["target"], "tier": int(row["tier"])}
    return cell | found | {"reached": int(row["reached"]), "trials": int(row["trials"])}


def _ratio(row: Any) -> dict[str, Any]:
    names = ("ratio", "ratio_low", "ratio_high", "pairs")
    own: dict[str, Any] = {name: float(row[name]) for name in names}
    return own | {"cell": tuple(row[CELL]), "verdict": row["verdict"]}
