"""A trial, and the record of its outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from optlab.lab.trial.prediction import Prediction
from optlab.lab.trial.recorded_parameters import RecordedParameters
from optlab.lab.trial.status import Status
from optlab.optimizers import BatchSize, Order


@dataclass(frozen=True)
class Trial:
    """One optimizer on one problem at one batch size, device, dtype, seed and repeat."""

    number: int  # its place in the grid, from 0
    problem: str  # names in the experiment
    optimizer: str
    batch_size: BatchSize | None  # None for a method that uses no batches
    device: str  # as torch writes it, "cuda:0"
    dtype: str
    seed: int  # of the generator that draws the start and the batches' order
    repeat: int = 1  # from 1
    order: Order = "dataloader"  # of the rows, where they are shuffled
    stage: Literal["measured", "tuning"] = "measured"
    setting: int = 0  # of a tuning trial: the number of its setting, from 1


class TraceRow(NamedTuple):
    """One recorded iterate, evaluated; epoch 0 is the start.

    ``steps`` counts mini-batches and ``samples`` rows, ``seconds`` is the optimizer's own time,
    ``batch_loss`` is the last mini-batch's loss before its update (NaN where there is none), and
    ``more`` holds further measures by name. The evaluations of loss, gradient and Hessian products
    since the start are in passes over all data; NaN where they are not counted.
    ``predicted_suboptimality`` is what theory says of this epoch, NaN where it says nothing.
    """

    epoch: int
    samples: int
    seconds: float
    loss: float
    suboptimality: float
    gradient_norm: float
    batch_loss: float
    parameter_error: float
    steps: int = 0
    loss_evaluations: float = math.nan
    gradient_evaluations: float = math.nan
    hessian_products: float = math.nan
    predicted_suboptimality: float = math.nan
    more: Mapping[str, float] = {}

    def measure(self, name: str) -> float:
        """Return a measure by its name in the table of traces.

        Raises
        ------
        ValueError
            For a name that is none of this row's.
        """
        if name in self.more:
            return float(self.more[name])
        if name in MEASURES:
            return float(getattr(self, name))
        raise ValueError(f"no measure is called {name!r}: there are {[*MEASURES, *self.more]}")


LEARNING_RATE = "learning_rate"
"""The measure that holds the number of a learning rate that is text."""

TRACE_NUMBERS = tuple(name for name in TraceRow._fields if name != "more")
"""The fields of a trace's row that are numbers, in the order of the table's columns."""

MEASURES = ("loss", "suboptimality", "gradient_norm", "parameter_error", "batch_loss")
"""The measures that every problem's evaluations have."""


@dataclass
class TrialRecord:
    """The outcome of a trial.

    ``started`` is in seconds of the system's clock (`time.time`), NaN where it did not start;
    everything else that ends in ``seconds`` is by the monotonic clock. ``compile_seconds`` is what
    an optimizer that compiles reports of it. ``stop_scale`` is the suboptimality of which
    ``stop_at`` is a share (see `optlab.lab.trial.baseline.stop_scale`). ``theory`` is what theory
    says of the trial (see `optlab.lab.trial.predict`), for which ``start`` keeps the parameters of
    the start until then. ``cores_short``: by how
    many cores its threads and other processes exceeded the machine (see
    `optlab.lab.measure.machine_load`); NaN where that is not known. ``file``: the results file
    that it was loaded from. ``shared``: whether it ran in a sweep, so that its seconds are its
    share of the sweep's. ``recorded``: the parameters along the trial, where they were asked for.
    """

    trial: Trial
    status: Status = Status.INTERRUPTED
    message: str = ""
    traceback: str = ""
    started: float = float("nan")
    contended: bool = False
    peak_bytes: int | None = None
    transfer_seconds: float = float("nan")
    compile_seconds: float = float("nan")
    first_pass_seconds: float = float("nan")
    seconds: float = float("nan")
    stop_scale: float = float("nan")
    trace: list[TraceRow] = field(default_factory=list)
    parameters: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    theory: Prediction | None = None
    start: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    machine: str = ""
    cores_short: float = float("nan")
    file: str = ""
    shared: bool = False
    recorded: RecordedParameters | None = None

    @property
    def best(self) -> TraceRow | None:
        """The recorded row of least suboptimality (of least loss where there is no reference)."""
        return min(self.trace, key=_badness, default=None)


def _badness(row: TraceRow) -> float:
    value = row.loss if math.isnan(row.suboptimality) else row.suboptimality
    return math.inf if math.isnan(value) else value


Watcher = Callable[[Trial, TraceRow], None]
"""A function that is called at each recorded iterate, off the clock."""
