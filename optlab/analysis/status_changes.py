"""Compare the statuses of two results' common trials."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from optlab.analysis.comparison import SAME
from optlab.analysis.judge_pairs import NOT_COMPARED
from optlab.analysis.statistics import ENDED_WELL

WORSE, BETTER = "worse", "better"

RANKS = dict.fromkeys(ENDED_WELL, 0) | {
    "diverged": 1, "timed out": 2, "failed": 3, "crashed": 3, "skipped": 4,
}  # fmt: skip
"""The statuses from good to bad; those of equal rank are told apart by what they reached."""


def status_changes(
    pairs: pd.DataFrame, machines: tuple[Mapping[str, str], Mapping[str, str]]
) -> pd.DataFrame:
    """Return whether each cell's status became worse: ``cell, verdict, message, pairs``.

    It is worse where any trial's is: an answer, diverged, timed out, failed or crashed, and
    skipped, in this order. A trial that was interrupted, or that one of the machines has no device
    for, is not compared.

    Parameters
    ----------
    pairs
        What `optlab.analysis.paired_runs.trial_pairs` returned.
    machines
        The facts of both machines, which name their devices.
    """
    kinds = pairs["device"].str.partition(":")[0]
    skipped = [pairs["status_old"] == "skipped", pairs["status_new"] == "skipped"]
    missing = skipped[0] & skipped[1]
    for own, facts in zip(skipped, machines, strict=True):
        there = {name.removeprefix("device ").partition(":")[0] for name in facts}
        missing |= own & ~kinds.isin(there | {"cpu"})
    ranks = [pairs[f"status_{side}"].map(RANKS) for side in ("old", "new")]
    rise = (ranks[1] - ranks[0]).mask(missing)
    by = rise.groupby(pairs["cell"], sort=False)
    table = pd.DataFrame({"pairs": by.count(), "most": by.max(), "least": by.min()})
    table["verdict"] = SAME
    table.loc[table["least"] < 0, "verdict"] = BETTER
    table.loc[table["most"] > 0, "verdict"] = WORSE
    table.loc[table["pairs"] == 0, "verdict"] = NOT_COMPARED
    changed = pairs[rise.ne(0) | missing].copy()
    words = changed["status_old"] + ", now " + changed["status_new"]
    changed["text"] = words.where(
        changed["message_new"] == "", words + ": " + changed["message_new"]
    )
    worst = changed.assign(rise=rise.loc[changed.index].fillna(0)).sort_values(
        "rise", ascending=False, kind="stable"
    )
    text = worst.drop_duplicates("cell").set_index("cell")["text"]
    table["message"] = text.reindex(table.index, fill_value="")
    return table.drop(columns=["most", "least"]).reset_index()
