"""The tables of a results file."""

from __future__ import annotations

from optlab.lab.trial.record import TRACE_NUMBERS

SCHEMA_VERSION = 3
APPLICATION = int.from_bytes(b"optl", "big")

# `wanted` says of each trial which experiment was the last to ask for it; one without a row in
# `trials` has not been run. `prints` tell the trials of one name apart: see
# optlab.lab.store.stored_trial.Prints. A number is never used again, also when all has been set aside.
# `running`, `started` and `ended` tell which trials of two processes ran beside each other.
SCHEMA = f"""
CREATE TABLE experiments (id INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT, name TEXT,
    definition TEXT, machine TEXT, prints TEXT);
CREATE TABLE wanted (key TEXT PRIMARY KEY, experiment INTEGER REFERENCES experiments (id),
    trial TEXT) WITHOUT ROWID;
CREATE TABLE problems (print TEXT, name TEXT, facts TEXT, optimum BLOB, x BLOB, y BLOB,
    PRIMARY KEY (print, name));
CREATE TABLE trials (key TEXT PRIMARY KEY, trial TEXT, optimizer TEXT, machine TEXT,
    status TEXT, message TEXT, traceback TEXT, started REAL, ended REAL, contended INTEGER,
    peak_bytes INTEGER, transfer_seconds REAL, first_pass_seconds REAL, seconds REAL,
    cores_short REAL, parameters BLOB, experiment INTEGER REFERENCES experiments (id));
CREATE TABLE running (experiment INTEGER, key TEXT, pid INTEGER, PRIMARY KEY (experiment, key))
    WITHOUT ROWID;
CREATE INDEX trials_ended ON trials (ended);
CREATE TABLE traces (key TEXT REFERENCES trials (key), place INTEGER,
    {", ".join(f"{name} REAL" for name in TRACE_NUMBERS)}, PRIMARY KEY (key, place))
    WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
PRAGMA application_id = {APPLICATION};
"""
