"""Learning-rate schedules: functions of the epoch.

A step's rate is ``schedule(t / steps)``, where t steps are done and an epoch has ``steps`` steps:
the unit is the epoch, so that one schedule serves all batch sizes, and the rate changes at each
step. Any function of the epoch serves as well. A schedule of ``"1/L"`` or ``"auto"`` follows the
optimizer's own rate: `optlab.optimizers.resolve_rates`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from optlab.checks import check_fraction, check_not_negative, check_positive
from optlab.optimizers.rate_text import check_rate, number_of

Rate: TypeAlias = float | Tensor
Schedule: TypeAlias = Callable[[float], Rate]
LearningRate: TypeAlias = Rate | Schedule | str
"""A number, a function of the epoch, or a text that becomes a number: ``"auto"``, ``"1/L"``."""


def as_schedule(learning_rate: LearningRate) -> Schedule:
    """Return a schedule as it is, and a number as a constant one.

    Raises
    ------
    ValueError
        For a text, whose number is not known here.

    Examples
    --------
    >>> as_schedule(0.1)
    Constant(learning_rate=0.1)
    """
    return learning_rate if callable(learning_rate) else Constant(number_of(learning_rate))


def check_learning_rate(learning_rate: object, *, of: str = "") -> None:
    """Require a positive finite number, a tensor, a schedule, or a text: see `check_rate`."""
    if isinstance(learning_rate, type) or not (
        isinstance(learning_rate, Tensor) or callable(learning_rate)
    ):
        check_rate("learning_rate", learning_rate, of=of)


@dataclass(frozen=True)
class Constant:
    r"""Keep the learning rate constant: :math:`\eta(e) = \eta_0`.

    Parameters
    ----------
    learning_rate
        :math:`\eta_0`, positive and finite, or ``"auto"`` or ``"1/L"`` (`resolve_rates`).

    Raises
    ------
    ValueError
        For a value outside these bounds.

    Examples
    --------
    >>> Constant(0.1)(7.5)
    0.1

    References
    ----------
    Bottou, Curtis and Nocedal, Optimization Methods for Large-Scale Machine Learning (2018),
    theorem 4.6: what a fixed rate converges to.
    """

    learning_rate: Rate | str

    def __post_init__(self) -> None:
        check_learning_rate(self.learning_rate)

    def __call__(self, epoch: float) -> Rate:
        """Return the learning rate at an epoch."""
        return number_of(self.learning_rate)


@dataclass(frozen=True)
class Step:
    r"""Multiply the learning rate by a factor every so many epochs.

    .. math:: \eta(e) = \eta_0 \, \gamma^{\lfloor e / E \rfloor}

    Parameters
    ----------
    learning_rate
        :math:`\eta_0`, positive and finite, or ``"auto"`` or ``"1/L"`` (`resolve_rates`).
    every
        :math:`E`, in epochs, positive.
    factor
        :math:`\gamma`, positive and finite.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    Examples
    --------
    >>> schedule = Step(0.1, every=10, factor=0.5)
    >>> [schedule(epoch) for epoch in (0, 9.9, 10, 20)]
    [0.1, 0.1, 0.05, 0.025]

    References
    ----------
    `torch.optim.lr_scheduler.StepLR`; He, Zhang, Ren and Sun, Deep Residual Learning for Image
    Recognition (2016), section 3.4.
    """

    learning_rate: Rate | str
    every: float
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_learning_rate(self.learning_rate)
        check_positive("every", self.every)
        check_positive("factor", self.factor)

    def __call__(self, epoch: float) -> Rate:
        """Return the learning rate at an epoch."""
        return number_of(self.learning_rate) * self.factor ** math.floor(epoch / self.every)


@dataclass(frozen=True)
class Cosine:
    r"""Lower the learning rate along half a period of the cosine, then keep it.

    .. math:: \eta(e) = \eta_1 + \tfrac{1}{2} (\eta_0 - \eta_1)
        \left(1 + \cos(\pi \min(e / E, 1))\right)

    Parameters
    ----------
    learning_rate
        :math:`\eta_0`, positive and finite, or ``"auto"`` or ``"1/L"`` (`resolve_rates`).
    epochs
        :math:`E`, positive: the epoch from which on the rate is the final one.
    final
        :math:`\eta_1`, finite and at least 0.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    Examples
    --------
    >>> schedule = Cosine(0.1, epochs=10)
    >>> [round(schedule(epoch), 3) for epoch in (0, 5, 10, 11)]
    [0.1, 0.05, 0.0, 0.0]

    References
    ----------
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5,
    without restarts.
    """

    learning_rate: Rate | str
    epochs: float
    final: float = 0.0

    def __post_init__(self) -> None:
        check_learning_rate(self.learning_rate)
        check_positive("epochs", self.epochs)
        check_not_negative("final", self.final)

    def __call__(self, epoch: float) -> Rate:
        """Return the learning rate at an epoch."""
        share = (1 + math.cos(math.pi * min(epoch / self.epochs, 1))) / 2
        return self.final + (number_of(self.learning_rate) - self.final) * share


@dataclass(frozen=True)
class InverseTime:
    r"""Lower the learning rate like 1/t.

    .. math:: \eta(e) = \eta_0 / (1 + \delta e)

    The sum of these rates is infinite and the sum of their squares finite, so that stochastic
    gradient descent converges on a strongly convex problem in spite of its noise.

    Parameters
    ----------
    learning_rate
        :math:`\eta_0`, positive and finite, or ``"auto"`` or ``"1/L"`` (`resolve_rates`).
    decay
        :math:`\delta`, positive: after :math:`1 / \delta` epochs the rate is halved.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    Examples
    --------
    >>> schedule = InverseTime(0.1, decay=0.5)
    >>> [schedule(epoch) for epoch in (0, 2, 8)]
    [0.1, 0.05, 0.02]

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951).
    """

    learning_rate: Rate | str
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_learning_rate(self.learning_rate)
        check_positive("decay", self.decay)

    def __call__(self, epoch: float) -> Rate:
        """Return the learning rate at an epoch."""
        return number_of(self.learning_rate) / (1 + self.decay * epoch)


@dataclass(frozen=True)
class WarmUp:
    r"""Raise the learning rate linearly for some epochs, then follow another schedule.

    .. math:: \eta(e) = \eta'(\max(e - E, 0)) \left(s + (1 - s) \min(e / E, 1)\right)

    Parameters
    ----------
    learning_rate
        :math:`\eta'`: the schedule that begins after the warm-up, or a positive number.
    epochs
        :math:`E`, positive: how long the warm-up takes.
    first
        :math:`s`: the share of the rate with which it begins, at least 0 and less than 1.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    Examples
    --------
    >>> schedule = WarmUp(Step(1.0, every=10), epochs=4, first=0)
    >>> [schedule(epoch) for epoch in (0, 1, 4, 13.9, 14)]
    [0.0, 0.25, 1.0, 1.0, 0.1]

    References
    ----------
    Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (2017), section 2.2.
    """

    learning_rate: LearningRate
    epochs: float
    first: float = 0.1

    def __post_init__(self) -> None:
        check_learning_rate(self.learning_rate)
        check_positive("epochs", self.epochs)
        check_fraction("first", self.first)

    def __call__(self, epoch: float) -> Rate:
        """Return the learning rate at an epoch."""
        later = as_schedule(self.learning_rate)(max(epoch - self.epochs, 0))
        return later * (self.first + (1 - self.first) * min(epoch / self.epochs, 1))
