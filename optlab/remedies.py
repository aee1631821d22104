"""Say what makes a problem or an optimizer of an object that is neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def remedy(given: object) -> str:
    """Return the call that makes a problem or an optimizer of an object; empty for most.

    Examples
    --------
    >>> remedy(torch.optim.Adam)
    'ol.TorchOptimizer(torch.optim.Adam, lr=...) makes an optimizer of it'
    >>> remedy(torch.nn.Linear(3, 1))
    'ol.ModuleProblem(module, loss, X, y) makes a problem of it'
    """
    cls = given if isinstance(given, type) else type(given)
    for applies, sentence in _REMEDIES:
        if applies(cls):
            return sentence(given)
    return ""


def _of_torch(given: Any) -> str:
    cls, rate = (given, "...") if isinstance(given, type) else (type(given), given.defaults["lr"])
    place = f"torch.optim.{cls.__name__}" if hasattr(torch.optim, cls.__name__) else cls.__name__
    return f"ol.TorchOptimizer({place}, lr={rate}) makes an optimizer of it"


def _of_sklearn(given: Any) -> str:
    name = given.__name__ if isinstance(given, type) else type(given).__name__
    if name == "LinearRegression":
        return "it is scikit-learn's: ol.SklearnLinearRegression() is an optimizer that calls it"
    return f"ol.SklearnEstimator({name}(...)) makes an optimizer of it"


_SCHEDULER = (
    "a scheduler goes with its optimizer, as in ol.TorchOptimizer(torch.optim.SGD, lr=0.1, "
    "scheduler=lambda optimizer: StepLR(optimizer, 30))"
)
_MODULE = "ol.ModuleProblem(module, loss, X, y) makes a problem of it"
_DATASET = "ol.LinearRegression.from_dataset(dataset.standardized()) makes a problem of it"
_FRAME = (
    "ol.datasets.from_pandas(frame, target=...) makes a dataset of it, and "
    "ol.LinearRegression.from_dataset(dataset.standardized()) a problem of that"
)
_ARRAY = "ol.LinearRegression(X, y) makes a problem of arrays"
_SCHEDULE = "a schedule takes the place of a learning rate, as in ol.SGD(schedule)"


def _is(*names: str) -> Callable[[type], bool]:
    """Return whether a class is one of these, by package and name: the package is not imported."""
    return lambda cls: f"{cls.__module__.partition('.')[0]}.{cls.__name__}" in names


_is_array = _is("numpy.ndarray", "torch.Tensor", "pandas.Series")

_REMEDIES: tuple[tuple[Callable[[type], bool], Callable[[Any], str]], ...] = (
    (lambda cls: issubclass(cls, torch.optim.Optimizer), _of_torch),
    (lambda cls: issubclass(cls, torch.optim.lr_scheduler.LRScheduler), lambda _: _SCHEDULER),
    (lambda cls: issubclass(cls, torch.nn.Module), lambda _: _MODULE),
    (_is("optlab.Dataset"), lambda _: _DATASET),
    (_is("pandas.DataFrame"), lambda _: _FRAME),
    (lambda cls: cls.__module__.startswith("sklearn."), _of_sklearn),
    (lambda cls: _is_array(cls) or hasattr(cls, "toarray"), lambda _: _ARRAY),
    (lambda cls: cls.__module__ == "optlab.optimizers.schedules", lambda _: _SCHEDULE),
)
"""Kinds of objects, and the sentence for each."""
