"""The key of a trial: a hash of all that decides its outcome, so that no stale result is taken."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import asdict, fields, is_dataclass
from functools import cache, cached_property, partial
from importlib.machinery import PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import cloudpickle
import numpy as np
import torch

import optlab
from optlab.lab.budget import Budget
from optlab.lab.machine import machine
from optlab.lab.records import Trial
from optlab.optimizers import Optimizer, hyperparameters
from optlab.problems import Problem

_DECIDES = ("system", "processor", "python", "torch", "numpy", "scipy", "scikit-learn")


def trial_key(trial: Trial, problem: str, optimizer: str, budget: Budget, surroundings: str) -> str:
    """Return the key of a trial, from the fingerprints of its parts.

    Its number in the grid is no part of it: the same trial keeps its key in another grid.
    """
    parts = asdict(trial) | {"number": None, "problem": problem, "optimizer": optimizer}
    return _digest(json.dumps([parts, trial.optimizer, asdict(budget), surroundings], default=str))


def problem_fingerprint(problem: Problem) -> str:
    """Return a hash of a problem's data, settings and class source."""
    digest = hashlib.sha256()
    for tensor in (problem.X, problem.y):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data)
    cls = type(problem)
    settings = {
        name: value
        for name, value in vars(problem).items()
        # What is computed of the rest, and kept, decides nothing.
        if name not in {"X", "y"} and not isinstance(getattr(cls, name, None), cached_property)
    }
    for name in sorted(settings):
        digest.update(_digest(name, *_held_in(settings[name], set())).encode())
    digest.update(source_fingerprint(type(problem)).encode())
    return digest.hexdigest()


def optimizer_fingerprint(optimizer: Optimizer) -> str:
    """Return a hash of an optimizer's hyperparameters and source, helper code included.

    So are the sources of classes, functions and objects that it holds, and arrays to the last bit:
    tables say of them what `repr` does, which leaves most of a long array out.
    """
    settings = json.dumps(hyperparameters(optimizer), sort_keys=True)
    return _digest(settings, *_held_in(optimizer, set()))


def _held_in(value: object, seen: set[int]) -> Iterator[str | bytes]:
    """Yield what decides what a value does: numbers, arrays, sources, and all that it holds."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield repr(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, type):
        yield source_fingerprint(value)
    elif isinstance(value, FunctionType):
        yield source_fingerprint(value)
        yield value.__qualname__
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        yield from _held_in([cells, value.__defaults__, value.__kwdefaults__], seen)
    elif isinstance(value, MethodType):
        yield from _held_in([value.__func__, value.__self__], seen)
    elif isinstance(value, partial):
        yield from _held_in([value.func, value.args, value.keywords], seen)
    elif isinstance(value, np.ndarray | np.generic | torch.Tensor):
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        yield f"{array.dtype} {array.shape}"
        yield array.tobytes()
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield str(key)
            yield from _held_in(entry, seen)
    elif isinstance(value, Iterable) and isinstance(value, Sized):
        for entry in value:
            yield from _held_in(entry, seen)
    elif type(value).__module__ != "builtins":
        cls: Any = type(value)
        yield source_fingerprint(cls)
        slots = [name for base in cls.__mro__ for name in getattr(base, "__slots__", ())]
        names = [field.name for field in fields(cls)] if is_dataclass(cls) else slots
        own = {name: getattr(value, name, None) for name in names}
        yield from _held_in(own or getattr(value, "__dict__", {}), seen)


@cache
def surroundings(threads: int) -> str:
    """Return a hash of the machine, the versions, optlab's own source, and the thread count."""
    facts = {k: v for k, v in machine().items() if k in _DECIDES or k.startswith("device ")}
    own = Path(optlab.__file__).parent
    sources = [path.read_bytes() for path in sorted(own.rglob("*.py"))]
    return _digest(json.dumps([facts, threads]), *sources)


@cache
def source_fingerprint(cls: type[Any] | FunctionType) -> str:
    """Return a hash of the source of a class's (or function's) module and of the modules it uses.

    Caches that look at the class alone miss a change of the helper it calls; so the files of all
    modules that its module imports, anywhere in it, or that its names come from are read, and
    theirs, as far as they are neither the standard library's nor an installed package's. A class
    without a file (typed at a prompt) is hashed by what pickles it.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not Path(file).is_file():
        return _digest(cloudpickle.dumps(cls))
    files = {Path(file), *_files_used_by(module)}
    # In the order of what is in them: where they lie, and what that is called, decides nothing.
    return _digest(*sorted(path.read_bytes() for path in files))


def _files_used_by(module: ModuleType) -> Iterator[Path]:
    seen: set[str] = set()
    waiting = [module.__name__]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        loaded = sys.modules.get(name)
        file, package = _place(name, loaded)
        if file is None:
            continue
        yield file
        waiting += _imported_in(file, package)
        for value in list(vars(loaded).values()) if loaded else []:
            origin = value.__name__ if isinstance(value, ModuleType) else None
            origin = origin or getattr(value, "__module__", None)
            if isinstance(origin, str):
                waiting.append(origin)


def _imported_in(file: Path, package: str) -> Iterator[str]:
    """Yield the names of modules, and what could be one, in the imports of a file.

    A constant does not tell where it comes from, and an import within a function has not been made.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # nobody can import it; its bytes count all the same
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _place(name: str, loaded: ModuleType | None) -> tuple[Path | None, str]:
    """Return a module's file and package; no file for one that is not ours."""
    if loaded is not None:
        file, package = getattr(loaded, "__file__", None), loaded.__package__
    else:  # looking for a part of a package would run the package, which is not loaded
        spec = None if "." in name else PathFinder.find_spec(name)
        file, package = (spec.origin, spec.parent) if spec else (None, "")
    if not file or not str(file).endswith(".py") or not Path(file).is_file():
        return None, ""
    installed = {sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")}
    ours = not any(Path(file).is_relative_to(folder) for folder in installed)
    return Path(file) if ours else None, package or ""


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()
