"""LSQR: least squares by Golub and Kahan's bidiagonalisation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasLeastSquares, has


@dataclass(frozen=True)
class LSQR:
    r"""LSQR, least squares by bidiagonalisation, one iterate an iteration.

    In exact arithmetic the iterates of `optlab.CGLS`; in floating point they keep more digits where
    A is ill-conditioned. From :math:`\beta u = b - A x, \; \alpha v = A^T u, \; w = v`:

    .. math::
        \beta u \leftarrow A v - \alpha u, \quad \alpha v \leftarrow A^T u - \beta v

    and a rotation of the bidiagonal matrix gives the step along :math:`w`. The same as
    `scipy.sparse.linalg.lsqr` with ``x0`` and no tolerances, whose iterations cannot be seen from
    outside; ours are torch's, so they run on every device. A is the centred design, with rows for
    an l2 penalty. An iteration costs a product with A and one with its transpose, counted as one
    Hessian product.

    See Also
    --------
    CGLS : The same iterates by conjugate gradients.
    Lstsq : A direct method.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes())
    >>> ol.minimize(problem, ol.LSQR(), epochs=100, stop_at=1e-12).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Paige and Saunders, LSQR: An Algorithm for Sparse Linear Equations and Sparse Least Squares
    (1982), section 4.
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (HasLeastSquares,)

    def stable_growth(self) -> float:
        """Return 1: no iteration increases the loss."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each iteration; the last one again once it is exact."""
        assert has(problem, HasLeastSquares)
        A, b, to_parameters = problem.as_least_squares()
        x = start["weight"]
        u, beta = _normalised(b - A @ x)
        v, alpha = _normalised(A.T @ u)
        w, phi, rho_bar = v, beta, alpha
        products = 1
        while True:
            if alpha > 0:  # else the minimum is reached, and v is no direction
                u, beta = _normalised(A @ v - alpha * u)
                v, alpha = _normalised(A.T @ u - beta * v)
                rho = math.hypot(rho_bar, beta)
                c, s = rho_bar / rho, beta / rho
                theta, rho_bar, phi, step = s * alpha, -c * alpha, s * phi, c * phi
                x = x + (step / rho) * w
                w = v - (theta / rho) * w
                products += 1
            yield Iterate(to_parameters(x), cost=Cost(hessian_products=products))


def _normalised(vector: Tensor) -> tuple[Tensor, float]:
    """Return a vector over its norm, and the norm; zero stays zero."""
    norm = float(torch.linalg.vector_norm(vector))
    return (vector / norm if norm > 0 else vector), norm
