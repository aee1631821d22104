"""Turn a function that calls back after each iteration into a generator of its iterates."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch

Solve = Callable[[Callable[..., None]], Any]


class _Closed(BaseException):
    """An exception that ends the function where nobody asks for its iterates any more."""


def callback_iterates(solve: Solve) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the points with which a function calls back, and at last what it returns.

    The function runs in a thread of its own, and one of the two threads always waits for the
    other: it works only while the generator is asked for its next point. So whoever measures the
    time between two points measures the function's work (and two hand-overs, some 20 microseconds).

    Parameters
    ----------
    solve
        A function of a callback, which it calls with each new point (further arguments are left
        out), and which returns the last point. What it raises is raised here.

    Yields
    ------
    Copies of the points. The last is left out where it is the same as the one before.

    Examples
    --------
    >>> from scipy.optimize import minimize
    >>> def solve(callback):
    ...     return minimize(lambda x: (x @ x, 2 * x), [3.0, 4.0], jac=True, callback=callback).x
    >>> [abs(point).round(6).tolist() for point in callback_iterates(solve)][-1]
    [0.0, 0.0]

    Notes
    -----
    Where the generator is closed, or interrupted by Ctrl-C while it waits, the function ends at its
    next call of the callback; the generator waits for that, so that nothing works on unseen.
    """
    to_worker: SimpleQueue[bool] = SimpleQueue()  # whether to go on
    from_worker: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def callback(point: Any, *_: Any) -> None:
        from_worker.put(("point", np.array(point, dtype=np.float64)))
        if not to_worker.get():
            raise _Closed

    threads = torch.get_num_threads()

    def work() -> None:
        if not to_worker.get():
            return
        try:
            # MKL would use as many as it does by default in each new thread of Python.
            torch.set_num_threads(threads)
            from_worker.put(("end", solve(callback)))
        except BaseException as error:  # whatever it is, it is raised where it is waited for
            from_worker.put(("error", error))

    context = contextvars.copy_context()
    worker = threading.Thread(target=context.run, args=(work,), daemon=True)
    worker.start()
    try:
        yield from _points(to_worker, from_worker)
    finally:
        to_worker.put(False)
        worker.join()


def _points(
    to_worker: SimpleQueue[bool], from_worker: SimpleQueue[tuple[str, Any]]
) -> Iterator[np.ndarray[Any, Any]]:
    last = None
    while True:
        to_worker.put(True)
        kind, value = from_worker.get()
        if kind == "error":
            raise value
        if kind == "point":
            last = value
            yield value
            continue
        if last is None or not np.array_equal(last, value):
            yield np.array(value, dtype=np.float64)
        return
