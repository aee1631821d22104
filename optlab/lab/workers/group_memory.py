"""Measure the memory of a process and of all that it has forked or shares."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

_COUNTED = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")
"""Memory that a process wrote, shares, or has swapped out; a page of k processes counts
1/k in each, so that a sum over processes counts it once."""


def group_memory(leader: int, *others: int) -> int:
    """Return the bytes that a process, its descendants, its session, and others hold (Linux).

    Pages that they share with none but each other count once, as those of a process and the server
    that forked it. Files that are read count nothing: the kernel can drop them. A process that has
    ended counts nothing.
    """
    return sum(map(_memory, _group(leader).union(others)))


def _group(leader: int) -> set[int]:
    found = {leader}
    with suppress(psutil.Error):
        found |= {child.pid for child in psutil.Process(leader).children(recursive=True)}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _session(entry) == leader:
            found.add(int(entry.name))
    return found


def _session(entry: Path) -> int | None:
    # The name before it can hold spaces and brackets, so that fields count from the last bracket.
    with suppress(OSError, ValueError, IndexError):
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return int(fields[3])
    return None


def _memory(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))
    return 0
