"""Stochastic gradient descent in plain code; copy this file for a new iterative optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class ManualSGD:
    r"""Stochastic gradient descent by autograd and a hand-written update.

    .. math:: w \leftarrow w - \eta \, \nabla_w f_B(w)

    for each mini-batch B, with learning rate :math:`\eta`.

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
    AnalyticSGD : The same steps from closed-form gradients, without autograd.
    FusedSGD : The same steps in one compiled loop.
    TorchSGD : The same by ``torch.optim.SGD``.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> solution = ol.minimize(problem, ol.ManualSGD(0.01), epochs=200, batch_size=1, seed=1)
    >>> round(solution.parameters["weight"].item(), 4)
    2.7063

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951); the loop is the tutorial's.
    """

    learning_rate: float | str = 0.001
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None while the rate is text."""
        return constant_descent(self.learning_rate)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        parameters = {name: value.requires_grad_() for name, value in start.items()}
        learning_rate = number_of(self.learning_rate)
        for epoch in batches:
            for batch in epoch:
                loss = problem.loss(parameters, batch)
                loss.backward()
                with torch.no_grad():
                    for value in parameters.values():
                        assert value.grad is not None
                        value -= value.grad * learning_rate  # noqa: PLW2901 - in place, as the tutorial
                        value.grad.zero_()
            yield Iterate(parameters, loss.detach())
