"""What an object is made of, as far as it decides what the object does."""

from __future__ import annotations

import copyreg
import dis
import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from functools import cached_property
from inspect import getattr_static
from types import (
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch

from optlab.lab.keys.source_hash import is_without_file, own_file

Sources = Callable[[tuple[str, ...]], str]


class Unordered(list[object]):
    """Parts of which the order says nothing."""


# What Python writes into a class by itself, differently from one process or moment to the next.
_OF_NO_WEIGHT = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "_abc_impl",
}  # fmt: skip
_CODE = (
    "co_name", "co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars",
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_exceptiontable",
)  # fmt: skip


def parts(value: Any, sources: Sources) -> list[object]:  # noqa: PLR0912 - one line a kind
    """Return what a value is made of: first its kind, then other values.

    What has no rule of its own is taken apart as pickle does it, and what cannot be pickled counts
    by its type and its attributes. A module's sources are asked of `sources`.
    """
    if isinstance(value, Unordered):
        return value
    kind = type(value)
    if kind in (list, tuple):
        return [kind.__name__, *value]
    if kind is dict:
        return ["dict", *(part for entry in value.items() for part in entry)]
    if isinstance(value, set | frozenset):
        return ["set", kind, Unordered(value), _attributes(value)]
    if isinstance(value, KeysView | ValuesView | ItemsView):
        return ["view", kind.__name__, list(value)]
    if isinstance(value, MappingProxyType):
        return ["proxy", dict(value)]
    if isinstance(value, type):
        return _parts_of_class(value, sources)
    if isinstance(value, FunctionType):
        return _parts_of_function(value, sources)
    if isinstance(value, MethodType):
        return ["method", value.__func__, value.__self__]
    if isinstance(value, CodeType):
        return ["code", *(getattr(value, name) for name in _CODE)]
    if isinstance(value, CellType):
        return ["cell", *([] if value == CellType() else [value.cell_contents])]
    if isinstance(value, ModuleType):
        own = own_file(value.__name__)
        return ["module", sources((value.__name__,)) if own else value.__name__]
    if isinstance(value, staticmethod | classmethod):
        return ["wrapped method", kind.__name__, value.__func__]
    if isinstance(value, property):
        return ["property", kind, value.fget, value.fset, value.fdel]
    if isinstance(value, np.ndarray | np.generic):
        return _parts_of_array(value)
    if isinstance(value, torch.Tensor) and _is_dense(value):
        return _parts_of_tensor(value)
    if isinstance(value, torch.Generator):
        return ["generator", str(value.device), value.get_state()]
    if scipy.sparse.issparse(value):  # what it has found out of its order is kept in attributes
        listed = value.tocoo()
        return ["sparse", kind, value.shape, *listed.coords, listed.data]
    if isinstance(value, pd.DataFrame | pd.Series):  # its blocks are put together when it is read
        return _parts_of_table(value)
    if str(kind.__module__).startswith("numba.") and hasattr(value, "py_func"):
        # Pickled, it has a number at random.
        return ["compiled", kind, value.py_func, getattr(value, "targetoptions", None)]
    return _parts_of_object(value)


def _parts_of_object(value: Any) -> list[object]:
    kind = type(value)
    try:
        reduce = copyreg.dispatch_table.get(kind)
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
    except Exception:  # whatever its own methods raise: a lock, an open file
        return ["not pickled", kind, _attributes(value)]
    if isinstance(reduced, str):
        module = getattr(value, "__module__", None)
        return ["named", kind, str(module), reduced, _attributes(value)]
    make, arguments, *rest = reduced
    state, *entries = rest or [None]
    listed = [list(found) if found is not None else None for found in entries[:2]]
    return ["object", kind, make, arguments, _settings(kind, state), *listed]


def _settings(kind: type[Any], state: Any) -> Any:
    """Return an object's state without what is computed of the rest, and kept."""
    if type(state) is tuple:  # the attributes, then the slots
        return tuple(_settings(kind, part) for part in state)
    if type(state) is not dict:
        return state
    return {name: state[name] for name in state if not _is_computed(kind, name)}


