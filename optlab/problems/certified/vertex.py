"""Minimise a sum of weighted absolute values, each side with its own slope, at an exact vertex."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linprog
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
from optlab.problems.losses.loss import Pair

PIVOTS = 500


def minimise_kinks(kinks: Kinks) -> Vertex:
    r"""Return the vertex at which the objective is least; A has full column rank.

    The dual, :math:`\max \sum_i c_i a_i b_i` subject to :math:`\sum_i c_i a_i x_i = 0` and a within
    its range, is solved by the dual simplex method (HiGHS); its basis is the rows of residual zero.
    The vertex and the slopes are then solved for in double-double, and pivots follow until these
    are within their ranges (Barrodale and Roberts).

    References
    ----------
    Koenker, Quantile Regression (2005), chapter 6. Barrodale and Roberts, An improved algorithm for
    discrete l1 linear approximation (1973).
    """
    slope, theta = _by_simplex(kinks)
    basis = _basis(kinks, slope, theta)
    point, residual, exact = _solved(kinks, basis, slope)
    for _ in range(PIVOTS):
        beyond = torch.maximum(exact[0] - kinks.high, kinks.low - exact[0])[basis]
        worst = int(beyond.argmax())
        if float(beyond[worst]) <= 1e-14:
            break
        rises = bool(exact[0][basis[worst]] > 0)
        basis[worst] = _entering(kinks, basis, worst, residual[0], rises)
        point, residual, exact = _solved(kinks, basis, slope)
    return proven(kinks, basis, point, residual, exact)


def _by_simplex(kinks: Kinks) -> tuple[Tensor, Tensor]:
    """Return the dual's solution ``(N,)``, and the primal's."""
    c = kinks.c[0]
    rows = c[:, None] * kinks.A
    scale = 1 / rows.abs().sum(0)
    size = float(kinks.b.abs().max()) or 1.0
    cost = c * kinks.b
    found = linprog(
        -(cost / (float(c.max()) * size)).numpy(),
        A_eq=(rows * scale).T.numpy(),
        b_eq=np.zeros(rows.shape[1]),
        bounds=torch.stack([kinks.low, kinks.high], 1).numpy(),
        method="highs-ds",
    )
    slope = torch.from_numpy(found.x)
    theta = -torch.from_numpy(found.eqlin.marginals) * scale * float(c.max()) * size
    return slope, theta


def _basis(kinks: Kinks, slope: Tensor, theta: Tensor) -> Tensor:
    """Return as many independent rows as parameters: slopes inside first, then small residuals."""
    span = kinks.high - kinks.low
    depth = torch.minimum(slope - kinks.low, kinks.high - slope) / span
    residual = (kinks.b - kinks.A @ theta).abs()
    order = sorted(range(len(residual)), key=lambda i: (depth[i] <= INSIDE, float(residual[i])))
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
    return torch.tensor(chosen)


def _solved(kinks: Kinks, basis: Tensor, slope: Tensor) -> tuple[Pair, Pair, Pair]:
    """Return the vertex of a basis, all residuals, and the slopes: of the basis as they must be."""
    A, b, (c, c_low) = kinks.A, kinks.b, kinks.c
    B = A[basis]
    zero = 0.0 * b
    theta = refined(B, (b[basis], zero[basis]))
    product = dd.matvec(A, theta)
    residual = dd.pair_add((b, zero), (-product[0], -product[1]))
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


def _entering(kinks: Kinks, basis: Tensor, leaving: int, residual: Tensor, rises: bool) -> int:
    """Return the row whose residual becomes zero where the objective is least along an edge.

    Along it the leaving row's residual grows (or falls), the basis' others stay zero.
    """
    unit = torch.zeros(len(basis), dtype=residual.dtype)
    unit[leaving] = -1.0 if rises else 1.0
    along = kinks.A @ refined(kinks.A[basis], (unit, 0.0 * unit))[0]
    along[basis] = 0.0
    along[basis[leaving]] = unit[leaving]
    a = torch.where(residual > 0, kinks.high, kinks.low)
    at_zero = residual == 0
    a = torch.where(at_zero, torch.where(along < 0, kinks.high, kinks.low), a)
    rate = float(-(kinks.c[0] * a * along).sum())
    lengths = torch.where(residual * along > 0, residual / along, torch.inf)
    for i in lengths.argsort().tolist():
        if not math.isfinite(float(lengths[i])):
            break
        rate += float(kinks.c[0][i] * (kinks.high[i] - kinks.low[i]) * along[i].abs())
        if rate >= 0:
            return int(i)
    return int(basis[leaving])
