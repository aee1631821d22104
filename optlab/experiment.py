"""The grid of trials that a person asks for: `Experiment`, and `compare` for one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import torch

from optlab.anatomy import Anatomy
from optlab.lab import Budget, Grid, ProblemSummary, TrialRecord, machine, run_grid
from optlab.lab.anatomy_table import anatomy_table
from optlab.lab.execution_options import Execution
from optlab.lab.grid import Repeats
from optlab.lab.measure.provenance import provenance
from optlab.lab.rounds import check_tuned, stable_rates, tuning_trials
from optlab.lab.runner import Listener
from optlab.lab.store.judge_records import with_best_known
from optlab.lab.store.store import Store
from optlab.lab.store.store_error import StoreError
from optlab.lab.trial.best_known import judge_against_best_known
from optlab.lab.trial.budget import RecordedEpochs
from optlab.lab.trial.check_stop_at import check_stop_at
from optlab.lab.trial.record import Trial
from optlab.lab.trial.stop_at import StopAt
from optlab.lab.tuning.rate_rule import RuleName
from optlab.optimizers import BatchSize, Optimizer, Order
from optlab.problems import Problem
from optlab.results import Results


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """An experiment: every optimizer on every problem, batch size, device, dtype and seed.

    Parameters
    ----------
    name
        The experiment's name.
    problems
        A problem or several, of different names.
    optimizers
        Optimizers, or a dict of names and optimizers. One in `Tuned` is tuned before it is
        measured.
    batch_sizes
        Rows a mini-batch, or ``"full"``. Direct methods have one trial for the whole axis.
    devices
        Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"xpu"``. On one that is
        not there the trials are skipped, with the reason.
    dtypes
        ``"float32"``, ``"float64"``; the problem's own where left out.
    seeds
        A seed draws the start and the batches' order, the same for all optimizers and devices.
    repeats
        How often each trial is run; with ``"auto"`` once, and the short ones again until there are
        3 of each, in a tenth of the time that all took.
    order
        The order of the rows in each epoch, the same for all optimizers and devices:
        ``"dataloader"``, bit for bit that of torch's ``DataLoader`` after ``manual_seed(seed)``; or
        ``"fast"``, which sorts the rows by random keys of a counter-based generator (Philox), on
        the device. That is faster for epochs of some tens of rows, and copies nothing to another
        device; long epochs on the CPU are drawn as a ``DataLoader`` does in less time.
    rate_rule
        How learning rates follow the batch size: ``"constant"``, ``"linear"`` or ``"square root"``
        in ``batch_size / reference_batch_size``; or ``"tuned at each"``: 20 rates from 1e-4 to 10,
        the same at each batch size, are tried as `Tuned` does it, and the best one is measured.
        ``hp_learning_rate`` says each trial's. `Tuned` optimizers follow no rule.
    reference_batch_size
        The batch size at which the optimizers' own rates hold; the smallest where left out.
    epochs
        The most passes over the data.
    stop_at
        Stop where the suboptimality is at most this share of that of a fit that has learnt
        nothing: the start or the best constant, whichever is smaller; or where a `StopAt` of
        another measure says. Trials of a problem without a reference have no suboptimality while
        they run: they spend their epochs, and are judged when all have ended.
    recorded_epochs
        The epochs after which an iterate is judged and recorded:
        ``"growing"``: some 100 epochs at growing distances, with ``stop_at`` each of the first 100
        and then at most 2 % apart; a number k: every k-th; or epochs.
    record_parameters
        Keep the parameters of measured trials at every recorded epoch, for
        `Results.parameter_history`; at most 4 MiB a trial, which then has fewer epochs.
    conclude
        Called with the results at the end of `main`: to print or save what it is about.

    Raises
    ------
    ValueError
        For an argument that cannot be, before anything runs.

    See Also
    --------
    compare : The same in one call.
    minimize : One optimizer on one problem.
    Results : What `run` returns.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> experiment = ol.Experiment(
    ...     name="steps",
    ...     problems=problem,
    ...     optimizers=[ol.ManualSGD(0.01), ol.ManualSGD(0.1)],
    ...     epochs=50,
    ... )
    >>> experiment.run()
    Results('steps', 2 trials: 2 finished)
    """

    name: str = "experiment"
    problems: Problem | Sequence[Problem]
    optimizers: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer]
    batch_sizes: Iterable[BatchSize] = ("full",)
    devices: Iterable[str | torch.device] = ("cpu",)
    dtypes: Iterable[str | torch.dtype] | None = None
    seeds: Iterable[int] = (0,)
    repeats: Repeats = 1
    order: Order = "dataloader"
    rate_rule: RuleName = "constant"
    reference_batch_size: BatchSize | None = None
    epochs: int = 1000
    stop_at: float | StopAt | None = None
    recorded_epochs: RecordedEpochs = "growing"
    record_parameters: bool = False
    conclude: Callable[[Results], object] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Iterator):  # it could be read only once
                object.__setattr__(self, field.name, tuple(value))
        # Bad arguments are refused where they are written.
        check_stop_at(self.budget.stop_at, self.grid.problems.values())
        check_tuned(self.grid, self.budget)

    @cached_property
    def grid(self) -> Grid:
        """The checked axes."""
        return Grid.of(
            self.problems,
            self.optimizers,
            batch_sizes=self.batch_sizes,
            devices=self.devices,
            dtypes=self.dtypes,
            seeds=self.seeds,
            repeats=self.repeats,
            order=self.order,
            rate_rule=self.rate_rule,
            reference_batch_size=self.reference_batch_size,
        )

    @cached_property
    def budget(self) -> Budget:
        """The budget of each trial, and the epochs that are recorded."""
        return Budget(
            epochs=self.epochs,
            stop_at=self.stop_at,
            recorded_epochs=self.recorded_epochs,
            record_parameters=self.record_parameters,
        )

    def run(
        self,
        *,
        store: str | Path | None = None,
        execution: Execution | None = None,
        progress: bool | None = None,
        listener: Listener | None = None,
        command: str = "",
    ) -> Results:
        """Run every trial and return the results.

        An optimizer that raises gives a failed row. After Ctrl-C there is a row for each trial.

        Parameters
        ----------
        store
            A file that each trial is written to as it ends. Trials that it holds already, of the
            same data, code, versions, machine and threads, are not run again.
        execution
            The options that say how the trials are run: see `Execution`.
        progress
            Whether to show a progress bar, and where nobody looks at one a line for each trial, on
            stderr; where left out, a bar in a terminal and in a notebook, and nothing elsewhere.
        listener
            Called when trials start and end, off the clock, in place of the progress bar.
        command
            The command that repeats the experiment, for the record.

        Returns
        -------
        Results
            A row for each trial asked for, whatever became of it.

        Raises
        ------
        ValueError
            For options about the store where there is none, and for a store that cannot be used.
            Where it cannot be written any more when trials have run (`StoreError`), the exception's
            ``results`` hold a row for each trial.

        See Also
        --------
        compare : The same in one call.
        Results.load : Reads a store.
        """
        execution = Execution() if execution is None else execution
        if not isinstance(execution, Execution):
            raise ValueError(f"execution must be such as ol.Execution(jobs=2), not {execution!r}")
        if store is None and (execution.fresh or execution.redo):
            raise ValueError("fresh and redo are about the trials of a store: name the store")
        about: dict[str, object] = {**provenance(command, lasting=store is not None)}
        about |= self.grid.definition() | self.budget.definition()
        if rates := stable_rates(self.grid):
            about["stable_rates"] = rates
        kept = None if store is None else Store(store)
        try:
            with kept or nullcontext(), self._heard(progress, listener) as heard:
                records = run_grid(
                    self.grid,
                    self.budget,
                    name=self.name,
                    definition=about,
                    execution=execution,
                    store=kept,
                    listener=heard,
                )
        except StoreError as error:
            if error.records:
                error.results = self._results(error.records, about, execution)
            raise
        try:
            return self._results(records, about, execution)
        except KeyboardInterrupt:  # a moment's work, which loses nothing when it is done again
            return self._results(records, about, execution)

    def _heard(
        self, progress: bool | None, listener: Listener | None
    ) -> AbstractContextManager[Listener]:
        from optlab.report.progress import trial_progress  # noqa: PLC0415 - rich is loaded when it is shown

        if listener is None:
            trials = len(self.grid.trials()) + tuning_trials(self.grid)
            several = len(self.grid.problems) > 1
            return trial_progress(progress, trials, self.epochs, several=several)
        if progress:
            raise ValueError("progress and listener exclude each other: leave one out")
        return nullcontext(listener)

    def _results(
        self, records: Sequence[TrialRecord], about: Mapping[str, object], execution: Execution
    ) -> Results:
        problems = self.grid.problems.items()
        summaries = {name: ProblemSummary.of(name, problem) for name, problem in problems}
        references = {name: summary.reference_loss for name, summary in summaries.items()}
        judge_against_best_known(records, references, self.budget.stop_at)
        summaries = with_best_known(records, summaries)
        facts = machine(execution.threads, execution.threads_used)
        results = Results.of(self.name, records, summaries, facts, about)
        return replace(results, experiment_anatomy=self.anatomy)

    def anatomy(
        self, *, threads: int | None = None, on_start: Callable[[Trial], object] | None = None
    ) -> Anatomy:
        """Measure where the time of each optimizer's step goes: see `optlab.lab.step_anatomy`.

        Every optimizer that makes steps is run anew, on the CPU, at each batch size and dtype of
        the experiment and its first seed, for some seconds in all; nothing is stored.

        Parameters
        ----------
        threads
            How many threads torch, BLAS and OpenMP may use; as many as torch does now where left
            out.
        on_start
            Called with each trial whose step is measured, before it is.

        Returns
        -------
        Anatomy
            The table of parts, with its figure.

        See Also
        --------
        Results.anatomy : The same of results.
        """
        return Anatomy(anatomy_table(self.grid, threads, on_start))

    def main(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run as a script, with the options of ``optlab run``, and exit with its status.

        The status is 0 when every trial ended in a result, 1 when one did not, 2 for bad input, 3
        where the store or an output could not be written (a full disk, a file that another process
        keeps locked), 130 after Ctrl-C, SIGTERM or SIGHUP.

        Returns
        -------
        NoReturn
            The process ends.

        See Also
        --------
        run : Without a command line.
        """
        from optlab.app.execute import main  # noqa: PLC0415 - a library loads no command line

        main(self, arguments)


