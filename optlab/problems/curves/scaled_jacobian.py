"""The Gauss-Newton step of scaled columns, undamped or within a trust region."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor


@final
class ScaledJacobian:
    r"""Factor a Jacobian with scaled columns, and step by it.

    With :math:`A = J D^{-1}` and ``q = D s``, the step of damping :math:`\lambda` minimises

    .. math:: \lVert r + A q \rVert^2 + \lambda \lVert q \rVert^2 .

    ``[A r]`` is reduced to a triangle by QR, which squares no condition number; the triangle's
    singular values then give the step for any damping in ``p^2`` operations. All that is of size p
    is computed in float64 on the CPU, whatever the Jacobian's dtype and device.

    Parameters
    ----------
    jacobian, residual
        ``J (m, p)`` and ``r (m,)``, finite.
    scale
        The diagonal of D, ``(p,)``, positive.

    References
    ----------
    More, The Levenberg-Marquardt algorithm: implementation and theory (1978).
    """

    def __init__(self, jacobian: Tensor, residual: Tensor, scale: Tensor) -> None:
        p = jacobian.shape[1]
        triangle = torch.linalg.qr(
            torch.cat([jacobian / scale, residual[:, None]], 1), mode="r"
        ).R.to("cpu", torch.float64)
        U, values, Vt = torch.linalg.svd(triangle[:, :p], full_matrices=False)
        self.values: Tensor = values
        self.Vt: Tensor = Vt
        self.z: Tensor = U.T @ triangle[:, p]
        cut = torch.finfo(jacobian.dtype).eps * max(jacobian.shape)
        self.rank = self.values > cut * self.values[0]

    @property
    def reducible(self) -> float:
        """Reduction of ``||r||^2`` that the undamped step predicts."""
        return float(self.z[self.rank].square().sum())

    def most_reducible(self, radius: float) -> float:
        """Return a bound of the reduction of ``||r||^2`` by any step within a radius."""
        return 2 * radius * float((self.values * self.z).norm())

    def step(self, damping: float) -> Tensor:
        """Return the scaled step ``q (p,)``; of minimum norm where there is no damping."""
        step: Tensor = -(self.Vt.T @ (self._filter(damping) * self.z))
        return step

    def solve(self, right: Tensor, damping: float) -> Tensor:
        """Return ``-(A'A + damping I)^-1 right``, of minimum norm where there is no damping."""
        w = self._filter(damping)
        shrunk = w * w if damping == 0 else 1 / (self.values.square() + damping)
        solution: Tensor = -(self.Vt.T @ (shrunk * (self.Vt @ right)))
        return solution

    def predicted(self, damping: float) -> float:
        """Return the reduction of ``||r||^2`` that the linear model predicts for a step."""
        w = self._filter(damping) * self.z
        return float(((self.values * w).square() + 2 * damping * w.square()).sum())

    def damping(self, radius: float) -> float:
        """Return a damping whose step has a norm within 10 % of the radius; 0 where none is needed.

        Newton's iteration on ``1 / ||q|| - 1 / radius``, which is nearly linear in the damping,
        kept inside a shrinking interval.
        """
        values, z = self.values, self.z
        if float(self.step(0.0).norm()) <= 1.1 * radius:
            return 0.0
        low, high = 0.0, float((values * z).norm()) / radius
        damping = 1e-3 * high
        for _ in range(100):
            w = z * values / (values.square() + damping)
            norm = float(w.norm())
            if abs(norm - radius) <= 0.1 * radius:
                break
            low, high = (low, damping) if norm < radius else (damping, high)
            slope = float((w.square() / (values.square() + damping)).sum()) / norm
            newton = damping + (norm - radius) / radius * norm / slope
            damping = newton if low < newton < high else max(math.sqrt(low * high), 1e-3 * high)
        return damping

    def _filter(self, damping: float) -> Tensor:
        """Return ``sigma / (sigma^2 + damping)``, 0 for directions that have no rank."""
        if damping > 0:
            return self.values / (self.values.square() + damping)
        return torch.where(self.rank, 1 / self.values, 0.0)


def column_norms(jacobian: Tensor) -> Tensor:
    """Return the norms of the columns, ``(p,)``, 1 for a column of zeros."""
    norms = jacobian.norm(dim=0)
    return torch.where(norms > 0, norms, 1.0)
