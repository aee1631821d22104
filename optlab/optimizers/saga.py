"""SAGA: incremental gradients with a table of the rows' last ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.checks import check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Cost, Iterate
from optlab.optimizers.rows import row_batches, row_curvature, slopes, take, why_unbounded
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import IsLinearModel, has


@dataclass(frozen=True)
class SAGA:
    r"""SAGA, stochastic gradients corrected by a table of the rows' last gradients.

    .. math:: w \leftarrow \mathrm{prox}_{\eta h} \left( w - \eta \left(
        \nabla f_B(w) - \frac{1}{|B|} \sum_{i \in B} g_i + \frac{1}{n} \sum_{i=1}^n g_i
        \right) \right), \quad g_i \leftarrow \nabla f_i(w) \text{ for } i \in B

    for each mini-batch B of a linear model, for which a row's gradient is a number (one for each
    output) times the row: the table has n numbers, filled by a first pass at the start. The
    gradient of an l2 penalty stands beside the table; h is the l1 penalty.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite; left out, :math:`1 / (3 L)` with the largest L of a row,
        :math:`\max_i u_i c (\lVert x_i \rVert^2 + 1) + l_2`, c the loss's largest second derivative
        and :math:`u_i` the row's weight (without an intercept, without the 1).

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    SVRG : With full gradients in place of a table.
    SDCA : On the dual.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.SAGA(), epochs=500, batch_size=1, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Defazio, Bach and Lacoste-Julien, SAGA: A Fast Incremental Gradient Method With Support for
    Non-Strongly Convex Composite Objectives (2014). Rows are visited in shuffled order rather than
    drawn with replacement.
    """

    learning_rate: float | None = None
    uses_batches: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (IsLinearModel,)

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            check_positive("learning_rate", self.learning_rate)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the loss is not smooth enough, or None."""
        assert has(problem, IsLinearModel)
        return why_unbounded("SAGA", problem)

    def stable_growth(self) -> float:
        """Return 1: with full batches it is gradient descent."""
        return 1.0

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        assert has(problem, IsLinearModel)
        data, penalty = problem.data, problem.penalty
        n = len(data.y)
        steepest = float(row_curvature(problem).max()) + penalty.l2
        eta = self.learning_rate or 1 / (3 * steepest or 1)  # a loss without slope needs no rate
        point = dict(start)
        table = slopes(problem, point, data)
        for passes, epoch in enumerate(row_batches(batches), start=1):
            # Anew in each epoch, so that the rounding of their updates does not add up.
            mean, mean_bias = data.X.T @ table / n, table.mean(0)
            for numbers in epoch:
                rows = take(data, numbers.y)
                before = point
                slope = slopes(problem, point, rows)
                change = slope - table[numbers.y]
                table[numbers.y] = slope
                total, B = rows.X.T @ change, len(slope)
                weight = point["weight"]
                direction = total / B + mean + penalty.l2 * weight
                point = {"weight": penalty.proximal(weight - eta * direction, eta)}
                mean += total / n
                if problem.fit_intercept:
                    point["bias"] = before["bias"] - eta * (change.mean(0) + mean_bias)
                    mean_bias += change.sum(0) / n
            losses = passes * B / n  # of each epoch's last mini-batch
            cost = Cost(losses=losses, gradients=1 + passes * batches.samples / n)
            yield Iterate(point, problem.loss(before, rows).detach(), cost=cost)
