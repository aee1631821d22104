"""Reading results files again, one or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

import numpy as np

from optlab.lab.facts import ProblemFacts
from optlab.lab.machine import merged
from optlab.lab.opening import StoreError
from optlab.lab.records import Trial, TrialRecord
from optlab.lab.store import Store
from optlab.lab.stored import Stored, StoredExperiment

NOT_RUN = "not run: the experiment was stopped before, or is still running"


@dataclass
class Loaded:
    """What results files hold.

    Parameters
    ----------
    records
        Of trials, numbered from 0.
    problems
        What is known of each problem, by name.
    names, machines
        Of the experiments that ran them.
    settings
        The budget and threads of each file's last experiment.
    definitions
        Of each file's last experiment, by the file's name, names in it as they are here.
    left_out
        How many trials are of data, code or a budget that have changed since.
    """

    records: list[TrialRecord] = field(default_factory=list)
    problems: dict[str, ProblemFacts] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    machines: list[Mapping[str, str]] = field(default_factory=list)
    settings: dict[str, None] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: int = 0

    @property
    def machine(self) -> dict[str, str]:
        """The machines' facts as one."""
        return merged(self.machines)

    @property
    def definition(self) -> dict[str, Any]:
        """What was asked for: the one file's, or ``files`` with each one's, and what is to know."""
        each = list(self.definitions.values())
        found: dict[str, Any] = {"files": self.definitions} if len(each) > 1 else {}
        if len(each) == 1:
            found = dict(each[0])
        if len(each) > 1:
            targets = {definition.get("target") for definition in each}
            found |= {"target": targets.pop() if len(targets) == 1 else None}
            found |= {"started": max(str(definition.get("started", "")) for definition in each)}
        if len(self.settings) > 1:
            found["settings"] = "; ".join(self.settings)
        if self.left_out:
            found["left out"] = (
                f"{self.left_out} trials of data, code, a budget or threads changed since"
            )
        return found


def read_stores(paths: Iterable[str | Path]) -> Loaded:
    """Return what results files hold, as the last experiment in each would see it.

    Of a problem or an optimizer that has changed since under one name, only the trials of the last
    are taken, and of all only those of the last budget and number of threads: others are not to be
    set beside them. What the last experiment of a file asked for and has not been run is
    interrupted.

    The repeats of a second file go on counting where those of the first end. Problems, and
    optimizers, that have one name in two files and are not the same there are told apart by the
    file's name.
    """
    loaded, seen = Loaded(), set()
    for path in paths:
        if (place := Path(path).resolve()) in seen:
            raise StoreError(f"{path} is named twice: its trials would count as further repeats")
        seen.add(place)
        with Store(path, create=False) as store, store.errors("read"):
            _add_file(loaded, store)
    for number, record in enumerate(loaded.records):
        record.trial = replace(record.trial, number=number)
    return loaded


def _add_file(loaded: Loaded, store: Store) -> None:
    experiments = store.experiments()
    held = {stored.key: stored for stored in store.records()}
    current = _current(store, experiments, held, loaded)
    problems = {
        name: facts
        for (print_, name), facts in store.problems().items()
        if _last_prints(experiments, "problems").get(name) == print_
    }
    names = _tell_apart(loaded, current, problems, store.path)
    known = {replace(record.trial, number=0) for record in loaded.records}
    mine = {replace(record.trial, number=0) for record in current}
    shift = max((trial.repeat for trial in known), default=0) if known & mine else 0
    for record in current:
        record.trial = replace(record.trial, repeat=record.trial.repeat + shift)
    loaded.records += current
    loaded.problems |= {r.trial.problem: problems[r.trial.problem] for r in current}
    taken = {id(record) for record in current}
    ran = {stored.experiment for stored in held.values() if id(stored.record) in taken}
    for number, experiment in experiments.items():
        if number == max(experiments):
            loaded.settings[experiment.prints.setting] = None
            name = _other_name(store.path.name, store.path, loaded.definitions)
            loaded.definitions[name] = _renamed(experiment.definition, names)
        if number in ran or number == max(experiments):
            loaded.names[experiment.name] = None
            loaded.machines.append(experiment.machine)


