"""Pickle objects of scripts and notebooks so that another process can unpickle them."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle
import numpy as np
import torch
from torch.storage import TypedStorage


def dumps_by_value(value: object, buffers: list[pickle.PickleBuffer] | None = None) -> bytes:
    """Return an object pickled, with the source of its class where no other process can import it.

    So optimizers defined in a notebook, in the script that runs, or in a script loaded by its path
    travel by value, and need no ``if __name__ == "__main__":``. With a list of ``buffers``, arrays
    and tensors on the CPU are put there, uncopied, and are no part of the pickle.
    """
    with _sent_by_value(), io.BytesIO() as file:
        _Pickler(file, buffer_callback=buffers.append if buffers is not None else None).dump(value)
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickle by cloudpickle, and two kinds of objects that it cannot pickle, or only slowly."""

    def __init__(self, file: io.BytesIO, buffer_callback: Any) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        # Such as torch.backends.cudnn, of a class derived from that of modules.
        self._odd_modules = {
            id(module): name
            for name, module in list(sys.modules.items())
            if type(module) is not ModuleType
        }

    def reducer_override(self, value: Any) -> Any:
        if (name := self._odd_modules.get(id(value))) is not None:
            return importlib.import_module, (name,)
        if isinstance(value, TypedStorage) and value._untyped_storage.device.type == "cpu":
            # As bytes: its public methods warn that its class will be removed.
            held = torch.empty(0, dtype=torch.uint8, device="cpu").set_(value._untyped_storage)
            return _storage, (pickle.PickleBuffer(held.numpy().data), value.dtype)
        return super().reducer_override(value)


def _storage(buffer: Any, dtype: torch.dtype) -> TypedStorage:
    """Return the storage of a tensor over a buffer, which is not copied."""
    held = torch.from_numpy(np.frombuffer(buffer, dtype=np.uint8))
    return TypedStorage(wrap_storage=held.untyped_storage(), dtype=dtype, _internal=True)


@contextmanager
def _sent_by_value() -> Iterator[None]:
    """Let cloudpickle send by value what comes from modules that cannot be imported by name.

    It does so by itself for ``__main__`` and for modules that are not in `sys.modules`; there
    remain those that were put there under a name that no search for modules would find.
    """
    by_value = cloudpickle.list_registry_pickle_by_value()
    chosen = [module for module in _unimportable_modules() if module.__name__ not in by_value]
    for module in chosen:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:  # the registry is everybody's
        for module in chosen:
            cloudpickle.unregister_pickle_by_value(module)


_IMPORTABLE: WeakKeyDictionary[ModuleType, object] = WeakKeyDictionary()
"""Modules that need not be sent by value, with the file that they had when it was asked."""

_INSTALLED = tuple(
    folder + os.sep
    for folder in (
        *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(f for f in map(str, sys.path) if f.endswith(("site-packages", "dist-packages"))),
    )
)
"""The folders of installed packages: a user's own and the system's are not told by sysconfig."""


def _unimportable_modules() -> list[ModuleType]:
    """Return the modules that no search finds; of thousands, only new ones are looked at."""
    unimportable = []
    for module in list(sys.modules.values()):
        is_plain = type(module) is ModuleType
        file = vars(module).get("__file__") if is_plain else None
        if is_plain and _IMPORTABLE.get(module, _IMPORTABLE) == file:
            continue
        if _cannot_be_imported(module):
            unimportable.append(module)
        elif is_plain:
            _IMPORTABLE[module] = file
    return unimportable


def _cannot_be_imported(module: ModuleType) -> bool:
    file, name = getattr(module, "__file__", None), getattr(module, "__name__", "")
    # Some libraries put lazy objects into sys.modules, whose attributes are not what they seem.
    if not (isinstance(file, str) and isinstance(name, str) and sys.modules.get(name) is module):
        return False
    return name != "__main__" and _cannot_be_found(name, file)


@cache
def _cannot_be_found(name: str, file: str) -> bool:
    if not file.endswith(".py") or file.startswith(_INSTALLED):
        return False
    spec, search = None, None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        spec = _find(".".join(parts[:depth]), search)
        if spec is None:
            return True
        search = spec.submodule_search_locations
    return spec is None or spec.origin is None or not Path(file).samefile(spec.origin)


def _find(name: str, search: list[str] | None) -> ModuleSpec | None:
    # importlib.util.find_spec would answer from sys.modules, which the other process has not.
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find(name, search) if find else None
        if spec is not None:
            return spec
    return None
