"""Consoles for notes and progress: stderr in a terminal, the cell's output in a notebook."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.text import Text

NOTEBOOK_WIDTH = 100
"""Characters in a line of a notebook's output."""


class RaisingConsole(Console):
    """A console that raises where its pipe is closed, and does not end the process."""

    def on_broken_pipe(self) -> None:
        """Raise the `BrokenPipeError` in whose handler rich calls this."""
        raise  # noqa: PLE0704 - as the line above says


def notebook_shell() -> Any | None:
    """Return IPython's shell where this process is the kernel of a notebook, else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def note_console() -> Console:
    """Return the console that notes are printed to; a notebook would show stderr in red."""
    if notebook_shell() is None:
        return RaisingConsole(stderr=True, soft_wrap=True)
    return RaisingConsole(
        file=sys.stdout, width=NOTEBOOK_WIDTH, force_jupyter=False, color_system=None
    )


def print_note(text: str) -> None:
    """Print a line beside the progress."""
    with suppress(OSError):  # stderr may be full or gone
        note_console().print(Text(f"note: {text}"))
