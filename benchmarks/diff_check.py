"""How often `optlab diff` calls unchanged code different, and finds what was planted.

Runs of one experiment, each in a process of its own and one after the other: six methods, three
seeds, five repeats, one thread. Each run is compared with the one before: nothing may be named.
Then every other is compared with a run in which one method needs 20 % more epochs (its rate is
divided by 1.2) and another does 1.5 times the work for the same iterates: these two must be named,
and no other.

    python -m benchmarks.diff_check [COMPARISONS] [--save]
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import ClassVar

import optlab as ol
from benchmarks.record import RESULTS
from optlab.app.cli import app
from optlab.app.exit_status import call
from optlab.lab import machine
from optlab.run_diff import RunDiff

PASSES = 5
"""Of a method's, for one epoch here: so that a trial is long enough to be timed."""

METHODS = {
    "descent": ol.ManualSGD(0.05),
    "momentum": ol.HeavyBall(0.025, momentum=0.5),
    "nesterov": ol.Nesterov(0.03, momentum=0.5),
    "adam": ol.Adam(0.05),
    "more epochs": ol.SGD(0.05),
    "more seconds": ol.SGD(0.06),
}
CHANGED = METHODS | {"more epochs": ol.SGD(0.05 / 1.2)}


@dataclass(frozen=True)
class Passes:
    """Makes five passes of a method for each of its own."""

    method: str
    uses_batches: ClassVar[bool] = True
    planted: ClassVar[bool] = False  # no hyperparameter: code that changed

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        """Yield each fifth iterate; where more seconds are planted, every other is made twice."""
        method = (CHANGED if self.planted else METHODS)[self.method]
        every = method.iterates(problem, batches, start)
        again = method.iterates(problem, batches, start)
        slower = self.planted and self.method == "more seconds"
        for epoch in count():
            *_, last = islice(every, PASSES)
            if slower:
                for _ in islice(again, PASSES // 2 + epoch % 2):
                    pass
            yield last


def run(store: Path, planted: bool) -> None:
    """Run the experiment into a file."""
    Passes.planted = planted
    data = ol.datasets.synthetic(500, 10, condition=3, noise=0.1, seed=1)
    ol.compare(
        ol.LinearRegression.from_dataset(data),
        {name: Passes(name) for name in METHODS},
        seeds=[0, 1, 2],
        repeats=5,
        epochs=300,
        stop_at=1e-3,
        store=store,
        execution=ol.Execution(threads=1),
    )


def compared(old: Path, new: Path) -> tuple[RunDiff, int]:
    """Return the differences of two files, and the exit status of the command."""
    with redirect_stdout(StringIO()):
        status = call(app, ["diff", str(old), str(new)])
    return ol.results.Results.load(old).diff(ol.results.Results.load(new)), status


def made(folder: Path, name: str, *, planted: bool = False) -> Path:
    """Run the experiment in a process of its own and return its file."""
    store = folder / f"{name}.db"
    process = get_context("fork").Process(target=run, args=(store, planted))
    process.start()
    process.join()
    return store


def row(diff: RunDiff, status: int) -> dict[str, object]:
    """Return what one comparison found."""
    named = diff.table[diff.table["regression"] | diff.table["verdict"].isin(["faster", "better"])]
    seconds = diff.table[diff.table["metric"] == "seconds"]
    return {
        "named": {f"{r.optimizer}: {r.metric}" for r in named.itertuples()},
        "status": status,
        "ratios": seconds["ratio"].tolist(),
        "drift": diff.drift.get("cpu", float("nan")),
    }


def main() -> None:
    """Run the comparisons, print the table, and save it where that is asked for."""
    numbers = [int(text) for text in sys.argv[1:] if text.isdecimal()]
    comparisons = numbers[0] if numbers else 20
    load = os.getloadavg()[0]
    found: dict[bool, list[dict[str, object]]] = {False: [], True: []}
    with TemporaryDirectory() as name:
        folder = Path(name)
        last = made(folder, "0")
        for number in range(1, comparisons + 1):
            if number % 2 or comparisons == 1:
                planted = made(folder, f"{number} planted", planted=True)
                found[True].append(row(*compared(last, planted)))
            last_but_one, last = last, made(folder, str(number))
            found[False].append(row(*compared(last_but_one, last)))
            print(
                [{k: v for k, v in one[-1].items() if k != "ratios"} for one in found.values()],
                flush=True,
            )
    page = table(found, load)
    print(page)
    if "--save" in sys.argv:
        date = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
        (RESULTS / f"{date}-diff-check.md").write_text(page, encoding="utf-8")


EXPECTED = {"more epochs: epochs", "more epochs: seconds", "more seconds: seconds"}


def table(found: dict[bool, list[dict[str, object]]], load: float) -> str:
    """Return the page in Markdown."""
    facts, today = machine(), f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    title = "# What `optlab diff` says of the same code twice, and of two planted regressions"
    about = (
        f"{facts['processor']}, {facts['cores']} cores; torch {facts['torch']}; one thread; load "
        f"{load:.1f} before, {os.getloadavg()[0]:.1f} after. Six methods, three seeds, five "
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
        named = [set(one["named"]) for one in rows]  # type: ignore[call-overload]
        counts = [
            len(rows),
            sum(not names for names in named),
            sum("more epochs: epochs" in names for names in named),
            sum("more seconds: seconds" in names for names in named),
            sum(bool(names - (EXPECTED if planted else set())) for names in named),
            sum(one["status"] == 0 for one in rows),
            sum(one["status"] == 1 for one in rows),
        ]
        title = "two regressions planted" if planted else "the same code twice"
        lines.append(f"| {title} | {' | '.join(map(str, counts))} |")
    ratios = [abs(r - 1) for one in found[False] for r in one["ratios"]]  # type: ignore[attr-defined]
    drifts = [float(one["drift"]) for one in found[False]]  # type: ignore[arg-type]
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
