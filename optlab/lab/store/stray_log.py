"""A check that a log beside a results file is the file's own, before SQLite applies or deletes it.

A killed process leaves its rollback journal (``r.db-journal``) beside the file, and SQLite undoes
the half-written transaction with it when the file is opened next. It takes a journal by its name
alone: where the file has been moved meanwhile and another one has its name, that one is damaged.
The format is described at https://www.sqlite.org/fileformat2.html, section 3.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from optlab.lab.store.store_error import StoreError

_MAGIC = bytes.fromhex("d9d505f920a163d7")
_HEADER = 100
"""Bytes of a database's header, at the begin of its first page."""


def check_logs(path: Path) -> None:
    """Raise a `StoreError` where a log beside a file is another file's."""
    path = path.resolve()  # SQLite looks beside the file that a link points to
    journal, log = (path.with_name(f"{path.name}-{kind}") for kind in ("journal", "wal"))
    if _size(log) and not uses_wal(path):  # only older versions wrote one
        raise _stray(log, path)
    while entry := _first_entry(journal):
        own = _belongs(entry, path)
        if _first_entry(journal) != entry:  # a process that writes has gone on meanwhile
            continue
        if not own:
            raise _stray(journal, path)
        return


def uses_wal(path: Path) -> bool:
    """Return whether a database is in write-ahead mode, as files of schema 1 to 3 are."""
    return _header(path)[18:19] == b"\x02"


def _stray(log: Path, path: Path) -> StoreError:
    kind = log.name.rpartition("-")[2]
    return StoreError(
        f"{log} is not the log of {path.name}: it belongs to a file that was moved or replaced "
        f"after a run of it had been killed. Put it beside that file, with -{kind} behind that "
        "file's name, or delete it, or choose another file"
    )


class _Entry(NamedTuple):
    """The begin of a journal, and the header that the file had before the transaction."""

    begin: bytes
    pages: int
    header: bytes | None


def _first_entry(journal: Path) -> _Entry | None:
    """Return the header of a journal, or None where SQLite would not apply it."""
    try:
        with journal.open("rb") as file:
            begin = file.read(28)
            if not begin or begin[0] == 0:  # not complete, and so nothing has been overwritten
                return None
            if begin[:8] != _MAGIC or len(begin) < 28:
                return _Entry(begin, -1, None)
            count, _, pages, sector, size = struct.unpack(">iIIII", begin[8:])
            return _Entry(begin, pages, _first_page(file, count, sector, size))
    except FileNotFoundError:
        return None


def _first_page(file: BinaryIO, count: int, sector: int, size: int) -> bytes | None:
    """Return the header among the pages that a journal holds."""
    place = sector
    while count:
        file.seek(place)
        number = file.read(4)
        if len(number) < 4:
            return None
        if number == b"\0\0\0\1":
            return file.read(_HEADER)
        place += size + 8
        count -= 1
    return None


def _belongs(entry: _Entry, path: Path) -> bool:
    """Return whether a journal was written for this file, as it is or in the transaction after.

    The schema cookie is random and each transaction counts the change counter up by one. A journal
    of the transaction that made the file holds no page.
    """
    header = _header(path)
    counter = int.from_bytes(header[24:28], "big")
    if entry.pages == 0:
        return counter <= 1
    before = entry.header
    if before is None or len(before) < _HEADER or len(header) < _HEADER:
        return False
    steps = counter - int.from_bytes(before[24:28], "big")
    return header[40:44] == before[40:44] and steps in {0, 1}


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER)
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
