"""The minimum-norm solution of a rank-deficient problem: of all minimisers, the least weights.

The intercept is free: the columns are centred first, and the norm of the weights alone, in the
units of the data, is made least.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

from optlab.linalg import double_double as dd
from optlab.linalg.factor import EPS, column_powers
from optlab.linalg.passes import Pair, accurate_gradient
from optlab.linalg.row_blocks import Rows, Vector


class MinimumNorm(NamedTuple):
    """A minimum-norm solution of the rows as seen."""

    c: Vector
    squares: float  # r'r, without the penalty
    backward: float | None
    errors: Vector  # of each scaled unknown
    gap: float  # the smallest singular value kept over the largest dropped


def minimum_norm(rows: Rows, R: Vector, rank: int, ridge: Pair | None, steps: int) -> MinimumNorm:
    """Return the least-squares solution of minimum norm of the weights, intercept free.

    R is the triangle of ``[1 X | y]``, (min(n, p) + 1, p + 1), ridge rows included; ``rank`` is
    that of ``[1 X]``, ``ridge`` the penalties (p,) as a pair, and ``steps`` how many corrections
    are made from the rows, in double-double. The rows of R below the first are the triangle of the
    centred data: :class:`_LeastNorm` solves with it; the truncated SVD serves for the corrections.
    """
    first = int(rows.intercept)
    U, powers = scaled_triangle(R[:-1, :-1])
    left, values, right = np.linalg.svd(U[first:, first:], full_matrices=False)
    kept = max(rank - first, 0)
    V, sigma = right[:kept].T, values[:kept]
    solve = _LeastNorm(U[first:, first:], _units(powers[first:], rows), kept)
    z = R[first:-1, -1].copy()
    x = np.zeros(rows.unknowns)
    x[first:] = solve(z)
    if first:
        x[0] = (R[0, -1] - U[0, 1:] @ x[1:]) / U[0, 0]
    moved, squares, backward = np.zeros_like(x), float(R[-1, -1] ** 2), None
    whole = np.linalg.svd(U, full_matrices=False)[1:] if steps else (values, right)
    for step in range(steps + 1 if steps else 0):
        g, squares, penalty = _scaled_gradient(rows, x * powers, powers, ridge)
        backward = _backward(*whole, g, x, squares + penalty)
        if step == steps:
            break
        new = x.copy()
        centred = g[first:] - (U[0, 1:] / U[0, 0]) * g[0] if first else g
        z += left[:, :kept] @ ((V.T @ centred) / sigma)
        new[first:] = solve(z)
        if first:  # the mean residual goes to the bias
            new[0] += g[0] / U[0, 0] ** 2 - (U[0, 1:] / U[0, 0]) @ (new[1:] - x[1:])
        x, moved = new, np.abs(new - x)
    largest, smallest = (float(sigma[0]), float(sigma[-1])) if kept else (1.0, 1.0)
    dropped = float(values[kept]) if kept < len(values) else 0.0
    if not steps:  # a triangle's rounding, and the residual's share (Wedin)
        residual = np.sqrt(squares) / smallest
        moved += 16 * EPS * len(x) * (largest / smallest) * (np.abs(x).max(initial=0.0) + residual)
    # The null space itself is only known to eps over the gap: ten p times that of the largest.
    top = float(np.abs(x).max(initial=0.0))
    errors = moved + 10 * EPS * len(x) * (largest / smallest) * solve.spread * top
    return MinimumNorm(
        x * powers, squares, backward, errors, smallest / dropped if dropped else np.inf
    )


class _LeastNorm:
    """Least squares ``U x = z`` of given rank, the norm of the weights ``x / units`` least.

    Columns whose units are far smaller than all others' get a turn after them: they bear only what
    the others cannot, for of what both could bear their share is below eps.
    """

    def __init__(self, U: Vector, units: Vector, rank: int) -> None:
        self.size = len(units)
        order = np.argsort(-units, kind="stable")
        gaps = np.flatnonzero(units[order][1:] < 2.0**-26 * units[order][:-1]) + 1
        M = U.copy()
        self.spread = 1.0  # of units within a stage: relative errors of small columns grow with it
        self.stages: list[tuple[Vector, Vector, Vector, _Lift, Any]] = []
        top = float(np.linalg.norm(U, 2)) if gaps.size else 0.0
        for columns in np.split(order, gaps):
            left, values, right = np.linalg.svd(M[:, columns], full_matrices=False)
            if columns.size:
                self.spread = max(self.spread, float(units[columns[0]] / units[columns[-1]]))
            # In the only group the rank is known; in several it follows from the same tolerance.
            kept = rank if not gaps.size else int((values > EPS * self.size * top).sum())
            L, sigma = left[:, :kept], values[:kept]
            share = L.T @ M
            M -= L @ share
            share[:, columns] = 0.0
            lift = _Lift(right[:kept].T, units[columns])
            self.stages.append((L, sigma, share, lift, columns))

    def __call__(self, z: Vector) -> Vector:
        """Return x (d,) for z (d,)."""
        x = np.zeros(self.size)
        for L, sigma, share, lift, columns in reversed(self.stages):
            # Later stages are solved already; earlier ones have x = 0 here.
            x[columns] = lift((L.T @ z - share @ x) / sigma)
        return x


class _Lift:
    """The map from ``V' x = t`` to the x whose weights ``x / units`` have the least norm.

    The weights are ``Q R^-T t`` where ``Q R = units V``, so they lie in the row space of the data
    and a column of small units gets small weights. Rows are sorted by size and columns pivoted:
    then Householder's errors are small row by row.

    Sources: A. J. Cox, N. J. Higham, Numerical Analysis 1997 (Dundee), 57-73; LAPACK dgeqp3.
    """

    def __init__(self, V: Vector, units: Vector) -> None:
        self.units = units
        self.kept = V.shape[1]
        if self.kept:
            A = V * units[:, None]
            self.order = np.argsort(-np.abs(A).max(1), kind="stable")
            self.factored, self.pivots, self.tau, _, _ = lapack.dgeqp3(A[self.order])

    def __call__(self, t: Vector) -> Vector:
        """Return x (d,) for t (kept,)."""
        x = np.zeros(len(self.units))
        if self.kept:
            column = np.zeros((len(x), 1), order="F")
            top, _ = lapack.dtrtrs(self.factored[: self.kept], t[self.pivots - 1], trans=1)
            column[: self.kept, 0] = top
            w, _, _ = lapack.dormqr("L", "N", self.factored, self.tau, column, lwork=64)
            x[self.order] = w[:, 0]
        lifted: Vector = x * self.units
        return lifted


def scaled_triangle(R: Vector) -> tuple[Vector, Vector]:
    """Return the triangle with columns of norm 1/2 to 1, and the powers of two that did it."""
    powers = column_powers(np.sqrt(np.einsum("ij,ij->j", R, R)))
    return R * powers, powers


def _units(powers: Vector, rows: Rows) -> Vector:
    """Return the sizes of the columns in units of the data, relative to the largest.

    A column 2**1000 times smaller than another counts as that: its share of a weight both could
    bear is zero either way.
    """
    exponents = 1 - np.frexp(powers)[1].astype(np.int64)
    if rows.column_exponents is not None:
        exponents = exponents + rows.column_exponents
    relative = exponents - exponents.max(initial=-(1 << 14))
    units: Vector = np.ldexp(np.ones(len(powers)), np.maximum(relative, -1000))
    return units


def _scaled_gradient(
    rows: Rows, c: Vector, powers: Vector, ridge: Pair | None
) -> tuple[Vector, float, float]:
    """Return the scaled gradient, ``r'r`` and the penalty at c."""
    visit = accurate_gradient(rows, (c, np.zeros_like(c)))
    g, penalty = visit.high + visit.low, 0.0
    if ridge is not None:
        p, e = dd.two_product(ridge[0], c)
        g = g - (p + (e + ridge[1] * c))
        penalty = float(p @ c)
    return g * powers, visit.squares, penalty


def _backward(values: Vector, right: Vector, g: Vector, x: Vector, squares: float) -> float:
    """Return the Karlson-Walden backward error in units of eps ||A||_F, by the SVD of A."""
    weights = float(x @ x) * values**2 + squares
    parts = right @ g
    ratio = np.divide(parts**2, weights, out=np.zeros_like(parts), where=weights > 0.0)
    norm = float(np.linalg.norm(values))
    return float(np.sqrt(ratio.sum())) / (EPS * norm) if norm else 0.0
