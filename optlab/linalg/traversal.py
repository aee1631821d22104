"""Traverse all rows block by block, two at a time, by compiled loops where they pay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

from optlab.linalg.row_blocks import Block, Rows, Vector

Sums = tuple[Any, ...]
COMPILED_ELEMENTS = 1 << 20  # smaller passes are over before numba has loaded


@cache
def kernels() -> ModuleType | None:
    """Return the compiled kernels, or None where numba (the extra ``fast``) is not installed."""
    try:
        from optlab.linalg import kernels as compiled  # noqa: PLC0415 - numba loads slowly
    except ImportError:
        return None
    return compiled


def visit(rows: Rows, work: Callable[[Block, ModuleType | None], Sums]) -> Iterator[Sums]:
    """Yield the work done on each block, in the blocks' order; compiled work runs in threads.

    Which way is taken depends on the data's size and kind only, so a call repeats bit by bit.
    """
    if rows.whole is not None and not is_large(rows.whole):
        for block in rows.blocks():
            yield work(block, None)
        return
    compiled = kernels()
    workers = torch.get_num_threads()
    if compiled is None or workers == 1:
        for block in rows.blocks():
            yield work(block, None if isinstance(block.X, torch.Tensor) else compiled)
        return
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[Sums]] = deque()
        for block in rows.blocks():
            fast = None if isinstance(block.X, torch.Tensor) else compiled
            running.append(pool.submit(work, block, fast))
            if len(running) > 2 * workers:  # blocks read from a file must not pile up
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def is_large(block: Block) -> bool:
    """Return whether the block is worth compiled kernels: on the CPU, and a million numbers."""
    return not isinstance(block.X, torch.Tensor) and block.X.size >= COMPILED_ELEMENTS


def rows_first(block: Block) -> tuple[Vector, Vector]:
    """Return X and y laid out row by row, as the compiled kernels read them."""
    return np.require(block.X, requirements=["C", "A"]), np.require(
        block.y, requirements=["C", "A"]
    )


def empty_like(values: Any, shape: tuple[int, ...]) -> Any:
    """Return an unset float64 array or tensor of this shape, where ``values`` is."""
    if isinstance(values, torch.Tensor):
        return torch.empty(shape, dtype=torch.float64, device=values.device)
    return np.empty(shape)


def to_numpy(values: Any) -> Vector:
    """Return the array or tensor as a numpy array."""
    array: Vector = values.cpu().numpy() if isinstance(values, torch.Tensor) else values
    return array


def like(values: Vector, model: Any) -> Any:
    """Return the numpy array as what ``model`` is, where ``model`` is."""
    if isinstance(model, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(values)).to(model.device)
    return values
