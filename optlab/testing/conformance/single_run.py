"""One run of an optimizer on small data, and the code that repeats it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self

import torch
from torch import Tensor

from optlab.optimizers import BatchSize, Cost, Optimizer
from optlab.problems import Parameters
from optlab.testing.conformance.small_data import Family, small_start
from optlab.testing.conformance.watched_batches import WatchedBatches
from optlab.testing.failure_message import failure_message
from optlab.testing.run_checks import CheckFailedError

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, eq=False)
class Run:
    """Settings of one run: data, batches, start, and how many iterates are asked for."""

    family: Family
    X: Tensor
    y: Tensor
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_size: BatchSize = "full"
    shuffle: bool = True
    drop_last: bool = False
    seed: int = 0
    start: Parameters | None = None
    """The parameters it starts from; drawn by `small_start` where left out."""
    count: int = 1
    dtype: str = "float64"
    looks: tuple[int, ...] = ()

    def but(self, **changes: Any) -> Self:
        """Return the same run, but for some settings."""
        return replace(self, **changes)

    def problem(self) -> Any:
        """Return the problem, whose data are its own."""
        X, y = self.X.to(DTYPES[self.dtype]), self.y.to(DTYPES[self.dtype])
        return self.family.make(X, y, **self.options)

    def begin(self, problem: Any) -> Parameters:
        """Return a start that is the optimizer's own to change."""
        if self.start is None:
            return small_start(self.seed, problem)
        like = problem.start(torch.Generator())
        return {name: value.to(like[name], copy=True) for name, value in self.start.items()}

    def batches(self, problem: Any) -> WatchedBatches:
        """Return the batches of the problem's data, watched."""
        X, y, weight = problem.data
        generator = torch.Generator().manual_seed(self.seed)
        return WatchedBatches(
            X, y, self.batch_size, generator,
            shuffle=self.shuffle, drop_last=self.drop_last, weight=weight, looks=self.looks,
        )  # fmt: skip

    def code(self, name: str = "run") -> list[str]:
        """Return lines of Python that define the problem, the batches and the start."""
        cls = getattr(self.family.cls, "__name__", "")
        problem = self.problem()
        X, y = (part.tolist() for part in (problem.X, problem.y))
        options = {**self.family.options, **self.options}
        extra = "".join(f", {key}={_plain(value)!r}" for key, value in options.items())
        dtype = f"torch.{self.dtype}"
        start = ", ".join(
            f"{k!r}: torch.tensor({v.tolist()!r}, dtype={dtype})"
            for k, v in self.begin(problem).items()
        )
        wrap = f"torch.tensor({{}}, dtype={dtype})"
        flags = "" if self.shuffle else ", shuffle=False"
        flags += ", drop_last=True" if self.drop_last else ""
        weight = ", weight=problem.row_weight" if problem.row_weight is not None else ""
        rows = f"{self.batch_size!r}, "
        return [
            f"problem = ol.{cls}({wrap.format(X)}, {wrap.format(y)}{extra})",
            f"generator = torch.Generator().manual_seed({self.seed})",
            f"batches = ol.Batches(problem.X, problem.y, {rows}generator{flags}{weight})",
            f"start = {{{start}}}",
            f"{name} = list(islice(optimizer.iterates(problem, batches, start), {self.count}))",
        ]


@dataclass(frozen=True, eq=False)
class Point:
    """An iterate, copied: parameters, batch loss, and passes."""

    parameters: Parameters
    batch_loss: float | None
    epochs: int
    cost: Cost | None
    taken: int
    """Batches taken so far."""

    @property
    def vector(self) -> Tensor:
        """All parameters in one float64 vector."""
        return torch.cat([v.double().reshape(-1) for v in self.parameters.values()])


def iterates(optimizer: Optimizer, run: Run, problem: Any = None) -> list[Point]:
    """Return the first iterates of a run, as many as it says, copied."""
    problem = run.problem() if problem is None else problem
    return follow(optimizer, run, problem, run.batches(problem))


def follow(optimizer: Optimizer, run: Run, problem: Any, batches: WatchedBatches) -> list[Point]:
    """Return the first iterates of a run with these batches."""
    found = optimizer.iterates(problem, batches, run.begin(problem))
    points = [copied(iterate, batches) for iterate in islice(found, run.count)]
    if not points:
        theory = "  theory: a run has at least one iterate"
        raise CheckFailedError(failure_message(theory, "none", tolerance="none: it is counted"))
    return points


def copied(iterate: Any, batches: WatchedBatches) -> Point:
    """Return what an iterate holds, copied."""
    loss = iterate.batch_loss
    return Point(
        {name: value.detach().clone() for name, value in iterate.parameters.items()},
        None if loss is None else float(loss),
        iterate.epochs,
        iterate.cost,
        batches.taken,
    )


def same_bits(one: list[Point], other: list[Point]) -> bool:
    """Return whether two runs have the same parameters and batch losses, to the bit."""
    return len(one) == len(other) and all(
        a.parameters.keys() == b.parameters.keys()
        and all(_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)
        and _alike(a.batch_loss, b.batch_loss)
        for a, b in zip(one, other, strict=True)
    )


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.nan_to_num(1e300), b.nan_to_num(1e300))


def _alike(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, Tensor) else value
