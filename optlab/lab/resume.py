"""What a store already knows of a grid, so that a second run does only what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from optlab.lab.grid import Grid
from optlab.lab.keys.trial_key import (
    optimizer_fingerprint,
    problem_fingerprint,
    surroundings,
    trial_key,
)
from optlab.lab.measure.machine import machine
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.store.redo import Redo
from optlab.lab.store.store import Store
from optlab.lab.store.stored_trial import Fingerprints
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task


class StoreStatus(NamedTuple):
    """What a store already knows of a grid."""

    done: int
    to_redo: Mapping[Redo, int]
    """How many of the done could be run again, by kind."""
    others: int
    """How many more the store holds, of other settings, data, code, threads or machines."""


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
    redo
        Which of the trials that are done are run again; what they gave then takes the old's place.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        definition: Mapping[str, Any],
        grid: Grid,
        tasks: Sequence[Task],
        threads: int,
        redo: Collection[Redo] = (),
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
        self._facts = {
            problems[key]: ProblemSummary.of(key, problem) for key, problem in grid.problems.items()
        }
        self._about = name, definition
        self._prints = Fingerprints(
            problems, optimizers, _setting(tasks[0].budget, threads), around
        )
        self._experiment = self._begin()
        self._old: dict[str, int] = {}
        for kind in redo:
            self._old |= store.to_redo(kind)

    def _begin(self) -> int:
        for print_, facts in self._facts.items():
            self._store.add_problem(print_, facts)
        wanted = {self._keys[number]: task.trial for number, task in self._tasks.items()}
        return self._store.begin_experiment(*self._about, machine(), self._prints, wanted)

    def known(self) -> StoreStatus:
        """Return how many of the tasks are done, and how many of these could be run again."""
        held = self._store.finished_keys()
        mine = held & set(self._keys.values())
        done = mine - self._old.keys()
        of_kind = {kind: self._store.to_redo(kind).keys() for kind in get_args(Redo)}
        to_redo = {kind: len(done & keys) for kind, keys in of_kind.items()}
        return StoreStatus(len(done), to_redo, len(held - mine))

    def missing(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks that are not done, looking again before each: others may write too."""
        for task in tasks:
            key = self._keys[task.trial.number]
            if self._store.done_by(key) in (None, self._old.get(key)):
                self._store.begin_trial(key, self._experiment)
                yield task

    def keep(self, record: TrialRecord) -> None:
        """Write what became of a trial, at once."""
        number = record.trial.number
        about = self._tasks[number].about_optimizer()
        key = self._keys[number]
        if record.status == Status.INTERRUPTED and key in self._old:
            return  # what is there says more
        self._store.add(key, record, about, self._experiment, instead_of=self._old.get(key))
        if not self._store.knows(self._experiment):  # set aside by another process meanwhile
            self._experiment = self._begin()

    def close(self) -> None:
        """Tell whoever else writes the store that nothing runs here any more."""
        self._store.end_experiment(self._experiment)

    def records(self) -> dict[int, TrialRecord]:
        """Return the records of the tasks that the store knows, under this grid's numbers.

        Those that were to be run again, and were not before all was stopped, are left out.
        """
        numbers: dict[str, int] = {key: number for number, key in self._keys.items()}
        for key, experiment in self._old.items():
            if self._store.done_by(key) == experiment:
                numbers.pop(key, None)
        found = {}
        for key, _, record in self._store.records(set(numbers)):
            number = numbers[key]
            record.trial = self._tasks[number].trial
            found[number] = record
        return found


def _setting(budget: Budget, threads: int) -> str:
    asked = budget.definition() | {"threads": threads}
    return ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
