"""The certificate of a least-squares answer: how far it may be from the right one, and why.

Sources: R. Karlson, B. Waldén, BIT 37 (1997) 862-869 (backward error); N. J. Higham, Accuracy and
Stability of Numerical Algorithms (2002), chapter 20 (sensitivity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import lapack

from optlab.linalg import double_double as dd
from optlab.linalg.factor import EPS, Factor
from optlab.linalg.passes import Pair
from optlab.linalg.row_blocks import Vector
from optlab.linalg.triangle import qr_triangle

BACKWARD_LIMIT = 10.0  # eps-units: a stable solver stays below 2, textbook normal equations do not
DIGITS_LIMIT = 4.0
NEGLIGIBLE = 2.0**-60  # a share that float64 does not hold
MOST_DIGITS = -math.log10(EPS / 2)  # a correctly rounded float64: 15.95


class Small(NamedTuple):
    """The values behind the lazily computed parts of a certificate, none longer than p."""

    triangle: Vector  # (p, p), scaled
    inverse: Vector | None  # of the triangle; None where rank-deficient
    powers: Vector  # the scaled unknowns are c / powers
    exponents: npt.NDArray[np.int64]  # the data was divided by 2**exponents before all else
    target_exponent: int
    squares: float  # r'r of the data seen
    freedom: int  # rows - p; 0 or less means no standard errors
    intercept: bool
    gram: Pair | None  # A'A in double-double, for standard errors to all digits
    shift: Vector | None = None  # taken off the columns of X: A is [1 X-shift]


@dataclass(frozen=True)
class Certificate:
    """The proof that comes with a least-squares solution.

    Attributes
    ----------
    route
        The way taken: ``"fast"``, ``"full"``, ``"minimum norm"`` or ``"streaming"``.
    rank, unknowns
        Numerical rank of ``[1 X]`` (with the ridge rows, if any), and its number of columns.
    rank_tolerance
        Singular values of the scaled columns below this share of the largest count as zero:
        ``eps * max(n, p)``.
    backward_error
        Karlson-Walden backward error in units of eps ||A||_F, columns scaled: the answer is exact
        for data that differ by this little. None where it was not measured (streaming without
        refinement passes).
    digits
        Predicted correct decimal digits of the least accurate coefficient, against the exact
        solution of the data as given; at most 15.95. A coefficient that is zero but for the
        rounding of double-double (below ``2**-60``) is measured against the largest, columns
        scaled; where offsets dwarf the columns' spread, such a bias against the largest of the
        terms ``offset * weight`` that it is the rest of.
    refinement_steps
        Corrections applied.
    residual_sum_of_squares
        ``sum((X w + b - y)**2)``; inf where that is above the range of float64.
    trusted
        Whether the answer is right to at least 4 digits of the largest coefficient, each other
        coefficient has a right digit of its own, and the rank is beyond doubt.
    message
        A sentence on rank, digits and trust.

    See Also
    --------
    least_squares : What proves.
    LeastSquaresSolution : What it comes with.
    """

    route: str
    rank: int
    unknowns: int
    rank_tolerance: float
    backward_error: float | None
    digits: float
    refinement_steps: int
    residual_sum_of_squares: float
    trusted: bool
    message: str
    small: Small = field(repr=False, compare=False)

    @cached_property
    def condition_scaled(self) -> float:
        """Condition number of the columns scaled to norm 1/2 to 1, over the numerical rank.

        Of the columns as solved: less their first row where the message says so.
        """
        values = np.linalg.svd(self.small.triangle, compute_uv=False)
        return _ratio(values, self.rank)

    @cached_property
    def condition_raw(self) -> float:
        """Condition number of ``[1 X]`` as given, over the numerical rank; inf beyond float64."""
        small = self.small
        exponents = small.exponents - np.frexp(small.powers)[1] + 1
        if small.shift is None:
            A = np.ldexp(small.triangle, exponents - exponents.max(initial=0))
        else:  # [1 X] = [1 X-shift] T with T = [[1, shift'], [0, I]]
            m, e = np.frexp(small.shift)
            top = max(exponents.max(), exponents[0] + e.max())
            A = np.ldexp(small.triangle, exponents - top)
            A[0, 1:] += np.ldexp(small.triangle[0, 0] * m, exponents[0] + e - top)
        values = np.linalg.svd(A, compute_uv=False)
        return _ratio(values, self.rank)

    @cached_property
    def standard_errors(self) -> dict[str, torch.Tensor] | None:
        """Standard errors ``{"weight": (d,), "bias": ()}``, float64; None where not defined.

        Not defined where rank-deficient, with a ridge penalty, and where n <= p. From the full
        route on small data they have all digits; else about those of the factor,
        16 - log10(condition).
        """
        small = self.small
        if small.inverse is None or small.freedom <= 0:
            return None
        sigma = math.sqrt(small.squares / small.freedom)
        spread = np.sqrt(_covariance_diagonal(small)) * small.powers
        with np.errstate(over="ignore"):
            values = torch.from_numpy(
                np.ldexp(sigma * spread, small.target_exponent - small.exponents)
            )
        first = int(small.intercept)
        bias = values[0] if first else torch.zeros((), dtype=torch.float64, device="cpu")
        return {"weight": values[first:], "bias": bias}

    def standard_error(self, combination: Vector) -> float:
        """Return the standard error of ``combination @ [bias, weight...]``; nan where undefined.

        The combination is (p,), without an entry for the bias where there is none.
        """
        small = self.small
        if small.inverse is None or small.freedom <= 0:
            return math.nan
        row = np.array(combination, dtype=np.float64)
        if small.shift is not None:  # the bias is that of the shifted columns less shift'w
            row[1:] -= row[0] * small.shift
        spread = (np.ldexp(row, -small.exponents) * small.powers) @ small.inverse
        sigma = math.sqrt(small.squares / small.freedom)
        return float(np.ldexp(sigma * np.sqrt(spread @ spread), small.target_exponent))


def backward_error(factor: Factor, gradient: Vector, c: Vector, residual_norm: float) -> float:
    """Return the Karlson-Walden backward error of c in units of ``eps ||A||_F``.

    ``mu = ||(||x||^2 U'U + ||r||^2 I)^(-1/2) S A'r||`` with x = c scaled and U the triangle of the
    scaled columns; the same as the usual formula with eta = ||r||/||x||, but also right for x = 0.
    """
    g = gradient * factor.powers
    if not g.any():
        return 0.0
    x = c / factor.powers
    U = factor.triangle
    p = len(x)
    x_squares, r_squares = float(x @ x), residual_norm * residual_norm
    if factor.norm * factor.inverse_norm < 1e7 and x_squares > 0.0:
        M = U.T @ U
        M *= x_squares
        M.ravel()[:: p + 1] += r_squares
        R, info = lapack.dpotrf(M)
    else:  # squaring the condition number would lose what is to be measured
        R = qr_triangle(np.concatenate([math.sqrt(x_squares) * U, residual_norm * np.eye(p)]))
        info = 0
    if info == 0:
        half, info = lapack.dtrtrs(R, g, trans=1)
    return float(np.sqrt(half @ half)) / (EPS * factor.norm) if info == 0 else math.inf


def error_bounds(factor: Factor, c: Vector, squares: float, unit: float) -> Vector:
    """Return bounds of the scaled unknowns' errors (p,) by roundings of relative size ``unit``.

    An error dr of the residual moves c by A^+ dr, an error dg of the gradient by (A'A)^-1 dg; row j
    of A^+ has the norm s_j of row j of the inverse triangle. So
    ``|dx_j| <= s_j (||dr|| + ||dg|| / sigma_min)`` with
    ``||dr|| <= unit (||y|| + sum_j ||a_j x_j||)`` and ``||dg|| <= unit ||A||_F ||r||``: Wedin's
    bound, kept apart for each unknown.
    """
    s = np.sqrt(np.einsum("ij,ij->i", factor.inverse, factor.inverse))
    x = c / factor.powers
    fitted = factor.triangle @ x
    y_norm = math.sqrt(squares + float(fitted @ fitted))
    residual = y_norm + float(np.abs(x).sum())
    bound: Vector = s * (unit * (residual + factor.norm * math.sqrt(squares) * factor.inverse_norm))
    return bound


def sizes(x: Vector, errors: Vector, r_norm: float) -> Vector:
    """Return the magnitude that each scaled unknown's error is relative to, (p,).

    An unknown that is zero but for rounding has no digits of its own: it is measured against the
    largest, and where all are zero against the target, which is the residual then. Only errors of
    double-double arithmetic are so small that zero can be told from a small number.
    """
    size = np.abs(x)
    zero = size <= errors
    top = r_norm if zero.all() else float(size.max())
    return np.where(zero & (errors <= NEGLIGIBLE * top), top, size)


def predicted_digits(size: Vector, errors: Vector) -> float:
    """Return the decimal digits of the least accurate unknown, between 0 and 15.95."""
    wrong = errors > 0.0
    if not wrong.any():
        return MOST_DIGITS
    if not size[wrong].all():
        return 0.0
    return min(MOST_DIGITS, max(0.0, -math.log10(float((errors[wrong] / size[wrong]).max()))))


def _ratio(values: npt.NDArray[Any], rank: int) -> float:
    """Return the largest over the rank-th singular value; 1 for rank 0, inf for a vanished one."""
    if rank == 0:
        return 1.0
    return float(values[0] / values[rank - 1]) if values[rank - 1] > 0.0 else math.inf


def _covariance_diagonal(small: Small) -> Vector:
    """Return the diagonal of (S A'A S)^-1, refined where A'A is known in double-double.

    ``Z += U^-1 U^-T (I - G Z)`` with the difference in double-double: each step leaves about
    eps * condition of the error, so four are enough up to condition 1e12.
    """
    inverse, powers = small.inverse, small.powers
    assert inverse is not None
    plain: Vector = np.einsum("ij,ij->i", inverse, inverse)
    unknowns = np.eye(len(powers) if small.gram is not None else 0, len(powers))
    if small.shift is not None:  # the bias is that of the shifted columns less shift'w
        units = np.ldexp(powers / powers[0], -small.exponents)
        bias = np.concatenate([[1.0], -small.shift * units[1:]])
        unknowns[:1], plain[0] = bias, np.square(bias @ inverse).sum()
    if small.gram is None:
        return plain
    G = [part * powers * powers[:, None] for part in small.gram]
    diagonal = np.empty(len(powers))
    for j in range(len(powers)):
        unit = unknowns[j]
        z = (inverse @ (inverse.T @ unit), np.zeros(len(powers)))
        for _ in range(4):
            product = dd.matvec(G[0], z, G[1])
            rest = (unit - product[0]) - product[1]
            z = dd.pair_add(z, (inverse @ (inverse.T @ rest), 0.0 * rest))
        diagonal[j] = unit @ z[0]
    return diagonal
