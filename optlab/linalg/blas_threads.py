"""Thread pools of torch, BLAS and OpenMP: their controller, and one thread for small work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController

from optlab.linalg.loaded_libraries import loads

_controllers: dict[int, ThreadpoolController] = {}


def controller() -> ThreadpoolController:
    """Return the controller of the libraries that are loaded now."""
    # Looking for thread pools in all libraries takes milliseconds, so it is done only where one has
    # been loaded since; most modules that are imported bring none.
    loaded = loads()
    if loaded not in _controllers:
        _controllers.clear()
        _controllers[loaded] = ThreadpoolController()
    return _controllers[loaded]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, BLAS and OpenMP use one thread inside; as many as before afterwards.

    Their threads spin while they wait for each other: on small matrices that is most of the time,
    and beside other processes ten times the work itself.

    Examples
    --------
    >>> with one_thread():
    ...     torch.get_num_threads(), {info["num_threads"] for info in controller().info()}
    (1, {1})
    """
    before = torch.get_num_threads()
    with controller().limit(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