def _current(
    store: Store,
    experiments: Mapping[int, StoredExperiment],
    held: Mapping[str, Stored],
    loaded: Loaded,
) -> list[TrialRecord]:
    """Return the records of a file that the last experiment in it would take for its own."""
    problems, optimizers = (_last_prints(experiments, of) for of in ("problems", "optimizers"))
    last = max(experiments, default=0)
    chosen: dict[Trial, tuple[Trial, str]] = {}
    for number, key, trial in store.wanted():  # the last to ask comes last, and stays
        prints = experiments[number].prints
        same = prints.problems[trial.problem] == problems[trial.problem]
        same &= prints.optimizers[trial.optimizer] == optimizers[trial.optimizer]
        same &= prints.setting == experiments[last].prints.setting
        if not same:
            loaded.left_out += key in held
        elif key in held or number == last:
            chosen[replace(trial, number=0)] = trial, key
    records = []
    for trial, key in sorted(chosen.values(), key=lambda pair: pair[0].number):
        record = held[key].record if key in held else TrialRecord(trial, message=NOT_RUN)
        record.trial = trial
        records.append(record)
    return records


def _last_prints(experiments: Mapping[int, StoredExperiment], of: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for experiment in experiments.values():
        found |= getattr(experiment.prints, of)
    return found


def _tell_apart(
    loaded: Loaded, records: list[TrialRecord], problems: dict[str, ProblemFacts], path: Path
) -> dict[str, dict[str, str]]:
    """Rename, in one file's records and problems, what has the name of something else elsewhere.

    Returns the new names of its problems and optimizers.
    """
    known = {r.trial.optimizer: _settings(r) for r in loaded.records if r.optimizer}
    renamed: dict[str, str] = {}
    optimizers: dict[str, str] = {}
    for name, facts in list(problems.items()):
        other = _name_of(name, path, loaded.problems, partial(_same, facts))
        if other != name:
            renamed[name] = other
            problems[other] = replace(problems.pop(name), name=other)
    for record in records:
        trial, optimizer = record.trial, record.trial.optimizer
        if record.optimizer:
            optimizer = _name_of(optimizer, path, known, partial(eq, _settings(record)))
            optimizers[trial.optimizer] = optimizer
        problem = renamed.get(trial.problem, trial.problem)
        record.trial = replace(trial, problem=problem, optimizer=optimizer)
    return {"problems": renamed, "optimizers": optimizers}


def _renamed(
    definition: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    found = dict(definition)
    for axis, new in names.items():
        if isinstance(found.get(axis), dict):
            found[axis] = {new.get(name, name): value for name, value in found[axis].items()}
    return found


def _settings(record: TrialRecord) -> tuple[Any, Any]:
    return record.optimizer.get("class"), record.optimizer.get("hyperparameters")


def _same(one: ProblemFacts, other: ProblemFacts) -> bool:
    """Whether two problems are the same, as far as can be told on different machines."""
    facts = [(f.kind, f.n, f.d, f.dtype, f.feature_names, f.optimum.keys()) for f in (one, other)]
    if facts[0] != facts[1]:
        return False
    optima = [np.concatenate([np.ravel(v) for v in f.optimum.values()]) for f in (one, other)]
    size = float(np.linalg.norm(optima[0]))
    near = bool(np.linalg.norm(optima[0] - optima[1]) <= 1e-6 * size)
    # Where a fit is perfect its loss is rounding, in the units of the target's square.
    rounding = 1e-12 * size**2
    return near and math.isclose(
        one.optimum_loss, other.optimum_loss, rel_tol=1e-6, abs_tol=rounding
    )


def _name_of(name: str, path: Path, known: Mapping[str, Any], same: Callable[[Any], bool]) -> str:
    """Return the name that the same thing has among the known ones, or one that is free."""
    if name not in known:
        return name
    alike = [other for other in known if other == name or other.startswith(f"{name} (")]
    return next((o for o in alike if same(known[o])), "") or _other_name(name, path, known)


def _other_name(name: str, path: Path, known: Mapping[str, object]) -> str:
    """Return the name itself where it is free, else with the file's, else with its number."""
    free = (f"{name} ({path.stem}{number})" for number in ("", *range(2, 10**6)))
    return name if name not in known else next(other for other in free if other not in known)
