"""The errors of results files, with what to do about each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command's --help loads this, and not torch
    from optlab.lab.trial.record import TrialRecord


class StoreError(ValueError):
    """A results file that cannot be read or written, with the reason.

    Where it ends a run, ``records`` are those of all trials, and ``results`` what
    `optlab.experiment.Experiment.run` would have returned.
    """

    records: Sequence[TrialRecord] = ()
    results: Any = None


class StoreUnavailableError(StoreError):
    """A results file that is locked, or on a full disk: all that it holds is still right."""


_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full",
}


@contextmanager
def store_errors(path: Path, what: str) -> Iterator[None]:
    """Raise a `StoreError` that names the file and the reason, whatever was raised inside."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # a damaged file can make the libraries raise anything
        # The low byte is the kind of error, the others say more of it.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _ADVICE:
            raise StoreUnavailableError(
                f"{path} cannot be {what}: {_ADVICE[code]} ({error}). The trials in it are kept: "
                "mend that and run the same command again, which computes none of them twice"
            ) from error
        raise StoreError(f"{path} cannot be {what}: {error}") from error
