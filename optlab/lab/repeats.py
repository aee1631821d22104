"""Repeat short trials, so that the difference between two of them can be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.task import Task

ENOUGH = 3
"""Trials of each setting, over its seeds, from which pairs are compared."""

SHARE, LEAST = 0.1, 0.3
"""Repeats take at most this share of the seconds that all trials took, or so many seconds."""


def repeats_of_short(
    tasks: Sequence[Task], records: Mapping[int, TrialRecord], number: int
) -> list[Task]:
    """Return the tasks that repeat the settings of the shortest trials until there are 3 of each.

    They are numbered from ``number`` on. What they take is judged by the seconds of the trials that
    ended, so that a resumed experiment repeats the same ones; trials without an answer, and those
    whose seconds are never ranked, are not repeated.
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
    """Return the seconds of a trial, with its first pass; infinite where it is not repeated."""
    ranked = record.trace and record.status.is_result and not (record.contended or record.shared)
    if not ranked or not math.isfinite(record.seconds):
        return math.inf
    first = record.first_pass_seconds
    return record.seconds + (first if math.isfinite(first) else 0.0)
