"""The grid of trials that a person asks for, and what running it gives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NoReturn

import torch
from cyclopts import App

from optlab.app import summary_table as terminal
from optlab.app.exit_status import as_typed, bad_input, call, stoppable
from optlab.app.options import RunOptions
from optlab.app.outputs import Outputs
from optlab.app.progress import TrialProgress
from optlab.lab import Budget, Grid, ProblemSummary, Status, machine, run_grid
from optlab.lab.measure.provenance import provenance
from optlab.lab.runner import Execution, Listener
from optlab.lab.store.redo import check_redo
from optlab.lab.store.store import Store
from optlab.lab.trial.budget import RecordedEpochs
from optlab.lab.workers.executors import chosen_executor
from optlab.optimizers import BatchSize, Optimizer
from optlab.problems import Problem
from optlab.results import Results


@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """Every optimizer on every problem, batch size, device, dtype and seed.

    Parameters
    ----------
    name
        The experiment's name.
    problems
        A problem or several, of different names.
    optimizers
        Optimizers, or a dict of names and optimizers.
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
        How often each trial is run.
    epochs
        The most passes over the data.
    stop_at
        Stop where the suboptimality is at most this share of the start's.
    recorded_epochs
        ``"growing"``: some 100 epochs at growing distances; a number k: every k-th; or epochs.
    conclude
        Called with the results at the end of `main`: to print or save what it is about.

    Raises
    ------
    ValueError
        For an argument that cannot be, before anything runs.

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
    repeats: int = 1
    epochs: int = 1000
    stop_at: float | None = None
    recorded_epochs: RecordedEpochs = "growing"
    conclude: Callable[[Results], object] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Iterator):  # it could be read only once
                object.__setattr__(self, field.name, tuple(value))
        self.grid()  # so that what cannot be is refused where it is written
        self.budget()

    def grid(self) -> Grid:
        """Return the checked axes."""
        return Grid.of(
            self.problems,
            self.optimizers,
            batch_sizes=self.batch_sizes,
            devices=self.devices,
            dtypes=self.dtypes,
            seeds=self.seeds,
            repeats=self.repeats,
        )

    def budget(self) -> Budget:
        """Return how long each trial may go on, and what of it is recorded."""
        return Budget(
            epochs=self.epochs, stop_at=self.stop_at, recorded_epochs=self.recorded_epochs
        )

    def run(
        self,
        *,
        store: str | Path | None = None,
        fresh: bool = False,
        redo: Iterable[str] = (),
        isolate: bool = False,
        jobs: int = 1,
        executor: Executor | None = None,
        dask: str | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        memory_limit: int | None = None,
        measure_memory: bool = False,
        command: str = "",
        listener: Listener | None = None,
    ) -> Results:
        """Run every trial and return the results.

        An optimizer that raises gives a failed row. After Ctrl-C there is a row for each trial.

        Parameters
        ----------
        store
            A file that each trial is written to as it ends. Trials that it holds already, of the
            same data, code, versions, machine and threads, are not run again.
        fresh
            Start over: what the store holds is set aside in a file beside it.
        redo
            Of the trials in the store, run these again, in the old's place: ``"failed"`` (failed,
            crashed or timed out), ``"contended"``, ``"unmeasured"`` (no peak memory).
        isolate
            Run the trials in a worker process, replaced when it dies: who crashes is a crashed row.
        jobs
            Run the trials in so many worker processes at once. Their seconds are then marked as
            contended, and never ranked.
        executor, dask
            Run the trials on an executor of yours, or on the workers of the Dask scheduler at this
            address; seconds are contended here too.
        time_limit
            Seconds of wall time that a trial may take. With ``isolate`` or ``jobs`` it is hard;
            without, and on executors, it is looked at between iterates.
        threads
            Of torch, BLAS and OpenMP in a trial; by default torch's own, shared among the jobs.
        memory_limit
            Bytes that a worker process may hold beyond its own; with ``isolate`` or ``jobs``.
        measure_memory
            Run each trial once more, untimed, to measure its peak memory.
        command
            What repeats the experiment, for the record.
        listener
            Who is told of trials that start and end; off the clock.

        Raises
        ------
        ValueError
            For arguments that exclude each other, and for a store that cannot be used.
        """
        if (executor is not None) + (dask is not None) + (isolate or jobs > 1) > 1:
            raise ValueError("executor, dask, and isolate or jobs exclude each other: choose one")
        if ((store is None or fresh) and redo) or (store is None and fresh):
            raise ValueError("fresh and redo are about what a store holds: name it, choose one")
        if "unmeasured" in check_redo(redo) and not measure_memory:
            raise ValueError("redo 'unmeasured' needs measure_memory (--memory)")
        grid, budget = self.grid(), self.budget()
        about = provenance(command, lasting=store is not None)
        about |= grid.definition() | budget.definition()
        with ExitStack() as stack:
            execution = Execution(
                threads=threads,
                time_limit=time_limit,
                isolate=isolate,
                jobs=jobs,
                executor_for=stack.enter_context(chosen_executor(executor, dask)),
                memory_limit=memory_limit,
                measure_memory=measure_memory,
            )
            kept = None if store is None else stack.enter_context(Store(store))
            if kept and fresh and kept.experiments():  # when all else has been found right
                kept.archive()
            records = run_grid(
                grid,
                budget,
                name=self.name,
                definition=about,
                execution=execution,
                store=kept,
                redo=check_redo(redo),
                listener=listener,
            )
        facts = {name: ProblemSummary.of(name, problem) for name, problem in grid.problems.items()}
        return Results.of(self.name, records, facts, machine(), about)

    def execute(self, options: RunOptions | None = None) -> int:
        """Run with progress, print the summary, write what was asked for; return the exit status.

        0 when every trial ended in a result, 1 when one did not, 130 after Ctrl-C.
        """
        options = options or RunOptions()
        outputs = Outputs(options.csv, options.figures, options.report)
        with bad_input():
            experiment = replace(self, **options.axes())
            outputs.check()
        if options.runs_beside:
            terminal.print_note(terminal.BESIDE)
        bar = TrialProgress(len(experiment.grid().trials()), experiment.epochs)
        with stoppable():
            with bar as progress, bad_input():
                results = experiment.run(
                    **options.execution(), command=as_typed(), listener=progress.listener()
                )
            outputs.write(results)  # before anything is printed: stdout may be closed by now
        terminal.print_summary(results.summary(), self.name)
        terminal.print_optima(results.problems)
        statuses = {Status(status) for status in results.trials["status"]}
        if Status.INTERRUPTED in statuses:
            return 130
        if self.conclude is not None:
            self.conclude(results)
        return 0 if all(status.is_result for status in statuses) else 1

    def main(self, arguments: Sequence[str] | None = None) -> NoReturn:
        """Run as a script, with the options of ``optlab run``, and exit with its status."""

        def run(*, options: RunOptions | None = None) -> int:
            return self.execute(options)

        app = App(name=Path(sys.argv[0]).name, help=f"Run the experiment {self.name!r}.")
        app.default(run)
        sys.exit(call(app, arguments))
