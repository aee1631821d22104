"""A content hash of hyperparameters, data and the code they use, the same in every process."""

from __future__ import annotations

import datetime as dt
import decimal
import dis
import functools
import hashlib
import inspect
import io
import logging
import re
import sys
import threading
import types
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from optlab.lab.keys.source_hash import distribution, imported, owner, source_hash


class UnknownValueError(TypeError):
    """An error for a value that cannot be hashed, with the path of attributes to it.

    Examples
    --------
    >>> from optlab.lab.keys.object_hash import object_hash
    >>> object_hash({"step": (number for number in range(3))})
    Traceback (most recent call last):
    ...
    optlab.lab.keys.object_hash.UnknownValueError: a generator in `step`
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.where: list[str] = []

    def __str__(self) -> str:
        return super().__str__() + (f" in `{'.'.join(self.where)}`" if self.where else "")


def object_hash(value: object) -> str:
    """Return a hash of a value and of all that it holds.

    Plain values, arrays, tensors and tables count by their content; containers and plain objects by
    what they hold, without cached properties; functions and classes by name, code and source, and
    by the values of the global names that they use; what is installed by its name and version.

    An object that can change in place (a tensor, an array, a module, a list) also counts by which
    other places hold the same object: layers that share one weight train otherwise than layers
    whose weights are equal. What has a hash by its content, such as a number, a text, a tuple or a
    frozen dataclass, may be one object or several. Within a set, only what was met before the set
    is known again, as a set has no order.

    Raises
    ------
    UnknownValueError
        For anything else: an open file, a lock, a generator, a function over a local variable, an
        object that is written in C, or that raises where it is looked at.

    Examples
    --------
    >>> object_hash([0.1, {"a", "b"}]) == object_hash([0.1, {"b", "a"}])
    True
    >>> weight = [0.1]
    >>> object_hash([weight, weight]) == object_hash([weight, weight.copy()])
    False
    """
    try:
        return _Hasher().digest(value).hex()
    except UnknownValueError:
        raise
    except RecursionError:
        raise UnknownValueError("a value nested very deeply") from None
    except Exception as error:  # objects run code of anybody's where they are looked at
        raise UnknownValueError(f"a value that raises {type(error).__name__}: {error}") from error


class _Used(NamedTuple):
    """A module of a person's own, and the names that some code looks up in modules."""

    module: ModuleType
    names: frozenset[str]


_BY_REPR = {
    type(None), bool, float, complex, str, range, type(...), decimal.Decimal, type(Path()),
    dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, torch.dtype, torch.device,
    pd.Timestamp, pd.Timedelta, type(pd.NaT), type(pd.NA),
}  # fmt: skip
_BY_ATTRIBUTES: dict[type[Any], tuple[str, ...]] = {
    types.MethodType: ("__func__", "__self__"),
    functools.partial: ("func", "args", "keywords"),
    functools.cached_property: ("func",),
    functools._lru_cache_wrapper: ("__wrapped__",),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    re.Pattern: ("pattern", "flags"),
    logging.Logger: ("name",),  # it decides no number
    CodeType: (
        "co_name", "co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars",
        "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_exceptiontable",
    ),
}  # fmt: skip
_CONTAINERS = {dict, OrderedDict, list, tuple, torch.Size, set, frozenset}


