"""A trial's record as a row of the results file, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.status import Status
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


def record_to_row(record: TrialRecord, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a record, its trace left out."""
    return {
        "trial": json.dumps(asdict(record.trial)),
        "optimizer": json.dumps(optimizer),
        "parameters": arrays_to_bytes(record.parameters),
        **{name: getattr(record, name) for name in RECORD_COLUMNS},
        "status": str(record.status),
        "message": encodable(record.message),
        "traceback": encodable(record.traceback),
    }


def row_to_record(
    trial: str, optimizer: str, parameters: bytes, values: dict[str, Any], trace: list[TraceRow]
) -> TrialRecord:
    """Return the record of a row and its trace."""
    seconds = {name: number(values[name]) for name in values if name.endswith("seconds")}
    return TrialRecord(
        trial=Trial(**json.loads(trial)),
        optimizer=json.loads(optimizer),
        parameters=bytes_to_arrays(parameters),
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


def arrays_to_bytes(arrays: Mapping[str, Any]) -> bytes:
    """Return named arrays as the bytes of an npz file."""
    # The names are an array too: as keywords some, such as "file", would be taken for savez's own.
    names = np.array(list(arrays), dtype=np.str_)
    file = io.BytesIO()
    np.savez(file, names, *map(np.asarray, arrays.values()))
    return file.getvalue()


def bytes_to_arrays(blob: bytes) -> dict[str, Any]:
    """Return the named arrays in the bytes of an npz file; a pickled one is refused."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return {str(k): arrays[f"arr_{place}"] for place, k in enumerate(arrays["arr_0"], 1)}
