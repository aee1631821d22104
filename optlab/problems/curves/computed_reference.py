"""The reference of a curve fit whose answer is not known: the least minimum from several starts."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.curves.rounded_size import rounded_size
from optlab.problems.curves.scaled_jacobian import column_norms
from optlab.problems.curves.trust_region import LeastSquaresPoint, TrustRegion
from optlab.problems.problem import Parameters, Reference
from optlab.problems.vector import flatten, unflatten
from optlab.text import pluralize

if TYPE_CHECKING:
    from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares

_MORE_STARTS = 4
_MOST_STEPS = 1000
_SPREAD = 0.3
"""Standard deviation of the logarithm of the factors that the further starts are drawn with, and
of what is added to parameters that start at 0."""


def computed_reference(problem: NonlinearLeastSquares) -> Reference:
    r"""Return the least minimum that Levenberg-Marquardt reaches from several starts.

    The problem's own starts and four more, each parameter of the first start times
    ``exp(0.3 N(0, 1))``, or plus ``0.3 N(0, 1)`` where it is 0, are followed down to rounding; the
    least minimum is polished by Newton's method with the full Hessian H.

    The digits are a bound to first order: rounding moves half the gradient by at most
    :math:`\delta = 4 \epsilon |J|' (|J| |p| + |y| + |r|)`, and so the parameters by
    :math:`|H^{-1}| \delta`, H here of half the sum of squares.

    Parameters
    ----------
    problem
        The problem, float64 on the CPU.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms (2002), section 9.3, for the perturbation
    of a stationary point; Seber and Wild, Nonlinear Regression (1989), section 15.2, on starts.
    """
    functions = ResidualFunctions(problem, problem.starts[0])
    ends = [_followed(functions, start) for start in _starts(problem)]
    losses = [float(end.residual.square().mean()) for end in ends]
    least = min(losses)
    best = ends[losses.index(least)]
    point, settled = _polished(problem, best.point)
    parameters = unflatten(point, problem.starts[0])
    scaled, scale = _scaled_hessian(problem, parameters)
    eigenvalues = torch.linalg.eigvalsh(scaled)
    rounding = len(point) * torch.finfo(torch.float64).eps * eigenvalues.abs().max()
    curved = bool(eigenvalues[0] > rounding)
    is_known = settled and curved
    digits = _digits(problem, parameters, scaled, scale) if is_known else math.nan
    # Ends of one minimum differ by rounding only, by far less than this of the loss.
    agree = sum(loss <= least * (1 + 1e-6) + 1e2 * best.noise / len(problem.y) for loss in losses)
    return Reference(
        kind="computed",
        loss=float(problem.loss(parameters)),
        parameters={name: value.clone() for name, value in parameters.items()},
        digits=digits,
        trusted=is_known and digits > 1,
        message=_message(len(ends), agree, curved, bool(eigenvalues[0] < -rounding), settled),
    )


def _message(starts: int, agree: int, curved: bool, falls: bool, settled: bool) -> str:
    end = f"the least point that Levenberg-Marquardt reached from {pluralize(starts, 'start')}"
    if falls:
        return (
            f"{end}: its Hessian has a negative eigenvalue, so that it is a saddle or a maximum, "
            "no minimum; give another start"
        )
    if not curved:
        return (
            f"{end}: its Hessian is singular, so that the parameters are not determined by the "
            "data, or ran away towards an infimum that is not attained"
        )
    if not settled:
        return (
            f"{end}: it had not settled there, as Newton's step is still long; perhaps the "
            "parameters ran away towards an infimum that is not attained"
        )
    return (
        f"{end} ({agree} of them ended there), polished by Newton's method; its Hessian is "
        "positive definite; that no other minimum is lower is not proven"
    )


def _starts(problem: NonlinearLeastSquares) -> list[Tensor]:
    """Return the problem's starts, and more near the first one that have a finite loss."""
    own = [flatten(start) for start in (*problem.starts, *problem.further_starts)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(_MORE_STARTS):
        moved = _SPREAD * torch.randn(own[0].shape, generator=generator, dtype=torch.float64)
        drawn = torch.where(own[0] == 0, moved, own[0] * torch.exp(moved))
        if math.isfinite(float(problem.loss(unflatten(drawn, problem.starts[0])))):
            own.append(drawn)
    return own


def _followed(functions: ResidualFunctions, start: Tensor) -> LeastSquaresPoint:
    """Return the last point of Levenberg-Marquardt from a start."""
    *_, last = islice(TrustRegion().points(functions, start), _MOST_STEPS)
    return last


def _scaled_hessian(
    problem: NonlinearLeastSquares, parameters: Parameters
) -> tuple[Tensor, Tensor]:
    """Return the Hessian of half the sum of squares in units of the Jacobian's columns."""
    scale = column_norms(problem.jacobian(parameters))
    hessian = len(problem.y) / 2 * problem.hessian(parameters)
    return hessian / scale / scale[:, None], scale


def _polished(problem: NonlinearLeastSquares, point: Tensor) -> tuple[Tensor, bool]:
    """Return the point after Newton steps that halve, and whether the first was a correction.

    It is none where the point is no minimum yet, or runs away: its step is of the parameters' size.
    """
    length = math.inf
    for _ in range(20):
        parameters = unflatten(point, problem.starts[0])
        scaled, scale = _scaled_hessian(problem, parameters)
        slope = problem.jacobian(parameters).T @ problem.residuals(parameters) / scale
        step, failed = torch.linalg.solve_ex(scaled, -slope)
        size = float((scale * point).norm()) or float(problem.y.norm())
        if failed or not float(step.norm()) <= 1e-4 * size:
            return point, False
        if float(step.norm()) >= length / 2:
            break
        point, length = point + step / scale, float(step.norm())
    return point, True


def _digits(
    problem: NonlinearLeastSquares, parameters: Parameters, scaled: Tensor, scale: Tensor
) -> float:
    """Return the digits of the worst parameter that rounding leaves, to first order."""
    jacobian, point = problem.jacobian(parameters), flatten(parameters).abs()
    size = rounded_size(problem, parameters, jacobian) + problem.residuals(parameters).abs()
    eps = torch.finfo(torch.float64).eps
    moved = 4 * eps * jacobian.abs().T @ size / scale
    error = torch.linalg.inv(scaled).abs() @ moved / scale
    worst = float((error / torch.where(point > 0, point, 1.0)).max())
    return min(15.95, -math.log10(max(worst, 2.0**-53)))
