"""Opening a results file, to write it or only to read it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from optlab.lab.store.schema import APPLICATION, SCHEMA, SCHEMA_VERSION

_BUSY_SECONDS = 60.0

_STRANGE = (
    "SELECT count(*) FROM sqlite_master"
    " WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%' OR sql LIKE '%GENERATED%'"
)
"""How much of a file is computed when it is read or written: of ours, nothing."""


class StoreError(ValueError):
    """A results file that cannot be read or written, with the reason."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a results file, made where it is missing."""
    return _connect(path, path.absolute(), _begin_to_write)  # `:memory:` is a file's name here


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open a results file without writing to it, also on a disk that is full or read only.

    SQLite makes an index of the write-ahead log in a file beside; where that cannot be, it is kept
    in memory by whoever has the file alone, and is not needed where there is no log.
    """
    if path.stat().st_size == 0:
        raise StoreError(f"{path} is empty: nothing has been written into it")
    try:
        return _connect(path, path, _check)
    except sqlite3.OperationalError:
        log = path.with_name(f"{path.name}-wal")
        if log.is_file() and log.stat().st_size:
            return _connect(path, path, _check_alone)
        return _connect(path, f"{path.absolute().as_uri()}?immutable=1", _check)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Do all of what is inside, or nothing."""
    try:  # Ctrl-C can come when the transaction has begun and before we know
        database.execute("BEGIN IMMEDIATE")
        yield
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _connect(
    path: Path, address: Path | str, begin: Callable[[Path, sqlite3.Connection], object]
) -> sqlite3.Connection:
    # Autocommit: transactions are begun and ended in so many words.
    database = sqlite3.connect(
        address,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=isinstance(address, str),
    )
    try:
        begin(path, database)
    except BaseException:
        database.close()
        raise
    return database


def _check(path: Path, database: sqlite3.Connection) -> int:
    """Return the schema's version; refuse strangers' files and those of a newer optlab."""
    application = database.execute("PRAGMA application_id").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION:
        raise StoreError(f"{path} is an SQLite file, but not one of optlab's")
    if database.execute(_STRANGE).fetchone()[0]:
        raise StoreError(f"{path} is not one of optlab's as optlab writes them: it holds code")
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}: it was written by a newer optlab, this one reads up to "
            f"{SCHEMA_VERSION}"
        )
    if 0 < version < SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema {version}: it was written by an older optlab, this one reads "
            f"{SCHEMA_VERSION}; name another file, or run that one's optlab"
        )
    return version


def _check_alone(path: Path, database: sqlite3.Connection) -> None:
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    _check(path, database)


def _begin_to_write(path: Path, database: sqlite3.Connection) -> None:
    _check(path, database)
    database.execute("PRAGMA journal_mode = WAL")
    # WAL with NORMAL survives the death of the process, and a power cut without damage.
    database.execute("PRAGMA synchronous = NORMAL")
    with transaction(database):
        if _check(path, database) == 0:  # asked again: another process may have been first
            for statement in SCHEMA.split(";"):
                database.execute(statement)
