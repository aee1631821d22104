"""AdaGrad: a learning rate of its own for each parameter, from the sum of squared gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import State, check_hyperparameters, descend
from optlab.optimizers.first_order.descend_together import descend_together
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.schedules import LearningRate
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class AdaGrad:
    r"""AdaGrad, which divides each gradient by the root of the sum of its squares so far.

    .. math:: s \leftarrow s + g^2, \quad w \leftarrow w - \eta \, g / (\sqrt{s} + \epsilon)

    elementwise, from :math:`s = 0`.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"``, the
        default.
    epsilon
        :math:`\epsilon`, positive and finite.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    RMSprop : With a moving average in place of the sum.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.AdaGrad(1.0), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization (2011), with the diagonal matrix.
    """

    learning_rate: LearningRate = 0.01
    epsilon: float = 1e-10
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self, positive=("epsilon",))

    def init(self, parameters: Tensor) -> State:
        """Return the sum of squares, zero."""
        return (torch.zeros_like(parameters),)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the gradient over the root of the sum of squares."""
        squares = torch.addcmul(state[0], gradient, gradient)
        return gradient / (squares.sqrt() + self.epsilon), (squares,)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
