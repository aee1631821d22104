"""Derivatives of functions of one vector, by reverse mode alone.

Reverse mode runs in torch's C++; forward mode, whose rules are written in Python, takes two to four
times as long on curves of a few rows, and gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

_CHUNK_ELEMENTS = 1 << 24
"""Numbers of a matrix that are computed at once."""


def jacobian(function: Function, point: Tensor) -> Tensor:
    """Return the Jacobian ``(n, p)`` of a function ``(p,) -> (n,)``.

    ``v' J`` is linear in v, so its derivative by v is J: each column costs one pass backward
    through the pass backward, as in forward mode, not a pass for each row.

    Examples
    --------
    >>> jacobian(lambda x: x.square(), torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])

    References
    ----------
    Townsend, A new trick for calculating Jacobian vector products (2017).
    """
    with torch.enable_grad():
        at = point.detach().requires_grad_()
        values = function(at)
        v = torch.zeros_like(values, requires_grad=True)
        return _rows(_slope(values, at, v), v).T


def hessian(function: Function, point: Tensor) -> Tensor:
    """Return the Hessian ``(p, p)`` of a function ``(p,) -> ()``.

    Examples
    --------
    >>> hessian(lambda x: x[0] * x[1], torch.tensor([1.0, 2.0]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    with torch.enable_grad():
        at = point.detach().requires_grad_()
        return _rows(_slope(function(at), at), at)


def second_derivative(function: Function, point: Tensor, step: Tensor) -> Tensor:
    """Return the second derivative along a step, ``(n,)``, of a function ``(p,) -> (n,)``.

    Examples
    --------
    >>> second_derivative(lambda x: x**3, torch.tensor([1.0, 2.0]), torch.ones(2))
    tensor([ 6., 12.])
    """
    with torch.enable_grad():
        t = torch.zeros_like(point[:1], requires_grad=True)
        values = function(point.detach() + t * step.detach())
        v = torch.zeros_like(values, requires_grad=True)
        slope = _slope(values, t, v)
        if slope.requires_grad:
            slope = _slope(slope, t, torch.ones_like(slope))
        if not slope.requires_grad:
            return torch.zeros_like(values)
        return _slope(slope, v, torch.ones_like(slope)).detach()


def _slope(values: Tensor, at: Tensor, v: Tensor | None = None) -> Tensor:
    """Return ``v' dvalues/dat``, which can be differentiated again; zeros where it is constant."""
    if not values.requires_grad:
        return torch.zeros_like(at)
    options: Any = {"create_graph": True, "allow_unused": True, "materialize_grads": True}
    (slope,) = torch.autograd.grad(values, at, v, **options)
    return slope


def _rows(slope: Tensor, by: Tensor) -> Tensor:
    """Return the derivative of each entry of a slope, ``(p, len(by))``, some rows at a time."""
    if not slope.requires_grad:
        return slope.new_zeros(len(slope), len(by))
    identity = torch.eye(len(slope), dtype=slope.dtype, device=slope.device)
    options: Any = {"is_grads_batched": True, "allow_unused": True, "materialize_grads": True}
    rows = max(1, _CHUNK_ELEMENTS // len(by))
    parts = [
        torch.autograd.grad(slope, by, chunk, retain_graph=True, **options)[0]
        for chunk in identity.split(rows)
    ]
    return torch.cat(parts)
