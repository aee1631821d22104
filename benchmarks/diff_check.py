"""Count how often `optlab diff` calls unchanged code different, and finds what was planted.

Runs of one experiment, each in a process of its own and one after the other: five methods, three
seeds, three repeats, one thread. Each run is compared with the one before: nothing may be named.
Then every fourth is compared with a run in which one method needs 20 % more epochs (its rate is
divided by 1.2) and another does 1.5 times the work for the same iterates: these two must be named,
and no other.

    python -m benchmarks.diff_check [COMPARISONS] [--save]
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import ClassVar, NamedTuple

import optlab as ol
from benchmarks.record import RESULTS
from optlab.lab import machine
from optlab.results import Results
from optlab.run_diff import RunDiff

REPEATS = 3

METHODS = {
    "descent": ol.ManualSGD(0.1),
    "momentum": ol.HeavyBall(0.05, momentum=0.5),
    "nesterov": ol.Nesterov(0.06, momentum=0.5),
    "more epochs": ol.SGD(0.1),
    "more seconds": ol.SGD(0.12),
}
CHANGED = METHODS | {"more epochs": ol.SGD(0.1 / 1.2)}


@dataclass(frozen=True)
class Changing:
    """A method whose code changes where it is planted."""

    method: str
    uses_batches: ClassVar[bool] = True
    planted: ClassVar[bool] = False  # no hyperparameter: code that changed

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        """Yield its iterates; where more seconds are planted, every other is made twice."""
        method = (CHANGED if self.planted else METHODS)[self.method]
        again = method.iterates(problem, batches, start)
        slower = self.planted and self.method == "more seconds"
        for epoch, iterate in enumerate(method.iterates(problem, batches, start)):
            if slower and epoch % 2:
                next(again)
            yield iterate


def run(answer: Connection, planted: bool) -> None:
    """Run the experiment and send its results."""
    Changing.planted = planted
    data = ol.datasets.synthetic(500, 10, condition=3, noise=0.1, seed=1)
    results = ol.compare(
        ol.LinearRegression.from_dataset(data),
        {name: Changing(name) for name in METHODS},
        seeds=[0, 1, 2],
        repeats=REPEATS,
        epochs=1000,
        stop_at=1e-3,
        recorded_epochs=10,
        execution=ol.Execution(threads=1),
    )
    answer.send(replace(results, experiment_anatomy=None))


def made(*, planted: bool = False) -> Results:
    """Run the experiment in a process of its own and return its results."""
    ours, theirs = Pipe()
    process = get_context("fork").Process(target=run, args=(theirs, planted))
    process.start()
    results: Results = ours.recv()
    process.join()
    return results


class Found(NamedTuple):
    """The outcome of one comparison."""

    named: set[str]  # "method: metric" of each difference
    status: int
    ratios: list[float]  # of seconds, of each method
    drift: float


def outcome(diff: RunDiff) -> Found:
    """Return the outcome of one comparison."""
    named = diff.table[diff.table["regression"] | diff.table["verdict"].isin(["faster", "better"])]
    seconds = diff.table[diff.table["metric"] == "seconds"]
    return Found(
        named={f"{r.optimizer}: {r.metric}" for r in named.itertuples()},
        status=int(len(diff.regressions()) > 0),
        ratios=seconds["ratio"].tolist(),
        drift=diff.drift.get("cpu", float("nan")),
    )


def main() -> None:
    """Run the comparisons, print the table, and save it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("comparisons", type=int, nargs="?", default=20)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found: dict[bool, list[Found]] = {False: [], True: []}
    last = made()
    for number in range(options.comparisons):
        if number % 4 == 0:
            found[True].append(outcome(last.diff(made(planted=True))))
        before, last = last, made()
        found[False].append(outcome(before.diff(last)))
        page = table(found, load)
        if options.save:  # after each, as this takes a while
            date = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
            (RESULTS / f"{date}-diff-check.md").write_text(page, encoding="utf-8")
    print(page)


EXPECTED = {"more epochs: epochs", "more epochs: seconds", "more seconds: seconds"}


def table(found: dict[bool, list[Found]], load: float) -> str:
    """Return the page in Markdown."""
    facts, today = machine(), f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    title = "# What `optlab diff` says of the same code twice, and of two planted regressions"
    about = (
        f"{facts['processor']}, {facts['cores']} cores; torch {facts['torch']}; one thread; load "
        f"{load:.1f} before, {os.getloadavg()[0]:.1f} after. Five methods, three seeds, three "
        "repeats; each run in a process of its own. Planted: one method with 1.2 times the epochs "
        "(and so of the seconds), one with 1.5 times the seconds."
    )
    head = (
        "| runs | comparisons | nothing named | `more epochs` named by epochs | `more seconds` "
        "named by seconds | anything else named | exit status 0 | 1 |"
    )
    command = "`python -m benchmarks.diff_check --save`"
    lines = [f"{title} ({today})", "", command, "", about, "", head, "|---" * 8 + "|"]
    for planted, rows in found.items():
        named = [one.named for one in rows]
        counts = [
            len(rows),
            sum(not names for names in named),
            sum("more epochs: epochs" in names for names in named),
            sum("more seconds: seconds" in names for names in named),
            sum(bool(names - (EXPECTED if planted else set())) for names in named),
            sum(one.status == 0 for one in rows),
            sum(one.status == 1 for one in rows),
        ]
        title = "two regressions planted" if planted else "the same code twice"
        lines.append(f"| {title} | {' | '.join(map(str, counts))} |")
    ratios = [abs(r - 1) for one in found[False] for r in one.ratios]
    drifts = [one.drift for one in found[False]]
    spread = (
        f"Of the same code, the ratio of a method's seconds was off 1 by "
        f"{100 * median(ratios):.1f} % in the median and by {100 * max(ratios):.0f} % at most; the "
        f"median method's seconds differed by factors from {min(drifts):.2f} to "
        f"{max(drifts):.2f} between two runs."
    )
    lines += ["", spread]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
