"""The verdict: one to three sentences that answer which method to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.comparison import FASTER, SLOWER, TOO_FEW
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, in_sweep
from optlab.report.answer.ranking import (
    NO_ANSWER,
    NOT_TIMED,
    SOMETIMES,
    TIMED,
    ranking,
    with_ratios,
)
from optlab.report.findings.accuracy_findings import TIE
from optlab.report.findings.all_findings import MOST_PROBLEMS
from optlab.report.findings.sentence import Sentence
from optlab.report.trial_counts import stopped_while_tuning
from optlab.report.views.cache import measured_trials
from optlab.report.words import format_ratio, join_names, reference_kind, share
from optlab.text import DIRECT, format_seconds, number, pluralize

_CLIMBED = (
    "No method found a lower loss than its start: the gradient may be wrong "
    "(optlab.testing.check_gradient), or the learning rates too large."
)


def verdict(results: ResultTables) -> list[Sentence]:
    """Return the verdict, from the numbers of `ranking`: of each problem one to three sentences.

    The first names the method to use and its numbers. Where that is a direct method, the second
    names the best of the iterative ones; the last names the methods without an answer. What is not
    certain stands in parentheses after the fact. Of more than 3 problems two sentences count how
    often each method is the first.
    """
    if said := stopped_while_tuning(results.trials):
        return [Sentence("nothing", said, "", {"tuning trials": len(results.trials)})]
    results = measured_trials(results)
    table = ranking(results)
    if not (table["tier"] < NO_ANSWER).any():
        counts = Counter(map(str, results.trials["status"]))
        text = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none was run"
        said = f"No trial ended with an answer: {text}."
        return [Sentence("nothing", said, "", {"statuses": dict(counts)})]
    problems = list(dict.fromkeys(table["problem"]))
    if len(problems) > MOST_PROBLEMS:
        return _overall(table)
    return [s for problem in problems for s in problem_verdict(results, problem)]


def _overall(table: pd.DataFrame) -> list[Sentence]:
    """Return the sentences on how often each method is the first, and on how many had no answer."""
    several = table["problem"].nunique()
    first = table[(table["rank"] == 1) & (table["tier"] <= NOT_TIMED)]
    counts = Counter(map(str, first["method"])).most_common()
    numbers = {"problems": several, "first": dict(counts)}
    share_text = share(str(table["target"].iloc[0]))
    if not counts:
        text = f"No method reached {share_text} in every trial of any of {several} problems."
        return [Sentence("overall", text, "", numbers)]
    (best, times), others = counts[0], counts[1:]
    text = f"{best} is the first to {share_text} on {times} of {several} problems"
    if others:
        text += f"; {', '.join(f'{name} on {count}' for name, count in others[:MOST_PROBLEMS])}"
        more = others[MOST_PROBLEMS:]
        text += f" and {len(more)} more on {sum(count for _, count in more)}" if more else ""
    left = several - sum(count for _, count in counts)
    text += f"; on {left} none reaches it in every trial" if left else ""
    return [Sentence("overall", f"{text}.", "", numbers)]


def problem_verdict(results: ResultTables, problem: str) -> Iterator[Sentence]:
    """Yield the verdict on one problem."""
    table = ranking(results)
    rows = table[table["problem"] == problem].reset_index(drop=True)
    if _only_climbed(results, problem):
        yield Sentence("nothing", _CLIMBED, problem, {"methods": list(rows["method"])})
        return
    direct = rows["batch"] == DIRECT
    answers = rows["tier"] < NO_ANSWER
    if direct[0] and answers[0]:
        yield _direct(results, rows, problem)
        if not direct.all():
            own = with_ratios(results, rows[~direct].reset_index(drop=True))
            yield _iterative(results, own, problem, of=" of the iterative methods")
    else:
        yield _iterative(results, rows, problem)
    if answers.any() and not answers.all():
        names = [f"{row['method']} ({row['status']})" for _, row in rows[~answers].iterrows()]
        verb = "has" if len(names) == 1 else "have"
        text = f"{join_names(names)} {verb} no answer."
        yield Sentence("no answer", text, problem, {"methods": list(rows["method"][~answers])})


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
    elif len(others) and others.iloc[0]["pairs"] > 0:
        numbers["next"] = _ratio(others.iloc[0])
        text += f"; {_compare(others.iloc[0])}"
    text += _not_timed(results, best)
    return Sentence("direct", f"{text}.", problem, numbers)


def _iterative(results: ResultTables, rows: pd.DataFrame, problem: str, of: str = "") -> Sentence:
    """Return the sentence on the best of some rows; ``of`` says of which where not of all."""
    best, name = rows.iloc[0], rows.iloc[0]["label"]
    goal = _goal(results, best)
    numbers = _numbers(best)
    if best["tier"] == NO_ANSWER:
        counts = Counter(map(str, rows["status"]))
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        what = "iterative method" if of else "method"
        numbers = {"statuses": dict(counts)}
        text = f"No {what} ended with an answer ({listed})"
        return Sentence("nothing", f"{text}.", problem, numbers)
    if best["tier"] in {TIMED, NOT_TIMED}:
        text = _first(results, rows, goal, of)
        others = rows[(rows.index > 0) & (rows["tier"] == best["tier"])]
        if len(others) and best["tier"] == TIMED:
            numbers["next"] = _ratio(others.iloc[0])
        return Sentence("first", f"{text}.", problem, numbers)
    what = "iterative method" if of else "method"
    text = f"No {what} reached {goal} in every trial: {name} "
    if best["tier"] == SOMETIMES:
        text += f"did in {best['reached']} of {best['trials']}"
    else:
        value = number(best["value"], 2 if best["measure"] == "suboptimality" else 4)
        text += f"is nearest, with {best['measure'].replace('_', ' ')} {value} after "
        text += pluralize(best["epochs"], "epoch")
    return Sentence("not reached", f"{text}.", problem, numbers)


def _first(results: ResultTables, rows: pd.DataFrame, goal: str, of: str) -> str:
    """Return the words on the first to the target, and on the next."""
    best, name = rows.iloc[0], rows.iloc[0]["label"]
    epochs = pluralize(best["epochs"], "epoch")
    lead = f"O{of[2:]} {name} is" if of else f"Use {name}:"
    others = rows[(rows.index > 0) & (rows["tier"] == best["tier"])]
    if of and len(rows) == 1:
        lead = f"The one iterative method, {name}, is"
    if best["tier"] == NOT_TIMED:
        few = "at" if len(rows) == 1 else "the first by epochs to"
        text = f"{lead} {few} {goal}" + (" after" if len(rows) == 1 else ":") + f" {epochs}"
        if len(others):
            other = others.iloc[0]
            as_many = other["epochs"] == best["epochs"]
            needs = "as many" if as_many else pluralize(other["epochs"], "epoch")
            text += f"; {other['label']} needs {needs}"
        return text + _not_timed(results, best)
    cost = f"{format_seconds(best['seconds'])}, {epochs}"
    text = f"{lead} at {goal} after {cost}" if len(rows) == 1 else f"{lead} first to {goal}: {cost}"
    return f"{text}; {_compare(others.iloc[0])}" if len(others) else text


def _goal(results: ResultTables, row: Any) -> str:
    """Return the target in words."""
    text = share(row["target"])
    facts = results.problems[row["problem"]]
    known = reference_kind(facts)
    return f"{text} (from the best known loss)" if known == "best known" else text


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


def _compare(row: Any) -> str:
    """Return the words on the seconds of a row beside those of the first one's."""
    name, pairs = row["label"], row["pairs"]
    if not pairs > 0:
        return f"{name} has no trial to compare with it"
    ratio = f"{format_ratio(row['ratio'])} times as long"
    each = f"{pluralize(int(pairs), 'trial')} each"
    ends = f"[{format_ratio(row['ratio_low'])}, {format_ratio(row['ratio_high'])}]"
    if row["verdict"] == SLOWER:
        return f"{name} takes {ratio} {ends}"
    if row["verdict"] == FASTER:
        return f"{name} has no lower median, but trial by trial takes {ratio} {ends}"
    if row["verdict"] == TOO_FEW:
        return f"{name} takes {ratio} ({each}: not yet certain)"
    return f"{name} takes {ratio} {ends} ({each}: no difference shown)"


def _numbers(row: Any) -> dict[str, Any]:
    names = ("seconds", "epochs", "digits", "value")
    found: dict[str, Any] = {name: float(row[name]) for name in names}
    cell = {"cell": tuple(row[CELL]), "target": row["target"], "tier": int(row["tier"])}
    return cell | found | {"reached": int(row["reached"]), "trials": int(row["trials"])}


def _ratio(row: Any) -> dict[str, Any]:
    names = ("ratio", "ratio_low", "ratio_high", "pairs")
    own: dict[str, Any] = {name: float(row[name]) for name in names}
    return own | {"cell": tuple(row[CELL]), "verdict": row["verdict"]}
