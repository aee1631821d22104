"""Checks of capabilities: curvature, residuals, least squares, proximal step, and more."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from optlab.problems.capabilities import (
    HasConstantFit,
    HasCurvature,
    HasLeastSquares,
    HasLipschitz,
    HasProximal,
    HasResiduals,
    has,
    is_quadratic,
    is_smooth,
)
from optlab.problems.problem import Parameters
from optlab.problems.vector import flatten, unflatten
from optlab.testing.gradients.differentiable import converted, near, random_direction
from optlab.testing.gradients.entry_difference import entry_difference
from optlab.testing.gradients.gradient_subject import along, line_along
from optlab.testing.gradients.line import EPS
from optlab.testing.gradients.place import Place, places
from optlab.testing.gradients.rounding_bound import EPS32
from optlab.testing.problem_checks.problem_subject import (
    DOUBLE,
    HEAD,
    ProblemSubject,
    require,
    start_code,
)
from optlab.testing.run_checks import CheckSkipped


def _unit(subject: ProblemSubject) -> float:
    """Return 2 (m + p + 8) eps, for sums of m rows and p parameters."""
    p = sum(value.numel() for value in subject.start().values())
    return 2 * (len(subject.problem.data.y) + p + 8) * EPS


def _size(values: Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0


def check_smooth_gradient(subject: ProblemSubject) -> None:
    """Require that the gradient of the smooth part is autograd's of the smooth loss."""
    double = subject.double
    if not has(double, HasProximal):
        raise CheckSkipped("the problem has no proximal operator")
    for place in places(subject.at, subject.seed):
        point, rows = place.point, place.batch
        leaves = {name: value.requires_grad_() for name, value in place.point.items()}
        with torch.enable_grad():
            slopes = torch.autograd.grad(double.smooth_loss(leaves, rows), list(leaves.values()))
        expected = dict(zip(leaves, slopes, strict=True))
        bound = subject.gradients.bound(place).gradient
        difference = entry_difference(double.smooth_gradient(point, rows), expected, bound, point)
        require(
            difference is None,
            "smooth_gradient is the gradient of smooth_loss",
            f"{difference}, at {place}",
            hint=difference.cause if difference else "",
            tolerance="2 (m + p + 8) eps S, as for the gradient",
            example=f"{place.code()}\nprint(double.smooth_gradient(point, rows))\n"
            "leaves = {name: value.clone().requires_grad_() for name, value in point.items()}\n"
            "print(torch.autograd.grad(double.smooth_loss(leaves, rows), list(leaves.values())))",
        )


def check_hessian_product(subject: ProblemSubject) -> None:
    """Require that products with the Hessian are autograd's, of the smooth part of the loss."""
    double = subject.double
    if not has(double, HasCurvature):
        raise CheckSkipped("the problem has no products with the Hessian")
    for place in places(subject.at, subject.seed):
        point, rows = place.point, place.batch
        direction = random_direction(point, subject.seed)
        expected = _hessian_product(double, place, direction)
        bound = _curvature_bound(subject, place, direction, expected)
        found = double.hessian_product(point, direction, rows)
        difference = entry_difference(found, expected, bound, direction)
        cause = difference.cause.replace("parameter", "direction") if difference else ""
        require(
            difference is None,
            "hessian_product is the second derivative along a direction",
            f"{difference}, at {place}",
            hint=cause,
            tolerance="2 (m + p + 8) eps S, S the largest entry and what float32 loses of it",
            example=_curvature_example(place, subject.seed),
        )


