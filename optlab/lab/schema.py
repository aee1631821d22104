"""The tables of a results file."""

from __future__ import annotations

from optlab.lab.records import TraceRow

SCHEMA_VERSION = 1
APPLICATION = int.from_bytes(b"optl", "big")

SCHEMA = f"""
CREATE TABLE experiments (id INTEGER PRIMARY KEY, started TEXT, name TEXT, definition TEXT,
    machine TEXT);
CREATE TABLE problems (name TEXT PRIMARY KEY, facts TEXT, optimum BLOB, x BLOB, y BLOB);
CREATE TABLE trials (key TEXT PRIMARY KEY, number INTEGER, trial TEXT, optimizer TEXT,
    status TEXT, message TEXT, traceback TEXT, contended INTEGER, peak_bytes INTEGER,
    transfer_seconds REAL, first_pass_seconds REAL, seconds REAL, parameters BLOB,
    machine INTEGER REFERENCES experiments (id));
CREATE TABLE traces (key TEXT REFERENCES trials (key), place INTEGER,
    {", ".join(f"{name} REAL" for name in TraceRow._fields)}, PRIMARY KEY (key, place))
    WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA application_id = {APPLICATION};
"""
