"""A triangular factor of a Hessian, with a bound on its error."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from optlab.linalg.cross_product import cross_product

EPS = 2.0**-52
LEAST = 0.5  # of the proven least singular value of A R^-1, which is 1 but for rounding


class Factor(NamedTuple):
    """``S^-1 R'R S^-1``, which stands for ``A'A`` of rows A; S scales columns by powers of two.

    ``floor`` is proven: ``A'A`` is at least ``floor**2`` times the factored matrix.
    """

    R: Tensor
    scale: Tensor
    floor: float

    def dual(self, vector: Tensor) -> Tensor:
        """Return ``R^-T S v``, as long as v ``(p,)`` or ``(p, m)`` is in the dual norm."""
        columns = self.scale[:, None] * (vector if vector.ndim == 2 else vector[:, None])
        solved: Tensor = torch.linalg.solve_triangular(self.R.T, columns, upper=False)
        return solved.reshape(vector.shape)

    def solve(self, vector: Tensor) -> Tensor:
        """Return ``(A'A)^-1 v``."""
        y = self.dual(vector)[:, None]
        solved: Tensor = torch.linalg.solve_triangular(self.R, y, upper=True)
        return self.scale * solved[:, 0]

    def whitening(self) -> Tensor:
        """Return ``R^-T S`` itself."""
        return self.dual(torch.eye(len(self.scale), dtype=self.R.dtype))


def gram_factored(H: Tensor, rows: int) -> Factor | None:
    r"""Return a Cholesky factor of ``H = A'A`` of so many rows, or None where that loses digits.

    With columns scaled, entries of H err by at most ``2 (m + 20) eps``. The triangular solves of
    ``C = R^-T S H S R^-1`` have relative errors w, of ``p eps || |R| |R^-1| ||``, twice, so that

    .. math:: \sigma_{\min}(A S R^{-1})^2 \ge 1 - \lVert C - I \rVert_F
        - 3 w \lVert C \rVert_F - 2 p (m + 20) \epsilon \lVert R^{-1} \rVert_F^2
    """
    p = len(H)
    diagonal = H.diagonal()
    if p == 0 or not bool((diagonal > 0).all() & diagonal.isfinite().all()):
        return None
    scale = torch.exp2(-diagonal.sqrt().log2().round())
    scaled = H * scale * scale[:, None]
    lower, info = torch.linalg.cholesky_ex(scaled)
    if info:
        return None
    unit = torch.eye(p, dtype=H.dtype)
    R = lower.T.contiguous()
    inverse = torch.linalg.solve_triangular(R, unit, upper=True)
    half = torch.linalg.solve_triangular(lower, scaled, upper=False)
    C = torch.linalg.solve_triangular(R, half, upper=True, left=False)
    solves = (p + 8) * EPS * float((R.abs() @ inverse.abs()).norm())
    entries = 2 * p * (rows + 20) * EPS * float(inverse.norm()) ** 2
    square = 1.0 - float((C - unit).norm()) - 3 * solves * float(C.norm()) - entries
    return Factor(R, scale, square**0.5) if square > 0.9 else None


def factored(A: Tensor) -> Factor | None:
    r"""Return a factor of ``A'A``, or None where A has no full column rank to working precision.

    With ``B = A S R^-1`` as computed, by triangular solves whose rows err by at most
    ``p eps |b| |R| |R^-1|`` (Higham, theorem 8.5), and ``B'B`` by a product that errs by at most
    ``m eps ||B||**2``,

    .. math:: \sigma_{\min}(A S R^{-1}) \ge \sqrt{1 - \lVert B'B - I \rVert_F - m \epsilon
        \lVert B \rVert_F^2} - p \epsilon \lVert B \rVert_F \, \lVert |R| |R^{-1}| \rVert_F

    whatever R is: no assumption on how it was computed enters. Entries of A that err by 8 eps
    themselves take off ``8 eps ||A S|| ||R^-1||``.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), sections 3.5 and 8.1.
    """
    m, p = A.shape
    if p == 0:
        empty = A.new_zeros((0, 0))
        return Factor(empty, A.new_zeros(0), 1.0)
    norms = A.norm(dim=0)
    if m < p or not bool((norms > 0).all()) or not bool(norms.isfinite().all()):
        return None
    scale = torch.exp2(-norms.log2().round())
    scaled = A * scale
    R = torch.linalg.qr(scaled, mode="r").R
    diagonal = R.diagonal().abs()
    if float(diagonal.min()) <= EPS * p * float(diagonal.max()):
        return None
    B = torch.linalg.solve_triangular(R, scaled, upper=True, left=False)
    inverse = torch.linalg.solve_triangular(R, torch.eye(p, dtype=A.dtype), upper=True)
    size = float(B.norm())
    apart = float((cross_product(B) - torch.eye(p, dtype=A.dtype)).norm()) + (m + 8) * EPS * size**2
    if not apart < 1.0:
        return None
    solves = (p + 8) * size * float((R.abs() @ inverse.abs()).norm())
    entries = 8 * float(scaled.norm()) * float(inverse.norm())
    floor = (1.0 - apart) ** 0.5 - EPS * (solves + entries)
    return Factor(R, scale, floor) if floor > LEAST else None
