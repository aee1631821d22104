"""Several trials that an optimizer advances together, in one pass over the data."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate, Optimizer, optimizer_name
from optlab.optimizers.resolve_rates import has_rate_text
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasBuffers, has
from optlab.problems.vector import unflatten
from optlab.text import pluralize


@dataclass(frozen=True, eq=False)
class JointIterate:
    """The iterates of several trials after the same passes over the data.

    Parameters
    ----------
    points
        The flat parameters of each trial, shape (trials, p); they may be changed later.
    like
        Parameters with the names and shapes.
    batch_losses
        Each trial's last mini-batch loss, before its update, shape (trials,).
    epochs
        Passes since the last one, at least 1.
    """

    points: Tensor
    like: Parameters
    batch_losses: Tensor
    epochs: int = 1

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, trial: int) -> Iterate:
        """Return the iterate of one trial."""
        parameters = unflatten(self.points[trial], self.like)
        return Iterate(parameters, self.batch_losses[trial], epochs=self.epochs)

    def parameters(self) -> Parameters:
        """Return a copy of all trials' parameters, each with a leading axis of trials."""
        count, points = len(self.points), self.points.detach().clone()
        parts = points.split([value.numel() for value in self.like.values()], dim=1)
        return {
            name: part.reshape(count, *value.shape)
            for (name, value), part in zip(self.like.items(), parts, strict=True)
        }


JointIterates: TypeAlias = Generator[JointIterate, Sequence[int] | None, None]
"""Joint iterates, for ever. The places of the trials that go on may be sent back, in order; after
that the others have left. None: all go on.
"""

Together: TypeAlias = Callable[
    [Sequence[Optimizer], Problem, Sequence[Batches], Sequence[Parameters]], JointIterates
]
"""An optimizer's ``iterates_together(optimizers, problem, batches, starts)``."""


def iterates_together(optimizer: Optimizer) -> Together | None:
    """Return the function by which an optimizer's class advances several trials, or None.

    A class that has `iterates` of its own must have this of its own too: another's would make the
    steps of another method.
    """
    for owner in type(optimizer).__mro__:
        if "iterates" in vars(owner) or "iterates_together" in vars(owner):
            if {"iterates", "iterates_together"} <= vars(owner).keys():
                found: Together = getattr(owner, "iterates_together")  # noqa: B009 - not of Optimizer
                return found
            return None
    return None


def imports_of(optimizers: Sequence[Optimizer]) -> tuple[str, ...]:
    """Return the names of the modules that optimizers import when they first run, or run together.

    Examples
    --------
    >>> import optlab as ol
    >>> imports_of([ol.SGD(0.1)]), imports_of([ol.SGD(0.1), ol.SGD(0.2)])
    ((), ('torch._dynamo',))
    """
    names = tuple(getattr(optimizers[0], "imports", ()))
    if len(optimizers) > 1:
        names += tuple(getattr(iterates_together(optimizers[0]), "imports", ()))
    return tuple(map(str, names))


def not_together(optimizer: Optimizer, problem: Problem) -> str | None:
    """Return why trials of an optimizer on a problem cannot be run together, or None.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> not_together(ol.ManualSGD(), problem)
    'ManualSGD runs one trial at a time'
    >>> not_together(ol.Adam(), problem)
    """
    if iterates_together(optimizer) is None:
        return f"{optimizer_name(optimizer)} runs one trial at a time"
    if has_rate_text(optimizer):
        return f"{optimizer_name(optimizer)} has a learning rate that is computed in each trial"
    buffers = list(problem.buffers()) if has(problem, HasBuffers) else []
    if buffers:
        tensors = f"{pluralize(len(buffers), 'tensor')}, such as {buffers[0]}"
        return f"the loss of {problem.name} updates buffers ({tensors})"
    return None


def kind_of(value: object) -> Hashable:
    """Return what optimizers that are run together have in common: all but the numbers.

    Learning rates may be numbers or schedules. Settings that are neither numbers nor plain values
    must be the same object.

    Examples
    --------
    >>> import optlab as ol
    >>> kind_of(ol.HeavyBall(0.1)) == kind_of(ol.HeavyBall(ol.schedules.Step(0.2, 5), momentum=0.5))
    True
    >>> kind_of(ol.FusedSGD(0.1)) == kind_of(ol.FusedSGD(0.1, fastmath=True))
    False
    >>> import numpy as np
    >>> adams = [ol.FusedAdam(0.1, beta1=beta) for beta in np.float32([0.8, 0.9])]
    >>> kind_of(adams[0]) == kind_of(adams[1])
    True
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = [field.name for field in dataclasses.fields(value) if field.name != "learning_rate"]
        return type(value), tuple((name, kind_of(getattr(value, name))) for name in own)
    if isinstance(value, bool | str | None):
        return type(value), value
    return float if isinstance(value, numbers.Real) else id(value)


def order_leaders(batches: Sequence[Batches]) -> list[int]:
    """Return for each trial the first one that visits the rows in the same order.

    Its own place where that is itself.
    """
    seen: dict[bytes, int] = {}
    return [
        seen.setdefault(own.generator.get_state().numpy().tobytes() if own.is_shuffled else b"", k)
        for k, own in enumerate(batches)
    ]


def restricted(values: Sequence[Any], kept: Sequence[int]) -> list[Any]:
    """Return the values at some places."""
    return [values[k] for k in kept]
