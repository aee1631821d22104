"""Checks of gradients against autograd, central differences and the Taylor remainder."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from optlab.problems.problem import Parameters
from optlab.testing.failure_message import failure_message
from optlab.testing.gradients.differentiable import Differentiable
from optlab.testing.gradients.entry_difference import EntryDifference, entry_difference
from optlab.testing.gradients.gradient_subject import GradientSubject, along, line_along
from optlab.testing.gradients.line import EPS, Line
from optlab.testing.gradients.place import Place, places
from optlab.testing.gradients.rounding_bound import DERIVATION
from optlab.testing.run_checks import CheckFailedError, CheckSkipped

LINES = 3
"""Random directions through each point."""


def check_value(subject: GradientSubject) -> None:
    """Require that the loss is a finite number of shape (), in the parameters' dtype."""
    at = subject.double
    place = Place(at, subject.seed)
    with torch.no_grad():
        loss = at.loss(place.point)
    theory = "the loss must be one finite number: a 0-dimensional tensor, the mean over the rows"
    call = f"{place.code()}\nprint(loss({place.arguments}))"
    if isinstance(loss, Tensor) and (loss.ndim or loss.dtype != torch.float64):
        seen = f"a tensor of shape {tuple(loss.shape)} in {loss.dtype}, of parameters in float64"
        raise CheckFailedError(failure_message(theory, seen, example=call))
    if not isinstance(loss, Tensor) and at.problem is not None:
        raise CheckFailedError(failure_message(theory, f"a {type(loss).__name__}", example=call))
    if not math.isfinite(float(loss)):
        raise CheckFailedError(failure_message(theory, f"{float(loss)} at {place}", example=call))


def check_shapes(subject: GradientSubject) -> None:
    """Require that the closed form has the parameters' names, shapes and dtypes."""
    at = subject.double
    if at.closed is None:
        raise CheckSkipped("there is no gradient in closed form")
    for place in places(at, subject.seed):
        found: Any = at.closed_form(place.point, place.batch)
        wrong = _wrong_shapes(found, place.point)
        if wrong:
            raise CheckFailedError(
                failure_message(
                    "a gradient has a tensor for each parameter, of its shape and dtype",
                    f"{wrong} at {place}",
                    hint="(n,) and (n, 1) broadcast to (n, n)" if "shape" in wrong else "",
                    example=f"{place.code()}\nprint(gradient({place.arguments}))",
                )
            )


def _wrong_shapes(found: Any, point: Parameters) -> str:
    """Return which tensor of a gradient is of another kind than its parameter, or nothing."""
    if not isinstance(found, dict) or found.keys() != point.keys():
        names = list(found) if isinstance(found, dict) else type(found).__name__
        return f"{names}, for the parameters {list(point)}"
    for name, value in point.items():
        slope = found[name]
        if not isinstance(slope, Tensor):
            return f"{name} as {type(slope).__name__}"
        if (slope.shape, slope.dtype) != (value.shape, value.dtype):
            return (
                f"{name} of shape {tuple(slope.shape)} in {slope.dtype}, for a parameter of "
                f"shape {tuple(value.shape)} in {value.dtype}"
            )
    return ""


def check_closed_form(subject: GradientSubject) -> None:
    """Require that the gradient in closed form is autograd's, over all rows and over batches."""
    at = subject.double
    if at.closed is None:
        raise CheckSkipped("there is no gradient in closed form")
    if not at.has_autograd:
        raise CheckSkipped("autograd cannot trace the loss back to the parameters")
    for place in places(at, subject.seed):
        point, rows = place.point, place.batch
        expected, bound = at.autograd(point, rows), subject.bound(place)
        data = at.data if rows is None else rows
        difference = entry_difference(
            at.closed_form(point, rows),
            expected,
            bound.gradient,
            point,
            0 if data is None else len(data.y),
        )
        if difference is None or _is_at_kink(at, place, difference):
            continue
        raise CheckFailedError(
            failure_message(
                "the gradient in closed form is autograd's of the loss",
                f"{difference}, at {place}",
                tolerance=f"{difference.tolerance:.2g} = {DERIVATION}",
                hint=difference.cause,
                example=_closed_and_autograd(place, difference),
            )
        )


