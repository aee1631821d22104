"""Descent by a first-order rule: a direction from each mini-batch's gradient, and a step along it.

A rule has the shape of optax's transformations: ``init`` makes its state, ``update`` returns a
direction and the new state. All rules are elementwise, so they act on the vector ``(p,)`` of all
parameters, or, for many trials at once, on ``(K, p)`` with hyperparameters ``(K, 1)`` and by
`torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from optlab.checks import check_fraction, check_not_negative, check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.schedules import LearningRate, Rate, as_schedule, check_learning_rate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import gradient, loss_and_gradient
from optlab.problems.vector import flatten, unflatten

State: TypeAlias = tuple[Tensor, ...]


@runtime_checkable
class Rule(Protocol):
    r"""The protocol of a first-order rule, which turns gradients into directions.

    .. math:: w_t = w_{t-1} - \eta_t d_t, \quad (d_t, s_t) = \mathrm{update}(g_t, s_{t-1}, \dots)

    ``update`` is pure: it changes none of its arguments.
    """

    @property
    def learning_rate(self) -> LearningRate:
        """The rate of each step: a number, or a function of the epoch."""

    def init(self, parameters: Tensor) -> State:
        """Return the state before the first step."""

    def update(
        self, gradient: Tensor, state: State, parameters: Tensor, t: int
    ) -> tuple[Tensor, State]:
        """Return the direction of step t = 1, 2, ..., and the state after it."""


def descend(
    rule: Rule,
    problem: Problem,
    batches: Batches,
    start: Parameters,
    *,
    average_from: int | None = None,
) -> Iterator[Iterate]:
    r"""Yield the parameters after each epoch of descent by a rule, for ever.

    .. math:: w_t = w_{t-1} - \eta(e) \, d_t

    for each mini-batch, with the direction :math:`d_t` of the rule and the learning rate of the
    epoch e at which the step begins, a fraction within an epoch.

    Parameters
    ----------
    rule
        The rule: ``learning_rate``, ``init``, ``update``.
    problem, batches, start
        As `Optimizer.iterates` gets them.
    average_from
        The epoch, 1 for the first, from whose first step on all points are averaged: the mean is
        yielded instead of the last point.

    Yields
    ------
    Iterate
        The parameters after each epoch.

    See Also
    --------
    SGD, Adam : Rules that it steps.
    descend_together : Several rules in one pass.

    Examples
    --------
    A rule of one's own is an optimizer of the lab:

    >>> from dataclasses import dataclass
    >>> import optlab as ol
    >>> @dataclass(frozen=True)
    ... class SignDescent:
    ...     learning_rate: float = 0.01
    ...     uses_batches = True
    ...
    ...     def init(self, parameters):
    ...         return ()
    ...
    ...     def update(self, gradient, state, parameters, t):
    ...         return gradient.sign(), state
    ...
    ...     def iterates(self, problem, batches, start):
    ...         return ol.descend(self, problem, batches, start)
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> sign = SignDescent(ol.schedules.Cosine(0.1, epochs=200))
    >>> ol.minimize(problem, sign, epochs=200, stop_at=1e-4).status
    <Status.CONVERGED: 'converged'>
    """
    w = flatten(start)
    parameters = unflatten(w, start)
    state, schedule = rule.init(w), as_schedule(rule.learning_rate)
    mean, averaged = w, 0
    for epoch, mini_batches in enumerate(batches):
        if epoch + 1 == average_from:
            mean = torch.zeros_like(w)
        for i, batch in enumerate(mini_batches):
            if i == batches.steps - 1:
                loss, slope = loss_and_gradient(problem, parameters, batch)
            else:
                slope = gradient(problem, parameters, batch)
            t = epoch * batches.steps + i
            direction, state = rule.update(flatten(slope), state, w, t + 1)
            move(w, direction, schedule(t / batches.steps))
            if mean is not w:
                averaged += 1
                mean += (w - mean) / averaged
        yield Iterate(unflatten(mean, start), loss)


def move(parameters: Tensor, direction: Tensor, rate: Rate) -> None:
    """Subtract rate x direction from the parameters, in place."""
    if isinstance(rate, Tensor):
        parameters -= rate * direction
    else:
        parameters.sub_(direction, alpha=rate)


def check_hyperparameters(
    rule: Rule,
    *,
    positive: tuple[str, ...] = (),
    fraction: tuple[str, ...] = (),
    not_negative: tuple[str, ...] = (),
) -> None:
    """Require a learning rate, and the bounds of the named fields; tensors are taken as they are.

    Tensors are the values of many trials at once, whose own optimizers have been checked.
    """
    is_descent = hasattr(rule, "linear_descent")
    check_learning_rate(rule.learning_rate, of="" if is_descent else type(rule).__name__)
    checks = {check_positive: positive, check_fraction: fraction, check_not_negative: not_negative}
    for check, names in checks.items():
        for name in names:
            if not isinstance(value := getattr(rule, name), Tensor):
                check(name, value)


def check_rule(rule: object) -> None:
    """Require a first-order rule."""
    if isinstance(rule, type) or not isinstance(rule, Rule):
        raise ValueError(f"rule must be a first-order rule such as SGD(0.1), not {rule!r}")
