"""Archive the content of a results file in a copy in its folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from optlab.lab.store.database import open_database
from optlab.lab.store.schema import TABLES
from optlab.lab.store.store_error import StoreError


def archive(path: Path, database: sqlite3.Connection) -> Path:
    """Copy a results file into a new one in its folder, empty it, and return the copy.

    It is called in a transaction: no other process writes between the copy and the deletion.
    """
    copy = copy_in_folder(path)
    for table in TABLES:
        database.execute(f"DELETE FROM {table}")
    return copy


def copy_in_folder(path: Path) -> Path:
    """Copy a results file into a new one in its folder, compare their rows, and return it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    copy = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
    try:
        copy.open("xb").close()  # never another's file, nor one behind a link
        with closing(open_database(path)) as source, closing(open_database(copy)) as target:
            source.backup(target)
            counts = [_row_counts(database) for database in (source, target)]
    except FileExistsError:
        raise
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    if counts[0] != counts[1]:
        raise StoreError(f"{copy} has {counts[1]} rows, but {path} {counts[0]}: nothing is deleted")
    return copy


def _row_counts(database: sqlite3.Connection) -> dict[str, int]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    quoted = [(name, name.replace('"', '""')) for (name,) in tables]
    return {n: database.execute(f'SELECT count(*) FROM "{q}"').fetchone()[0] for n, q in quoted}
