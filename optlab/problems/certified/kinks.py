"""A sum of weighted absolute values, each side with its own slope, and the proof of a minimum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.curvature_factor import factored
from optlab.problems.losses.loss import Pair, rounded

INSIDE = 1e-9  # of a slope's range: nearer to its ends counts as at them


class Kinks(NamedTuple):
    """``sum_i c_i max(high_i r_i, low_i r_i) + l2/2 . theta**2``, ``r = b - A theta``.

    A is ``(N, P)``; the slopes are ``low < 0 < high``, and the penalty's strengths l2 ``(P,)``.
    """

    A: Tensor
    b: Tensor
    c: Pair
    low: Tensor
    high: Tensor
    l2: Tensor


class Vertex(NamedTuple):
    """A vertex: its parameters and residuals as pairs, and the slopes that prove it.

    ``slope (N,)``, within each row's range, is a pair too. ``bound`` is proven: the objective is at
    most this far above its minimum. ``is_unique``: no other minimiser exists.
    """

    theta: Pair
    residual: Pair
    slope: Pair
    bound: float
    is_unique: bool


def proven(kinks: Kinks, basis: Tensor, theta: Pair, residual: Pair, slope: Pair) -> Vertex:
    r"""Return the vertex with its bound.

    With slopes a in their ranges, and :math:`e = \sum_i c_i a_i x_i - l_2 \theta`, any point has

    .. math:: F(\theta) - F(\theta') \le \sum_i c_i (\max(high_i r_i, low_i r_i) - a_i r_i)
        + e' (\theta' - \theta)

    of which the first terms are not negative, and the last is what rounding leaves. With k the
    lesser of high and -low, a point no worse has
    :math:`\sum_i c_i k_i |x_i (\theta' - \theta)| \le 2 F` and
    :math:`l_2 \lVert \theta' - \theta \rVert^2 \le 8 F`.
    """
    low, high, c = kinks.low, kinks.high, kinks.c[0]
    inside = torch.minimum(slope[0] - low, high - slope[0])
    is_within = inside > 0
    clipped = torch.minimum(torch.maximum(slope[0], low), high)
    a = (clipped, torch.where(is_within, slope[1], 0.0))
    r = rounded(residual)
    gap = r.clamp(min=0.0) * (high - a[0]) + (-r).clamp(min=0.0) * (a[0] - low)
    value = float((c * torch.maximum(high * r, low * r)).sum())
    value = 1.01 * (value + float((kinks.l2 * theta[0] ** 2).sum()) / 2)
    product = product_of(kinks.c, a[0])
    error = dd.transposed_matvec(kinks.A, dd.fast_two_sum(product[0], product[1] + c * a[1]))
    ridge, rest = dd.two_product(kinks.l2, theta[0])
    error = dd.pair_add(error, (-ridge, -(rest + kinks.l2 * theta[1])))
    rows = (c * torch.minimum(high, -low)).sqrt()
    factor = factored(torch.cat([rows[:, None] * kinks.A, torch.diag(kinks.l2.sqrt())]))
    bound = value
    if factor is not None:
        rounding = 64 * dd.UNIT * (kinks.A.abs().T @ (c * a[0].abs()) + kinks.l2 * theta[0].abs())
        length = float(factor.dual(rounded(error)).norm())
        length += float((factor.whitening().abs() @ rounding).norm())
        apart = 2 * value / float(rows.min())
        apart += 2 * (2 * value) ** 0.5 if kinks.l2.any() else 0.0
        size = kinks.b.abs() + kinks.A.abs() @ theta[0].abs()
        tiny = float((c * 64 * dd.UNIT * size).sum())
        bound = min(value, float((c * gap).sum()) + tiny + length / factor.floor * apart)
    firm = inside[basis] > INSIDE * (high - low)[basis]
    is_unique = bool(firm.any() if kinks.l2.any() else firm.all())
    return Vertex(theta, residual, a, bound, is_unique)


def independent_rows(rows: Tensor) -> Tensor:
    """Return the places of as many rows as are linearly independent, to rounding."""
    if not len(rows):
        return torch.zeros(0, dtype=torch.long)
    R, order = scipy.linalg.qr(rows.T.numpy(), mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(R))
    rank = int((diagonal > 1e-11 * diagonal[0]).sum())
    return torch.from_numpy(order[:rank].astype(np.int64))


def refined(B: Tensor, right: Pair) -> Pair:
    """Return ``B^-1 right`` as a pair: four corrections by residuals in double-double."""
    rows = B.abs().amax(1)
    columns = (B / rows[:, None]).abs().amax(0)
    factors = torch.linalg.lu_factor_ex(B / rows[:, None] / columns)[:2]

    def solve(vector: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.lu_solve(*factors, (vector / rows)[:, None])
        return solved[:, 0] / columns

    found = (solve(right[0]), 0.0 * right[0])
    for _ in range(4):
        product = dd.matvec(B, found)
        rest = rounded(dd.pair_add(right, (-product[0], -product[1])))
        step = solve(rest)
        found = dd.pair_add(found, (step, 0.0 * step))
    return found


def product_of(c: Pair, a: Tensor) -> Pair:
    """Return a pair times single numbers."""
    product, error = dd.two_product(c[0], a)
    return product, error + c[1] * a


def quotient_of(of: Pair, by: Pair) -> Pair:
    """Return a quotient of pairs."""
    first = of[0] / by[0]
    product = product_of(by, first)
    rest = rounded(dd.pair_add(of, (-product[0], -product[1])))
    return dd.fast_two_sum(first, rest / by[0])
