"""Tabulate where the time of a step goes, for each optimizer and batch size of a grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from optlab.lab.grid import Grid
from optlab.lab.measure.devices import unavailable
from optlab.lab.measure.machine_speed import arithmetic_rate, read_bandwidth
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.step_anatomy import PARTS, StepParts, step_parts
from optlab.lab.tables import batch_column
from optlab.lab.trial.record import Trial
from optlab.optimizers import Batches, Optimizer, is_direct, unsupported
from optlab.optimizers.curvature import UnknownCurvatureError
from optlab.problems import Problem
from optlab.problems.capabilities import IsLinearModel, has

MEASURED = ["step_seconds", *PARTS, "memory_seconds", "arithmetic_seconds", "spread",
            "clock_overhead", "profiler_overhead"]  # fmt: skip
"""The columns of numbers: NaN where nothing was measured, and ``message`` says why."""


def anatomy_table(
    grid: Grid, threads: int | None = None, on_start: Callable[[Trial], object] | None = None
) -> pd.DataFrame:
    """Measure a step of each optimizer at each batch size and dtype, at the grid's first seed.

    Returns
    -------
    A row for each cell: ``problem, optimizer, batch, batch_size, device, dtype``; ``step_seconds``;
    the seconds of each part (see `optlab.lab.step_anatomy`), 0 for a part that there is not;
    ``memory_seconds`` and ``arithmetic_seconds``, the least that reading a mini-batch's rows and
    writing the parameters takes at this machine's bandwidth, and that a linear model's
    multiplications take at its arithmetic rate (see `optlab.lab.measure.machine_speed`; NaN for
    other models); ``spread`` and overheads (see `StepParts`); ``message``.
    """
    rows = []
    with threads_kept():
        count = set_threads(threads)
        for trial in grid.trials():
            if (trial.seed, trial.repeat) != (grid.seeds[0], 1):
                continue
            if on_start:
                on_start(trial)
            problem, optimizer = grid.problems[trial.problem], grid.optimizer_of(trial)
            rows.append(_row(trial, problem, optimizer, count))
    table = pd.DataFrame(rows)
    table["batch"] = batch_column(row["batch"] for row in rows)
    table["batch_size"] = table["batch_size"].astype("Int64")
    return table


def _row(trial: Trial, problem: Problem, optimizer: Optimizer, threads: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "problem": trial.problem,
        "optimizer": trial.optimizer,
        "batch": trial.batch_size or ("full" if not is_direct(optimizer) else None),
        "batch_size": None,
        "device": trial.device,
        "dtype": trial.dtype,
    } | dict.fromkeys(MEASURED, math.nan)
    dtype, device = getattr(torch, trial.dtype), torch.device(trial.device)
    if reason := _reason(trial, optimizer, device, dtype):
        return row | {"message": reason}
    local = problem.to(device, dtype, copy=True)
    if reason := unsupported(optimizer, local, device):
        return row | {"message": reason}
    size = trial.batch_size or "full"
    batches = Batches(*local.data[:2], size, torch.Generator(), weight=local.data.weight)
    try:
        found = step_parts(local, optimizer, size, trial.seed)
    except UnknownCurvatureError as error:
        return row | {"message": f"has no learning rate: {error}"}
    except Exception as error:  # one that raises leaves the others their rows
        return row | {"message": f"{type(error).__name__}: {error}"}
    row |= {"batch_size": batches.rows_a_step, "message": ""} | _bounds(local, batches, threads)
    return row | _numbers(found)


def _reason(
    trial: Trial, optimizer: Optimizer, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Say why nothing is measured, in a sentence, or return None."""
    if is_direct(optimizer):
        return "answers at once: it makes no steps"
    if device.type != "cpu":  # pragma: no cover - an accelerator
        return unavailable(trial.device, dtype) or "steps are taken apart on the CPU only"
    return None


def _numbers(found: StepParts) -> dict[str, float]:
    parts = {part: found.seconds.get(part, 0.0) for part in PARTS}
    return {"step_seconds": found.step, "spread": found.spread} | parts | {
        "clock_overhead": found.clock_overhead,
        "profiler_overhead": found.profiler_overhead,
    }  # fmt: skip


def _bounds(problem: Problem, batches: Batches, threads: int) -> dict[str, float]:
    """Return the least seconds that a mean step's memory and arithmetic take on this machine.

    A row of a linear model takes two operations for each of p weights to predict, and two for the
    gradient: 4 p in all.
    """
    rows = batches.samples / batches.steps
    data = [part for part in problem.data if part is not None]
    row_bytes = sum(part.element_size() * part[:1].numel() for part in data)
    parameters = list(problem.start(torch.Generator()).values())
    held = sum(value.element_size() * value.numel() for value in parameters)
    bounds = {"memory_seconds": (rows * row_bytes + 2 * held) / read_bandwidth(threads)}
    if has(problem, IsLinearModel):
        operations = 4 * rows * sum(value.numel() for value in parameters)
        rate = arithmetic_rate(problem.data.X.dtype, threads)
        bounds["arithmetic_seconds"] = operations / rate
    return bounds
