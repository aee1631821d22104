"""Sentences on the tuning: the best value, whether its range was enough, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from optlab.analysis.optimizer_settings import optimizer_settings
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.tuning import tuning, tuning_ranks
from optlab.lab.tuning.range_edge import UNSURE
from optlab.report.findings.sentence import Sentence
from optlab.text import cell_label, number, pluralize


def tuning_findings(results: ResultTables) -> list[Sentence]:
    """Return the sentences on every search, then on its cost and the budgets."""
    table = tuning(results)
    if table.empty:
        return []
    rows = table.to_dict("records")
    found = [sentence for row in rows for sentence in _value(row)]
    found += [_cost(row) for row in rows if row["hyperparameter"] == _first(rows, row)]
    return [*found, *_budgets(results), *_ranks(results)]


def _first(rows: list[dict[Any, Any]], row: dict[Any, Any]) -> str:
    own = [r for r in rows if all(r[k] == row[k] for k in ("problem", "optimizer", "batch"))]
    return str(own[0]["hyperparameter"])


def _value(row: dict[Any, Any]) -> Iterator[Sentence]:
    who, name = cell_label(row, ["optimizer", "batch"]), row["hyperparameter"].replace("_", " ")
    facts = {str(k): v for k, v in row.items()}
    if row["failed"] == row["settings"]:
        text = f"{_every(row['settings'])} of {who} diverged or failed: widen the range."
        yield Sentence("tuning", text, row["problem"], facts)
        return
    best = number(row["best"], 4) if isinstance(row["best"], float | int) else str(row["best"])
    text = f"The best {name} of {who} is {best}"
    if row["edge"] == UNSURE:
        lost = f", of which {row['failed']} diverged or failed" if row["failed"] else ""
        text += (f"; whether the optimum lies in the range searched ({number(row['low'])} to "
                 f"{number(row['high'])}) cannot be told from "
                 f"{pluralize(row['settings'], 'setting')}{lost}.")  # fmt: skip
        yield Sentence("unsure edge", text, row["problem"], facts)
        return
    if row["edge"]:
        end = "lower" if row["edge"] == "low" else "upper"
        text += (f", at the {end} end of the range searched ({number(row['low'])} to "
                 f"{number(row['high'])}): the optimum is censored, and may lie beyond. Widen the "
                 "range, or set extend=True.")  # fmt: skip
        yield Sentence("censored", text, row["problem"], facts)
        return
    if isinstance(row["low"], float | int) and math.isfinite(row["low"]):
        text += f", inside the range searched ({number(row['low'])} to {number(row['high'])})"
        if row["near_high"] > row["near_low"]:
            text += (f"; settings within a factor of 2 of it reach from {number(row['near_low'])} "
                     f"to {number(row['near_high'])}")  # fmt: skip
    yield Sentence("tuning", text + ".", row["problem"], facts)


def _every(settings: int) -> str:
    return "The one setting" if settings == 1 else f"Each of the {settings} settings"


def _cost(row: dict[Any, Any]) -> Sentence:
    who = cell_label(row, ["optimizer", "batch"])
    text = (f"To tune {who} took {pluralize(row['tuning_trials'], 'trial')} "
            f"and {pluralize(row['tuning_epochs'], 'epoch')}")  # fmt: skip
    if row["measured_epochs"] > 0:
        times = row["tuning_epochs"] / row["measured_epochs"]
        text += f", {number(times)} times the epochs of a measured trial"
    if row["share"] > 0:
        attempts = pluralize(row["attempts"], "attempt")
        text += (f"; {row['share']:.0%} of its settings reached stop_at at every seed, so one that "
                 f"does is found after {attempts} on average")  # fmt: skip
    return Sentence("tuning cost", f"{text}.", row["problem"], {str(k): v for k, v in row.items()})


def _budgets(results: ResultTables) -> Iterator[Sentence]:
    """Yield a sentence where optimizers were not tuned by the same rule and budget."""
    about = optimizer_settings(results.definition)
    tuned = {name: own for name, own in about.items() if own.get("class") == "Tuned"}
    for key, what in (("trials", "numbers of settings"), ("sampler", "samplers"),
                      ("by", "measures"), ("seeds", "seeds")):  # fmt: skip
        values = {name: own.get(key) for name, own in tuned.items()}
        if len(set(map(str, values.values()))) > 1:
            each = ", ".join(f"{name} {value}" for name, value in values.items())
            yield Sentence("budgets", f"Optimizers were tuned by different {what} ({each}): the "
                           "comparison favours what was tuned more.", "", values)  # fmt: skip


def _ranks(results: ResultTables) -> Iterator[Sentence]:
    table = tuning_ranks(results)
    for problem, rows in table.groupby("problem", sort=False):
        first = rows[(rows["rank"] == 1) & rows["epochs"].map(math.isfinite)]
        with_tuning = rows[(rows["rank_with_tuning"] == 1) & rows["total"].map(math.isfinite)]
        if first.empty or set(first.index) & set(with_tuning.index) or with_tuning.empty:
            continue
        winner, other = first.iloc[0], with_tuning.iloc[0]
        labels = ["optimizer", "batch"]
        text = (f"Fewest epochs to stop_at: {cell_label(winner, labels)} "
                f"({number(winner['epochs'])}); with the epochs of tuning counted, "
                f"{cell_label(other, labels)} ({number(other['total'])}).")  # fmt: skip
        yield Sentence("tuning ranks", text, str(problem), {"first": winner["optimizer"],
                       "with_tuning": other["optimizer"]})  # fmt: skip
