"""Steepest descent with exact line search, for quadratic losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasCurvature, is_quadratic
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class ExactLineSearch:
    r"""Steepest descent with exact line search, for squared error and other quadratics.

    .. math:: w \leftarrow w - \eta \, g, \quad
        \eta = \arg\min_\eta f(w - \eta g) = \frac{g \cdot g}{g \cdot H g}

    with the gradient :math:`g` and the Hessian :math:`H` of the loss on all data. The suboptimality
    shrinks at least by :math:`((\kappa - 1) / (\kappa + 1))^2` an iteration, :math:`\kappa` the
    Hessian's condition number.

    See Also
    --------
    BarzilaiBorwein, PolyakStep : Other steps without a learning rate.
    CGLS : Conjugate directions for the same problems.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> ol.minimize(problem, ol.ExactLineSearch(), epochs=5000, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Cauchy (1847); Nocedal and Wright, Numerical Optimization (2006), section 3.3.
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (HasCurvature,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the loss is no quadratic, whose exact step the formula is, or None."""
        if is_quadratic(problem):
            return None
        return "the exact step of ExactLineSearch is that of a quadratic, which this loss is not"

    def stable_growth(self) -> float:
        """Return 1: no step increases the loss."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step."""
        objective, w = Objective(problem, start), flatten(start)
        while True:
            g = objective.gradient(w)
            curvature = g @ objective.hessian_product(w, g)
            # At the minimum both are 0, and the step is none.
            w = w - torch.where(curvature > 0, g @ g / curvature, 0.0) * g
            yield objective.iterate(w)
