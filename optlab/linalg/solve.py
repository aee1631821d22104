"""Solve by a factor: choose the route that can be taken, and find the rank of the problem."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from optlab.linalg import double_double as dd
from optlab.linalg.certificate import predicted_digits, sizes
from optlab.linalg.factor import EPS, Factor, from_gram, from_triangle, with_ridge
from optlab.linalg.minimum_norm import minimum_norm, scaled_triangle
from optlab.linalg.passes import Pair, gram
from optlab.linalg.refinement import Answer, fast, full
from optlab.linalg.row_blocks import Rows, Vector

SMALL_ELEMENTS = 1 << 16  # "auto" gives all digits to problems this small: it takes milliseconds
FAST_DIGITS = 8.0  # "auto" goes on to all digits where the fast route predicts fewer than these
RESIDUAL_ERROR = 1e-10  # likewise where the residual has a larger relative error than this
DEFICIENT_STEPS = 2


class Found(NamedTuple):
    """A solution with its factor and rank, in the units of the rows as seen."""

    route: str
    answer: Answer
    factor: Factor | None  # None where rank-deficient
    triangle: Vector  # of the scaled columns
    powers: Vector
    rank: int
    gap: float  # the smallest singular value kept over the largest dropped
    size: Vector  # of each scaled unknown: what its error is measured against
    rows: int


def rank_tolerance(rows: Rows, n: int) -> float:
    """Return the share of the largest singular value below which one counts as zero."""
    return EPS * max(n, rows.unknowns)


def penalties(rows: Rows, n: int, l2: float) -> Pair | None:
    """Return n l2/2 for every unknown (p,), zero for the bias, in the units seen, as a pair.

    Where rows have weights, n is their sum.
    """
    if l2 == 0.0:
        return None
    mantissa, exponent = np.frexp(l2)
    total, rest = (n, 0.0) if rows.weight_sum is None else rows.weight_sum
    high, low = dd.two_product(np.array([0.5 * total]), np.array([mantissa]))
    low += 0.5 * rest * mantissa
    exponents = np.full(rows.unknowns, int(exponent))
    exponents[: int(rows.intercept)] = 0
    if rows.column_exponents is not None:
        exponents[int(rows.intercept) :] -= 2 * rows.column_exponents
    high, low = np.ldexp(high, exponents), np.ldexp(low, exponents)
    high[: int(rows.intercept)] = low[: int(rows.intercept)] = 0.0
    return high, low


def by_gram(rows: Rows, l2: float, route: str, steps: int | None = None) -> Found | None:
    """Return the answer by Gram matrix and Cholesky, or None where the factor says it is not safe.

    ``route`` is "auto", "fast" or "full"; with ``steps``, so many passes in double-double are made.
    """
    matrix = gram(rows)
    n = matrix.rows
    ridge = penalties(rows, n, l2)
    made = from_gram(matrix, rows.intercept, None if ridge is None else ridge[0])
    if made is None:
        return None
    factor, c = made
    if factor.norm * factor.inverse_norm * rank_tolerance(rows, n) >= 1.0:
        return None  # full rank is not certain
    if route == "fast" or (route == "auto" and n * rows.unknowns > SMALL_ELEMENTS):
        answer = fast(rows, factor, c, ridge)
        if answer is not None:
            found = _full_rank("fast", answer, factor, n)
            digits = predicted_digits(found.size, answer.errors)
            if route == "fast" or (digits >= FAST_DIGITS and _residual_is_accurate(found)):
                return found
            c = answer.high
    if steps is None:
        answer = full(rows, factor, c, ridge)
    else:
        # The Gram matrix's error counts relative to its least eigenvalue.
        share = _growth(rows.unknowns, matrix.blocks) * (factor.norm * factor.inverse_norm) ** 2
        answer = full(rows, factor, c, ridge, steps=steps, shrinking=min(1.0, share))
    return None if answer is None else _full_rank("full", answer, factor, n)


def _growth(p: int, blocks: int) -> float:
    """Return the relative error of a Gram matrix or triangle of p unknowns in so many blocks.

    Of one block, 16 p eps is a cautious guess: sums over its rows are made in short pieces. Each
    further block is added to what is there, which rounds it anew. A sum of K Gram matrices is off
    by at most ``(K-1) eps/2 sum |G_k|``, and as the norm of a matrix's absolute values is at most
    the trace of a positive semidefinite one, which is at most p times its norm, by K p eps/2 of
    the whole. Each of K updates of a triangle changes the rows as they are then by a relative
    error of Householder's in p columns, and these are part of all rows: K p eps.

    Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), sections 4.2, 19.3.
    """
    return (16 + blocks) * p * EPS


def _residual_is_accurate(found: Found) -> bool:
    """Return whether the rounding of the fitted values is negligible beside the residual."""
    fitted = float(np.abs(found.answer.high / found.powers).max(initial=0.0))
    return EPS * fitted <= RESIDUAL_ERROR * math.sqrt(found.answer.squares)


def by_triangle(
    rows: Rows, R: Vector, n: int, l2: float, blocks: int, steps: int | None = None
) -> Found:
    """Return the answer from the triangle of ``[1 X | y]``: full rank, or minimum norm.

    ``blocks`` is the number of updates that made the triangle; ``steps`` is the number of
    refinement passes allowed (None: as many as it takes).
    """
    p = rows.unknowns
    ridge = penalties(rows, n, l2)
    R = with_ridge(R, None if ridge is None else ridge[0])
    square = len(R) > p
    factor = from_triangle(np.asfortranarray(R[:-1, :-1])) if square else None
    tolerance = rank_tolerance(rows, n)
    if factor is None or factor.norm * factor.inverse_norm * tolerance >= 1.0:
        values = np.linalg.svd(scaled_triangle(R[:-1, :-1])[0], compute_uv=False)
        rank = int((values > tolerance * values[0]).sum())
        if factor is None:
            rank = min(rank, p - 1)
        if factor is None or rank < p:
            return _deficient(
                rows, R, rank, ridge, DEFICIENT_STEPS if steps is None else steps, n=n
            )
    c = (factor.inverse @ R[:-1, -1]) * factor.powers
    # The triangle is that of data with these relative errors: a correction leaves about as much
    # times the condition number.
    shrinking = min(1.0, _growth(p, blocks) * factor.norm * factor.inverse_norm)
    answer = None
    if steps is None:
        answer = full(rows, factor, c, ridge)
    elif steps > 0:
        answer = full(rows, factor, c, ridge, steps=steps, shrinking=shrinking)
    if answer is None:
        x = c / factor.powers
        share = shrinking if steps == 0 else 1.0
        residual = float(R[-1, -1])
        # Wedin: the residual counts with the condition number once more.
        spread = np.abs(x).max(initial=0.0) + factor.inverse_norm * abs(residual)
        errors = np.full(p, share * float(spread))
        answer = Answer(c, np.zeros(p), residual * residual, 0, None, errors)
    return _full_rank("full", answer, factor, n)


def _full_rank(route: str, answer: Answer, factor: Factor, n: int) -> Found:
    size = sizes(answer.high / factor.powers, answer.errors, math.sqrt(answer.squares))
    rank = len(factor.powers)
    return Found(route, answer, factor, factor.triangle, factor.powers, rank, math.inf, size, n)


def _deficient(
    rows: Rows, R: Vector, rank: int, ridge: Pair | None, steps: int, *, n: int
) -> Found:
    c, squares, backward, errors, gap = minimum_norm(rows, R, rank, ridge, steps)
    U, powers = scaled_triangle(R[:-1, :-1])
    answer = Answer(c, np.zeros_like(c), squares, steps, backward, errors)
    largest = sizes(c / powers, errors, math.sqrt(squares)).max(initial=0.0)
    return Found("minimum norm", answer, None, U, powers, rank, gap, np.full(len(c), largest), n)
