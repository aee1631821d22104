"""Iterative refinement of a full-rank answer: corrections by the factor until nothing is left.

Both routes repeat ``c += (A'A)^-1 A'(y - A c)`` with a factor of A (Björck's corrected semi-normal
equations). They differ in the precision of the gradient ``A'(y - A c)``: working precision makes
the answer backward stable, double-double gives all digits that the data has.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from optlab.linalg import double_double as dd
from optlab.linalg.certificate import BACKWARD_LIMIT, backward_error, error_bounds
from optlab.linalg.factor import EPS, Factor
from optlab.linalg.passes import Gradient, Pair, accurate_gradient, gradient
from optlab.linalg.row_blocks import Rows, Vector

FAST_STEPS = 5
FULL_STEPS = 12
# Stop correcting at a backward error of a quarter of eps: no driver of LAPACK does better.
FAST_ENOUGH = 0.25
# How much larger than eps the errors of a residual and a gradient in working precision may be:
# sums run over pieces of a few hundred rows, whose errors are partly alike.
FAST_UNIT = 4 * EPS
# Double-double sums lose another factor n/2**5 at worst; 2**-104 * 2**6 leaves room for 1e9 rows.
FULL_UNIT = 2.0**-98


class Answer(NamedTuple):
    """A solution of the rows as seen, with its backward error and error bounds."""

    high: Vector  # [bias, weight...]
    low: Vector
    squares: float  # r'r, without the penalty
    steps: int
    backward: float | None
    errors: Vector  # of each scaled unknown c / powers


def fast(rows: Rows, factor: Factor, c: Vector, ridge: Pair | None) -> Answer | None:
    """Return the answer refined in working precision, or None where corrections do not shrink."""
    before = math.inf
    for step in range(FAST_STEPS + 1):
        visit = gradient(rows, c)
        g, penalty = _with_ridge(visit, (c, np.zeros_like(c)), ridge)
        d, size = factor.correction(g)
        r_norm = math.sqrt(visit.squares + penalty)
        bound = _backward_bound(factor, g, c, r_norm, size)
        if bound <= FAST_ENOUGH or size > 0.25 * before:
            errors = error_bounds(factor, c, r_norm * r_norm, FAST_UNIT) + np.abs(d / factor.powers)
            exact = backward_error(factor, g, c, r_norm)
            if exact > BACKWARD_LIMIT:
                return None
            return Answer(c, np.zeros_like(c), visit.squares, step, exact, errors)
        c, before = c + d, size
    return None


def full(
    rows: Rows,
    factor: Factor,
    c: Vector,
    ridge: Pair | None,
    *,
    steps: int = FULL_STEPS,
    shrinking: float = 1.0,
) -> Answer | None:
    """Return the answer refined in double-double, or None where corrections do not shrink.

    ``shrinking`` is what is known beforehand of the share of the error that a correction leaves;
    from the second step on it is measured.
    """
    x: Pair = (c, np.zeros_like(c))
    before, expected = math.inf, shrinking
    for step in range(1, steps + 1):
        visit = accurate_gradient(rows, x)
        g, penalty = _with_ridge(visit, x, ridge)
        d, size = factor.correction(g)
        measured = min(1.0, size / before) if step > 1 and before else 0.0
        if step > 1:  # one ratio alone can be luck: the second step is held to what was expected
            shrinking = max(measured, expected) if step == 2 else measured
        x = dd.pair_add(x, (d, np.zeros_like(d)))
        floor = error_bounds(factor, x[0], visit.squares + penalty, FULL_UNIT)
        left = np.abs(d / factor.powers) * shrinking
        if (left <= 2.0**-60 * np.abs(x[0] / factor.powers) + floor).all():
            break
        if measured > 0.5:
            return None
        before = size
    else:  # not done: what a correction leaves can go from any unknown to any other
        left = np.full(len(c), len(c) * left.max(initial=0.0))
    high, low = x
    errors = floor + left + np.abs(low / factor.powers)
    g = factor.triangle.T @ (factor.triangle @ (low / factor.powers)) / factor.powers
    backward = backward_error(factor, g, high, math.sqrt(visit.squares + penalty))
    return Answer(high, low, visit.squares, step, backward, errors)


def _with_ridge(visit: Gradient, c: Pair, ridge: Pair | None) -> tuple[Vector, float]:
    """Return the gradient with the penalty's share taken off, and the penalty ``c' ridge c``."""
    if ridge is None:
        return visit.high + visit.low, 0.0
    p, e = dd.two_product(ridge[0], c[0])
    e = e + (ridge[0] * c[1] + ridge[1] * c[0])
    g = dd.pair_add((visit.high, visit.low), (-p, -e))
    return g[0] + g[1], float(p @ c[0])


def _backward_bound(factor: Factor, g: Vector, c: Vector, r_norm: float, size: float) -> float:
    """Return a cheap upper bound of the backward error, in units of ``eps ||A||_F``.

    Leaving out either term of ``||x||^2 U'U + ||r||^2 I`` makes its inverse larger.
    """
    x = c / factor.powers
    scaled = g * factor.powers
    by_x = size / norm if (norm := math.sqrt(float(x @ x))) else math.inf
    by_r = math.sqrt(float(scaled @ scaled)) / r_norm if r_norm else math.inf
    return min(by_x, by_r) / (EPS * factor.norm) if size else 0.0
