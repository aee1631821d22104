"""SVRG: stochastic variance-reduced gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.optimizers.proximal_step import why_not_proximal
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.capabilities import HasProximal, gradient, has
from optlab.problems.vector import flatten, unflatten


@dataclass(frozen=True)
class SVRG:
    r"""Stochastic variance-reduced gradient, with a proximal step where the penalty has kinks.

    .. math:: w \leftarrow \mathrm{prox}_{\eta h} \left( w - \eta
        \left( \nabla f_B(w) - \nabla f_B(\tilde w) + \nabla f(\tilde w) \right) \right)

    for each mini-batch B, where :math:`\tilde w` is the point at which the epoch began. The noise
    of the mini-batches vanishes as both points near the optimum, so that a constant rate converges
    to it. An epoch costs three gradients of each row.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite; a tenth of the inverse of the rows' largest curvature is
        the authors' advice. ``"auto"`` is :math:`1 / (2 (\mathcal{L} + 2 \rho))` of mini-batches,
        with the expected smoothness and its noise of `batch_curvature`, and ``1/L`` of full ones.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    SAGA : With a table of gradients in place of full ones.
    SDCA : On the dual.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.SVRG(0.02), epochs=500, batch_size=1, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Johnson and Zhang, Accelerating Stochastic Gradient Descent using Predictive Variance Reduction
    (2013); Xiao and Zhang, A Proximal Stochastic Gradient Method with Progressive Variance
    Reduction (2014); Sebbouh et al., Towards Closing the Gap between the Theory and Practice of
    SVRG (2019), theorem 1. Rows are visited in shuffled order rather than drawn with replacement.
    """

    learning_rate: float | str = 0.001
    uses_batches: ClassVar[bool] = True
    extra_evaluations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the penalty has no proximal operator, or None."""
        return why_not_proximal("SVRG", problem)

    def automatic_rate(self, largest: float, smoothness: float, noise: float) -> float:
        """Return the rate of ``"auto"``, of the curvature of all data and of mini-batches."""
        return 1 / (2 * (smoothness + 2 * noise)) if noise else 1 / largest

    def stable_growth(self) -> float:
        """Return 1: with full batches it is gradient descent."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        proximal = problem if has(problem, HasProximal) else None
        w, eta = flatten(start), number_of(self.learning_rate)
        point, visited = unflatten(w, start), batches.samples / len(batches.y)

        def slope(at: Parameters, batch: Batch | None = None) -> Tensor:
            if proximal is None:
                return flatten(gradient(problem, at, batch))
            return flatten(proximal.smooth_gradient(at, batch))

        for passes, epoch in enumerate(batches, start=1):
            snapshot = unflatten(w.clone(), start)
            mean = slope(snapshot)
            for i, batch in enumerate(epoch):
                if i == batches.steps - 1:
                    loss = problem.loss(point, batch).detach()
                w.sub_(slope(point, batch) - slope(snapshot, batch) + mean, alpha=eta)
                if proximal is not None:
                    w.copy_(flatten(proximal.proximal(point, eta)))
            losses = passes * len(batch.y) / len(batches.y)  # of each epoch's last mini-batch
            cost = Cost(losses=losses, gradients=(1 + 2 * visited) * passes)
            yield Iterate(point, loss, cost=cost)
