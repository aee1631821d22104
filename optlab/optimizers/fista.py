"""FISTA: accelerated proximal gradient descent, with adaptive restart."""

from __future__ import annotations

import math
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
class FISTA:
    r"""Accelerated proximal gradient descent for a smooth loss f and a penalty h.

    .. math::
        w_k = \mathrm{prox}_{h / L} \left( y_k - \tfrac{1}{L} \nabla f(y_k) \right), \quad
        t_{k+1} = \frac{1 + \sqrt{1 + 4 t_k^2}}{2}, \quad
        y_{k+1} = w_k + \frac{t_k - 1}{t_{k+1}} (w_k - w_{k-1})

    from :math:`y_1 = w_0, t_1 = 1`, on all data, with the problem's Lipschitz constant L, or one
    found by backtracking. The loss ends below :math:`2 L \lVert w_0 - w_* \rVert^2 / (k + 1)^2`
    above the least.

    Parameters
    ----------
    restart
        Whether the momentum is dropped (t = 1) where it points uphill,
        :math:`(y_k - w_k) \cdot (w_k - w_{k-1}) > 0`: convergence is then linear where the loss is
        strongly convex, with no constant to be known.

    See Also
    --------
    ProximalGradient : Without acceleration.
    CoordinateDescent : One coordinate at a time.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.FISTA(), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Beck and Teboulle, A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems
    (2009); O'Donoghue and Candes, Adaptive Restart for Accelerated Gradient Schemes (2015).
    """

    restart: bool = True
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.restart, bool):
            raise ValueError(f"restart must be True or False, not {self.restart!r}")

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the penalty has no proximal operator, or None."""
        return why_not_proximal("FISTA", problem)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step."""
        objective, w = Objective(problem, start), flatten(start)
        step = ProximalStep(objective)
        y, t = w, 1.0
        while True:
            w, before = step(y), w
            if self.restart and (y - w) @ (w - before) > 0:
                t = 1.0
            later = (1 + math.sqrt(1 + 4 * t * t)) / 2
            y = w + ((t - 1) / later) * (w - before)
            t = later
            yield objective.iterate(w)
