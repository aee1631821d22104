"""Measure how the lab's own costs grow with the trials, optimizers, experiments and epochs.

The optimizer does no work, so all that is measured is the lab's. Each line is measured in a process
of its own, in seconds of processor time (children included), as wall time says little on a machine
that others use too. `growth` is the exponent p of cost ~ rows**p between a size and the one before:
at most about 1 is linear, and fixed costs make it less.

    python -m benchmarks.growth [quick]
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import optlab as ol

SIZES = {
    "trials": (100, 1_000, 10_000),
    "isolated": (100, 1_000),
    "shared": (100, 1_000, 10_000),
    "optimizers": (20, 200, 2_000),
    "epochs": (1_000, 10_000, 100_000),
    "experiments": (1, 10, 100),
    "clashes": (20, 200, 2_000),
}
ONE_THREAD = ol.Execution(threads=1)


@dataclass(frozen=True)
class Idle:
    """An optimizer that stays where it starts."""

    setting: float = 0.0
    uses_batches: ClassVar[bool] = True

    def iterates(
        self, problem: ol.Problem, batches: ol.Batches, start: ol.Parameters
    ) -> Iterator[ol.Iterate]:
        """Yield the start for ever."""
        del problem, batches
        while True:
            yield ol.Iterate(start)


class Costs:
    """Seconds of processor time and other costs, by name."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self._before = self._peak()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure what is inside."""
        before = self._seconds()
        yield
        self.found[f"{name}, s"] = self._seconds() - before

    def add_peak(self) -> None:
        """Add by how much the peak of the resident set has grown since the start."""
        self.found["peak memory beyond the interpreter, MB"] = self._peak() - self._before

    @staticmethod
    def _seconds() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    @staticmethod
    def _peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def problem() -> ol.LinearRegression:
    """Return the tutorial's ten points."""
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


def trials(rows: int, store: Path, costs: Costs) -> None:
    """Run trials of five optimizers at two batch sizes, here and stored, and read them."""
    optimizers = [Idle(float(i)) for i in range(5)]
    experiment = ol.Experiment(
        problems=problem(),
        optimizers=optimizers,
        batch_sizes=[1, "full"],
        repeats=rows // 10,
        epochs=1,
    )
    with costs.of("run here"):
        results = experiment.run(execution=ONE_THREAD)
    with costs.of("summary()"):
        results.summary()
    with costs.of("report()"):
        page = results.report(store.with_suffix(".html"))
    costs.found["page, kB"] = page.stat().st_size / 1e3
    with costs.of("to_csv()"):
        results.to_csv(store.with_suffix(".csv"))
    with costs.of("run stored"):
        experiment.run(store=store, execution=ONE_THREAD)
    costs.found["results file, kB"] = store.stat().st_size / 1e3
    with costs.of("resume when all is done"):
        experiment.run(store=store, execution=ONE_THREAD)
    with costs.of("Results.load"):
        ol.Results.load(store)
    costs.add_peak()


def isolated(rows: int, store: Path, costs: Costs) -> None:
    """Run trials in a worker process."""
    del store
    experiment = ol.Experiment(problems=problem(), optimizers=Idle(), repeats=rows, epochs=1)
    with costs.of("run isolated"):
        experiment.run(execution=ol.Execution(threads=1, isolate=True))


def shared(rows: int, store: Path, costs: Costs) -> None:
    """Run trials of one optimizer that share a worker process, a hundred each."""
    del store
    experiment = ol.Experiment(problems=problem(), optimizers=Idle(), repeats=rows, epochs=1)
    # A process that ends by itself, after its last trial, is reaped, so that its time is counted.
    execution = ol.Execution(threads=1, isolate=True, trials_per_process=100)
    with costs.of("run in shared processes"):
        experiment.run(execution=execution)


