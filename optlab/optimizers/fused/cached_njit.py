"""Compile by numba and keep the machine code on disk. Importing this file imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def cached_njit(function: Callable[..., Any]) -> Any:
    """Return a compiled function, from the cache on disk where there is a place for one.

    Where the installation and the home folder are read-only, it is compiled in every process.
    Python's other threads go on while it runs.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba's own, where no folder can be written to
        return numba.njit(nogil=True)(function)