def _hessian_product(double: Any, place: Place, direction: Parameters) -> Parameters:
    """Return autograd's second derivative along a direction."""
    loss = double.smooth_loss if has(double, HasProximal) else double.loss
    with torch.enable_grad():
        leaves = {name: value.requires_grad_() for name, value in place.point.items()}
        values = list(leaves.values())
        first: Any = torch.autograd.grad(loss(leaves, place.batch), values, create_graph=True)
        slope = sum((one * direction[name]).sum() for one, name in zip(first, leaves, strict=True))
        found: Any = torch.autograd.grad(slope, values, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def _curvature_bound(
    subject: ProblemSubject, place: Place, direction: Parameters, expected: Parameters
) -> dict[str, Tensor]:
    single: Any = subject.at.in_dtype(torch.float32).problem
    point = {name: value.float() for name, value in place.point.items()}
    rows = None if place.batch is None else converted(place.batch, torch.float32)
    lost = single.hessian_product(point, {k: v.float() for k, v in direction.items()}, rows)
    unit, size = _unit(subject), max(map(_size, expected.values()))
    return {
        name: torch.full_like(value, unit * (size + _size(lost[name].double() - value) / EPS32))
        for name, value in expected.items()
    }


def _curvature_example(place: Place, seed: int) -> str:
    return f"""{place.code()}
from optlab.testing.gradients.differentiable import random_direction
v = random_direction(point, {seed})
h = 2.0**-17
high, low = (double.gradient({{k: w + t * v[k] for k, w in point.items()}}, rows) for t in (h, -h))
print("hessian_product", double.hessian_product(point, v, rows))
print("differences", {{k: (high[k] - low[k]) / (2 * h) for k in high}})"""


def check_residuals(subject: ProblemSubject) -> None:
    """Require that the residuals' mean square is the loss, and their Jacobian is autograd's."""
    double = subject.double
    if not has(double, HasResiduals):
        raise CheckSkipped("the loss is no mean of squared residuals")
    for place in places(subject.at, subject.seed, batches=False):
        point = place.point
        example = (
            f"{place.code()}\nprint(double.residuals(point).square().mean(), double.loss(point))"
            "\nprint(double.jacobian(point))"
        )
        loss = subject.at.value(point)
        bound = 4 * subject.gradients.bound(place).loss
        residuals = double.residuals(point)
        mean = float(residuals.square().mean())
        require(
            abs(mean - loss) <= bound,
            "the mean square of the residuals is the loss",
            f"{mean!r}, the loss is {loss!r}, at {place}",
            hint="a penalty, or the rows' weights, that only one of them has",
            tolerance=f"{bound:.2g}, 4 times the rounding of the loss as measured in float32",
            example=example,
        )
        _check_jacobian(subject, place, example)


def _check_jacobian(subject: ProblemSubject, place: Place, example: str) -> None:
    double, point = subject.double, place.point
    theory = "the Jacobian of the residuals is autograd's, (m, p)"
    flat: Any = flatten(point)
    found = double.jacobian(point)
    # Backward is a pass for each residual, forward one for each parameter.
    forward = {"strategy": "forward-mode", "vectorize": True} if len(found) > 1000 else {}
    expected = torch.autograd.functional.jacobian(
        lambda vector: double.residuals(unflatten(vector, point)), flat, **forward
    )
    shapes = f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}, at {place}"
    require(found.shape == expected.shape, theory, shapes, example=example)
    off = _unit(subject) * _size(expected)
    difference = entry_difference(
        {"jacobian": found},
        {"jacobian": expected},
        {"jacobian": torch.full_like(expected, off)},
        {"jacobian": torch.zeros_like(expected)},
    )
    require(
        difference is None,
        theory,
        f"{difference}, at {place}",
        hint=difference.cause if difference else "",
        tolerance=f"{off:.2g} = 2 (m + p + 8) eps times its largest entry",
        example=example,
    )


