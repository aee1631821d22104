"""The registry of optimizers by name: those of optlab and of other packages."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any

ENTRY_POINT_GROUP = "optlab.optimizers"

_BUILT_IN = {
    "manual-sgd": "optlab.optimizers.manual_sgd:ManualSGD",
    "analytic-sgd": "optlab.optimizers.analytic_sgd:AnalyticSGD",
    "fused-sgd": "optlab.optimizers.fused.fused_sgd:FusedSGD",
    "torch-sgd": "optlab.optimizers.torch_sgd:TorchSGD",
    "lstsq": "optlab.optimizers.lstsq:Lstsq",
    "refined-lstsq": "optlab.optimizers.refined_lstsq:RefinedLstsq",
    "streaming-lstsq": "optlab.optimizers.streaming_lstsq:StreamingLstsq",
    "normal-equations": "optlab.optimizers.normal_equations:NormalEquations",
    "qr": "optlab.optimizers.qr:QR",
    "sklearn": "optlab.optimizers.sklearn_linear_regression:SklearnLinearRegression",
}

_registered: dict[str, type[Any]] = {}


@cache
def _known() -> dict[str, str]:
    plugins = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    # Ours win: installing a package must not change what a name of the lab means.
    return plugins | _BUILT_IN


def names() -> list[str]:
    """Return the names of all registered optimizers; nothing is imported for it."""
    return [*_BUILT_IN, *(name for name in sorted(_known()) if name not in _BUILT_IN), *_registered]


def register(name: str, cls: type[Any]) -> None:
    """Add an optimizer class to the registry of this process.

    A package registers its optimizers for good by entry points of the group
    ``optlab.optimizers``: ``name = "module:Class"``.

    Raises
    ------
    ValueError
        For a name that is taken.
    """
    if name in _known() or _registered.get(name, cls) is not cls:
        raise ValueError(f"the optimizer name {name!r} is taken")
    _registered[name] = cls


def get(name: str) -> type[Any]:
    """Return an optimizer class by name.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> from optlab.optimizers import registry
    >>> registry.get("lstsq")()
    Lstsq(driver=None)
    """
    if name in _registered:
        return _registered[name]
    if name not in _known():
        plain = {known.replace("-", ""): known for known in names()}
        near = difflib.get_close_matches(name.lower().replace("-", ""), plain, n=1)
        hint = f"did you mean {plain[near[0]]!r}? " if near else ""
        raise ValueError(f"unknown optimizer {name!r}: {hint}there are {', '.join(names())}")
    return _loaded(name, _known()[name])


def _loaded(name: str, place: str) -> type[Any]:
    module, _, qualified_name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualified_name.split("."):
            found = getattr(found, part)
    except Exception as error:  # another package's code: whatever it raises is its own matter
        problem = f"{type(error).__name__}: {error}"
        raise ValueError(f"optimizer {name!r} ({place}) cannot be loaded: {problem}") from error
    if not isinstance(found, type):
        raise ValueError(f"optimizer {name!r} ({place}) is no class, but {found!r}")
    return found


def classes() -> Iterator[tuple[str, type[Any]]]:
    """Yield every registered optimizer's name and class."""
    for name in names():
        yield name, get(name)
