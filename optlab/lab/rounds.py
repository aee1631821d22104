"""The rounds of an experiment: those that tune its optimizers, one that measures, and repeats."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch

from optlab.lab.grid import Grid
from optlab.lab.measure.devices import available_devices
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.check_stop_at import check_stop_at
from optlab.lab.trial.record import Trial, TrialRecord
from optlab.lab.trial.stop_at import StopAt
from optlab.lab.trial.task import Task
from optlab.lab.tuning.scores import Outcome
from optlab.lab.tuning.search import Search, Setting
from optlab.lab.tuning.tuned import EPOCHS, SECONDS, Tuned
from optlab.optimizers import Optimizer, unsupported
from optlab.theory.descent_theory import stable_rate

Rounds = Generator[list[Task], Mapping[int, TrialRecord], None]

MOST_FEATURES = 500
"""The eigenvalues of larger Hessians take longer than a look at the result is worth."""

ENOUGH = 3
"""Trials of each setting, over its seeds, from which pairs are compared."""

SHARE, LEAST = 0.1, 0.3
"""Repeats take at most this share of the seconds that all trials took, or so many seconds."""

FIRST_SEED = 1000
"""Without seeds of their own, tuning trials have the first from here on that is not measured."""


def rounds(grid: Grid, budget: Budget) -> Rounds:
    """Yield the tasks of each round; the records of all trials so far, by number, are sent back.

    Tuning trials come first, in as many rounds as the searches ask for; the measured trials come
    next, with the settings that were chosen. They have the numbers of `Grid.trials`, and the tuning
    trials the next. Repeats of short trials come last.
    """
    measured = grid.trials()
    searches = _searches(grid, budget)
    number = len(measured)
    while True:
        asked = [(search, setting) for search in searches for setting in search.search.ask()]
        if not asked:
            break
        tasks: dict[tuple[int, int], list[Task]] = {}
        for place, (search, setting) in enumerate(asked):
            own = search.tasks(setting, number)
            tasks[id(search), place] = own
            number += len(own)
        records = yield [task for own in tasks.values() for task in own]
        for search in searches:
            search.search.tell(
                [
                    [Outcome.of(records[t.trial.number], search.tuned.by) for t in own]
                    for (key, _), own in tasks.items()
                    if key == id(search)
                ]
            )
    chosen = {search.place: search.search.best() for search in searches}
    last = [
        task
        if (best := chosen.get(_place(task.trial))) is None
        else replace(task, optimizer=best.optimizer)
        for task in untuned_tasks(grid, budget)
    ]
    records = yield last
    if grid.repeats_short and (more := repeats_of_short(last, records, number)):
        yield more


def repeats_of_short(
    tasks: Sequence[Task], records: Mapping[int, TrialRecord], number: int
) -> list[Task]:
    """Return the tasks that repeat the settings of the shortest trials until there are 3 of each.

    They are numbered from ``number`` on. What they take is judged by the seconds of the trials that
    ended, so that a resumed experiment repeats the same ones; trials without an answer, and those
    whose seconds are never ranked, are not repeated. Imports and compiling, which a process does
    once, do not count.
    """
    settings: dict[tuple[object, ...], list[Task]] = {}
    for task in tasks:
        settings.setdefault(_setting(task), []).append(task)
    costs = {key: sum(_cost(records[t.trial.number]) for t in own) for key, own in settings.items()}
    allowed = max(SHARE * sum(cost for cost in costs.values() if math.isfinite(cost)), LEAST)
    found: list[Task] = []
    for key, cost in sorted(costs.items(), key=lambda pair: pair[1]):
        own = settings[key]
        repeats = range(2, -(-ENOUGH // len(own)) + 1)
        allowed -= cost * len(repeats)
        if allowed < 0:
            break
        found += [
            replace(task, trial=replace(task.trial, repeat=repeat))
            for repeat in repeats
            for task in own
        ]
    return [
        replace(task, trial=replace(task.trial, number=number + place))
        for place, task in enumerate(found)
    ]


def _setting(task: Task) -> tuple[object, ...]:
    trial = task.trial
    return trial.problem, trial.optimizer, trial.batch_size, trial.device, trial.dtype


def _cost(record: TrialRecord) -> float:
    """Return the seconds that a trial takes again; infinite where it is not repeated."""
    ranked = record.trace and record.status.is_result and not (record.contended or record.shared)
    if not ranked or not math.isfinite(record.seconds):
        return math.inf
    if not math.isfinite(record.first_pass_seconds):
        return record.seconds
    # A first pass that takes longer than the trial itself imported or compiled something.
    first = min(record.seconds, record.first_pass_seconds)
    is_one_pass = record.trace[-1].epoch == 1  # twice the same work: the longer was disturbed
    return 2 * first if is_one_pass else record.seconds + first


def untuned_tasks(grid: Grid, budget: Budget) -> list[Task]:
    """Return the measured trials, of tuned optimizers with the settings from before the tuning."""
    return [
        Task(trial, grid.problems[trial.problem], _untuned(grid, trial), budget)
        for trial in grid.trials()
    ]


def tuning_trials(grid: Grid) -> int:
    """Return the number of tuning trials of a grid, without extensions of ranges."""
    return sum(own.tuned.trials * len(own.seeds) for own in _searches(grid, Budget(epochs=1)))


def check_tuned(grid: Grid, budget: Budget) -> None:
    """Require of tuned optimizers that their seeds and what they are tuned by fit the experiment.

    Raises
    ------
    ValueError
        For seeds that are measured too, for a time to ``stop_at`` where there is none, and for a
        measure that a problem does not have.
    """
    for name, tuned in grid.optimizers.items():
        if not isinstance(tuned, Tuned):
            continue
        if twice := sorted(set(tuned.seeds or ()) & set(grid.seeds)):
            raise ValueError(
                f"{name} is tuned on seeds that are measured too: {', '.join(map(str, twice))}; "
                "choose others, or the choice is judged by the trials that made it"
            )
        if tuned.by in {EPOCHS, SECONDS}:
            if budget.stop_at is None:
                raise ValueError(f"{name} is tuned by {tuned.by!r}: give the experiment a stop_at")
        elif tuned.by not in {"suboptimality", "loss"}:
            _check_measure(name, tuned.by, grid)


def _check_measure(name: str, by: str, grid: Grid) -> None:
    try:
        check_stop_at(StopAt(by, value=-1e308), grid.problems.values())
    except ValueError as error:
        reason = str(error).replace("stop_at names", "by names")
        raise ValueError(f"{name} cannot be tuned by {by!r}: {reason}") from None


@dataclass(frozen=True, eq=False)
class _PlacedSearch:
    """A search, with the trial that each of its trials is like."""

    tuned: Tuned
    search: Search
    like: Task
    seeds: tuple[int, ...]

    @property
    def place(self) -> tuple[object, ...]:
        return _place(self.like.trial)

    def tasks(self, setting: Setting, number: int) -> list[Task]:
        return [
            replace(
                self.like,
                trial=replace(
                    self.like.trial, number=number + k, seed=seed, setting=setting.number
                ),
                optimizer=setting.optimizer,
            )
            for k, seed in enumerate(self.seeds)
        ]


def _searches(grid: Grid, budget: Budget) -> list[_PlacedSearch]:
    """Return the search of each tuned optimizer, problem and batch size, where it can run."""
    found = []
    measure = None if budget.stop_at is None else StopAt.of(budget.stop_at).measure
    here = [device for device in grid.devices if device in available_devices()]
    device = (here or list(grid.devices))[0]
    for problem, (name, tuned) in product(grid.problems, grid.optimizers.items()):
        if not isinstance(tuned, Tuned):
            continue
        if unsupported(tuned.optimizer, grid.problems[problem], torch.device(device)):
            continue  # the measured trials say why
        for batch_size in grid.batch_sizes_of(tuned):
            dtype = grid.dtypes[0] or grid.dtype_of(problem)
            trial = Trial(0, problem, name, batch_size, device, dtype, 0, 1, grid.order, "tuning")
            like = Task(trial, grid.problems[problem], tuned.optimizer, budget)
            found.append(_PlacedSearch(tuned, Search(tuned, measure), like, _seeds(tuned, grid)))
    return found


def _seeds(tuned: Tuned, grid: Grid) -> tuple[int, ...]:
    if tuned.seeds is not None:
        return tuple(tuned.seeds)
    seed = FIRST_SEED
    while seed in grid.seeds:
        seed += 1
    return (seed,)


def _place(trial: Trial) -> tuple[object, ...]:
    return trial.problem, trial.optimizer, trial.batch_size


def _untuned(grid: Grid, trial: Trial) -> Optimizer:
    """Return a trial's optimizer before it is tuned; a tuned one follows no rule of rates."""
    optimizer = grid.optimizers[trial.optimizer]
    return optimizer.optimizer if isinstance(optimizer, Tuned) else grid.optimizer_of(trial)


def by_seconds(tasks: Sequence[Task], grid: Grid) -> bool:
    """Return whether any of the tasks tunes an optimizer by seconds."""
    names = {task.trial.optimizer for task in tasks if task.trial.stage == "tuning"}
    tuned = (grid.optimizers[name] for name in names)
    return any(isinstance(one, Tuned) and one.by == SECONDS for one in tuned)


def stable_rates(grid: Grid) -> dict[str, dict[str, float]]:
    """Return the largest stable learning rate with full batches, by problem and tuned optimizer.

    Left out where it depends on what is tuned (momentum), where the method or the problem has none,
    and for problems of many features.
    """
    found: dict[str, dict[str, float]] = {}
    for (problem, own), (name, tuned) in product(grid.problems.items(), grid.optimizers.items()):
        if not isinstance(tuned, Tuned) or "momentum" in tuned.ranges:
            continue
        if getattr(own.data, "d", 0) > MOST_FEATURES:
            continue
        try:
            rate = stable_rate(own, tuned.optimizer)
        except ValueError:  # it says that there is none
            continue
        if math.isfinite(rate):
            found.setdefault(problem, {})[name] = rate
    return found
