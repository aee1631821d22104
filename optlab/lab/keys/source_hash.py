"""Sources of modules: a person's own count by their content, installed ones by their version."""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import optlab


def source_hash(names: Iterable[str]) -> str:
    """Return a hash of the sources of modules and of all modules that these import.

    A person's own files count by their content alone: where they lie, and what that is called,
    decides nothing. Nothing is imported for it.
    """
    found: set[bytes] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if parent := name.rpartition(".")[0]:
            waiting.append(parent)  # importing a part runs the package
        file, package, _ = _locate(name)
        if file is None or not Path(file).is_file():
            continue
        if (whose := distribution(file)) is not None:
            found.add(whose.encode())
            continue
        text = Path(file).read_bytes()
        found.add(hashlib.sha256(text).digest())
        waiting += imported(text, package)
    return hashlib.sha256(b"\0".join(sorted(found))).hexdigest()


def imported(text: bytes, package: str, used: Collection[str] | None = None) -> list[str]:
    """Return the names of the modules that a file imports, and of attributes that may be modules.

    With ``used`` only the imports under these names, and those under names that the file uses
    nowhere (a star is such a name): they were made for what they do.
    """
    found = []
    for level, module, name, bound, is_used in _imports(text):
        if (level and not package) or not (used is None or bound in used or not is_used):
            continue
        try:
            origin = resolve_name("." * level + module, package)
        except ImportError:  # beyond the top: it fails when it is run
            continue
        found += [origin, f"{origin}.{name}"] if name else [origin]
    return found


class _Import(NamedTuple):
    level: int
    module: str
    name: str
    bound: str
    is_used: bool


@lru_cache(maxsize=1024)
def _imports(text: bytes) -> list[_Import]:
    """Return the imports of a file, each with its bound name and whether the file uses that."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):  # it cannot be imported; its bytes count all the same
        return []
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    found = []
    for node in nodes:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            bound = (alias.asname or alias.name).partition(".")[0]
            origin = (0, alias.name, "")
            if isinstance(node, ast.ImportFrom):
                origin = (node.level, node.module or "", alias.name)
            found.append(_Import(*origin, bound, bound in used))
    return found


def _locate(name: str) -> tuple[str | None, str, list[str]]:
    """Return a module's file, its package, and the folders of its submodules; run none of them."""
    module = sys.modules.get(name)
    if isinstance(module, ModuleType):  # its dictionary: to read an attribute can warn, or load
        file, package, inside = map(vars(module).get, ("__file__", "__package__", "__path__"))
        return file, package or "", list(inside or ())
    parent, _, last = name.rpartition(".")
    search = _locate(parent)[2] if parent else None
    # By its last name: a part of a namespace package would look for the package, loaded.
    spec = PathFinder.find_spec(last, search) if last and search != [] else None
    if spec is None:
        return None, "", []
    inside = spec.submodule_search_locations
    package = parent if inside is None else name
    return (spec.origin if spec.has_location else None), package, list(inside or ())


def owner(module: ModuleType) -> str | None:
    """Return the distribution of a module, as `distribution` does for a file."""
    name, file = module.__name__, vars(module).get("__file__")
    while file is None and "." in name:  # a part that the code of a package has made
        name = name.rpartition(".")[0]
        file = _locate(name)[0]
    if file is None:
        return None if vars(module).get("__spec__") is None else "Python"
    return distribution(file)


_OPTLAB = {Path(optlab.__file__).parent, Path(optlab.__file__).resolve().parent}
_STANDARD = Path(sysconfig.get_path("stdlib"))


@lru_cache(maxsize=8192)
def distribution(file: str) -> str | None:
    """Return the distribution of a file: optlab, Python, or an installed one with its version.

    None for a person's own, which is all that no distribution lists as installed: packages that are
    installed as editable too, and what was copied by hand into a folder of installed packages.
    """
    # As it is named and where it lies: what is installed may be links, and lie behind some.
    for path in (Path(file).absolute(), Path(file).resolve()) if Path(file).is_file() else ():
        for folder in path.parents:
            if folder in _OPTLAB:
                return "optlab"
            if found := _listed_in(folder, path.relative_to(folder)):
                return found
            if folder in {_STANDARD, _STANDARD.resolve()} and "site-packages" not in path.parts:
                return "Python"
    return None


def _listed_in(folder: Path, path: Path) -> str | None:
    """Return the distribution, installed into a folder, that lists a path in it."""
    top = path.parts[0].removesuffix(".py")
    # First that of the same name: it is the right one nearly always.
    for metadata in sorted(_metadata(folder), key=lambda name: not name.startswith(top)):
        listed = _files(folder / metadata)
        if f"\n{path.as_posix()}," in listed or f"\n{top}\n" in listed:
            return metadata.rpartition(".")[0]
    return None


@cache
def _metadata(folder: Path) -> list[str]:
    """Return the names of the metadata of distributions in a folder, as ``numpy-2.4.6.dist-info``.

    The root of a person's own project has ``.egg-info`` too: that counts in known places only.
    """
    kinds = {".dist-info"} | ({".egg-info"} if folder.name.endswith("-packages") else set())
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix in kinds)
    except OSError:
        return []


@cache
def _files(metadata: Path) -> str:
    """Return the files of a distribution, a line each; where there is no such list, its modules."""
    for name in ("RECORD", "top_level.txt"):
        if (metadata / name).is_file():
            text = (metadata / name).read_text(encoding="utf-8", errors="replace")
            return f"\n{text}\n"
    return f"\n{metadata.name.partition('-')[0]}\n"
