"""The key of a trial: a hash of all that decides its outcome, so that no stale result is taken."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import optlab
from optlab.lab.keys.object_hash import object_hash
from optlab.lab.measure.machine import machine
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.optimizers import Optimizer, versions
from optlab.problems import Problem

_DECIDES = ("system", "processor", "python", "torch", "numpy", "scipy", "scikit-learn")


def trial_key(trial: Trial, problem: str, optimizer: str, budget: Budget, surroundings: str) -> str:
    """Return the key of a trial, from the fingerprints of its problem and its optimizer.

    Its number in the grid is no part of it: the same trial keeps its key in another grid.
    """
    parts = [asdict(trial) | {"number": None}, problem, optimizer, asdict(budget), surroundings]
    return _digest(json.dumps(parts, default=str).encode())


def problem_fingerprint(problem: Problem) -> str:
    """Return a hash of a problem's data, settings and class, helper code included."""
    return object_hash([problem.X, problem.y, problem])


def optimizer_fingerprint(optimizer: Optimizer) -> str:
    """Return a hash of an optimizer, of all that it holds, and of the versions it tells of."""
    return object_hash([optimizer, versions(optimizer)])


@cache
def surroundings(threads: int) -> str:
    """Return a hash of the machine, the versions, optlab's own source, and the thread count."""
    facts = {name: what for name, what in machine().items() if _decides(name)}
    own = Path(optlab.__file__).parent
    sources = [path.read_bytes() for path in sorted(own.rglob("*.py"))]
    return _digest(json.dumps([facts, threads]).encode(), *sources)


def _decides(fact: str) -> bool:
    # What is said of the processor as a device is how many threads this process has at the moment.
    return fact in _DECIDES or (fact.startswith("device ") and fact != "device cpu")


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.hexdigest()
