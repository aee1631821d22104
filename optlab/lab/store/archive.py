"""Starting a results file anew without losing what it holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from optlab.lab.store.connection import connect_readonly, transaction

_TABLES = ("traces", "trials", "problems", "wanted", "running", "experiments")


def archive(path: Path, database: sqlite3.Connection) -> Path:
    """Copy all that a results file holds into one beside it, empty it, and return the copy.

    Nobody writes meanwhile, so that what is deleted is what has been copied.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    copy = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
    with transaction(database):
        try:
            with closing(connect_readonly(path)) as reader, closing(sqlite3.connect(copy)) as aside:
                reader.backup(aside)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        for table in _TABLES:
            database.execute(f"DELETE FROM {table}")
    return copy
