"""List what changed between two results besides their numbers: versions, code, machine, budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import optlab
from optlab.analysis.common_cells import same_optimizers, written_optimizers
from optlab.analysis.result_tables import ResultTables

MACHINE = ("system", "processor", "cores", "torch threads", "threads of a trial")
"""The facts in which machines differ; their devices besides."""

BUDGET = ("epochs", "stop_at", "recorded_epochs")
"""The parts of the definition that decide where a trial ends and which epochs are recorded."""

_DEFINITION = ("commit", *BUDGET, "order", "rate_rule", "seeds", "repeats")
_MOST_FILES = 4


class Change(NamedTuple):
    """A fact that differs; ``-`` where one of the results does not say it."""

    kind: str  # version, code, machine or experiment
    name: str
    old: str
    new: str


def run_changes(
    old: ResultTables, new: ResultTables, names: tuple[str, str] = ("old", "new")
) -> list[Change]:
    """Return what changed, each once: versions, then code, the machine, and the experiment.

    ``names`` are what the results are called.
    """
    facts = dict.fromkeys([*old.machine, *new.machine])
    changed = [name for name in facts if old.machine.get(name) != new.machine.get(name)]
    about = {name: (old.machine.get(name), new.machine.get(name)) for name in changed}
    of_machine = [n for n in changed if n in MACHINE or n.startswith("device ")]
    of_machine = [n for n in of_machine if n != "device cpu"]  # the threads, which are told
    versions = [n for n in changed if n not in MACHINE and not n.startswith("device ")]
    return [
        *(Change("version", name, *map(_text, about[name])) for name in versions),
        *_code(old, new, names),
        *(Change("machine", name, *map(_text, about[name])) for name in of_machine),
        *_definition(old, new),
    ]


def machine_changes(changes: list[Change]) -> list[Change]:
    """Return the changes that make seconds those of two machines: processor, threads, device."""
    return [change for change in changes if change.kind == "machine" and change.name != "system"]


def _code(old: ResultTables, new: ResultTables, names: tuple[str, str]) -> Iterator[Change]:
    """Yield the files of optlab, and the optimizers of a person's own, whose code changed."""
    if not (old.code and new.code):  # they were not loaded from files
        return
    files = [hashes.get("optlab", {}) for hashes in (old.code, new.code)]
    unknown = [name for name, hashes in zip(names, files, strict=True) if not hashes]
    for name in unknown:
        yield Change("code", f"that of {name} is not known (written by results.save)", "", "")
    if unknown:
        return
    paths = sorted(files[0].keys() | files[1].keys())
    changed = [name for name in paths if files[0].get(name) != files[1].get(name)]
    if changed:
        more = f" and {len(changed) - _MOST_FILES} more" if len(changed) > _MOST_FILES else ""
        yield Change("code", "optlab's", "", f"({', '.join(changed[:_MOST_FILES])}{more})")
    written = written_optimizers(old), written_optimizers(new)
    hashes = [own.get("optimizers", {}) for own in (old.code, new.code)]
    mine = [
        now
        for then, now in same_optimizers(*written).items()
        if hashes[0].get(then) != hashes[1].get(now)
        and not hasattr(optlab, written[1][now].get("class", "").strip('"'))
    ]
    if mine:
        yield Change("code", "that of", "", f"{', '.join(mine)}, or of what {_they(mine)}")


def _they(names: list[str]) -> str:
    return "it uses" if len(names) == 1 else "they use"


def _definition(old: ResultTables, new: ResultTables) -> Iterator[Change]:
    for name in _DEFINITION:
        then, now = old.definition.get(name), new.definition.get(name)
        if _text(then) != _text(now):
            yield Change("experiment", name.replace("_", " "), _text(then), _text(now))


def _text(value: Any) -> str:
    """Return a value as text; lists and tuples, which JSON does not tell apart, look alike."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