def optimizers(rows: int, store: Path, costs: Costs) -> None:
    """Run one trial of each of many optimizers of one class, stored, and report them."""
    with costs.of("name"):
        experiment = ol.Experiment(
            problems=problem(), optimizers=[Idle(float(i)) for i in range(rows)], epochs=1
        )
    with costs.of("run stored"):
        experiment.run(store=store, execution=ONE_THREAD)
    with costs.of("Results.load"):
        results = ol.Results.load(store)
    with costs.of("summary()"):
        results.summary()
    with costs.of("report()"):
        page = results.report(store.with_suffix(".html"))
    costs.found["page, kB"] = page.stat().st_size / 1e3
    costs.add_peak()


def epochs(rows: int, store: Path, costs: Costs) -> None:
    """Run one trial of which every epoch is recorded."""
    experiment = ol.Experiment(
        problems=problem(), optimizers=Idle(), epochs=rows, recorded_epochs=1
    )
    with costs.of("run stored"):
        experiment.run(store=store, execution=ONE_THREAD)
    with costs.of("Results.load"):
        results = ol.Results.load(store)
    with costs.of("report()"):
        page = results.report(store.with_suffix(".html"))
    costs.found["page, kB"] = page.stat().st_size / 1e3
    costs.add_peak()


def experiments(rows: int, store: Path, costs: Costs) -> None:
    """Run experiments of ten trials each, every one with optimizers of its own, into one file."""

    def run(number: int) -> None:
        optimizers = {f"idle {number} {i}": Idle(10.0 * number + i) for i in range(10)}
        ol.Experiment(problems=problem(), optimizers=optimizers, epochs=1).run(
            store=store, execution=ONE_THREAD
        )

    with costs.of("run stored"):
        for number in range(rows):
            run(number)
    with costs.of("one more experiment, times rows"):
        run(rows)
    costs.found["one more experiment, times rows, s"] *= rows
    with costs.of("Results.load"):
        ol.Results.load(store)


def clashes(rows: int, store: Path, costs: Costs) -> None:
    """Load two files whose optimizers have the same names and other settings."""
    stores = [store.with_stem(f"store{number}") for number in range(2)]
    for number, path in enumerate(stores):
        optimizers = {f"idle {i}": Idle(float(number * rows + i)) for i in range(rows)}
        ol.Experiment(problems=problem(), optimizers=optimizers, epochs=1).run(
            store=path, execution=ONE_THREAD
        )
    with costs.of("Results.load of two files"):
        ol.Results.load(*stores)


CASES: dict[str, Callable[[int, Path, Costs], None]] = {
    case.__name__: case
    for case in (trials, isolated, shared, optimizers, epochs, experiments, clashes)
}


def measured(case: str, rows: int) -> dict[str, float]:
    """Return the costs of a case, measured in another process."""
    command = [sys.executable, "-m", "benchmarks.growth", case, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str]) -> None:
    """Print the table, or the costs of one case as JSON."""
    if len(arguments) == 2:
        case, rows = arguments
        with tempfile.TemporaryDirectory() as folder:
            costs = Costs()
            CASES[case](int(rows), Path(folder, "store.db"), costs)
        print(json.dumps(costs.found))
        return
    print("| case | what | rows | cost | per 1 000 rows | growth |", flush=True)
    print("|---|---|---|---|---|---|")
    for case in arguments[1:] or CASES:
        last: dict[str, tuple[int, float]] = {}
        for rows in SIZES[case][: 2 if arguments[:1] == ["quick"] else None]:
            for what, cost in measured(case, rows).items():
                growth = ""
                if what in last and min(cost, last[what][1]) > 0:
                    fewer, less = last[what]
                    growth = f"{math.log(cost / less) / math.log(rows / fewer):.2f}"
                last[what] = rows, cost
                each = 1e3 * cost / rows
                print(
                    f"| {case} | {what} | {rows} | {cost:.4g} | {each:.4g} | {growth} |", flush=True
                )


if __name__ == "__main__":
    main(sys.argv[1:])
