"""What is seen in a terminal: the progress on stderr, the table on stdout."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import Any, Self

import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from optlab.lab import TraceRow, Trial, TrialRecord
from optlab.lab.runner import Listener


class TrialProgress:
    """A bar of trials done, with the running trial's epoch and loss; silent off a terminal."""

    def __init__(self, trials: int, epochs: int) -> None:
        self.epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            # Drawn when a trial reports, never by a thread of its own: that thread would run
            # beside the optimizer, on its clock.
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task("trials", total=trials, now="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def listener(self) -> Listener:
        """Return what tells this bar of the trials."""
        return Listener(
            known=self.known, started=self.started, watch=self.watch, finished=self.finished
        )

    def known(self, count: int) -> None:
        """Count the trials that the store has already."""
        self._bar.advance(self._task, count)

    def started(self, trial: Trial) -> None:
        """Show which trial runs now."""
        self._show(_describe(trial))

    def watch(self, trial: Trial, row: TraceRow) -> None:
        """Show the running trial's epoch and loss."""
        self._show(f"{_describe(trial)}  epoch {row.epoch}/{self.epochs}  loss {row.loss:.4g}")

    def finished(self, _: TrialRecord) -> None:
        """Count a trial as done."""
        self._bar.advance(self._task)
        self._bar.refresh()

    def _show(self, text: str) -> None:
        if not self._bar.disable:
            self._bar.update(self._task, now=Text(text), refresh=True)


def _describe(trial: Trial) -> str:
    size = "" if trial.batch_size is None else f" batch size {trial.batch_size}"
    return f"{trial.optimizer}{size} on {trial.device}"


def print_summary(summary: pd.DataFrame, name: str) -> None:
    """Print a row for each optimizer, batch size and device, and why some have no numbers."""
    console = Console()
    if not console.is_terminal:  # piped into a file: nothing is wrapped or cut
        console = Console(width=max(console.width, 200), soft_wrap=True)
    axes = [c for c in ("problem", "dtype") if len(set(summary[c])) > 1]
    axes += ["trials"] if (summary["trials"] > 1).any() else []
    table = Table(title=Text(name), title_justify="left", header_style="bold")
    words = ["optimizer", "batch size", "device", "status"]
    for heading in [*axes, *words]:
        table.add_column(heading, overflow="fold")
    for heading in ("epochs", "seconds", "loss", "suboptimality", "parameter error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        size = "-" if pd.isna(row["batch_size"]) else str(row["batch_size"])
        named = [str(row[column]) for column in axes]
        table.add_row(
            *[Text(t) for t in (*named, row["optimizer"], size, row["device"], row["status"])],
            _number(row["epochs"]) if row["epochs"] else "-",
            format_seconds(row["seconds"]),
            _number(row["loss"]),
            _number(row["suboptimality"], digits=2),
            _number(row["parameter_error"], digits=2),
        )
    console.print(table)
    unusual = summary[~summary["status"].isin(["finished", "converged"])]
    for (status, message), rows in unusual.groupby(["status", "message"], sort=False):
        cells = list(dict.fromkeys(_cell(row) for _, row in rows.iterrows()))
        several = f"{len(cells)} rows: {cells[0]}, ..., {cells[-1]}"
        where = several if len(cells) > 3 else ", ".join(cells)
        console.print(Text(f"{status}: {message} ({where})"))


def format_seconds(seconds: float) -> str:
    """Return seconds with a unit that suits them, three digits.

    Examples
    --------
    >>> format_seconds(0.001234), format_seconds(75.5)
    ('1.23 ms', '75.5 s')
    """
    if not math.isfinite(seconds):
        return "-"
    unit, scale = "us", 1e-6
    if seconds >= 1:
        unit, scale = "s", 1.0
    elif seconds >= 1e-3:
        unit, scale = "ms", 1e-3
    return f"{seconds / scale:.3g} {unit}"


def _cell(row: pd.Series[Any]) -> str:
    size = "" if pd.isna(row["batch_size"]) else f" batch size {row['batch_size']}"
    return f"{row['optimizer']}{size} on {row['device']}"


def _number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "-"
