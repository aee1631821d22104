"""The source files of a person's own that what a module does depends on."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import optlab


class ModuleLocation(NamedTuple):
    """Where a module's source lies."""

    file: Path | None
    """None where it is not a person's own: the standard library's, installed, or optlab's."""
    package: str
    """What its relative imports are relative to."""
    inside: tuple[str, ...]
    """The folders of its submodules."""


_NOWHERE = ModuleLocation(None, "", ())


def source_hash(names: Iterable[str]) -> str:
    """Return a hash of the sources of modules and of the modules they use.

    Caches that look at a class alone miss a change of the helper it calls; so the files of all
    modules that a module imports, anywhere in it, or that its names come from are read, and
    theirs, as far as they are a person's own: what is installed is known by its version, and
    optlab's files are in every key as they are.
    """
    names = list(names)
    own = [_digest(file) for file in map(own_file, names) if file]
    # In the order of what is in them: where they lie, and what that is called, decides nothing.
    used = sorted({_digest(file) for file in _files_used_by(names)})
    return hashlib.sha256(b"".join([*own, b"uses", *used])).hexdigest()


def own_file(name: str) -> Path | None:
    """Return a module's file, if it is neither the standard library's, installed, nor optlab's."""
    return _place(name).file


def is_without_file(name: str) -> bool:
    """Whether what a module defines was typed: at a prompt, in a notebook, on standard input."""
    module = sys.modules.get(name)
    if module is None or name == "__main__":
        return own_file(name) is None
    return getattr(module, "__spec__", None) is None and not hasattr(module, "__file__")


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _files_used_by(names: Iterable[str]) -> Iterator[Path]:
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if parent := name.rpartition(".")[0]:
            waiting.append(parent)  # importing a part runs the package
        place = _place(name)
        if place.file is None:
            continue
        yield place.file
        waiting += _imported(_imports_in(place.file.read_bytes()), place.package)
        waiting += _origins(sys.modules.get(name))


def _origins(loaded: ModuleType | None) -> Iterator[str]:
    """Yield the modules that a loaded module's names come from."""
    for value in list(vars(loaded).values()) if loaded else []:
        origin = value.__name__ if isinstance(value, ModuleType) else None
        origin = origin or getattr(value, "__module__", None)
        if isinstance(origin, str):
            yield origin


class _Import(NamedTuple):
    level: int
    module: str
    names: tuple[str, ...]


@lru_cache(maxsize=1024)
def _imports_in(text: bytes) -> tuple[_Import, ...]:
    try:
        return tuple(_imports_of(ast.parse(text)))
    except (SyntaxError, ValueError):  # nobody can import it; its bytes count all the same
        return ()


def _imports_of(tree: ast.AST) -> Iterator[_Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_Import(0, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield _Import(node.level, node.module or "", tuple(a.name for a in node.names))


def _imported(imports: Iterable[_Import], package: str) -> Iterator[str]:
    """Yield the names of modules, and what could be one, in the imports of a file.

    A constant does not tell where it comes from, and an import within a function has not been made.
    """
    for level, module, names in imports:
        if level and not package:
            continue
        try:
            origin = resolve_name("." * level + module, package)
        except ImportError:  # beyond the top: it fails when it is run
            continue
        yield origin
        yield from (f"{origin}.{name}" for name in names)


def _place(name: str) -> ModuleLocation:
    """Return where a module lies, without running it or the package that it is part of."""
    module = sys.modules.get(name)
    if module is None:
        return _place_of_unloaded(name)
    file, inside = getattr(module, "__file__", None), getattr(module, "__path__", ())
    package = getattr(module, "__package__", None)
    try:
        folders = tuple(inside)
    except Exception:  # some libraries put lazy objects into sys.modules
        folders = ()
    return ModuleLocation(_own(file), package if isinstance(package, str) else "", folders)


def _place_of_unloaded(name: str) -> ModuleLocation:
    parent, _, last = name.rpartition(".")
    search = list(_place(parent).inside) if parent else None
    if not last or search == []:
        return _NOWHERE
    # By its last name: a part of a namespace package would look for the package, loaded.
    spec = PathFinder.find_spec(last, search)
    if spec is None:
        return _NOWHERE
    inside = spec.submodule_search_locations
    package = name if inside is not None else parent
    return ModuleLocation(_own(spec.origin), package, tuple(inside or ()))


def _own(file: object) -> Path | None:
    path = _own_at(file) if isinstance(file, str) else None
    return path if path and path.is_file() else None


@lru_cache(maxsize=8192)  # most names of a module come from the same few hundred installed files
def _own_at(file: str) -> Path | None:
    # As they are named and where they lie: what is installed may be links, and lie behind some.
    paths = Path(file).absolute(), Path(file).resolve()
    if file.endswith(tuple(EXTENSION_SUFFIXES)):
        return None
    installed = any(path.is_relative_to(folder) for path in paths for folder in _not_own())
    return None if installed else paths[1]


@cache
def _not_own() -> tuple[Path, ...]:
    installed = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")]
    folders = [*installed, Path(optlab.__file__).parent]
    return tuple({*folders, *(folder.resolve() for folder in folders)})
