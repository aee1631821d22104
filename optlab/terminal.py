"""What is seen in a terminal: the progress on stderr, the table on stdout."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import pandas as pd
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.table import Column, Table
from rich.text import Text

from optlab.lab import ProblemFacts, TraceRow, Trial, TrialRecord
from optlab.lab.redo import Redo
from optlab.lab.resume import Known
from optlab.lab.runner import Listener

BESIDE = (
    "trials run beside others: their seconds are kept as contended and rank nowhere; "
    "to compare speed, leave out --jobs and --dask"
)

_TO_REDO: Mapping[Redo, str] = {
    "failed": "failed, crashed or timed out",
    "contended": "ran beside others, so that their seconds rank nowhere",
}


class _Now(ProgressColumn):
    """What the running trial does, cut where the terminal ends rather than squeezing the rest."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: RichTask) -> Text:
        return task.fields["now"]  # type: ignore[no-any-return]  # put there by us


_SHOW_EVERY = 0.1
"""Seconds between two drawings of the bar: eyes need no more."""


class TrialProgress:
    """A bar of trials done, with the running trial's epoch and loss; off a terminal, lines."""

    def __init__(self, trials: int, epochs: int) -> None:
        self.epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _Now(),
            console=Console(stderr=True, soft_wrap=True),
            disable=not sys.stderr.isatty(),
            # Drawn when a trial reports, never by a thread of its own: that thread would run
            # beside the optimizer, on its clock.
            auto_refresh=False,
            expand=True,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task("trials", total=trials, now=Text(""))
        self._shown = 0.0

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

    def known(self, known: Known) -> None:
        """Count the trials that the store has already, and say which could be run again."""
        self._bar.advance(self._task, known.done)
        for kind, what in _TO_REDO.items():
            count = known.to_redo[kind]
            if count:
                told = f"{count} of the {known.done} stored trials {what}"
                self._bar.console.print(Text(f"{told}; --redo {kind} runs them again"))

    def started(self, trial: Trial) -> None:
        """Show which trial runs now."""
        self._show(_describe(trial))

    def watch(self, trial: Trial, row: TraceRow) -> None:
        """Show the running trial's epoch and loss."""
        now = f"{_describe(trial)}  epoch {row.epoch}/{self.epochs}  loss {row.loss:.4g}"
        self._show(now, at_once=row.epoch == self.epochs)

    def finished(self, record: TrialRecord) -> None:
        """Count a trial as done; off a terminal, in a line of its own."""
        self._bar.advance(self._task)
        self._bar.refresh()
        if self._bar.disable:
            task = self._bar.tasks[0]
            spent = "" if math.isnan(record.seconds) else f" in {format_seconds(record.seconds)}"
            line = f"{task.completed:.0f}/{task.total:.0f} {_describe(record.trial)}"
            print(f"{line}: {record.status}{spent}", file=sys.stderr, flush=True)  # noqa: T201

    def _show(self, text: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not self._bar.disable and (at_once or now - self._shown > _SHOW_EVERY):
            self._shown = now
            self._bar.update(self._task, now=Text(text), refresh=True)


def _describe(trial: Trial) -> str:
    size = "" if trial.batch_size is None else f" batch size {trial.batch_size}"
    return f"{trial.optimizer}{size} on {trial.device}"


def print_note(text: str) -> None:
    """Print a line to stderr, beside the progress."""
    Console(stderr=True, soft_wrap=True).print(Text(f"note: {text}"))


def print_optima(problems: Mapping[str, ProblemFacts]) -> None:
    """Print how far each problem's optimum, which all is judged against, can be trusted."""
    console = Console(soft_wrap=True)
    for name, facts in problems.items():
        console.print(Text(f"optimum of {name}: {facts.certificate['message']}"))


def print_summary(summary: pd.DataFrame, name: str) -> None:
    """Print a row for each optimizer, batch size and device, and why some have no numbers."""
    console = Console(soft_wrap=True)
    unbounded = console.options.update(width=10_000)
    for hidden in range(4):
        table = _table(summary, name, hidden=hidden)
        natural = console.measure(table, options=unbounded).maximum
        if not console.is_terminal or natural <= console.width:
            break
    console.width = max(console.width, natural)  # too wide, it runs on: nothing is cut
    console.print(table)
    fine = summary["status"].isin(["finished", "converged"])
    unusual = summary[~fine | summary["message"].str.contains("not reached")]
    for (status, message), rows in unusual.groupby(["status", "message"], sort=False):
        console.print(Text(f"{status}: {message} ({_where(rows)})"))
    if (beside := summary["contended"].astype(bool)).any():
        why = "ran beside others, so that their seconds count nowhere"
        console.print(Text(f"contended: trials {why} ({_where(summary[beside])})"))


def _where(rows: pd.DataFrame) -> str:
    cells = list(dict.fromkeys(_cell(row) for _, row in rows.iterrows()))
    several = f"{len(cells)} rows: {cells[0]}, ..., {cells[-1]}"
    return several if len(cells) > 3 else ", ".join(cells)


def _table(summary: pd.DataFrame, name: str, *, hidden: int) -> Table:
    """Return the summary's table without its last columns, for terminals too narrow for all."""
    axes = [c for c in ("problem", "dtype") if len(set(summary[c])) > 1]
    axes += ["trials"] if (summary["trials"] > 1).any() else []
    numbers = ["epochs", "seconds", "loss", "suboptimality", "parameter error"]
    numbers += ["peak memory"] if summary["peak_bytes"].notna().any() else []
    shown = numbers[: len(numbers) - hidden]
    table = Table(title=Text(name), title_justify="left", header_style="bold")
    for heading in [*axes, "optimizer", "batch size", "device", "status"]:
        table.add_column(heading, no_wrap=True)
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        size = "-" if pd.isna(row["batch_size"]) else str(row["batch_size"])
        words = [*(str(row[c]) for c in axes), row["optimizer"], size, row["device"], row["status"]]
        cells = {
            "epochs": _number(row["epochs"]) if row["epochs"] else "-",
            "seconds": format_seconds(row["seconds"]),
            "loss": _number(row["loss"]),
            "suboptimality": _number(row["suboptimality"], digits=2),
            "parameter error": _number(row["parameter_error"], digits=2),
            "peak memory": format_bytes(row["peak_bytes"]),
        }
        table.add_row(*(Text(word) for word in words), *(cells[heading] for heading in shown))
    return table


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


def format_bytes(size: float) -> str:
    """Return bytes in the unit that suits them, three digits.

    Examples
    --------
    >>> format_bytes(123456.0), format_bytes(2.5 * 2**30)
    ('121 KiB', '2.5 GiB')
    """
    if not math.isfinite(size):
        return "-"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"


def _cell(row: pd.Series[Any]) -> str:
    size = "" if pd.isna(row["batch_size"]) else f" batch size {row['batch_size']}"
    return f"{row['optimizer']}{size} on {row['device']}"


def _number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "-"
