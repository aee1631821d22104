"""Group the trials of an experiment into sweeps: those that can be computed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from optlab.lab.trial.task import Task
from optlab.optimizers import is_direct
from optlab.optimizers.together import kind_of, not_together
from optlab.text import pluralize

_MOST_ROWS = 1 << 22
"""Rows x trials of a step of a sweep at most: what a network makes of them is held in memory."""


def sweeps(tasks: Sequence[Task], at_once: int = 1) -> list[list[Task]]:
    """Return the tasks in groups that can be run together, in the order of their first ones.

    A group's trials are of one problem, batch size, device, dtype and repeat, and of optimizers of
    one class, and differ in numbers and seeds only. A trial that goes with no other is a group.
    Where several groups run ``at_once``, none has more than its share of all trials, but two: large
    ones are split into equal parts.
    """
    share = max(2, -(-len(tasks) // at_once))
    groups: dict[Hashable, list[Task]] = {}
    for task in tasks:
        key: Hashable = task.trial
        if not_together(task.optimizer, task.problem) is None:
            key = _place(task), kind_of(task.optimizer)
        groups.setdefault(key, []).append(task)
    ordered = [sorted(group, key=lambda task: task.trial.number) for group in groups.values()]
    return [part for group in ordered for part in _parts(group, min(share, _most(group)))]


def _parts(group: Sequence[Task], most: int) -> Iterator[list[Task]]:
    """Yield a group in as few parts as can be, as equal as can be."""
    count = -(-len(group) // most)
    for part in range(count):
        first, end = (-(-len(group) * k // count) for k in (part, part + 1))
        yield list(group[first:end])


def unswept(tasks: Sequence[Task]) -> str:
    """Return a sentence on the trials that cannot be run together, or an empty string.

    Those are meant that differ from another in hyperparameters or seed only.
    """
    reasons: dict[tuple[Hashable, type], str] = {}
    count: Counter[tuple[Hashable, type]] = Counter()
    for task in tasks:
        if not is_direct(task.optimizer):
            key = _place(task), type(task.optimizer)
            reasons[key] = not_together(task.optimizer, task.problem) or ""
            count[key] += 1
    alone: Counter[str] = Counter()
    for key, reason in reasons.items():
        if reason and count[key] > 1:
            alone[reason] += count[key]
    if not alone:
        return ""
    why = [f"{reason} ({pluralize(trials, 'trial')})" for reason, trials in alone.items()]
    return f"one by one, not in a sweep: {'; '.join(why)}"


def _place(task: Task) -> Hashable:
    """Return a trial but for its optimizer and seed."""
    return replace(task.trial, number=0, optimizer="", seed=0, setting=0)


def _most(group: Sequence[Task]) -> int:
    """Return how many trials of a group run together at most."""
    rows, size = len(group[0].problem.data.y), group[0].trial.batch_size
    step = min(rows, size) if isinstance(size, int) else rows
    return max(1, _MOST_ROWS // max(1, step))
