"""Make the records of trials of the two tables: the inverse of `optlab.lab.tables`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from optlab.lab.trial.prediction import Prediction
from optlab.lab.trial.record import TRACE_NUMBERS, TraceRow, Trial, TrialRecord
from optlab.lab.trial.status import Status
from optlab.optimizers import BatchSize
from optlab.text import DIRECT

_SECONDS = ("transfer_seconds", "compile_seconds", "first_pass_seconds", "seconds")
_NUMBERS = (*_SECONDS, "stop_scale", "cores_short")
_FLAGS = ("contended", "shared")


def records_of_tables(
    trials: pd.DataFrame, traces: pd.DataFrame, predictions: pd.DataFrame
) -> list[TrialRecord]:
    """Return a record for each row of the table of trials, numbered from 0 in its order.

    Parameters and tracebacks, which the tables do not have, are left out; so is the moment at which
    a trial started.
    """
    rows_of = _traces(traces)
    theory = {int(row["trial"]): _prediction(row) for row in predictions.to_dict("records")}
    found = []
    for number, row in enumerate(trials.to_dict("records")):
        record = _record(number, row)
        record.trace = rows_of.get(row["trial"], [])
        record.theory = theory.get(row["trial"])
        found.append(record)
    return found


def _record(number: int, row: Mapping[Any, Any]) -> TrialRecord:
    numbers: dict[str, Any] = {name: float(row[name]) for name in _NUMBERS}
    flags: dict[str, Any] = {name: bool(row[name]) for name in _FLAGS}
    settings = {name: value for name, value in row.items() if str(name).startswith("hp_")}
    return TrialRecord(
        _trial(number, row),
        status=Status(row["status"]),
        message=row["message"],
        peak_bytes=None if pd.isna(row["peak_bytes"]) else int(row["peak_bytes"]),
        machine=row["machine"],
        file=row["file"],
        optimizer={
            "hyperparameters": {str(n)[len("hp_") :]: _plain(v) for n, v in settings.items()},
            "versions": json.loads(row["versions"]),
        },
        **numbers,
        **flags,
    )


def _trial(number: int, row: Mapping[Any, Any]) -> Trial:
    batch = str(row["batch"])
    size: BatchSize | None = "full" if batch == "full" else None if batch == DIRECT else int(batch)
    named = {name: row[name] for name in ("problem", "optimizer", "device", "dtype", "order")}
    return Trial(
        number,
        batch_size=size,
        seed=int(row["seed"]),
        repeat=int(row["repeat"]),
        stage=row["stage"],
        setting=0 if pd.isna(row["setting"]) else int(row["setting"]),
        **named,
    )


def _plain(value: Any) -> Any:
    """Return a cell as JSON can hold it; a missing one as None."""
    if np.ndim(value) == 0 and pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _traces(traces: pd.DataFrame) -> dict[int, list[TraceRow]]:
    """Return the recorded iterates of each trial."""
    more = [str(name) for name in traces if name not in {"trial", *TRACE_NUMBERS}]
    columns = zip(*(traces[name].tolist() for name in TRACE_NUMBERS), strict=True)
    further = (
        zip(*(traces[name].tolist() for name in more), strict=True) if more else [()] * len(traces)
    )
    found: dict[int, list[TraceRow]] = {}
    for trial, values, own in zip(traces["trial"].tolist(), columns, further, strict=True):
        row = TraceRow(**dict(zip(TRACE_NUMBERS, values, strict=True)))
        if more:
            row = row._replace(more=dict(zip(more, own, strict=True)))
        found.setdefault(trial, []).append(row)
    return found


def _prediction(row: Mapping[Any, Any]) -> Prediction:
    return Prediction(**{field.name: row[field.name] for field in fields(Prediction)})
