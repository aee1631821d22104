"""The rounding error of a curve's residuals, to first order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from optlab.problems.problem import Parameters
from optlab.problems.vector import flatten

if TYPE_CHECKING:
    from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares


def rounded_size(
    problem: NonlinearLeastSquares, parameters: Parameters, jacobian: Tensor
) -> Tensor:
    """Return ``|J| |p| + |y|``, ``(n,)``: times eps it is about the rounding of the residuals.

    Rounding the parameters alone moves the prediction by ``eps |J| |p|``; the operations of a model
    that loses no digits by itself move it by little more, and by eps times the prediction.
    """
    target = problem.y.abs()
    if problem.row_weight is not None:
        target = problem.row_weight.sqrt() * target
    return jacobian.abs() @ flatten(parameters).abs() + target
