"""Which trials ran beside those of another process that writes the same file."""

from __future__ import annotations

import os
import sqlite3
import sys
import time

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status


def register_running(database: sqlite3.Connection, key: str, experiment: int) -> None:
    """Let other processes see that a trial runs from now on."""
    database.execute(
        "INSERT OR REPLACE INTO running VALUES (?, ?, ?)", (experiment, key, os.getpid())
    )


def unregister_running(database: sqlite3.Connection, experiment: int) -> None:
    """Let other processes see that nothing of an experiment runs any more."""
    database.execute("DELETE FROM running WHERE experiment = ?", (experiment,))


def mark_overlapping(
    database: sqlite3.Connection, key: str, record: TrialRecord, experiment: int
) -> None:
    """Mark as contended a trial that ends now, and those of others that it ran beside.

    To be called in the transaction that keeps it. It ran beside what others run now, as far as
    their processes live, and beside what was kept since it began, by the system's clock. One of the
    same key that has been kept before, by another process, was beside it all the same.
    """
    now = time.time()
    database.execute("DELETE FROM running WHERE experiment = ? AND key = ?", (experiment, key))
    database.execute("UPDATE trials SET ended = ? WHERE key = ? AND ended IS NULL", (now, key))
    if record.status == Status.SKIPPED:  # it did nothing
        return
    beside = database.execute(
        "UPDATE trials SET contended = 1"
        " WHERE ended > ? AND started < ? AND experiment != ? AND status != 'skipped'",
        (record.started, now, experiment),
    )
    others = database.execute(
        "SELECT DISTINCT pid FROM running WHERE experiment != ?", (experiment,)
    )
    if beside.rowcount or any(_lives(pid) for (pid,) in others.fetchall()):
        database.execute("UPDATE trials SET contended = 1 WHERE key = ?", (key,))


def _lives(pid: int) -> bool:
    if sys.platform == "win32":  # there the question would kill it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another person's
        return True
    return True
