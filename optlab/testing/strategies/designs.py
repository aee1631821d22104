"""Designs with given singular values, made of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Design:
    r"""A design matrix :math:`X = \sqrt{n}\, U S V^T` of given shape, rank and condition number.

    U and V are random orthonormal columns; the singular values fall from :math:`\sqrt{n}` to
    :math:`\sqrt{n} / k` in equal ratios: :math:`X^T X / n` has the eigenvalues 1 to
    :math:`1 / k^2`.

    Parameters
    ----------
    n, d
        Rows and columns.
    rank
        At least 1 and at most the smaller of both.
    condition
        The ratio k of the largest and the least singular value that is not 0, at least 1.
    seed
        Of U, V and all other draws.

    Examples
    --------
    >>> X = Design(n=5, d=3, rank=2, condition=10.0, seed=0).X
    >>> X.shape, int(np.linalg.matrix_rank(X))
    ((5, 3), 2)
    >>> values = np.linalg.svd(X, compute_uv=False)
    >>> round(float(values[0] / values[1]), 6)
    10.0
    """

    n: int
    d: int
    rank: int
    condition: float = 1.0
    seed: int = 0

    @property
    def X(self) -> Array:  # noqa: N802 - the field's name for the design matrix
        """The matrix, ``(n, d)``, float64."""
        draw = np.random.default_rng(self.seed)
        left = np.linalg.qr(draw.normal(size=(self.n, self.rank))).Q
        right = np.linalg.qr(draw.normal(size=(self.d, self.rank))).Q
        values = np.geomspace(1.0, 1.0 / self.condition, self.rank)
        X: Array = np.sqrt(self.n) * (left * values) @ right.T
        return X

    def draws(self) -> np.random.Generator:
        """Return a generator of all other draws, apart from those of the matrix."""
        return np.random.default_rng([self.seed, 1])

    def __str__(self) -> str:
        return (
            f"n={self.n} d={self.d} rank={self.rank} condition={self.condition:g} seed={self.seed}"
        )


@st.composite
def designs(
    draw: st.DrawFn,
    *,
    min_rows: int = 1,
    max_rows: int = 12,
    max_columns: int = 4,
    max_condition: float = 1e4,
    full_rank: bool = False,
) -> Design:
    """Strategy of `Design`: n < d and ranks below both too, unless only full rank is asked for.

    Parameters
    ----------
    min_rows, max_rows, max_columns
        Bounds of n and d.
    max_condition
        The largest condition number; those drawn are powers of 10.
    full_rank
        Whether the rank is the smaller of n and d.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(designs(), lambda design: design.rank < min(design.n, design.d))
    Design(n=2, d=2, rank=1, condition=1.0, seed=0)
    """
    n = draw(st.integers(min_rows, max_rows))
    d = draw(st.integers(1, max_columns))
    most = min(n, d)
    missing = 0 if full_rank else draw(st.integers(0, most - 1))
    powers = [10.0**k for k in range(20) if 10.0**k <= max_condition]
    condition = draw(st.sampled_from(powers)) if most - missing > 1 else 1.0
    return Design(n, d, most - missing, condition, draw(st.integers(0, 2**16)))
