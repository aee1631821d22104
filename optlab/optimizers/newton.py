"""Newton's method with a modified Hessian and a line search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import vmap

from optlab.checks import check_count
from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import HasCurvature, has, is_smooth
from optlab.problems.curves.derivatives import hessian
from optlab.problems.rounding_floor import RoundingFloor
from optlab.problems.vector import flatten, unflatten

_SUFFICIENT = 1e-4
_HALVINGS = 10
"""A step that has to be shortened more often than this is no longer trusted."""
_MOST_HALVINGS = 60
_CHUNK_ELEMENTS = 1 << 24
"""Rows times directions that are worked on at once."""


@dataclass(frozen=True)
class Newton:
    r"""Newton's method with a line search: the full Hessian, its eigenvalues made positive.

    .. math:: w \leftarrow w - t \, |H|^{-1} \nabla f(w)

    The Hessian H is scaled to a unit diagonal, so that units make no difference; :math:`|H|` has
    the absolute values of its eigenvalues, those that rounding has swamped raised to it, so that
    the direction goes down wherever the gradient is not 0, also near a saddle. t is the first of 1,
    1/2, 1/4, ... that lowers the loss by 1e-4 of what the slope promises; where the losses differ
    by rounding only, the gradients at both ends say so. Convergence near a minimum is quadratic.
    Where ten halvings are not enough, the model is wrong: where a loss is saturated its second
    derivatives underflow. The diagonal of H is then raised until no step along one coordinate
    promises to lower the loss f by more than f: to the largest :math:`g_i^2 / 2|f|` so far.

    H is made of p products with the problem's Hessian where it has these, else by autograd twice;
    both are counted as p Hessian products.

    Parameters
    ----------
    most_parameters
        Problems of more parameters are left out: H has p^2 entries, and a step costs p^3.

    Raises
    ------
    ValueError
        For a number of parameters that is no whole number of at least 1.

    See Also
    --------
    GaussNewton : First derivatives of residuals only.
    LBFGS : First derivatives of the loss only.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.diabetes().standardized())
    >>> solution = ol.minimize(problem, ol.Newton(), stop_at=1e-12)
    >>> solution.status, solution.epochs
    (<Status.CONVERGED: 'converged'>, 1)

    References
    ----------
    Nocedal and Wright, Numerical Optimization (2006), sections 3.3 and 3.4; Hager and Zhang, A new
    conjugate gradient method with guaranteed descent and an efficient line search (2005), section
    2, for the line search near rounding; Dauphin et al. (2014) for the absolute eigenvalues.
    """

    most_parameters: int = 2000
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("most_parameters", self.most_parameters)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a loss with kinks, or too many parameters."""
        if not is_smooth(problem):
            return "Newton needs a loss without kinks"
        p = flatten(problem.start(torch.Generator())).numel()
        if p > self.most_parameters:
            return (
                f"Newton solves a system of all {p} parameters, more than most_parameters, "
                f"{self.most_parameters}"
            )
        return None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step, until rounding lets none go further down."""
        objective, floor = Objective(problem, start), RoundingFloor()
        here = _Point.at(objective, flatten(start).detach())
        stays, least_size = True, torch.zeros_like(here.w)
        while here.is_finite and not floor.reached:
            least_size = least_size.maximum(here.least_size)
            H = _hessian(objective, here.w)
            step = _newton_step(H, here.gradient)
            decrement = -float(here.gradient @ step)
            floor.see(decrement)
            if decrement <= here.tolerance:
                floor.miss()
            reached = _line_search(objective, here, step, _HALVINGS)
            if reached is None:
                step = _newton_step(H, here.gradient, least_size)
                reached = _line_search(objective, here, step, _MOST_HALVINGS)
            if reached is None:
                break
            here, stays = reached, False
            yield objective.iterate(here.w)
        if stays:
            yield objective.iterate(here.w)


@dataclass(frozen=True, eq=False)
class _Point:
    """A point with its loss and gradient."""

    w: Tensor
    loss: float
    gradient: Tensor

    @classmethod
    def at(cls, objective: Objective, w: Tensor) -> _Point:
        loss, gradient = objective.loss_and_gradient(w)
        return cls(w, float(loss), gradient)

    @property
    def is_finite(self) -> bool:
        return bool(torch.isfinite(self.gradient).all()) and abs(self.loss) < float("inf")

    @property
    def least_size(self) -> Tensor:
        """Roots of the curvatures with which a step along one coordinate promises all of the loss.

        A parabola of slope g and curvature h falls by ``g^2 / 2h``. A loss that stays above 0 has
        more curvature than that wherever its second derivatives describe it; where it is
        saturated they underflow, and a step is too long by any factor.
        """
        loss = abs(self.loss)
        return self.gradient.abs() / ((2 * loss) ** 0.5 if loss else torch.inf)

    @property
    def tolerance(self) -> float:
        """Differences of losses below which gradients are asked: 5e-7 of the loss in float64."""
        return float(torch.finfo(self.w.dtype).eps ** 0.4 * abs(self.loss))


def _hessian(objective: Objective, w: Tensor) -> Tensor:
    """Return the Hessian ``(p, p)`` at a point, symmetric."""
    problem, like = objective.problem, objective.like
    objective.hessian_products += len(w)
    if has(problem, HasCurvature):
        rows = len(objective.problem.data.y)

        def row(direction: Tensor) -> Tensor:
            return flatten(problem.hessian_product(unflatten(w, like), unflatten(direction, like)))

        identity = torch.eye(len(w), dtype=w.dtype, device=w.device)
        chunk = max(1, _CHUNK_ELEMENTS // rows)
        H: Any = vmap(row, chunk_size=chunk)(identity)
    else:
        H = hessian(lambda at: problem.loss(unflatten(at, like)), w)
    symmetric: Tensor = (H + H.T).detach() / 2
    return symmetric


def _newton_step(H: Tensor, gradient: Tensor, least_size: Tensor | None = None) -> Tensor:
    """Return ``-|H|^-1 gradient``, with H scaled to a unit diagonal.

    ``least_size`` are roots of curvatures to which the diagonal of H is raised first.
    """
    H, slope = H.to("cpu", torch.float64), gradient.to("cpu", torch.float64)
    if not torch.isfinite(H).all():
        return -gradient
    size = H.diagonal().abs().sqrt()
    if least_size is not None:
        least_size = least_size.to("cpu", torch.float64)
        H = H + (least_size**2 - size**2).clamp_min(0.0).diag()
        size = size.maximum(least_size)
    scale = torch.where(size > 0, size, 1.0)
    values, vectors = torch.linalg.eigh(H / scale / scale[:, None])
    least = len(values) * torch.finfo(gradient.dtype).eps * float(values.abs().max())
    positive = values.abs().clamp_min(least or 1.0)
    step: Tensor = -(vectors @ (vectors.T @ (slope / scale) / positive)) / scale
    return step.to(gradient.device, gradient.dtype)


def _line_search(objective: Objective, here: _Point, step: Tensor, halvings: int) -> _Point | None:
    """Return the first of the halved steps that lowers the loss enough, or None."""
    slope = float(here.gradient @ step)
    length = 1.0
    for _ in range(halvings):
        w = here.w + length * step
        if torch.equal(w, here.w):
            return None
        change = float(objective.loss(w)) - here.loss
        promised = _SUFFICIENT * length * slope
        if change <= promised or abs(change) <= here.tolerance:
            reached = _Point.at(objective, w)
            if abs(change) <= here.tolerance:  # the trapezoidal rule: exact for a quadratic
                change = length * float((here.gradient + reached.gradient) @ step) / 2
            if reached.is_finite and change <= promised:
                return reached
        length /= 2
    return None
