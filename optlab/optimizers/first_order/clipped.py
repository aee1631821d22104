"""Gradient clipping by the global norm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from optlab.checks import check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import Rule, State, check_rule, descend
from optlab.optimizers.first_order.descend_together import descend_together
from optlab.optimizers.optimizer import Iterate, Optimizer, optimizer_name
from optlab.optimizers.schedules import LearningRate
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class Clipped:
    r"""Another first-order rule, with each mini-batch's gradient clipped to a largest norm.

    .. math:: g \leftarrow g \, \min(1, c / \lVert g \rVert_2)

    with the Euclidean norm over all parameters together, before the rule sees the gradient.

    Parameters
    ----------
    rule
        A first-order rule of the lab, such as ``optlab.SGD(0.1)``.
    max_norm
        :math:`c`, positive and finite.

    Raises
    ------
    ValueError
        For another kind of optimizer, or a value outside these bounds.

    See Also
    --------
    Averaged : Another wrapper of a rule.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> clipped = ol.Clipped(ol.SGD(0.1), max_norm=1.0)
    >>> clipped.name, ol.minimize(problem, clipped, epochs=500, stop_at=1e-9).status
    ('Clipped(SGD)', <Status.CONVERGED: 'converged'>)

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013),
    algorithm 1.
    """

    rule: Rule
    max_norm: float = 1.0
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self.rule)
        if not isinstance(self.max_norm, Tensor):
            check_positive("max_norm", self.max_norm)

    @property
    def name(self) -> str:
        """The name in tables, with the rule's in brackets."""
        assert isinstance(self.rule, Optimizer)
        return f"Clipped({optimizer_name(self.rule)})"

    @property
    def learning_rate(self) -> LearningRate:
        """The rule's learning rate."""
        return self.rule.learning_rate

    def init(self, parameters: Tensor) -> State:
        """Return the rule's state."""
        return self.rule.init(parameters)

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the rule's direction for the clipped gradient."""
        norm = gradient.norm(dim=-1, keepdim=True)
        # A gradient of norm 0 is 0: whatever finite factor it gets, it stays so.
        factor = (self.max_norm / norm).clamp(max=1)
        return self.rule.update(gradient * factor, state, parameters, t)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        return descend(self, problem, batches, start)

    iterates_together = staticmethod(descend_together)
