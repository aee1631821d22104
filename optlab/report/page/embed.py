"""Tables as compact JSON that a script element can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from optlab.report.views.view import Axis, View

DIGITS = 6
"""How many significant digits of a view's numbers are embedded; tables keep all."""


def in_script(value: Any) -> str:
    r"""Return JSON that is safe inside a script element: no ``<``, ``>``, ``&`` is left in it.

    Examples
    --------
    >>> in_script("</script>&")
    '"\\u003c/script\\u003e\\u0026"'
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def columns_of(table: pd.DataFrame, *, digits: int | None = DIGITS) -> dict[str, Any]:
    """Return a table column-wise: numbers as they are, text as codes into its levels.

    Examples
    --------
    >>> columns_of(pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, float("nan"), 2.5]}))["columns"]
    {'a': {'levels': ['x', 'y'], 'codes': [0, 1, 0]}, 'b': [1.0, None, 2.5]}
    """
    if {"spread", "unstable"} <= {*table}:  # without a spread nobody knows
        known = table["unstable"].astype(object).where(table["spread"].notna(), None)
        table = table.assign(unstable=known)
    columns = {str(name): _column(table[name], digits) for name in table}
    return {"rows": len(table), "columns": columns}


def _column(values: pd.Series[Any], digits: int | None) -> Any:
    kind = values.dtype.kind if isinstance(values.dtype, np.dtype) else "O"
    if kind in "biu":
        return values.tolist()
    if kind == "f":
        finite = np.isfinite(values.to_numpy())
        numbers = values.tolist()
        if digits is not None:
            numbers = [float(f"{x:.{digits}g}") for x in numbers]
        return [x if ok else None for x, ok in zip(numbers, finite, strict=True)]
    known = values[values.notna()]
    if len(known) and all(isinstance(x, bool | np.bool_) for x in known):
        return [None if pd.isna(x) else bool(x) for x in values]
    numeric = all(isinstance(x, int | float | np.number) for x in known)
    if numeric and (len(known) or pd.api.types.is_numeric_dtype(values.dtype)):
        return _column(pd.to_numeric(values, errors="coerce").astype(float), digits)
    return _text(values)


def _text(values: pd.Series[Any]) -> dict[str, list[Any]]:
    text = values.map(str).where(values.notna())
    codes, levels = pd.factorize(text)
    return {"levels": [str(level) for level in levels], "codes": codes.tolist()}


def view_data(view: View) -> dict[str, Any]:
    """Return all that the page's script needs to draw a view."""
    return {
        "key": view.key,
        "title": view.title,
        "kind": view.kind,
        "facets": view.facets,
        "choose": view.choose,
        "missing": view.missing,
        "seconds": [column for axis in view.y if axis.unit == "s" for column in _columns(axis)],
        "x": [asdict(axis) for axis in view.x],
        "y": [asdict(axis) for axis in view.y],
        "table": columns_of(view.table),
        "extra": {name: columns_of(table) for name, table in view.extra.items()},
    }


def _columns(axis: Axis) -> list[str]:
    return [column for column in (axis.column, axis.low, axis.high) if column]


def axes_of(trials: pd.DataFrame, batches: Iterable[str]) -> dict[str, list[str]]:
    """Return the values that each filter offers."""
    axes = {
        name: [str(value) for value in dict.fromkeys(trials[name])]
        for name in ("problem", "optimizer", "device", "dtype")
    }
    return axes | {"batch": list(batches)}
