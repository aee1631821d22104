"""The number of threads, set alike for torch and every loaded BLAS and OpenMP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from optlab.linalg.blas_threads import controller


def set_threads(count: int | None = None) -> int:
    """Set the number of threads of torch, BLAS and OpenMP, and return it.

    Left out, the count is torch's present one. It is set again before each trial, because an
    optimizer can change it, or load a library that has a setting of its own.

    Examples
    --------
    >>> set_threads() == torch.get_num_threads()
    True
    """
    count = count or torch.get_num_threads()
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    for library in controller().lib_controllers:
        if library.num_threads != count:  # to ask takes a small part of the time of setting
            library.set_num_threads(count)
    return count


@contextmanager
def threads_kept() -> Iterator[None]:
    """Restore the number of threads after what is inside."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        set_threads(before)
