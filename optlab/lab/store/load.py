"""Reading results files again, one or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import eq
from pathlib import Path
from typing import Any

from optlab.lab.measure.machine import merged
from optlab.lab.store.connection import StoreError
from optlab.lab.store.merge import other_name, resolve_name_clashes, same_problem
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.store.store import Store
from optlab.lab.store.stored_trial import StoredExperiment, StoredTrial
from optlab.lab.trial.record import Trial, TrialRecord

NOT_RUN = "not run: the experiment was stopped before, or is still running"


@dataclass
class MergedFiles:
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
    prints
        The fingerprint of each optimizer, by name.
    """

    records: list[TrialRecord] = field(default_factory=list)
    problems: dict[str, ProblemSummary] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    machines: list[Mapping[str, str]] = field(default_factory=list)
    settings: dict[str, None] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: int = 0
    prints: dict[str, str] = field(default_factory=dict)

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
            targets = {definition.get("stop_at") for definition in each}
            found |= {"stop_at": targets.pop() if len(targets) == 1 else None}
            found |= {"started": max(str(definition.get("started", "")) for definition in each)}
        if len(self.settings) > 1:
            found["settings"] = "; ".join(self.settings)
        if self.left_out:
            found["left out"] = (
                f"{self.left_out} trials of data, code, a budget, threads, versions or a machine "
                "changed since"
            )
        return found


def read_stores(paths: Iterable[str | Path]) -> MergedFiles:
    """Return what results files hold, as the last experiment in each would see it.

    Of a problem or an optimizer that has changed since under one name, only the trials of the last
    are taken, and of all only those of the last budget, threads, versions and machine: others are
    not to be set beside them. What the last experiment of a file asked for and has not been run is
    interrupted.

    The repeats of a second file go on counting where those of the first end. Problems, and
    optimizers, that have one name in two files and are not the same there are told apart by the
    file's name.
    """
    loaded, seen = MergedFiles(), set()
    for path in paths:
        if (place := Path(path).resolve()) in seen:
            raise StoreError(f"{path} is named twice: its trials would count as further repeats")
        seen.add(place)
        with Store(path, create=False) as store, store.errors("read"):
            _add_file(loaded, store)
    for number, record in enumerate(loaded.records):
        record.trial = replace(record.trial, number=number)
    return loaded


def _add_file(loaded: MergedFiles, store: Store) -> None:
    experiments = store.experiments()
    held = {stored.key: stored for stored in store.records()}
    current = _current(store, experiments, held, loaded)
    problems = {
        name: facts
        for (print_, name), facts in store.problems().items()
        if _last_prints(experiments, "problems").get(name) == print_
    }
    prints = _last_prints(experiments, "optimizers")
    names = _tell_apart(loaded, current, problems, prints, store.path)
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
            name = other_name(store.path.name, store.path, loaded.definitions)
            asked = [experiments[n].definition for n in experiments if n in ran or n == number]
            loaded.definitions[name] = _renamed(_all_asked(asked), names)
        if number in ran or number == max(experiments):
            loaded.names[experiment.name] = None
            loaded.machines.append(experiment.machine)


def _current(
    store: Store,
    experiments: Mapping[int, StoredExperiment],
    held: Mapping[str, StoredTrial],
    loaded: MergedFiles,
) -> list[TrialRecord]:
    """Return the records of a file that the last experiment in it would take for its own."""
    problems, optimizers = (_last_prints(experiments, of) for of in ("problems", "optimizers"))
    last = max(experiments, default=0)
    chosen: dict[Trial, tuple[Trial, str]] = {}
    for number, key, trial in store.wanted():  # the last to ask comes last, and stays
        prints = experiments[number].prints
        same = prints.problems[trial.problem] == problems[trial.problem]
        same &= prints.optimizers[trial.optimizer] == optimizers[trial.optimizer]
        same &= prints[2:] == experiments[last].prints[2:]  # budget, threads, versions, machine
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


def _all_asked(definitions: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last definition, its axes as long as all of them together."""
    found = dict(definitions[-1])
    for axis, last in found.items():
        values = [d[axis] for d in definitions if axis in d]
        if axis == "repeats":
            found[axis] = max(values)
        elif isinstance(last, dict):
            found[axis] = {k: v for value in values for k, v in value.items()}
        elif isinstance(last, list) and axis != "recorded_epochs":
            found[axis] = list(dict.fromkeys(v for value in values for v in value))
    return found


def _tell_apart(
    loaded: MergedFiles,
    records: list[TrialRecord],
    problems: dict[str, ProblemSummary],
    prints: Mapping[str, str],
    path: Path,
) -> dict[str, dict[str, str]]:
    """Rename, in one file's records and problems, what has the name of something else elsewhere.

    Returns the new names of its problems and optimizers.
    """
    alike = {name: partial(same_problem, facts) for name, facts in problems.items()}
    renamed = resolve_name_clashes(alike, path, loaded.problems)
    same_optimizer = {name: partial(eq, print_) for name, print_ in prints.items()}
    optimizers = resolve_name_clashes(same_optimizer, path, loaded.prints)
    own = {renamed[name]: replace(facts, name=renamed[name]) for name, facts in problems.items()}
    problems.clear()
    problems.update(own)
    for record in records:
        trial = record.trial
        record.trial = replace(
            trial, problem=renamed[trial.problem], optimizer=optimizers[trial.optimizer]
        )
    loaded.prints |= {optimizers[name]: print_ for name, print_ in prints.items()}
    return {"problems": renamed, "optimizers": optimizers}


def _renamed(
    definition: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    found = dict(definition)
    for axis, new in names.items():
        if isinstance(found.get(axis), dict):
            found[axis] = {new.get(name, name): value for name, value in found[axis].items()}
    return found
