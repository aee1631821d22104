"""Proximal gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.proximal_step import ProximalStep, why_not_proximal
from optlab.problems import Parameters, Problem
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class ProximalGradient:
    r"""Proximal gradient descent (ISTA for the lasso) for a smooth loss f and a penalty h.

    .. math:: w \leftarrow \mathrm{prox}_{h / L} \left( w - \tfrac{1}{L} \nabla f(w) \right), \quad
        \mathrm{prox}_h(z) = \arg\min_w \, h(w) + \tfrac{1}{2} \lVert w - z \rVert^2

    on all data, with the problem's Lipschitz constant L, or one found by backtracking. Without a
    penalty that has kinks it is gradient descent with step size 1 / L.

    See Also
    --------
    FISTA : Accelerated.
    CoordinateDescent : One coordinate at a time.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.ProximalGradient(), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Daubechies, Defrise and De Mol, An iterative thresholding algorithm for linear inverse problems
    with a sparsity constraint (2004); Beck and Teboulle, A Fast Iterative Shrinkage-Thresholding
    Algorithm for Linear Inverse Problems (2009), section 3.
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the penalty has no proximal operator, or None."""
        return why_not_proximal("ProximalGradient", problem)

    def stable_growth(self) -> float:
        """Return 1: no step increases the loss."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step."""
        objective, w = Objective(problem, start), flatten(start)
        step = ProximalStep(objective)
        while True:
            w = step(w)
            yield objective.iterate(w)
