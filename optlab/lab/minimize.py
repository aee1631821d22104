"""One optimizer on one problem, as a library call."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch

from optlab.lab.grid import Grid
from optlab.lab.tables import traces_table
from optlab.lab.trial.budget import Budget, RecordedEpochs
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.markup import facts_html
from optlab.optimizers import BatchSize, Optimizer
from optlab.problems import Parameters, Problem


@dataclass(frozen=True, eq=False)
class Solution:
    """What one optimizer found.

    Parameters
    ----------
    parameters
        The last iterate, on the CPU, in the dtype computed in.
    loss, suboptimality, parameter_error
        Judged in float64 over all data: see `LinearRegression.evaluate`.
    status, message
        What became of it.
    epochs, seconds
        Passes made, and seconds the optimizer worked; judging is not counted.
    trace
        The recorded iterates, a row each.
    """

    parameters: Parameters
    loss: float
    suboptimality: float
    parameter_error: float
    status: Status
    message: str
    epochs: int
    seconds: float
    trace: pd.DataFrame

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.parameters.items())
        return (
            f"Solution({self.status}: {self.message}; loss {self.loss:.6g}, suboptimality "
            f"{self.suboptimality:.2g}, {self.seconds:.3g} s; {shown})"
        )

    def _repr_html_(self) -> str:
        facts = {"message": self.message, "loss": f"{self.loss:.6g}"}
        facts |= {"suboptimality": f"{self.suboptimality:.2g}", "epochs": str(self.epochs)}
        facts |= {
            "parameter error": f"{self.parameter_error:.2g}",
            "seconds": f"{self.seconds:.3g}",
        }
        facts |= {name: _short(value) for name, value in self.parameters.items()}
        return facts_html(f"Solution: {self.status}", facts)


def minimize(
    problem: Problem,
    optimizer: Optimizer,
    *,
    epochs: int = 1000,
    batch_size: BatchSize = "full",
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    seed: int = 0,
    stop_at: float | None = None,
    recorded_epochs: RecordedEpochs = "growing",
) -> Solution:
    """Minimise a problem by an optimizer.

    Parameters
    ----------
    problem, optimizer
        What to minimise, and how.
    epochs
        The most passes over the data.
    batch_size
        Rows a mini-batch, or ``"full"``.
    device, dtype
        Where and in what to compute; the problem's own dtype by default.
    seed
        Of the generator that draws the start and the batches' order.
    stop_at
        Stop where the suboptimality is at most this share of the start's.
    recorded_epochs
        Which epochs are recorded and looked at: see `optlab.lab.trial.budget.Budget`.

    Raises
    ------
    ValueError
        For bad arguments, and for a pair of optimizer and problem that cannot run.
    Exception
        Whatever the optimizer raises.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> solution = ol.minimize(problem, ol.ManualSGD(0.1), epochs=100, batch_size=5, seed=1)
    >>> solution.status
    <Status.FINISHED: 'finished'>
    >>> solution.trace[["epoch", "samples"]].tail(1).values.tolist()
    [[100, 1000]]
    """
    grid = Grid.of(
        problem,
        [optimizer],
        batch_sizes=[batch_size],
        devices=[device],
        dtypes=None if dtype is None else [dtype],
        seeds=[seed],
    )
    (trial,) = grid.trials()
    budget = Budget(epochs=epochs, stop_at=stop_at, recorded_epochs=recorded_epochs)
    outcome = run_trial(trial, problem, optimizer, budget, warm_up=False, catch=())
    if outcome.status == Status.SKIPPED:
        raise ValueError(f"{trial.optimizer} cannot run here: {outcome.message}")
    last = outcome.trace[-1]
    return Solution(
        parameters={name: torch.from_numpy(v) for name, v in outcome.parameters.items()},
        loss=last.loss,
        suboptimality=last.suboptimality,
        parameter_error=last.parameter_error,
        status=outcome.status,
        message=outcome.message,
        epochs=last.epoch,
        seconds=outcome.seconds,
        trace=traces_table([outcome]).drop(columns="trial"),
    )


def _short(value: torch.Tensor) -> str:
    if value.numel() <= 4:
        return f"{value.tolist()}"
    return f"<{' x '.join(str(size) for size in value.shape)} {value.dtype}>"
