"""Progress bar of an experiment on stderr; off a terminal, a line for each trial."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

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
from rich.table import Column
from rich.text import Text

from optlab.app.summary_table import RaisingConsole, print_note
from optlab.lab import TraceRow, Trial, TrialRecord
from optlab.lab.resume import StoreStatus
from optlab.lab.runner import Listener
from optlab.lab.store.redo import Redo
from optlab.text import DIRECT, cell_label, format_seconds

_TO_REDO: Mapping[Redo, str] = {
    "failed": "failed, crashed or timed out",
    "contended": "ran beside others, so that their seconds are not ranked",
    "shared": "ran in a sweep, so that their seconds are not ranked",
}


class _RunningTrial(ProgressColumn):
    """A column for the running trial, cut where the terminal ends."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: RichTask) -> Text:
        return task.fields["now"]  # type: ignore[no-any-return]  # put there by us


_TELL_TIME = 5.0
"""Seconds after which lines also show the time passed and an estimate of the time left."""

_SHOW_EVERY = 0.1
"""Seconds between two drawings of the bar."""


class TrialProgress:
    """A progress bar of trials, with the running trial's epoch and loss."""

    def __init__(self, trials: int, epochs: int) -> None:
        self.epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _RunningTrial(),
            console=RaisingConsole(stderr=True, soft_wrap=True),
            disable=not sys.stderr.isatty(),
            # Drawn when a trial reports, not by a thread, which would run beside the optimizer.
            auto_refresh=False,
            expand=True,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task("trials", total=trials, now=Text(""))
        self._shown = 0.0

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._bar.stop()

    def listener(self) -> Listener:
        """Return the callbacks that update this bar."""
        return Listener(
            known=self.known,
            started=self.started,
            watch=self.watch,
            finished=self.finished,
            note=print_note,
        )

    def known(self, known: StoreStatus) -> None:
        """Count the trials that the store holds, and print which could be run again."""
        self._bar.advance(self._task, known.done)
        with suppress(OSError):  # stderr may be full or gone
            self._print_known(known)

    def _print_known(self, known: StoreStatus) -> None:
        if known.done or known.others:
            done = f"{known.done} of {self._bar.tasks[0].total:.0f} trials are in the store already"
            more = f"; {known.others} others in it are of other settings, data, code or threads"
            self._bar.console.print(Text(done + (more if known.others else "")))
        for sentence in known.unknown:
            self._bar.console.print(Text(sentence))
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
        with suppress(OSError):  # the terminal may have been closed
            self._bar.refresh()
        if self._bar.disable:
            with suppress(OSError, ValueError):  # a trial may have closed it
                print(self._line(record), file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, record: TrialRecord) -> str:
        task, trial = self._bar.tasks[0], record.trial
        worked = record.status.is_result and not math.isnan(record.seconds)
        spent = f" in {format_seconds(record.seconds)}" if worked else ""
        line = f"{task.completed:.0f}/{task.total:.0f} {_describe(trial)}"
        line += f" seed {trial.seed} repeat {trial.repeat}: {record.status}{spent}"
        passed, left = task.elapsed, task.time_remaining
        if passed is not None and passed >= _TELL_TIME:
            line += f" ({passed:.0f} s passed" + (f", {left:.0f} s to go)" if left else ")")
        return line

    def _show(self, text: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not self._bar.disable and (at_once or now - self._shown > _SHOW_EVERY):
            self._shown = now
            with suppress(OSError):
                self._bar.update(self._task, now=Text(text), refresh=True)


def _describe(trial: Trial) -> str:
    batch = DIRECT if trial.batch_size is None else trial.batch_size
    return cell_label({"optimizer": trial.optimizer, "batch": batch, "device": trial.device})
