"""Turn classes, factories and estimators of other packages into optimizers of the lab."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import torch

from optlab.optimizers import Optimizer
from optlab.optimizers.adapters.sklearn_estimator import SklearnEstimator
from optlab.optimizers.adapters.torch_optimizer import TorchOptimizer
from optlab.optimizers.optimizer_registry import registry
from optlab.optimizers.sklearn_linear_regression import SklearnLinearRegression


def as_optimizer(given: Any) -> Optimizer:
    """Return an optimizer of the lab for what stands for one.

    Parameters
    ----------
    given
        An optimizer, or its class where it is made without arguments; a class of `torch.optim`, an
        optimizer of torch, or a function of parameters that makes one (``functools.partial(Adam,
        lr=0.1)``); a linear estimator of scikit-learn; the name of a registered optimizer.

    Returns
    -------
    Optimizer
        One that an experiment takes.

    Raises
    ------
    ValueError
        For anything else, and for a class that needs arguments.

    See Also
    --------
    check_optimizer : Takes the same.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> as_optimizer(partial(torch.optim.SGD, lr=0.1)).options["lr"]
    0.1
    >>> as_optimizer("lstsq")
    Lstsq(driver=None)
    """
    if isinstance(given, str):
        return as_optimizer(registry.get(given))
    if isinstance(given, type) and issubclass(given, torch.optim.Optimizer):
        return _of_torch(given, {})
    if isinstance(given, torch.optim.Optimizer):
        return _remade(given)
    if isinstance(given, type):
        return as_optimizer(_made(given))
    if callable(getattr(given, "iterates", None)):
        optimizer: Optimizer = given
        return optimizer
    if type(given).__module__.partition(".")[0] == "sklearn":
        plain = type(given).__name__ == "LinearRegression"
        return SklearnLinearRegression() if plain else SklearnEstimator(given)
    if isinstance(given, functools.partial) and isinstance(given.func, type) and not given.args:
        if issubclass(given.func, torch.optim.Optimizer):
            return _of_torch(given.func, given.keywords)
        return as_optimizer(given())
    if callable(given):
        return _of_factory(given)
    raise ValueError(
        f"{given!r} is no optimizer: it has no iterates(problem, batches, start), and is neither "
        "an optimizer of torch nor a linear estimator of scikit-learn"
    )


def _made(cls: type) -> Any:
    try:
        return cls()
    except TypeError as error:
        raise ValueError(f"{cls.__name__} is not made without arguments ({error}): give an object"
                         ) from None  # fmt: skip


def _of_torch(cls: type[torch.optim.Optimizer], options: dict[str, Any]) -> TorchOptimizer:
    return TorchOptimizer(cls, **options)


def _of_factory(make: Any) -> Optimizer:
    """Return what a function makes: an optimizer of the lab, or of torch for given parameters."""
    name = getattr(make, "__qualname__", repr(make))
    try:
        required = [
            p
            for p in inspect.signature(make).parameters.values()
            if p.default is p.empty and p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}
        ]
        made = make([torch.zeros(1, requires_grad=True)]) if required else make()
    except Exception as error:
        raise ValueError(
            f"{name} must make an optimizer, of no arguments or of the parameters; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if isinstance(made, torch.optim.Optimizer):
        return _remade(made)
    if callable(getattr(made, "iterates", None)):
        optimizer: Optimizer = made
        return optimizer
    raise ValueError(f"{name} returned {made!r}, which is no optimizer")


def _remade(made: torch.optim.Optimizer) -> TorchOptimizer:
    """Return the adapter of an object of torch: its class, with its settings."""
    taken = inspect.signature(type(made)).parameters
    return _of_torch(type(made), {k: v for k, v in made.defaults.items() if k in taken})
