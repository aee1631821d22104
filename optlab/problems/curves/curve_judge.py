"""Evaluate a point of a curve fit against its reference; the clock does not run meanwhile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optlab.linalg.cross_product import cross_product
from optlab.problems.capabilities import loss_and_gradient
from optlab.problems.curves.rounded_size import rounded_size
from optlab.problems.problem import Evaluation, Parameters, Reference
from optlab.problems.vector import flatten, unflatten

if TYPE_CHECKING:
    from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares

_EPS = torch.finfo(torch.float64).eps
_MOST_DIGITS = 15.0
"""The most digits that are counted, as NIST does."""


class CurveJudge:
    """Evaluate points in float64 on the CPU: see `NonlinearLeastSquares.evaluate`.

    Parameters
    ----------
    problem
        The problem, float64 on the CPU.
    reference
        Its reference, with parameters.
    """

    def __init__(self, problem: NonlinearLeastSquares, reference: Reference) -> None:
        assert reference.parameters is not None
        self.problem, self.reference = problem, reference
        self.minimiser = flatten(reference.parameters)
        self.residual = problem.residuals(reference.parameters)
        jacobian = problem.jacobian(reference.parameters)
        self.jacobian = jacobian
        n = len(self.residual)
        # What the Hessian has beyond Gauss-Newton's part, which is summed without cancellation.
        self.rest = problem.hessian(reference.parameters) - 2 / n * cross_product(jacobian)
        moved = rounded_size(problem, reference.parameters, jacobian)
        self.noise = float(4 * _EPS * moved.norm() * self.residual.norm()) / n

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return what is known of a point."""
        point = flatten(parameters).detach().to("cpu", torch.float64)
        named = unflatten(point, self.problem.starts[0])
        loss, gradient = loss_and_gradient(self.problem, named)
        distance = point - self.minimiser
        norm = float(self.minimiser.norm())
        return Evaluation(
            loss=float(loss),
            suboptimality=self._suboptimality(named, distance),
            gradient_norm=float(flatten(gradient).norm()),
            parameter_error=float(distance.norm()) / (norm or 1.0),
            more={"correct_digits": self._correct_digits(distance)},
        )

    def _suboptimality(self, parameters: Parameters, distance: Tensor) -> float:
        """Return the loss above the reference's, to most digits far away and near by.

        The difference of the squares is good to ``noise``. The quadratic form takes over where
        that would be 1e-6 of it: there the cubic terms are some 1e-3 times the square root, or
        less, of what rounding is of the loss.
        """
        residual = self.problem.residuals(parameters)
        plain = float(((residual - self.residual) * (residual + self.residual)).mean())
        along = self.jacobian @ distance
        form = float(along.square().mean() + distance @ self.rest @ distance / 2)
        return form if max(abs(form), abs(plain)) <= 1e6 * self.noise else plain

    def _correct_digits(self, distance: Tensor) -> float:
        """Return the correct decimal digits of the worst parameter, 0 to 15."""
        size = self.minimiser.abs()
        worst = float((distance.abs() / torch.where(size > 0, size, 1.0)).max())
        if not math.isfinite(worst):
            return 0.0
        digits = -math.log10(worst) if worst > 0 else _MOST_DIGITS
        return min(_MOST_DIGITS, max(0.0, digits))
