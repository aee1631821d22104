"""A progress bar of rich: in a terminal on stderr, in a notebook as an output of the cell."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from io import StringIO
from types import TracebackType
from typing import Self
from uuid import uuid4

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from optlab.report.console import NOTEBOOK_WIDTH, note_console, notebook_shell

_DELAY = 0.3
"""Seconds that a run goes on before its bar is drawn: shorter ones have none."""

_SHOW_EVERY = 0.1
"""Seconds between two drawings of the bar."""

_HTML = (
    '<pre style="font-family:monospace;line-height:1.4;white-space:pre;overflow-x:auto;margin:0">'
    "{code}</pre>"
)


def can_draw() -> bool:
    """Return whether a person looks on: stderr is a terminal, or this is a notebook's kernel."""
    return notebook_shell() is not None or sys.stderr.isatty()


class ProgressBar:
    """A progress bar with a text on what runs now; where nobody looks on it is not drawn.

    A terminal's is wiped away at the end, a notebook's stays.

    Parameters
    ----------
    noun
        The name of what is counted.
    total
        How many there are.
    """

    def __init__(self, noun: str, total: int) -> None:
        self._shell = notebook_shell()
        self.drawn = can_draw()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),  # what runs now has the rest of 80 columns
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            _Now(),
            console=note_console(),
            disable=not self.drawn or self._shell is not None,
            # Drawn when a trial reports, not by a thread, which would run beside the optimizer.
            auto_refresh=False,
            expand=True,
            transient=True,
        )
        self._number = self._bar.add_task(noun, total=total, now=Text(""))
        self._begun = time.monotonic()
        self._shown = 0.0
        self._cell = ""  # the notebook's name of the output that is drawn into

    @property
    def task(self) -> RichTask:
        """The counts and times of the bar."""
        return self._bar.tasks[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            if self._cell:
                self._bar.update(self._number, now=Text(""))
                self._draw()
            self._bar.stop()

    def print(self, text: str) -> None:
        """Print a line beside the bar."""
        self._bar.console.print(Text(text))

    def expect(self, more: int) -> None:
        """Expect some more in all."""
        self._bar.update(self._number, total=(self.task.total or 0) + more)

    def advance(self, count: int = 1) -> None:
        """Count some as done."""
        self._bar.advance(self._number, count)
        self.show(at_once=self._shell is None)

    def show(
        self, now: str | None = None, *, done: int | None = None, at_once: bool = False
    ) -> None:
        """Draw the bar, if it was not drawn a moment ago, with a text on what runs now."""
        if not self.drawn:
            return
        self._bar.update(self._number, completed=done)
        if now is not None:
            self._bar.update(self._number, now=Text(now))
        moment = time.monotonic()
        if moment - self._begun < _DELAY or (moment - self._shown < _SHOW_EVERY and not at_once):
            return
        self._shown = moment
        with suppress(OSError):  # the terminal may have been closed
            self._draw()

    def _draw(self) -> None:
        if self._shell is None:
            self._bar.start()
            self._bar.refresh()
            return
        text = Console(file=StringIO(), record=True, width=NOTEBOOK_WIDTH, force_jupyter=False)
        text.print(self._bar.get_renderable())
        shown = {
            "text/html": text.export_html(inline_styles=True, code_format=_HTML, clear=False),
            "text/plain": text.export_text().rstrip(),
        }
        begun, self._cell = bool(self._cell), self._cell or uuid4().hex
        self._shell.display_pub.publish(shown, transient={"display_id": self._cell}, update=begun)


class _Now(ProgressColumn):
    """A column for what runs now, cut where the terminal ends."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))

    def render(self, task: RichTask) -> Text:
        return task.fields["now"]  # type: ignore[no-any-return]  # put there by us