def _is_at_kink(at: Differentiable, place: Place, difference: EntryDifference) -> bool:
    """Return whether the loss has no derivative in this entry, so that subgradients may differ."""
    direction = {name: torch.zeros_like(value) for name, value in place.point.items()}
    direction[difference.name][difference.index] = 1.0
    return line_along(at, place.point, direction, place.batch).has_kink


def _closed_and_autograd(place: Place, difference: EntryDifference) -> str:
    index = f"[{', '.join(map(str, difference.index))}]" if difference.index else ""
    entry = f"{index}.item()"
    if place.is_vector:
        leaves, leaf, closed = "point.clone().requires_grad_()", "leaves", ""
    else:
        leaves = "{name: value.clone().requires_grad_() for name, value in point.items()}"
        leaf = closed = f"[{difference.name!r}]"
        leaf = f"leaves{leaf}"
    arguments = place.arguments.replace("point", "leaves")
    return f"""{place.code()}
leaves = {leaves}
(slope,) = torch.autograd.grad(loss({arguments}), {leaf})
closed = gradient({place.arguments}){closed}
print("closed form", closed{entry}, "autograd", slope{entry})"""


def _gradients(subject: GradientSubject, place: Place) -> dict[str, Parameters]:
    """Return autograd's gradient and the closed form, as far as there are, with their names."""
    at, found = subject.double, {}
    if at.has_autograd:
        found["autograd"] = at.autograd(place.point, place.batch)
    if at.closed is not None:
        found["the closed form"] = at.closed_form(place.point, place.batch)
    if not found:
        raise CheckFailedError(
            failure_message(
                "autograd must be able to trace the loss back to the parameters",
                "a loss that does not depend on them, as far as autograd can tell",
                hint="item(), detach(), numpy or torch.no_grad() inside the loss",
                example=f"{place.code()}\nprint(loss({place.arguments}).requires_grad)",
            )
        )
    return found


def _points(subject: GradientSubject) -> list[Place]:
    found = places(subject.double, subject.seed, batches=False)
    if not found:
        raise CheckSkipped("the loss is finite neither at the start nor near it")
    return found


def check_central_differences(subject: GradientSubject) -> object:
    """Require that slopes along random directions are those of central differences."""
    kinks = []
    for place in _points(subject):
        for number in range(LINES):
            line, direction = subject.line(place, number)
            if line.has_kink:
                kinks.append(str(place))
                continue
            for name, gradient in _gradients(subject, place).items():
                _compare_slopes(subject, place, number, line, (name, gradient, direction))
    return f"the loss has kinks at {kinks[0]}: no derivative there" if kinks else None


def _compare_slopes(
    subject: GradientSubject,
    place: Place,
    number: int,
    line: Line,
    of: tuple[str, Parameters, Parameters],
) -> None:
    name, gradient, direction = of
    difference, slope = line.central_difference(), along(gradient, direction)
    size = {name: value.abs() for name, value in direction.items()}
    own = along(subject.bound(place).gradient, size)
    tolerance = difference.bound + own
    if abs(difference.value - slope) <= tolerance:
        return
    worst = _worst_entry(subject, place, gradient)
    raise CheckFailedError(
        failure_message(
            f"the slope along a direction by {name} is that of the central difference of the loss",
            f"{slope!r} by {name}, {difference.value!r} by the central difference of step "
            f"{difference.step:.3g}, along a random direction at {place}"
            + (f"; worst entry: {worst}" if worst is not None else ""),
            tolerance=f"{tolerance:.2g} = 4 |D_2h - D_h| / 3 + {line.rounding:.2g} / h "
            "(truncation, and rounding of the loss as measured) + the gradient's own rounding",
            hint=worst.cause if worst is not None else "",
            example=_slope_example(subject, place, number, name, difference.step),
        )
    )


