"""Memoization of what is computed from the results of one experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from optlab.analysis.result_tables import ResultTables

Value = TypeVar("Value")

_CACHE: WeakKeyDictionary[ResultTables, tuple[int, dict[Any, Any]]] = WeakKeyDictionary()


def cached(compute: Callable[[ResultTables], Value]) -> Callable[[ResultTables], Value]:
    """Return a function that computes its value once for given results.

    Tables that were changed in place since have another checksum, and their value is computed anew.
    """

    @wraps(compute)
    def once(results: ResultTables) -> Value:
        checksum = _checksum(results)
        before, values = _CACHE.get(results, (None, {}))
        if before != checksum:
            values = {}
            _CACHE[results] = checksum, values
        if compute not in values:
            values[compute] = compute(results)
        value: Value = values[compute]
        return value

    return once


def _checksum(results: ResultTables) -> int:
    parts: list[object] = [str(results.definition)]
    for table in (results.trials, results.traces):
        rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
        parts += [*table, rows.tobytes()]
    return hash(tuple(parts))
