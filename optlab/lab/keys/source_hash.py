"""Sources of modules: a person's own count by their content, installed ones by their version."""

from __future__ import annotations

import ast
import dis
import hashlib
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import optlab


class Import(NamedTuple):
    """An import statement: how many dots, of which module, which names (none for ``import m``)."""

    level: int
    module: str
    names: tuple[str, ...] = ()

    def targets(self, package: str) -> list[str]:
        """Return the names of the module, and of what could be modules, that it imports."""
        if self.level and not package:
            return []
        try:
            origin = resolve_name("." * self.level + self.module, package)
        except ImportError:  # beyond the top: it fails when it is run
            return []
        return [origin, *(f"{origin}.{name}" for name in self.names)]


class ModuleLocation(NamedTuple):
    """Where a module's source lies: its file, its package, the folders of its submodules."""

    file: str | None
    package: str
    inside: tuple[str, ...]


def source_hash(names: Iterable[str]) -> str:
    """Return a hash of the sources of modules and of all modules that these import.

    Files of a person's own count by their content alone: where they lie, and what that is called,
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
        place = locate(name)
        if place.file is None or not Path(place.file).is_file():
            continue
        if (whose := distribution(place.file)) is not None:
            found.add(whose.encode())
            continue
        text = Path(place.file).read_bytes()
        found.add(hashlib.sha256(text).digest())
        waiting += [target for i, _ in _imports(text) for target in i.targets(place.package)]
    return hashlib.sha256(b"\0".join(sorted(found))).hexdigest()


def owner(module: ModuleType) -> str | None:
    """Return whose a module is, as `distribution` tells it of a file."""
    name, file = module.__name__, vars(module).get("__file__")
    while file is None and "." in name:
        name = name.rpartition(".")[0]  # a part of a package that the package's code has made
        file = locate(name).file
    if isinstance(file, str):
        return distribution(file)
    return None if vars(module).get("__spec__") is None else "Python"


def used_by(code: CodeType) -> tuple[set[str], frozenset[str], list[Import]]:
    """Return the globals that a function's code uses, all names in it, and the imports within it."""
    used, names, imports = set(), {*code.co_names}, []
    steps = list(dis.get_instructions(code))
    for place, step in enumerate(steps):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            used.add(step.argval)
        elif step.opname == "IMPORT_NAME":  # the number of dots and the names come before it
            level, listed = steps[place - 2].argval, steps[place - 1].argval
            imports.append(Import(level, step.argval, listed or ()))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            its_used, its_names, its_imports = used_by(inner)
            used |= its_used
            names |= its_names
            imports += its_imports
    return used, frozenset(names), imports


def imports_for_effect(text: bytes) -> list[Import]:
    """Return the imports of a file whose names it does not use: they were made for what they do."""
    return [found for found, used in _imports(text) if not used]


@lru_cache(maxsize=1024)
def _imports(text: bytes) -> tuple[tuple[Import, bool], ...]:
    """Return each import of a file, and whether the name it gives is used in the file."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):  # nobody can import it; its bytes count all the same
        return ()
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return tuple(
        (found, (alias.asname or alias.name).partition(".")[0] in used)
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for found in [
            Import(0, alias.name)
            if isinstance(node, ast.Import)
            else Import(node.level, node.module or "", (alias.name,))
        ]
    )


def locate(name: str) -> ModuleLocation:
    """Return where a module lies, without running it or the package that it is part of."""
    module = sys.modules.get(name)
    if module is not None:  # its own dictionary: to read an attribute can warn, or load more
        file, package, inside = (
            vars(module).get(k) for k in ("__file__", "__package__", "__path__")
        )
        return ModuleLocation(
            file if isinstance(file, str) else None,
            package if isinstance(package, str) else "",
            tuple(inside) if isinstance(inside, Iterable) else (),
        )
    parent, _, last = name.rpartition(".")
    search = list(locate(parent).inside) if parent else None
    # By its last name: a part of a namespace package would look for the package, loaded.
    spec = PathFinder.find_spec(last, search) if last and search != [] else None
    if spec is None:
        return ModuleLocation(None, "", ())
    inside = spec.submodule_search_locations
    package = name if inside is not None else parent
    return ModuleLocation(spec.origin if spec.has_location else None, package, tuple(inside or ()))


@lru_cache(maxsize=8192)
def distribution(file: str) -> str | None:
    """Return whose a file is: optlab's, Python's, or an installed distribution's, with its version.

    None for a person's own, and that is all that nobody else lays claim to: also what was copied
    by hand into a folder of installed packages, and packages that are installed as editable.
    """
    if not Path(file).is_file():  # code typed at a prompt, or made by other code
        return None
    library = Path(sysconfig.get_path("stdlib"))
    # As it is named and where it lies: what is installed may be links, and lie behind some.
    for path in (Path(file).absolute(), Path(file).resolve()):
        for own in (Path(optlab.__file__).parent, Path(optlab.__file__).resolve().parent):
            if path.is_relative_to(own):
                return "optlab"
        for folder in path.parents:
            if found := _claimed(folder, path.relative_to(folder)):
                return found
        for standard in (library, library.resolve()):
            if path.is_relative_to(standard) and "site-packages" not in path.parts:
                return "Python"
    return None


def _claimed(folder: Path, path: Path) -> str | None:
    """Return the distribution, installed into a folder, that lists a path in it."""
    top = path.parts[0].partition(".")[0].lower()
    # First that of the same name: it is the right one nearly always.
    for name in sorted(_distributions(folder), key=lambda name: not name.lower().startswith(top)):
        listed = _listed(folder / name)
        if f"\n{path.as_posix()}," in listed or f"\n{path.parts[0].removesuffix('.py')}\n" in listed:
            return name.rpartition(".")[0]
    return None


@cache
def _distributions(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders of metadata in a folder, such as ``numpy-2.4.6.dist-info``.

    A person's own project has ``.egg-info`` in its root too, so that counts in known places only.
    """
    kinds = (".dist-info", ".egg-info")[: 1 + (folder.name in {"site-packages", "dist-packages"})]
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if path.suffix in kinds))
    except OSError:
        return ()


@cache
def _listed(metadata: Path) -> str:
    """Return the files of a distribution, a line each; without such a list, its modules."""
    for name in ("RECORD", "top_level.txt"):
        if (metadata / name).is_file():
            text = (metadata / name).read_text(encoding="utf-8", errors="replace")
            return "\n" + text.replace("\r\n", "\n") + "\n"
    return "\n" + metadata.name.partition("-")[0] + "\n"
