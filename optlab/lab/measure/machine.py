"""A description of this machine and its libraries."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import torch

from optlab.lab.measure.devices import available_devices
from optlab.text import pluralize

_PACKAGES = ("optlab", "torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib")


def machine(threads: int | None = None, used: int | None = None) -> dict[str, str]:
    """Return the facts that decide speed and last digits: processor, libraries, devices.

    ``threads`` are those of trials that run alone, torch's present number where left out; ``used``
    those that each trial has where several run at once.

    Examples
    --------
    >>> sorted(machine())[:3]
    ['cores', 'device cpu', 'matplotlib']
    """
    found = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
    }
    found |= {package: _installed_version(package) for package in _PACKAGES}
    # Optional: its absence is a fact that readers of the results are told of.
    numba = "not installed" if find_spec("numba") is None else _installed_version("numba")
    found["numba"] = numba
    threads = threads or torch.get_num_threads()
    found["torch threads"] = str(threads)
    found |= {f"device {name}": what for name, what in available_devices().items()}
    found["device cpu"] = pluralize(threads, "thread")
    if used not in (None, threads):
        found["threads of a trial"] = str(used)
    return found


@cache
def _installed_version(package: str) -> str:
    # Kept, as the imported package keeps its version: each look parses the package's metadata.
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


_labels: list[str] = []


def keep_machine_label(label: str) -> None:
    """Take the label of another process of this machine: to find it can start CUDA."""
    _labels[:] = [label]


def machine_label() -> str:
    """Return this machine in a few words, to distinguish its trials from those of others.

    Examples
    --------
    >>> "torch" in machine_label()
    True
    """
    if _labels:
        return _labels[0]
    accelerators = [what for name, what in available_devices().items() if name != "cpu"]
    parts = [_processor(), f"{os.cpu_count()} cores", *dict.fromkeys(accelerators)]
    keep_machine_label(", ".join([*parts, f"torch {version('torch')}"]))
    return _labels[0]


def merged(machines: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Merge the facts of several machines: where they differ, all values are kept.

    Examples
    --------
    >>> merged([{"cores": "2", "python": "3.11"}, {"cores": "4", "python": "3.11"}])
    {'cores': '2; 4', 'python': '3.11'}
    """
    values: dict[str, dict[str, None]] = {}
    for facts in machines:
        for name, value in facts.items():
            values.setdefault(name, {})[value] = None
    return {name: "; ".join(known) for name, known in values.items()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):  # not Linux, or a processor without a model name
        return platform.processor() or platform.machine()
