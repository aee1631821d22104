"""Words on the seconds of other settings beside those of the first, and on what is not certain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from optlab.analysis.comparison import FASTER, SAME, SLOWER, TOO_FEW
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.statistics import CELL, CROWDED_ABOVE, timed
from optlab.report.words import format_ratio, join_names
from optlab.text import format_seconds, pluralize

UNKNOWN = 2
"""An interval of a ratio from 1 / UNKNOWN or less to UNKNOWN or more says nothing of the ratio."""

ALIKE = 1.1
"""A ratio of pairs that differs more from that of the medians is said to be one of pairs."""


def beside_first(rows: pd.DataFrame, *, crowded: bool = False) -> str:
    """Return the words on the seconds of the second of some rows, and on who may be as fast.

    ``rows`` are in the order of their median seconds and have the paired ratios to the first. A
    setting may be as fast where the interval of its ratio holds 1; with too few pairs for that,
    where the interval of its median reaches that of the first's. ``crowded`` says that threads of
    these trials waited for busy cores: one trial each then tells no ratio.
    """
    first, second, more = rows.iloc[0], rows.iloc[1], rows.iloc[2:]
    few = (more["verdict"] == TOO_FEW) & (more["low"] <= first["high"])
    near = [str(name) for name in more.loc[(more["verdict"] == SAME) | few, "method"]]
    if crowded and second["pairs"] == 1:
        took = f"{second['label']} took {format_seconds(second['seconds'])}"
        return f"{took} (1 trial {_whose(second, first)}: not compared)"
    if second["verdict"] in {SAME, TOO_FEW} and second["pairs"] > 0:
        return _compare(second, first, f"; likewise {join_names(near)}" if near else "")
    verb = "is" if len(near) == 1 else "are"
    return _compare(second, first) + (
        f"; {join_names(near)} {verb} not told apart from it" if near else ""
    )


def _compare(row: Any, first: Any, likewise: str = "") -> str:
    """Return the words on a row beside the first; ``likewise`` names others as uncertain."""
    name, pairs = row["label"], row["pairs"]
    if not pairs > 0:
        return f"{name} has no trial to compare with it"
    count = f"{pluralize(int(pairs), 'trial')} {_whose(row, first)}"
    if row["verdict"] == SAME and row["ratio_low"] <= 1 / UNKNOWN and row["ratio_high"] >= UNKNOWN:
        return f"{name} is not told apart from it ({count}{likewise})"
    by_pairs = row["seconds"] / first["seconds"] / row["ratio"]
    takes = "takes" if 1 / ALIKE <= by_pairs <= ALIKE else "takes, trial by trial,"
    text = f"{format_ratio(row['ratio'])} times as long"
    if np.isfinite([row["ratio_low"], row["ratio_high"]]).all():
        text += f" [{format_ratio(row['ratio_low'])}, {format_ratio(row['ratio_high'])}]"
    if row["verdict"] == SLOWER:
        return f"{name} {takes} {text}"
    doubt = "not yet certain" if row["verdict"] == TOO_FEW else "not told apart"
    if row["verdict"] == FASTER or row["ratio"] < 1:  # the medians say the opposite
        median = format_seconds(row["seconds"])
        takes = f"has a higher median, {median}; trial by trial it takes"
    return f"{name} {takes} {text} ({count}: {doubt}{likewise})"


def _whose(row: Any, first: Any) -> str:
    """Return whether the trials of a pair of settings are all that each has, in words."""
    return "each" if row["pairs"] == row["timed"] == first["timed"] else "in common"


def busy_machine(results: ResultTables, rows: pd.DataFrame) -> str:
    """Return the clause on trials of some settings whose threads waited for cores, or nothing."""
    trials = results.trials
    if "cores_short" not in trials:
        return ""
    own = trials[timed(trials)].merge(rows[CELL], on=CELL)
    waited = int((own["cores_short"].astype(float) > CROWDED_ABOVE).sum())
    if not waited:
        return ""
    doubt = "who is fastest is" if len(rows) > 1 else "the seconds are"
    count = pluralize(len(own), "trial")
    return f"; in {waited} of {count} threads waited for busy cores, so {doubt} not certain"
