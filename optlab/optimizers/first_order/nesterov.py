"""Nesterov's accelerated gradient descent with constant momentum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import State, check_hyperparameters, descend
from optlab.optimizers.first_order.descend_together import descend_together
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.schedules import LearningRate
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class Nesterov:
    r"""Nesterov's accelerated gradient with constant momentum.

    .. math:: v \leftarrow m v + g, \quad w \leftarrow w - \eta (g + m v)

    from :math:`v = 0`. It is the method in the variable at which gradients are taken, as in torch.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"`` or
        ``"1/L"`` (`resolve_rates`).
    momentum
        :math:`m`, at least 0 and less than 1.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    HeavyBall : Momentum with the gradient at the iterate.
    FISTA : Accelerated descent with an l1 penalty.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.Nesterov(0.05), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2)
    (1983); Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in
    deep learning (2013).
    """

    learning_rate: LearningRate = 0.001
    momentum: float = 0.9
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self, fraction=("momentum",))

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None with a schedule."""
        return constant_descent(self.learning_rate, self.momentum, nesterov=True)

    def init(self, parameters: Tensor) -> State:
        """Return the velocity, zero."""
        return (torch.zeros_like(parameters),)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the gradient plus the velocity after one more decay."""
        velocity = self.momentum * state[0] + gradient
        return gradient + self.momentum * velocity, (velocity,)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
