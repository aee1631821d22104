"""Make the two tables of an experiment: a row for each trial, and for each recorded iterate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd

from optlab.lab.store.problem_summary import ProblemSummary
from optlab.lab.trial.prediction import Prediction
from optlab.lab.trial.record import (
    LEARNING_RATE,
    TRACE_NUMBERS,
    TraceRow,
    Trial,
    TrialRecord,
)
from optlab.optimizers.rate_text import RATE_FIELDS
from optlab.text import DIRECT

NAN = float("nan")

_WHOLE = {"epoch", "samples", "steps"}
"""The columns of traces that are whole numbers."""


def trials_table(
    records: Sequence[TrialRecord], problems: Mapping[str, ProblemSummary]
) -> pd.DataFrame:
    """Return a row for each trial.

    Losses, suboptimality, parameter error, gradient norm and further measures (the last columns)
    are those of the last recorded iterate; ``best_suboptimality, best_epoch`` and ``best_loss``
    those of the recorded iterate of least suboptimality (of least loss without a reference).
    ``samples`` counts rows touched, and evaluations of loss, gradient and Hessian products are in
    passes over all data. ``batch`` is an ordered categorical, ``"1" < "5" < "full" < "direct"``,
    for grouping and labels; ``batch_size`` (Int64)
    is the number of rows a step, all n for ``"full"`` and ``<NA>`` for direct methods. Each
    hyperparameter is a column ``hp_<name>``, numeric where all its values are numbers and missing
    where an optimizer has none; where some learning rate is text (``"1/L"``), the column
    ``learning_rate`` has each trial's number. ``reference`` is the kind of what suboptimality is
    measured from: certified, computed or best known. ``order`` is that of the rows in each epoch,
    where they are shuffled. ``stage`` is ``measured`` or ``tuning``; ``setting`` is the number,
    from 1, of a tuning trial's setting of hyperparameters.
    """
    nothing = TrialRecord(Trial(0, "", "", None, "", "", 0))
    rows = [_trial_row(record) for record in records]
    table = pd.DataFrame(rows, columns=list(_trial_row(nothing)))
    trials = [record.trial for record in records]
    rows_of = {name: problem.n for name, problem in problems.items()}
    kinds = {n: facts.reference.kind for n, facts in problems.items() if facts.reference}
    table["reference"] = [kinds.get(trial.problem, "") for trial in trials]
    sizes = [rows_of.get(t.problem) if t.batch_size == "full" else t.batch_size for t in trials]
    table["batch"] = batch_column(trial.batch_size for trial in trials)
    table["batch_size"] = pd.array(sizes, dtype="Int64")
    table["best_epoch"] = table["best_epoch"].astype("Int64")
    table["setting"] = table["setting"].astype("Int64")
    own = [record.optimizer.get("hyperparameters", {}) for record in records]
    names = dict.fromkeys(name for values in own for name in values)
    columns = {f"hp_{n}": _hyperparameter([values.get(n) for values in own]) for n in names}
    given = pd.DataFrame(columns, index=table.index)
    more = pd.DataFrame([dict(r.trace[-1].more) if r.trace else {} for r in records])
    if LEARNING_RATE in more:  # of other trials the rate is what was given
        numbers = pd.to_numeric(given_rates(given), errors="coerce")
        more[LEARNING_RATE] = more[LEARNING_RATE].fillna(numbers)
    place = table.columns.get_loc("batch")
    return pd.concat([table.iloc[:, :place], given, table.iloc[:, place:], more], axis=1)


def given_rates(trials: pd.DataFrame) -> pd.Series[Any]:
    """Return each trial's learning rate as it was given: a number, a text, a schedule, or missing.

    Where a class has torch's name for it, it is in the column ``hp_lr``.
    """
    rates = pd.Series(pd.NA, index=trials.index, dtype=object)
    for name in RATE_FIELDS:
        if f"hp_{name}" in trials:
            rates = rates.where(rates.notna(), trials[f"hp_{name}"].astype(object))
    return rates


def batch_column(sizes: Iterable[object]) -> pd.Categorical[str]:
    """Return batch sizes as an ordered categorical of text; None is a direct method.

    Examples
    --------
    >>> list(batch_column([5, None, "full", 1]).categories)
    ['1', '5', 'full', 'direct']
    """
    labels = [DIRECT if size is None else str(size) for size in sizes]
    last = {"full": (1, 0), DIRECT: (2, 0)}
    order = sorted(set(labels), key=lambda label: last.get(label) or (0, int(label)))
    return pd.Categorical(labels, categories=order, ordered=True)


def _hyperparameter(values: list[object]) -> pd.Series[Any]:
    """Return a column of numbers where all are; else what they are, lists and mappings as JSON."""
    given = {type(value) for value in values if value is not None}
    whole = all(abs(value) < 2**63 for value in values if isinstance(value, int))
    if given <= {int} and whole:
        return pd.Series(values, dtype="Int64")
    if given <= {int, float} and whole:
        return pd.Series(values, dtype=float)
    texts = [json.dumps(v) if isinstance(v, list | dict) else v for v in values]
    return pd.Series([pd.NA if v is None else v for v in texts], dtype=object)


def _trial_row(record: TrialRecord) -> dict[str, object]:
    trial, last, best = record.trial, record.trace[-1] if record.trace else None, record.best
    return {
        "trial": trial.number,
        "problem": trial.problem,
        "optimizer": trial.optimizer,
        "batch": "",
        "batch_size": 0,
        "device": trial.device,
        "dtype": trial.dtype,
        "seed": trial.seed,
        "repeat": trial.repeat,
        "status": str(record.status),
        "message": record.message,
        "epochs": last.epoch if last else 0,
        "steps": last.steps if last else 0,
        "samples": last.samples if last else 0,
        "transfer_seconds": record.transfer_seconds,
        "compile_seconds": record.compile_seconds,
        "first_pass_seconds": record.first_pass_seconds,
        "seconds": record.seconds,
        "contended": record.contended,
        "loss": last.loss if last else NAN,
        "suboptimality": last.suboptimality if last else NAN,
        "parameter_error": last.parameter_error if last else NAN,
        "gradient_norm": last.gradient_norm if last else NAN,
        "best_suboptimality": best.suboptimality if best else NAN,
        "best_epoch": best.epoch if best else pd.NA,
        "stop_scale": record.stop_scale,
        "peak_bytes": pd.NA if record.peak_bytes is None else record.peak_bytes,
        "file": record.file,
        "versions": json.dumps(record.optimizer.get("versions", {})),
        "machine": record.machine,
        "cores_short": record.cores_short,
        "loss_evaluations": last.loss_evaluations if last else NAN,
        "gradient_evaluations": last.gradient_evaluations if last else NAN,
        "hessian_products": last.hessian_products if last else NAN,
        **_run_facts(record),
    }


def _run_facts(record: TrialRecord) -> dict[str, object]:
    """Return how a trial was run: the order of rows, in a sweep or alone, to tune or measure."""
    trial = record.trial
    return {
        "order": trial.order,
        "shared": record.shared,
        "stage": trial.stage,
        "setting": trial.setting or pd.NA,
        "best_loss": record.best.loss if record.best else NAN,
    }


def predictions_table(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each trial that theory describes: ``trial``, and `Prediction`'s fields."""
    rows = [{"trial": r.trial.number} | asdict(r.theory) for r in records if r.theory]
    return pd.DataFrame(rows, columns=["trial", *(field.name for field in fields(Prediction))])


def traces_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return a row for each recorded iterate; epoch 0 is the start, where no time has passed.

    Further measures of a problem are columns at the end, NaN where a row has none.
    """
    rows = [row for record in records for row in record.trace]
    numbers = [record.trial.number for record in records for _ in record.trace]
    columns = {"trial": np.array(numbers, "int64")}
    for name in TRACE_NUMBERS:
        place, kind = TraceRow._fields.index(name), "int64" if name in _WHOLE else "float64"
        columns[name] = np.array([row[place] for row in rows], kind)
    for name in dict.fromkeys(name for row in rows for name in row.more):
        own = columns.get(name, itertools.repeat(NAN))
        values = [row.more.get(name, value) for row, value in zip(rows, own, strict=False)]
        columns[name] = np.array(values, "float64")
    return pd.DataFrame(columns)
