"""Make an iterate of a vector of parameters, with what residuals and Jacobians have cost."""

from __future__ import annotations

from torch import Tensor

from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.vector import unflatten


def least_squares_iterate(functions: ResidualFunctions, point: Tensor) -> Iterate:
    """Return an iterate with the cost so far.

    All residuals are a loss; a Jacobian is p gradients, as each of its columns costs a pass
    backward; a second derivative along a step is a Hessian product.
    """
    cost = Cost(
        losses=functions.residual_evaluations,
        gradients=len(point) * functions.jacobian_evaluations,
        hessian_products=functions.second_derivatives,
    )
    return Iterate(unflatten(point, functions.like), cost=cost)
