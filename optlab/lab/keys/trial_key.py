"""The key of a trial: a hash of all that decides its numbers, so that no stale result is taken."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import optlab
from optlab.lab.keys.object_hash import object_hash
from optlab.lab.measure.machine import machine
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.optimizers import Optimizer, versions

DECIDING_CODE = (
    "linalg", "problems", "optimizers", "theory", "lab/trial", "lab/measure", "checks.py",
)  # fmt: skip
"""The folders and files of optlab that decide numbers; a change of any other leaves all keys."""

_PACKAGE = Path(optlab.__file__).parent

_DECIDING_FACTS = ("system", "processor", "python", "torch", "numpy", "scipy", "scikit-learn")


def trial_key(trial: Trial, problem: str, optimizer: str, budget: Budget, surroundings: str) -> str:
    """Return the key of a trial, from the fingerprints of its problem and its optimizer.

    Its number in the grid is no part of it, nor the number of its setting: the same trial keeps its
    key in another grid or search.
    """
    own = asdict(trial) | {"number": None, "setting": None}
    parts = [own, problem, optimizer, asdict(budget), surroundings]
    return _digest(json.dumps(parts, default=str).encode())


def optimizer_fingerprint(optimizer: Optimizer) -> str:
    """Return a hash of an optimizer and the versions it names; raise as `object_hash` does."""
    return object_hash([optimizer, versions(optimizer)])


def surroundings(threads: int) -> str:
    """Return a hash of the machine, the versions, torch's settings, optlab's code, and threads.

    The threads are those that a trial may use when nothing runs beside it. What ``--jobs`` leaves
    it of them is written down, and is no part of the key.
    """
    facts = {name: what for name, what in machine().items() if _decides(name)}
    said = json.dumps([facts, threads, TorchSettings.current()], default=str)
    return _digest(said.encode(), json.dumps(deciding_code()).encode())


@cache
def deciding_code(package: Path = _PACKAGE) -> dict[str, str]:
    """Return a hash of each file that decides numbers, by its path in the package."""
    files: list[Path] = []
    for name in DECIDING_CODE:
        files += [package / name] if name.endswith(".py") else (package / name).rglob("*.py")
    return {
        file.relative_to(package).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(files)
    }


def _decides(fact: str) -> bool:
    # What is said of the processor as a device is how many threads this process has at the moment.
    return fact in _DECIDING_FACTS or (fact.startswith("device ") and fact != "device cpu")


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d " % len(part))
        digest.update(part)
    return digest.hexdigest()
