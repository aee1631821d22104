"""Tell with intervals what became slower between two runs of the benchmarks.

    python -m benchmarks compare OLD NEW [--least 1.05]

OLD and NEW are records (JSON), or folders of them, of which the newest of each benchmark counts.
What is compared is each contender's speed relative to its case's baseline in the same run: a slower
machine, or a busier one, slows both. The change is the difference of the two runs' trimmed means of
the rounds' log ratios; its 95 % interval is made of theirs, ``sqrt(h_old**2 + h_new**2)`` (Zou and
Donner, Statistics in Medicine 27, 2008: 1693). A contender became slower where the interval lies
below 1 as a whole and the change is at least ``--least``; the exit status is then 1. One in forty
of those that stayed as they were will seem slower, one in forty faster.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.record import Case, Record
from optlab.analysis.intervals import trimmed_mean_interval

_SAME = ("processor", "cores", "torch", "numpy", "scikit-learn", "torch threads")


class Change(NamedTuple):
    """A contender's speed in the new run over that in the old one, with an interval."""

    benchmark: str
    case: str
    contender: str
    factor: float
    low: float
    high: float

    def verdict(self, least: float) -> str:
        """Say ``slower``, ``faster`` or that no difference is shown."""
        if math.isnan(self.low):
            return "too few rounds to say"
        if self.high < 1 and self.factor <= 1 / least:
            return "slower"
        return "faster" if self.low > 1 and self.factor >= least else "no difference shown"


def changes(old: Record, new: Record) -> Iterator[Change]:
    """Yield the change of each contender of the cases that both records have."""
    before = {case.name: case for case in old.cases}
    for case in new.cases:
        earlier = before.get(case.name)
        if earlier is None or earlier.baseline != case.baseline:
            continue
        for name in case.seconds:
            if name != case.baseline and name in earlier.seconds:
                yield _change(new.benchmark, name, earlier, case)


def _change(benchmark: str, name: str, old: Case, new: Case) -> Change:
    middles, halves = [], []
    for case in (old, new):
        middle, low, _ = (float(end[0]) for end in trimmed_mean_interval(case.logs(name)[None]))
        middles.append(middle)
        halves.append(middle - low)
    difference, half = middles[1] - middles[0], math.hypot(*halves)
    ends = (math.exp(difference + sign * half) for sign in (0, -1, 1))
    return Change(benchmark, new.name, name, *ends)


def records(path: Path) -> dict[str, Record]:
    """Return the records of a file, or the newest of each benchmark in a folder, by benchmark."""
    if not path.exists():
        raise ValueError(f"there is no {path}")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no records: benchmarks write them as JSON")
    return {record.benchmark: record for record in map(Record.load_file, files)}


def only_in_one(old: dict[str, Record], new: dict[str, Record]) -> Iterator[str]:
    """Yield a sentence for each benchmark, case and contender that one side lacks."""
    for name in sorted(old.keys() ^ new.keys()):
        yield f"{name} is only in the {'old' if name in old else 'new'} records"
    for name in sorted(old.keys() & new.keys()):
        cases = [{case.name: case for case in side[name].cases} for side in (old, new)]
        for case in sorted(cases[0].keys() ^ cases[1].keys()):
            yield f"{name}, {case}: only in the {'old' if case in cases[0] else 'new'} record"
        for case in sorted(cases[0].keys() & cases[1].keys()):
            sides = [set(side[case].seconds) for side in cases]
            for contender in sorted(sides[0] ^ sides[1]):
                side = "old" if contender in sides[0] else "new"
                yield f"{name}, {case}, {contender}: only in the {side} record"
            if cases[0][case].baseline != cases[1][case].baseline:
                yield f"{name}, {case}: the baseline is another, nothing is compared"
        was, now = (side[name].machine for side in (old, new))
        for fact in _SAME:
            if was.get(fact) != now.get(fact):
                yield f"{name}: {fact} was {was.get(fact)}, and is {now.get(fact)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the changes, the slower first; return 1 where something became slower."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--least", type=float, default=1.05, help="factor of a change that counts")
    asked = parser.parse_args(arguments)
    if not asked.least >= 1:
        parser.error(f"--least must be at least 1, not {asked.least}")
    try:
        old, new = records(asked.old), records(asked.new)
    except ValueError as error:
        parser.error(str(error))
    found = [c for name in new if name in old for c in changes(old[name], new[name])]
    print(
        "| benchmark | case | contender | new speed / old, each over its baseline's | interval "
        "| verdict |"
    )
    print("|---|---|---|---|---|---|")
    for change in sorted(found, key=lambda c: c.factor):
        ends = "" if math.isnan(change.low) else f"{change.low:.3g} to {change.high:.3g}"
        cells = [*change[:3], f"{change.factor:.3g}", ends, change.verdict(asked.least)]
        print("| " + " | ".join(cells) + " |")
    for sentence in only_in_one(old, new):
        print(sentence)
    slower = [change for change in found if change.verdict(asked.least) == "slower"]
    print(f"{len(found)} compared, {len(slower)} slower")
    return int(bool(slower))
