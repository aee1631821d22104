"""SDCA: stochastic dual coordinate ascent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.optimizers.rows import row_batches, row_curvature, slopes, take, why_unbounded
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import IsLinearModel, has
from optlab.problems.row_weights import times


@dataclass(frozen=True)
class SDCA:
    r"""Stochastic dual coordinate ascent for a linear model with an l2 penalty (and l1 or none).

    Each row i has a dual number :math:`\alpha_i`, and the weights follow from all of them:

    .. math::
        w = \tfrac{1}{l_2} \mathrm{prox}_{l_1 \lVert \cdot \rVert_1}(v), \quad
        v = \tfrac{1}{n} \sum_i \alpha_i x_i, \qquad
        \alpha_i \leftarrow \alpha_i + s_i (-\varphi_i'(x_i \cdot w) - \alpha_i), \quad
        s_i = \left( 1 + \frac{|B| \, c_i}{n \, l_2} \right)^{-1}

    for the rows of each mini-batch B at once, where :math:`\varphi_i` is the row's loss times its
    weight and :math:`c_i` the largest curvature of it along :math:`x_i`. There is no learning rate
    to choose. With one row a batch and squared error each step maximises the dual exactly in its
    coordinate. The dual numbers begin where the weights are the start's, as near to the negative
    slopes as that allows.

    See Also
    --------
    SAGA, SVRG : On the primal.
    CoordinateDescent : Coordinates of the primal.

    Examples
    --------
    >>> import optlab as ol
    >>> data = ol.datasets.diabetes().standardized()
    >>> problem = ol.LinearRegression.from_dataset(data, fit_intercept=False, l2=0.1)
    >>> ol.minimize(problem, ol.SDCA(), epochs=50, batch_size=5, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Shalev-Shwartz and Zhang, Stochastic Dual Coordinate Ascent Methods for Regularized Loss
    Minimization (2013) and Accelerated Proximal SDCA (2014), option V; mini-batches as in Takac,
    Bijral, Richtarik and Srebro, Mini-Batch Primal and Dual Methods for SVMs (2013), at their
    safest; any dual start as in Shalev-Shwartz, SDCA without Duality (2016).
    """

    uses_batches: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (IsLinearModel,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that some parameter has no l2 penalty, or that the loss is not smooth, or None."""
        assert has(problem, IsLinearModel)
        if not problem.penalty.l2:
            return "SDCA needs an l2 penalty, for its dual is of that: give the problem an l2"
        if problem.fit_intercept:
            return (
                "SDCA needs an l2 penalty on all parameters, which an intercept has not: centre "
                "the columns and use fit_intercept=False"
            )
        return why_unbounded("SDCA", problem)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        assert has(problem, IsLinearModel)
        data, penalty = problem.data, problem.penalty
        n = len(data.y)
        ratio = row_curvature(problem) / (n * penalty.l2)
        dual = _dual_of(problem, start)
        point = start
        for passes, epoch in enumerate(row_batches(batches), start=1):
            # Anew in each epoch, so that the rounding of its updates does not add up.
            v = data.X.T @ dual / n
            for numbers in epoch:
                rows, before = take(data, numbers.y), point
                slope, old = slopes(problem, point, rows), dual[numbers.y]
                change = times(1 / (1 + len(old) * ratio[numbers.y]), -slope - old)
                dual[numbers.y] = old + change
                v += rows.X.T @ change / n
                point = {"weight": penalty.proximal(v, 1.0) / penalty.l2}
            losses = passes * len(old) / n  # of each epoch's last mini-batch
            cost = Cost(losses=losses, gradients=1 + passes * batches.samples / n)
            yield Iterate(point, problem.loss(before, rows).detach(), cost=cost)


def _dual_of(model: IsLinearModel, start: Parameters) -> Tensor:
    """Return the dual numbers nearest to the start's negative slopes whose weights are the start's.

    At the optimum these are the slopes themselves. With fewer rows than features there may be no
    such numbers, and the weights are the nearest.
    """
    data, penalty, weight = model.data, model.penalty, start["weight"]
    dual = -slopes(model, start, data)
    v = data.X.T @ dual / len(dual)
    kink = torch.where(weight == 0, v.clamp(-penalty.l1, penalty.l1), penalty.l1 * weight.sign())
    lacking = penalty.l2 * weight + kink - v
    correction: Tensor = torch.linalg.pinv(data.X.T) @ lacking
    return dual + len(dual) * correction
