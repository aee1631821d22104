"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import State, check_hyperparameters, descend
from optlab.optimizers.first_order.descend_together import descend_together
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.schedules import LearningRate
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class SGD:
    r"""Stochastic gradient descent.

    .. math:: w \leftarrow w - \eta \, g

    with the gradient :math:`g` of each mini-batch's loss, in closed form where the problem has one.
    `optlab.ManualSGD` is the same method written for beginners, by autograd.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"`` or
        ``"1/L"`` (`resolve_rates`).

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    HeavyBall, Nesterov : With momentum.
    ManualSGD : The tutorial's loop, to read first.
    optlab.schedules : Learning rates that change over the run.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.SGD(0.1), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951).
    """

    learning_rate: LearningRate = 0.001
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self)

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None with a schedule."""
        return constant_descent(self.learning_rate)

    def init(self, parameters: Tensor) -> State:
        """Return the state, which is empty."""
        return ()

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the gradient as the direction."""
        return gradient, state

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
