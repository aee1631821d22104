"""When an experiment was run, by which command, from which state of the code."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

_PATIENCE = 2.0
"""Seconds that git may take to look at a large repository; then its commit is not recorded."""


def origin(command: str = "", *, lasting: bool = False) -> dict[str, str]:
    """Return when this is asked, the command, and the commit of the folder that we are in.

    A commit ends in ``-dirty`` where tracked files differ from it. Without a command there is no
    ``command``. Git is asked for results of a command and for ``lasting`` ones, those that are
    kept in a file; without git, or outside a repository, there is no ``commit``.

    Examples
    --------
    >>> list(origin("optlab run mine.py"))[:2]
    ['started', 'command']
    """
    found = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    if command:
        found["command"] = command
    commit = _commit() if command or lasting else ""
    return found | ({"commit": commit} if commit else {})


def _commit() -> str:
    ask = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            ask, capture_output=True, text=True, errors="replace", check=True, timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
