"""The library call that minimises one problem by one optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from numpy.typing import ArrayLike

from optlab.html_templates import facts_html
from optlab.lab import ProblemSummary
from optlab.lab.grid import Grid
from optlab.lab.store.judge_records import with_best_known
from optlab.lab.tables import traces_table
from optlab.lab.trial.best_known import judge_against_best_known
from optlab.lab.trial.budget import Budget, RecordedEpochs
from optlab.lab.trial.check_stop_at import check_stop_at
from optlab.lab.trial.record import TrialRecord
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.lab.trial.stop_at import StopAt
from optlab.optimizers import BatchSize, Optimizer, Order
from optlab.problems import Parameters, Problem
from optlab.problems.fitted_model import coefficients, predict
from optlab.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Solution:
    """The last iterate of an optimizer, its evaluation, and the way to it.

    Parameters
    ----------
    parameters
        The last iterate, on the CPU, in the dtype computed in.
    loss, suboptimality, parameter_error
        Of the last iterate, in float64 over all data; NaN where the problem has no reference.
    best_suboptimality, best_epoch
        The least recorded suboptimality, and its epoch.
    status, message
        How the run ended, and why.
    epochs, seconds
        Passes made, and seconds that the optimizer worked; evaluations are not counted.
    record
        The trial's record, of which `trace` is made.
    problem
        The problem that was minimised.

    See Also
    --------
    minimize : What returns it.
    Results : Of several trials.
    """

    parameters: Parameters
    loss: float
    suboptimality: float
    parameter_error: float
    best_suboptimality: float
    best_epoch: int
    status: Status
    message: str
    epochs: int
    seconds: float
    record: TrialRecord = field(repr=False)
    problem: Problem = field(repr=False)

    @cached_property
    def trace(self) -> pd.DataFrame:
        """The recorded iterates, a row each."""
        return traces_table([self.record]).drop(columns=["trial", "predicted_suboptimality"])

    def parameter_history(self) -> pd.DataFrame:
        """Return the parameters along the way, as `Results.parameter_history` does.

        Returns
        -------
        pandas.DataFrame
            ``epoch``, and a column for each entry of the parameters.

        Raises
        ------
        ValueError
            Where they were not recorded: ask for ``record_parameters=True``.

        See Also
        --------
        trace : The losses at these epochs, and at all others that were recorded.
        """
        name = self.record.trial.problem
        facts = {name: ProblemSummary.of(name, self.problem)}
        results = Results.of("solution", [self.record], facts, {}, {})
        return results.parameter_history(self.record.trial.number)

    def predict(self, X: Any = None) -> Any:
        """Return the model's predictions at the last iterate.

        Parameters
        ----------
        X
            Rows ``(B, d)``, an array, a tensor or a data frame, in the units of the data: where the
            problem was made of a standardized dataset, they are standardized by its means and
            deviations first. A frame's columns are taken by name, and where the dataset was made of
            a table, encoded as there: with its levels, and with its fills of missing values. The
            rows that were fitted where left out.

        Returns
        -------
        torch.Tensor or numpy.ndarray
            A prediction for each row, ``(B,)``, in the dtype of the parameters: of classes their
            labels, of counts their means. ``problem.predict(solution.parameters, X)`` is the same
            for rows that are standardized already.

        Raises
        ------
        ValueError
            For a problem that predicts nothing, and for rows that do not fit its features: a level
            that no fitted row has, a column that is missing.

        Warns
        -----
        UserWarning
            Which missing values of a table were filled, and by what.

        See Also
        --------
        coefficients : What the model is made of.
        plot : The way to the last iterate.

        Examples
        --------
        >>> import optlab as ol
        >>> data = ol.datasets.Dataset("a", [[10.0], [20.0], [40.0]], [1.0, 2.0, 4.0])
        >>> problem = ol.LinearRegression.from_dataset(data.standardized())
        >>> ol.minimize(problem, ol.Lstsq()).predict([[30.0]]).round(decimals=6)
        tensor([3.], dtype=torch.float64)
        """
        return predict(self.problem, self.parameters, X)

    def coefficients(self) -> pd.DataFrame:
        """Return a linear model's coefficients in the units of the data and as fitted.

        Returns
        -------
        pandas.DataFrame
            A row for the intercept and for each feature: ``name, coefficient, standard_error`` (in
            the units of the columns before they were standardized), ``as_fitted,
            standard_error_as_fitted``. Standard errors are those of least squares without a
            penalty: they are given where the last iterate is the minimiser to 6 digits, and NaN
            elsewhere, where they would be errors of a point that was not reached.

        Raises
        ------
        ValueError
            For a problem that is no linear model.

        See Also
        --------
        predict : Predictions in the units of the data.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
        >>> table = ol.minimize(problem, ol.Lstsq()).coefficients()
        >>> table.loc[3, ["name", "coefficient", "standard_error"]].tolist()[0]
        'bmi'
        """
        return coefficients(self.problem, self.parameters, self.parameter_error)

    def plot(self) -> Figure:
        """Draw the way to the last iterate: the suboptimality over epochs, samples and seconds.

        Where no reference is known, the loss above the least that was found.

        Returns
        -------
        matplotlib.figure.Figure

        See Also
        --------
        predict, coefficients : What was found.
        Results.plot_convergence : Of several optimizers.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> figure = ol.minimize(problem, ol.ManualSGD(0.1), epochs=20).plot()
        """
        from optlab.report.figures.convergence_figure import convergence_figure  # noqa: PLC0415 - matplotlib is loaded when it is drawn with

        name = self.record.trial.problem
        records, facts = [deepcopy(self.record)], ProblemSummary.of(name, self.problem)
        judge_against_best_known(records, {name: facts.reference_loss}, None)
        problems = with_best_known(records, {name: facts})
        return convergence_figure(Results.of("solution", records, problems, {}, {}), name)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.parameters.items())
        known = not math.isnan(self.suboptimality)
        gap = f", suboptimality {self._suboptimality()}" if known else ""
        return (
            f"Solution({self.status}: {self.message}; loss {self.loss:.6g}{gap}, "
            f"{self.seconds:.3g} s; {shown})"
        )

    def _suboptimality(self) -> str:
        last = f"{self.suboptimality:.2g}"
        if self.best_suboptimality < self.suboptimality:
            return f"{last} (least {self.best_suboptimality:.2g} at epoch {self.best_epoch})"
        return last

    def _repr_html_(self) -> str:
        facts = {"message": self.message, "loss": f"{self.loss:.6g}"}
        facts |= {"suboptimality": self._suboptimality(), "epochs": str(self.epochs)}
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
    start: Mapping[str, ArrayLike | torch.Tensor] | None = None,
    shuffle: bool = True,
    order: Order = "dataloader",
    stop_at: float | StopAt | None = None,
    recorded_epochs: RecordedEpochs = "growing",
    record_parameters: bool = False,
    progress: bool | None = None,
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
    start
        Parameters to start from, by name, such as ``{"weight": [0.0, 0.0], "bias": 0.0}``; drawn
        from the seed where left out. The order of the batches is the same with and without.
    shuffle
        Whether the rows are visited in a new random order each epoch, or as they stand.
    order
        The random order: ``"dataloader"``, bit for bit that of torch's ``DataLoader``, or
        ``"fast"``, by a counter-based generator (Philox): see `optlab.Experiment`.
    stop_at
        Stop where the suboptimality is at most this share (above 0, below 1) of that of a fit that
        has learnt nothing, or where a `optlab.lab.trial.stop_at.StopAt` says.
    recorded_epochs
        Which epochs are recorded and looked at: see `optlab.lab.trial.budget.Budget`.
    record_parameters
        Keep the parameters of the recorded epochs, at most 4 MiB, for `Solution.parameter_history`.
    progress
        Whether to show a progress bar in a terminal and in a notebook; elsewhere there is none.

    Returns
    -------
    Solution
        The last iterate, its evaluation, how the run ended, and the way to it.

    Raises
    ------
    ValueError
        For bad arguments, and for a pair of optimizer and problem that cannot run.
    Exception
        Whatever the optimizer raises.

    See Also
    --------
    compare : Several optimizers, batch sizes, seeds and devices.
    Solution : What is returned.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> solution = ol.minimize(problem, ol.ManualSGD(0.1), epochs=100, batch_size=5, seed=1)
    >>> solution.status
    <Status.FINISHED: 'finished'>
    >>> solution.trace[["epoch", "samples"]].tail(1).values.tolist()
    [[100, 1000]]
    >>> ol.minimize(problem, ol.ManualSGD(0.1), start=solution.parameters, epochs=1).epochs
    1
    """
    from optlab.report.progress import epoch_progress  # noqa: PLC0415 - rich is loaded when it is shown

    grid = Grid.of(
        [problem],
        [optimizer],
        batch_sizes=[batch_size],
        devices=[device],
        dtypes=None if dtype is None else [dtype],
        seeds=[seed],
        order=order,
    )
    (trial,) = grid.trials()
    budget = Budget(epochs, stop_at, recorded_epochs, record_parameters)
    given = None if start is None else _checked_start(start, problem)
    check_stop_at(budget.stop_at, [problem], given)
    with epoch_progress(progress, budget.epochs) as watch:
        outcome = run_trial(
            trial,
            problem,
            optimizer,
            budget,
            start=given,
            shuffle=shuffle,
            watch=watch,
            warm_up=False,
            catch=(),
        )
    if outcome.status == Status.SKIPPED:
        raise ValueError(f"{trial.optimizer} cannot run here: {outcome.message}")
    return _solution(outcome, problem)


