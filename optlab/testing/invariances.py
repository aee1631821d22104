"""Invariances of optimizers: changes of a problem that change the iterates in a known way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.optimizers import Optimizer
from optlab.testing.conformance.single_run import Run, iterates

MOST_DIGITS = 15.0


@dataclass(frozen=True)
class Invariance:
    """One invariance: a change of the data and of the start, and what it does to the iterates.

    Parameters
    ----------
    name
        Its name, such as ``"rotation"``.
    formula
        The change, in symbols.
    change
        The run's ``X``, ``y`` and weight, and the seed of what is drawn; it returns the changed
        ones.
    carry
        What a weight becomes by the same change.
    """

    name: str
    formula: str
    change: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]
    carry: Callable[[Tensor, int], Tensor]

    def digits(self, optimizer: Optimizer, run: Run) -> float:
        """Return to how many digits the iterates of a run follow the change, at most 15.

        The run is on a problem without intercept. Digits are ``-log10`` of the largest difference
        over the largest parameter, the least over the iterates.
        """
        seed = run.seed
        start = run.begin(run.problem())
        X, y = self.change(run.X, run.y, seed)
        changed = run.but(X=X, y=y, start={"weight": self.carry(start["weight"], seed)})
        pairs = zip(iterates(optimizer, run), iterates(optimizer, changed), strict=False)
        gaps = [_gap(self.carry(a.vector, seed), b.vector) for a, b in pairs]
        gap = max(gaps, default=0.0)
        if not math.isfinite(gap):
            return 0.0
        return max(0.0, min(MOST_DIGITS, -math.log10(gap))) if gap else MOST_DIGITS


def _gap(expected: Tensor, found: Tensor) -> float:
    size = max(float(expected.abs().max()), 1e-300)
    gap = float((expected - found).abs().max()) / size
    return math.inf if math.isnan(gap) else gap


def _order(d: int, seed: int) -> Tensor:
    order = torch.randperm(d, generator=torch.Generator().manual_seed(seed))
    return order if not torch.equal(order, torch.arange(d)) else order.roll(1)


def _rotation(d: int, seed: int) -> Tensor:
    draw = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    turn: Tensor = torch.linalg.qr(draw).Q
    return turn


def _shift(d: int) -> Tensor:
    return torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)[:d]


def _factors(d: int) -> Tensor:
    return torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64)[:d]


INVARIANCES = (
    Invariance(
        "order of columns",
        "X P, w0 to P'w0: iterates P'w",
        lambda X, y, seed: (X[:, _order(X.shape[1], seed)], y),
        lambda w, seed: w[_order(len(w), seed)],
    ),
    Invariance(
        "rotation",
        "X Q, w0 to Q'w0: iterates Q'w",
        lambda X, y, seed: (X @ _rotation(X.shape[1], seed), y),
        lambda w, seed: _rotation(len(w), seed).T @ w,
    ),
    Invariance(
        "translation",
        "y + X t, w0 + t: iterates w + t",
        lambda X, y, seed: (X, y + X @ _shift(X.shape[1])),
        lambda w, seed: w + _shift(len(w)),
    ),
    Invariance(
        "sign",
        "-y, -w0: iterates -w",
        lambda X, y, seed: (X, -y),
        lambda w, seed: -w,
    ),
    Invariance(
        "scale of the target",
        "4 y, 4 w0: iterates 4 w",
        lambda X, y, seed: (X, 4 * y),
        lambda w, seed: 4 * w,
    ),
    Invariance(
        "scale of the loss",
        "2 X, 2 y, so 4 f: the same iterates",
        lambda X, y, seed: (2 * X, 2 * y),
        lambda w, seed: w,
    ),
    Invariance(
        "scale of columns",
        "X D, w0 to w0 / D: iterates w / D",
        lambda X, y, seed: (X * _factors(X.shape[1]), y),
        lambda w, seed: w / _factors(len(w)),
    ),
)
"""Each of the invariances that `signature` measures, on mean squared error without intercept."""
