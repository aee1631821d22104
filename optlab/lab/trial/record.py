"""What is asked of a trial, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from optlab.lab.trial.status import Status
from optlab.optimizers import BatchSize


@dataclass(frozen=True)
class Trial:
    """One optimizer on one problem at one batch size, device, dtype, seed and repeat.

    Parameters
    ----------
    number
        Its place in the grid, from 0.
    problem, optimizer
        Their names in the experiment.
    batch_size
        None for a method that uses no batches.
    device, dtype
        As torch writes them: ``"cuda:0"``, ``"float32"``.
    seed
        Of the generator that draws the start and the batches' order.
    repeat
        From 1.
    """

    number: int
    problem: str
    optimizer: str
    batch_size: BatchSize | None
    device: str
    dtype: str
    seed: int
    repeat: int = 1


class TraceRow(NamedTuple):
    """What is recorded of one iterate; epoch 0 is the start."""

    epoch: int
    samples: int
    seconds: float
    loss: float
    suboptimality: float
    gradient_norm: float
    batch_loss: float
    parameter_error: float


@dataclass
class TrialRecord:
    """What became of a trial.

    ``started`` is in seconds of the system's clock (`time.time`), NaN where it did not start;
    everything else that ends in ``seconds`` is by the monotonic clock. ``cores_short``: by how many
    cores its threads and what other processes used exceeded the machine (see
    `optlab.lab.measure.machine_load`); NaN where that is not known. ``file``: the results file
    that it was loaded from.
    """

    trial: Trial
    status: Status = Status.INTERRUPTED
    message: str = ""
    traceback: str = ""
    started: float = float("nan")
    contended: bool = False
    peak_bytes: int | None = None
    transfer_seconds: float = float("nan")
    first_pass_seconds: float = float("nan")
    seconds: float = float("nan")
    trace: list[TraceRow] = field(default_factory=list)
    parameters: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    machine: str = ""
    cores_short: float = float("nan")
    file: str = ""


Watcher = Callable[[Trial, TraceRow], None]
"""Called at each recorded iterate, off the clock."""
