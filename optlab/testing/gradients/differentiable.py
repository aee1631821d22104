"""A loss to differentiate: that of a problem, or a function of parameters with or without data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from optlab.problems.capabilities import HasBuffers, HasGradient, has, is_smooth
from optlab.problems.problem import Batch, Parameters, Problem, problem_dtype

VECTOR = "parameters"
"""Name of the one parameter of a function of a tensor."""


class DetachedError(Exception):
    """Error for a loss that autograd cannot trace back to the parameters."""


@dataclass(frozen=True)
class Differentiable:
    """A loss in one dtype on the CPU, with its gradient in closed form where there is one.

    Parameters
    ----------
    name
        The name in messages.
    of
        The problem, or the function of parameters (and of a batch where there are data).
    closed
        The gradient as a function of the same, or None.
    data
        All rows, or None.
    given
        A point: the parameters of a function, or None for a problem, which draws its starts.
    dtype
        The dtype of parameters and data.
    """

    name: str
    of: Any
    closed: Callable[..., Any] | None
    data: Batch | None
    given: Any
    dtype: torch.dtype

    @cached_property
    def problem(self) -> Problem | None:
        """The problem, or None for a function."""
        return self.of if self.given is None else None

    @property
    def is_smooth(self) -> bool:
        """Whether there are no kinks, as far as the problem says."""
        return is_smooth(self.problem)

    def in_dtype(self, dtype: torch.dtype) -> Differentiable:
        """Return the same loss in another dtype, over a copy of the data."""
        if self.problem is not None:
            own = getattr(self.closed, "__self__", None) is self.problem
            moved = self.problem.to("cpu", dtype, copy=True)
            return differentiable(moved, gradient=None if own else self.closed, dtype=dtype)
        return replace(
            self, data=None if self.data is None else converted(self.data, dtype), dtype=dtype
        )

    @cached_property
    def _buffers(self) -> Parameters:
        problem = self.problem
        return problem.buffers() if problem is not None and has(problem, HasBuffers) else {}

    @cached_property
    def is_random(self) -> bool:
        """Whether the loss draws random numbers of its own, as with dropout."""
        problem = self.problem
        if problem is None or not has(problem, HasBuffers):
            return False
        start = problem.begin(torch.Generator().manual_seed(0))
        with torch.no_grad():
            return bool(problem.loss(start) != problem.loss(start))

    @cached_property
    def has_steady_loss(self) -> bool:
        """Whether the loss is a function of the parameters alone: no buffers, nothing random."""
        return not (self.is_random or self._buffers)

    @cached_property
    def has_separate_rows(self) -> bool:
        """Whether there are rows, and a batch's loss is a mean over them: not with batch norm."""
        if self.data is None or len(self.data.y) < 2:
            return False
        return not self._buffers

    def start(self, seed: int) -> Parameters:
        """Return the point given, or the start that the problem draws from a seed."""
        if self.problem is not None:
            return self.problem.start(torch.Generator().manual_seed(seed))
        given = self.given if isinstance(self.given, dict) else {VECTOR: self.given}
        return {k: v.detach().to("cpu", self.dtype, copy=True) for k, v in given.items()}

    def _argument(self, point: Parameters) -> Any:
        return point if self.given is None or isinstance(self.given, dict) else point[VECTOR]

    def _call(self, function: Callable[..., Any], point: Parameters, rows: Batch | None) -> Any:
        if not self.has_steady_loss:
            # The same buffers and the same random stream for each call.
            self.problem.begin(torch.Generator().manual_seed(0))  # type: ignore[union-attr]  # it has buffers
        if self.data is None:
            return function(self._argument(point))
        if self.problem is None and rows is None:
            rows = self.data
        return function(self._argument(point), rows)

    def loss(self, point: Parameters, rows: Batch | None = None) -> Any:
        """Return what the loss returns at a point, over some rows (all where none are given)."""
        return self._call(self.of if self.problem is None else self.problem.loss, point, rows)

    def value(self, point: Parameters, rows: Batch | None = None) -> float:
        """Return the loss as a number."""
        with torch.no_grad():
            return float(self.loss(point, rows))

    def closed_form(self, point: Parameters, rows: Batch | None = None) -> Any:
        """Return the gradient in closed form, as it is given: a dict, even for one tensor."""
        assert self.closed is not None
        with torch.no_grad():
            found = self._call(self.closed, point, rows)
        return found if self._argument(point) is point else {VECTOR: found}

    def autograd(self, point: Parameters, rows: Batch | None = None) -> Parameters:
        """Return autograd's gradient of the loss: see `value_and_autograd`."""
        return self.value_and_autograd(point, rows)[1]

    def value_and_autograd(
        self, point: Parameters, rows: Batch | None = None
    ) -> tuple[float, Parameters]:
        """Return the loss as a number, and autograd's gradient of it.

        Raises
        ------
        DetachedError
            If the loss is no tensor that depends on the parameters.
        """
        with torch.enable_grad():
            leaves = {k: v.detach().clone().requires_grad_() for k, v in point.items()}
            try:
                loss = self.loss(leaves, rows)
            except RuntimeError as error:  # torch refuses to make an array of such a tensor
                if "requires grad" in str(error):
                    raise DetachedError from error
                raise
            if not isinstance(loss, Tensor) or not loss.requires_grad:
                raise DetachedError
            slopes: Any = torch.autograd.grad(
                loss, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return float(loss.detach()), dict(zip(leaves, slopes, strict=True))

    @cached_property
    def has_autograd(self) -> bool:
        """Whether autograd can trace the loss back to the parameters."""
        try:
            self.autograd(self.start(0))
        except DetachedError:
            return False
        return True

    def gradient(self, point: Parameters, rows: Batch | None = None) -> Parameters:
        """Return the gradient in closed form where there is one, else autograd's.

        Zeros where there is neither: the check of central differences tells it.
        """
        if self.closed is None and not self.has_autograd:
            return {name: torch.zeros_like(value) for name, value in point.items()}
        if self.closed is None:
            return self.autograd(point, rows)
        found: Parameters = self.closed_form(point, rows)
        return found


def differentiable(
    of: Any,
    parameters: Any = None,
    gradient: Callable[..., Any] | None = None,
    data: Batch | None = None,
    dtype: torch.dtype | None = None,
) -> Differentiable:
    """Return a problem's loss, or a function's, in its own dtype: see `check_gradient`."""
    if isinstance(of, Problem):
        own = of.gradient if has(of, HasGradient) else None
        return Differentiable(
            of.name, of, gradient or own, of.data, None, dtype or problem_dtype(of)
        )
    tensors = parameters.values() if isinstance(parameters, dict) else [parameters]
    first = next(iter(tensors))
    name = getattr(of, "__name__", type(of).__name__)
    return Differentiable(name, of, gradient, data, parameters, dtype or first.dtype)


def converted(rows: Batch, dtype: torch.dtype) -> Batch:
    """Return a copy of rows on the CPU, numbers with fractions in a dtype."""
    parts = (
        None
        if part is None
        else part.detach().to("cpu", dtype if part.is_floating_point() else part.dtype, copy=True)
        for part in rows
    )
    return Batch(*parts)  # type: ignore[arg-type]  # X and y are never None


def some(rows: Batch, which: Any) -> Batch:
    """Return some rows, by a slice or by positions."""
    return Batch(*(None if part is None else part[which] for part in rows))  # type: ignore[arg-type]  # as above


def near(start: Parameters, seed: int, radius: float = 0.5) -> Parameters:
    """Return a random point near another: each entry moves by ``radius`` times its own scale.

    The scale of an entry is its size, or its tensor's root mean square where that is larger, or 1
    where all are 0.

    Examples
    --------
    >>> near({"w": torch.zeros(2)}, seed=0)["w"].tolist() != [0.0, 0.0]
    True
    """
    return {
        k: v + radius * step
        for (k, v), step in zip(start.items(), random_direction(start, seed).values(), strict=True)
    }


def random_direction(point: Parameters, seed: int) -> Parameters:
    """Return a direction of standard normal entries times the scale of each: see `near`.

    Drawn in float32 for every dtype.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = {}
    for name, value in point.items():
        draw = torch.randn(value.shape, generator=generator, dtype=torch.float32).to(value)
        scale = value.abs().clamp(min=float(value.square().mean().sqrt()) if value.numel() else 0)
        direction[name] = draw * torch.where(scale > 0, scale, 1.0)
    return direction
