"""Require that an object is an optimizer, or say what makes one of it."""

from __future__ import annotations

from typing import Any

from optlab.checks import did_you_mean
from optlab.optimizers.optimizer import Optimizer
from optlab.optimizers.optimizer_registry import registry
from optlab.problems import Problem
from optlab.remedies import remedy


def require_optimizer(given: Any) -> None:
    """Require an optimizer.

    Raises
    ------
    ValueError
        For anything else, with the call that makes an optimizer of it where there is one.

    Examples
    --------
    >>> import torch
    >>> require_optimizer(torch.optim.Adam)
    Traceback (most recent call last):
    ...
    ValueError: the class Adam is no optimizer: ol.TorchOptimizer(torch.optim.Adam, lr=...) makes \
an optimizer of it
    """
    if isinstance(given, type):
        raise ValueError(f"the class {given.__name__} is no optimizer: {_of_class(given)}")
    if isinstance(given, Optimizer):
        return
    if isinstance(given, str):
        raise ValueError(f"{given!r} is no optimizer, but a name: {_of_name(given)}")
    kind = type(given).__name__
    if isinstance(given, Problem):
        raise ValueError(
            f"{kind} is no optimizer, but a problem: optimizers come second, as in "
            "compare(problem, [optimizer])"
        )
    if isinstance(given, list | tuple):
        raise ValueError(f"a {kind} is no optimizer: optimizers are given one by one or as a list")
    if own := remedy(given):
        raise ValueError(f"{kind} is no optimizer: {own}")
    written = "; README.md shows how to write one" if callable(given) else ""
    raise ValueError(
        f"{kind} is no optimizer: it needs `uses_batches` and "
        f"`iterates(problem, batches, start)`{written}"
    )


def _of_class(cls: type) -> str:
    if own := remedy(cls):
        return own
    prefix = "ol." if cls.__module__.partition(".")[0] == "optlab" else ""
    return f"did you mean an object of it, such as {prefix}{cls.__name__}()?"


def _of_name(name: str) -> str:
    if name in registry.names():
        return f"ol.{registry.get(name).__name__}() is one"
    from optlab.optimizers.adapters.scipy_minimize import METHODS  # noqa: PLC0415 - it loads scipy

    if name in METHODS:
        return f"ol.ScipyMinimize({name!r}) is one"
    hint = did_you_mean(name, registry.names())
    return f"{hint}optimizers are objects, such as ol.SGD(0.1)"
