"""Bounds of the rounding of losses and gradients, measured on the same loss in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.problems.problem import Batch, Parameters
from optlab.testing.gradients.differentiable import Differentiable, converted, some
from optlab.testing.gradients.line import EPS

EPS32 = 2.0**-23

DERIVATION = (
    "2 (m + p + 8) eps S, as two orders of a sum of m rows and p parameters differ by no more; S, "
    "the size of the terms, is |value|, that of single rows, and what float32 loses, over its eps"
)


@dataclass(frozen=True)
class Bound:
    """Bounds of how far two computations of one loss, and of each gradient entry, may be apart."""

    loss: float
    gradient: dict[str, Tensor]


def rounding_bound(
    double: Differentiable, single: Differentiable | None, point: Parameters, rows: Batch | None
) -> Bound:
    """Return the bounds at a point: ``2 (m + p + 8) eps S``.

    A loss of m rows and p parameters is a sum of terms of size S, of which rounding can be seen in
    float32: there it is about ``eps32 S``.

    Parameters
    ----------
    double, single
        The loss in float64 and in float32 (None where it has no float32).
    point
        In float64.
    rows
        Of the data, in float64; all where None.
    """
    p = sum(value.numel() for value in point.values())
    data = double.data if rows is None else rows
    unit = 2 * ((0 if data is None else len(data.y)) + p + 8) * EPS
    loss, gradient = _loss_and_slopes(double, point, rows)
    one_loss, single_rows = _of_single_rows(double, point, data)
    lost, lost_gradient = _lost(double, single, point, rows)
    return Bound(
        unit * (abs(loss) + one_loss + lost / EPS32),
        {
            name: unit
            * (value.abs().max() + single_rows[name] + lost_gradient[name] / EPS32).expand(
                value.shape
            )
            if value.numel()
            else value
            for name, value in gradient.items()
        },
    )


def _of_single_rows(
    at: Differentiable, point: Parameters, rows: Batch | None
) -> tuple[float, Parameters]:
    """Return the largest loss and slopes of some single rows: those of all may cancel."""
    largest = {name: torch.zeros((), dtype=torch.float64) for name in point}
    if rows is None or not at.has_separate_rows:
        return 0.0, largest
    loss = 0.0
    for first in range(min(3, len(rows.y))):
        row = some(rows, slice(first, first + 1))
        value_of_row, slopes = _loss_and_slopes(at, point, row)
        loss = max(loss, abs(value_of_row))
        for name, value in slopes.items():
            if value.numel():
                largest[name] = torch.maximum(largest[name], value.abs().max())
    return loss, largest


def _loss_and_slopes(
    at: Differentiable, point: Parameters, rows: Batch | None
) -> tuple[float, Parameters]:
    if at.has_autograd:
        return at.value_and_autograd(point, rows)
    return at.value(point, rows), at.gradient(point, rows)


def _lost(
    double: Differentiable, single: Differentiable | None, point: Parameters, rows: Batch | None
) -> tuple[float, Parameters]:
    """Return what float32 loses of the loss and of each parameter's gradient (its largest)."""
    rounded = {name: value.to(torch.float32) for name, value in point.items()}
    exact = {name: value.double() for name, value in rounded.items()}
    none = {name: torch.zeros((), dtype=torch.float64) for name in point}
    if single is None:
        return 0.0, none
    rows32 = None if rows is None else converted(rows, torch.float32)
    value, slopes = _loss_and_slopes(double, exact, rows)
    value32, slopes32 = _loss_and_slopes(single, rounded, rows32)
    lost = {
        name: (slope - slopes32[name].double()).abs().max() if slope.numel() else none[name]
        for name, slope in slopes.items()
    }
    # Where float32 overflows it measures nothing.
    loss = abs(value - value32) if math.isfinite(value - value32) else 0.0
    return loss, {name: v if v.isfinite() else none[name] for name, v in lost.items()}
