"""Run an experiment in the terminal: progress, summary, outputs and exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from cyclopts import App

from optlab.app import summary_table
from optlab.app.exit_status import UnavailableError, as_typed, bad_input, call, stoppable
from optlab.app.options import Axes, AxesOptions, ExecutionOptions, OutputOptions
from optlab.app.outputs import Outputs
from optlab.experiment import Experiment
from optlab.lab import Status
from optlab.lab.execution_options import Execution
from optlab.lab.store.store_error import StoreError
from optlab.report.console import print_note
from optlab.results import Results


def execute(
    experiment: Experiment,
    axes: Axes | None = None,
    execution: Execution | None = None,
    outputs: Outputs | None = None,
    *,
    inputs: Iterable[Path] = (),
    coefficients: bool = False,
) -> int:
    """Run with progress, print the summary, write the outputs; return the exit status.

    0 when every trial ended in a result, 1 when one did not, 130 after Ctrl-C. ``inputs`` are the
    files that the command reads, which no output may overwrite. With ``coefficients``, those of
    every problem are printed; else those of problems whose data were made from a table.

    Raises
    ------
    UsageError
        For bad input, before anything runs.
    UnavailableError
        Where the store or an output could not be written; the summary is printed all the same.
    """
    axes, execution, outputs = axes or Axes(), execution or Execution(), outputs or Outputs()
    with bad_input():
        experiment = replace(experiment, **axes.changes())
        outputs.check(inputs, list(experiment.grid.problems))
    if execution.is_contended:
        print_note(summary_table.BESIDE)
    with stoppable():
        with bad_input():
            results, failed = _run(experiment, outputs, execution)
        # Printed first: the outputs can fail, or be stopped.
        failed += summary_table.print_results(
            results, coefficients=coefficients, threads=execution.threads
        )
        failed += (unwritten := outputs.write(results))
    if unwritten:
        failed.append(_advice(outputs))
    statuses = {Status(status) for status in results.trials["status"]}
    if failed:
        raise UnavailableError("\n".join(failed))
    if Status.INTERRUPTED in statuses:
        return 130
    if experiment.conclude is not None:
        experiment.conclude(results)
    return 0 if all(status.is_result for status in statuses) else 1


def _run(
    experiment: Experiment, outputs: Outputs, execution: Execution
) -> tuple[Results, list[str]]:
    """Return the results, and why the store ended the run where it did."""
    try:
        results = experiment.run(
            store=outputs.store, execution=execution, progress=True, command=as_typed()
        )
    except StoreError as error:
        if error.results is None:  # nothing had run
            raise
        return error.results, [str(error)]
    return results, []


def _advice(outputs: Outputs) -> str:
    if outputs.store is None:
        return (
            "what is printed above is all that is kept: make room, or name another place, and run "
            "again; with --store FILE.db every trial is kept as it ends"
        )
    return (
        f"every trial is in {outputs.store}: make room, or name another place, and run the same "
        "command again, which computes none of them twice"
    )


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
