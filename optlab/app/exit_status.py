"""Run a command to its exit status, with no traceback where the input was at fault."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from cyclopts import App, CycloptsError

from optlab.lab.store.store_error import StoreUnavailableError
from optlab.text import encodable


class UsageError(Exception):
    """Bad input to a command; the message is printed without a traceback."""


class UnavailableError(Exception):
    """A full disk, or a file that is locked: no fault of the input, and mended outside."""


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a `ValueError` about an argument into a `UsageError`."""
    try:
        yield
    except StoreUnavailableError as error:
        raise UnavailableError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def loading() -> Iterator[None]:
    """Switch garbage collection off while modules are imported inside.

    Imports only add objects, which the collector would walk over again and again: without it torch,
    scikit-learn and pandas load in some four fifths of the time. What has been loaded stays, so it
    is frozen, and no later collection walks over it.
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
    """Let SIGTERM and SIGHUP stop an experiment as Ctrl-C does: finished trials are kept."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def call(app: App, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Its own, 0 or 1; 2 for bad input, 3 where a file could not be written, 130 after Ctrl-C.
    """
    _open_closed_streams()
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, TextIOWrapper):  # its encoding may not hold every name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with bad_input():  # the options check themselves when they are made
            command, bound, _ = app.parse_args(tokens, exit_on_error=False)
        status = command(*bound.args, **bound.kwargs)
    except CycloptsError:  # the message has been printed
        return 2
    except (UsageError, UnavailableError) as error:
        with suppress(OSError):  # stderr may be full or gone
            print(f"{app.name[0]}: error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2 if isinstance(error, UsageError) else 3
    except KeyboardInterrupt:
        return 130
    return int(status or 0)


def _open_closed_streams() -> None:
    """Open those of stdin, stdout and stderr that are closed on the null device.

    Else the next file that is opened, a results file perhaps, has the number that libraries
    write their warnings to; and Python has no object to print to.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def as_typed() -> str:
    """Return the command that is running, as it was typed."""
    script = Path(sys.argv[0]).suffix == ".py"
    typed = shlex.join((["python", sys.argv[0]] if script else ["optlab"]) + sys.argv[1:])
    return encodable(typed)  # a path may be no UTF-8
