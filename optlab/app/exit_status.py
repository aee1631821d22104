"""Run a command to its exit status, with no traceback where the input was at fault."""

from __future__ import annotations

import gc
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from cyclopts import App, CycloptsError

from optlab.text import encodable


class UsageError(Exception):
    """The input of a command was at fault: its message is all that the person needs."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a ValueError, which says what was wrong with an argument, into a UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def loading() -> Iterator[None]:
    """Import what is inside without collecting garbage meanwhile.

    The collector walks over all that is there again and again while modules only add to it: without
    it torch, scikit-learn and pandas load in some four fifths of the time. What has been loaded
    stays, so it is not looked at later either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM stop an experiment as Ctrl-C does: what has finished is kept."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def call(app: App, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 2 for bad input, 130 after Ctrl-C."""
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # its encoding may not hold every name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with bad_input():  # the options check themselves when they are made
            command, bound, _ = app.parse_args(tokens, exit_on_error=False)
        status = command(*bound.args, **bound.kwargs)
    except CycloptsError:  # the message has been printed
        return 2
    except UsageError as error:
        print(f"{app.name[0]}: error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    return int(status or 0)


def as_typed() -> str:
    """Return the command that is running, as it was typed."""
    script = Path(sys.argv[0]).suffix == ".py"
    typed = shlex.join((["python", sys.argv[0]] if script else ["optlab"]) + sys.argv[1:])
    return encodable(typed)  # a path may be no UTF-8
