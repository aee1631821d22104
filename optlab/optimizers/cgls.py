"""Conjugate gradients for least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasLeastSquares, has


@dataclass(frozen=True)
class CGLS:
    r"""Conjugate gradients on the normal equations, without forming them.

    For :math:`\min \lVert A x - b \rVert`, from :math:`r = b - A x, s = p = A^T r`:

    .. math::
        q = A p, \quad \alpha = \frac{p \cdot s}{\lVert q \rVert^2}, \quad
        x \leftarrow x + \alpha p, \quad r \leftarrow r - \alpha q, \quad
        s_+ = A^T r, \quad p \leftarrow s_+ + \frac{\lVert s_+ \rVert^2}{\lVert s \rVert^2} p

    In exact arithmetic :math:`p \cdot s = \lVert s \rVert^2`; in floating point the former goes to
    the least residual along p, so that iterations after the last digit do no harm.

    A is the centred design, with rows for an l2 penalty: the intercept follows from the weights. In
    exact arithmetic at most as many iterations are needed as A has distinct singular values. Each
    costs a product with A and one with its transpose, counted as one Hessian product.

    See Also
    --------
    LSQR : The same iterates by bidiagonalisation.
    Lstsq : A direct method.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes())
    >>> ol.minimize(problem, ol.CGLS(), epochs=100, stop_at=1e-12).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Hestenes and Stiefel, Methods of Conjugate Gradients for Solving Linear Systems (1952), section
    10; Bjorck, Numerical Methods for Least Squares Problems (1996), section 7.4.
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (HasLeastSquares,)

    def stable_growth(self) -> float:
        """Return 1: no iteration increases the loss."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each iteration; the last ones again once they are exact."""
        assert has(problem, HasLeastSquares)
        A, b, to_parameters = problem.as_least_squares()
        x = start["weight"]
        r = b - A @ x
        s = p = A.T @ r
        square = s @ s
        products = 1
        while True:
            q = A @ p
            # Where the gradient is 0, the start was the minimum.
            along = q @ q
            alpha = torch.where(along > 0, p @ s / along, 0.0)
            x = x + alpha * p
            r = r - alpha * q
            s = A.T @ r
            square, before = s @ s, square
            p = s + torch.where(before > 0, square / before, 0.0) * p
            products += 1
            yield Iterate(to_parameters(x), cost=Cost(hessian_products=products))
