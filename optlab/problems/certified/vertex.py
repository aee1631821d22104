"""Minimise a sum of weighted absolute values, each side with its own slope, at an exact vertex."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.kinks import (
    INSIDE,
    Kinks,
    Vertex,
    product_of,
    proven,
    quotient_of,
    refined,
)
from optlab.problems.losses.loss import Pair, rounded

ROUNDS = 5
NEAR = 1e-5  # of the largest residual that the last round saw: the programme's tolerance is 1e-7
ROUNDING = 1e-28  # of the terms of a residual, in double-double


def minimise_kinks(kinks: Kinks) -> Vertex:
    r"""Return the vertex at which the objective is least; A has full column rank.

    The dual, :math:`\max \sum_i c_i a_i b_i` subject to :math:`\sum_i c_i a_i x_i = 0` and a within
    its range, is solved by the dual simplex method (HiGHS); its basis is the rows of residual zero.
    The vertex and the slopes are then solved for in double-double. Where a slope is not within its
    range, residuals that the programme took for zero are none: it is solved again for these rows,
    with their residuals scaled up.

    References
    ----------
    Koenker, Quantile Regression (2005), chapter 6. Gleixner, Steffy and Wolter, Iterative
    refinement for linear programming (2016).
    """
    residual = kinks.b
    if not kinks.A.shape[1]:
        empty, slope = kinks.l2, torch.where(residual > 0, kinks.high, kinks.low)
        none = torch.zeros(0, dtype=torch.long)
        return proven(kinks, none, (empty, empty), (residual, 0 * slope), (slope, 0 * slope))
    near = torch.ones_like(residual, dtype=torch.bool)
    found: list[Vertex] = []
    for _ in range(ROUNDS):
        size = float(residual[near].abs().max()) or 1.0
        programme = _by_simplex(kinks, residual / size, near)
        if programme is None:
            break
        slope, move = programme
        basis = _basis(kinks, slope, (residual / size - kinks.A @ move).abs(), near)
        point, pairs, exact = _solved(kinks, basis, slope)
        found.append(proven(kinks, basis, point, pairs, exact))
        beyond = torch.maximum(exact[0] - kinks.high, kinks.low - exact[0])[basis]
        if float(beyond.max()) <= 1e-14:
            break
        residual = rounded(pairs)
        near = residual.abs() <= NEAR * size
    return min(found, key=lambda vertex: vertex.bound)


def _by_simplex(kinks: Kinks, residual: Tensor, near: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the dual's slopes ``(N,)``, those of far rows by their signs, and the move."""
    from scipy.optimize import linprog  # noqa: PLC0415 - a tenth of a second, rarely needed

    c = kinks.c[0]
    rows = c[:, None] * kinks.A
    scale = 1 / rows.abs().sum(0)
    slope = torch.where(residual > 0, kinks.high, kinks.low)
    pull = rows[~near].T @ slope[~near]
    cost = c * residual
    found = linprog(
        -(cost[near] / float(c.max())).numpy(),
        A_eq=(rows[near] * scale).T.numpy(),
        b_eq=-(pull * scale).numpy(),
        bounds=torch.stack([kinks.low, kinks.high], 1)[near].numpy(),
        method="highs-ds",
    )
    if found.x is None:
        return None
    slope[near] = torch.from_numpy(found.x)
    return slope, -torch.from_numpy(found.eqlin.marginals) * scale * float(c.max())


def _basis(kinks: Kinks, slope: Tensor, residual: Tensor, near: Tensor) -> Tensor:
    """Return as many independent rows as parameters: slopes inside first, then small residuals."""
    span = kinks.high - kinks.low
    depth = torch.minimum(slope - kinks.low, kinks.high - slope) / span
    keys = zip((~near).tolist(), (depth <= INSIDE).tolist(), residual.tolist(), strict=True)
    order = [i for i, _ in sorted(enumerate(keys), key=lambda pair: pair[1])]
    p = kinks.A.shape[1]
    scale = kinks.A.abs().amax(0)
    base, chosen = np.zeros((0, p)), []
    for i in order:
        row = (kinks.A[i] / scale).numpy()
        rest = row - base.T @ (base @ row)
        rest -= base.T @ (base @ rest)
        if np.linalg.norm(rest) > 1e-11 * np.linalg.norm(row):
            base = np.vstack([base, rest / np.linalg.norm(rest)])
            chosen.append(i)
        if len(chosen) == p:
            break
    return torch.tensor(chosen, dtype=torch.long)


def _solved(kinks: Kinks, basis: Tensor, slope: Tensor) -> tuple[Pair, Pair, Pair]:
    """Return the vertex of a basis, all residuals, and the slopes: of the basis as they must be."""
    A, b, (c, c_low) = kinks.A, kinks.b, kinks.c
    B = A[basis]
    zero = 0.0 * b
    theta = refined(B, (b[basis], zero[basis]))
    product = dd.matvec(A, theta)
    residual = dd.pair_add((b, zero), (-product[0], -product[1]))
    rounding = ROUNDING * (b.abs() + A.abs() @ theta[0].abs())
    is_zero = residual[0].abs() <= rounding  # what rounding leaves of 0 has no sign
    residual[0][is_zero], residual[1][is_zero] = 0.0, 0.0
    sign = residual[0] + residual[1]
    nearest = torch.where(slope - kinks.low < kinks.high - slope, kinks.low, kinks.high)
    a = torch.where(sign > 0, kinks.high, torch.where(sign < 0, kinks.low, nearest))
    a[basis] = 0.0
    pulls = dd.fast_two_sum(*product_of((c, c_low), a))
    pull = dd.transposed_matvec(A, pulls)
    multiplier = refined(B.T.contiguous(), (-pull[0], -pull[1]))
    own = quotient_of(multiplier, (c[basis], c_low[basis]))
    low = 0.0 * a
    a[basis], low[basis] = own
    residual[0][basis], residual[1][basis] = 0.0, 0.0
    return theta, residual, (a, low)
