"""The optimizer protocol: a frozen dataclass of hyperparameters that yields iterates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import DESCRIPTIONS, HasBuffers, has
from optlab.text import pluralize, without_addresses


class Cost(NamedTuple):
    """The evaluations that a run has made since its start, in passes over all data.

    A batch of B of n rows counts B / n; numbers are floats for that. ``losses`` counts evaluations
    of the loss, ``gradients`` of the gradient, ``hessian_products`` of products of the Hessian (or
    of the Jacobian and its transpose) with a vector.

    See Also
    --------
    Iterate : What carries it.
    """

    losses: float = 0.0
    gradients: float = 0.0
    hessian_products: float = 0.0


class Snapshots(NamedTuple):
    """Copies of the iterates where the runner looks, of a loop that makes many epochs at once.

    ``parameters`` have a leading axis, one entry a copy; ``batch_losses``, shape (k,), are as in
    `Iterate`; ``epochs`` are the passes made before each, since the last iterate, in rising order.
    """

    parameters: Parameters
    batch_losses: Tensor
    epochs: Sequence[int]

    def at(self, places: Sequence[int]) -> Snapshots:
        """Return the copies at some places, in rising order."""
        if len(places) == len(self.epochs):
            return self
        rows = torch.tensor(places, device=self.batch_losses.device)
        return Snapshots(
            {name: value[rows] for name, value in self.parameters.items()},
            self.batch_losses[rows],
            [self.epochs[place] for place in places],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """The parameters after one or more passes over the data.

    Parameters
    ----------
    parameters
        Where the optimizer is now. The tensors may be the optimizer's own, changed later: whoever
        keeps them copies them.
    batch_loss
        The last mini-batch's loss, before its update, where there is one: a 0-dimensional tensor.
    epochs
        Passes since the last iterate, at least 1: a compiled loop runs many at once.
    cost
        Evaluations since the start. Left out, a pass is one gradient and one loss of each row it
        visits; what a direct method does is not counted then.
    snapshots
        The iterates on the way to this one, itself the last of them, where the runner looks
        (``Batches.looks``). Their seconds are taken as shares of this iterate's, by epochs.

    See Also
    --------
    Optimizer : What yields it.
    Cost : What it took, where that is more than its steps.
    """

    parameters: Parameters
    batch_loss: Tensor | None = None
    epochs: int = 1
    cost: Cost | None = None
    snapshots: Snapshots | None = None


@runtime_checkable
class Optimizer(Protocol):
    """The protocol of an optimizer, which yields iterates; the runner has the clock and the end.

    More members are looked for and may be left out:

    - ``needs``, a tuple of the capabilities that it needs of a problem, protocols of
      `optlab.problems.capabilities`; trials of problems without them are recorded as skipped.
    - ``extra_evaluations``, whether it evaluates the loss where no step ends, or several times a
      step (a line search, a snapshot); trials of problems whose loss updates buffers are skipped.
    - ``unsupported(problem, device) -> str | None`` says in a sentence why this pair cannot run,
      where capabilities cannot say it; it is asked of problems that have what the method needs.
    - ``direct``, whether the method answers at once; one that neither is direct nor uses
      mini-batches (Newton's method) iterates over all data, and has one trial, at batch ``full``.
      Left out, a method without mini-batches is direct.
    - ``name``, a string that stands in tables (otherwise the class's name).
    - ``versions()``, a dict of the packages that compute the answer, kept with each trial.
    - ``imports``, a tuple of the names of installed modules that ``iterates`` imports when it is
      first called: the processes of isolated trials are forked from one that has loaded them.
    - ``invariances``, a tuple of the names of its invariances, which `optlab.testing` checks.
    - ``compile(problem, batches)`` compiles what ``iterates`` will run, for these kinds of data;
      the runner calls it before the clock starts, and reports its time as ``compile_seconds``.
    - ``iterates_together(optimizers, problem, batches, starts)``, a static method that advances
      several trials in one pass over the data, for sweeps: see `optlab.optimizers.together`; and
      ``compile_together``, of the same arguments, which compiles what that will run. Modules that
      it imports when it is first called stand in an attribute ``imports`` of the function.
    - ``linear_descent()``, the `LinearDescent` that its error follows on a quadratic, or None: what
      theory says of it is computed from that.
    - ``stable_growth()``, of methods without that, the largest factor by which the suboptimality of
      a stable run can exceed its start's, with full batches on a quadratic loss; beyond the bound
      of either, a run is called diverged.

    See Also
    --------
    Iterate : What an optimizer yields.
    register : Puts it on the command line.
    optlab.testing.check_optimizer : Checks an optimizer of your own.
    """

    uses_batches: ClassVar[bool]
    """Whether the method uses mini-batches; one without has one trial for all batch sizes."""

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each pass, for ever; a direct method yields once.

        ``start`` is the optimizer's own to change.
        """


def unsupported(optimizer: Optimizer, problem: Problem, device: torch.device) -> str | None:
    """Return why an optimizer cannot run on a problem and device, in a sentence, or None."""
    for capability in getattr(optimizer, "needs", ()):
        if not has(problem, capability):
            needed = DESCRIPTIONS.get(capability, capability.__name__)
            kinks = isinstance(problem, capability)  # the methods are there, but not of this loss
            kind = type(problem).__name__ + (" with kinks (an l1 penalty)" if kinks else "")
            return f"{optimizer_name(optimizer)} needs {needed}, which {kind} does not have"
    buffers = list(problem.buffers()) if has(problem, HasBuffers) else []
    if buffers and getattr(optimizer, "extra_evaluations", False):
        return (
            f"{optimizer_name(optimizer)} evaluates the loss more often than it makes steps, and "
            f"each time the loss of {type(problem).__name__} may update its buffers "
            f"({pluralize(len(buffers), 'tensor')}, such as {buffers[0]}): use a first-order method"
        )
    ask = getattr(optimizer, "unsupported", None)
    return None if ask is None else ask(problem, device)


def is_direct(optimizer: Optimizer) -> bool:
    """Return whether an optimizer answers at once: see `Optimizer`.

    Examples
    --------
    >>> import optlab as ol
    >>> is_direct(ol.Lstsq()), is_direct(ol.ManualSGD())
    (True, False)
    """
    return bool(getattr(optimizer, "direct", not optimizer.uses_batches))


def optimizer_name(optimizer: Optimizer) -> str:
    """Return an optimizer's name in tables: its ``name``, or its class's."""
    return str(getattr(optimizer, "name", type(optimizer).__name__))


def hyperparameters(optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer's hyperparameters as values that JSON can hold.

    Examples
    --------
    >>> import optlab as ol
    >>> from optlab.optimizers import hyperparameters
    >>> hyperparameters(ol.ManualSGD(learning_rate=0.1))
    {'learning_rate': 0.1}
    """
    if not dataclasses.is_dataclass(optimizer):
        own = getattr(optimizer, "__dict__", {})
        return {key: _plain(value) for key, value in own.items()}
    fields = dataclasses.fields(optimizer)
    return {field.name: _plain(getattr(optimizer, field.name)) for field in fields}


def versions(optimizer: Optimizer) -> dict[str, str]:
    """Return the packages, with versions, that compute an optimizer's answer, as far as it says."""
    ask = getattr(optimizer, "versions", None)
    found = ask() if callable(ask) else (ask or {})
    return {str(package): str(version) for package, version in found.items()}


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # JSON has no NaN
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, **inside}
    return without_addresses(repr(value))
