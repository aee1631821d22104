"""Which trials ran beside those of another process that writes the same file."""

from __future__ import annotations

import sqlite3
import time

from optlab.lab.records import TrialRecord
from optlab.lab.status import Status


def mark_contended(
    database: sqlite3.Connection, key: str, record: TrialRecord, experiment: int
) -> None:
    """Mark as contended a trial that ends now, and those of others that it ran beside.

    To be called in the transaction that keeps it. Each trial knows when it began and when it was
    kept, by the system's clock; of two that overlap, the one kept last marks both. One of the same
    key that has been kept before, by another process, was beside it all the same.
    """
    now = time.time()
    database.execute("UPDATE trials SET ended = ? WHERE key = ? AND ended IS NULL", (now, key))
    if record.status == Status.SKIPPED:  # it did nothing
        return
    beside = database.execute(
        "UPDATE trials SET contended = 1"
        " WHERE ended > ? AND started < ? AND experiment != ? AND status != 'skipped'",
        (record.started, now, experiment),
    )
    if beside.rowcount:
        database.execute("UPDATE trials SET contended = 1 WHERE key = ?", (key,))
