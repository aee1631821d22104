"""Descent of several trials at once by first-order rules: one gradient call for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import Rule, State
from optlab.optimizers.first_order.joint_gradient import JointGradient
from optlab.optimizers.schedules import Constant, as_schedule
from optlab.optimizers.together import JointIterate, JointIterates, order_leaders, restricted
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.vector import flatten


def descend_together(
    rules: Sequence[Any],
    problem: Problem,
    batches: Sequence[Batches],
    starts: Sequence[Parameters],
    *,
    average_from: Sequence[int] | None = None,
) -> JointIterates:
    """Yield the parameters of several trials after each epoch of descent, for ever.

    The gradients of all trials are computed in one call, by `torch.func.vmap`, and the rule's
    update is made on all parameters ``(trials, p)`` at once. Where the trials visit the rows in one
    order, each mini-batch is gathered once. Numbers are those of `optlab.descend`, but for the
    order of sums in the gradients.

    Parameters
    ----------
    rules
        A rule for each trial, of one class; numbers in them, and learning rates, may differ.
    problem
        The problem; its loss, or its gradient in closed form, must be vectorisable.
    batches, starts
        For each trial: see `Optimizer.iterates`.
    average_from
        For each trial the epoch from which on points are averaged: see `optlab.descend`.

    Yields
    ------
    JointIterate
        The points of all trials, ``(trials, p)``, after each epoch.

    See Also
    --------
    descend : One rule.
    Execution : ``sweep=True`` runs trials together.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> rules = [ol.SGD(0.1), ol.SGD(0.2)]
    >>> seeds = [torch.Generator().manual_seed(1) for rule in rules]
    >>> starts = [problem.start(seed) for seed in seeds]
    >>> batches = [ol.Batches(problem.X, problem.y, 5, seed) for seed in seeds]
    >>> first_epoch = next(descend_together(rules, problem, batches, starts))
    >>> first_epoch.points.shape
    torch.Size([2, 2])
    """
    w, like = torch.stack([flatten(start) for start in starts]), starts[0]
    gradient = JointGradient(problem, like)
    rule, rates = _stacked(rules, w), _Rates(rules, w)
    state: State = rule.init(w)
    mean = None if average_from is None else _Mean(average_from, w)
    mini_batches, steps = _epochs_of(batches), batches[0].steps
    places, epoch = list(range(len(w))), 0
    while True:
        if mean:
            mean.begin(epoch + 1, w)
        for i, (batch, is_shared) in enumerate(next(mini_batches)):
            is_last = i == steps - 1
            slope, loss = gradient(w, batch, is_shared=is_shared, with_loss=is_last)
            t = epoch * steps + i
            direction, state = rule.update(slope, state, w, t + 1)
            w.addcmul_(direction, rates(t / steps), value=-1)  # the bits of `move`
            if mean:
                mean.add(w)
        epoch += 1
        assert loss is not None
        points, every = mean.value if mean else w, len(places) == len(w)
        kept = yield (
            JointIterate(points, like, loss)
            if every
            else JointIterate(points[places], like, loss[places])
        )
        if kept is None:
            continue
        places = restricted(places, kept)
        if 2 * len(places) <= len(w):  # to change the shapes may take a new trace
            rules, mini_batches = restricted(rules, places), mini_batches.restricted(places)
            chosen = torch.tensor(places, device=w.device)
            w, state = w[chosen], tuple(part[chosen] for part in state)
            rule, rates = _stacked(rules, w), _Rates(rules, w)
            if mean:
                mean.keep(chosen)
            places = list(range(len(w)))


# `make_fx` imports it when it first traces.
descend_together.imports = ("torch._dynamo",)  # type: ignore[attr-defined]  # of a function


class _epochs_of:  # noqa: N801 - an iterator with one more method
    """The mini-batches of several trials, epoch by epoch, and whether they are one for all."""

    def __init__(self, batches: Sequence[Batches]) -> None:
        leaders = order_leaders(batches)
        self._epochs = {k: iter(batches[k]) for k in dict.fromkeys(leaders)}
        self._leaders = leaders

    def restricted(self, kept: Sequence[int]) -> _epochs_of:
        """Return the same for some of the trials."""
        self._leaders = restricted(self._leaders, kept)
        self._epochs = {k: self._epochs[k] for k in dict.fromkeys(self._leaders)}
        return self

    def __next__(self) -> Iterator[tuple[Batch, bool]]:
        epochs = {k: next(epochs) for k, epochs in self._epochs.items()}
        if len(epochs) == 1:
            (only,) = epochs.values()
            return ((batch, True) for batch in only)
        place = {k: i for i, k in enumerate(epochs)}
        chosen = [place[k] for k in self._leaders]
        return ((_own_rows(parts, chosen), False) for parts in zip(*epochs.values(), strict=True))


def _own_rows(parts: Sequence[Batch], chosen: Sequence[int]) -> Batch:
    """Return a batch with a leading axis of trials, of one batch for each order."""
    X, y, weight = (
        None if field[0] is None else torch.stack([field[i] for i in chosen])
        for field in zip(*parts, strict=True)
    )
    assert X is not None
    assert y is not None
    return Batch(X, y, weight)


class _Rates:
    """The learning rates of several trials, (trials, 1), as a function of the epoch."""

    def __init__(self, rules: Sequence[Rule], like: Tensor) -> None:
        self._schedules = [as_schedule(rule.learning_rate) for rule in rules]
        self._like = like
        constant = all(type(schedule) is Constant for schedule in self._schedules)
        self._constant = self._at(0.0) if constant else None

    def __call__(self, epoch: float) -> Tensor:
        return self._at(epoch) if self._constant is None else self._constant

    def _at(self, epoch: float) -> Tensor:
        return self._like.new_tensor([[float(schedule(epoch))] for schedule in self._schedules])


class _Mean:
    """The mean of each trial's points from an epoch on, and before it the last point."""

    def __init__(self, average_from: Sequence[int], w: Tensor) -> None:
        self._from = torch.tensor([[epoch] for epoch in average_from], device=w.device)
        self._count = torch.zeros_like(w[:, :1])
        self._is_mean = torch.zeros_like(self._from, dtype=torch.bool)
        self.value = w.clone()

    def begin(self, epoch: int, w: Tensor) -> None:
        """Begin the means of the trials that average from this epoch on."""
        self._is_mean = self._from <= epoch
        self.value = torch.where(self._from == epoch, torch.zeros_like(w), self.value)

    def add(self, w: Tensor) -> None:
        """Add a step's points."""
        self._count += self._is_mean
        step = self.value + (w - self.value) / self._count
        self.value = torch.where(self._is_mean, step, w)

    def keep(self, places: Tensor) -> None:
        """Keep some of the trials."""
        for name, value in vars(self).items():
            setattr(self, name, value[places])


