"""On which device, and from which batch size on, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from optlab.report.findings.sentence import Sentence
from optlab.report.views import View
from optlab.report.words import several
from optlab.text import DIRECT

MOST = 3
"""Sentences on devices; what is left of many optimizers is counted in the last."""


def fastest_devices(views: dict[str, View], problem: str) -> Iterator[Sentence]:
    """Yield where a device is the fastest throughout, and where another takes over for good."""
    table = views["crossover"].table
    rows = table[(table["problem"] == problem) & table["fastest"].astype(bool)]
    rows = rows[rows["batch"] != DIRECT]
    several_dtypes = len(set(table["dtype"])) > 1
    said: dict[str, list[str]] = {}
    for (optimizer, dtype), same in rows.groupby(["optimizer", "dtype"], sort=False):
        name = f"{optimizer} in {dtype}" if several_dtypes else str(optimizer)
        turns = same[same["crossover"].astype(bool)]
        first = same["device"].iloc[0]
        if turns.empty:
            text = f"{first} has the lowest median seconds wherever several devices answered"
        elif len(turns) == 1:
            turn = turns.iloc[0]
            text = f"{turn['device']} has the lowest median seconds from batch size "
            text += f"{turn['batch']} on"
        else:
            text = "which device is the fastest goes to and fro with the batch size"
        said.setdefault(text, []).append(name)
    most = sorted(said.items(), key=lambda one: len(one[1]), reverse=True)
    most = most if len(most) <= MOST else most[: MOST - 1]
    for text, names in most:
        yield Sentence("device", f"For {several(names)}, {text}.", problem, {"optimizers": names})
    left = [name for text, names in said.items() if text not in dict(most) for name in names]
    if left:
        text = f"For {len(left)} more the fastest device is told in the table of batch sizes."
        yield Sentence("device", text, problem, {"optimizers": left})
