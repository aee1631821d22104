"""Benchmark functions: functions of the parameters alone, whose minimum is known by formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from optlab.checks import check_count
from optlab.problems.problem import Batch, Evaluation, Parameters, Reference

GRID = 81
"""Points of the grid on each side of the box, over which contours are drawn."""


class BenchmarkFunction:
    """The part that all benchmark functions share: data without features, a start, judging.

    The parameters are ``{"x": (d,)}``. A subclass gives `value`, and `minimiser`.

    Parameters
    ----------
    d
        The number of variables.
    box
        Where a start is drawn from, uniformly: the least and the largest of each variable.
    start
        The start of every trial, ``(d,)``; drawn from the trial's seed where left out.
    least
        The minimum, off by at most two units in its last place.
    unique
        Whether there is one minimiser.
    message
        How the minimum is known, in a sentence.
    name
        The name that stands in tables; the class's where left out.
    """

    def __init__(
        self,
        d: int,
        *,
        box: tuple[float, float],
        start: Sequence[float] | None = None,
        least: float = 0.0,
        unique: bool = True,
        message: str,
        name: str | None = None,
    ) -> None:
        self.d, self.box = check_count("d", d), box
        self.given = None if start is None else _checked_start(start, d)
        self.least, self.unique, self.message = least, unique, message
        self.name = type(self).__name__ if name is None else name
        zero = torch.zeros(1, dtype=torch.float64, device="cpu")
        self.data = Batch(zero[:, None][:, :0].clone(), zero)
        self.measures = ("x1", "x2") if d == 2 else ()

    def __repr__(self) -> str:
        dtype = str(self.data.y.dtype).removeprefix("torch.")
        return f"{type(self).__name__}({self.name!r}, d={self.d}, {dtype}, {self.data.y.device})"

    def value(self, x: Tensor) -> Tensor:
        """Return the function at points ``(..., d)``, a tensor of shape ``(...)``."""
        raise NotImplementedError

    def minimiser(self) -> Tensor:
        """Return a minimiser, ``(d,)``, float64 on the CPU."""
        raise NotImplementedError

    def suboptimality(self, x: Tensor) -> Tensor:
        """Return how far the function at points ``(..., d)`` is above its minimum."""
        return self.value(x) - self.least

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Return the function; it looks at no data."""
        return self.value(parameters["x"])

    def start(self, generator: torch.Generator) -> Parameters:
        """Return the start: the one given, or one drawn uniformly from the box.

        The draw is in float32 for every dtype, so that all dtypes of one seed start at one point.
        """
        drawn = torch.rand(self.d, generator=generator, dtype=torch.float32, device="cpu")
        low, high = self.box
        x = low + (high - low) * drawn
        if self.given is not None:
            x = torch.tensor(self.given, dtype=torch.float64)
        return {"x": x.to(self.data.y)}

    def reference(self) -> Reference:
        """Return the minimum, which is known by formula."""
        return Reference(
            kind="certified",
            loss=self.least,
            parameters={"x": self.minimiser()},
            bound=2 * math.ulp(self.least) if self.least else 0.0,
            digits=-math.log10(torch.finfo(torch.float64).eps),
            unique=self.unique,
            message=self.message,
        )

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point against the minimum, in float64 on the CPU whatever the point's dtype.

        The parameter error is the distance to the minimiser over its norm (the distance itself
        where that is zero); NaN where there are several. Of a function of two variables, ``more``
        has both, so that the path in the plane can be drawn.
        """
        x = parameters["x"].detach().to("cpu", torch.float64, copy=True)
        exact = self.to("cpu", torch.float64)
        with torch.enable_grad():
            loss = exact.value(x.requires_grad_())
            (slope,) = torch.autograd.grad(loss, x)
        point, best = x.detach(), self.minimiser()
        error = float((point - best).norm() / (best.norm() or 1.0)) if self.unique else math.nan
        more = dict(zip(self.measures, point.tolist(), strict=True)) if self.measures else {}
        gap = float(exact.suboptimality(point))
        return Evaluation(loss.item(), gap, float(slope.norm()), error, more)

    def contours(self) -> dict[str, Any]:
        """Return the suboptimality over the box, on a grid, to six digits; empty unless d is 2."""
        if self.d != 2:
            return {}
        side = torch.linspace(*self.box, GRID, dtype=torch.float64)
        grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1)
        gap = self.to("cpu", torch.float64).suboptimality(grid)
        rows = [[float(f"{value:.6g}") for value in row] for row in gap.tolist()]
        return {"x1": side.tolist(), "x2": side.tolist(), "suboptimality": rows}

    def to(self, device: torch.device | str, dtype: torch.dtype, *, copy: bool = False) -> Self:
        """Return the same function, computed on another device or in another dtype."""
        y = self.data.y.to(device, dtype, copy=copy)
        if y is self.data.y:
            return self
        moved = object.__new__(type(self))
        moved.__dict__.update(vars(self), data=Batch(self.data.X.to(device, dtype, copy=copy), y))
        return moved


def _checked_start(start: Sequence[float], d: int) -> tuple[float, ...]:
    values: Any = torch.as_tensor(start, dtype=torch.float64)
    if values.shape != (d,) or not values.isfinite().all():
        raise ValueError(f"start must be {d} finite numbers, one for each variable, not {start!r}")
    return tuple(values.tolist())


def check_variables(d: int, least: int) -> int:
    """Return the number of variables, or raise a ValueError where there are too few."""
    if check_count("d", d) < least:
        raise ValueError(f"d must be at least {least}, not {d!r}")
    return d
