"""Cyclic coordinate descent for linear models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.optimizers.rows import weighted_slope, why_unbounded
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import IsLinearModel, has


@dataclass(frozen=True)
class CoordinateDescent:
    r"""Cyclic coordinate descent for a linear model with an l1 or l2 penalty, or none.

    For the intercept, then each weight j in turn, the minimiser of a quadratic upper bound:

    .. math::
        w_j \leftarrow \mathrm{prox}_{l_1 |\cdot| / L_j}
        \left( w_j - \frac{\partial_j f(w)}{L_j} \right), \quad
        L_j = \frac{c}{n} \sum_i u_i x_{ij}^2 + l_2

    where f is the smooth part and c the largest second derivative of the loss: 2 for squared error,
    whose bound is the loss itself, so that each step is exact; 1/4 for the log loss. An iteration
    is one pass over all coordinates, and costs about one gradient.

    See Also
    --------
    FISTA : All coordinates at once.
    SDCA : Coordinates of the dual.

    Examples
    --------
    >>> import optlab as ol
    >>> data = ol.datasets.diabetes().standardized()
    >>> problem = ol.LinearRegression.from_dataset(data, l2=0.1)
    >>> ol.minimize(problem, ol.CoordinateDescent(), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Friedman, Hastie and Tibshirani, Regularization Paths for Generalized Linear Models via
    Coordinate Descent (2010); Tseng and Yun, A coordinate gradient descent method for nonsmooth
    separable minimization (2009).
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    needs: ClassVar[tuple[type, ...]] = (IsLinearModel,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that there are several outputs, or that the loss is not smooth enough, or None."""
        assert has(problem, IsLinearModel)
        if problem.loss_function.outputs:
            return "CoordinateDescent is for models of one output, and this one has several"
        return why_unbounded("CoordinateDescent", problem)

    def stable_growth(self) -> float:
        """Return 1: no step increases the loss."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each pass over the coordinates."""
        assert has(problem, IsLinearModel)
        data, penalty, c = problem.data, problem.penalty, problem.loss_function.steepest
        columns = data.X.T.contiguous()  # a coordinate's entries side by side in memory
        weight = torch.ones_like(data.X[:, 0]) if data.weight is None else data.weight
        curvature = (c / len(weight) * (columns.square() @ weight) + penalty.l2).tolist()
        point, passes = dict(start), 0
        while True:
            # Anew in each pass, so that the rounding of its updates does not add up.
            eta = problem.linear_predictor(point)
            if problem.fit_intercept:
                change = -weighted_slope(problem, eta, data).mean() / (c * weight.mean())
                point["bias"] = point["bias"] + change
                eta = eta + change
            w = point["weight"].clone()
            for j, (column, bound) in enumerate(zip(columns, curvature, strict=True)):
                slope = column @ weighted_slope(problem, eta, data) / len(weight)
                new = _minimiser(w[j], slope + penalty.l2 * w[j], bound, penalty)
                eta = torch.addcmul(eta, column, new - w[j])
                w[j] = new
            point["weight"] = w
            passes += 1
            yield Iterate(dict(point), cost=Cost(gradients=passes))


def _minimiser(w: Tensor, slope: Tensor, bound: float, penalty: Any) -> Tensor:
    """Return the minimiser of the quadratic bound of one coordinate plus its l1 penalty."""
    if bound == 0:  # a column of zeros: the penalty alone decides
        return torch.zeros_like(w) if penalty.l1 else w
    new: Tensor = penalty.proximal(w - slope / bound, 1 / bound)
    return new
