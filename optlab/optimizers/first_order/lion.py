"""Lion: the sign of an interpolated momentum."""

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
class Lion:
    r"""Lion, which steps by the sign of an interpolated momentum.

    .. math::
        w \leftarrow w - \eta \left(\mathrm{sign}(\beta_1 m + (1 - \beta_1) g) + \lambda w\right),
        \quad m \leftarrow \beta_2 m + (1 - \beta_2) g

    elementwise, from :math:`m = 0`. Each coordinate moves by :math:`\eta` at each step, so that the
    method ends within some :math:`\eta` of the optimum, unless the rate shrinks.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite, a schedule (`optlab.schedules`), or ``"auto"``, the
        default.
    beta1, beta2
        :math:`\beta_1, \beta_2`, at least 0 and less than 1.
    weight_decay
        :math:`\lambda`, finite and at least 0; it shrinks all parameters, biases too.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    AdamW : Another rule with decoupled weight decay.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> lion = ol.Lion(ol.schedules.Cosine(0.1, epochs=500))
    >>> ol.minimize(problem, lion, epochs=500, stop_at=1e-6).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Chen et al., Symbolic Discovery of Optimization Algorithms (2023), program 1.
    """

    learning_rate: LearningRate = 0.0001
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_hyperparameters(self, fraction=("beta1", "beta2"), not_negative=("weight_decay",))

    def init(self, parameters: Tensor) -> State:
        """Return the momentum, zero."""
        return (torch.zeros_like(parameters),)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the sign of the interpolated momentum plus the decay."""
        mixed = torch.lerp(state[0], gradient, 1 - self.beta1)
        direction = torch.where(mixed.isnan(), mixed, mixed.sign())  # torch's sign of NaN is 0
        momentum = torch.lerp(state[0], gradient, 1 - self.beta2)
        return direction + self.weight_decay * parameters, (momentum,)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
