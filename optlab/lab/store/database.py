"""Open an SQLite database, and read or write it in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal


def open_database(
    path: Path | None, mode: Literal["rw", "rwc"] = "rw", busy_seconds: float = 60.0
) -> sqlite3.Connection:
    """Open a database, or one in memory where there is no path; ``"rwc"`` creates the file."""
    database = sqlite3.connect(
        # An absolute path as a URI, quoted: no name means anything to SQLite but itself.
        f"{path.absolute().as_uri()}?mode={mode}" if path else ":memory:",
        timeout=busy_seconds,
        isolation_level=None,  # transactions are begun and ended in so many words
        check_same_thread=False,
        uri=path is not None,
    )
    with closed_on_error(database):
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        # So that a journal holds the first page, by which `check_logs` knows it, before any page
        # of the file is overwritten.
        database.execute("PRAGMA cache_spill = OFF")
    return database


@contextmanager
def closed_on_error(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Close a database where an exception leaves the block, and only then."""
    try:
        yield database
    except BaseException:
        database.close()
        raise


@contextmanager
def transaction(
    database: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[None]:
    """Do all of what is inside, or nothing; it may be repeated after Ctrl-C at any place.

    ``DEFERRED`` is for reading: all of what is inside sees the file at one moment.
    """
    if database.in_transaction:  # one that Ctrl-C cut off where it could not be undone
        database.execute("ROLLBACK")
    try:
        database.execute(f"BEGIN {kind}")
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
