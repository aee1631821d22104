"""A problem as functions of one vector, with its evaluations counted."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor

from optlab.optimizers.optimizer import Cost, Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasProximal, gradient, has, loss_and_gradient
from optlab.problems.vector import flatten, unflatten


@final
class Objective:
    """The loss of all data and its derivatives as functions of the vector ``(p,)`` of parameters.

    Each evaluation is counted; `iterate` hands the counts on.

    Parameters
    ----------
    problem
        The problem. `hessian_product` asks it for its own; the smooth part is the whole loss, and
        the proximal operator the identity, where it has no penalty with kinks.
    like
        Parameters of the problem, which give names and shapes.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], fit_intercept=False)
    >>> objective = Objective(problem, {"weight": torch.zeros(1)})
    >>> objective.gradient(torch.zeros(1).double())
    tensor([-5.], dtype=torch.float64)
    >>> objective.cost
    Cost(losses=0, gradients=1, hessian_products=0)
    """

    def __init__(self, problem: Problem, like: Parameters) -> None:
        self.problem: Any = problem  # asked for what the optimizer's `needs` have made sure of
        self.like = like
        self.losses = self.gradients = self.hessian_products = 0

    def loss(self, w: Tensor) -> Tensor:
        """Return the loss, a 0-dimensional tensor."""
        self.losses += 1
        loss: Tensor = self.problem.loss(unflatten(w, self.like)).detach()
        return loss

    def gradient(self, w: Tensor) -> Tensor:
        """Return the gradient ``(p,)``."""
        self.gradients += 1
        return flatten(gradient(self.problem, unflatten(w, self.like)))

    def loss_and_gradient(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return both at one point."""
        self.losses += 1
        self.gradients += 1
        loss, slope = loss_and_gradient(self.problem, unflatten(w, self.like))
        return loss, flatten(slope)

    def hessian_product(self, w: Tensor, direction: Tensor) -> Tensor:
        """Return the Hessian at a point times a direction, ``(p,)``."""
        self.hessian_products += 1
        at, along = unflatten(w, self.like), unflatten(direction, self.like)
        return flatten(self.problem.hessian_product(at, along))

    def smooth_loss(self, w: Tensor) -> Tensor:
        """Return the smooth part of the loss."""
        if not has(self.problem, HasProximal):
            return self.loss(w)
        self.losses += 1
        return self.problem.smooth_loss(unflatten(w, self.like))

    def smooth_gradient(self, w: Tensor) -> Tensor:
        """Return the gradient of the smooth part."""
        if not has(self.problem, HasProximal):
            return self.gradient(w)
        self.gradients += 1
        return flatten(self.problem.smooth_gradient(unflatten(w, self.like)))

    def proximal(self, w: Tensor, step: float | Tensor) -> Tensor:
        """Return the proximal operator of step x penalty."""
        if not has(self.problem, HasProximal):
            return w
        return flatten(self.problem.proximal(unflatten(w, self.like), step))

    def curvature(self, w: Tensor, direction: Tensor) -> float:
        """Return the secant curvature of the smooth part along a direction; 1 where it is flat.

        It is ``||grad(w + h) - grad(w)|| / ||h||`` with h along the direction, of a length at which
        rounding and the change of the curvature are balanced: at most the Lipschitz constant.
        """
        length = float(direction.norm())
        if not 0 < length < math.inf:
            return 1.0
        reach = max(float(w.norm()), 1.0) * torch.finfo(w.dtype).eps ** 0.5
        h = direction * (reach / length)
        change = float((self.smooth_gradient(w + h) - self.smooth_gradient(w)).norm())
        return change / reach or 1.0

    @property
    def cost(self) -> Cost:
        """The evaluations so far."""
        return Cost(self.losses, self.gradients, self.hessian_products)

    def iterate(self, w: Tensor) -> Iterate:
        """Return an iterate with the cost so far."""
        return Iterate(unflatten(w, self.like), cost=self.cost)
