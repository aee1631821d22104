"""Sentences on devices: the fastest one, and from which batch size on."""

from __future__ import annotations

from collections.abc import Iterator

from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import join_names
from optlab.text import DIRECT

MOST = 3
"""At most so many sentences; the last counts the optimizers that are left."""


def device_findings(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield the optimizers for which one device is always the fastest, or from a batch size on."""
    table = views["crossover"].table
    rows = table[(table["problem"] == problem) & table["fastest"].astype(bool)]
    rows = rows[rows["batch"] != DIRECT]
    several_dtypes = len(set(table["dtype"])) > 1
    names: dict[str, list[str]] = {}
    fastest: dict[str, dict[object, str]] = {}
    for (optimizer, dtype), same in rows.groupby(["optimizer", "dtype"], sort=False):
        name = f"{optimizer} in {dtype}" if several_dtypes else str(optimizer)
        fastest[name] = dict(zip(same["batch"], same["device"], strict=True))
        turns = same[same["crossover"].astype(bool)]
        first = same["device"].iloc[0]
        if turns.empty:
            text = f"{first} has the lowest median seconds wherever several devices answered"
        elif len(turns) == 1:
            turn = turns.iloc[0]
            text = f"{turn['device']} has the lowest median seconds from batch size "
            text += f"{turn['batch']} on"
        else:
            text = "the fastest device changes more than once with the batch size"
        names.setdefault(text, []).append(name)
    groups = sorted(names.items(), key=lambda group: len(group[1]), reverse=True)
    shown = groups if len(groups) <= MOST else groups[: MOST - 1]
    for text, of in shown:
        numbers = {"fastest": {name: fastest[name] for name in of}}
        yield Sentence("device", f"For {join_names(of)}, {text}.", problem, numbers)
    left = [name for _, of in groups[len(shown) :] for name in of]
    if left:
        text = f"For {len(left)} more the table of batch sizes has the fastest device."
        numbers = {"fastest": {name: fastest[name] for name in left}}
        yield Sentence("device", text, problem, numbers)
