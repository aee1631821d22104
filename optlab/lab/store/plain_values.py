"""Make a dataclass or named tuple of plain values, each checked against its field's type."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@cache
def type_hints(kind: Hashable) -> dict[str, Any]:
    """Return the types of a class's fields by name, in order."""
    return get_type_hints(kind)


def from_plain(kind: Callable[..., T], values: Mapping[str, Any]) -> T:
    """Return a dataclass or named tuple of values by name; names that it does not have are dropped.

    Raises
    ------
    TypeError
        For a value that its field cannot have, or a missing one without a default.

    Examples
    --------
    >>> from optlab.lab import Trial
    >>> names = ["number", "problem", "optimizer", "batch_size", "device", "dtype", "seed"]
    >>> from_plain(Trial, dict(zip(names, [0, "p", "o", None, "cpu", "float32", 1])))
    Trial(number=0, problem='p', optimizer='o', batch_size=None, device='cpu', dtype='float32',
    seed=1, repeat=1, order='dataloader', stage='measured', setting=0)
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r:.40} is no {kind.__name__}")
    hints = type_hints(kind)
    return kind(
        **{name: _value(name, values[name], hints[name]) for name in hints if name in values}
    )


def _value(name: str, value: Any, hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or (origin is Literal and value in inner):
        return value
    if origin in {Union, types.UnionType}:
        for one in inner:
            with suppress(TypeError, ValueError):
                return _value(name, value, one)
    elif origin is tuple and isinstance(value, list):
        return tuple(_value(name, item, inner[0]) for item in value)
    elif origin in {dict, Mapping} and isinstance(value, dict):
        return {key: _value(name, item, inner[1]) for key, item in value.items()}
    elif isinstance(origin, type) and isinstance(value, origin):
        return value  # an array or a list
    elif isinstance(hint, type):
        return _plain(name, value, hint)
    raise TypeError(f"{name} cannot be {value!r:.40}")


def _plain(name: str, value: Any, kind: type) -> Any:
    if kind is float and (value is None or type(value) in {int, float}):
        return float("nan") if value is None else float(value)
    if kind is bool and value in {0, 1}:
        return bool(value)
    if kind in {int, str, types.NoneType} and type(value) is kind:
        return value
    if issubclass(kind, Enum):
        return kind(value)
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return from_plain(kind, value)
    raise TypeError(f"{name} cannot be {value!r:.40}")
