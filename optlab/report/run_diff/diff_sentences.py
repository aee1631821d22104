"""Sentences on the differences of two results: the verdict, then what is not certain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from optlab.analysis.comparison import LEAST_PAIRS, TOO_FEW
from optlab.analysis.judge_pairs import NOT_COMPARED
from optlab.analysis.run_differences import DIFFERENCES, NOT_JUDGED, RunDifferences
from optlab.report.run_diff.diff_rows import describe_difference, labels_by_cell, setting_labels
from optlab.report.words import format_ratio, join_names
from optlab.text import pluralize

MOST_NAMED = 6
"""At most so many settings are named in a sentence; the table has all of them."""


def diff_sentences(diff: RunDifferences) -> list[str]:
    """Return the verdict on the regressions, the improvements, and what limits them."""
    return [*_verdict(diff), *_cautions(diff)]


def _verdict(diff: RunDifferences) -> Iterator[str]:
    settings = diff.table["cell"].nunique()
    bad = diff.table[diff.table["regression"]]
    count = bad["cell"].nunique()
    if count:
        verb = "is" if count == 1 else "are"
        counted = f"{count} of {pluralize(settings, 'setting')} {verb} worse than before"
        yield f"{counted}: {'; '.join(_named(diff, bad))}."
    else:
        metrics = [m for m in dict.fromkeys(diff.table["metric"]) if _judged(diff, m)]
        yield (
            f"No regression: {pluralize(settings, 'setting')} compared by {join_names(metrics)}, "
            "and none is shown to be slower or worse."
        )
    good = diff.table[diff.table["verdict"].isin(DIFFERENCES) & ~diff.table["regression"]]
    if len(good):
        better = pluralize(good["cell"].nunique(), "setting")
        yield f"{better} improved: {'; '.join(_named(diff, good))}."


def _judged(diff: RunDifferences, metric: str) -> bool:
    own = diff.table[diff.table["metric"] == metric]
    return not own["verdict"].isin([NOT_COMPARED, NOT_JUDGED, TOO_FEW]).all()


def _named(diff: RunDifferences, rows: pd.DataFrame) -> list[str]:
    """Return a clause for each setting, with its differences."""
    labels = labels_by_cell(diff)
    clauses = [
        f"{labels[cell]} {' and '.join(map(describe_difference, own.to_dict('records')))}"
        for cell, own in rows.groupby("cell", sort=False)
    ]
    more = len(clauses) - MOST_NAMED
    return clauses[:MOST_NAMED] + ([f"and {more} more"] if more > 0 else [])


def _cautions(diff: RunDifferences) -> Iterator[str]:
    if isinstance(diff.target, str) and "epochs" in diff.metrics:
        yield f"Epochs are not compared: {diff.target}."
    yield from _about_seconds(diff)
    pairs = diff.table.loc[diff.table["metric"] == "epochs", "pairs"].replace(0, np.nan)
    if 0 < pairs.max() < LEAST_PAIRS:
        seeds = pluralize(int(pairs.max()), "seed")
        yield (
            f"Epochs and suboptimality are exact, but of {seeds}: {LEAST_PAIRS} or more have an "
            "interval, which tells a change of the method from one of its path."
        )
    for name, why in diff.problems.items():
        yield f"The problem {name!r} is not compared: {why}."
    yield from _only_in_one(diff)


def _only_in_one(diff: RunDifferences) -> Iterator[str]:
    old, new = (setting_labels(diff, table) for table in (diff.only_old, diff.only_new))
    changed = [label for label in old if label in new]
    if changed:
        yield (
            f"Not compared, as their hyperparameters are not those of {diff.names[0]}: "
            f"{join_names(changed)}."
        )
    for labels, name in zip((old, new), diff.names, strict=True):
        if alone := [label for label in labels if label not in changed]:
            yield f"Only in {name}: {join_names(alone)}."


def _about_seconds(diff: RunDifferences) -> Iterator[str]:
    own = diff.table[diff.table["metric"] == "seconds"]
    unjudged = own[own["verdict"] == NOT_JUDGED]
    for why, rows in unjudged.groupby("message", sort=False):
        whole = "" if len(rows) == len(own) else f" of {pluralize(len(rows), 'setting')}"
        yield f"Seconds{whole} are told and not judged: {why}; --metric seconds judges them."
    few = int((own["verdict"] == TOO_FEW).sum())
    if few:
        whole = "" if few == len(own) else f" of {pluralize(few, 'setting')}"
        yield (
            f"Seconds{whole} have too few pairs of trials to say: {LEAST_PAIRS} are the least, 10 "
            "(--repeats 10) find a factor of 1.5 on a quiet machine."
        )
    left = own[(own["verdict"] == NOT_COMPARED) & own["message"].ne("")]
    if len(left):
        reasons = dict.fromkeys(left["message"].str.replace(r"\b\d+ ", "", regex=True))
        why = "; ".join(text.removeprefix("pairs left out: ") for text in reasons)
        whole = "" if len(left) == len(own) else f" of {pluralize(len(left), 'setting')}"
        yield f"Seconds{whole} are not compared: the trials {why}.".replace(
            "trials is", "trials are"
        )
    for device, factor in diff.drift.items():
        if abs(np.log(factor)) > np.log1p(diff.tolerance["seconds"]):
            yield (
                f"The median setting on {device} takes {format_ratio(factor)} times its seconds: "
                "the machine, or what all settings share. Ratios of seconds are to that."
            )


def change_lines(diff: RunDifferences) -> list[str]:
    """Return a line for each fact that changed, those of one kind together."""
    kinds = {
        "version": "versions", "code": "code", "machine": "machine", "experiment": "experiment",
    }  # fmt: skip
    return [
        f"{words}: {', '.join(f'{c.name} {c.old} -> {c.new}'.replace('  -> ', ' ') for c in own)}"
        for kind, words in kinds.items()
        if (own := [change for change in diff.changes if change.kind == kind])
    ]
