"""Check at the start that a curve's model can be called, and be differentiated by torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optlab.problems.curves.starts import VECTOR
from optlab.problems.problem import Parameters


def model_argument(parameters: Parameters) -> Any:
    """Return what a model gets as its parameters: their dict, or the vector alone."""
    return parameters[VECTOR] if list(parameters) == [VECTOR] else parameters


def check_model(model: Callable[..., Any], start: Parameters, X: Tensor, y: Tensor) -> None:
    """Require that a model takes the start and X, and that torch can differentiate its prediction.

    Raises
    ------
    ValueError
        For other arguments than ``(parameters, X)``, a name that the start does not have or that
        the prediction does not depend on, and whatever the model raises (numpy's functions do).
    """
    _check_arguments(model)
    with torch.inference_mode(False), torch.enable_grad():
        point = {name: value.to(y).clone().requires_grad_() for name, value in start.items()}
        try:
            output = model(model_argument(point), X)
        except Exception as error:
            raise ValueError(_failure(error, start, X)) from error
        if not isinstance(output, Tensor):
            return  # the problem says what it must be
        slopes: tuple[Tensor | None, ...] = (None,) * len(point)
        if output.requires_grad:
            slopes = torch.autograd.grad(output.sum(), [*point.values()], allow_unused=True)
    idle = [name for name, slope in zip(point, slopes, strict=True) if slope is None]
    if idle:
        raise ValueError(
            f"start has {', '.join(map(repr, idle))}, on which the model's prediction does not "
            "depend as far as torch can see: leave out what is not used, and compute by torch's "
            "functions alone"
        )


def _check_arguments(model: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(model)
    except (TypeError, ValueError):  # of functions written in C
        return
    try:
        signature.bind({}, None)
    except TypeError:
        raise ValueError(
            f"model must take (parameters, X), not {signature}: curve_fit's f(x, a, b) becomes "
            'lambda p, x: f(x, p["a"], p["b"]) with start={"a": 1.0, "b": 1.0}'
        ) from None


def _failure(error: Exception, start: Parameters, X: Tensor) -> str:
    """Return why a model could not be called at the start, and what to do."""
    named = list(start) != [VECTOR]
    if named and isinstance(error, KeyError) and error.args and error.args[0] not in start:
        hint = "" if isinstance(error.args[0], str) else "; give start as a vector for numbers"
        return (
            f"the model asks for the parameter {error.args[0]!r}, which start does not have: it "
            f"has {', '.join(start)}{hint}"
        )
    if "numpy() on Tensor" in str(error):
        return (
            "the model calls numpy, which torch cannot differentiate: write torch.exp for np.exp, "
            f"and so on ({error})"
        )
    if named:
        gets = f"a dict of {', '.join(start)}"
        other = "for a model of a vector give start=[1.0, ...]"
    else:
        gets = f"a vector of shape {tuple(start[VECTOR].shape)}"
        other = 'for a model of names give start={"a": 1.0, ...}'
    return (
        f"the model raised {type(error).__name__} at the start: {error}; it is called as "
        f"model(parameters, X), with {gets} and X of shape {tuple(X.shape)}; {other}"
    )
