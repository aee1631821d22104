"""The key of a trial: a hash of all that decides its outcome, so that no stale result is taken."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

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
    settings = {k: v for k, v in vars(problem).items() if isinstance(v, bool | int | float | str)}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    digest.update(source_fingerprint(type(problem)).encode())
    return digest.hexdigest()


def optimizer_fingerprint(optimizer: Optimizer) -> str:
    """Return a hash of an optimizer's hyperparameters and source, helper code included."""
    settings = json.dumps(hyperparameters(optimizer), sort_keys=True)
    return _digest(settings + source_fingerprint(type(optimizer)))


@cache
def surroundings(threads: int) -> str:
    """Return a hash of the machine, the versions, optlab's own source, and the thread count."""
    facts = {k: v for k, v in machine().items() if k in _DECIDES or k.startswith("device ")}
    own = Path(optlab.__file__).parent
    sources = [path.read_bytes() for path in sorted(own.rglob("*.py"))]
    return _digest(json.dumps([facts, threads]), *sources)


@cache
def source_fingerprint(cls: type[Any]) -> str:
    """Return a hash of the source of a class's module and of the modules it uses.

    Caches that look at the class alone miss a change of the helper it calls; so the files of all
    modules that its module's names come from are read, and theirs, as far as they are neither the
    standard library's nor an installed package's. A class without a file (typed at a prompt) is
    hashed by what pickles it.
    """
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not Path(file).is_file():
        return _digest(cloudpickle.dumps(cls))
    files = {Path(file), *_files_used_by(module)}
    return _digest(*(path.read_bytes() for path in sorted(files)))


def _files_used_by(module: ModuleType) -> Iterator[Path]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        current = waiting.pop()
        if current.__name__ in seen or not _is_ours(current):
            continue
        seen.add(current.__name__)
        yield Path(str(current.__file__))
        for value in list(vars(current).values()):
            name = value.__name__ if isinstance(value, ModuleType) else None
            name = name or getattr(value, "__module__", None)
            if isinstance(name, str) and name in sys.modules:
                waiting.append(sys.modules[name])


def _is_ours(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if not file or not str(file).endswith(".py"):
        return False
    installed = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return not any(Path(file).is_relative_to(folder) for folder in installed)


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()
