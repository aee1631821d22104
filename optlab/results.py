"""The results of an experiment: two tidy tables, with summaries, figures and a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import numpy as np
import pandas as pd

from optlab import analysis
from optlab.analysis.result_tables import ResultTables
from optlab.analysis.run_differences import run_differences
from optlab.analysis.select_trials import check_column, select_trials
from optlab.analysis.win_rates import mean_places, of_best_settings
from optlab.anatomy import Anatomy
from optlab.lab import ProblemSummary, TrialRecord, traces_table, trials_table
from optlab.lab.store.load import read_stores
from optlab.lab.store.save import keep_stored_trials, write_saved
from optlab.lab.store.table_records import records_of_tables
from optlab.lab.tables import predictions_table
from optlab.lab.trial.recorded_parameters import RecordedParameters
from optlab.lab.trial.stop_at import StopAt
from optlab.report.answer.ranking import ranked_settings, ranking
from optlab.report.answer.verdict import verdict
from optlab.report.findings.sentence import by_problem
from optlab.report.latex_document import table_document
from optlab.report.output_file import check_output, is_own_output, output_file
from optlab.report.paper_table import paper_table
from optlab.report.style import Styles, drawn_trials
from optlab.report.table_files import write_tables
from optlab.report.trial_counts import stopped_while_tuning, trial_counts
from optlab.report.words import join_names
from optlab.run_diff import RunDiff

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from optlab.report.figures.paper import FigureStyle
    from optlab.report.page.signature_table import SignatureLike


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Results(ResultTables):
    """The outcome of an experiment: its tables, with their summaries, figures and report.

    See Also
    --------
    Experiment.run, compare : What makes them.
    """

    experiment_anatomy: Callable[[], Anatomy] | None = None  # of the experiment in this process

    @classmethod
    def of(
        cls,
        name: str,
        records: Sequence[TrialRecord],
        problems: Mapping[str, ProblemSummary],
        machine: Mapping[str, str],
        definition: Mapping[str, Any],
        code: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Self:
        """Make the two tables from the records of trials.

        Returns
        -------
        Results
            Their tables.

        See Also
        --------
        load : From files.
        """
        return cls(
            name=name,
            trials=trials_table(records, problems),
            traces=traces_table(records),
            problems=problems,
            machine=machine,
            definition=definition,
            final_parameters={r.trial.number: r.parameters for r in records if r.parameters},
            predictions=predictions_table(records),
            tracebacks={r.trial.number: r.traceback for r in records if r.traceback},
            recorded_parameters={r.trial.number: r.recorded for r in records if r.recorded},
            code=code or {},
        )

    @classmethod
    def load(cls, *paths: str | Path) -> Self:
        """Read the results in files that ``--store`` wrote; nothing in a file is run.

        Trials are numbered anew from 0, file by file, in the order of their grids. A file may hold
        more than its last experiment asked for: what was run for other data or code under the same
        names, for another budget or with other threads is left out (``definition["left out"]``
        counts it). What it asked for and has not been run is ``interrupted``.

        The repeats of a second file go on counting where those of the first end; problems and
        optimizers of one name that are not the same in both are told apart by the file's name. Of
        several files the definition holds ``files``, each one's by its name.

        Returns
        -------
        Results
            The trials of all files, judged anew; without the problems' data, which no file holds.

        Raises
        ------
        ValueError
            For a file that is missing, damaged, no results file, or from a newer optlab.

        See Also
        --------
        Experiment.run : ``store=`` writes such a file as trials end.
        """
        if not paths:
            raise ValueError("name at least one results file")
        found = read_stores(paths)
        name = " + ".join(found.names)
        about = found.problems, found.machine, found.definition, found.code
        return cls.of(name, found.records, *about)

    def __getstate__(self) -> dict[str, Any]:
        # Of what another process reads, the tables: problems may not be picklable.
        return self.__dict__ | {"experiment_anatomy": None}

    def __repr__(self) -> str:
        return f"Results({self.name!r}, {trial_counts(self.trials)})"

    def __str__(self) -> str:
        from optlab.report.answer.terminal import answer_text  # noqa: PLC0415 - rich is loaded when it is printed

        return answer_text(self)

    def _repr_html_(self) -> str:
        from optlab.report.notebook import results_html  # noqa: PLC0415 - as the figures below

        return results_html(self)

    def verdict(self) -> str:
        """Return one to three sentences that say which method to use, a line each.

        Of several problems each line begins with the problem's name. They stand above the ranked
        table wherever these results are shown.

        Returns
        -------
        str
            The fact first, what is not certain after it.

        See Also
        --------
        ranking : The table that the verdict is made of.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, ol.ManualSGD(5.0), epochs=100)
        >>> results.verdict()
        'No trial ended with an answer: 1 diverged.'
        """
        groups = by_problem(verdict(self), self.problems)
        heads = ((f"{name}: " if name else "", said) for name, said in groups)
        return "\n".join(f"{head}{sentence.text}" for head, said in heads for sentence in said)

    def ranking(self) -> pd.DataFrame:
        """Return the best setting of each method on each problem, the best method first.

        The columns and the order are those of `optlab.report.answer.ranking.ranking`.

        Returns
        -------
        pandas.DataFrame
            ``problem, rank, method, label, ..., seconds, low, high, ..., ratio, verdict``.

        See Also
        --------
        best : The trials of these settings, as results.
        """
        return ranking(self)

    def filter(self, **conditions: Any) -> Self:
        """Return the results of the trials that meet all conditions.

        Parameters
        ----------
        **conditions
            By column of the table of trials (``optimizer``, ``batch``, ``device``, ``seed``,
            ``status``, ``hp_learning_rate``, ...), the value that a trial must have; or several of
            which it must have one; or a function of the column that returns which rows to keep.
            ``method`` names methods with all their settings.

        Returns
        -------
        Results
            With the trials' own numbers, traces and parameters; they are drawn, reported and
            exported as all results are.

        Raises
        ------
        ValueError
            For a column that there is not, for a value that no trial has, and where no trial meets
            all conditions.

        See Also
        --------
        best, sort

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> rates = [ol.ManualSGD(0.1), ol.ManualSGD(0.01)]
        >>> results = ol.compare(problem, rates, batch_sizes=[1, "full"], epochs=5)
        >>> results.filter(batch=1, hp_learning_rate=lambda rate: rate > 0.05)
        Results('experiment', 1 trial: 1 finished)
        """
        asked = dict(conditions)
        chosen = drawn_trials(self.trials, conditions.pop("method", None), None)
        chosen &= select_trials(self.trials, conditions)
        if not chosen.any():
            raise ValueError(f"no trial meets all of {asked!r}")
        return self._with(self.trials[chosen])

    def sort(self, by: str | Sequence[str], *, ascending: bool = True) -> Self:
        """Return the results with their trials in order of a column, or of several.

        The order is that in which tables, legends and figures name optimizers. Trials of equal
        values stay in their order; those without a value come last.

        Parameters
        ----------
        by
            Columns of the table of trials, the first to sort by first.
        ascending
            Whether the least value comes first.

        Returns
        -------
        Results
            The same trials in another order.

        Raises
        ------
        ValueError
            For a column that there is not.

        See Also
        --------
        best, filter

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, [ol.ManualSGD(0.01), ol.ManualSGD(0.1)], epochs=5)
        >>> results.sort("suboptimality").trials["hp_learning_rate"].tolist()
        [0.1, 0.01]
        """
        columns = [by] if isinstance(by, str) else list(by)
        for column in columns:
            check_column(self.trials, column)
        return self._with(self.trials.sort_values(columns, ascending=ascending, kind="stable"))

    def best(self, per: str | Sequence[str] = "optimizer") -> Self:
        """Return the results of the best setting of each optimizer, or of each value of a column.

        The settings that are compared differ in all but ``per`` and the problem; the best is the
        first by the rules of `ranking`, one for all seeds (`scores` takes the best of each seed).

        Parameters
        ----------
        per
            ``"optimizer"``: its settings differ in hyperparameters, batch size, device and dtype;
            or columns of the table of trials that name a setting, such as ``"batch"`` or
            ``["optimizer", "batch"]``.

        Returns
        -------
        Results
            The trials of these settings, the best setting first.

        Raises
        ------
        ValueError
            For another column, and where no trial ran.

        See Also
        --------
        filter, sort, ranking

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> rates = [ol.ManualSGD(rate) for rate in (0.001, 0.01, 0.1)]
        >>> ol.compare(problem, [*rates, ol.Lstsq()], epochs=5).best().trials["optimizer"].tolist()
        ['Lstsq', 'ManualSGD(learning_rate=0.1)']
        """
        columns = [per] if isinstance(per, str) else list(per)
        allowed = [*analysis.CELL, *(str(c) for c in self.trials if str(c).startswith("hp_"))]
        if wrong := [column for column in columns if column not in allowed]:
            raise ValueError(f"per must be of {', '.join(allowed)}, not {wrong[0]!r}")
        settings, measured = ranked_settings(self), self.measured
        if settings.empty:
            why = stopped_while_tuning(self.trials) or "no trial ran"
            raise ValueError(f"there is no best setting: {why}")
        own = [column for column in columns if column.startswith("hp_")]
        settings = settings.merge(
            measured.trials[[*analysis.CELL, *own]].drop_duplicates(analysis.CELL)
        )
        keys = ["method" if column == "optimizer" else column for column in columns]
        best = settings.drop_duplicates(list(dict.fromkeys(["problem", *keys])))
        order = best[analysis.CELL].reset_index(drop=True).reset_index(names="place")
        trials = measured.trials.reset_index(names="row").merge(order, on=analysis.CELL)
        rows = trials.sort_values(["place", "row"], kind="stable")["row"]
        return measured._with(measured.trials.loc[rows])

    def _with(self, trials: pd.DataFrame) -> Self:
        """Return the results of some of the trials, in the order given."""
        kept = set(trials["problem"])
        problems = {name: facts for name, facts in self.problems.items() if name in kept}
        return replace(self.of_trials(trials), problems=problems)

    def summary(self) -> pd.DataFrame:
        """Return a row for each optimizer, batch size, device and dtype: medians and intervals.

        The columns are those of `optlab.analysis.summary`.

        Returns
        -------
        pandas.DataFrame
            A row for each cell, with medians over seeds and repeats.

        See Also
        --------
        ranking : The best setting of each method.
        ratios : Pairs of optimizers.
        """
        return analysis.summary(self.trials)

    def ratios(self, baseline: str) -> pd.DataFrame:
        """Return how many times a baseline's seconds each other optimizer takes, and a verdict.

        The verdict is ``faster``, ``slower``, ``no difference shown`` or ``too few repeats to
        say``: see `optlab.analysis.ratios` for the columns and the method.

        Returns
        -------
        pandas.DataFrame
            A row for each other optimizer in each cell of the baseline.

        Raises
        ------
        ValueError
            For a baseline that is none of the optimizers.

        See Also
        --------
        ranking : The order of all methods.
        summary : Seconds with intervals.
        """
        return analysis.ratios(self.trials, baseline)

    def theory(self) -> pd.DataFrame:
        """Return what theory says of each optimizer and batch size, beside what was measured.

        A row for each that is gradient descent at a constant rate on a problem whose modes are
        known, with the largest stable learning rate for these data, the slowest mode's half-life in
        epochs, the noise floor, and the epochs to ``stop_at``, predicted and measured: see
        `optlab.analysis.theory` for the columns. `plot_theory` draws the curves;
        ``predicted_suboptimality`` in `traces` has them.

        Returns
        -------
        pandas.DataFrame
            A row for each setting that theory describes; empty where it describes none.

        See Also
        --------
        plot_theory : The same as curves.
        optlab.testing.oracles : The formulas.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(
        ...     problem, [ol.SGD(0.05), ol.Adam(0.05)], epochs=100, stop_at=1e-6, recorded_epochs=1
        ... )
        >>> table = results.theory()
        >>> table[["optimizer", "stable_rate", "predicted_epochs", "measured_epochs"]].round(6)
          optimizer  stable_rate  predicted_epochs  measured_epochs
        0       SGD          1.0              72.0             72.0
        """
        return analysis.theory(self)

    def time_to_target(self, stop_at: float | StopAt) -> pd.DataFrame:
        """Return what it took each cell to bring the suboptimality to a share of its `stop_scale`.

        Trials that never get there count as longer than any that do: see
        `optlab.analysis.time_to_target` for ``stop_at`` and `optlab.analysis.target_summary` for
        the columns.

        Returns
        -------
        pandas.DataFrame
            A row for each cell: how many trials reached the target, and their median costs.

        See Also
        --------
        performance_profile, scores : Over several problems.
        expected_cost : With restarts after failures.
        """
        return analysis.target_summary(analysis.time_to_target(self.trials, self.traces, stop_at))

    def performance_profile(self, stop_at: float | StopAt, cost: str = "seconds") -> pd.DataFrame:
        """Return the share of problems that each optimizer solves within a factor of the best.

        ``cost`` is ``"seconds"``, ``"epochs"`` or ``"samples"`` to the target: see
        `optlab.analysis.performance_profile`.

        Returns
        -------
        pandas.DataFrame
            A row for each solver and factor, with the share of instances solved within it.

        See Also
        --------
        scores : Its area, one number for a method.
        win_rates : Who beats whom.
        """
        times = analysis.time_to_target(self.trials, self.traces, stop_at)
        return analysis.performance_profile(times, cost)

    def scores(
        self,
        stop_at: float | StopAt | None = None,
        cost: str = "epochs",
        *,
        k: int | None = None,
        limit: float = 4.0,
    ) -> pd.DataFrame:
        """Return AlgoPerf's score of each method over the problems, with intervals.

        A method's cost on a problem is that of the best of its settings (of the best of ``k`` of
        them), the median over seeds: see `optlab.analysis.scores` for the score and the columns.
        The best is another one for each seed, as AlgoPerf takes it; ``results.best().scores()`` is
        the score of one setting of each method on each problem, the same for all seeds.

        Parameters
        ----------
        stop_at
            The target; the experiment's own, if left out.
        cost
            ``"epochs"``, ``"samples"``, ``"steps"`` or ``"seconds"`` to the target.
        k
            How many settings of a method may be tried, by luck; all of them, if left out. Those of
            a tuned optimizer are its tuning trials.
        limit
            The ratio to the best from which on a method scores nothing.

        Returns
        -------
        pandas.DataFrame
            A row for each method, the best first.

        Raises
        ------
        ValueError
            Without a target, and as `optlab.analysis.attempts` and `optlab.analysis.scores` do.

        See Also
        --------
        win_rates : Who beats whom, and how often.
        expected_cost : What a method costs with restarts.
        performance_profile : The curve of which this score is the area.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> rates = [ol.SGD(0.1), ol.SGD(0.3), ol.Adam(0.1), ol.Adam(1.0)]
        >>> results = ol.compare(problem, rates, epochs=100, stop_at=1e-3)
        >>> results.scores()[["method", "score", "solved"]].round(2)
          method  score  solved
        0    SGD   1.00       1
        1   Adam   0.13       1
        """
        costs = analysis.attempts(self.trials, self.traces, self._stop_at(stop_at), cost)
        return analysis.scores(costs, k=k, limit=limit)

    def win_rates(
        self, stop_at: float | StopAt | None = None, cost: str = "epochs"
    ) -> pd.DataFrame:
        """Return how often each optimizer takes less to the target than each other.

        Comparisons are made on each problem at each batch size: see `optlab.analysis.win_rates` for
        the columns. `plot_win_rates` draws them.

        Returns
        -------
        pandas.DataFrame
            A row for each ordered pair of optimizers.

        Raises
        ------
        ValueError
            Without a target.

        See Also
        --------
        plot_win_rates : The same as a figure.
        scores : How large the wins are.
        """
        times = analysis.time_to_target(self.trials, self.traces, self._stop_at(stop_at))
        return analysis.win_rates(times, cost)

    def expected_cost(
        self, stop_at: float | StopAt | None = None, cost: str = "epochs"
    ) -> pd.DataFrame:
        """Return the expected running time (ERT) of each cell: its mean cost to a first success.

        See `optlab.analysis.expected_cost` for the columns.

        Returns
        -------
        pandas.DataFrame
            A row for each cell, with the expected cost and its interval.

        Raises
        ------
        ValueError
            Without a target.

        See Also
        --------
        time_to_target : Medians in place of means.
        """
        times = analysis.time_to_target(self.trials, self.traces, self._stop_at(stop_at))
        return analysis.expected_cost(times, cost)

    def _stop_at(self, given: float | StopAt | None) -> float | StopAt:
        """Return the target asked for, or that of the experiment."""
        own = StopAt.stored(self.definition.get("stop_at")) if given is None else given
        if own is None:
            raise ValueError("the experiment had no stop_at: name a target, such as stop_at=1e-3")
        return own

    def tuning(self) -> pd.DataFrame:
        """Return what tuning found and what it took, a row for each search and hyperparameter.

        The best value, whether it lies at the edge of its range, how sharp the choice is, the share
        of settings that reached ``stop_at``, and the cost: see `optlab.analysis.tuning` for the
        columns. Empty where no optimizer was `optlab.Tuned`: of a grid that is written by hand
        `best` has the best settings, and the answer says where one is at an edge.

        Returns
        -------
        pandas.DataFrame
            A row for each search and hyperparameter.

        See Also
        --------
        tuning_settings : All that was tried.
        plot_tuning : The same as curves.
        tuning_ranks : Ranks with the cost of tuning.
        """
        return analysis.tuning(self)

    def tuning_settings(self) -> pd.DataFrame:
        """Return every setting that was tried: see `optlab.analysis.tuning_settings`.

        Returns
        -------
        pandas.DataFrame
            A row for each setting and hyperparameter.

        See Also
        --------
        tuning : What was found.
        best_of_k : How much luck is in it.
        """
        return analysis.tuning_settings(self)

    def best_of_k(self) -> pd.DataFrame:
        """Return how good the best of k settings is: see `optlab.analysis.best_of_k`.

        Returns
        -------
        pandas.DataFrame
            A row for each search and k, with the median and the range of the best of k.

        See Also
        --------
        tuning : What was found.
        scores : Over several problems, by the best of k.
        """
        return analysis.best_of_k(self)

    def tuning_ranks(self) -> pd.DataFrame:
        """Return ranks with and without the cost of tuning: see `optlab.analysis.tuning_ranks`.

        Returns
        -------
        pandas.DataFrame
            A row for each problem, batch size and optimizer.

        See Also
        --------
        ranking : By the measured trials alone.
        tuning : The cost of each search.
        """
        return analysis.tuning_ranks(self)

    def diff(
        self,
        new: ResultTables,
        *,
        metrics: Sequence[str] | None = None,
        stop_at: float | StopAt | None = None,
        tolerance: float | None = None,
        names: tuple[str, str] = ("the old results", "the new results"),
    ) -> RunDiff:
        """Compare these results with later ones of the same experiment: what became worse.

        Settings are matched by what the user wrote (problem, optimizer with its hyperparameters,
        batch size, device, dtype, order), whatever code ran. A problem whose rows or whose loss
        differ is not compared. Trials are paired by seed and repeat.

        - Epochs to the target, and the suboptimality at the end of trials that do not reach it, are
          exact: the same seed walks the same path, on any machine but for rounding.
        - Seconds are compared with those of the median setting of the same repeat, which is taken
          as unchanged: so a busier hour is no regression. They are judged where at least 3 settings
          were timed on one machine with as many threads, and wherever ``metrics`` names them.
        - A status is worse where a trial that had an answer diverged, timed out, failed or crashed,
          or where it became so otherwise, in this order.

        A difference is called ``slower`` (epochs, seconds) or ``worse`` (suboptimality, status),
        ``faster`` or ``better``, where the trimmed mean of the pairs' log ratios is beyond the
        tolerance, and its p-value, adjusted by Holm for the settings compared, is below 0.05, of
        seconds 0.01. Of fewer than 3 seeds all must be beyond the tolerance to one side; seconds
        need 3 pairs.

        Parameters
        ----------
        new
            The later results.
        metrics
            Of ``"epochs"``, ``"seconds"`` and ``"suboptimality"``; all where left out.
        stop_at
            The target that epochs are counted to; the experiments' own where left out.
        tolerance
            The share by which a ratio may differ from 1; where left out, 0.05 of epochs and
            suboptimality, and 0.1 of seconds.
        names
            Of the old and the new results, in sentences.

        Returns
        -------
        optlab.run_diff.RunDiff
            Its ``table`` has a row for each setting and metric, its ``regressions()`` those that
            became worse; printed, it is the verdict, a table, and what changed besides.

        Raises
        ------
        ValueError
            Where no setting is in both, where both are the same run, and for an argument that
            cannot be.

        See Also
        --------
        load : Read the results of an earlier run.
        ratios : Compare optimizers of one run.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> def run(rate):
        ...     return ol.compare(problem, {"descent": ol.SGD(rate)}, epochs=200, stop_at=1e-6)
        >>> diff = run(0.1).diff(run(0.1))
        >>> diff.table.loc[:1, ["optimizer", "metric", "ratio", "verdict"]]
          optimizer  metric  ratio              verdict
        0   descent  status    NaN  no difference shown
        1   descent  epochs    1.0  no difference shown
        """
        found = run_differences(
            self, new, metrics=metrics, stop_at=stop_at, tolerance=tolerance, names=names
        )
        return RunDiff(**vars(found))

    def anatomy(self) -> Anatomy:
        """Measure where the time of each optimizer's step goes, by running the optimizers anew.

        The problems and optimizers are those of the experiment that these results come from; its
        parts, bounds and figure are those of `Experiment.anatomy`.

        Returns
        -------
        Anatomy
            The table of parts, with its figure.

        Raises
        ------
        ValueError
            For results that were read from a file, which holds no optimizers.

        See Also
        --------
        Experiment.anatomy : The same before any trial ran.
        """
        if self.experiment_anatomy is None:
            raise ValueError(
                "results read from a file hold no optimizers to measure: run "
                "`optlab profile SCRIPT.py`, or experiment.anatomy()"
            )
        return self.experiment_anatomy()

    def parameters(
        self, trial: int, epoch: int | None = None
    ) -> Mapping[str, np.ndarray[Any, Any]]:
        """Return a trial's parameters as arrays, in the dtype it computed in.

        Parameters
        ----------
        trial
            The trial's number.
        epoch
            One of the epochs of `parameter_history`; the last where left out.

        Returns
        -------
        Mapping[str, numpy.ndarray]
            The parameters by name.

        Raises
        ------
        ValueError
            Where there is no such trial, it yielded none, or none were recorded at the epoch.

        See Also
        --------
        parameter_history : The parameters along the trial.
        Solution.coefficients : In the units of the data.
        traceback : Why a trial has none.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, ol.SGD(0.1), epochs=5, record_parameters=True)
        >>> round(float(results.parameters(0, epoch=5)["bias"]), 3)
        3.341
        """
        if trial in self.final_parameters:
            last = self.final_parameters[trial]
            return last if epoch is None else self._recorded(trial, epoch)
        rows = self.trials[self.trials["trial"] == trial]
        if rows.empty:
            numbers = self.trials["trial"]
            raise ValueError(
                f"there is no trial {trial}: they run from {numbers.min()} to {numbers.max()}"
            )
        raise ValueError(
            f"trial {trial} has no parameters: it was {rows['status'].iloc[0]} "
            f"({rows['message'].iloc[0]})"
        )

    def _recorded(self, trial: int, epoch: int) -> Mapping[str, np.ndarray[Any, Any]]:
        if epoch == self.trials.loc[self.trials["trial"] == trial, "epochs"].item():
            return self.final_parameters[trial]
        kept = self._history(trial)
        if epoch in kept.epochs:
            return kept.iterates[kept.epochs.index(epoch)]
        known = ", ".join(map(str, kept.epochs))
        raise ValueError(
            f"trial {trial} has no parameters of epoch {epoch}: they were recorded at {known}"
        )

    def _history(self, trial: int) -> RecordedParameters:
        self.parameters(trial)  # or it says why there are none
        if trial not in self.recorded_parameters:
            raise ValueError(
                f"the parameters along trial {trial} were not recorded: run the experiment with "
                "record_parameters=True, which records those of measured trials"
            )
        return self.recorded_parameters[trial]

    def parameter_history(self, trial: int) -> pd.DataFrame:
        """Return the parameters along a trial: a row for each iterate, a column for each entry.

        Those of the start, of the recorded epochs, and of the last iterate. Of a trial whose
        parameters would take more than 4 MiB every second, fourth, ... recorded epoch was kept:
        see `optlab.lab.trial.recorded_parameters`.

        Returns
        -------
        pandas.DataFrame
            ``epoch``, and a column for each entry; weights have the names of their features.

        Raises
        ------
        ValueError
            Where there is no such trial, or the experiment had no ``record_parameters=True``.

        See Also
        --------
        parameters : Those of one epoch, in their shapes.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, ol.SGD(0.1), epochs=3, record_parameters=True)
        >>> results.parameter_history(0).columns.tolist()
        ['epoch', 'x', 'bias']
        """
        kept = self._history(trial)
        epochs, values = list(kept.epochs), list(kept.iterates)
        row = self.trials[self.trials["trial"] == trial].iloc[0]
        if epochs[-1] < row["epochs"]:
            epochs.append(int(row["epochs"]))
            values.append(dict(self.final_parameters[trial]))
        columns: dict[str, Any] = {"epoch": epochs}
        for key in values[0]:
            flat = np.stack([np.ravel(own[key]) for own in values], axis=1)
            names = self.problems[row["problem"]].parameter_names(key, len(flat))
            columns |= dict(zip(names, flat, strict=True))
        return pd.DataFrame(columns)

    def traceback(self, trial: int) -> str:
        """Return the traceback of a failed trial, or an empty string.

        Returns
        -------
        str
            The traceback as Python prints it.

        See Also
        --------
        parameters : Of a trial that did not fail.
        """
        return self.tracebacks.get(trial, "")

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Save these results as one file, which `Results.load` reads back equal.

        It is a results file as ``store=`` writes it, with the trials that stand in these tables, in
        their order and numbered from 0. Trials in it are not known again by an experiment: that
        takes hashes of the data and the code, made before the trials run. To resume an experiment,
        give it a ``store`` from the start.

        Parameters
        ----------
        path
            The file.
        force
            Replace a file that `save` did not write. What an experiment has stored in it is kept in
            an archive file beside it.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ValueError
            Where the file exists and `save` did not write it, unless ``force`` is set.

        See Also
        --------
        load, export, report

        Examples
        --------
        >>> import tempfile
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, [ol.ManualSGD(0.1), ol.Lstsq()], epochs=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ol.Results.load(results.save(f"{folder}/results.db"))
        Results('experiment', 2 trials: 2 finished)
        """
        path = Path(path)
        check_output(path, "results", force=force)
        if is_own_output(path, "results"):
            keep_stored_trials(path, force=force)
        records = records_of_tables(self.trials, self.traces, self.predictions)
        for number, record in zip(self.trials["trial"], records, strict=True):
            record.parameters = dict(self.final_parameters.get(number, {}))
            record.recorded = self.recorded_parameters.get(number)
            record.traceback = self.tracebacks.get(number, "")
        with output_file(path, "results", force=force) as file:
            write_saved(file, self.name, records, self.problems, self.machine, self.definition)
        return path

    def to_csv(self, folder: str | Path, *, force: bool = False, raw: bool = False) -> None:
        """Write the tables of `export` into a folder, as CSV.

        See Also
        --------
        export : Other formats too.
        """
        self.export(folder, "csv", force=force, raw=raw)

    def export(
        self, folder: str | Path, kind: str, *, force: bool = False, raw: bool = False
    ) -> list[Path]:
        """Write the tables into a folder, made where it is missing, and return the files.

        Parameters
        ----------
        folder
            Where to write ``trials``, ``traces``, ``summary``, ``parameters`` and ``references``;
            but for LaTeX also those of ``ranking``, ``scores``, ``win_rates``, ``expected_cost``,
            ``theory`` and ``tuning`` that are not empty, as the methods of these names return them
            for the experiment's own target. The file of one that is empty now is removed.
        kind
            ``"csv"``, ``"parquet"`` (needs the extra ``optlab[parquet]``) or ``"latex"``, which has
            the columns that find room on paper.
        force
            Overwrite files of these names that optlab did not write.
        raw
            Write texts into CSV as they are. Without, one that a spreadsheet would run as a formula
            (it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end) gets an apostrophe.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        ValueError
            For another kind, where pyarrow is missing, and for a file that optlab did not write.

        See Also
        --------
        to_csv : CSV only.
        report : One page.
        """
        return write_tables(self, Path(folder), kind, force=force, raw=raw)

    def to_latex(
        self,
        path: str | Path | None = None,
        *,
        caption: str | None = None,
        label: str | None = None,
        columns: Sequence[str] | None = None,
        spread: Literal["interval", "std", "none"] = "interval",
        sort: bool = True,
        long: bool | None = None,
        force: bool = False,
    ) -> str:
        r"""Return the table of these results for a paper, as LaTeX, and write it where a path is.

        A row each setting, the best first: its method, the hyperparameters and axes in which
        settings differ, and numbers with their spread, the best in bold. What is the same in all
        rows is in the caption. Costs are those to the target (``stop_at``) where any setting
        reached it. It needs ``\usepackage{booktabs}``, a long one ``longtable`` too.
        ``results.best()`` has one row a method.

        Parameters
        ----------
        path
            The file, for ``\input``; none is written where left out.
        caption
            Plain text, with mathematics between dollar signs; what the table's numbers are comes
            after it.
        label
            For ``\ref``; ``tab:`` and the name of the results where left out.
        columns
            Measures of `trials` (``"loss"``, ``"validation_loss"``, ``"accuracy"``) and costs
            (``"epochs"``, ``"samples"``, ``"steps"``, ``"seconds"``); where left out the
            suboptimality, epochs and seconds.
        spread
            ``"interval"``: medians with their intervals (of fewer than six trials the least and the
            most); ``"std"``: mean and standard deviation; ``"none"``.
        sort
            Whether the best comes first; else rows are in the order of `trials`, as `sort` left it.
        long
            Whether it may break over pages (``longtable``); above 40 rows where left out.
        force
            Overwrite a file that optlab did not write.

        Returns
        -------
        str
            The LaTeX.

        Raises
        ------
        ValueError
            Where no trial ran, for an unknown column or spread, for a label that LaTeX cannot take,
            and for a file that optlab did not write.

        See Also
        --------
        best, filter, sort : Which rows it has.
        export : All tables whole.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, [ol.SGD(0.1), ol.SGD(0.4)], epochs=50, stop_at=1e-2)
        >>> print(results.to_latex(label="tab:rates", columns=["epochs"]).split("caption")[1])
        {Optimizers on tutorial, standardized. One trial each. Full batch, on cpu, in float32. ...}
        \label{tab:rates}
        ...
        \begin{tabular}{llr}
        \toprule
        method & learning rate & epochs to $...$ \\
        \midrule
        SGD & 0.4 & {\bfseries\boldmath$...$} \\
        SGD & 0.1 & $...$ \\
        \bottomrule
        \end{tabular}
        \end{table}
        <BLANKLINE>
        """
        table = paper_table(self, columns, spread=spread, sort=sort)
        title = f"Optimizers on {join_names(list(self.problems))}"
        text = table_document(table, title, caption, label, long=long)
        if path is not None:
            with output_file(Path(path), "latex", force=force) as file:
                file.write(text.encode("utf-8", "backslashreplace"))
        return text

    def plot_convergence(
        self,
        problem: str | None = None,
        measure: str = "suboptimality",
        *,
        x: str | Sequence[str] | None = None,
        methods: str | Sequence[str] | None = None,
        batch_sizes: int | str | Sequence[int | str] | None = None,
        style: str | FigureStyle = "page",
    ) -> Figure:
        """Draw a measure along the trials: lines of iterative methods, points of direct ones.

        A method keeps its colour, whatever is chosen. Few lines are named at their ends. Direct
        methods that are far below all lines stand under a break of the axis.

        Parameters
        ----------
        problem
            May be left out where there is one.
        measure
            The suboptimality or a further measure of the problem, such as ``"validation_loss"``.
        x
            One or several of ``"epochs"``, ``"samples"``, ``"seconds"`` and, where it is counted,
            ``"gradient evaluations"``; the first three where left out, in one column the first.
        methods
            Names of methods (``"Adam"``, with all its settings) or optimizers; all where left out.
        batch_sizes
            Those to draw; direct methods have none, and stay. `filter` chooses by any other column.
        style
            ``"page"``, ``"one-column"`` or ``"two-column"``, or an `optlab.FigureStyle`.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("name.pdf")`` embeds its fonts as text.

        Raises
        ------
        ValueError
            For a problem, measure, axis, method, batch size or style that there is not.

        See Also
        --------
        filter, best : What is drawn.
        plot_hyperparameter : The ends of all settings.
        plot_seconds, plot_batch_sizes : Costs in place of curves.
        to_latex : The table beside it.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, [ol.SGD(0.1), ol.Adam(0.1)], epochs=5)
        >>> figure = results.plot_convergence(x="epochs", methods="SGD", style="one-column")
        >>> figure.axes[0].get_xlabel(), len(figure.axes[0].lines)
        ('epochs', 1)
        """
        from optlab.report.figures import convergence_figure as figures  # noqa: PLC0415 - matplotlib is loaded when it is drawn with
        from optlab.report.figures.paper import figure_style  # noqa: PLC0415 - as above

        paper, name = figure_style(style), self._one(problem)
        styles = Styles.of_results(self.measured)
        chosen = self._with(self.trials[drawn_trials(self.trials, methods, batch_sizes)])
        return figures.convergence_figure(chosen, name, measure, x, paper=paper, styles=styles)

    def plot_hyperparameter(
        self,
        hyperparameter: str = "learning_rate",
        problem: str | None = None,
        measure: str | None = None,
        *,
        style: str | FigureStyle = "page",
    ) -> Figure:
        """Draw the cost or the final error of every setting against a hyperparameter.

        A line is a method. Marks are medians over seeds and repeats, bars reach from the least to
        the most. In the band at the top crosses diverged or failed, and three-pointed marks did not
        reach the target in every trial. The best of each line has a ring: the first by `ranking`,
        as in `best`, or of another ``measure`` the least. Where settings differ in other
        hyperparameters too, each value stands with the best of them. A ring at an edge of the
        values says that the best may lie beyond it.

        Parameters
        ----------
        hyperparameter
            Its name; torch's ``lr`` is a learning rate too.
        problem
            May be left out where there is one.
        measure
            ``"epochs"``, to the experiment's target where it has one, or another column of
            `trials`, at the end. Where left out: the epochs, where some trial reached the target,
            else the suboptimality.
        style
            ``"page"``, ``"one-column"`` or ``"two-column"``, or an `optlab.FigureStyle`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            For a hyperparameter of which no trial has a number, and a measure that none has.

        See Also
        --------
        plot_tuning : Every setting that tuning tried.

        Examples
        --------
        >>> import optlab as ol
        >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
        >>> results = ol.compare(problem, [ol.SGD(rate) for rate in (0.01, 0.1, 10)], epochs=5)
        >>> results.plot_hyperparameter(style="one-column").axes[0].get_ylabel()
        'final suboptimality'
        """
        from optlab.report.figures import hyperparameter_figure as figures  # noqa: PLC0415 - as above

        return self._draw(figures.hyperparameter_figure, problem, style, hyperparameter, measure)

    def plot_theory(
        self, problem: str | None = None, *, style: str | FigureStyle = "page"
    ) -> Figure:
        """Draw what theory predicts of the suboptimality, dashed, beside what was measured.

        Its noise floor is dotted. Each method has panels of its own, in which the lines go from
        dark to light with the learning rate. ``problem`` may be left out where there is one; for
        ``style`` see `plot_convergence`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            For a problem on which theory predicts no trial: see `theory`.

        See Also
        --------
        theory : The numbers.
        """
        from optlab.report.figures.theory_figure import theory_figure  # noqa: PLC0415 - as above

        return self._draw(theory_figure, problem, style)

    def plot_fit(self, problem: str | None = None, *, style: str | FigureStyle = "page") -> Figure:
        """Draw the points of a one-feature problem and the line of each setting's median trial.

        For ``style`` see `plot_convergence`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            For a problem with several features.

        See Also
        --------
        Solution.plot : The way to a solution.
        """
        from optlab.report.figures import draw as figures  # noqa: PLC0415 - as above

        return self._draw(figures.fit, problem, style)

    def plot_seconds(
        self, problem: str | None = None, *, style: str | FigureStyle = "page"
    ) -> Figure:
        """Draw the seconds of each optimizer by batch size, a panel for each device.

        For ``style`` see `plot_convergence`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        See Also
        --------
        summary : The numbers.
        plot_batch_sizes : Costs of a target.
        """
        from optlab.report.figures import draw as figures  # noqa: PLC0415 - as above

        return self._draw(figures.seconds, problem, style)

    def plot_tuning(
        self, problem: str | None = None, *, style: str | FigureStyle = "page"
    ) -> Figure:
        """Draw the epochs to ``stop_at`` (or the loss) of every setting that was tried.

        For ``style`` see `plot_convergence`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            Where no optimizer was tuned.

        See Also
        --------
        tuning, tuning_settings : The numbers.
        """
        from optlab.report.figures.tuning_curves import tuning_curves  # noqa: PLC0415 - as above

        figure = self._draw(tuning_curves, problem, style)
        if figure is None:
            raise ValueError("no optimizer was tuned: put one into optlab.Tuned")
        return figure

    def plot_win_rates(
        self,
        stop_at: float | StopAt | None = None,
        cost: str = "epochs",
        *,
        settings: Literal["best", "all"] = "best",
    ) -> Figure:
        """Draw who beats whom: a square for each pair of optimizers, with the share of wins.

        A tie counts half: neither reached the target, or both took the same. Ties are told.

        Parameters
        ----------
        stop_at
            The target; the experiment's where left out.
        cost
            ``"epochs"``, ``"samples"``, ``"steps"`` or ``"seconds"``.
        settings
            ``"best"``: of each method the setting that wins the largest mean share of its
            comparisons with all others, the same on all problems, and where several win the same
            share the one of the least suboptimality; it is chosen by the trials that are drawn.
            ``"all"``: every setting; from 13 on without numbers in the squares.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            Without a target, for other settings, and where no two optimizers were compared.

        See Also
        --------
        win_rates : The numbers.
        """
        from optlab.report.figures.win_rate_matrix import win_rate_matrix  # noqa: PLC0415 - as above

        if settings not in {"best", "all"}:
            raise ValueError(f"settings must be 'best' or 'all', not {settings!r}")
        table = self.win_rates(stop_at, cost)
        if table.empty:
            raise ValueError("no two optimizers ran on the same problem")
        best = settings == "best"
        chosen = of_best_settings(table, mean_places(self.measured.trials)) if best else table
        target = StopAt.of(self._stop_at(stop_at))
        of = ""
        if len(chosen) < len(table):
            everywhere = ", the same on all problems" if len(self.problems) > 1 else ""
            of = f", the best setting of each method{everywhere}"
        return win_rate_matrix(chosen, f"Share of comparisons won, by {cost} to {target}{of}")

    def plot_batch_sizes(
        self, problem: str | None = None, *, style: str | FigureStyle = "page"
    ) -> Figure:
        """Draw the steps, epochs, samples and seconds to the target by batch size, a panel each.

        For ``style`` see `plot_convergence`.

        Returns
        -------
        matplotlib.figure.Figure
            To show, or to save by ``savefig``.

        Raises
        ------
        ValueError
            Where no trial with batches reached a target.

        See Also
        --------
        time_to_target : The numbers.
        """
        from optlab.report.figures.batch_size_figure import batch_size_figure  # noqa: PLC0415 - as above

        return self._draw(batch_size_figure, problem, style)

    def figures(
        self, problem: str | None = None, *, style: str | FigureStyle = "page"
    ) -> dict[str, Figure]:
        """Return every view that has something to draw as a figure, by name.

        ``convergence, theory, digits, seconds, target, ratio, parameters, fit, phases, crossover,
        profile, hyperparameter`` and ``tuning``; ``problem`` may be left out where there is one;
        for ``style`` see `plot_convergence`.

        Returns
        -------
        dict of str and matplotlib.figure.Figure
            The figures by name.

        See Also
        --------
        save_figures : Writes them.
        """
        from optlab.report.figures import draw as figures  # noqa: PLC0415 - as above

        return self._draw(figures.all_figures, problem, style)

    def save_figures(
        self,
        folder: str | Path,
        formats: Sequence[str] | None = None,
        *,
        style: str | FigureStyle = "page",
        force: bool = False,
    ) -> list[Path]:
        """Save every figure these results have into a folder and return the files.

        ``formats`` are PNG and SVG where left out, in other styles than ``"page"`` PDF too. For
        ``style`` see `plot_convergence`.

        Returns
        -------
        list of pathlib.Path
            The files.

        Raises
        ------
        ValueError
            Where a file that optlab did not write has a figure's name, unless ``force`` is set.

        See Also
        --------
        figures : Without files.
        report : One page.
        """
        from optlab.report.figures import draw as figures  # noqa: PLC0415 - as above
        from optlab.report.figures.paper import figure_style  # noqa: PLC0415 - as above

        paper = figure_style(style)
        return figures.save_all(self, folder, formats, paper=paper, force=force)

    def report(
        self,
        path: str | Path,
        *,
        force: bool = False,
        signatures: Iterable[SignatureLike] = (),
    ) -> Path:
        """Write one HTML page that works offline: what was found, and how sure that is.

        Parameters
        ----------
        path
            The file.
        force
            Overwrite a file that optlab did not write.
        signatures
            Invariance signatures that the page shows in a table, as `optlab.testing.signature`
            measures them of each optimizer.

        Returns
        -------
        pathlib.Path
            The page.

        Raises
        ------
        ValueError
            Where the file exists and is no page that optlab wrote, unless ``force`` is set.

        See Also
        --------
        export : The tables as files.
        save_figures : The figures as files.
        """
        from optlab.report.page.render import write_page  # noqa: PLC0415 - as above

        return write_page(self, path, force=force, signatures=signatures)

    def _draw(
        self,
        draw: Callable[..., T],
        problem: str | None,
        style: str | FigureStyle,
        *more: str | None,
    ) -> T:
        """Return what a function of `optlab.report.figures` draws of one problem in a style."""
        from optlab.report.figures.paper import figure_style  # noqa: PLC0415 - as above

        return draw(self, self._one(problem), *more, paper=figure_style(style))

    def _one(self, problem: str | None) -> str:
        if problem is None and len(self.problems) == 1:
            return next(iter(self.problems))
        if problem in self.problems:
            return str(problem)
        names = ", ".join(repr(name) for name in self.problems) or "none, as there is no trial"
        wrong = "" if problem is None else f"; {problem!r} is none of them"
        raise ValueError(f"name a problem, one of {names}{wrong}")
