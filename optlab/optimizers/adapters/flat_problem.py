"""A problem as a function of one flat float64 vector, as scipy's methods want it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.optimizers.optimizer import Cost
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasCurvature, has, loss_and_gradient

Vector = np.ndarray[Any, np.dtype[np.float64]]


class FlatProblem:
    """The loss over all data as a function of the parameters in one vector, (p,), float64.

    The parameters stand one after the other, in the order of the start. ``cost`` counts what has
    been evaluated.

    Parameters
    ----------
    problem
        The problem.
    start
        Parameters of the shapes, the dtype and the device of the problem's.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], fit_intercept=False)
    >>> flat = FlatProblem(problem, problem.start(torch.Generator()))
    >>> flat.loss_and_gradient(np.zeros(1))
    (2.5, array([-5.]))
    >>> flat.hessian(np.zeros(1))
    array([[5.]])
    """

    def __init__(self, problem: Problem, start: Parameters) -> None:
        self.problem, self.cost = problem, Cost()
        self._like = {name: value.detach() for name, value in start.items()}

    def vector(self, parameters: Parameters) -> Vector:
        """Return parameters as one vector."""
        parts = [v.detach().to("cpu", torch.float64).reshape(-1) for v in parameters.values()]
        flat: Vector = torch.cat(parts).numpy()
        return flat

    def parameters(self, vector: Vector) -> Parameters:
        """Return the parameters in a vector, of their shapes, dtype and device, copied."""
        like = self._like
        parts = torch.tensor(np.asarray(vector)).split([value.numel() for value in like.values()])
        pairs = zip(like.items(), parts, strict=True)
        return {name: part.reshape(value.shape).to(value) for (name, value), part in pairs}

    def loss_and_gradient(self, vector: Vector) -> tuple[float, Vector]:
        """Return the loss and its gradient."""
        losses, gradients, products = self.cost
        self.cost = Cost(losses + 1, gradients + 1, products)
        loss, slopes = loss_and_gradient(self.problem, self.parameters(vector))
        return float(loss), self.vector(slopes)

    def hessian_product(self, vector: Vector, direction: Vector) -> Vector:
        """Return the Hessian's product with a direction: in closed form, or by autograd twice."""
        self.cost = self.cost._replace(hessian_products=self.cost.hessian_products + 1)
        point, along = self.parameters(vector), self.parameters(direction)
        if has(self.problem, HasCurvature):
            return self.vector(self.problem.hessian_product(point, along))
        leaves = [value.requires_grad_() for value in point.values()]
        options: Any = {"allow_unused": True, "materialize_grads": True}
        slopes = torch.autograd.grad(self.problem.loss(point), leaves, create_graph=True, **options)
        slope = sum((s * a).sum() for s, a in zip(slopes, along.values(), strict=True))
        assert isinstance(slope, Tensor)
        if not slope.requires_grad:  # a loss that is linear here
            return np.zeros_like(vector)
        second = torch.autograd.grad(slope, leaves, **options)
        return self.vector(dict(zip(point, second, strict=True)))

    def hessian(self, vector: Vector) -> np.ndarray[Any, Any]:
        """Return the Hessian, (p, p), from p products."""
        return np.stack([self.hessian_product(vector, row) for row in np.eye(len(vector))])
