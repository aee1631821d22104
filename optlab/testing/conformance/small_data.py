"""Small data for checks: few rows, numbers that print exactly, eigenvalues of moderate size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from optlab.problems import LinearRegression, Problem
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression
from optlab.problems.losses.quantile import QuantileRegression

ROWS, COLUMNS = 7, 3
"""A batch of 2 rows leaves a last one of 1 row, a batch of 3 one of 1, one of 5 one of 2."""


def small_data(seed: int, n: int = ROWS, d: int = COLUMNS) -> tuple[Tensor, Tensor]:
    """Return ``X (n, d)`` of multiples of 1/8 in [-1, 1] and ``y (n,)`` of multiples of 1/8.

    The rows differ, X has full rank, and the largest eigenvalue of the mean squared error's
    Hessian is about 2, as on standardized data.
    """
    X, y = _drawn(seed, n, d)
    return X.clone(), y.clone()  # an optimizer under test may write to its data


@lru_cache(maxsize=256)
def _drawn(seed: int, n: int, d: int) -> tuple[Tensor, Tensor]:
    """Draw the data once for all checks and optimizers."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        X = torch.randint(-8, 9, (n, d), generator=draw).double() / 8
        y = X @ torch.tensor([1.5, -2.0, 0.75]).double()[:d] + 0.5
        y = ((y + 0.7 * torch.randn(n, generator=draw).double()) * 8).round() / 8
        distinct = len(X.unique(dim=0)) == n and len(y.unique()) == n
        values = torch.linalg.svdvals(torch.cat([X - X.mean(0), X], 1)[:, :d])
        if distinct and values[-1] > 0.5 and X.abs().min() > 0:
            return X, y


def small_start(seed: int, problem: Problem) -> dict[str, Tensor]:
    """Return a point of two decimals, drawn from a standard normal, in the problem's dtype."""
    draw = torch.Generator().manual_seed(seed + 1000)
    shapes = problem.start(torch.Generator())
    return {
        name: ((torch.randn(v.shape, generator=draw).double() * 100).round() / 100).to(v)
        for name, v in shapes.items()
    }


@dataclass(frozen=True)
class Family:
    """A kind of problem made of X and y: its class, its options, and the targets that it takes."""

    cls: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    target: Callable[[Tensor], Tensor] = lambda y: y

    def make(self, X: Tensor, y: Tensor, **options: Any) -> Any:
        """Return the problem; options replace the family's own."""
        return self.cls(X, self.target(y), **{**self.options, **options})


def _labels(y: Tensor) -> Tensor:
    return (y > y.median()).double()


def _counts(y: Tensor) -> Tensor:
    return y.abs().round()


FAMILIES = {
    "linear": Family(LinearRegression),
    "ridge": Family(LinearRegression, {"l2": 0.5, "fit_intercept": False}),
    "lasso": Family(LinearRegression, {"l1": 0.05}),
    "logistic": Family(LogisticRegression, {"l2": 0.1}, _labels),
    "poisson": Family(PoissonRegression, {"l2": 0.1}, _counts),
    "quantile": Family(QuantileRegression),
}
"""The kinds of problem, plainest first: a method is checked on the first that it supports."""
