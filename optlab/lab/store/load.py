"""Load results files: each as its last experiment would load it, several merged into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from optlab.lab.store.judge_records import with_best_known
from optlab.lab.store.merge import LoadedFile, MergedFiles, stable_rates_of
from optlab.lab.store.store import Store
from optlab.lab.store.store_error import StoreError
from optlab.lab.store.stored_trial import StoredExperiment
from optlab.lab.trial.best_known import judge_against_best_known
from optlab.lab.trial.record import Trial, TrialRecord

NOT_RUN = "not run: the experiment was stopped before, or is still running"


def read_stores(paths: Iterable[str | Path]) -> MergedFiles:
    """Return the contents of results files, each as its last experiment would load it.

    Only comparable trials are taken: those of the last experiment's budget, threads, versions and
    machine, and of the last problem and optimizer of each name. A trial that the last experiment
    asked for and that has not run is interrupted. For several files see `optlab.lab.store.merge`.

    Raises
    ------
    StoreError
        For a file that cannot be read, or that is named twice.
    """
    files, seen = [], set()
    for path in map(Path, paths):
        with Store(path, create=False) as store, store.snapshot():
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                raise StoreError(f"{path} is named twice, or is a link to another of the files")
            seen.add((status.st_dev, status.st_ino))
            files.append(_load(store))
    found = MergedFiles.of(files)
    found.problems = with_best_known(found.records, found.problems)
    return found


def _load(store: Store) -> LoadedFile:
    experiments = store.experiments()
    loaded = LoadedFile(path=store.path)
    if not experiments:
        return loaded
    number, last = max(experiments.items())
    loaded.setting, loaded.code = last.fingerprints.setting, last.fingerprints.code
    for experiment in experiments.values():
        loaded.problem_fingerprints |= experiment.fingerprints.problems
        loaded.optimizer_fingerprints |= experiment.fingerprints.optimizers
    chosen = _choose(store, experiments, loaded)
    held = {stored.key: stored for stored in store.records({key for key, _ in chosen})}
    for key, trial in chosen:
        record = held[key].record if key in held else TrialRecord(trial, message=NOT_RUN)
        record.trial = trial
        loaded.records.append((key, record))
    used = {record.trial.problem for _, record in loaded.records}
    loaded.problems = {
        name: summary
        for (fingerprint, name), summary in store.problems().items()
        if name in used and loaded.problem_fingerprints[name] == fingerprint
    }
    if missing := used - loaded.problems.keys():
        raise StoreError(f"{store.path} holds no summary of {', '.join(sorted(missing))}")
    ran = {stored.experiment for stored in held.values()} | {number}
    own = [experiment for n, experiment in experiments.items() if n in ran]
    loaded.names = [experiment.name for experiment in own]
    loaded.machines = [experiment.machine for experiment in own]
    loaded.definition = _all_asked([experiment.definition for experiment in own])
    judge_against_best_known(
        [record for _, record in loaded.records],
        {name: summary.reference_loss for name, summary in loaded.problems.items()},
        last.definition.get("stop_at"),
    )
    return loaded


def _choose(
    store: Store, experiments: Mapping[int, StoredExperiment], loaded: LoadedFile
) -> list[tuple[str, Trial]]:
    """Return the keys and trials that have the last experiment's settings, data and code."""
    stored, last = store.stored_keys(), max(experiments)
    reasons = {n: _differences(e, experiments[last]) for n, e in experiments.items()}
    chosen: dict[Trial, tuple[str, Trial]] = {}
    for number, key, trial in store.wanted():  # the last to ask comes last, and stays
        fingerprints = experiments[number].fingerprints
        reason = reasons[number]
        if fingerprints.problems[trial.problem] != loaded.problem_fingerprints[trial.problem]:
            reason = f"other data or code of problem {trial.problem!r}"
        elif (
            fingerprints.optimizers[trial.optimizer]
            != loaded.optimizer_fingerprints[trial.optimizer]
        ):
            reason = f"other settings or code of optimizer {trial.optimizer!r}"
        if reason:
            loaded.left_out[reason] += key in stored
        elif key in stored or number == last:
            chosen[replace(trial, number=0)] = key, trial
    loaded.left_out = +loaded.left_out
    return sorted(chosen.values(), key=lambda pair: pair[1].number)


def _differences(experiment: StoredExperiment, last: StoredExperiment) -> str:
    """Return the difference of two experiments' settings, code or machine as text, or nothing."""
    mine, its = experiment.fingerprints, last.fingerprints
    if mine.setting != its.setting:
        return f"another budget or other threads ({mine.setting}; the last: {its.setting})"
    if mine.surroundings == its.surroundings:
        return ""
    modules = [name for name in mine.code.keys() | its.code.keys()
               if mine.code.get(name) != its.code.get(name)]  # fmt: skip
    facts = [f"{name} {experiment.machine.get(name)}; the last: {value}"
             for name, value in last.machine.items()
             if experiment.machine.get(name) != value]  # fmt: skip
    if modules:
        return f"other code of optlab ({', '.join(sorted(modules))})"
    return (
        f"other versions or another machine ({', '.join(facts)})"
        if facts
        else "other code of optlab"
    )


def _all_asked(definitions: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last definition with the axes of all definitions merged."""
    found = dict(definitions[-1])
    for axis, last in found.items():
        values = [d[axis] for d in definitions if axis in d]
        if axis == "repeats":  # a number says more than "auto", which is above 1 and below 2
            found[axis] = max(values, key=lambda own: 1.5 if own == "auto" else own)
        elif isinstance(last, dict) and axis != "stop_at":
            found[axis] = {k: v for value in values for k, v in value.items()}
        elif isinstance(last, list) and axis != "recorded_epochs":
            found[axis] = list(dict.fromkeys(v for value in values for v in value))
    return found | stable_rates_of(definitions)
