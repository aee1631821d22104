"""The trials of a grid, run one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from optlab.lab.budget import Budget
from optlab.lab.grid import Grid
from optlab.lab.records import Trial, TrialRecord, Watcher
from optlab.lab.status import Status
from optlab.lab.trial import run_trial

Finished = Callable[[TrialRecord], None]


def run_grid(
    grid: Grid,
    budget: Budget,
    *,
    watch: Watcher | None = None,
    started: Callable[[Trial], None] | None = None,
    finished: Finished | None = None,
) -> list[TrialRecord]:
    """Run every trial and return a record of each, in the grid's order.

    After Ctrl-C the running trial keeps its partial trace, and those that had not started are
    recorded as interrupted too.

    Parameters
    ----------
    grid, budget
        What to run, and for how long.
    watch
        Called at each recorded iterate.
    started, finished
        Called before and after each trial.
    """
    trials = grid.trials()
    records: dict[int, TrialRecord] = {}
    for trial in interleaved(trials):
        if started:
            started(trial)
        record = run_trial(
            trial,
            grid.problems[trial.problem],
            grid.optimizers[trial.optimizer],
            budget,
            watch=watch,
        )
        records[trial.number] = record
        if finished:
            finished(record)
        if record.status == Status.INTERRUPTED:
            break
    not_started = "not started: the experiment was stopped by Ctrl-C"
    return [records.get(trial.number, TrialRecord(trial, message=not_started)) for trial in trials]


def interleaved(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials in the order they run: repeat by repeat, each in a random order of its own.

    So no optimizer always runs first, or while the machine is in one mood. The order is drawn from
    a fixed seed: the same grid runs in the same order.
    """
    generator = random.Random(0)
    order: list[Trial] = []
    for repeat in sorted({trial.repeat for trial in trials}):
        turn = [trial for trial in trials if trial.repeat == repeat]
        generator.shuffle(turn)
        order += turn
    return order
