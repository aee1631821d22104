"""Mark trials that ran beside those of another process that writes the same file."""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
import time
from pathlib import Path

from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.status import Status

_BEYOND = 2**40
"""Locked bytes lie from here on, beyond the end of any file and what SQLite locks."""


class RunningLock:
    """A lock on a byte of a results file, one byte an experiment, held while its trials run.

    The kernel releases it when the process ends, however it ends, and shows it to the processes of
    all containers, where a process number would mean another process in each. Systems other than
    Linux have no locks of open files; there no other process is seen to run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._experiment: int | None = None

    def take(self, experiment: int) -> None:
        """Lock the byte of an experiment: its trials run from now on."""
        if sys.platform != "linux" or experiment == self._experiment:
            return
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR)
        self.release()
        if self._control("F_OFD_SETLK", "F_WRLCK", _BEYOND + experiment, 1) is not None:
            self._experiment = experiment

    def release(self) -> None:
        """Unlock the byte: no trial runs here any more."""
        self._control("F_OFD_SETLK", "F_UNLCK", _BEYOND, 0)
        self._experiment = None

    def others_run(self) -> bool:
        """Return whether another process holds such a lock."""
        found = self._control("F_OFD_GETLK", "F_WRLCK", _BEYOND, 0)
        return found is not None and found != "F_UNLCK"

    def close(self) -> None:
        """Release the lock, and close the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = self._experiment = None

    def _control(self, command: str, kind: str, start: int, length: int) -> str | None:
        """Call fcntl and return the kind of lock, or None where there are no such locks."""
        if self._file is None or sys.platform != "linux":
            return None
        import fcntl  # noqa: PLC0415 - there is none on Windows

        # struct flock: type, whence, start, length (0: to the end), process.
        lock = struct.pack("hhqqi4x", getattr(fcntl, kind), os.SEEK_SET, start, length, 0)
        try:
            answer = fcntl.fcntl(self._file, getattr(fcntl, command), lock)
        except OSError:  # a file system without locks
            return None
        return "F_UNLCK" if struct.unpack_from("h", answer)[0] == fcntl.F_UNLCK else "F_WRLCK"


def mark_overlapping(
    database: sqlite3.Connection, key: str, record: TrialRecord, experiment: int, *, overlaps: bool
) -> None:
    """Mark as contended a trial that ends now, and those of others that it ran beside.

    To be called in the transaction that keeps it. It ran beside what was kept since it began, by
    the system's clock, and beside what others run at the moment (``overlaps``). A trial of the same
    key that another process has kept before overlaps as well.
    """
    now = time.time()
    database.execute("UPDATE trials SET ended = ? WHERE key = ? AND ended IS NULL", (now, key))
    if record.status == Status.SKIPPED:  # it did nothing
        return
    found = database.execute(
        "UPDATE trials SET contended = 1"
        " WHERE ended > ? AND started < ? AND experiment != ? AND status != 'skipped'",
        (record.started, now, experiment),
    )
    if found.rowcount or overlaps:
        database.execute("UPDATE trials SET contended = 1 WHERE key = ?", (key,))