def compare(
    problem: Problem | Sequence[Problem],
    optimizers: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer],
    *,
    batch_sizes: Iterable[BatchSize] = ("full",),
    devices: Iterable[str | torch.device] = ("cpu",),
    dtypes: Iterable[str | torch.dtype] | None = None,
    seeds: Iterable[int] = (0,),
    repeats: Repeats = 1,
    order: Order = "dataloader",
    rate_rule: RuleName = "constant",
    reference_batch_size: BatchSize | None = None,
    epochs: int = 1000,
    stop_at: float | StopAt | None = None,
    recorded_epochs: RecordedEpochs = "growing",
    record_parameters: bool = False,
    store: str | Path | None = None,
    execution: Execution | None = None,
    progress: bool | None = None,
) -> Results:
    """Compare optimizers on a problem, or on several, in one call.

    Parameters
    ----------
    problem
        A problem or several, of different names.
    optimizers
        Optimizers, or a dict of names and optimizers. One in `Tuned` is tuned before it is
        measured.
    batch_sizes
        Rows a mini-batch, or ``"full"``. Direct methods have one trial for the whole axis.
    devices
        Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"xpu"``.
    dtypes
        ``"float32"``, ``"float64"``; the problem's own where left out.
    seeds
        A seed draws the start and the batches' order, the same for all optimizers and devices.
    repeats
        How often each trial is run; ``"auto"`` repeats the short ones: see `Experiment`.
    order
        The order of the rows in each epoch: ``"dataloader"``, bit for bit that of torch's
        ``DataLoader``, or ``"fast"``.
    rate_rule, reference_batch_size
        How learning rates follow the batch size: see `Experiment`.
    epochs
        The most passes over the data.
    stop_at
        Stop where the suboptimality is at most this share of that of a fit that has learnt
        nothing, or where a `StopAt` of another measure says.
    recorded_epochs
        The epochs after which an iterate is judged and recorded: ``"growing"``, a number k for
        every k-th, or epochs.
    record_parameters
        Keep the parameters of measured trials at these epochs, at most 4 MiB a trial.
    store
        A file that each trial is written to as it ends; trials that it holds are not run again.
    execution
        The options that say how the trials are run: see `Execution`.
    progress
        Whether to show a progress bar; in a terminal and in a notebook where left out.

    Returns
    -------
    Results
        The tables of all trials, with summaries, figures and a page.

    Raises
    ------
    ValueError
        For an argument that cannot be, before anything runs.

    See Also
    --------
    Experiment : The same as an object, with a command line of its own.
    minimize : One optimizer on one problem.
    Results.ranking, Results.plot_convergence : What to look at first.

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
        order=order,
        rate_rule=rate_rule,
        reference_batch_size=reference_batch_size,
        epochs=epochs,
        stop_at=stop_at,
        recorded_epochs=recorded_epochs,
        record_parameters=record_parameters,
    ).run(store=store, execution=execution, progress=progress)
