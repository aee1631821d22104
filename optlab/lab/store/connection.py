"""Open a results file, read-only or for writing."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from optlab.lab.store.archive import copy_in_folder
from optlab.lab.store.database import closed_on_error, open_database, transaction
from optlab.lab.store.migrate import migrate
from optlab.lab.store.schema import APPLICATION, SCHEMA_VERSION, create_tables
from optlab.lab.store.store_error import StoreError
from optlab.lab.store.stray_log import check_logs, uses_wal

_STRANGE = (
    "SELECT count(*) FROM sqlite_master"
    " WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%' OR sql LIKE '%GENERATED%'"
)
"""A count of views, triggers and computed columns, of which a results file has none."""


def connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a results file for writing, made where it is missing.

    One of an older schema is copied and then migrated. A transaction is in the file itself,
    and on the disk, when it ends: SQLite's rollback journal is there only while one is written.
    """
    check_logs(path)
    if uses_wal(path):
        _copy_in_memory(path).close()  # raises where its log is another file's
    with closed_on_error(open_database(path, "rwc", busy_seconds)) as database:
        version = _checked(path, database)
        if version < SCHEMA_VERSION:
            if version:
                copy_in_folder(path)
            database.execute("PRAGMA journal_mode = DELETE")
            with transaction(database):
                _create_or_migrate(path, database)
        return database


def connect_readonly(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open a results file without changing it, also on a disk that is full or read only.

    One of an older schema is migrated in memory. What a killed process has half written is undone.
    """
    check_logs(path)
    old = uses_wal(path)  # there SQLite would make files beside it
    opened = _copy_in_memory(path) if old else open_database(path, "rw", busy_seconds)
    with closed_on_error(opened) as database:
        version = _checked(path, database)
        if version == 0:
            raise StoreError(f"{path} is empty: nothing has been written into it")
        if version == SCHEMA_VERSION:
            return database
    with closing(database), closed_on_error(open_database(None)) as memory:
        database.backup(memory)
        with transaction(memory):
            migrate(memory, version)
        return memory


def _create_or_migrate(path: Path, database: sqlite3.Connection) -> None:
    version = _check(path, database)  # asked again: another process may have been first
    if version == 0:
        create_tables(database)
    elif version < SCHEMA_VERSION:
        migrate(database, version)


def _checked(path: Path, database: sqlite3.Connection) -> int:
    with transaction(database, "DEFERRED"):  # so that it waits for those who write only once
        return _check(path, database)


def _check(path: Path, database: sqlite3.Connection) -> int:
    """Return the schema's version; raise for another application's file or a newer schema."""
    application = database.execute("PRAGMA application_id").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise StoreError(f"{path} is an SQLite file, but not one of optlab's")
    if database.execute(_STRANGE).fetchone()[0]:
        raise StoreError(f"{path} is not one of optlab's as optlab writes them: it holds code")
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if not 0 <= version <= SCHEMA_VERSION or (tables and not version):
        raise StoreError(
            f"{path} has schema {version}: it was written by a newer optlab, this one reads 1 to "
            f"{SCHEMA_VERSION}"
        )
    return version


def _copy_in_memory(path: Path) -> sqlite3.Connection:
    """Return a copy of a file in write-ahead mode, with what its log holds, in memory."""
    real = path.resolve()
    with tempfile.TemporaryDirectory(prefix="optlab-") as folder:
        copy = Path(folder, "copy.db")
        shutil.copyfile(real, copy)
        log = real.with_name(f"{real.name}-wal")
        if log.is_file():
            shutil.copyfile(log, f"{copy}-wal")
        with closing(open_database(copy)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
            state = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if state != "ok":
                raise StoreError(
                    f"{path} is damaged, or {log.name} beside it is another file's log, or an "
                    f"older optlab writes it at this moment: {state}"
                )
            with closed_on_error(open_database(None)) as memory:
                database.backup(memory)
                return memory
