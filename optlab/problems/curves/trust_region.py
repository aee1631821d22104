"""Least squares by Levenberg-Marquardt steps within a trust region, down to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from optlab.problems.curves.residual_functions import ResidualFunctions
from optlab.problems.curves.scaled_jacobian import ScaledJacobian, column_norms
from optlab.problems.rounding_floor import RoundingFloor

_ACCEPTED = 1e-4
"""Share of the predicted reduction that a step must bring to be taken."""


@final
@dataclass(frozen=True, eq=False)
class LeastSquaresPoint:
    """A point ``(p,)`` with its residuals ``(m,)`` and, where asked for, their Jacobian."""

    functions: ResidualFunctions
    point: Tensor

    @cached_property
    def residual(self) -> Tensor:
        """The residuals ``(m,)``."""
        return self.functions.residuals(self.point)

    @cached_property
    def jacobian(self) -> Tensor:
        """The Jacobian of the residuals, ``(m, p)``."""
        return self.functions.jacobian(self.point)

    @property
    def slope(self) -> Tensor:
        """Half the gradient of the sum of squares, ``J'r (p,)``."""
        return self.jacobian.T @ self.residual

    @property
    def is_finite(self) -> bool:
        """Whether the residuals and their Jacobian have neither NaN nor infinity.

        A pole or an overflow stands for a sum of squares above all others.
        """
        return bool(torch.isfinite(self.residual).all() and torch.isfinite(self.jacobian).all())

    @cached_property
    def noise(self) -> float:
        """Rounding error to expect in the sum of squares.

        Rounding the parameters and the operations of the model to ``eps`` moves the residuals by
        about ``eps (|J| |x| + |r|)``, and the sum of their squares by twice the product with r.
        """
        moved = self.jacobian.abs() @ self.point.abs() + self.residual.abs()
        eps = torch.finfo(self.residual.dtype).eps
        return float(4 * eps * moved.norm() * self.residual.norm())

    def is_lost(self, change: float) -> bool:
        """Whether rounding swamps such a change of the sum of squares."""
        return abs(change) <= 1e3 * self.noise

    def reduction(self, to: LeastSquaresPoint, expected: float) -> float:
        """Return by how much the sum of squares falls from here to another point.

        Where that is lost in rounding, as was to be expected of a step so short, it is the integral
        of the gradient along the step, by the trapezoidal rule: the gradients change by much more
        than rounding where the sums of squares differ by less (Hager and Zhang, 2005, section 2).
        """
        r, s = self.residual, to.residual
        plain = float((r - s) @ (r + s))
        if not (self.is_lost(plain) and self.is_lost(expected)):
            return plain
        return -float((self.slope + to.slope) @ (to.point - self.point))


@dataclass(frozen=True)
class TrustRegion:
    r"""Minimise a sum of squares by Levenberg-Marquardt steps of bounded length.

    The step ``s`` solves :math:`(J'J + \lambda D^2) s = -J'r`, with D the largest norms that the
    columns of J have had, and :math:`\lambda` such that :math:`\lVert D s \rVert` stays within
    a radius: the region where the linear model of the residuals has been seen to hold. A step that
    brings less than a quarter of the predicted reduction, or meets a pole or an overflow, shrinks
    the radius; one that brings three quarters doubles it.

    Parameters
    ----------
    initial_radius
        The first radius, as a multiple of the start's norm ``|| D x ||``.
    geodesic
        Whether steps bend with the curvature of the residuals along them: ``s + a / 2``, with
        ``(J'J + damping D^2) a = -J' r''``; a step whose ``a`` is long is refused.

    References
    ----------
    More, The Levenberg-Marquardt algorithm: implementation and theory (1978); Transtrum and Sethna,
    Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization
    (2012), section 4, for the geodesic acceleration.
    """

    initial_radius: float = 1.0
    geodesic: bool = False

    def points(self, functions: ResidualFunctions, start: Tensor) -> Iterator[LeastSquaresPoint]:
        """Yield the start and each point that a step reaches, until rounding lets none go down."""
        here = LeastSquaresPoint(functions, start)
        yield here
        if not here.is_finite:
            return
        scale = column_norms(here.jacobian)
        first = radius = self.initial_radius * (float((scale * start).norm()) or 1.0)
        floor = RoundingFloor()
        while True:
            scaled = ScaledJacobian(here.jacobian, here.residual, scale)
            floor.see(scaled.reducible)
            while True:
                if scaled.most_reducible(radius) <= torch.finfo(start.dtype).eps * here.noise:
                    return  # a plateau: its derivatives may be too small to be squared
                attempt = self._attempt(functions, here, scaled, scale, radius)
                radius = attempt.next_radius
                if attempt.is_rounding:
                    floor.miss()
                no_longer = attempt.length <= torch.finfo(start.dtype).eps * (attempt.size or first)
                accepted = attempt.share > _ACCEPTED
                if accepted or no_longer or floor.reached:
                    break
            if accepted:
                here = attempt.reached
                yield here
            if no_longer or floor.reached:
                return
            scale = torch.maximum(scale, here.jacobian.norm(dim=0))

    def _attempt(
        self,
        functions: ResidualFunctions,
        here: LeastSquaresPoint,
        scaled: ScaledJacobian,
        scale: Tensor,
        radius: float,
    ) -> _Attempt:
        """Try the step of one radius, and judge it."""
        damping = scaled.damping(radius)
        q = scaled.step(damping)
        length, size = float(q.norm()), float((scale * here.point).norm())
        step = q.to(scale.device, scale.dtype) / scale
        refused = _Attempt(here, -1.0, length, size, 0.25 * min(radius, length), False)
        if self.geodesic:
            bent = _bent(functions, here, scaled, scale, damping, step)
            if bent is None:
                return refused
            step = bent
        reached = LeastSquaresPoint(functions, here.point + step)
        if not torch.isfinite(reached.residual).all():
            return refused
        predicted = scaled.predicted(damping)
        share = here.reduction(reached, predicted) / predicted if predicted > 0 else -1.0
        if not share <= _ACCEPTED and not reached.is_finite:
            return refused
        return replace(
            refused,
            reached=reached,
            share=share,
            next_radius=_next_radius(radius, length, share, damping),
            is_rounding=here.is_lost(predicted),
        )


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A step that was tried: where it leads, and its share of the predicted reduction."""

    reached: LeastSquaresPoint
    share: float
    length: float
    size: float
    next_radius: float
    is_rounding: bool


def _next_radius(radius: float, length: float, share: float, damping: float) -> float:
    if share > 0.75 or (damping == 0 and share > 0.25):
        return max(radius, 2 * length)
    if share < 0.25:
        return (0.5 if share >= 0 else 0.25) * min(radius, length)
    return radius


def _bent(
    functions: ResidualFunctions,
    here: LeastSquaresPoint,
    scaled: ScaledJacobian,
    scale: Tensor,
    damping: float,
    step: Tensor,
) -> Tensor | None:
    """Return the step with its geodesic acceleration, or None where that is too long."""
    second = functions.acceleration(here.point, step)
    right = (here.jacobian.T @ second / scale).to("cpu", torch.float64)
    if not torch.isfinite(right).all():
        return None
    bend = scaled.solve(right, damping).to(scale.device, scale.dtype) / scale
    if float((scale * bend).norm()) > 0.375 * float((scale * step).norm()):
        return None  # 2 ||a|| <= 0.75 ||s||, of Transtrum and Sethna
    return step + bend / 2
