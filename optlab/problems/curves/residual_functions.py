"""The residuals of a problem as functions of one vector, with their evaluations counted."""

from __future__ import annotations

from typing import final

from torch import Tensor

from optlab.problems.capabilities import HasResiduals
from optlab.problems.curves.derivatives import second_derivative
from optlab.problems.problem import Parameters
from optlab.problems.vector import unflatten


@final
class ResidualFunctions:
    """Residuals and their derivatives as functions of the vector ``(p,)`` of parameters.

    Parameters
    ----------
    problem
        Any problem whose loss is a mean of squared residuals.
    like
        Parameters of the problem, which give names and shapes.
    """

    def __init__(self, problem: HasResiduals, like: Parameters) -> None:
        self.problem = problem
        self.like = like
        self.residual_evaluations = self.jacobian_evaluations = self.second_derivatives = 0

    def residuals(self, point: Tensor) -> Tensor:
        """Return the residuals ``(m,)``."""
        self.residual_evaluations += 1
        return self.problem.residuals(unflatten(point, self.like)).detach()

    def jacobian(self, point: Tensor) -> Tensor:
        """Return the Jacobian ``(m, p)``."""
        self.jacobian_evaluations += 1
        return self.problem.jacobian(unflatten(point, self.like)).detach()

    def acceleration(self, point: Tensor, step: Tensor) -> Tensor:
        """Return the second derivative of the residuals along a step, ``(m,)``."""
        self.second_derivatives += 1

        def residuals(at: Tensor) -> Tensor:
            return self.problem.residuals(unflatten(at, self.like))

        return second_derivative(residuals, point, step)
