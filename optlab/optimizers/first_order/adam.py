"""Adam: adaptive moment estimation."""

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
class Adam:
    r"""Adam, adaptive moment estimation with bias correction.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        w_t = w_{t-1} - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    elementwise, from :math:`m_0 = v_0 = 0`.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"``, the
        default.
    beta1, beta2
        :math:`\beta_1, \beta_2`, at least 0 and less than 1.
    epsilon
        :math:`\epsilon`, positive and finite.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    AdamW : With decoupled weight decay.
    FusedAdam : The same rule in one compiled loop.
    RMSprop : Without momentum.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.Adam(0.1), epochs=2000, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.
    """

    learning_rate: LearningRate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self, positive=("epsilon",), fraction=("beta1", "beta2"))

    def init(self, parameters: Tensor) -> State:
        """Return both moments, zero."""
        return torch.zeros_like(parameters), torch.zeros_like(parameters)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the first moment over the root of the second, both corrected for their start."""
        first = torch.lerp(state[0], gradient, 1 - self.beta1)
        second = torch.lerp(state[1], gradient.square(), 1 - self.beta2)
        # Both corrections in one factor: fewer passes over memory.
        bias1, bias2 = 1 - self.beta1**t, 1 - self.beta2**t
        root = second.sqrt() * (bias1 / bias2**0.5)
        return first / (root + bias1 * self.epsilon), (first, second)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
