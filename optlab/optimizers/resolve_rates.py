"""Put numbers in the place of learning rates that are given as text."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from optlab.optimizers.batches import Batches
from optlab.optimizers.curvature import (
    Curvature,
    UnknownCurvatureError,
    batch_curvature,
    largest_curvature,
)
from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.optimizers.optimizer import Optimizer, optimizer_name
from optlab.optimizers.rate_text import AUTO, RATE_FIELDS, RateFormula, is_rate_text, not_of_descent
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import is_quadratic
from optlab.problems.hessian import modes
from optlab.text import number

Choose: TypeAlias = Callable[[str, Any, str], Any]
"""The rate of a text, of the optimizer that it belongs to, in a field."""


class ResolvedRates(NamedTuple):
    """An optimizer with numbers for learning rates, the (last) number, and a sentence on it."""

    optimizer: Any
    learning_rate: float
    sentence: str


def has_rate_text(optimizer: object) -> bool:
    """Return whether a learning rate of an optimizer, or of what it wraps, is text.

    Examples
    --------
    >>> import optlab as ol
    >>> has_rate_text(ol.SGD("1/L")), has_rate_text(ol.Averaged(ol.SGD("auto")))
    (True, True)
    >>> has_rate_text(ol.SGD(ol.schedules.Cosine("auto", epochs=9))), has_rate_text(ol.SGD(0.1))
    (True, False)
    """
    return with_rates(optimizer, lambda *_: 1.0) is not optimizer


def resolve_rates(
    optimizer: Optimizer, problem: Problem, batches: Batches, start: Parameters
) -> ResolvedRates:
    r"""Compute the learning rates that are text, and return the optimizer with these numbers.

    ``"c/L"`` and ``"c/(L+mu)"`` are what they say, with L of `largest_curvature` and the smallest
    positive eigenvalue mu of a quadratic loss, each plus the weight decay: rates of full-batch
    descent. ``"auto"`` is, with momentum m,

    .. math:: \eta = \frac{1}{L} \text{ (full batches)}, \qquad
        \eta = \frac{1 - m}{2 \mathcal{L}(B)} \text{ (B of n rows)}

    with the expected smoothness :math:`\mathcal{L}(B)` of `batch_curvature`. At it stochastic
    descent on a convex loss converges linearly into a ball around the optimum, whose size is that
    of the noise; momentum makes of a step :math:`1 / (1 - m)` of them. A method that has
    ``automatic_rate(L, batch_smoothness, noise)`` decides itself. For methods that are no gradient
    descent (Adam), whose rate curvature does not set, ``"auto"`` is their default.

    Parameters
    ----------
    optimizer
        The optimizer; also its schedules, and the rule that it wraps, are looked through.
    problem, batches, start
        As `Optimizer.iterates` gets them.

    Raises
    ------
    UnknownCurvatureError
        Where the problem has no largest curvature, or the method has no use for a formula.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.Quadratic([10.0, 2.0])
    >>> start = problem.start(torch.Generator())
    >>> batches = ol.optimizers.Batches(*problem.data[:2], "full", torch.Generator())
    >>> resolve_rates(ol.HeavyBall("2/(L+mu)"), problem, batches, start).optimizer
    HeavyBall(learning_rate=0.16666666666666666, momentum=0.9)
    >>> resolve_rates(ol.Adam("auto"), problem, batches, start).sentence
    "learning rate 0.001 ('auto': Adam's default, as curvature does not set its rate)"

    References
    ----------
    Nesterov, Introductory Lectures on Convex Optimization (2004), theorem 2.1.14; Gower et al.,
    SGD: General Analysis and Improved Rates (2019), theorem 3.1; Yuan, Ying and Sayed, On the
    Influence of Momentum Acceleration on Online Learning (2016).
    """
    chooser = _Chooser(problem, batches, start)
    found = with_rates(optimizer, chooser)
    return ResolvedRates(found, chooser.rate, chooser.sentence)


def is_rate(value: object) -> bool:
    """Return whether a learning rate is all there is: no schedule of the lab, which has its own."""
    return not dataclasses.is_dataclass(value)


def with_rates(
    value: Any,
    choose: Choose,
    owner: Any = None,
    *,
    is_chosen: Callable[[object], bool] = is_rate_text,
) -> Any:
    """Return an optimizer with chosen rates in the place of its own; itself where none changes.

    The rates that are chosen are texts, unless ``is_chosen`` says otherwise of a field's value. The
    schedules and rules inside are looked through.
    """
    changes: dict[str, Any] = {}
    for name, old in _fields(value):
        if name in RATE_FIELDS:  # a schedule's texts are of the optimizer that follows it
            own = value if owner is None else owner
            new = choose(old, own, name) if is_chosen(old) else _inside(old, choose, own, is_chosen)
        else:
            # The options of an adapter are as good as its fields; a wrapped rule has its own.
            own = value if isinstance(old, Mapping) else None
            new = _inside(old, choose, own, is_chosen)
        if new is not old:
            changes[name] = new
    return _changed(value, changes) if changes else value


def _inside(value: Any, choose: Choose, owner: Any, is_chosen: Callable[[object], bool]) -> Any:
    is_wrapped = dataclasses.is_dataclass(value) or isinstance(value, Mapping)
    if isinstance(value, type) or not is_wrapped:
        return value
    return with_rates(value, choose, owner, is_chosen=is_chosen)


def _fields(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if not dataclasses.is_dataclass(value):
        return []
    return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]


def _changed(value: Any, changes: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {**value, **changes}
    if type(value).__dataclass_params__.init:
        return dataclasses.replace(value, **changes)
    changed = copy.copy(value)  # a class whose own __init__ takes other arguments
    for name, new in changes.items():
        object.__setattr__(changed, name, new)
    return changed


class _Chooser:
    """Choose the rate of each text, computing the curvature once."""

    def __init__(self, problem: Problem, batches: Batches, start: Parameters) -> None:
        self.problem, self.batches, self.start = problem, batches, start
        self.rate, self.sentence = math.nan, ""

    def __call__(self, text: str, owner: Any, field: str) -> float:
        descent, own = _at_rate_one(owner, field), getattr(owner, "automatic_rate", None)
        if descent is not None or own is not None:
            self.rate, why = self._of_curvature(text, descent or LinearDescent(1.0), own)
        elif text == AUTO:
            self.rate = _default(owner, field)
            why = f"{optimizer_name(owner)}'s default, as curvature does not set its rate"
        else:
            raise UnknownCurvatureError(not_of_descent(optimizer_name(owner), field, text))
        self.sentence = f"learning rate {number(self.rate, 4)} ({text!r}: {why})"
        return self.rate

    def _of_curvature(
        self, text: str, descent: LinearDescent, own: Callable[..., float] | None
    ) -> tuple[float, str]:
        """Return a rate and where it comes from."""
        whole, decay = self._whole, descent.weight_decay
        L, origin = whole.largest + decay, f"L = {number(whole.largest + decay, 4)} {whole.origin}"
        if formula := RateFormula.of(text):
            if not formula.has_smallest:
                return formula.factor / L, origin
            mu = self._smallest() + decay
            return formula.factor / (L + mu), f"{origin}, mu = {number(mu, 4)}"
        n, B = len(self.batches.y), self.batches.rows_a_step
        smooth, noise = batch_curvature(self.problem, self.batches, self.start, whole)
        of_batches = f"L({B}) = {number(smooth + decay, 4)} is the expected smoothness"
        if own is not None:
            rate = own(L, smooth + decay, noise)
            return rate, f"{of_batches}, rho = {number(noise, 4)} its noise" if noise else origin
        if n <= B:
            return 1 / L, f"1/L, {origin}"
        m = descent.momentum
        formula_text = f"(1 - {m:g})/(2 L({B}))" if m else f"1/(2 L({B}))"
        return (1 - m) / (2 * (smooth + decay)), f"{formula_text}, {of_batches}"

    @cached_property
    def _whole(self) -> Curvature:
        return largest_curvature(self.problem, self.start)

    def _smallest(self) -> float:
        """Return mu of a quadratic loss."""
        if not is_quadratic(self.problem):
            raise UnknownCurvatureError(
                f"the loss of {self.problem.name} is not quadratic, so that its smallest curvature "
                "mu is not known: use '1/L' or 'auto'"
            )
        try:
            return modes(self.problem, self.start).smallest
        except ValueError as error:
            raise UnknownCurvatureError(f"mu is not known: {error}; use '1/L' or 'auto'") from None


def _at_rate_one(owner: Any, field: str) -> LinearDescent | None:
    """Return the recurrence of a method at the rate 1, in the place of its text or schedule."""
    if field in {name for name, _ in _fields(owner)}:
        return linear_descent(_changed(owner, {field: 1.0}))
    options = {**owner.options, field: 1.0}
    return linear_descent(_changed(owner, {"options": options, "scheduler": None}))


def _default(owner: Any, field: str) -> float:
    """Return the default of a rate in a method's signature."""
    found = next((f.default for f in dataclasses.fields(owner) if f.name == field), None)
    if found is None and (adapted := getattr(owner, "cls", None)) is not None:
        found = inspect.signature(adapted).parameters[field].default
    if not isinstance(found, numbers.Real):
        raise UnknownCurvatureError(f"{optimizer_name(owner)} has no default of {field}: give one")
    return float(found)
