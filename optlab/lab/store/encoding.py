"""Encode a trial's record as a row of the results file, and decode it."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from itertools import chain
from typing import Any

import numpy as np

from optlab.lab.store.plain_values import from_plain, type_hints
from optlab.lab.trial.record import TraceRow, TrialRecord
from optlab.lab.trial.recorded_parameters import RecordedParameters
from optlab.text import encodable

Array = np.ndarray[Any, Any]

ASKED_FOR = ("status", "started", "contended", "peak_bytes")
"""Fields that SQL asks for, and so have a column each; the others are JSON in ``record``."""

_APART = {*ASKED_FOR, "trace", "parameters", "recorded", "start"}


def record_to_row(record: TrialRecord, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a record, by name."""
    plain = {f.name: getattr(record, f.name) for f in fields(record) if f.name not in _APART}
    plain |= {
        "trial": asdict(record.trial),
        "theory": None if record.theory is None else asdict(record.theory),
        "optimizer": optimizer,
        "message": encodable(record.message),
        "traceback": encodable(record.traceback),
    }
    return {
        **{name: getattr(record, name) for name in ASKED_FOR},
        "status": str(record.status),
        "record": to_json(plain),
        "trace": trace_to_bytes(record.trace),
        "parameters": parameters_to_bytes(record),
    }


def row_to_record(row: Mapping[str, Any]) -> TrialRecord:
    """Return the record of a row; a field that an older version did not write has its default."""
    values = json.loads(row["record"]) | {name: row[name] for name in ASKED_FOR}
    record = from_plain(TrialRecord, values)
    record.trace = bytes_to_trace(row["trace"])
    record.parameters, record.recorded = bytes_to_parameters(row["parameters"])
    return record


def to_json(values: Mapping[str, Any]) -> str:
    """Return values as JSON; a NaN of a field, or of a field's field, is null, as SQLite has it."""
    inner = {k: _without_nan(v) for k, v in values.items() if isinstance(v, dict)}
    return json.dumps(_without_nan(dict(values) | inner), default=str)


def _without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def trace_to_bytes(trace: Sequence[TraceRow]) -> bytes:
    """Return a trace as an npy file: an array with a column for each field and further measure."""
    hints = type_hints(TraceRow)
    plain = {name: hint for name, hint in hints.items() if hint in {int, float}}
    more = {
        (field, name): None
        for field in hints.keys() - plain.keys()
        for name in chain.from_iterable(getattr(row, field) for row in trace)
    }
    kinds = [(name, "<i8" if hint is int else "<f8") for name, hint in plain.items()]
    kinds += [(f"{field}:{name}", "<f8") for field, name in more]
    rows = [
        (
            *(getattr(row, name) for name in plain),
            *(getattr(row, field).get(name, np.nan) for field, name in more),
        )
        for row in trace
    ]
    return array_to_bytes(np.array(rows, dtype=kinds))


def bytes_to_trace(blob: bytes) -> list[TraceRow]:
    """Return the trace in an npy file; NaN where an older version did not record a column."""
    table = _read_array(blob)
    if table.ndim != 1 or table.dtype.names is None:
        raise ValueError("a trace is no table of named columns")
    hints, names = type_hints(TraceRow), table.dtype.names
    for name in names:
        if table.dtype[name].kind not in ("i" if hints.get(name) is int else "if"):
            raise ValueError(f"a trace's {name} are {table.dtype[name]}")
    if names == tuple(name for name, hint in hints.items() if hint in {int, float}):
        return [TraceRow(*row) for row in table.tolist()]
    columns = {name: table[name].tolist() for name in names}
    rows = []
    for place in range(len(table)):
        values: dict[str, Any] = {}
        for name, hint in hints.items():
            if name in columns:
                values[name] = columns[name][place]
            elif hint not in {int, float}:
                own = [n for n in names if n.startswith(f"{name}:")]
                values[name] = {n.partition(":")[2]: columns[n][place] for n in own}
            elif name not in TraceRow._field_defaults:
                values[name] = float("nan")
        rows.append(TraceRow(**values))
    return rows


def array_to_bytes(array: Array) -> bytes:
    """Return an array as the bytes of an npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(3, 0), allow_pickle=False)
    return file.getvalue()


def parameters_to_bytes(record: TrialRecord) -> bytes:
    """Return a trial's last parameters, and after them those recorded along it, as an npz file."""
    if record.recorded is None or not record.parameters:
        return arrays_to_bytes(record.parameters)
    stacks = record.recorded.stacked()
    epochs = np.array(record.recorded.epochs, dtype=np.int64)
    return arrays_to_bytes(record.parameters, epochs, *(stacks[name] for name in record.parameters))


def bytes_to_parameters(blob: bytes) -> tuple[dict[str, Array], RecordedParameters | None]:
    """Return a trial's last parameters in an npz file, and those recorded along it, if any."""
    names, arrays = _read_arrays(blob)
    last = dict(zip(names, arrays[: len(names)], strict=True))
    if len(arrays) == len(names):
        return last, None
    epochs, stacks = arrays[len(names)], arrays[len(names) + 1 :]
    if epochs.ndim != 1 or epochs.dtype.kind != "i" or len(stacks) != len(names):
        raise ValueError("the parameters along a trial are not those of its names and epochs")
    if any(own.ndim == 0 or len(own) != len(epochs) for own in stacks):
        raise ValueError("the parameters along a trial are not of as many epochs as it says")
    return last, RecordedParameters.unstacked(epochs, dict(zip(names, stacks, strict=True)))


def arrays_to_bytes(arrays: Mapping[str, Any], *more: Array) -> bytes:
    """Return named arrays as the bytes of an npz file; ``more`` stand after them, without names."""
    # The names are an array too: as keywords some, such as "file", would be taken for savez's own.
    names = np.array(list(arrays), dtype=np.str_)
    file = io.BytesIO()
    np.savez(file, names, *map(np.asarray, arrays.values()), *more, allow_pickle=False)
    return file.getvalue()


def bytes_to_arrays(blob: bytes) -> dict[str, Array]:
    """Return the named arrays in the bytes of an npz file."""
    names, arrays = _read_arrays(blob)
    return dict(zip(names, arrays[: len(names)], strict=True))


def _read_arrays(blob: bytes) -> tuple[list[str], list[Array]]:
    """Return names and arrays, in their order; a packed or pickled file is refused."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
        # Ours are stored as they are, so no array is larger than the blob that holds it.
        if size > len(blob) or any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise ValueError(f"an array of {len(blob)} bytes would unpack into {size} bytes")
        names = list(map(str, _read_array(archive.read("arr_0.npy")).tolist()))
        count = max(len(names) + 1, len(entries))
        arrays = [_read_array(archive.read(f"arr_{place}.npy")) for place in range(1, count)]
    if any(array.dtype.kind not in "biufc" for array in arrays):
        raise ValueError("an array holds what is no number")
    return names, arrays


def _read_array(blob: bytes) -> Array:
    array: Array = np.lib.format.read_array(io.BytesIO(blob), allow_pickle=False)
    return array
