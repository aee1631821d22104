"""Reading results files again, one or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optlab.lab.facts import ProblemFacts
from optlab.lab.records import Trial, TrialRecord
from optlab.lab.store import Store


def read_stores(
    paths: Iterable[str | Path],
) -> tuple[list[TrialRecord], dict[str, ProblemFacts], dict[str, Any]]:
    """Return the records of results files, numbered from 0, their problems, the last experiment.

    Of a trial that a file holds several times, as data or code have changed since, the newest is
    taken. The repeats of a second file go on counting where those of the first end.
    """
    records: list[TrialRecord] = []
    problems: dict[str, ProblemFacts] = {}
    last: dict[str, Any] = {"name": "", "machine": {}, "definition": {}}
    for path in paths:
        with Store(path, create=False) as store:
            records += _newest(store, after=records)
            problems |= store.problems()
            last = [last, *store.experiments()][-1]
    for number, record in enumerate(records):
        record.trial = replace(record.trial, number=number)
    return records, problems, last


def _newest(store: Store, *, after: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return a store's trials in grid order, the newest of each, as repeats after others."""
    found: dict[Trial, TrialRecord] = {}
    for _, record in store.records():
        found[replace(record.trial, number=0)] = record
    known = {replace(record.trial, number=0) for record in after}
    shift = max((trial.repeat for trial in known), default=0) if known & found.keys() else 0
    for record in found.values():
        record.trial = replace(record.trial, repeat=record.trial.repeat + shift)
    return sorted(found.values(), key=lambda record: record.trial.number)
