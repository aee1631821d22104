"""The whole lab in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

from optlab.experiment import Experiment
from optlab.lab.trial.budget import RecordedEpochs
from optlab.optimizers import BatchSize, Optimizer
from optlab.problems import Problem
from optlab.results import Results


def compare(
    problem: Problem | Sequence[Problem],
    optimizers: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
    *,
    batch_sizes: Iterable[BatchSize] = ("full",),
    devices: Iterable[str | torch.device] = ("cpu",),
    dtypes: Iterable[str | torch.dtype] | None = None,
    seeds: Iterable[int] = (0,),
    repeats: int = 1,
    epochs: int = 1000,
    stop_at: float | None = None,
    recorded_epochs: RecordedEpochs = "growing",
) -> Results:
    """Compare optimizers on a problem, or on several; the keywords are those of `Experiment`.

    Raises
    ------
    ValueError
        For an argument that cannot be, before anything runs.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> results = ol.compare(
    ...     problem, [ol.ManualSGD(0.1), ol.Lstsq()], batch_sizes=[5, "full"], seeds=[1], epochs=200
    ... )
    >>> results.trials[["optimizer", "batch", "batch_size", "status"]]
       optimizer   batch  batch_size    status
    0  ManualSGD       5           5  finished
    1  ManualSGD    full          10  finished
    2      Lstsq  direct        <NA>  finished
    """
    return Experiment(
        problems=problem,
        optimizers=optimizers,
        batch_sizes=batch_sizes,
        devices=devices,
        dtypes=dtypes,
        seeds=seeds,
        repeats=repeats,
        epochs=epochs,
        stop_at=stop_at,
        recorded_epochs=recorded_epochs,
    ).run()
