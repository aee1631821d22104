"""Pickle objects of scripts and notebooks so that another process can unpickle them."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import cloudpickle


def dumps_by_value(value: object) -> bytes:
    """Return an object pickled, with the source of its class where no other process can import it.

    So optimizers defined in a notebook, in the script that runs, or in a script loaded by its path
    travel by value, and need no ``if __name__ == "__main__":``.
    """
    with _sent_by_value():
        return bytes(cloudpickle.dumps(value))


@contextmanager
def _sent_by_value() -> Iterator[None]:
    """Let cloudpickle send by value what comes from modules that cannot be imported by name.

    It does so by itself for ``__main__`` and for modules that are not in `sys.modules`; there
    remain those that were put there under a name that no search for modules would find.
    """
    # A look at every module of a large program takes a millisecond, so each is looked at once.
    modules = [module for module in list(sys.modules.values()) if _is_astray(module)]
    chosen = [m for m in modules if m.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in chosen:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:  # the registry is everybody's
        for module in chosen:
            cloudpickle.unregister_pickle_by_value(module)


def _is_astray(module: ModuleType) -> bool:
    file, name = getattr(module, "__file__", None), getattr(module, "__name__", "")
    # Some libraries put lazy objects into sys.modules, whose attributes are not what they seem.
    if not (isinstance(file, str) and isinstance(name, str) and sys.modules.get(name) is module):
        return False
    return name != "__main__" and _cannot_be_found(name, file)


@cache
def _cannot_be_found(name: str, file: str) -> bool:
    path = Path(file)
    installed = [
        sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")
    ]
    if path.suffix != ".py" or any(path.is_relative_to(folder) for folder in installed):
        return False
    spec, search = None, None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        spec = _find(".".join(parts[:depth]), search)
        if spec is None:
            return True
        search = spec.submodule_search_locations
    return spec is None or spec.origin is None or not path.samefile(spec.origin)


def _find(name: str, search: list[str] | None) -> ModuleSpec | None:
    # importlib.util.find_spec would answer from sys.modules, which the other process has not.
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find(name, search) if find else None
        if spec is not None:
            return spec
    return None
