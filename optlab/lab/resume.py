"""What a store already knows of a grid, so that a second run does only what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from optlab.lab.facts import ProblemFacts
from optlab.lab.fingerprint import (
    optimizer_fingerprint,
    problem_fingerprint,
    surroundings,
    trial_key,
)
from optlab.lab.grid import Grid
from optlab.lab.machine import machine
from optlab.lab.records import TrialRecord
from optlab.lab.store import Store
from optlab.lab.task import Task


class Resume:
    """The tasks of a grid beside a store: which are done, and where new ones are kept.

    Parameters
    ----------
    store
        The store.
    name, definition
        Of the experiment that begins.
    grid
        Its grid, for the facts of its problems.
    tasks
        All its tasks.
    threads
        How many threads each has: part of what decides a trial's outcome.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        definition: dict[str, Any],
        grid: Grid,
        tasks: Sequence[Task],
        threads: int,
    ) -> None:
        self._store = store
        self._tasks = {task.trial.number: task for task in tasks}
        around = surroundings(threads)
        problems = {key: problem_fingerprint(value) for key, value in grid.problems.items()}
        optimizers = {key: optimizer_fingerprint(o) for key, o in grid.optimizers.items()}
        self._keys = {
            task.trial.number: trial_key(
                task.trial,
                problems[task.trial.problem],
                optimizers[task.trial.optimizer],
                task.budget,
                around,
            )
            for task in tasks
        }
        self._experiment = store.begin_experiment(name, definition, machine())
        for key, problem in grid.problems.items():
            store.add_problem(ProblemFacts.of(key, problem))

    def known(self) -> int:
        """Return how many of the tasks are done."""
        return len(set(self._keys.values()) & self._store.finished_keys())

    def missing(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks that are not done, looking again before each: others may write too."""
        for task in tasks:
            if not self._store.has(self._keys[task.trial.number]):
                yield task

    def keep(self, record: TrialRecord) -> None:
        """Write what became of a trial, at once."""
        number = record.trial.number
        about = self._tasks[number].about_optimizer()
        self._store.add(self._keys[number], record, about, self._experiment)

    def records(self) -> dict[int, TrialRecord]:
        """Return the records of the tasks that the store knows, under this grid's numbers."""
        numbers: dict[str, int] = {key: number for number, key in self._keys.items()}
        found = {}
        for key, record in self._store.records(set(numbers)):
            number = numbers[key]
            record.trial = self._tasks[number].trial
            found[number] = record
        return found