def _is_computed(kind: type[Any], name: object) -> bool:
    return isinstance(getattr_static(kind, str(name), None), cached_property)


def _attributes(value: Any) -> Any:
    slots = [
        name
        for base in type(value).__mro__
        for name in _names(vars(base).get("__slots__", ()))
        if hasattr(value, name)
    ]
    found = {name: getattr(value, name) for name in slots} | getattr(value, "__dict__", {})
    return _settings(type(value), {k: v for k, v in found.items() if k != "__weakref__"})


def _names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)


def _parts_of_class(cls: type[Any], sources: Sources) -> list[object]:
    if _is_known_by_name(cls):
        return ["class", cls.__module__, cls.__qualname__]
    inside = {name: vars(cls)[name] for name in sorted(vars(cls)) if name not in _OF_NO_WEIGHT}
    source = sources((str(cls.__module__),))
    return ["own class", cls.__qualname__, source, type(cls), cls.__bases__, inside]


def _parts_of_function(function: FunctionType, sources: Sources) -> list[object]:
    if _is_known_by_name(function):
        return ["function", function.__module__, function.__qualname__]
    found = [
        "own function",
        function.__qualname__,
        sources((str(function.__module__),)),
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        function.__closure__,
        _attributes(function),
    ]
    if is_without_file(str(function.__module__)):
        used, imported = _used_by(function.__code__)
        around = function.__globals__
        found += [{name: around[name] for name in sorted(used) if name in around}]
        found += [sources(tuple(sorted(imported)))]
    return found


def _used_by(code: CodeType) -> tuple[set[str], set[str]]:
    """Return the global names, and the modules, that code with no file to read uses."""
    used, imported, module = set(), set(), ""
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            used.add(step.argval)
        elif step.opname == "IMPORT_NAME":
            module = step.argval
            imported.add(module)
        elif step.opname == "IMPORT_FROM":
            imported.add(f"{module}.{step.argval}")
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            its_used, its_imported = _used_by(inner)
            used, imported = used | its_used, imported | its_imported
    return used, imported


def _is_known_by_name(value: type[Any] | FunctionType) -> bool:
    """Whether a class or function is what an installed package, or optlab, has under its name."""
    module = value.__module__
    if not isinstance(module, str) or is_without_file(module) or own_file(module):
        return False
    found: Any = sys.modules[module]
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _parts_of_array(array: Any) -> list[object]:
    # Where a mapped file lies decides nothing.
    kind = np.ndarray if isinstance(array, np.memmap) else type(array)
    plain = np.asarray(array)
    described = ["array", kind, repr(plain.dtype), plain.shape]
    if plain.dtype.hasobject:
        return [*described, plain.ravel().tolist(), _attributes(array)]
    flat = np.ascontiguousarray(plain).reshape(-1)
    data = flat.view(np.uint8).data if flat.nbytes else b""
    return [*described, data, {} if kind is np.ndarray else _attributes(array)]


def _is_dense(tensor: torch.Tensor) -> bool:
    odd = tensor.is_quantized or tensor.is_nested or tensor.is_meta
    return tensor.layout == torch.strided and not odd


def _parts_of_tensor(tensor: torch.Tensor) -> list[object]:
    values = tensor.detach().resolve_conj().resolve_neg().cpu().reshape(-1).contiguous()
    data = values.view(torch.uint8).numpy().data  # numpy has no bfloat16
    shape = tuple(tensor.shape)
    return ["tensor", type(tensor), str(tensor.dtype), shape, data, _attributes(tensor)]


def _parts_of_table(table: pd.DataFrame | pd.Series[Any]) -> list[object]:
    own = {name: getattr(table, name, None) for name in table._metadata}
    described = ["table", type(table), table.attrs, own, table.index]
    if isinstance(table, pd.Series):
        return [*described, table.array]
    return [*described, table.columns, list(_columns(table))]


def _columns(table: pd.DataFrame) -> Iterator[object]:
    for number in range(table.shape[1]):
        yield table.iloc[:, number].array
