"""SDCA: stochastic dual coordinate ascent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rows import row_batches, row_curvature, slopes, take, times, why_unbounded
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import IsLinearModel


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
    coordinate. The dual numbers begin as the start's slopes.

    Examples
    --------
    >>> import optlab as ol
    >>> data = ol.datasets.diabetes()
    >>> problem = ol.LinearRegression.from_dataset(data, fit_intercept=False, l2=0.01)
    >>> ol.minimize(problem, ol.SDCA(), epochs=200, batch_size=1, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Shalev-Shwartz and Zhang, Stochastic Dual Coordinate Ascent Methods for Regularized Loss
    Minimization (2013), option V of Prox-SDCA (2014) with the mini-batches of Takac, Bijral,
    Richtarik and Srebro, Mini-Batch Primal and Dual Methods for SVMs (2013), at their safest.
    """

    uses_batches: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (IsLinearModel,)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that some parameter has no l2 penalty, or that the loss is not smooth, or None."""
        assert isinstance(problem, IsLinearModel)
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
        assert isinstance(problem, IsLinearModel)
        data, penalty = problem.data, problem.penalty
        n = len(data.y)
        ratio = row_curvature(problem) / (n * penalty.l2)
        dual = -slopes(problem, start, data)
        v = data.X.T @ dual / n

        def primal() -> Parameters:
            return {"weight": penalty.proximal(v, 1.0) / penalty.l2}

        for epoch in row_batches(batches):
            for numbers in epoch:
                rows, point = take(data, numbers.y), primal()
                slope, old = slopes(problem, point, rows), dual[numbers.y]
                share = 1 / (1 + len(old) * ratio[numbers.y])
                change = times(share, -slope - old)
                dual[numbers.y] = old + change
                v += rows.X.T @ change / n
            yield Iterate(primal(), problem.loss(point, rows).detach())
