"""The gradients of a problem's loss at many points, in one call."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from optlab.problems import Batch, Parameters, Problem
from optlab.problems.capabilities import HasGradient, has
from optlab.problems.vector import flatten, unflatten

_traces: WeakKeyDictionary[Problem, dict[object, Any]] = WeakKeyDictionary()
"""The traces of a problem, by what is computed and the tensors' shapes."""

_tracing = Lock()
"""Torch records in one thread at a time; an executor of threads may run several sweeps."""


class JointGradient:
    """The gradients at many points, and the losses, by `torch.func.vmap`.

    The operations are recorded at the first call with tensors of some shapes, and replayed at later
    ones, without what vmap and autograd cost in each call. The second call does both: where the
    numbers differ, as those of a loss that changes with each call, nothing is replayed.

    Parameters
    ----------
    problem
        The problem; its gradient in closed form, or else its loss, must be vectorisable.
    like
        Parameters with the names and shapes.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[1.0], [2.0]], [1.0, 2.0], fit_intercept=False)
    >>> gradient = JointGradient(problem, {"weight": torch.zeros(1).double()})
    >>> points = torch.tensor([[0.0], [1.0], [2.0]]).double()
    >>> slopes, losses = gradient(points, problem.data, is_shared=True, with_loss=True)
    >>> slopes.ravel().tolist(), losses.tolist()
    ([-5.0, 0.0, 5.0], [2.5, 0.0, 2.5])
    """

    def __init__(self, problem: Problem, like: Parameters) -> None:
        self._problem, self._like = problem, like
        try:
            self._known = _traces.setdefault(problem, {})
        except TypeError:  # a problem without a hash
            self._known = {}

    def __call__(
        self, points: Tensor, batch: Batch, *, is_shared: bool, with_loss: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return the gradients (trials, p) and, with ``with_loss``, the losses (trials,).

        ``is_shared``: the batch is one for all points; else it has a leading axis of trials.
        """
        given = [points, *(part for part in batch if part is not None)]
        shapes = tuple((part.shape, part.dtype, part.device) for part in given)
        with_loss = with_loss or not has(self._problem, HasGradient)  # autograd gives both
        with torch.no_grad():
            found = self._replay((is_shared, with_loss, shapes), given)
        return found[0], found[1] if with_loss else None

    def _replay(self, key: tuple[Any, ...], given: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the function's values, by its trace where that has been checked."""
        calls, trace = self._known.get(key, (0, None))
        if calls > 1:
            found: tuple[Tensor, ...] = trace(*given)
            return found
        function = self._vectorised(*key[:2], weighted=len(given) > 3)
        found = function(*given)
        if calls == 0:
            self._known[key] = _recorded(function, given)
        else:
            same = all(map(_same_numbers, found, trace(*given)))
            self._known[key] = 2, trace if same else function
        return found

    def _vectorised(
        self, is_shared: bool, with_loss: bool, *, weighted: bool
    ) -> Callable[..., tuple[Tensor, ...]]:
        """Return a function of points and a batch's parts."""
        problem, like = self._problem, self._like

        def loss(point: Tensor, *parts: Tensor) -> Tensor:
            batch = Batch(*parts) if weighted else Batch(parts[0], parts[1], None)
            return problem.loss(unflatten(point, like), batch)

        def closed_form(point: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
            assert has(problem, HasGradient)
            batch = Batch(*parts) if weighted else Batch(parts[0], parts[1], None)
            slope = flatten(problem.gradient(unflatten(point, like), batch))
            return (slope, loss(point, *parts)) if with_loss else (slope,)

        one: Any = closed_form if has(problem, HasGradient) else grad_and_value(loss)
        place = None if is_shared else 0
        return vmap(one, in_dims=(0, place, place, place) if weighted else (0, place, place))


def _recorded(function: Callable[..., tuple[Tensor, ...]], given: list[Tensor]) -> tuple[int, Any]:
    """Return how often a function was called, and its trace; or as if checked, the function itself.

    A loss that reads a number of its batch, as ``if y.max() > 1`` does, cannot be recorded: its
    operations may depend on it.
    """
    with _tracing:
        try:
            return 1, make_fx(function)(*given)
        except RuntimeError:  # of the recording: the function itself has just been called
            return 2, function


def _same_numbers(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.nan_to_num(), b.nan_to_num())
