"""The two tidy tables that everything after the lab reads."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pandas as pd

from optlab.lab.trial.record import TRACE_NUMBERS, Trial, TrialRecord

NAN = float("nan")


def trials_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each trial.

    Losses, suboptimality, parameter error, gradient norm and further measures (the last columns)
    are those of the last recorded
    iterate; ``samples`` counts rows touched. ``batch_size`` is ``<NA>`` for methods that use none.
    """
    kept = list(records)
    rows = [_trial_row(record) for record in kept]
    nothing = TrialRecord(Trial(0, "", "", None, "", "", 0))
    table = pd.DataFrame(rows, columns=list(_trial_row(nothing)))
    # From the rows: a column of whole numbers and None would have become one of floats.
    sizes = [pd.NA if row["batch_size"] is None else row["batch_size"] for row in rows]
    table["batch_size"] = pd.Series(sizes, index=table.index, dtype=object)
    table["best_epoch"] = table["best_epoch"].astype("Int64")
    more = pd.DataFrame([dict(r.trace[-1].more) if r.trace else {} for r in kept])
    return pd.concat([table, more], axis=1)


def _trial_row(record: TrialRecord) -> dict[str, object]:
    trial, last, best = record.trial, record.trace[-1] if record.trace else None, record.best
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
        "steps": last.steps if last else 0,
        "compile_seconds": record.compile_seconds,
        "best_suboptimality": best.suboptimality if best else NAN,
        "best_epoch": best.epoch if best else pd.NA,
        "stop_scale": record.stop_scale,
    }


def traces_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each recorded iterate; epoch 0 is the start, where no time has passed.

    Further measures of a problem are columns at the end, NaN where a row has none.
    """
    rows = [
        {"trial": record.trial.number} | {n: getattr(row, n) for n in TRACE_NUMBERS} | {**row.more}
        for record in records
        for row in record.trace
    ]
    more = dict.fromkeys(name for row in rows for name in row)
    table = pd.DataFrame(rows, columns=list(dict.fromkeys(["trial", *TRACE_NUMBERS]) | more))
    whole = {"trial", "epoch", "samples", "steps"}
    return table.astype({name: "int64" if name in whole else "float64" for name in table})
