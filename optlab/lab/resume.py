"""Resume an experiment: decide which trials a store holds, and which are run again, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args
from uuid import uuid4

from optlab.lab.grid import Grid
from optlab.lab.keys.object_hash import UnknownValueError, object_hash
from optlab.lab.keys.trial_key import (
    deciding_code,
    optimizer_fingerprint,
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
from optlab.lab.tuning.tuned import Tuned
from optlab.optimizers import Order


class StoreStatus(NamedTuple):
    """The number of trials of a grid that a store has, finished or to be run again."""

    done: int
    to_redo: Mapping[Redo, int]
    """Numbers of done trials that could be run again, by kind."""
    others: int
    """Number of further trials in the store, of other settings, data, code, threads or machines."""
    saved: int = 0
    """Number of these others that were saved as a whole, without fingerprints of data and code."""
    unknown: Sequence[str] = ()
    """A sentence for each problem and optimizer that has no hash, so that its trials run again."""


class Resume:
    """The tasks of a grid and their trials in a store: find the finished ones, write new ones.

    `want` adds the tasks of a round.

    ``threads`` is how many a trial may use when nothing runs beside it, a part of each key;
    ``threads_used`` how many each has here, where ``--jobs`` makes them fewer. Finished trials of
    the kinds in ``redo`` run again; their new records replace the old.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        definition: Mapping[str, Any],
        grid: Grid,
        budget: Budget,
        threads: int,
        threads_used: int,
        redo: Collection[Redo] = (),
    ) -> None:
        self._store = store
        self._tasks: dict[int, Task] = {}
        self._keys: dict[int, str] = {}
        self._around = surroundings(threads)
        self._unknown: list[str] = []
        problems = self._fingerprints(object_hash, grid.problems)
        optimizers = self._fingerprints(optimizer_fingerprint, grid.optimizers)
        self._problems = problems
        # By object: each setting of an optimizer that is tuned, and each rate of a rule, has a
        # fingerprint of its own.
        self._optimizers = {id(grid.optimizers[name]): own for name, own in optimizers.items()}
        for label, optimizer in grid.optimizers.items():
            if not isinstance(optimizer, Tuned) and grid.rate_rule.changes(optimizer):
                optimizers[label] += f" {grid.rate_rule}"
        self._facts = {
            problems[key]: ProblemSummary.of(key, problem) for key, problem in grid.problems.items()
        }
        about_machine = machine(threads, threads_used)
        setting = _setting(budget, threads, grid.order)
        fingerprints = Fingerprints(problems, optimizers, setting, self._around, deciding_code())
        self._about = name, definition, about_machine, fingerprints
        self._experiment = self._begin()
        self._old: dict[str, int] = {}
        for kind in redo:
            self._old |= store.to_redo(kind)

    def _fingerprints(
        self, of: Callable[[Any], str], named: Mapping[str, object]
    ) -> dict[str, str]:
        """Return fingerprints by name; a value without a hash has a new one each time."""
        found = {}
        for name, value in named.items():
            try:
                found[name] = of(value)
            except UnknownValueError as error:
                found[name] = f"unknown {uuid4()}"
                self._unknown.append(
                    f"{name} holds {error}: it cannot be known again, so its trials run each time"
                )
        return found

    def _begin(self) -> int:
        for fingerprint, facts in self._facts.items():
            self._store.add_problem(fingerprint, facts)
        wanted = {self._keys[number]: task.trial for number, task in self._tasks.items()}
        return self._store.begin_experiment(*self._about, wanted)

    def want(self, tasks: Sequence[Task]) -> None:
        """Add tasks, and tell the store that this experiment asks for them."""
        self._tasks |= {task.trial.number: task for task in tasks}
        new = {self._key(task): task.trial for task in tasks}
        self._keys |= {trial.number: key for key, trial in new.items()}
        self._store.want(self._experiment, new)

    def _key(self, task: Task) -> str:
        trial, own = task.trial, self._optimizers.get(id(task.optimizer))
        if own is None:
            own = self._fingerprints(optimizer_fingerprint, {trial.optimizer: task.optimizer})[
                trial.optimizer
            ]
            self._optimizers[id(task.optimizer)] = own
        return trial_key(trial, self._problems[trial.problem], own, task.budget, self._around)

    def known(self, tasks: Iterable[Task]) -> StoreStatus:
        """Return how many of the tasks are done, and how many of these could be run again."""
        held = self._store.finished_keys()
        mine = held & {self._keys[task.trial.number] for task in tasks}
        done = mine - self._old.keys()
        of_kind = {kind: self._store.to_redo(kind).keys() for kind in get_args(Redo)}
        to_redo = {kind: len(done & keys) for kind, keys in of_kind.items()}
        others = held.difference(self._keys.values())
        saved = others & self._store.saved_keys() if others else others
        return StoreStatus(len(done), to_redo, len(others), len(saved), self._unknown)

    def missing(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks that are not done, looking again before each: others may write too."""
        for task in tasks:
            key = self._keys[task.trial.number]
            if self._store.done_by(key) in (None, self._old.get(key)):
                self._store.lock_running(self._experiment)
                yield task

    def keep(self, record: TrialRecord) -> None:
        """Write the record of a trial."""
        number = record.trial.number
        about = self._tasks[number].about_optimizer()
        key = self._keys[number]
        if record.status == Status.INTERRUPTED and key in self._old:
            return  # the stored record holds more
        self._store.add(key, record, about, self._experiment, instead_of=self._old.get(key))
        if not self._store.has_experiment(self._experiment):  # another process archived it
            self._experiment = self._begin()

    def close(self) -> None:
        """Release the store's lock of running trials."""
        self._store.unlock_running()

    def records(self, written: Mapping[int, TrialRecord]) -> dict[int, TrialRecord]:
        """Return the records of the tasks that the store knows, under this grid's numbers.

        Those that were to be run again, and were not before all was stopped, are left out. Of
        ``written``, what this run has kept, only what another process may have changed is read.
        """
        numbers: dict[str, int] = {key: number for number, key in self._keys.items()}
        for key, experiment in self._old.items():
            if self._store.done_by(key) == experiment:
                numbers.pop(key, None)
        found = {}
        for key, (started, contended) in self._store.starts().items():
            record = written.get(numbers.get(key, -1))
            if record is not None and record.started == started:
                record.contended = contended
                found[numbers.pop(key)] = record
        for key, _, record in self._store.records(set(numbers)):
            number = numbers[key]
            record.trial = self._tasks[number].trial
            found[number] = record
        return found


def _setting(budget: Budget, threads: int, order: Order) -> str:
    asked: dict[str, Any] = budget.definition() | {"threads": threads}
    if order != "dataloader":  # which older files do not name
        asked["order"] = order
    return ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
