"""The loss protocol: a convex function of a prediction and a target, with its derivatives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.labels import Labels, Target

Pair = tuple[Tensor, Tensor]
"""A number as an unevaluated sum ``high + low``: see `optlab.linalg.double_double`."""


def _gauss(count: int) -> list[tuple[float, float]]:
    """Return Gauss's nodes and weights for ``int_0^1 (1 - t) f(t) dt``."""
    pairs = zip(*np.polynomial.legendre.leggauss(count), strict=True)
    return [(float((1 + t) / 2), float(w * (1 - t) / 4)) for t, w in pairs]


_NODES, _NODES_OF_OUTPUTS = _gauss(8), _gauss(11)


def rounded(pair: Pair) -> Tensor:
    """Return a pair as one number."""
    return pair[0] + pair[1]


class Contrasts(NamedTuple):
    """Directions of predictions along which a row's loss falls for ever, or rises where it is held.

    The m-th says that row ``row[m]`` prefers ``direction[m] . eta`` to grow (a direction is a
    number, or ``(K,)``); where ``held[m]``, that it bears no change of it.
    """

    row: Tensor
    direction: Tensor
    held: Tensor


class Loss:
    """A convex loss ``l(eta, y) >= 0`` of the prediction ``eta = x . w + b``, row by row.

    A subclass is a frozen dataclass and writes `value`, `slope` and `curvature` in torch's
    operations, for any dtype and device. ``eta`` has shape ``(B,)``, or ``(B, K)`` for a loss of K
    outputs, which writes `curvature_product`, `curvature_root` and `slope_change` instead of
    `curvature`.
    """

    is_of_residual: ClassVar[bool] = False
    """Whether it depends on ``y - eta`` alone."""
    steepest: ClassVar[float] = math.inf
    """The least upper bound of the second derivative."""
    has_bounds: ClassVar[bool] = False
    """Whether errors, curvatures and changes within a radius are proven bounds; not inherited.

    References are certified only where the loss's own class sets it: a `curvature` that ignores its
    radius, or a `slope_error` that is too small for a slope that cancels, would prove falsehoods.
    """

    @property
    def kink(self) -> tuple[float, float] | None:
        """Slopes in ``y - eta`` below and above 0 of a loss that is linear in both, or None."""
        return None

    @property
    def growth(self) -> tuple[float, float] | None:
        """Numbers a and b of which the loss is at least ``a |y - eta| - b``; None for none."""
        return None

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of a row's prediction: () or (K,)."""
        return ()

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row, ``(B,)``."""
        raise NotImplementedError

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return the first derivative in ``eta``, in its shape."""
        raise NotImplementedError

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return the least second derivative within ``radius`` of ``eta``, ``(B,)``."""
        raise NotImplementedError

    def mean(self, eta: Tensor) -> Tensor:
        """Return the expected target at a prediction ``eta``."""
        return eta

    def encoded(self, y: Any, classes: Labels | None = None) -> Target:
        """Return class labels as numbers, with the classes; other targets as they are."""
        return Target(y, None)

    def check(self, y: Tensor) -> None:
        """Raise ValueError for targets that the loss does not allow."""

    # What follows from these, for one output.

    def curvature_product(self, eta: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        """Return the second derivative in ``eta`` times a direction of its shape."""
        return self.curvature(eta, y) * direction

    def curvature_root(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return B ``(B, m, K)`` of which ``B'B`` is below the second derivative within a radius.

        At radius 0 it equals the second derivative.
        """
        return self.curvature(eta, y, radius).sqrt()[:, None, None]

    def slope_change(self, eta: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """Return a bound on the change of `slope` within a radius of ``eta``."""
        return self.steepest * radius

    def slope_pair(self, eta: Pair, y: Tensor) -> Pair:
        """Return the first derivative at a prediction known as a pair."""
        high = self.slope(eta[0], y)
        return dd.fast_two_sum(high, self.curvature_product(eta[0], y, eta[1]))

    def slope_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return a bound on the error of `slope_pair`: 8 units in the last place of `slope`."""
        return 2.0**-50 * self.slope(eta, y).abs()

    def slope_error_squares(self, eta: Tensor, y: Tensor, radius: Tensor | float) -> Tensor:
        """Return ``d' H^-1 d``, for H the curvature of `curvature_root` and d `slope_error`."""
        error = self.slope_error(eta, y)
        return torch.where(error > 0, error * error / self.curvature(eta, y, radius), 0.0)

    def divergence(self, eta: Tensor, gap: Tensor, y: Tensor, slope: Tensor) -> Tensor:
        """Return ``l(eta + gap) - l(eta) - slope . gap``, Bregman's divergence, to all digits.

        Gaps up to 1 take Taylor's remainder, ``int_0^1 (1 - t) gap l''(eta + t gap) gap dt``, by
        Gauss nodes: its terms are positive, so nothing cancels. The next singularity of the losses
        here is ``pi / range`` away, where gaps of several outputs have a range up to 2, so that 8
        nodes, or 11 of several outputs, leave an error below rounding. Of a loss with a kink, the
        slope is any that balances: both sides' rest is at least 0.
        """
        if self.kink is not None:
            below, above = self.kink
            residual = y - eta - gap
            over, under = residual.clamp(min=0.0), (-residual).clamp(min=0.0)
            return over * (above + slope) - under * (below + slope)
        near = gap.clamp(-1.0, 1.0)
        total = torch.zeros_like(y, dtype=eta.dtype)
        for node, weight in _NODES_OF_OUTPUTS if self.outputs else _NODES:
            total = total + weight * _rows(
                self.curvature_product(eta + node * near, y, near) * near
            )
        far = self.value(eta + gap, y) - self.value(eta, y) - _rows(slope * gap)
        is_near = (gap.abs() <= 1.0).reshape(len(y), -1).all(1)
        return torch.where(is_near, total, far)

    def path(self, y: Tensor) -> Iterator[Loss]:
        """Yield losses ever harder to minimise from the last one's minimum, itself at last."""
        yield self

    def contrasts(self, y: Tensor) -> Contrasts | None:
        """Return along which predictions the loss never grows; None where it grows along all."""
        return None

    def without(self, receding: Tensor, y: Tensor) -> tuple[Loss, Tensor]:
        """Return the loss without the contrasts that recede, and which rows it keeps."""
        return self, ~receding

    def value_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return a bound on the rounding error of `value`: 8 units of it and of its argument's."""
        size = (self.slope(eta, y) * eta).abs()
        return 2.0**-50 * (self.value(eta, y) + _rows(size))


def _rows(values: Tensor) -> Tensor:
    """Return sums over the outputs of each row."""
    return values if values.ndim == 1 else values.sum(-1)
