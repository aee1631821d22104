"""A problem that records each evaluation of its loss and its derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optlab.problems import Batch, Parameters

_RECORDED = {
    "loss": "loss",
    "gradient": "gradient",
    "smooth_loss": "loss",
    "smooth_gradient": "gradient",
    "hessian_product": "product",
    "linear_predictor": "prediction",
}
"""The methods that are recorded, and the kind of evaluation that each is."""


@dataclass
class Call:
    """One evaluation.

    Parameters
    ----------
    kind
        ``"loss"``, ``"gradient"``, ``"product"``, ``"prediction"``, or ``"refused"``.
    rows
        The numbers of the rows; -1 for one that is not among the data.
    parameters
        Copies of the parameters at which it was made.
    leftover
        Names of the parameters whose ``.grad`` held numbers other than 0 when a loss was evaluated
        for a backward pass, which adds to it.
    differentiated
        Whether the loss's gradient was then asked for.
    """

    kind: str
    rows: list[int]
    parameters: Parameters
    leftover: list[str]
    differentiated: bool = False

    @property
    def is_gradient(self) -> bool:
        """Whether a gradient of these rows was computed."""
        return self.kind == "gradient" or self.differentiated


class EvaluationFailedError(RuntimeError):
    """Failure of an evaluation that was meant to fail."""


def recorded(problem: Any, fails_from: float = math.inf) -> tuple[Any, list[Call]]:
    """Return a copy of a linear model that records its evaluations, and the list of them.

    The copy is of a subclass, so that methods for this kind of problem take it. Evaluations inside
    others are not recorded. Once so many have been recorded, each raises EvaluationFailedError.
    """
    calls: list[Call] = []
    cls = type(problem)
    members = {
        name: _recording(cls, name, calls, fails_from) for name in _RECORDED if hasattr(cls, name)
    }
    copy: Any = object.__new__(type(f"Recorded{cls.__name__}", (cls,), members))
    copy.__dict__.update(problem.to("cpu", problem.X.dtype, copy=True).__dict__)
    return copy, calls


def _recording(cls: type, name: str, calls: list[Call], fails_from: float) -> Callable[..., Any]:
    method: Any = getattr(cls, name)
    kind = _RECORDED[name]

    def recording(self: Any, parameters: Parameters, *arguments: Any, **named: Any) -> Any:
        if self.__dict__.get("_inside"):
            return method(self, parameters, *arguments, **named)
        if len(calls) >= fails_from:
            calls.append(Call("refused", [], {}, []))
            raise EvaluationFailedError(f"evaluation {len(calls) + 1} fails")
        self.__dict__["_inside"] = True
        try:
            found = method(self, parameters, *arguments, **named)
        finally:
            self.__dict__["_inside"] = False
        rest = [*arguments, *named.values()]
        where = next((part for part in rest if isinstance(part, Batch)), None)
        X = where.X if where is not None else self.X
        if kind == "prediction" and rest and isinstance(rest[0], Tensor):
            X = rest[0]
        call = Call(kind, _numbers(self.X, X), _copied(parameters), _leftover(parameters))
        calls.append(call)
        if kind == "loss" and isinstance(found, Tensor) and found.requires_grad:
            found.register_hook(_noting(call))
        return found

    return recording


def _noting(call: Call) -> Callable[[Tensor], None]:
    def note(_: Tensor) -> None:
        call.differentiated = True

    return note


def _numbers(data: Tensor, X: Tensor) -> list[int]:
    """Return the numbers of rows of the data, which all differ."""
    same = (X.detach()[:, None, :] == data.to(X.dtype)[None]).all(-1)
    return [int(row.int().argmax()) if bool(row.any()) else -1 for row in same]


def _copied(parameters: Parameters) -> Parameters:
    return {name: value.detach().clone() for name, value in parameters.items()}


def _leftover(parameters: Parameters) -> list[str]:
    if not torch.is_grad_enabled():
        return []
    leaves = {k: v for k, v in parameters.items() if v.is_leaf and v.requires_grad}
    return [k for k, v in leaves.items() if v.grad is not None and bool(v.grad.any())]
