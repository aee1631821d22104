"""Stochastic gradient descent by closed-form gradients: no autograd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from optlab.optimizers.batches import Batches
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasGradient, has


@dataclass(frozen=True)
class AnalyticSGD:
    r"""Stochastic gradient descent by the problem's closed-form gradient, in torch operations.

    .. math:: w \leftarrow w - \eta \, \nabla_w f_B(w)

    for each mini-batch B: the steps of `ManualSGD` without autograd, on any device. It is what is
    left of the tutorial's step when only the arithmetic and torch's calls are; `FusedSGD` takes the
    calls away too.

    Parameters
    ----------
    learning_rate
        Step size, positive and finite, or ``"auto"`` or ``"1/L"`` (`resolve_rates`).

    Raises
    ------
    ValueError
        For a learning rate that is not positive and finite.

    See Also
    --------
    ManualSGD : The same steps by autograd.
    FusedSGD : The same steps in one compiled loop.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.AnalyticSGD(0.1), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951).
    """

    learning_rate: float | str = 0.001
    uses_batches: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (HasGradient,)

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None while the rate is text."""
        return constant_descent(self.learning_rate)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        assert has(problem, HasGradient)
        parameters, rate = start, number_of(self.learning_rate)
        for epoch in batches:
            for batch in epoch:
                before, gradient = parameters, problem.gradient(parameters, batch)
                parameters = {
                    name: value.sub(gradient[name], alpha=rate) for name, value in before.items()
                }
            yield Iterate(parameters, problem.loss(before, batch))