def _worst_entry(
    subject: GradientSubject, place: Place, gradient: Parameters
) -> EntryDifference | None:
    """Return the entry of a gradient that is furthest from its central difference.

    Of more than 64 entries only the 64 largest are looked at.
    """
    at, point, rows = subject.double, place.point, place.batch
    expected = {name: value.clone() for name, value in gradient.items()}
    tolerance = {name: torch.full_like(value, math.inf) for name, value in gradient.items()}
    flat = torch.cat([value.abs().reshape(-1) for value in gradient.values()])
    least = float(flat.topk(min(64, len(flat))).values[-1])
    for name, value in gradient.items():
        for index in (value.abs() >= least).nonzero().tolist():
            direction = {k: torch.zeros_like(v) for k, v in point.items()}
            direction[name][tuple(index)] = max(1.0, float(point[name][tuple(index)].abs()))
            slope = line_along(at, point, direction, rows).central_difference()
            scale = float(direction[name][tuple(index)])
            expected[name][tuple(index)] = slope.value / scale
            tolerance[name][tuple(index)] = slope.bound / scale + EPS * abs(slope.value)
    data = at.data if rows is None else rows
    return entry_difference(
        gradient, expected, tolerance, point, 0 if data is None else len(data.y)
    )


def _slope_example(
    subject: GradientSubject, place: Place, number: int, name: str, step: float
) -> str:
    seed = subject.line_seed(number)
    vector = place.is_vector
    head = f"""{place.code()}
from optlab.testing.gradients.differentiable import random_direction
"""
    if vector:
        leaves, backward, shifted = "point.clone().requires_grad_()", "[leaves]", "point + t * v"
        head += f'v = random_direction({{"point": point}}, {seed})["point"]\n'
        total, closed = "(slopes[0] * v).sum()", f"[gradient({place.arguments})]"
    else:
        leaves = "{name: value.clone().requires_grad_() for name, value in point.items()}"
        backward, shifted = "list(leaves.values())", "{k: w + t * v[k] for k, w in point.items()}"
        head += f"v = random_direction(point, {seed})\n"
        total = "sum((s * w).sum() for s, w in zip(slopes, v.values()))"
        closed = f"list(gradient({place.arguments}).values())"
    rest = place.arguments.removeprefix("point")
    if name == "autograd":
        head += f"leaves = {leaves}\nslopes = torch.autograd.grad(loss(leaves{rest}), {backward})\n"
    else:
        head += f"slopes = {closed}\n"
    return f"""{head}h = {step!r}
high, low = (float(loss({shifted}{rest})) for t in (h, -h))
print({name!r}, float({total}), "central difference", (high - low) / (2 * h))"""


def check_taylor_remainder(subject: GradientSubject) -> None:
    """Require that the Taylor remainder falls with the square of the step."""
    for place in _points(subject):
        for number in range(LINES):
            line, direction = subject.line(place, number)
            if line.has_kink:
                continue
            for name, gradient in _gradients(subject, place).items():
                order = line.remainder_order(along(gradient, direction))
                if order < 1.4:
                    raise CheckFailedError(
                        failure_message(
                            "the Taylor remainder |f(x + h v) - f(x) - h g.v| falls as h**2",
                            f"order {order:.2f} in h with the gradient of {name}, along a random "
                            f"direction at {place}",
                            hint="the gradient is wrong: then the order is 1",
                            tolerance="an order of at least 1.4: rounding moves it by at most 0.09 "
                            "where the remainder is 32 times what it can be; a kink nearby gives "
                            "at least 1.58, a wrong gradient 1",
                            example=_slope_example(subject, place, number, name, 2.0**-17),
                        )
                    )
