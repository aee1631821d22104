"""Write an output file atomically, and overwrite no file that optlab did not write."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import BinaryIO

import optlab
from optlab.text import encodable

SOFTWARE = f"optlab {optlab.__version__}"
"""The text by which each kind of file says that optlab wrote it."""

MARKS: Mapping[str, re.Pattern[bytes]] = {
    "page": re.compile(rb'<meta name="generator" content="optlab '),
    # A table has no place for a name: its header says what it is.
    "csv": re.compile(
        rb"\A(trial,problem,optimizer,(hp_|batch,)|trial,epoch,samples,seconds,loss,"
        rb"|problem,optimizer,batch,|problem,rank,method,label,|method,score,low,high,"
        rb"|optimizer,other,wins,ties,losses,|problem,kind,n,d,dtype,reference,loss,)"
    ),
    "parquet": re.compile(rb'"software": "optlab '),
    "latex": re.compile(rb"\A% optlab "),
    "markdown": re.compile(rb"\A<!-- optlab "),
    "junit": re.compile(rb'<testsuite name="optlab [^"]* diff"'),
    "png": re.compile(rb"Software\0optlab "),
    "svg": re.compile(rb"<dc:title>optlab "),
    "pdf": re.compile(rb"/Creator \(optlab "),
    "eps": re.compile(rb"%%Creator: optlab "),
    # An SQLite file whose application number is that of the schema.
    "results": re.compile(rb"\ASQLite format 3\x00.{52}optl", re.DOTALL),
}
"""A pattern for each kind of output, found in the files that optlab wrote and in no others."""

_LOOK = 2**16
"""Bytes at a file's start and end in which its mark is looked for."""


def check_output(path: Path, kind: str, *, force: bool = False) -> None:
    """Refuse to overwrite a file that optlab did not write as an output of this kind.

    An empty file, and what is no plain file (``/dev/null``, a pipe), may be written to.

    Parameters
    ----------
    path
        The output.
    kind
        The kind of output, one of `MARKS`; of others nothing is known to be optlab's.
    force
        Overwrite any plain file. A symbolic link is then replaced itself, not what it points to.

    Raises
    ------
    ValueError
        Where the file stays, with what to do.
    """
    try:
        state = path.lstat()
    except OSError:
        return  # there is nothing to lose
    if S_ISDIR(state.st_mode):
        raise ValueError(f"{_name(path)} is a folder; name a file")
    if force or _is_written_into(path):
        return
    if S_ISLNK(state.st_mode):
        what = "is a symbolic link: name the file itself"
    elif state.st_size == 0 or is_own_output(path, kind):
        return
    else:
        what = "exists, and optlab did not write it as this kind of output: name another file"
    raise ValueError(f"{_name(path)} {what}, or replace it with --force (in Python: force=True)")


@contextmanager
def output_file(path: Path, kind: str, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when it is whole.

    It is written under a name of its own in the same folder, which is made where it is missing. A
    device or a pipe is written into.

    Raises
    ------
    ValueError
        As `check_output` does.
    OSError
        Where it cannot be written: what had the name before is left as it was.
    """
    check_output(path, kind, force=force)
    if _is_written_into(path):
        with _opened(path) as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".optlab-{secrets.token_hex(8)}.part")
    try:
        with unfinished.open("xb") as file:  # a new file: no link is followed
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def is_own_output(path: Path, kind: str) -> bool:
    """Return whether a file is one that optlab wrote as an output of this kind."""
    if kind not in MARKS:
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_LOOK)
            file.seek(max(_LOOK, path.stat().st_size - _LOOK))
            return MARKS[kind].search(start + file.read()) is not None
    except OSError:  # what cannot be read is not known to be ours
        return False


def _is_written_into(path: Path) -> bool:
    """Whether a path is a device, a pipe, or this process's own stdout or stderr."""
    try:
        state = path.stat()
    except OSError:
        return False
    return not (S_ISREG(state.st_mode) or S_ISDIR(state.st_mode)) or _stream(state) is not None


def _opened(path: Path) -> BinaryIO:
    stream = _stream(path.stat())
    # A second opening of a file that stdout is redirected to would overwrite what is printed.
    return path.open("ab") if stream is None else os.fdopen(os.dup(stream), "wb")


def _stream(state: os.stat_result) -> int | None:
    """Return the number of the standard stream that a file is, or None."""
    for number in (1, 2):
        try:
            if os.path.samestat(os.fstat(number), state):
                return number
        except OSError:  # it is closed
            continue
    return None


def _name(path: Path) -> str:
    return encodable(str(path))
