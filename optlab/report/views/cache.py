"""Memoization of what is computed from the results of one experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from optlab.analysis.result_tables import ResultTables

Value = TypeVar("Value")

_CACHE: WeakKeyDictionary[ResultTables, tuple[int, dict[Any, Any]]] = WeakKeyDictionary()

_UNCHANGED: ContextVar[dict[ResultTables, dict[Any, Any]] | None] = ContextVar(
    "_UNCHANGED", default=None
)


@contextmanager
def unchanged_tables() -> Iterator[None]:
    """Compute the checksum of each results' tables once within: nothing may change them meanwhile.

    A page asks for many views, each of which would compute the checksum of the same tables anew.
    """
    if _UNCHANGED.get() is not None:
        yield
        return
    token = _UNCHANGED.set({})
    try:
        yield
    finally:
        _UNCHANGED.reset(token)


def cached(compute: Callable[[ResultTables], Value]) -> Callable[[ResultTables], Value]:
    """Return a function that computes its value once for given results, of the measured trials.

    Tables that were changed in place since have another checksum, and their value is computed anew.
    """

    @wraps(compute)
    def once(results: ResultTables) -> Value:
        values = _values(results)
        if compute not in values:
            with unchanged_tables():
                values[compute] = compute(_measured(results, values))
        value: Value = values[compute]
        return value

    return once


def measured_trials(results: ResultTables) -> ResultTables:
    """Return the results without tuning trials, the same object each time that it is asked for."""
    return _measured(results, _values(results))


def _values(results: ResultTables) -> dict[Any, Any]:
    """Return what has been computed of the results as they are now."""
    unchanged = _UNCHANGED.get()
    if unchanged is None:
        return _values_now(results)
    if results not in unchanged:
        unchanged[results] = _values_now(results)
    return unchanged[results]


def _values_now(results: ResultTables) -> dict[Any, Any]:
    checksum = _checksum(results)
    before, values = _CACHE.get(results, (None, {}))
    if before != checksum:
        values = {}
        _CACHE[results] = checksum, values
    return values


def _measured(results: ResultTables, values: dict[Any, Any]) -> ResultTables:
    if _measured not in values:
        own = results.measured
        values[_measured] = None if own is results else own  # a value that held it kept it for ever
    return values[_measured] or results


def _checksum(results: ResultTables) -> int:
    parts: list[object] = [str(results.definition)]
    for table in (results.trials, results.traces):
        rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
        parts += [*table, rows.tobytes()]
    return hash(tuple(parts))
