"""Progress of an experiment's trials, and of one fit's epochs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from optlab.lab import TraceRow, Trial, TrialRecord
from optlab.lab.resume import StoreStatus
from optlab.lab.runner import Listener
from optlab.lab.store.redo import Redo
from optlab.lab.trial.record import Watcher
from optlab.report.progress_bar import ProgressBar, can_draw
from optlab.text import DIRECT, cell_label, format_seconds, pluralize

_TO_REDO: Mapping[Redo, str] = {
    "failed": "failed, crashed or timed out",
    "contended": "ran beside others, so that their seconds are not ranked",
    "shared": "ran in a sweep, so that their seconds are not ranked",
}

_TELL_TIME = 5.0
"""Seconds after which lines also show the time passed and an estimate of the time left."""


@contextmanager
def trial_progress(
    shown: bool | None, trials: int, epochs: int, *, several: bool = False
) -> Iterator[Listener]:
    """Show the progress of trials, and give the listener that it hears by.

    Parameters
    ----------
    shown
        Whether to show it: as a bar, and where nobody looks at one as a line for each trial. Where
        it is None, as a bar or not at all.
    trials, epochs
        How many trials are expected, and the most epochs of each.
    several
        Whether there are several problems, so that each trial's is named.
    """
    if shown is False or (shown is None and not can_draw()):
        yield Listener()
        return
    with ProgressBar("trials", trials) as bar:
        yield TrialProgress(bar, epochs, several=several).listener()


@contextmanager
def epoch_progress(shown: bool | None, epochs: int) -> Iterator[Watcher | None]:
    """Show the progress of one fit as a bar of epochs, and give the function that watches it."""
    if shown is False or not can_draw():
        yield None
        return
    with ProgressBar("epochs", epochs) as bar:

        def watch(trial: Trial, row: TraceRow) -> None:
            bar.show(f"{trial.optimizer}  loss {row.loss:.4g}", done=row.epoch)

        yield watch


class TrialProgress:
    """Progress of trials on a bar, with the running trial's epoch and loss."""

    def __init__(self, bar: ProgressBar, epochs: int, *, several: bool = False) -> None:
        self.epochs, self.several = epochs, several
        self._bar = bar
        self._known = 0

    def listener(self) -> Listener:
        """Return the callbacks that update this bar."""
        return Listener(
            known=self.known,
            started=self.started,
            watch=self.watch,
            finished=self.finished,
            added=self.added,
            note=self.note,
        )

    def note(self, text: str) -> None:
        """Print a note beside the bar."""
        with suppress(OSError):  # stderr may be full or gone
            self._bar.print(f"note: {text}")

    def added(self, trials: int) -> None:
        """Expect more trials than before."""
        self._bar.expect(trials)

    def known(self, known: StoreStatus) -> None:
        """Count the trials that the store holds, and print which could be run again."""
        self._bar.advance(known.done)
        self._known += known.done
        with suppress(OSError):  # as above
            self._print_known(known)

    def _print_known(self, known: StoreStatus) -> None:
        if known.done or known.others:
            trials = pluralize(int(self._bar.task.total or 0), "trial")
            verb = "is" if self._known == 1 else "are"
            done = f"{self._known} of {trials} {verb} in the store already"
            if others := known.others - known.saved:
                what = "1 other in it is" if others == 1 else f"{others} others in it are"
                done += f"; {what} of other settings, data, code or threads"
            if known.saved:
                what = "was" if known.saved == 1 else "were"
                done += (
                    f"; {known.saved} in it {what} written by Results.save, which keeps no hash of "
                    "data and code to know them by: give the experiment a store from the start"
                )
            self._bar.print(done)
        for sentence in known.unknown:
            self._bar.print(sentence)
        for kind, what in _TO_REDO.items():
            count = known.to_redo[kind]
            if count:
                told = f"{count} of the {pluralize(known.done, 'stored trial')} {what}"
                self._bar.print(
                    f"{told}; --redo {kind} runs {'it' if count == 1 else 'them'} again"
                )

    def started(self, trial: Trial) -> None:
        """Show which trial runs now."""
        self._bar.show(self._describe(trial))

    def watch(self, trial: Trial, row: TraceRow) -> None:
        """Show the running trial's epoch and loss."""
        now = f"{self._describe(trial)}  epoch {row.epoch}/{self.epochs}  loss {row.loss:.4g}"
        self._bar.show(now, at_once=row.epoch == self.epochs)

    def finished(self, record: TrialRecord) -> None:
        """Count a trial as done; where no bar is drawn, in a line of its own."""
        self._bar.advance()
        if not self._bar.drawn:
            with suppress(OSError, ValueError):  # a trial may have closed it
                print(self._line(record), file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, record: TrialRecord) -> str:
        task, trial = self._bar.task, record.trial
        worked = record.status.is_result and not math.isnan(record.seconds)
        spent = f" in {format_seconds(record.seconds)}" if worked else ""
        line = f"{task.completed:.0f}/{task.total:.0f} {self._describe(trial)}"
        line += f" seed {trial.seed} repeat {trial.repeat}: {record.status}{spent}"
        passed, left = task.elapsed, task.time_remaining
        if passed is not None and passed >= _TELL_TIME:
            line += f" ({passed:.0f} s passed" + (f", {left:.0f} s to go)" if left else ")")
        return line

    def _describe(self, trial: Trial) -> str:
        """Return a trial's setting in words, with its problem where there are several."""
        batch = DIRECT if trial.batch_size is None else trial.batch_size
        row = {"optimizer": trial.optimizer, "batch": batch, "device": trial.device}
        return f"{trial.problem}: {cell_label(row)}" if self.several else cell_label(row)
