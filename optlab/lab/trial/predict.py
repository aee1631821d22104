"""Set what theory says of a trial beside what was measured: its scalars and its predicted curve."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from optlab.lab.trial.prediction import Prediction
from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.stop_at import StopAt
from optlab.lab.trial.task import Task
from optlab.problems import Parameters
from optlab.theory.setting_theory import SettingTheory, setting_theory


def predict(record: TrialRecord, task: Task) -> None:
    """Write into a record what theory says of its trial: ``theory``, and a column of its trace.

    Nothing is written where there is no theory of the method or the problem, or it is too dear; and
    nothing is raised, whatever a problem of one's own does.
    """
    if not (record.trace and record.start):
        return
    start = {name: torch.as_tensor(value) for name, value in record.start.items()}
    try:
        theory = setting_theory(task.problem, _resolved(record, task), record.trial.batch_size)
        if theory is None:
            return
        epochs = np.array([row.epoch for row in record.trace])
        curve = theory.suboptimality_at(start, epochs)
        found = _prediction(theory, start, _target(record, task))
    except Exception:  # a problem of one's own, whose start and reference need not go together
        return
    record.theory = found
    rows = zip(record.trace, curve.tolist(), strict=True)
    record.trace = [row._replace(predicted_suboptimality=value) for row, value in rows]


def _resolved(record: TrialRecord, task: Task) -> object:
    """Return the optimizer at the rate it ran with, where that was resolved when it ran."""
    rate = record.trace[-1].more.get("learning_rate")
    if rate is None or not isinstance(getattr(task.optimizer, "learning_rate", None), str):
        return task.optimizer
    return replace(task.optimizer, learning_rate=rate)  # type: ignore[type-var]  # a dataclass


def _prediction(theory: SettingTheory, start: Parameters, target: float) -> Prediction:
    descent, limit = theory.descent, theory.stable_rate()
    return Prediction(
        learning_rate=descent.learning_rate,
        momentum=descent.momentum,
        nesterov=descent.nesterov,
        weight_decay=descent.weight_decay,
        epoch_steps=theory.steps,
        exact=theory.is_exact,
        stable_rate=limit.rate,
        stable_rate_of=limit.kind,
        half_life=theory.slowest_half_life(),
        noise_floor=theory.noise_floor(),
        predicted_epochs=theory.epochs_to(target, start) if target > 0 else math.nan,
    )


def _target(record: TrialRecord, task: Task) -> float:
    """Return the suboptimality at which the trial stops, or NaN where it stops at none."""
    stop_at: Any = task.budget.stop_at
    rule = None if stop_at is None else StopAt.of(stop_at)
    if rule is None or rule.measure != "suboptimality":
        return math.nan
    return float(rule.limit(record.stop_scale))
