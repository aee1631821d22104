"""Find the place of an error: the line of an author's own code that it passed through last."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import FrameType

from optlab.text import shown_path

_LIBRARIES = {"optlab", "torch", "numpy", "scipy", "sklearn", "pandas"} | sys.stdlib_module_names


def raised_at(error: BaseException) -> str:
    """Return the type of an error, and the file and line that raised it.

    Libraries are passed over: an error that torch raises was caused by the line that called torch.
    Where there are libraries only, it is the line that raised it.

    Examples
    --------
    >>> try:
    ...     int("one")
    ... except ValueError as error:
    ...     raised_at(error).partition(" at ")[0]
    'ValueError'
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    kind = type(error).__name__
    if not frames:
        return kind
    frame, line = (_own(frames) or frames)[-1]
    code = frame.f_code
    return f"{kind} at {shown_path(Path(code.co_filename))}:{line} in {code.co_name}"


def own_line(error: BaseException) -> str:
    """Return the file and the last line of an author's own file that an error passed through.

    Empty where there is none: of a notebook's cell, whose file is made up, and of libraries.
    """
    for frame, line in reversed(_own(list(traceback.walk_tb(error.__traceback__)))):
        file = Path(frame.f_code.co_filename)
        if file.is_file():
            return f"{shown_path(file)}:{line}"
    return ""


def _own(frames: list[tuple[FrameType, int]]) -> list[tuple[FrameType, int]]:
    """Return the frames that are no library's."""
    return [
        (frame, line)
        for frame, line in frames
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _LIBRARIES
    ]
