"""The largest curvature of a loss, over all data and over mini-batches, as learning rates need it.

All is computed anew at each call, for the clock to see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.rows import row_curvature
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.capabilities import (
    HasConstantFit,
    HasCurvature,
    HasLipschitz,
    IsLinearModel,
    has,
    is_smooth,
)
from optlab.problems.largest_eigenvalue import largest_eigenvalue
from optlab.problems.vector import flatten, unflatten

MOST_COLUMNS = 512
"""The widest Gram matrix whose eigenvalues are computed: some 20 ms."""

SAMPLED_BATCHES = 8
"""Mini-batches whose curvature is looked at where rows have no known bound."""

_STEPS, _ENOUGH, _MARGIN = 100, 1e-3, 1.05

Product: TypeAlias = Callable[[Tensor], Tensor]


class UnknownCurvatureError(ValueError):
    """A loss has no largest curvature, or none that can be computed."""


class Curvature(NamedTuple):
    """The largest curvature L of a loss, and where it comes from, in words.

    ``is_bound`` says whether L bounds the curvature everywhere, or is that at one point.
    """

    largest: float
    origin: str
    is_bound: bool


def largest_curvature(problem: Problem, start: Parameters) -> Curvature:
    r"""Return the largest curvature of the loss over all data.

    Of a linear model it is :math:`c \, \lambda_{\max}(A'UA) / n` plus the l2 penalty, a bound at
    all parameters, with the largest second derivative c of the loss, the design A with its column
    for the intercept, and the rows' weights U; the eigenvalue by a decomposition, or for more than
    512 columns and rows by power iteration. Problems that know their Lipschitz constant say it. Of
    any other smooth loss it is the largest absolute eigenvalue of the Hessian at the start (and at
    the best constant fit, where there is one), by power iteration: no bound elsewhere.

    Raises
    ------
    UnknownCurvatureError
        For a loss with kinks of its own, and where the Hessian is zero or not finite.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[3.0], [4.0]], [1.0, 2.0], fit_intercept=False)
    >>> found = largest_curvature(problem, {"weight": torch.zeros(1)})
    >>> round(found.largest, 9), found.origin
    (25.0, 'bounds the curvature of the loss')

    References
    ----------
    Golub and Van Loan, Matrix Computations (2013), section 7.3.
    """
    known = math.inf
    if has(problem, IsLinearModel):
        known = problem.loss_function.steepest
        if math.isfinite(known):
            known = known * _gram(problem) + problem.penalty.l2
    elif has(problem, HasLipschitz):
        known = problem.lipschitz()
    if math.isfinite(known):
        return Curvature(_checked(known, problem), "bounds the curvature of the loss", True)
    if not is_smooth(problem) or _has_kinked_rows(problem):
        raise UnknownCurvatureError(f"the loss of {problem.name} has kinks, where no curvature is")
    points = [start]
    if has(problem, HasConstantFit):
        points.append({k: v.to(start[k]) for k, v in problem.constant_fit().items()})
    largest = max(_at(problem, point) for point in points)
    where = "the start" if len(points) == 1 else "the start and the best constant fit"
    return Curvature(_checked(largest, problem), f"is the curvature of the loss at {where}", False)


def batch_curvature(
    problem: Problem, batches: Batches, start: Parameters, whole: Curvature
) -> tuple[float, float]:
    r"""Return the expected smoothness of the loss of mini-batches, and its part that is noise.

    .. math::
        \mathcal{L}(B) = \frac{n (B - 1)}{B (n - 1)} L + \frac{n - B}{B (n - 1)} L_{\max}, \quad
        \rho(B) = \frac{n - B}{B (n - 1)} L_{\max}

    with the largest curvature :math:`L_{\max}` of one row's loss, :math:`u_i \, c \, (\lVert x_i
    \rVert^2 + 1)` plus l2 in linear models. Where rows have no such bound, the first is the largest
    curvature of up to 8 mini-batches at the start, and no less than L, and the second the rest.

    References
    ----------
    Gower, Loizou, Qian, Sailanbayev, Shulgin and Richtarik, SGD: General Analysis and Improved
    Rates (2019), proposition 3.8.
    """
    n, B, L = len(batches.y), batches.rows_a_step, whole.largest
    if n <= B:
        return L, 0.0
    if has(problem, IsLinearModel) and math.isfinite(problem.loss_function.steepest):
        row = float(row_curvature(problem).max()) + problem.penalty.l2
        noise = (n - B) / (B * (n - 1)) * row
        return n * (B - 1) / (B * (n - 1)) * L + noise, noise
    largest = max(L, *(_at(problem, start, batch) for batch in _sampled(batches)))
    return largest, largest - L


def _sampled(batches: Batches) -> list[Batch]:
    """Return some mini-batches of rows as they lie, evenly spaced: the generator is not touched."""
    size = batches.rows_a_step
    firsts = torch.linspace(0, len(batches.y) - size, SAMPLED_BATCHES).long().unique().tolist()
    parts = [part for part in (batches.X, batches.y, batches.weight) if part is not None]
    return [Batch(*(part[first : first + size] for part in parts)) for first in firsts]


def _gram(problem: IsLinearModel) -> float:
    """Return the largest eigenvalue of the Gram matrix ``A'UA / n`` of a linear model."""
    X, weight, intercept = problem.X, problem.row_weight, problem.fit_intercept
    if min(len(X), X.shape[1] + intercept) <= MOST_COLUMNS:
        return largest_eigenvalue(X, weight, intercept=intercept)

    def product(v: Tensor) -> Tensor:
        along = X @ v[: X.shape[1]] + (v[-1] if intercept else 0.0)
        along = along / len(X) if weight is None else along * weight / len(X)
        image = X.T @ along
        return torch.cat([image, along.sum()[None]]) if intercept else image

    return _MARGIN * power_iteration(product, X.new_zeros(X.shape[1] + intercept))


def _at(problem: Problem, point: Parameters, batch: Batch | None = None) -> float:
    """Return the largest absolute eigenvalue of the Hessian at a point, by power iteration."""
    point = {name: value.detach().clone() for name, value in point.items()}
    if has(problem, HasCurvature):

        def product(v: Tensor) -> Tensor:
            return flatten(problem.hessian_product(point, unflatten(v, point), batch))

        return _MARGIN * power_iteration(product, torch.zeros_like(flatten(point)))
    with torch.enable_grad():
        at = flatten(point).requires_grad_()
        loss = problem.loss(unflatten(at, point), batch)
        (slope,) = torch.autograd.grad(loss, at, create_graph=True)
        if not slope.requires_grad:  # a loss that is linear here
            return 0.0

        def by_autograd(v: Tensor) -> Tensor:
            found = torch.autograd.grad(slope, at, v, retain_graph=True, materialize_grads=True)
            return found[0].detach()

        return _MARGIN * power_iteration(by_autograd, torch.zeros_like(at.detach()))


def power_iteration(product: Product, like: Tensor) -> float:
    r"""Return an estimate from below of the largest absolute eigenvalue of a symmetric matrix.

    .. math:: v \leftarrow H v / \lVert H v \rVert

    from a random v, until the norm changes by less than 0.1 %, for 100 products at most.

    Parameters
    ----------
    product
        v ``(p,)`` to H v.
    like
        A vector of the dtype, on the device.

    Examples
    --------
    >>> H = torch.diag(torch.tensor([1.0, -5.0, 2.0]))
    >>> round(power_iteration(lambda v: H @ v, torch.zeros(3)), 2)
    5.0
    """
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(len(like), generator=generator, dtype=torch.float64).to(like)
    v, before = v / v.norm(), 0.0
    for _ in range(_STEPS):
        image = product(v)
        norm = float(image.norm())
        if not 0 < norm < math.inf:
            return norm
        if abs(norm - before) <= _ENOUGH * norm:
            return norm
        v, before = image / norm, norm
    return before


def _has_kinked_rows(problem: Problem) -> bool:
    return has(problem, IsLinearModel) and problem.loss_function.kink is not None


def _checked(largest: float, problem: Problem) -> float:
    if not 0 < largest < math.inf:
        raise UnknownCurvatureError(f"the loss of {problem.name} has the curvature {largest:g}")
    return largest
