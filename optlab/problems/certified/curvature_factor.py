"""A triangular factor of a Hessian, with a bound on its error."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

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
        """Return ``R^-T S v`` (for v ``(p,)`` or ``(p, m)``), whose length is v's in the dual norm."""
        columns = self.scale[:, None] * vector.reshape(len(self.scale), -1)
        solved = torch.linalg.solve_triangular(self.R.T, columns, upper=False)
        return solved.reshape(vector.shape)

    def solve(self, vector: Tensor) -> Tensor:
        """Return ``(A'A)^-1 v``."""
        y = self.dual(vector)
        return self.scale * torch.linalg.solve_triangular(self.R, y[:, None], upper=True)[:, 0]

    def whitening(self) -> Tensor:
        """Return ``R^-T S`` itself."""
        return self.dual(torch.eye(len(self.scale), dtype=self.R.dtype))


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
    apart = float((B.T @ B - torch.eye(p, dtype=A.dtype)).norm()) + (m + 8) * EPS * size**2
    if not apart < 1.0:
        return None
    solves = (p + 8) * size * float((R.abs() @ inverse.abs()).norm())
    entries = 8 * float(scaled.norm()) * float(inverse.norm())
    floor = (1.0 - apart) ** 0.5 - EPS * (solves + entries)
    return Factor(R, scale, floor) if floor > LEAST else None
