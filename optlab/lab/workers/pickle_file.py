"""Pickle an object into a file, from which other processes map its arrays instead of copying them.

The arrays lie beside the pickle (protocol 5, out-of-band buffers). A process that loads the object
maps them copy-on-write: it may change them, sees no change of another's, and holds no second copy.

References
----------
PEP 574, Pickle protocol 5 with out-of-band data.
"""

from __future__ import annotations

import mmap
import os
import pickle
from typing import Any, BinaryIO, NamedTuple

from optlab.lab.workers.pickling import dumps_by_value

_PAGE = 4096
"""Alignment of each array, in bytes: at least that of torch's own, which can decide last digits."""


class Layout(NamedTuple):
    """The places of a pickle and of its buffers in a file: offsets and lengths in bytes."""

    pickle: tuple[int, int]
    buffers: list[tuple[int, int]]


def dump(value: object, file: BinaryIO) -> Layout:
    """Write an object into an empty file, and return where its parts are.

    What it has computed of itself, members that its class names as ``solved_members``, goes with
    it, though its state for `pickle` leaves them out: no process computes it again.

    Raises
    ------
    Exception
        Where the object cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    names = getattr(type(value), "solved_members", ())
    solved = {name: vars(value)[name] for name in names if name in vars(value)}
    body = dumps_by_value((value, solved), buffers)
    spans = [_append(file, buffer.raw()) for buffer in buffers]
    layout = Layout(_append(file, body), spans)
    file.flush()
    return layout


def load(descriptor: int, layout: Layout) -> Any:
    """Return the object that was written into a file, its arrays mapped copy-on-write."""
    size = os.fstat(descriptor).st_size
    view = memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY))
    at, length = layout.pickle
    parts = (view[start : start + size] for start, size in layout.buffers)
    value, solved = pickle.loads(view[at : at + length], buffers=parts)
    if solved:
        vars(value).update(solved)
    return value


def _append(file: BinaryIO, part: bytes | memoryview) -> tuple[int, int]:
    at = -(-file.tell() // _PAGE) * _PAGE
    file.seek(at)
    file.write(part)
    return at, len(part)