def _solution(outcome: TrialRecord, problem: Problem) -> Solution:
    last, best = outcome.trace[-1], outcome.best
    assert best is not None
    return Solution(
        parameters={name: torch.from_numpy(v) for name, v in outcome.parameters.items()},
        loss=last.loss,
        suboptimality=last.suboptimality,
        parameter_error=last.parameter_error,
        best_suboptimality=best.suboptimality,
        best_epoch=best.epoch,
        status=outcome.status,
        message=outcome.message,
        epochs=last.epoch,
        seconds=outcome.seconds,
        record=outcome,
        problem=problem,
    )


def _checked_start(
    start: Mapping[str, ArrayLike | torch.Tensor], problem: Problem
) -> dict[str, torch.Tensor]:
    """Return a start as float64 tensors, or raise a ValueError that says what it must be."""
    shapes = {k: tuple(v.shape) for k, v in problem.start(torch.Generator()).items()}
    if not isinstance(start, Mapping) or set(start) != set(shapes):
        given = sorted(map(str, start)) if isinstance(start, Mapping) else start
        raise ValueError(f"start must name the parameters {sorted(shapes)}, not {given!r}")
    checked = {}
    for name, shape in shapes.items():
        try:
            # A copy: whoever changes the array later does not change the start.
            value = torch.as_tensor(start[name], dtype=torch.float64, device="cpu").detach().clone()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"start[{name!r}] must be numbers, not {start[name]!r}") from error
        if tuple(value.shape) != shape:
            raise ValueError(f"start[{name!r}] must have shape {shape}, not {tuple(value.shape)}")
        if not value.isfinite().all():
            raise ValueError(f"start[{name!r}] must be finite, not {value.tolist()}")
        checked[name] = value
    return checked


def _short(value: torch.Tensor) -> str:
    if value.numel() <= 4:
        return f"{value.tolist()}"
    return f"<{' x '.join(str(size) for size in value.shape)} {value.dtype}>"
