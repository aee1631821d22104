"""Stochastic gradient descent by torch.optim.SGD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.checks import check_fraction, check_not_negative
from optlab.optimizers.batches import Batches
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.problems import Parameters, Problem


@dataclass(frozen=True)
class TorchSGD:
    r"""`torch.optim.SGD`, with momentum and weight decay in torch's own form.

    .. math::
        g \leftarrow \nabla_w f_B(w) + \lambda w, \quad
        v \leftarrow m v + g, \quad
        w \leftarrow w - \eta v \quad (\text{Nesterov: } w \leftarrow w - \eta (g + m v))

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta`, positive and finite, or ``"auto"`` or ``"1/L"``
        (`resolve_rates`).
    momentum
        :math:`m`, at least 0 and less than 1.
    nesterov
        Whether the look-ahead form is used; it needs a momentum.
    weight_decay
        :math:`\lambda`, at least 0. Unlike the problem's ``l2`` it shrinks the bias too, and the
        optimum that trials are judged against does not know of it.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    TorchOptimizer : Any other class of ``torch.optim``.
    ManualSGD : The same steps, written out.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.TorchSGD(0.1), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    `torch.optim.SGD`; Sutskever, Martens, Dahl and Hinton, On the importance of initialization and
    momentum in deep learning (2013).
    """

    learning_rate: float | str = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_fraction("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum greater than 0, not 0")
        check_not_negative("weight_decay", self.weight_decay)

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None while the rate is text."""
        return constant_descent(
            self.learning_rate,
            self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        parameters = {name: value.requires_grad_() for name, value in start.items()}
        sgd = torch.optim.SGD(
            parameters.values(),
            lr=number_of(self.learning_rate),
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )
        for epoch in batches:
            for batch in epoch:
                sgd.zero_grad()
                loss = problem.loss(parameters, batch)
                loss.backward()
                sgd.step()
            yield Iterate(parameters, loss.detach())
