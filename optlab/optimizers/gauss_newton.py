"""Gauss-Newton with a line search, for nonlinear least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.least_squares_iterate import least_squares_iterate
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasResiduals, has
from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.curves.scaled_jacobian import ScaledJacobian, column_norms
from optlab.problems.curves.trust_region import LeastSquaresPoint
from optlab.problems.rounding_floor import RoundingFloor
from optlab.problems.vector import flatten

_SUFFICIENT = 1e-4
_MOST_HALVINGS = 60


@dataclass(frozen=True)
class GaussNewton:
    r"""Gauss-Newton with a line search: linear least squares, again and again.

    .. math:: p \leftarrow p + t s, \quad s = \arg\min_s \lVert r + J s \rVert

    with r the residuals and J their Jacobian; t is the first of 1, 1/2, 1/4, ... whose sum of
    squares falls by at least 1e-4 of what its slope promises (Armijo). The step is that of minimum
    norm, in units of J's columns, where J has lost its rank. Near a minimum of small residuals the
    convergence is quadratic; where the residuals are large it is linear, and may fail.

    Each iterate is a step that was taken. A Jacobian counts as p gradients.

    See Also
    --------
    LevenbergMarquardt : Damped, for steps that are too long.
    ScipyLeastSquares : scipy's methods.

    Examples
    --------
    >>> import optlab as ol
    >>> dataset = ol.datasets.nist_nonlinear("Misra1a")
    >>> problem = ol.NonlinearLeastSquares.from_dataset(dataset, start=2)
    >>> solution = ol.minimize(problem, ol.GaussNewton())
    >>> round(solution.parameters["b1"].item(), 6)
    238.942129

    References
    ----------
    Nocedal and Wright, Numerical Optimization (2006), section 10.3.
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type[Any], ...]] = (HasResiduals,)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step, until rounding lets none go further down."""
        assert has(problem, HasResiduals)
        functions = ResidualFunctions(problem, start)
        here = LeastSquaresPoint(functions, flatten(start))
        floor, stays = RoundingFloor(), True
        while here.is_finite and not floor.reached:
            scale = column_norms(here.jacobian)
            scaled = ScaledJacobian(here.jacobian, here.residual, scale)
            floor.see(scaled.reducible)
            if here.is_lost(scaled.reducible):
                floor.miss()
            step = scaled.step(0.0).to(scale.device, scale.dtype) / scale
            reached = _line_search(here, step)
            if reached is None:
                break
            here, stays = reached, False
            yield least_squares_iterate(functions, here.point)
        if stays:
            yield least_squares_iterate(functions, here.point)


def _line_search(here: LeastSquaresPoint, step: Tensor) -> LeastSquaresPoint | None:
    """Return the first point of the halved steps with a sufficient reduction, or None."""
    slope = -2 * float(here.slope @ step)
    length = 1.0
    for _ in range(_MOST_HALVINGS):
        reached = LeastSquaresPoint(here.functions, here.point + length * step)
        if torch.equal(reached.point, here.point):
            return None
        if torch.isfinite(reached.residual).all():
            promised = length * slope
            enough = here.reduction(reached, promised) >= _SUFFICIENT * promised
            if enough and reached.is_finite:
                return reached
        length /= 2
    return None
