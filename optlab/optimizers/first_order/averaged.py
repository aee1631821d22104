"""Polyak-Ruppert averaging: the mean of the points of a descent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from optlab.checks import check_count
from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import Rule, check_rule, descend
from optlab.optimizers.first_order.descend_together import descend_together
from optlab.optimizers.optimizer import Iterate, Optimizer, optimizer_name
from optlab.optimizers.together import JointIterates
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class Averaged:
    r"""Another first-order rule, whose points are averaged from some epoch on.

    .. math:: \bar w_t = \frac{1}{t - t_0} \sum_{k = t_0 + 1}^{t} w_k

    over all steps since the beginning of epoch ``from_epoch``; before it, the points themselves are
    yielded. The descent itself is unchanged.

    Parameters
    ----------
    rule
        A first-order rule of the lab, such as ``optlab.SGD(0.1)``.
    from_epoch
        The first epoch whose steps count, at least 1.

    Raises
    ------
    ValueError
        For another kind of optimizer, or a value outside these bounds.

    See Also
    --------
    SVRG, SAGA : Other ways to less noise in the last iterate.
    optlab.schedules : Learning rates that fall over the run.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> averaged = ol.Averaged(ol.SGD(0.1), from_epoch=20)
    >>> averaged.name, ol.minimize(problem, averaged, epochs=500, stop_at=1e-6).status
    ('Averaged(SGD)', <Status.CONVERGED: 'converged'>)

    References
    ----------
    Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992); Ruppert,
    Efficient Estimations from a Slowly Convergent Robbins-Monro Process (1988).
    """

    rule: Rule
    from_epoch: int = 1
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self.rule)
        check_count("from_epoch", self.from_epoch)

    @property
    def name(self) -> str:
        """The name in tables, with the rule's in brackets."""
        assert isinstance(self.rule, Optimizer)
        return f"Averaged({optimizer_name(self.rule)})"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the mean after each epoch."""
        return descend(self.rule, problem, batches, start, average_from=self.from_epoch)

    @staticmethod
    def iterates_together(
        optimizers: Sequence[Averaged],
        problem: Problem,
        batches: Sequence[Batches],
        starts: Sequence[Parameters],
    ) -> JointIterates:
        """Yield the means of several trials after each epoch."""
        rules = [optimizer.rule for optimizer in optimizers]
        epochs = [optimizer.from_epoch for optimizer in optimizers]
        return descend_together(rules, problem, batches, starts, average_from=epochs)
