"""Run an experiment in the terminal: progress, summary, outputs and exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from cyclopts import App

from optlab.app import summary_table
from optlab.app.exit_status import as_typed, bad_input, call, stoppable
from optlab.app.options import Axes, AxesOptions, ExecutionOptions, OutputOptions
from optlab.app.outputs import Outputs
from optlab.app.progress import TrialProgress
from optlab.experiment import Experiment
from optlab.lab import Status
from optlab.lab.execution import Execution


def execute(
    experiment: Experiment,
    axes: Axes | None = None,
    execution: Execution | None = None,
    outputs: Outputs | None = None,
    *,
    coefficients: bool = False,
) -> int:
    """Run with progress, print the summary, write the outputs; return the exit status.

    With ``coefficients``, those of every problem are printed; else those of problems whose data
    were made from a table.

    The status is 0 when every trial ended in a result, 1 when one did not, 130 after Ctrl-C.
    """
    axes, execution, outputs = axes or Axes(), execution or Execution(), outputs or Outputs()
    with bad_input():
        experiment = replace(experiment, **axes.changes())
        outputs.check()
    if execution.is_contended:
        summary_table.print_note(summary_table.BESIDE)
    bar = TrialProgress(len(experiment.grid.trials()), experiment.epochs)
    with stoppable():
        with bar as progress, bad_input():
            results = experiment.run(
                store=outputs.store,
                execution=execution,
                listener=progress.listener(),
                command=as_typed(),
            )
        try:
            outputs.write(results)  # before anything is printed: stdout may be closed by now
        finally:
            summary_table.print_summary(results.summary(), experiment.name)
            summary_table.print_optima(results.problems)
            summary_table.print_coefficients(results.problems, every=coefficients)
    statuses = {Status(status) for status in results.trials["status"]}
    if Status.INTERRUPTED in statuses:
        return 130
    if experiment.conclude is not None:
        experiment.conclude(results)
    return 0 if all(status.is_result for status in statuses) else 1


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run an experiment as a script, with the options of ``optlab run``, and exit."""

    def run(
        *,
        axes: AxesOptions | None = None,
        execution: ExecutionOptions | None = None,
        outputs: OutputOptions | None = None,
    ) -> int:
        return execute(experiment, axes, execution, outputs)

    name, text = Path(sys.argv[0]).name, f"Run the experiment {experiment.name!r}."
    app = App(name=name, help=text)
    app.default(run)
    sys.exit(call(app, arguments))