class _Hyperparameter(Tensor):
    """A number of each trial, shape (trials, 1), in float64 until it meets another tensor.

    So ``1 - beta`` is rounded once to the dtype of the parameters, as a plain number is.
    """

    @classmethod
    def __torch_function__(
        cls, function: Any, kinds: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        others = [v for v in arguments if isinstance(v, Tensor) and not isinstance(v, cls)]

        def plain(value: Any) -> Any:
            if not isinstance(value, cls):
                return value
            value = value.as_subclass(Tensor)
            return value.to(others[0]) if others else value

        with torch._C.DisableTorchFunctionSubclass():
            found = function(*map(plain, arguments), **(keywords or {}))
            return found if others or not isinstance(found, Tensor) else found.as_subclass(cls)


def _stacked(rules: Sequence[Any], like: Tensor) -> Any:
    """Return one rule whose numbers that differ are tensors of a number for each trial."""
    changes = {}
    for field in dataclasses.fields(rules[0]):
        values = [getattr(rule, field.name) for rule in rules]
        if field.name == "learning_rate" or all(_same(value, values[0]) for value in values):
            continue
        if dataclasses.is_dataclass(values[0]):
            changes[field.name] = _stacked(values, like)
        else:
            column = torch.tensor([[float(value)] for value in values], dtype=torch.float64)
            changes[field.name] = column.to(like.device).as_subclass(_Hyperparameter)
    return dataclasses.replace(rules[0], **changes) if changes else rules[0]


def _same(value: object, other: object) -> bool:
    return value is other or bool(value == other)  # arrays, which have no plain equality, are one
