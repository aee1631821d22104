"""Compiled passes over the rows of ``[1 X | y]`` on the CPU. Importing this file imports numba.

Only :mod:`optlab.linalg.passes` imports it, and only for large problems: numba takes half a second
to load, and some ten seconds to compile these kernels the first time on a machine (then it keeps
them on disk). Every kernel releases the GIL and works on one range of rows, so that ranges can run
in threads; sums of ranges are added in a fixed order, so the bits do not depend on the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from optlab.linalg.row_blocks import Vector

ROWS = 32  # rows worked on together: their sums fill the vector registers and the cache


def _fma_intrinsic(_context: Any, _a: Any, _b: Any, _c: Any) -> tuple[Any, Callable[..., Any]]:
    """Emit ``a * b + c`` rounded once: one instruction where there is one, else libm's ``fma``."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


fma: Any = intrinsic(_fma_intrinsic)


def _two_sum(a: float, b: float) -> tuple[float, float]:
    """Return ``a + b`` and its rounding error, exactly."""
    s = a + b
    z = s - a
    return s, (a - (s - z)) + (b - z)


two_sum: Any = numba.njit(_two_sum, inline="always")


def _column_sums(X: Vector, y: Vector, ones: Vector, products: Vector, sums: Vector) -> None:
    """Add ``X'1`` to ``ones``, ``X'y`` to ``products`` and ``[1'y, y'y]`` to ``sums``."""
    n, d = X.shape
    for i in range(n):
        sums[0] += y[i]
        sums[1] += y[i] * y[i]
        for j in range(d):
            ones[j] += X[i, j]
            products[j] += X[i, j] * y[i]


def _residual_gradient(
    X: Vector, y: Vector, bias: float, w: Vector, gradient: Vector, sums: Vector
) -> None:
    """Add ``X'r`` to ``gradient`` and ``[1'r, r'r]`` to ``sums``, where ``r = y - X w - bias``."""
    n, d = X.shape
    total = 0.0
    squares = 0.0
    for i in range(n):
        product = 0.0
        for j in range(d):
            product += X[i, j] * w[j]
        r = (y[i] - bias) - product
        total += r
        squares += r * r
        for j in range(d):
            gradient[j] += X[i, j] * r
    sums[0] += total
    sums[1] += squares


def _accurate_residual_gradient(
    X: Vector,
    y: Vector,
    bias: Vector,
    w_high: Vector,
    w_low: Vector,
    high: Vector,
    low: Vector,
    sums: Vector,
) -> None:
    """Add ``X'r`` to the pair ``(high, low)``, with ``r = y - X w - bias``, in double-double.

    ``bias`` is a pair; ``sums`` takes ``1'r`` (a pair, in 0 and 1) and ``r'r`` (a pair, 2 and 3).
    The errors of the products come from ``fma``, those of the sums from Knuth's two-sum; the errors
    are added up in working precision (Dot2 of Ogita, Rump and Oishi, 2005).
    """
    n, d = X.shape
    columns = np.empty((d, ROWS))  # the block transposed: all loops below run over neighbours
    s = np.empty(ROWS)
    c = np.empty(ROWS)
    for start in range(0, n, ROWS):
        m = min(ROWS, n - start)
        for i in range(m):
            for j in range(d):
                columns[j, i] = X[start + i, j]
            s[i], error = two_sum(y[start + i], -bias[0])
            c[i] = error - bias[1]
        for j in range(d):
            wh = -w_high[j]
            wl = -w_low[j]
            for i in range(m):
                a = columns[j, i]
                p = a * wh
                s[i], error = two_sum(s[i], p)
                c[i] += error + fma(a, wl, fma(a, wh, -p))
        for i in range(m):
            rh = s[i] + c[i]
            rl = c[i] - (rh - s[i])
            sums[0], error = two_sum(sums[0], rh)
            sums[1] += error + rl
            p = rh * rh
            sums[2], error = two_sum(sums[2], p)
            sums[3] += error + (fma(rh, rh, -p) + 2.0 * rh * rl)
            for j in range(d):
                a = X[start + i, j]
                p = a * rh
                high[j], error = two_sum(high[j], p)
                low[j] += error + fma(a, rl, fma(a, rh, -p))


def _compile(function: Callable[..., None], signature: Any, **options: Any) -> Callable[..., None]:
    """Return the function compiled, kept on disk where the folder can be written to."""
    try:
        made: Callable[..., None] = numba.njit(signature, cache=True, nogil=True, **options)(
            function
        )
    except RuntimeError:  # no place for a cache: compile in every process
        made = numba.njit(signature, nogil=True, **options)(function)
    return made


# Data may be read-only (memory-mapped files); "C" is the order of rows, one after the other.
_matrix = types.Array(types.float64, 2, "C", readonly=True)
_vector = types.Array(types.float64, 1, "C", readonly=True)
_sums = types.Array(types.float64, 1, "C")

# A plain working-precision sum may be taken in any order; the double-double one may not.
column_sums = _compile(
    _column_sums,
    types.void(_matrix, _vector, _sums, _sums, _sums),
    fastmath={"reassoc", "contract", "nsz"},
)
residual_gradient = _compile(
    _residual_gradient,
    types.void(_matrix, _vector, types.float64, _vector, _sums, _sums),
    fastmath={"reassoc", "contract", "nsz"},
)
accurate_residual_gradient = _compile(
    _accurate_residual_gradient,
    types.void(_matrix, _vector, _vector, _vector, _vector, _sums, _sums, _sums),
)
