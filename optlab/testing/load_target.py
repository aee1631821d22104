"""Load the optimizers that a text names: ``MODULE:OBJECT``, ``FILE.py:OBJECT``, or a name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch

from optlab.checks import did_you_mean
from optlab.optimizers import Optimizer
from optlab.optimizers.adapters.torch_methods import torch_method
from optlab.optimizers.optimizer_registry import registry
from optlab.testing.as_optimizer import as_optimizer
from optlab.testing.conformance.spelling import FILE_PREFIX


def load_target(target: str) -> dict[str, Optimizer]:
    """Return the optimizers that a text names, by labels.

    Parameters
    ----------
    target
        ``"package.module:object"``, ``"folder/file.py:object"``, or the name of a registered
        optimizer. The object is whatever `optlab.testing.check_optimizer` takes, or a list or a
        dict of such.

    Raises
    ------
    ValueError
        Where it cannot be loaded, or is no optimizer.

    Examples
    --------
    >>> load_target("optlab:SGD")
    {'optlab:SGD': SGD(learning_rate=0.001)}
    """
    return {label: as_optimizer(found) for label, found in _objects(target).items()}


def load_classes(target: str) -> dict[str, Any]:
    """Return what a text names, by labels: a class of optimizers as it is, else an optimizer.

    Of a class several settings can be made. One of `torch.optim` becomes a class with torch's
    arguments as fields.

    Parameters
    ----------
    target
        As in `load_target`.

    Raises
    ------
    ValueError
        Where it cannot be loaded, or is no optimizer.

    Examples
    --------
    >>> load_classes("adam")["adam"].__name__
    'Adam'
    """
    return {label: _class_or_optimizer(found) for label, found in _objects(target).items()}


def _class_or_optimizer(found: Any) -> Any:
    if isinstance(found, str):
        return registry.get(found)
    is_torch = isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
    if is_torch:
        return torch_method(found)
    is_class = isinstance(found, type) and callable(getattr(found, "iterates", None))
    return found if is_class else as_optimizer(found)


def _objects(target: str) -> dict[str, Any]:
    """Return the objects that a text names as they are, by labels."""
    if ":" not in target:
        return {target: _registered(target)}
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise ValueError(f"{target!r} must be MODULE:OBJECT or FILE.py:OBJECT")
    found = _loaded(place, name)
    if isinstance(found, Mapping):
        return {f"{target}[{key!r}]": value for key, value in found.items()}
    if isinstance(found, list | tuple):
        return {f"{target}[{i}]": value for i, value in enumerate(found)}
    return {target: found}


def _registered(name: str) -> Any:
    if name.endswith(".py"):
        there = ", ".join(f"{name}:{own}" for own in _own_names(_file(Path(name))))
        raise ValueError(
            f"{name} is a file: say which of its objects" + f", of {there}" * bool(there)
        )
    try:
        return registry.get(name)
    except ValueError as error:
        raise ValueError(f"{error}; one of your own is FILE.py:OBJECT or MODULE:OBJECT") from None


def _own_names(module: ModuleType) -> list[str]:
    """Return the public names of a module that may be optimizers of its own."""

    def may_be_one(value: Any) -> bool:
        if isinstance(value, type | FunctionType):
            return value.__module__ == module.__name__
        return isinstance(value, list | dict | partial) or hasattr(value, "iterates")

    return [k for k, value in vars(module).items() if not k.startswith("_") and may_be_one(value)]


def _loaded(place: str, name: str) -> Any:
    """Return an object of a module or a file."""
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            hint, own = did_you_mean(name, dir(module)), ", ".join(_own_names(module))
            there = f"it has {own}" if own else ""
            raise ValueError(f"{place} has no {name}: {hint}{there}".rstrip(": "))
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    # As `python -m` does it: what lies in the working folder can be imported.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:  # a person's own code: whatever it raises
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    path = path.resolve()
    name = f"{FILE_PREFIX}{path.stem}"
    if name in sys.modules and getattr(sys.modules[name], "__file__", "") == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # as above
        del sys.modules[name]
        raise ValueError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return module
