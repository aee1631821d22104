"""Minimise weighted absolute values with a squared penalty, by ever less smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.certified.active_set_newton import minimise
from optlab.problems.certified.kinks import (
    Kinks,
    Vertex,
    independent_rows,
    product_of,
    proven,
    quotient_of,
    refined,
)
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.losses.loss import Loss

SMOOTHINGS = 14
ENOUGH = 1e-14  # of the objective: a bound that ends the search


@dataclass(frozen=True, eq=False)
class Envelope(Loss):
    """Moreau's envelope of ``max(high r, low r)``: quadratic where ``low < r / width < high``."""

    low: Tensor
    high: Tensor
    width: float

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``a r - width a**2 / 2`` for a the clipped slope."""
        a = -self.slope(eta, y)
        return a * (y - eta - self.width * a / 2)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``-r / width``, clipped."""
        return -((y - eta) / self.width).clamp(self.low, self.high)

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return ``1 / width`` where it is quadratic, else 0."""
        a = (y - eta) / self.width
        return ((a > self.low) & (a < self.high)).to(eta.dtype) / self.width


def minimise_ridge_kinks(kinks: Kinks) -> Vertex:
    """Return the minimiser; the penalty is above 0 for every parameter but, perhaps, the first.

    The smoothed objective is minimised by Newton's method for ever narrower kinks. Its rows inside
    a kink are then held at zero, and the balance of slopes, a linear system, is solved in
    double-double, until the bound (`proven`) is as small as rounding.

    References
    ----------
    Chen, A finite smoothing algorithm for quantile regression (2007).
    """
    theta = torch.zeros_like(kinks.l2)
    everything = torch.ones_like(kinks.l2, dtype=torch.bool)
    width = float(kinks.b.abs().mean()) or 1.0
    best: Vertex | None = None
    for _ in range(SMOOTHINGS):
        width /= 8
        loss = Envelope(kinks.low, kinks.high, width)
        zero = 0.0 * kinks.l2
        smooth = Objective(kinks.A, kinks.b, *kinks.c, loss, zero, kinks.l2)
        theta = minimise(smooth, everything, theta).theta[0]
        eta = kinks.A @ theta
        inside = loss.curvature(eta, kinks.b) > 0
        found = _balanced(kinks, inside, -loss.slope(eta, kinks.b), theta)
        if best is None or found.bound < best.bound:
            best = found
        if best.bound <= ENOUGH * smooth.value((theta, zero), (eta, 0 * eta)):
            break
    assert best is not None
    return best


def _balanced(kinks: Kinks, inside: Tensor, slope: Tensor, near: Tensor) -> Vertex:
    """Return the point at which rows inside a kink are zero and the slopes balance the penalty.

    ``[l2 -A_Z'; A_Z 0] [theta; c a] = [A_N' (c a)_N; b_Z]`` for as many rows Z as are independent.
    Where none of them holds the unpenalised parameter, slopes balance over an interval of it, and
    it stays as it is.
    """
    A, b, c = kinks.A, kinks.b, kinks.c
    end = torch.where(slope > (kinks.low + kinks.high) / 2, kinks.high, kinks.low)
    held = inside.nonzero()[:, 0]
    held = held[independent_rows(A[held])]
    a = torch.where(inside, slope, end)
    a[held] = 0.0
    pull = dd.transposed_matvec(A, dd.fast_two_sum(*product_of(c, a)))
    Z, level = A[held], b[held]
    loose = torch.diag((kinks.l2 == 0).to(A.dtype))[kinks.l2 == 0]
    if not (Z @ loose.T).any():
        Z, level = torch.cat([Z, loose]), torch.cat([level, loose @ near])
    system = torch.cat(
        [
            torch.cat([torch.diag(kinks.l2), -Z.T], 1),
            torch.cat([Z, Z.new_zeros((len(Z), len(Z)))], 1),
        ]
    )
    right = (torch.cat([pull[0], level]), torch.cat([pull[1], 0 * level]))
    high, low = refined(system, right)
    p = A.shape[1]
    theta = (high[:p], low[:p])
    product = dd.matvec(A, theta)
    residual = dd.pair_add((b, 0 * b), (-product[0], -product[1]))
    residual[0][held], residual[1][held] = 0.0, 0.0
    slope_low = 0.0 * a
    a[held], slope_low[held] = quotient_of(
        (high[p : p + len(held)], low[p : p + len(held)]), (c[0][held], c[1][held])
    )
    return proven(kinks, held, theta, residual, (a, slope_low))
