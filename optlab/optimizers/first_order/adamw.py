"""AdamW: Adam with decoupled weight decay."""

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
class AdamW:
    r"""Adam with decoupled weight decay.

    .. math:: w_t = w_{t-1} - \eta \left(
        \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda w_{t-1}
        \right)

    elementwise, with the moments :math:`m_t, v_t` of `optlab.Adam`. The decay shrinks all
    parameters, biases too. It is no penalty of the problem's, so that the method ends beside the
    problem's optimum.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"``, the
        default.
    beta1, beta2
        :math:`\beta_1, \beta_2`, at least 0 and less than 1.
    epsilon
        :math:`\epsilon`, positive and finite.
    weight_decay
        :math:`\lambda`, finite and at least 0.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    Adam : Without weight decay.
    Lion : Signs of averages, with the same decay.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> adamw = ol.AdamW(0.1, weight_decay=1e-4)
    >>> ol.minimize(problem, adamw, epochs=2000, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, with the decay
    scaled by the learning rate as in `torch.optim.AdamW`.
    """

    learning_rate: LearningRate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(
            self,
            positive=("epsilon",),
            fraction=("beta1", "beta2"),
            not_negative=("weight_decay",),
        )

    def init(self, parameters: Tensor) -> State:
        """Return both moments, zero."""
        return torch.zeros_like(parameters), torch.zeros_like(parameters)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return Adam's direction plus the decay."""
        first = torch.lerp(state[0], gradient, 1 - self.beta1)
        second = torch.lerp(state[1], gradient.square(), 1 - self.beta2)
        # Both corrections in one factor: fewer passes over memory.
        bias1, bias2 = 1 - self.beta1**t, 1 - self.beta2**t
        root = second.sqrt() * (bias1 / bias2**0.5)
        direction = first / (root + bias1 * self.epsilon)
        return direction + self.weight_decay * parameters, (first, second)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
