"""One thread setting, the same for torch and for every BLAS and OpenMP that is loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController

_controllers: dict[int, ThreadpoolController] = {}


def set_threads(count: int | None = None) -> int:
    """Let torch, BLAS and OpenMP use so many threads, and return how many.

    Left out, the count is torch's present one. It is set anew before each trial: an optimizer can
    load a library that knows nothing of it, or leave it changed.

    Examples
    --------
    >>> set_threads() == torch.get_num_threads()
    True
    """
    count = count or torch.get_num_threads()
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    _controller().limit(limits=count)
    return count


@contextmanager
def threads_kept() -> Iterator[None]:
    """Let as many threads be used after what is inside as before it."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        set_threads(before)


def _controller() -> ThreadpoolController:
    # Looking for the loaded libraries takes milliseconds, so it is done only when some module has
    # been imported since.
    loaded = len(sys.modules)
    if loaded not in _controllers:
        _controllers.clear()
        _controllers[loaded] = ThreadpoolController()
    return _controllers[loaded]
