"""The provenance of results: when they were made, by which command, from which commit."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

_GIT_SECONDS = 2.0
"""Seconds that git may take to look at a large repository; then its commit is not recorded."""


def provenance(command: str = "", *, lasting: bool = False) -> dict[str, str]:
    """Return the present time, the command, and the commit of the working directory.

    A commit ends in ``-dirty`` where tracked files differ from it. Without a command there is no
    ``command``. Git is asked where there is a command, and for ``lasting`` results, which are kept
    in a file; without git, or outside a repository, there is no ``commit``.

    Examples
    --------
    >>> list(provenance("optlab run mine.py"))[:2]
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
            ask, capture_output=True, text=True, errors="replace", check=True, timeout=_GIT_SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