class _Hasher:
    """The digests of all that one value holds."""

    def __init__(self) -> None:
        # Each object by its address, and kept, so that no other object gets the address.
        self.seen: dict[object, tuple[int, object]] = {}

    def digest(self, value: Any) -> bytes:
        kind = type(value)
        if kind in {bytes, bytearray, memoryview}:
            return _sha(kind.__name__, value)
        if kind is int:
            return _sha("int", b"%x" % value)  # a long one has no decimal digits
        if kind in _BY_REPR:
            return _sha(kind.__name__, repr(value).encode(errors="surrogatepass"))
        if _has_identity(value):
            key = (id(value.module), value.names) if isinstance(value, _Used) else id(value)
            if key in self.seen:
                return _sha("again", b"%d" % self.seen[key][0])
            self.seen[key] = len(self.seen), value
        return _sha("parts", *map(self.digest, self.parts(value)))

    def alone(self, value: Any) -> bytes:
        """Return the digest of one of a set's elements, which does not depend on the others."""
        before = len(self.seen)
        digest = self.digest(value)
        while len(self.seen) > before:
            self.seen.popitem()
        return digest

    def entries(self, held: Iterable[tuple[Any, Any]]) -> bytes:
        """Return the digest of a dict's entries; the name of one without a hash joins the error."""
        digests = []
        for name, value in held:
            try:
                digests += [self.digest(name), self.digest(value)]
            except UnknownValueError as error:
                error.where.insert(0, str(name))
                raise
        return _sha("entries", *digests)

    def parts(self, value: Any) -> list[Any]:  # noqa: PLR0912 - one line a kind
        """Return the values that a value consists of, its kind first."""
        kind = type(value)
        if isinstance(value, _Used):
            space = vars(value.module)
            held = _looked_up(space, value.names, value.names)
            return ["module", _text(space.get("__file__")), held]
        if found := _installed(value):
            return found
        if isinstance(value, Enum):
            return ["enum", kind, value.name, value.value]
        if (base := _base_in_c(kind)) in _CONTAINERS:
            own = [] if kind is base else [kind, _attributes(value)]
            if issubclass(base, dict):
                return [base.__name__, self.entries(base.items(value)), *own]
            held = list(base.__iter__(value))
            held = sorted(map(self.alone, held)) if issubclass(base, set | frozenset) else held
            return [base.__name__, len(held), *held, *own]
        if isinstance(value, type):
            return _parts_of_class(value)
        if isinstance(value, FunctionType):
            return _parts_of_function(value)
        if kind in _BY_ATTRIBUTES:
            return [kind.__name__, *(getattr(value, name) for name in _BY_ATTRIBUTES[kind])]
        if isinstance(value, types.MappingProxyType):
            return ["proxy", dict(value)]
        if isinstance(value, types.BuiltinFunctionType):
            its = value.__self__
            return ["in C", value.__qualname__, getattr(its, "__name__", its)]
        if isinstance(value, ModuleType) and owner(value) is not None:
            return ["module", value.__name__, owner(value)]
        if isinstance(value, np.dtype) or kind.__module__ == "typing":
            return ["described", repr(value)]
        if str(kind.__module__).startswith("numba.") and hasattr(value, "py_func"):
            return ["compiled", kind, value.py_func, value.targetoptions]
        return _parts_of_data(value) or _parts_of_object(value)


def _has_identity(value: Any) -> bool:
    """Return whether it matters which object a value is: it is code, or can change in place."""
    if isinstance(value, type | FunctionType | _Used | torch.Tensor):
        return True
    own: Any = type(value).__hash__
    return own in {None, object.__hash__} and not isinstance(value, pd.Index)


def _sha(kind: str, *parts: Any) -> bytes:
    digest = hashlib.sha256(kind.encode() + b"\0")
    for part in parts:
        digest.update(part)
    return digest.digest()


def _base_in_c(cls: type[Any]) -> type[Any]:
    """Return the first of a class and its bases that is written in C, as `copyreg` finds it.

    What such a class keeps is not in the attributes.
    """
    for base in cls.__mro__:
        in_python = base.__flags__ & (1 << 9)
        if not in_python or getattr(base.__new__, "__self__", None) is base:
            return base
    return object


def _parts_of_data(value: Any) -> list[Any]:
    kind: Any = type(value)
    if kind in {np.ndarray, np.memmap} or (
        isinstance(value, np.generic) and kind.__module__ == "numpy"
    ):
        array = np.asarray(value)
        described = ["array", isinstance(value, np.ndarray), repr(array.dtype)]
        flat = np.ascontiguousarray(array).reshape(-1)
        data = array.ravel().tolist() if array.dtype.hasobject else flat.view(np.uint8).data
        # The strides too: they can decide in which order a sum is taken.
        return [*described, array.shape, array.strides, data]
    if kind in {torch.Tensor, torch.nn.Parameter} and not (value.is_quantized or value.is_nested):
        described = ["tensor", kind, str(value.dtype), str(value.device), value.requires_grad]
        if value.layout == torch.sparse_coo:
            listed = value.detach().coalesce()
            return [*described, value.shape, listed.indices(), listed.values()]
        if value.layout == torch.strided and not value.is_meta:
            whole = value.detach().resolve_conj().resolve_neg().cpu().reshape(-1).contiguous()
            data = whole.view(torch.uint8).numpy().data  # numpy has no bfloat16
            return [*described, value.shape, value.stride(), vars(value), data]
    # A value of scipy.sparse, whose attributes change as it is looked at, has loaded it.
    sparse = sys.modules.get("scipy.sparse") if kind.__module__.startswith("scipy.") else None
    if sparse is not None and sparse.issparse(value):
        listed = value.tocoo()
        return ["sparse", kind, value.shape, *listed.coords, listed.data]
    if kind is pd.DataFrame:
        columns = [_column(value.iloc[:, place]) for place in range(value.shape[1])]
        return ["table", value.attrs, value.index, value.columns, columns]
    if kind is pd.Series:
        return ["column", value.attrs, value.name, value.index, *_column(value)]
    if isinstance(value, pd.Index):
        return ["index", kind, list(value.names), *_column(value)]
    return []


