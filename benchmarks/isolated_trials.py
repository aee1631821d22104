"""Measure the processor and wall time of an isolated trial, by how many may share a process.

The optimizer does no work, so all that is measured is the lab's. Processor time is that of all
processes: this one's, the fork server's, and the trials', also of those that are killed in the end
(this process adopts and reaps what the server leaves behind). Starts are left out: each figure is
the slope between a run of few trials and one of many, with one trial at a time. The rounds take
turns over the cases; shown is the median, in milliseconds a trial.

    python -m benchmarks.isolated_trials [ROUNDS]
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

import optlab as ol
from benchmarks.growth import Idle, problem

SIZES = {None: (100, 1100), 1: (50, 250), 10: (50, 550), 100: (100, 1100), 1000: (1000, 3000)}
"""Few trials and many, by the trials that may share a process; None: in this process."""

FORKS = 200


class Cost(NamedTuple):
    """Seconds of processor time here and in other processes, and of wall time."""

    here: float
    others: float
    wall: float

    @classmethod
    def now(cls) -> Cost:
        """Return the seconds so far; others' count once they have been reaped."""
        own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        seconds = [usage.ru_utime + usage.ru_stime for usage in (own, children)]
        return cls(*seconds, time.perf_counter())

    def each(self, other: Cost, count: int) -> Cost:
        """Return the difference to another, by so many trials."""
        return Cost(*((ours - theirs) / count for ours, theirs in zip(self, other, strict=True)))


def adopt_orphans() -> None:
    """Make processes children of this one that are left behind by its children (Linux)."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1)


def reap() -> None:
    """Wait for all children, so that their time counts."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def cost(trials: int, shared: int | None, store: Path | None) -> Cost:
    """Return what so many trials cost, of which some share a process."""
    experiment = ol.Experiment(problems=problem(), optimizers=Idle(), repeats=trials, epochs=1)
    how = {} if shared is None else {"isolate": True, "trials_per_process": shared}
    before = Cost.now()
    experiment.run(store=store, execution=ol.Execution(threads=1, **how))
    wall = time.perf_counter()
    reap()
    return Cost.now()._replace(wall=wall).each(before, 1)


def slope(shared: int | None, *, stored: bool) -> Cost:
    """Return what one more trial costs."""
    few, many = SIZES[shared]
    with tempfile.TemporaryDirectory() as folder:
        stores = [Path(folder, f"{size}.db") if stored else None for size in (few, many)]
        less, more = cost(few, shared, stores[0]), cost(many, shared, stores[1])
    return more.each(less, many - few)


def bare_fork() -> Cost:
    """Return what a fork costs whose process ends at once, of this process, which has torch."""
    before = Cost.now()
    for _ in range(FORKS):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return Cost.now().each(before, FORKS)


def main(rounds: int = 5) -> None:
    """Print the table, and how busy the machine was."""
    adopt_orphans()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    cost(20, 10, None)  # what only the first run loads
    cases = [(shared, stored) for stored in (False, True) for shared in SIZES]
    found: dict[tuple[int | None, bool], list[Cost]] = {case: [] for case in cases}
    forks = []
    for turn in range(rounds):
        shift = turn % len(cases)
        for shared, stored in cases[shift:] + cases[:shift]:
            found[shared, stored].append(slope(shared, stored=stored))
        forks.append(bare_fork())
    print(f"{os.cpu_count()} cores, load {load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    heads = [
        "trials a process",
        "results file",
        "CPU here",
        "in others",
        "all CPU",
        "range",
        "wall",
    ]
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|")
    for (shared, stored), costs in found.items():
        name = "not isolated" if shared is None else f"{shared:,}"
        print(row(name, "yes" if stored else "no", costs))
    print(row("bare fork and exit", "", forks))


def row(name: str, stored: str, costs: list[Cost]) -> str:
    """Return a row of the table: medians, and the range of all processor time."""
    every = [1e3 * (cost.here + cost.others) for cost in costs]
    here, others, wall = (1e3 * median(values) for values in zip(*costs, strict=True))
    ends = f"{min(every):.2f} to {max(every):.2f}"
    cells = [name, stored, f"{here:.2f}", f"{others:.2f}", f"{median(every):.2f}", ends]
    return f"| {' | '.join([*cells, f'{wall:.2f}'])} |"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
