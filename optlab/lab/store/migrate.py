"""Migrate the tables of an older results file to the present schema."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from optlab.lab.store.encoding import array_to_bytes, to_json
from optlab.lab.store.schema import create_tables

Row = dict[str, Any]
Tables = dict[str, list[Row]]

_OLD_TABLES = ("running", "traces", "wanted", "trials", "problems", "experiments")
_COLUMNS = {
    "experiments": ("id", "started", "name", "definition", "machine", "fingerprints"),
    "wanted": ("key", "experiment", "trial"),
    "problems": ("fingerprint", "name", "summary", "parameters", "x", "y"),
    "trials": ("key", "experiment", "status", "started", "ended", "contended", "peak_bytes",
               "record", "trace", "parameters"),
}  # fmt: skip
_RECORD = ("message", "traceback", "machine", "transfer_seconds", "first_pass_seconds", "seconds",
           "cores_short")  # fmt: skip
_RENAMED = {"target": "stop_at", "record": "recorded_epochs"}
"""Names of the budget that have changed."""


def migrate(database: sqlite3.Connection, version: int) -> None:
    """Bring the tables of an older schema to the present one, in the transaction that is open.

    Those of schema 1, 2 and 3 are rebuilt. Nothing is dropped that can be read: what an older
    version did not write has its default.
    """
    if version == 4:
        _give_schema_5(database)
        return
    old = {table: _rows(database, table) for table in _OLD_TABLES}
    last = _last_number(database, old["experiments"])
    if version == 1:
        _give_schema_2(old)
    for table in _OLD_TABLES:
        database.execute(f"DROP TABLE IF EXISTS {table}")
    create_tables(database)
    traces = _traces(old["traces"])
    make: dict[str, Callable[[Row], Row]] = {
        "experiments": _experiment,
        "wanted": dict,
        "problems": lambda row: (
            row
            | {
                "fingerprint": row["print"],
                "summary": _with_reference(row["facts"]),
                "parameters": row["optimum"],
            }
        ),
        "trials": lambda row: _trial(row, traces),
    }
    for table, columns in _COLUMNS.items():  # by our names: those in the file are a stranger's
        statement = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
        rows = map(make[table], old[table])
        database.executemany(statement, [tuple(map(row.get, columns)) for row in rows])
    database.execute("DELETE FROM sqlite_sequence")
    database.execute("INSERT INTO sqlite_sequence VALUES ('experiments', ?)", (last,))


def _rows(database: sqlite3.Connection, table: str) -> list[Row]:
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return []
    cursor = database.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _last_number(database: sqlite3.Connection, experiments: list[Row]) -> int:
    """Return the last number that an experiment has had: none is used again."""
    found = [row["seq"] for row in _rows(database, "sqlite_sequence")]
    return max([*found, *(row["id"] for row in experiments)], default=0)


def _experiment(row: Row) -> Row:
    prints = {"setting": "", "surroundings": ""} | json.loads(row["prints"])
    for old, new in _RENAMED.items():
        prints["setting"] = prints["setting"].replace(f", {old} ", f", {new} ")
    definition = _renamed(json.loads(row["definition"]))
    return row | {"fingerprints": json.dumps(prints), "definition": json.dumps(definition)}


def _trial(row: Row, traces: dict[str, bytes]) -> Row:
    record = {name: row.get(name) for name in _RECORD if row.get(name) is not None}
    record |= {name: json.loads(row[name]) for name in ("trial", "optimizer")}
    return row | {"record": to_json(record), "trace": traces.get(row["key"], traces[""])}


def _traces(rows: list[Row]) -> dict[str, bytes]:
    """Return each key's trace as an npy file, and an empty one for the key ``""``."""
    by_key: dict[str, list[Row]] = defaultdict(list, {"": []})
    for row in rows:
        by_key[row.pop("key")].append(row)
    found = {}
    for key, own in by_key.items():
        own.sort(key=lambda row: row["place"])
        names = [name for name in (own[0] if own else ("epoch",)) if name != "place"]
        kinds = [(name, "<i8" if name in {"epoch", "samples"} else "<f8") for name in names]
        table = [tuple(np.nan if row[n] is None else row[n] for n in names) for row in own]
        found[key] = array_to_bytes(np.array(table, dtype=kinds))
    return found


def _renamed(definition: Row) -> Row:
    return {_RENAMED.get(name, name): value for name, value in definition.items()}


def _give_schema_2(old: Tables) -> None:
    """Add what schema 1 did not keep: fingerprints, and which experiment asked for a trial.

    A problem's fingerprint is made of its facts, an optimizer's of its settings: so a file and its
    copy have the same, and no two problems do that differ.
    """
    problems = {}
    for row in old["problems"]:
        row["print"] = problems[row["name"]] = _digest(row["facts"].encode(), row["optimum"])
    for row in old["experiments"]:
        definition = json.loads(row["definition"])
        optimizers = definition["optimizers"]
        asked = {name: definition.get(name) for name in ("epochs", "target", "record")}
        prints = {
            "problems": problems,
            "optimizers": {name: _digest(json.dumps(o).encode()) for name, o in optimizers.items()},
            "setting": ", ".join(f"{k} {v}" for k, v in asked.items() if v is not None),
        }
        row["prints"] = json.dumps(prints)
    for row in old["trials"]:
        row["experiment"] = row.pop("machine")
        trial = json.loads(row["trial"]) | {"number": row.pop("number")}
        wanted = {"key": row["key"], "experiment": row["experiment"], "trial": json.dumps(trial)}
        old["wanted"].append(wanted)


def _give_schema_5(database: sqlite3.Connection) -> None:
    """Turn the optimum and its certificate, which schema 4 keeps, into a reference."""
    database.execute("ALTER TABLE problems RENAME COLUMN optimum TO parameters")
    rows = database.execute("SELECT rowid, summary FROM problems").fetchall()
    database.executemany(
        "UPDATE problems SET summary = ? WHERE rowid = ?",
        [(_with_reference(summary), number) for number, summary in rows],
    )
    database.execute("PRAGMA user_version = 5")


def _with_reference(summary: str) -> str:
    """Return a problem's summary with a reference; those of schema 4 and older are certified."""
    values: Row = json.loads(summary)
    certificate = values.pop("certificate", {})
    reference = {"kind": "certified", "loss": values.pop("optimum_loss", None)}
    shared = ("digits", "trusted", "message")
    reference |= {name: certificate[name] for name in shared if name in certificate}
    reference["unique"] = certificate.get("rank") == certificate.get("unknowns")
    return json.dumps(values | {"reference": reference | {"certificate": certificate}})


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
