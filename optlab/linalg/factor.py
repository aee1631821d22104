"""The small factor of a least-squares problem: a triangle U with ``U'U = S A'A S + ridge``.

``S`` is a diagonal of powers of two that gives every column of ``A = [1 X]`` a norm between 1/2
and 1, so scaling rounds nothing. By van der Sluis (1969) no other diagonal scaling makes the
condition number much smaller. All arrays here are numpy, on the CPU, of size p or (p, p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from optlab.linalg.passes import Gram
from optlab.linalg.row_blocks import Vector
from optlab.linalg.triangle import qr_triangle

EPS = 2.0**-52


@dataclass(frozen=True)
class Factor:
    """A triangle of the scaled problem and its inverse."""

    triangle: Vector  # U, (p, p), upper; columns of norm 1/2 to 1
    inverse: Vector  # its rows' norms times sigma are the standard errors of the scaled unknowns
    powers: Vector  # (p,), the diagonal of S: the scaled unknowns are c / powers
    norm: float  # Frobenius norms of U and of its inverse: their product bounds the condition
    inverse_norm: float  # number from above, within a factor p

    def correction(self, gradient: Vector) -> tuple[Vector, float]:
        """Return ``(A'A)^-1 A'r`` and the norm of its image under A (semi-normal equations).

        Source: Å. Björck, Linear Algebra Appl. 88/89 (1987) 31-48.
        """
        half = self.inverse.T @ (gradient * self.powers)
        step: Vector = (self.inverse @ half) * self.powers
        return step, float(np.sqrt(half @ half))


def from_triangle(R: Vector) -> Factor | None:
    """Return the factor of the columns of R (p, p) upper, or None where a pivot is zero."""
    powers = column_powers(np.sqrt(np.einsum("ij,ij->j", R, R)))
    U = R * powers
    inverse, info = lapack.dtrtri(U)
    if info or not np.isfinite(inverse).all():
        return None
    return Factor(U, inverse, powers, _norm(U), _norm(inverse))


def from_gram(gram: Gram, intercept: bool, ridge: Vector | None) -> tuple[Factor, Vector] | None:
    """Return the factor and first solution from a Gram matrix, or None where it is not safe.

    Cholesky (LAPACK dpotrf) of the matrix with shifted columns; then the shift is undone in the
    triangle. Not safe: numbers out of range, a pivot that is not positive, or a condition number so
    large that the corrections would not shrink.
    """
    G = gram.matrix
    squares = G.diagonal().copy()
    if ridge is not None:
        squares[:-1] += ridge
    if not (squares.min() > 2.0**-900 and squares[:-1].max() < 2.0**900 > squares[-1]):
        return None
    powers = column_powers(np.sqrt(squares[:-1]))
    scaled = G[:-1, :-1] * powers * powers[:, None]
    if ridge is not None:
        scaled.ravel()[:: len(powers) + 1] = squares[:-1] * powers * powers
    U, info = lapack.dpotrf(scaled)
    if info:
        return None
    inverse, info = lapack.dtrtri(U)
    norms = _norm(U), _norm(inverse)
    if info or (norms[0] * norms[1] > CHOLESKY_LIMIT and _too_ill(U, inverse)):
        return None
    half = inverse.T @ (G[:-1, -1] * powers)
    c: Vector = (inverse @ half) * powers
    if not intercept:
        return Factor(U, inverse, powers, *norms), c
    # [1 X] = [1 X-shift] T with T = [[1, shift'], [0, I]]: the triangle is U T, its inverse
    # T^-1 U^-1, and the bias moves by the shift times the weights.
    shift = gram.shift[:-1]
    R = U / powers
    R[0, 1:] += R[0, 0] * shift
    new_powers = column_powers(np.sqrt(np.einsum("ij,ij->j", R, R)))
    R *= new_powers
    inverse *= powers[:, None]
    inverse[0] -= shift @ inverse[1:]
    inverse /= new_powers[:, None]
    c[0] += gram.shift[-1] - shift @ c[1:]
    return Factor(R, inverse, new_powers, _norm(R), _norm(inverse)), c


# Each correction leaves about eps * condition**2 of the error before it: 0.6 % here. More to the
# point, rounding in the Gram matrix hides singular values below some 1e-7: a dependent column could
# pass for an independent one. 5e6 keeps a factor of 180 in the squares.
CHOLESKY_LIMIT = 5e6


def _too_ill(U: Vector, inverse: Vector) -> bool:
    """Return whether the condition number is above the limit of the Cholesky route.

    Asked only where the product of Frobenius norms, an upper bound, is: twenty power iterations on
    each matrix find the 2-norms closely enough.
    """
    condition = 1.0
    for A in (U, inverse):
        v = np.ones(len(A)) / math.sqrt(len(A))
        size = 0.0
        for _ in range(20):
            v = A.T @ (A @ v)
            size = float(np.sqrt(v @ v))
            v /= size
        condition *= math.sqrt(size)
    return condition > CHOLESKY_LIMIT


def with_ridge(R: Vector, ridge: Vector | None) -> Vector:
    """Return the triangle (p+1, p+1) of [A | y] with rows ``diag(sqrt(ridge))`` added.

    Where the penalty is the larger, its row comes first, as the pivot: Householder's method loses
    small rows that stand above large ones (Cox and Higham, 1998).
    """
    if ridge is None:
        return R
    p = len(ridge)
    extra = np.zeros((p, p + 1))
    extra.ravel()[:: p + 2] = np.sqrt(ridge)
    R = np.concatenate([R, np.zeros((max(0, p + 1 - len(R)), p + 1))])
    stack = np.concatenate([R, extra])
    larger = np.flatnonzero(np.sqrt(ridge) > np.sqrt(np.einsum("ij,ij->j", R, R)[:-1]))
    below = len(R) + larger
    stack[larger], stack[below] = stack[below], stack[larger]
    stacked: Vector = qr_triangle(stack)
    return stacked


def column_powers(norms: Vector) -> Vector:
    """Return powers of two that bring these norms to between 1/2 and 1 (1 for a norm of zero)."""
    powers: Vector = np.ldexp(1.0, -np.frexp(norms)[1])
    return powers


def _norm(A: Vector) -> float:
    """Return the Frobenius norm (entries are near one: no overflow)."""
    flat = A.ravel(order="K")
    return float(np.sqrt(flat @ flat))
