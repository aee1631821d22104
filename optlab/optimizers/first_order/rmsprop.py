"""RMSprop: gradients over the root of a running mean of their squares."""

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
class RMSprop:
    r"""RMSprop, which divides each gradient by the root of the running mean of its squares.

    .. math:: s \leftarrow \rho s + (1 - \rho) g^2, \quad
        w \leftarrow w - \eta \, g / (\sqrt{s} + \epsilon)

    elementwise, from :math:`s = 0`. Near the optimum its steps do not shrink unless the rate does.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"``, the
        default.
    decay
        :math:`\rho`, at least 0 and less than 1; as in torch (``alpha``), not the lecture's 0.9.
    epsilon
        :math:`\epsilon`, positive and finite.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    AdaGrad : With the sum of all squares.
    Adam : With momentum and bias correction too.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> rate = ol.schedules.InverseTime(0.1, decay=0.1)
    >>> ol.minimize(problem, ol.RMSprop(rate), epochs=500, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Tieleman and Hinton, Lecture 6.5: rmsprop, Neural Networks for Machine Learning (2012);
    `torch.optim.RMSprop`.
    """

    learning_rate: LearningRate = 0.001
    decay: float = 0.99
    epsilon: float = 1e-8
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self, positive=("epsilon",), fraction=("decay",))

    def init(self, parameters: Tensor) -> State:
        """Return the mean square, zero."""
        return (torch.zeros_like(parameters),)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the gradient over its root mean square."""
        mean_square = torch.lerp(state[0], gradient.square(), 1 - self.decay)
        return gradient / (mean_square.sqrt() + self.epsilon), (mean_square,)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