def check_least_squares(subject: ProblemSubject) -> None:
    """Require that the solution of the least-squares system is a stationary point of the loss."""
    double = subject.double
    if not has(double, HasLeastSquares):
        raise CheckSkipped("the problem is no linear least-squares system")
    A, b, to_parameters = double.as_least_squares()
    solution = torch.linalg.lstsq(A, b[:, None], driver="gelsd").solution[:, 0]
    best = to_parameters(solution)
    slopes = flatten(subject.gradients.double.gradient(best))
    size = float(A.norm() * (A.norm() * solution.norm() + b.norm())) / len(subject.problem.data.y)
    own = max(map(_size, subject.gradients.bound_at(best, None).gradient.values()))
    tolerance = 8 * (_unit(subject) * size + own)
    require(
        _size(slopes) <= tolerance,
        "the minimum-norm solution of as_least_squares is a stationary point of the loss",
        f"a gradient of size {_size(slopes):.3g} there",
        hint="the penalty's rows, the rows' weights or the intercept differ from the loss's",
        tolerance=f"{tolerance:.2g} = 8 times 2 (m + p + 8) eps |A| (|A| |w| + |b|) / n, the "
        "backward error of LAPACK's solver, + the gradient's rounding",
        example=f"""{HEAD}{DOUBLE}A, b, to_parameters = double.as_least_squares()
w = torch.linalg.lstsq(A, b[:, None], driver="gelsd").solution[:, 0]
import optlab
print(optlab.gradient(double, to_parameters(w)))""",
    )


def check_proximal(subject: ProblemSubject) -> None:
    r"""Require that the proximal operator minimises :math:`\|v - x\|^2 / 2 + t\, h(v)`.

    h is what `loss` has beyond `smooth_loss`. This function of v is strongly convex: at a distance
    d from its minimiser it is larger by at least :math:`d^2 / 2`.
    """
    double = subject.double
    if not has(double, HasProximal):
        raise CheckSkipped("the problem has no proximal operator")
    for seed, step in enumerate((0.0, 0.1, 1.0, 10.0)):
        point = near(subject.start(subject.double), 100 * subject.seed + seed, 0.3)
        found = double.proximal(point, step)
        rounding = step * 4 * subject.gradients.bound_at(point, None).loss
        least = _proximal_objective(double, point, step, found)
        for number in range(8):
            move = random_direction(point, 1000 * subject.seed + 10 * seed + number)
            moved = {k: v + 10.0 ** -(number % 4) * move[k] for k, v in found.items()}
            square = sum(float((moved[k] - v).square().sum()) for k, v in found.items())
            gain = _proximal_objective(double, point, step, moved) - least
            tolerance = rounding + 64 * EPS * (abs(least) + square + step)
            require(
                gain >= square / 2 - tolerance,
                "proximal(x, t) minimises |v - x|**2 / 2 + t h(v), h = loss - smooth_loss",
                f"a point at the distance {math.sqrt(square):.3g} from it is larger by {gain!r}, "
                f"not by at least {square / 2!r}; t = {step}",
                hint="the step's factor is left out, or the threshold is of another penalty",
                tolerance=f"{tolerance:.2g}, the rounding of these terms",
                example=f"""{HEAD}{DOUBLE}from optlab.testing.gradients.differentiable import near
x = near({start_code("double", subject.seed)}, {100 * subject.seed + seed}, 0.3)
print(x)
print(double.proximal(x, {step}))""",
            )


def _proximal_objective(double: Any, x: Parameters, step: float, v: Parameters) -> float:
    apart = sum(float((v[name] - value).square().sum()) for name, value in x.items())
    return apart / 2 + step * float(double.loss(v) - double.smooth_loss(v))


def check_lipschitz(subject: ProblemSubject) -> None:
    """Require that gradients change by at most the Lipschitz constant times the distance.

    The direction of the largest curvature is sought by a power iteration.
    """
    double = subject.double
    if not has(double, HasLipschitz):
        raise CheckSkipped("the problem has no known Lipschitz constant")
    constant = double.lipschitz()
    call = f"{HEAD}print(problem.lipschitz())"
    require(
        isinstance(constant, float) and constant >= 0,
        "lipschitz() is a number of at least 0",
        repr(constant),
        example=call,
    )
    smooth = double.smooth_gradient if has(double, HasProximal) else subject.at.gradient
    for point in subject.points(2):
        step = random_direction(point, subject.seed)
        own = max(map(_size, subject.gradients.bound_at(point, None).gradient.values()))
        for _ in range(20):
            moved = {name: value + step[name] for name, value in point.items()}
            one, other = smooth(point), smooth(moved)
            change = {name: other[name] - value for name, value in one.items()}
            apart = math.sqrt(along(step, step))
            ratio = math.sqrt(along(change, change)) / apart
            tolerance = 8 * own * math.sqrt(len(flatten(point))) / apart + 64 * EPS * ratio
            require(
                not ratio > constant + tolerance,
                "gradients differ by at most lipschitz() times the distance of their points",
                f"{ratio!r} times the distance {apart:.3g}, lipschitz() is {constant!r}",
                hint="the penalty, the intercept's column or a factor 2 / n is left out",
                tolerance=f"{tolerance:.2g}, the rounding of two gradients",
                example=call,
            )
            if not ratio:
                break
            scale = apart / math.sqrt(along(change, change))
            step = {name: scale * value for name, value in change.items()}


