"""Merge results files, so that each name means one thing and each trial counts once.

Problems of one name and equal fingerprints are the same problem; optimizers likewise, where their
files also have the same budget, threads and code of optlab. Others of one name are told apart by
the file's name behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Self

from optlab.lab.measure.machine import merged
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status
from optlab.text import pluralize


@dataclass
class LoadedFile:
    """The trials of a results file that have its last experiment's settings, data and code."""

    path: Path
    records: list[tuple[str, TrialRecord]] = field(default_factory=list)  # each after its key
    problems: dict[str, ProblemSummary] = field(default_factory=dict)
    problem_fingerprints: dict[str, str] = field(default_factory=dict)  # by name
    optimizer_fingerprints: dict[str, str] = field(default_factory=dict)
    setting: str = ""  # budget and threads of the last experiment, as text
    code: Mapping[str, str] = field(default_factory=dict)  # hashes of optlab's own code
    names: list[str] = field(default_factory=list)  # of the experiments that ran the trials
    machines: list[Mapping[str, str]] = field(default_factory=list)
    definition: dict[str, Any] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)  # number of other trials, by reason

    def optimizer_identities(self) -> dict[str, Hashable]:
        """Return the values that tell optimizers of one name apart, by name."""
        around = self.setting, tuple(sorted(self.code.items()))
        return {name: (value, *around) for name, value in self.optimizer_fingerprints.items()}


class _Names:
    """New names of what several files hold, by old name and identity."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, Hashable], str] = {}

    def resolve(self, own: Mapping[str, Hashable], path: Path) -> dict[str, str]:
        """Return new names for those of a file: equal ones keep the name that they have already."""
        taken = set(self._new.values())
        found = {}
        for name, identity in own.items():
            if (name, identity) not in self._new:
                new = free_name(name, path, taken | (own.keys() - {name}) if name in taken else ())
                self._new[name, identity] = new
                taken.add(new)
            found[name] = self._new[name, identity]
        return found


def free_name(name: str, path: Path, taken: Collection[str]) -> str:
    """Return the name itself where it is free, else with the file's, else with a number.

    Examples
    --------
    >>> free_name("sgd", Path("two.db"), {"sgd", "sgd (two)"})
    'sgd (two2)'
    """
    if name not in taken:
        return name
    others = (f"{name} ({path.stem}{number})" for number in chain([""], count(2)))
    return next(other for other in others if other not in taken)


@dataclass
class MergedFiles:
    """The contents of several results files as one.

    Records are numbered from 0; of several files, each names its own. ``names`` are those of the
    experiments that ran the trials. The ``definition`` of one file is its own, of several ``files``
    each one's, with the names as they are here: ``settings`` are their budgets where they differ,
    ``left out`` says how many trials are not taken and why, ``counted once`` how many several files
    hold alike. ``code`` holds hashes: of ``optlab``, those of its deciding files by path, and of
    ``optimizers``, each one's hyperparameters and code by its name.
    """

    records: list[TrialRecord]
    problems: dict[str, ProblemSummary]
    names: list[str]
    machine: dict[str, str]
    definition: dict[str, Any]
    code: dict[str, dict[str, str]]

    @classmethod
    def of(cls, files: Sequence[LoadedFile]) -> Self:
        """Merge files; a trial that several hold, by its key and its start, is one trial.

        An interrupted trial gives way to one of the same key in another file. The repeats of a
        second file go on counting where those of the first end.
        """
        left_out = sum((file.left_out for file in files), Counter[str]())
        copies = _drop_copies(files)
        files = [file for file in files if file.names]
        found = cls([], {}, [], {}, {}, {})
        definitions: dict[str, dict[str, Any]] = {}
        problems, optimizers = _Names(), _Names()
        for file in files:
            label = free_name(file.path.name, file.path, definitions)
            new = {
                "problems": problems.resolve(file.problem_fingerprints, file.path),
                "optimizers": optimizers.resolve(file.optimizer_identities(), file.path),
            }
            found._add(file, new, label if len(files) > 1 else "")
            definitions[label] = _renamed(file.definition, new)
            hashes = {new["optimizers"][n]: h for n, h in file.optimizer_fingerprints.items()}
            found.code["optimizers"] = merged([found.code.get("optimizers", {}), hashes])
        for number, record in enumerate(found.records):
            record.trial = replace(record.trial, number=number)
        found.names = list(dict.fromkeys(name for file in files for name in file.names))
        found.machine = merged(machine for file in files for machine in file.machines)
        found.definition = _as_one(definitions)
        found.code["optlab"] = merged(file.code for file in files)
        settings = list(dict.fromkeys(file.setting for file in files))
        if len(settings) > 1:
            found.definition["settings"] = "; ".join(settings)
        if left_out:
            reasons = (
                f"{pluralize(number, 'trial')} of {reason}" for reason, number in left_out.items()
            )
            found.definition["left out"] = "; ".join(reasons)
        if copies:
            found.definition["counted once"] = (
                f"{pluralize(copies, 'trial')} that several of the files hold"
            )
        return found

    def _add(self, file: LoadedFile, new: Mapping[str, Mapping[str, str]], label: str) -> None:
        """Add a file's records and problems under their new names."""
        problems, optimizers = new["problems"], new["optimizers"]
        mine = [
            replace(t, problem=problems[t.problem], optimizer=optimizers[t.optimizer], number=0)
            for t in (record.trial for _, record in file.records)
        ]
        known = {replace(record.trial, number=0) for record in self.records}
        shift = max(trial.repeat for trial in known) if not known.isdisjoint(mine) else 0
        for trial, (_, record) in zip(mine, file.records, strict=True):
            record.trial = replace(trial, repeat=trial.repeat + shift)
            record.file = label or record.file
            self.records.append(record)
        for name, summary in file.problems.items():
            self.problems[problems[name]] = replace(summary, name=problems[name])


