"""Tell which problems of two results are the same: the same rows, settings and start."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from optlab.analysis.result_tables import ResultTables
from optlab.lab import ProblemSummary

_NEAR = 1e-6
"""Losses of one problem, computed in float64 on two machines, are at most this far apart."""

_FACTS = {
    "kind": "kind",
    "n": "number of rows",
    "d": "number of columns",
    "dtype": "dtype of the data",
    "feature_names": "names of the columns",
    "target_name": "target",
    "data_hash": "data",
}


def different_problems(old: ResultTables, new: ResultTables) -> dict[str, str]:
    """Return why the problems of one name that are not the same in both differ, by name.

    The rows count by the hash of their bits. The loss (its kind, penalties, weights, code) counts
    by the losses of the reference and of the starts of the seeds that both have.
    """
    found = {}
    for name in old.problems.keys() & new.problems.keys():
        reasons = list(_differences(name, old, new))
        if reasons:
            found[name] = ", ".join(reasons)
    return dict(sorted(found.items()))


def _differences(name: str, old: ResultTables, new: ResultTables) -> Iterator[str]:
    mine, its = new.problems[name], old.problems[name]
    for fact, words in _FACTS.items():
        now, then = getattr(mine, fact), getattr(its, fact)
        if now == then or (fact == "data_hash" and not (now and then)):
            continue
        short = max(len(str(now)), len(str(then))) < 30 and fact != "data_hash"
        yield f"the {words} differ{'s' if fact != 'feature_names' else ''}" + (
            f" ({then}, now {now})" if short else ""
        )
        if fact == "n":  # the other facts say no more
            return
    if not _near(_own_loss(its), _own_loss(mine)):
        yield f"its least loss differs ({_own_loss(its):.6g}, now {_own_loss(mine):.6g})"
    starts = _starts(old, name), _starts(new, name)
    if any(
        not _near(starts[0][key], starts[1][key]) for key in starts[0].keys() & starts[1].keys()
    ):
        yield "the loss where a seed starts differs"


def _own_loss(facts: ProblemSummary) -> float:
    """Return the loss of a reference that no trial has found."""
    known = facts.reference
    return math.nan if known is None or known.kind == "best known" else known.loss


def _starts(results: ResultTables, name: str) -> Mapping[tuple[int, str], float]:
    """Return the loss of the start, by seed and dtype."""
    trials = results.trials[results.trials["problem"] == name]
    first = results.traces[results.traces["epoch"] == 0].set_index("trial")["loss"]
    rows = trials.assign(start=trials["trial"].map(first)).dropna(subset="start")
    keys = zip(rows["seed"], rows["dtype"], strict=True)
    return dict(zip(keys, rows["start"].astype(float), strict=True))


def _near(a: float, b: float) -> bool:
    """Whether two losses are equal but for rounding; true where one is not known."""
    return bool(np.isnan([a, b]).any() or a == b or abs(a - b) <= _NEAR * max(abs(a), abs(b)))
