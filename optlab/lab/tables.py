"""The two tidy tables that everything after the lab reads."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pandas as pd

from optlab.lab.trial.record import TraceRow, Trial, TrialRecord

NAN = float("nan")


def trials_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each trial.

    Losses, suboptimality, parameter error and gradient norm are those of the last recorded
    iterate; ``samples`` counts rows touched. ``batch_size`` is ``<NA>`` for methods that use none.
    """
    rows = [_trial_row(record) for record in records]
    nothing = TrialRecord(Trial(0, "", "", None, "", "", 0))
    table = pd.DataFrame(rows, columns=list(_trial_row(nothing)))
    # From the rows: a column of whole numbers and None would have become one of floats.
    sizes = [pd.NA if row["batch_size"] is None else row["batch_size"] for row in rows]
    table["batch_size"] = pd.Series(sizes, index=table.index, dtype=object)
    return table


def _trial_row(record: TrialRecord) -> dict[str, object]:
    trial, last = record.trial, record.trace[-1] if record.trace else None
    return {
        "trial": trial.number,
        "problem": trial.problem,
        "optimizer": trial.optimizer,
        "hyperparameters": json.dumps(record.optimizer.get("hyperparameters", {})),
        "batch_size": trial.batch_size,
        "device": trial.device,
        "dtype": trial.dtype,
        "seed": trial.seed,
        "repeat": trial.repeat,
        "status": str(record.status),
        "message": record.message,
        "epochs": last.epoch if last else 0,
        "samples": last.samples if last else 0,
        "transfer_seconds": record.transfer_seconds,
        "first_pass_seconds": record.first_pass_seconds,
        "seconds": record.seconds,
        "contended": record.contended,
        "loss": last.loss if last else NAN,
        "suboptimality": last.suboptimality if last else NAN,
        "parameter_error": last.parameter_error if last else NAN,
        "gradient_norm": last.gradient_norm if last else NAN,
        "peak_bytes": pd.NA if record.peak_bytes is None else record.peak_bytes,
        "versions": json.dumps(record.optimizer.get("versions", {})),
        "machine": record.machine,
        "cores_short": record.cores_short,
    }


def traces_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each recorded iterate; epoch 0 is the start, where no time has passed."""
    columns = ["trial", *TraceRow._fields]
    rows = [(record.trial.number, *row) for record in records for row in record.trace]
    table = pd.DataFrame(rows, columns=columns)
    whole = {"trial": "int64", "epoch": "int64", "samples": "int64"}
    return table.astype({column: whole.get(column, "float64") for column in columns})