def check_claims(subject: ProblemSubject) -> None:
    """Require that a problem that says it is smooth or quadratic is so, as far as can be seen."""
    at, problem = subject.at, subject.problem
    zero = {name: torch.zeros_like(value) for name, value in subject.start(subject.double).items()}
    if is_smooth(problem) and at.has_steady_loss and math.isfinite(at.value(zero)):
        line = line_along(at, zero, random_direction(zero, subject.seed), None)
        require(
            not line.has_kink,
            "the loss is smooth, as is_smooth says (or leaves out)",
            "slopes that differ on the two sides of zero parameters",
            hint="an absolute value or an l1 penalty: give the problem is_smooth = False",
            example=f"{HEAD}print(getattr(problem, 'is_smooth', 'left out'))",
        )
    if is_quadratic(problem) and at.has_steady_loss and is_smooth(problem):
        one, other = subject.points(2)
        middle = {name: (value + other[name]) / 2 for name, value in one.items()}
        ends, mid = [at.gradient(one), at.gradient(other)], at.gradient(middle)
        bounds = [subject.gradients.bound_at(p, None).gradient for p in (one, other, middle)]
        bend = {name: ends[0][name] + ends[1][name] - 2 * value for name, value in mid.items()}
        limit = {name: 2 * sum(bound[name] for bound in bounds) for name in bend}
        zeros = {name: torch.zeros_like(value) for name, value in bend.items()}
        difference = entry_difference(bend, zeros, limit, one)  # type: ignore[arg-type]  # sums of tensors
        require(
            difference is None,
            "the gradient is linear, as is_quadratic says",
            f"g(x) + g(y) - 2 g((x + y) / 2) has {difference}",
            tolerance="the rounding of the three gradients",
            example=f"{HEAD}print(getattr(problem, 'is_quadratic', 'as_least_squares'))",
        )


def check_constant_fit(subject: ProblemSubject) -> None:
    """Require that no other bias than that of the best constant prediction has a lower loss."""
    double = subject.double
    if not has(double, HasConstantFit):
        raise CheckSkipped("the problem has no best constant prediction")
    best = double.constant_fit()
    loss = subject.at.value(best)
    bound = 4 * subject.gradients.bound_at(best, None).loss
    if "bias" not in best:
        return
    for seed, radius in enumerate((1.0, 1e-2, 1e-4)):
        move = random_direction({"bias": best["bias"]}, 10 * subject.seed + seed)["bias"]
        for sign in (1, -1):
            other = subject.at.value(best | {"bias": best["bias"] + sign * radius * move})
            if other < loss - bound and not any(bool(part.any()) for part in best.values()):
                far = [best | {"bias": sign * 2.0**power * move} for power in (20, 21)]
                near, beyond = map(subject.at.value, far)
                if beyond <= near < loss:  # it falls for ever, and all are then zero
                    raise CheckSkipped("no finite constant prediction is best")
            require(
                not other < loss - bound,
                "no constant prediction is better than constant_fit",
                f"a loss of {other!r} with another bias, {loss!r} with its own",
                hint="the rows' weights are left out, or it is the mean of another loss",
                tolerance=f"{bound:.2g}, 4 times the rounding of the loss",
                example=f"{HEAD}print(problem.constant_fit())",
            )