def _drop_copies(files: Sequence[LoadedFile]) -> int:
    """Drop trials that an earlier file holds too, and return how many had ended.

    A file that holds nothing else has no names then, and is left out.
    """
    trials = [(key, record.status) for file in files for key, record in file.records]
    ended = {key for key, status in trials if status != Status.INTERRUPTED}
    seen: set[tuple[str, ...]] = set()
    copies = 0
    for file in files:
        kept = []
        for key, record in file.records:
            identity: tuple[str, ...] = (key,)
            if key in ended:  # files of schema 1 and 2 do not tell when a trial started
                identity = (key, str(record.started), str(record.seconds))
            if identity in seen:
                copies += len(identity) > 1
            elif len(identity) == 1 or record.status != Status.INTERRUPTED:
                kept.append((key, record))
                seen.add(identity)
        if file.records and not kept:
            file.names = []
        file.records = kept
    return copies


def stable_rates_of(definitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the largest stable rates of all definitions, by problem and optimizer, as an entry.

    Empty where none has any.

    Examples
    --------
    >>> stable_rates_of([{"stable_rates": {"p": {"A": 0.1}}}, {"stable_rates": {"p": {"B": 0.2}}}])
    {'stable_rates': {'p': {'A': 0.1, 'B': 0.2}}}
    """
    rates: dict[str, dict[str, float]] = {}
    for definition in definitions:
        for problem, own in definition.get("stable_rates", {}).items():
            rates[problem] = rates.get(problem, {}) | own
    return {"stable_rates": rates} if rates else {}


def _as_one(definitions: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    each = list(definitions.values())
    if len(each) < 2:
        return dict(*each)
    targets = [definition.get("stop_at") for definition in each]
    return {
        "files": dict(definitions),
        **stable_rates_of(each),
        "stop_at": targets[0] if all(target == targets[0] for target in targets) else None,
        "started": max(str(definition.get("started", "")) for definition in each),
    }


def _renamed(
    definition: Mapping[str, Any], names: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    found = dict(definition)
    for axis, new in names.items():
        if isinstance(found.get(axis), dict):
            found[axis] = _with_keys(found[axis], new)
    if rates := found.get("stable_rates"):  # by problem and optimizer
        own = {name: _with_keys(value, names["optimizers"]) for name, value in rates.items()}
        found["stable_rates"] = _with_keys(own, names["problems"])
    return found


def _with_keys(values: Mapping[str, Any], new: Mapping[str, str]) -> dict[str, Any]:
    return {new.get(name, name): value for name, value in values.items()}
