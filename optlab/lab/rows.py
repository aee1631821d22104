"""A trial's record as a row of the results file, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optlab.lab.blobs import packed, unpacked
from optlab.lab.records import TraceRow, Trial, TrialRecord
from optlab.lab.status import Status
from optlab.text import encodable

RECORD_COLUMNS = (
    "machine",
    "status",
    "message",
    "traceback",
    "started",
    "contended",
    "peak_bytes",
    "transfer_seconds",
    "first_pass_seconds",
    "seconds",
    "cores_short",
)


def written_record(record: TrialRecord, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a record, its trace left out."""
    return {
        "trial": json.dumps(asdict(record.trial)),
        "optimizer": json.dumps(optimizer),
        "parameters": packed(record.parameters),
        **{name: getattr(record, name) for name in RECORD_COLUMNS},
        "status": str(record.status),
        "message": encodable(record.message),
        "traceback": encodable(record.traceback),
    }


def read_record(
    trial: str, optimizer: str, parameters: bytes, values: dict[str, Any], trace: list[TraceRow]
) -> TrialRecord:
    """Return the record of a row and its trace."""
    seconds = {name: number(values[name]) for name in values if name.endswith("seconds")}
    return TrialRecord(
        trial=Trial(**json.loads(trial)),
        optimizer=json.loads(optimizer),
        parameters=unpacked(parameters),
        trace=trace,
        status=Status(values["status"]),
        started=number(values["started"]),
        cores_short=number(values["cores_short"]),
        contended=bool(values["contended"]),
        machine=values["machine"],
        message=values["message"],
        traceback=values["traceback"],
        peak_bytes=values["peak_bytes"],
        **seconds,
    )


def number(value: float | None) -> float:
    """Return a number as it was before it was written: SQLite keeps NaN as NULL."""
    return float("nan") if value is None else float(value)
