"""A proximal gradient step, with its size known or found by backtracking."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from optlab.optimizers.objective import Objective
from optlab.problems import Problem
from optlab.problems.capabilities import HasLipschitz, HasProximal, has, is_smooth


@final
class ProximalStep:
    r"""The map :math:`y \mapsto \mathrm{prox}_{h / L}(y - \nabla f(y) / L)` with a constant L.

    L is the problem's Lipschitz constant where that is known and finite. Else it begins as the
    curvature of :math:`f` along the first gradient and is doubled until

    .. math:: f(x) \le f(y) + \nabla f(y) \cdot (x - y) + \tfrac{L}{2} \lVert x - y \rVert^2

    and it never falls, as FISTA asks.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        problem = objective.problem
        known = problem.lipschitz() if has(problem, HasLipschitz) else math.inf
        self.backtracks = not math.isfinite(known)
        self.constant = 0.0 if self.backtracks else known

    def __call__(self, y: Tensor) -> Tensor:
        """Return the point after the step from y."""
        g = self.objective.smooth_gradient(y)
        if not self.backtracks:
            return self._to(y, g) if self.constant > 0 else y
        self.constant = self.constant or self.objective.curvature(y, g)
        loss = self.objective.smooth_loss(y)
        slack = 4 * torch.finfo(y.dtype).eps * abs(loss)  # the rounding of a loss
        for _ in range(100):
            x = self._to(y, g)
            d = x - y
            most = loss + g @ d + self.constant / 2 * (d @ d)
            if self.objective.smooth_loss(x) <= most + slack:
                return x
            self.constant *= 2
        return y

    def _to(self, y: Tensor, g: Tensor) -> Tensor:
        return self.objective.proximal(y - g / self.constant, 1 / self.constant)


def why_not_proximal(name: str, problem: Problem) -> str | None:
    """Say that a loss has kinks and no proximal operator for them, or None."""
    if is_smooth(problem) or has(problem, HasProximal):
        return None
    return f"{name} needs a loss without kinks, or a penalty with a proximal operator"