def _column(values: pd.Series[Any] | pd.Index[Any]) -> list[Any]:
    plain = isinstance(values.dtype, np.dtype)
    array = values.to_numpy() if plain else values.to_numpy(dtype=object)
    return [values.dtype, array.view()]  # which columns share an array is pandas' own affair


def _parts_of_object(value: Any) -> list[Any]:
    kind = type(value)
    if kind is object:
        return ["nothing"]
    slots = any("__slots__" in vars(base) for base in kind.__mro__)
    in_python = _base_in_c(kind) in {object, types.SimpleNamespace}
    if in_python and (slots or hasattr(value, "__dict__")):
        return ["object", kind, _attributes(value)]
    names: dict[Any, str] = {io.IOBase: "an open file", types.GeneratorType: "a generator"}
    names |= {type(threading.Lock()): "a lock", type(threading.RLock()): "a lock"}
    known = [name for cls, name in names.items() if isinstance(value, cls)]
    raise UnknownValueError([*known, f"a {kind.__module__}.{kind.__qualname__}"][0])


def _attributes(value: Any) -> dict[str, Any]:
    """Return an object's attributes, without cached properties."""
    cls = type(value)
    members = {name: member for base in cls.__mro__[::-1] for name, member in vars(base).items()}
    slots = [n for n, m in members.items() if isinstance(m, types.MemberDescriptorType)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    held |= getattr(value, "__dict__", {})
    computed = functools.cached_property
    return {n: held[n] for n in sorted(held) if not isinstance(members.get(n), computed)}


def _installed(value: Any) -> list[Any]:
    """Return the name and version of a function or class of an installed package, else nothing."""
    module = sys.modules.get(str(getattr(value, "__module__", None)))
    name = getattr(value, "__qualname__", getattr(value, "__name__", None))
    if not (callable(value) and module and isinstance(name, str) and owner(module)):
        return []
    found: Any = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part, None)
    return ["installed", module.__name__, name, owner(module)] if found is value else []


def _parts_of_class(cls: type[Any]) -> list[Any]:
    held = {name: member for name, member in sorted(vars(cls).items()) if _decides(name, member)}
    file = getattr(sys.modules.get(cls.__module__), "__dict__", {}).get("__file__")
    return ["class", cls.__qualname__, _text(file), type(cls), cls.__bases__, held]


def _decides(name: str, member: object) -> bool:
    """Return whether a member affects what its class does; those that Python adds do not."""
    behaviour = isinstance(member, FunctionType | staticmethod | classmethod | property)
    slot = hasattr(member, "__set__") and _base_in_c(type(member)) is type(member)
    return behaviour or not (slot or name.startswith("__") or name == "_abc_impl")


def _parts_of_function(function: FunctionType) -> list[Any]:
    code, file = function.__code__, function.__code__.co_filename
    cells = [c.cell_contents for c in function.__closure__ or () if c != types.CellType()]
    found = ["function", function.__qualname__, code, cells]
    if whose := distribution(file):
        return [*found, whose]
    local = [name for name in code.co_freevars if name != "__class__"]
    # A decorated function counts by what its decorator holds, code made for a class by the class.
    if local and not hasattr(function, "__wrapped__") and file != "<string>":
        kind = "lambda" if code.co_name == "<lambda>" else "function"
        raise UnknownValueError(f"a {kind} over the local variable `{local[0]}`")
    text, space = _text(file), function.__globals__
    steps = [step for part in _codes(code) for step in dis.get_instructions(part)]
    used = {step.argval for step in steps if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}}
    names = frozenset(
        n for c in _codes(code) for n in (*c.co_names, *c.co_varnames, *c.co_cellvars)
    )
    # What was typed has no file: any of its names can be one of a module.
    targets = imported(text, space.get("__package__") or "", names) if text else sorted(names)
    loaded = {name: sys.modules[name] for name in targets if name in sys.modules}
    return [
        *found, text, function.__defaults__, function.__kwdefaults__, vars(function),
        source_hash(targets), _looked_up(space, used, names),
        _looked_up(loaded, loaded, names),
    ]  # fmt: skip


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a function's code, and the code of the functions within it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


def _text(file: str | None) -> bytes:
    return Path(file).read_bytes() if file and Path(file).is_file() else b""


def _looked_up(space: Mapping[str, Any], names: Iterable[str], further: frozenset[str]) -> Any:
    """Return the values of global names; a person's own module counts by ``further`` names."""
    found = {name: space[name] for name in sorted(names) if name in space}
    for name, value in found.items():
        if isinstance(value, ModuleType) and owner(value) is None:
            found[name] = _Used(value, further)
    return found
