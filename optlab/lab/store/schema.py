"""The tables of a results file."""

from __future__ import annotations

import secrets
import sqlite3

SCHEMA_VERSION = 5
APPLICATION = int.from_bytes(b"optl", "big")
TABLES = ("trials", "problems", "wanted", "experiments")
"""All tables, those that refer to others first."""

# `wanted` says of each trial which experiment was the last to ask for it; one without a row in
# `trials` has not been run. `fingerprints` tell the trials of one name apart, see
# optlab.lab.store.stored_trial.Fingerprints. A number is never used again, also after an archive.
# `started` and `ended` tell which trials of two processes ran beside each other. A field that
# TrialRecord gains needs no column: `record` is JSON by name, `trace` an array with named columns.
_SCHEMA = """
CREATE TABLE experiments (id INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT, name TEXT,
    definition TEXT, machine TEXT, fingerprints TEXT);
CREATE TABLE wanted (key TEXT PRIMARY KEY, experiment INTEGER REFERENCES experiments (id),
    trial TEXT) WITHOUT ROWID;
CREATE TABLE problems (fingerprint TEXT, name TEXT, summary TEXT, parameters BLOB, x BLOB, y BLOB,
    PRIMARY KEY (fingerprint, name));
CREATE TABLE trials (key TEXT PRIMARY KEY, experiment INTEGER REFERENCES experiments (id),
    status TEXT, started REAL, ended REAL, contended INTEGER, peak_bytes INTEGER, record TEXT,
    trace BLOB, parameters BLOB);
CREATE INDEX trials_ended ON trials (ended);
"""


def create_tables(database: sqlite3.Connection) -> None:
    """Create the tables in an empty database, in the transaction that is open.

    The schema cookie, which stands on the first page, is set at random: it tells whether a
    rollback journal beside the file is its own (see `optlab.lab.store.stray_log`).
    """
    for statement in _SCHEMA.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute(f"PRAGMA application_id = {APPLICATION}")
    database.execute(f"PRAGMA schema_version = {secrets.randbelow(2**30) + 2**20}")
