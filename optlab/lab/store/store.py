"""A results file: an SQLite file to which each trial is written in a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from optlab.lab.store.archive import archive
from optlab.lab.store.connection import connect, connect_readonly
from optlab.lab.store.database import transaction
from optlab.lab.store.encoding import (
    ASKED_FOR,
    arrays_to_bytes,
    bytes_to_arrays,
    record_to_row,
    row_to_record,
    to_json,
)
from optlab.lab.store.overlap import RunningLock, mark_overlapping
from optlab.lab.store.plain_values import from_plain
from optlab.lab.store.problem_summary import ARRAYS, ProblemSummary
from optlab.lab.store.redo import OF_KIND, Redo
from optlab.lab.store.store_error import StoreError, store_errors
from optlab.lab.store.stored_trial import SAVED, Fingerprints, StoredExperiment, StoredTrial
from optlab.lab.trial.record import Trial, TrialRecord


class Store:
    """Trials, traces, parameters, problems and machines in one SQLite file.

    Each trial is written in a transaction of its own, and is in the file itself when that ends: so
    a killed process loses none that had finished, and the file may be copied or moved. What was
    interrupted while it was written may be written again. Several processes may write one file,
    each in one thread at a time. Opening a file runs nothing that is in it: arrays are read without
    pickle, everything else is numbers and JSON.

    The file is made where it is missing; without ``create`` it is only read. ``busy_seconds`` is
    how long to wait for another process that keeps it locked.

    Raises
    ------
    StoreError
        For a file that is missing (without ``create``), no optlab's, damaged, or not to be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/results.db") as store:
    ...     store.finished_keys()
    set()
    """

    def __init__(
        self, path: str | Path, *, create: bool = True, busy_seconds: float = 60.0
    ) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"there is no file {self.path}")
        if not self.path.parent.is_dir():
            raise StoreError(f"there is no folder {self.path.parent} for {self.path.name}")
        with self.errors("opened"):
            opened = connect if create else connect_readonly
            self._database = opened(self.path, busy_seconds)
        self._running = RunningLock(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self._running.close()

    def begin_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        machine: Mapping[str, str],
        fingerprints: Fingerprints,
        wanted: Mapping[str, Trial],
    ) -> int:
        """Record that an experiment begins here, and return its number.

        Parameters
        ----------
        name, definition, machine
            What was asked for, and where it runs.
        fingerprints, wanted
            The fingerprints of its problems and optimizers, and its trials, by key.
        """
        started = datetime.now(UTC).isoformat(timespec="seconds")
        row = (started, name, json.dumps(definition, default=str), json.dumps(dict(machine)))
        with self._writing():
            cursor = self._database.execute(
                "INSERT INTO experiments (started, name, definition, machine, fingerprints)"
                " VALUES (?, ?, ?, ?, ?)",
                (*row, json.dumps(fingerprints._asdict())),
            )
            number = int(cursor.lastrowid or 0)
            self._want(number, wanted)
            return number

    def want(self, experiment: int, wanted: Mapping[str, Trial]) -> None:
        """Record that an experiment asks for more trials, by key."""
        with self._writing():
            self._want(experiment, wanted)

    def _want(self, experiment: int, wanted: Mapping[str, Trial]) -> None:
        self._database.executemany(  # of several experiments, the last to ask for it has it
            "INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)",
            [(key, experiment, json.dumps(asdict(trial))) for key, trial in wanted.items()],
        )

    def add_problem(self, fingerprint: str, summary: ProblemSummary) -> None:
        """Record the summary of a problem, under its fingerprint and its name."""
        plain = {k: v for k, v in asdict(summary).items() if k not in ARRAYS}
        row = (fingerprint, summary.name, to_json(plain), arrays_to_bytes(summary.parameters))
        points = (arrays_to_bytes({"x": summary.x}), arrays_to_bytes({"y": summary.y}))
        with self._writing():
            self._database.execute(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?)", (*row, *points)
            )

    def add(
        self,
        key: str,
        record: TrialRecord,
        optimizer: Mapping[str, Any],
        experiment: int,
        *,
        instead_of: int | None = None,
    ) -> None:
        """Write the record of a trial, in one transaction; an earlier record of the same key stays.

        An interrupted trial gives way to a later one of the same key, and so does one that was done
        by the experiment ``instead_of`` (see `to_redo`).
        """
        row = {"key": key, "experiment": experiment, **record_to_row(record, optimizer)}
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        with self._writing():
            self._database.execute(
                "DELETE FROM trials WHERE key = ? AND (status = 'interrupted' OR experiment IS ?)",
                (key, instead_of),
            )
            self._database.execute(
                f"INSERT OR IGNORE INTO trials ({columns}) VALUES ({marks})", tuple(row.values())
            )
            overlaps = self._running.others_run()
            mark_overlapping(self._database, key, record, experiment, overlaps=overlaps)

    def add_all(self, records: Mapping[str, TrialRecord], experiment: int) -> None:
        """Write the records of an experiment by key, all in one transaction."""
        rows = [
            {"key": key, "experiment": experiment, **record_to_row(record, record.optimizer)}
            for key, record in records.items()
        ]
        with self._writing():
            for row in rows:
                columns, marks = ", ".join(row), ", ".join("?" * len(row))
                self._database.execute(
                    f"INSERT INTO trials ({columns}) VALUES ({marks})", tuple(row.values())
                )

    def lock_running(self, experiment: int) -> None:
        """Take the lock by which other processes see that trials of an experiment run."""
        with self.errors("locked"):
            self._running.take(experiment)

    def unlock_running(self) -> None:
        """Release the lock of running trials."""
        self._running.release()

    def has_experiment(self, experiment: int) -> bool:
        """Return whether an experiment is in the file; another process may have archived it."""
        with self.errors("read"):
            found = self._database.execute("SELECT 1 FROM experiments WHERE id = ?", (experiment,))
            return found.fetchone() is not None

    def finished_keys(self) -> set[str]:
        """Return the keys of the trials that are done: all but the interrupted."""
        query = "SELECT key FROM trials WHERE status != 'interrupted'"
        with self.errors("read"):
            return {key for (key,) in self._database.execute(query)}

    def stored_keys(self) -> set[str]:
        """Return the keys of all trials, the interrupted ones too."""
        with self.errors("read"):
            return {key for (key,) in self._database.execute("SELECT key FROM trials")}

    def saved_keys(self) -> set[str]:
        """Return the keys of the trials that were saved as a whole: no experiment knows them."""
        own = "json_extract(fingerprints, '$.surroundings')"
        saved = f"SELECT id FROM experiments WHERE {own} = ?"
        with self.errors("read"):
            query = f"SELECT key FROM trials WHERE experiment IN ({saved})"
            return {key for (key,) in self._database.execute(query, (SAVED,))}

    def done_by(self, key: str) -> int | None:
        """Return the number of the experiment that ran a finished trial, else None."""
        with self.errors("read"):
            query = "SELECT experiment FROM trials WHERE key = ? AND status != 'interrupted'"
            found = self._database.execute(query, (key,)).fetchone()
            return None if found is None else int(found[0])

    def to_redo(self, kind: Redo) -> dict[str, int]:
        """Return the keys of finished trials of a kind, each with the experiment that ran it."""
        with self.errors("read"):
            rows = self._database.execute(
                f"SELECT key, experiment FROM trials WHERE {OF_KIND[kind]}"
            )
            return dict(rows.fetchall())

    def starts(self) -> dict[str, tuple[float, bool]]:
        """Return when each trial started, and whether it is contended, by key."""
        query = "SELECT key, started, contended FROM trials"
        with self.errors("read"):
            rows = self._database.execute(query)
            return {key: (started, bool(contended)) for key, started, contended in rows}

    def records(self, keys: Collection[str] | None = None) -> list[StoredTrial]:
        """Return these trials (all where none are named), in the order they were written."""
        columns = ("key", "experiment", *ASKED_FOR, "record", "trace", "parameters")
        named = "" if keys is None else "WHERE key IN (SELECT value FROM json_each(:keys))"
        query = f"SELECT {', '.join(columns)} FROM trials {named} ORDER BY rowid"
        with self.errors("read"):
            rows = self._database.execute(query, {"keys": json.dumps(list(keys or ()))})
            by_name = (dict(zip(columns, row, strict=True)) for row in rows)
            return [StoredTrial(r["key"], r["experiment"], row_to_record(r)) for r in by_name]

    def wanted(self) -> list[tuple[int, str, Trial]]:
        """Return each trial asked for, after its key and the last experiment that asked for it."""
        with self.errors("read"):
            rows = self._database.execute("SELECT experiment, key, trial FROM wanted ORDER BY 1")
            return [
                (number, key, from_plain(Trial, json.loads(trial))) for number, key, trial in rows
            ]

    def problems(self) -> dict[tuple[str, str], ProblemSummary]:
        """Return the summary of each problem, by fingerprint and name."""
        query = "SELECT fingerprint, name, summary, parameters, x, y FROM problems"
        with self.errors("read"):
            found = {}
            for fingerprint, name, plain, *blobs in self._database.execute(query):
                parameters, x, y = map(bytes_to_arrays, blobs)
                values = json.loads(plain) | {"parameters": parameters, **x, **y}
                found[fingerprint, name] = from_plain(ProblemSummary, values)
            return found

    def experiments(self) -> dict[int, StoredExperiment]:
        """Return the experiments run into this file by number, oldest first."""
        plain = ("definition", "machine", "fingerprints")
        query = f"SELECT id, name, {', '.join(plain)} FROM experiments ORDER BY id"
        with self.errors("read"):
            found = {}
            for number, name, *texts in self._database.execute(query):
                values = dict(zip(plain, map(json.loads, texts), strict=True))
                found[int(number)] = from_plain(StoredExperiment, {"name": name} | values)
            return found

    def archive(self) -> Path:
        """Copy the file into a new one in its folder, empty it, and return the copy."""
        with self._writing():
            return archive(self.path, self._database)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read in one transaction, so that all reads inside see the same state of the file."""
        with self.errors("read"), transaction(self._database, "DEFERRED"):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self.errors("written"), transaction(self._database):
            yield

    def errors(self, what: str) -> AbstractContextManager[None]:
        """Raise a `StoreError` that says why the file could not be opened, read or written."""
        return store_errors(self.path, what)
