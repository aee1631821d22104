"""Results that cannot be lost: one SQLite file an experiment, a transaction a trial."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from optlab.lab.store.archive import archive
from optlab.lab.store.connection import StoreError, connect, connect_readonly, transaction
from optlab.lab.store.encoding import (
    RECORD_COLUMNS,
    arrays_to_bytes,
    bytes_to_arrays,
    number,
    record_to_row,
    row_to_record,
)
from optlab.lab.store.overlap import mark_overlapping, register_running, unregister_running
from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.store.redo import OF_KIND, Redo
from optlab.lab.store.stored_trial import Fingerprints, StoredExperiment, StoredTrial
from optlab.lab.trial.record import TRACE_NUMBERS, TraceRow, Trial, TrialRecord


class Store:
    """Trials, traces, parameters, problems and machines in one SQLite file.

    Each trial is written in a transaction of its own, so a killed process loses none that had
    finished. Several processes may write one file. Opening a file runs nothing that is in it:
    arrays are read without pickle, everything else is numbers and JSON.

    Parameters
    ----------
    path
        The file; made where it is missing, unless ``create`` is False.

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

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"there is no file {self.path}")
        if not self.path.parent.is_dir():
            raise StoreError(f"there is no folder {self.path.parent} for {self.path.name}")
        with self.errors("opened"):
            opened = connect if create else connect_readonly
            self._database = opened(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def begin_experiment(
        self,
        name: str,
        definition: Mapping[str, Any],
        machine: Mapping[str, str],
        prints: Fingerprints,
        wanted: Mapping[str, Trial],
    ) -> int:
        """Record that an experiment begins here, and return its number.

        Parameters
        ----------
        name, definition, machine
            What was asked for, and where it runs.
        prints, wanted
            The fingerprints of its problems and optimizers, and its trials, by key.
        """
        row = (_now(), name, json.dumps(definition, default=str), json.dumps(dict(machine)))
        grid = [(key, json.dumps(asdict(trial))) for key, trial in wanted.items()]
        with self.errors("written"), transaction(self._database):
            cursor = self._database.execute(
                "INSERT INTO experiments (started, name, definition, machine, prints)"
                " VALUES (?, ?, ?, ?, ?)",
                (*row, json.dumps(prints._asdict())),
            )
            number = int(cursor.lastrowid or 0)
            self._database.executemany(  # of several experiments, the last to ask for it has it
                "INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)",
                [(key, number, trial) for key, trial in grid],
            )
            return number

    def add_problem(self, print_: str, facts: ProblemSummary) -> None:
        """Record what is known of a problem, under its fingerprint and its name."""
        plain = {k: v for k, v in asdict(facts).items() if k not in {"optimum", "x", "y"}}
        row = (print_, facts.name, json.dumps(plain, default=str), arrays_to_bytes(facts.optimum))
        points = (arrays_to_bytes({"x": facts.x}), arrays_to_bytes({"y": facts.y}))
        with self.errors("written"), transaction(self._database):
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
        """Record what became of a trial, in one transaction; the first to come stays.

        An interrupted trial gives way to a later one of the same key, and so does one that was done
        by the experiment ``instead_of`` (see `to_redo`).
        """
        row = {"key": key, **record_to_row(record, optimizer), "experiment": experiment}
        marks = ", ".join("?" * len(row))
        trace_marks = ", ".join("?" * (2 + len(TRACE_NUMBERS)))
        trace = [(key, place, *row[: len(TRACE_NUMBERS)]) for place, row in enumerate(record.trace)]
        with self.errors("written"), transaction(self._database):
            gone = "key = ? AND (status = 'interrupted' OR experiment IS ?)"
            this = (key, instead_of)
            self._database.execute(
                f"DELETE FROM traces WHERE key IN (SELECT key FROM trials WHERE {gone})", this
            )
            self._database.execute(f"DELETE FROM trials WHERE {gone}", this)
            columns = ", ".join(row)
            added = self._database.execute(
                f"INSERT OR IGNORE INTO trials ({columns}) VALUES ({marks})", tuple(row.values())
            )
            if added.rowcount:
                self._database.executemany(f"INSERT INTO traces VALUES ({trace_marks})", trace)
            mark_overlapping(self._database, key, record, experiment)

    def begin_trial(self, key: str, experiment: int) -> None:
        """Record that a trial runs from now on, for whoever else writes this file."""
        with self.errors("written"), transaction(self._database):
            register_running(self._database, key, experiment)

    def end_experiment(self, experiment: int) -> None:
        """Record that nothing of an experiment runs any more."""
        with self.errors("written"), transaction(self._database):
            unregister_running(self._database, experiment)

    def knows(self, experiment: int) -> bool:
        """Whether an experiment is still in the file: another process may have set all aside."""
        with self.errors("read"):
            found = self._database.execute("SELECT 1 FROM experiments WHERE id = ?", (experiment,))
            return found.fetchone() is not None

    def finished_keys(self) -> set[str]:
        """Return the keys of the trials that are done: all but the interrupted."""
        query = "SELECT key FROM trials WHERE status != 'interrupted'"
        with self.errors("read"):
            return {key for (key,) in self._database.execute(query)}

    def done_by(self, key: str) -> int | None:
        """Return the experiment that a trial was done by, or None where it is not done."""
        with self.errors("read"):
            query = "SELECT experiment FROM trials WHERE key = ? AND status != 'interrupted'"
            found = self._database.execute(query, (key,)).fetchone()
            return None if found is None else int(found[0])

    def to_redo(self, kind: Redo) -> dict[str, int]:
        """Return the keys of done trials of a kind to be run again, with who they were done by."""
        with self.errors("read"):
            rows = self._database.execute(
                f"SELECT key, experiment FROM trials WHERE {OF_KIND[kind]}"
            )
            return dict(rows.fetchall())

    def records(self, keys: Collection[str] | None = None) -> Iterator[StoredTrial]:
        """Yield these trials (all where none are named), in the order they were written."""
        chosen = None if keys is None else set(keys)
        with self.errors("read"):
            traces: dict[str, list[TraceRow]] = {}
            for key, _, *values in self._database.execute("SELECT * FROM traces ORDER BY 1, 2"):
                if chosen is None or key in chosen:
                    epoch, samples, *numbers, steps = values
                    floats = [number(n) for n in numbers]
                    row = TraceRow._make([int(epoch), int(samples), *floats, int(steps), {}])
                    traces.setdefault(key, []).append(row)
            columns = ", ".join(RECORD_COLUMNS)
            rows = self._database.execute(
                f"SELECT key, experiment, trial, optimizer, parameters, {columns} FROM trials"
                " ORDER BY rowid"
            )
            for key, experiment, trial, optimizer, parameters, *plain in rows:
                if chosen is None or key in chosen:
                    values = dict(zip(RECORD_COLUMNS, plain, strict=True))
                    trace = traces.get(key, [])
                    record = row_to_record(trial, optimizer, parameters, values, trace)
                    yield StoredTrial(key, experiment, record)

    def wanted(self) -> Iterator[tuple[int, str, Trial]]:
        """Yield the last experiment that asked for a trial, the trial's key, and the trial."""
        with self.errors("read"):
            query = "SELECT experiment, key, trial FROM wanted ORDER BY 1"
            for experiment, key, trial in self._database.execute(query):
                yield experiment, key, Trial(**json.loads(trial))

    def problems(self) -> dict[tuple[str, str], ProblemSummary]:
        """Return what is known of each problem, by fingerprint and name."""
        with self.errors("read"):
            found = {}
            for print_, name, facts, *arrays in self._database.execute("SELECT * FROM problems"):
                plain = json.loads(facts)
                plain["feature_names"] = tuple(plain["feature_names"])
                optimum, x, y = map(bytes_to_arrays, arrays)
                found[print_, name] = ProblemSummary(**plain, optimum=optimum, **x, **y)
            return found

    def experiments(self) -> dict[int, StoredExperiment]:
        """Return the experiments run into this file by number, oldest first."""
        with self.errors("read"):
            query = "SELECT id, name, definition, machine, prints FROM experiments ORDER BY id"
            return {
                number: StoredExperiment(
                    name,
                    json.loads(definition),
                    json.loads(machine),
                    Fingerprints(**json.loads(prints)),
                )
                for number, name, definition, machine, prints in self._database.execute(query)
            }

    def archive(self) -> Path:
        """Copy everything into a file beside this one, empty this one, and return the copy."""
        with self.errors("written"):
            return archive(self.path, self._database)

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Say which file could not be opened, read or written, and why."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # a damaged file can make the libraries raise anything
            raise StoreError(f"{self.path} cannot be {what}: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
