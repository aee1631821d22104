"""Profile the optimizers of an experiment: measure their steps, print a table, write outputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from optlab.anatomy import Anatomy
from optlab.app.exit_status import UnavailableError, UsageError, bad_input
from optlab.app.options import Axes
from optlab.app.outputs import Writer, write_all
from optlab.experiment import Experiment
from optlab.lab.step_anatomy import PARTS
from optlab.lab.trial.record import Trial
from optlab.report.console import print_note
from optlab.report.figures.file_names import figure_file
from optlab.report.output_file import check_output
from optlab.text import format_seconds


def profile(
    experiment: Experiment,
    axes: Axes | None,
    *,
    threads: int | None = None,
    figures: Path | None = None,
    csv: Path | None = None,
    force: bool = False,
) -> int:
    """Measure, print and write; return 0, or 1 where nothing could be measured.

    Raises
    ------
    UsageError
        For bad input, before anything runs.
    UnavailableError
        Where an output could not be written; the table is printed all the same.
    """
    with bad_input():
        experiment = replace(experiment, **(axes or Axes()).changes())
        if threads is not None and threads < 1:
            raise UsageError(f"--threads must be at least 1, not {threads}")
        _check_outputs(list(experiment.grid.problems), figures, csv, force=force)
    console = Console(stderr=True)
    with console.status("") as status:

        def show(trial: Trial) -> None:
            batch = f", batch size {trial.batch_size}" if trial.batch_size else ""
            status.update(f"measuring a step of {trial.optimizer}{batch} on {trial.problem}")

        anatomy = experiment.anatomy(threads=threads, on_start=show)
    _print(anatomy)
    writers: list[Writer] = []
    if csv is not None:
        writers.append((csv, partial(anatomy.to_csv, csv, force=force)))
    if figures is not None:
        writers.append((figures, partial(anatomy.save_figures, figures, force=force)))
    if failed := write_all(writers):
        raise UnavailableError("\n".join(failed))
    return 0 if anatomy.table["step_seconds"].notna().any() else 1


def _check_outputs(
    problems: list[str], figures: Path | None, csv: Path | None, *, force: bool
) -> None:
    if csv is not None:
        check_output(csv, "csv", force=force)
    for number in range(len(problems) if figures is not None else 0):
        for kind in ("png", "svg"):
            assert figures is not None
            check_output(figure_file(figures, problems, number, "anatomy", kind), kind, force=force)


def _print(anatomy: Anatomy) -> None:
    """Print a row for each step measured, and a line for each optimizer that was not."""
    table = anatomy.table
    measured, shares = table[table["step_seconds"].notna()], anatomy.shares()
    if len(measured):
        printed, console = _parts_table(measured, shares), Console(soft_wrap=True)
        needed = console.measure(printed, options=console.options.update(width=10_000))
        # A file has no width to fit into; on a narrow terminal it runs on: nothing is cut.
        least = needed.minimum if console.is_terminal else needed.maximum
        console.width = max(console.width, least)
        console.print(printed)
        worst = float(measured["spread"].max())
        if worst > _NOISY:
            print_note(
                f"runs of one optimizer differed by up to {worst:.0%} of the least: something else "
                "used the machine; the least is what is shown"
            )
    missing = table.loc[table["step_seconds"].isna(), ["optimizer", "problem", "message"]]
    for _, row in missing.drop_duplicates().iterrows():  # once, whatever the batch sizes
        print_note(f"{row['optimizer']} on {row['problem']}: {row['message']}")


def _parts_table(measured: pd.DataFrame, shares: pd.DataFrame) -> Table:
    """Return a row for each step measured, with a column for each part and bound."""
    told = ["optimizer", *(c for c in ("problem", "batch", "dtype") if len(set(measured[c])) > 1)]
    parts = [part for part in PARTS if part in shares]
    bounds = {name: measured[f"{name}_seconds"] for name in ("memory", "arithmetic")}
    columns = (
        Column(c, overflow="fold", min_width=24 if c == "optimizer" else len(c)) for c in told
    )
    printed = Table(*columns, header_style="bold", box=None)
    for name in ("seconds a step", *parts, *(f"bound of {name}" for name in bounds)):
        widest = max((*name.split(), "99.9 ns"), key=len)  # headers fold between words only
        printed.add_column(name, justify="right", min_width=len(widest))
    for place, (_, row) in enumerate(measured.iterrows()):
        printed.add_row(
            *(Text(str(row[c])) for c in told),
            format_seconds(row["step_seconds"]),
            *(f"{share:.0%}" if (share := shares[part].iloc[place]) else "" for part in parts),
            *(format_seconds(seconds.iloc[place]) for seconds in bounds.values()),
        )
    return printed


_NOISY = 0.5
