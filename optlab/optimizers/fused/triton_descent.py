"""Run many epochs of stochastic gradient descent in one kernel by Triton, on CUDA devices.

Importing this file imports triton. A program makes the whole run of one trial, or of some trials
that visit the rows in one order: parameters, velocities and gradients stay in its registers, and
the rows of the next tile are fetched while those of this one are worked on.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, SQUARED, LinearLoss

MOST_FEATURES = 4096
_TILE = 2048
"""Numbers of a tile, trials x rows x features: what 32 to 128 threads hold in registers."""

_SQUARED, _HUBER, _LOGISTIC = map(tl.constexpr, (SQUARED, HUBER, LOGISTIC))


@triton.jit
def slope_of(kind: tl.constexpr, z: Any, y: Any, delta: Any) -> Any:
    """Return the derivative of each row's loss in its prediction: see `linear_loss`."""
    r = z - y
    if kind == _SQUARED:
        return r + r
    if kind == _HUBER:
        return tl.maximum(-delta, tl.minimum(r, delta))
    if kind == _LOGISTIC:
        e = tl.exp(-tl.abs(z))
        return tl.where(z >= 0, 1.0, e) / (1.0 + e) - y
    return tl.exp(z) - y


@triton.jit
def loss_of(kind: tl.constexpr, z: Any, y: Any, delta: Any) -> Any:
    """Return each row's loss."""
    r = z - y
    if kind == _SQUARED:
        return r * r
    if kind == _HUBER:
        clipped = tl.maximum(-delta, tl.minimum(r, delta))
        return clipped * (r - clipped / 2)
    if kind == _LOGISTIC:
        return tl.maximum(z, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(z))) - y * z
    return tl.exp(z) - y * z


@triton.jit
def _places(  # type: ignore[no-untyped-def]
    order, epoch_stride, q, total, tiles, per_epoch, size, samples,
    ORDERED: tl.constexpr, B: tl.constexpr,
):  # fmt: skip
    """Return the rows of tile ``q``, which of them exist, and how many rows its mini-batch has."""
    q = tl.minimum(q, total - 1)  # beyond the end the last tile is fetched again, for nothing
    first = (q % per_epoch) // tiles * size
    last = tl.minimum(first + size, samples)
    place = first + (q % tiles) * B + tl.arange(0, B)
    exists = place < last
    if ORDERED:
        place = tl.load(order + q // per_epoch * epoch_stride + place, exists, 0)
    return place, exists, last - first


@triton.jit
def _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the rows' features, targets and weights; zeros where none exist."""
    here = rows.to(tl.int64)[:, None] * d + column[None, :]
    x = tl.load(X + here, exists[:, None] & is_column[None, :], 0.0)
    target = tl.load(y + rows, exists, 0.0)
    share = tl.load(weight + rows, exists, 0.0) if WEIGHTED else exists.to(x.dtype)
    return x, target, share


@triton.jit
def _descend(  # type: ignore[no-untyped-def]
    X, y, weight, orders, order_stride, epoch_stride, w, v, bias, bias_v, losses, rates, momenta,
    numbers, trials, epochs, d, size, samples,
    KIND: tl.constexpr, INTERCEPT: tl.constexpr, WEIGHTED: tl.constexpr, ORDERED: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr,
    T: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    trial = tl.program_id(0) * T + tl.arange(0, T)
    column = tl.arange(0, D)
    is_trial, is_column = trial < trials, column < d
    own = trial[:, None] * d + column[None, :]
    is_own = is_trial[:, None] & is_column[None, :]
    theta = tl.load(w + own, is_own, 0.0)
    velocity = tl.load(v + own, is_own, 0.0)
    level = tl.load(bias + trial, is_trial, 0.0)
    level_velocity = tl.load(bias_v + trial, is_trial, 0.0)
    rate = tl.load(rates + trial, is_trial, 0.0)
    momentum = tl.load(momenta + trial, is_trial, 0.0)
    decay, l2, delta = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    order = orders + tl.program_id(0) * order_stride
    gradient = tl.zeros_like(theta)
    slope_sum = tl.zeros_like(level)
    loss = tl.zeros_like(level)

    tiles = tl.cdiv(size, B)
    per_epoch = tiles * tl.cdiv(samples, size)
    total = per_epoch * epochs
    # The rows of this tile, and the places of the next one's.
    rows, exists, count = _places(
        order, epoch_stride, 0, total, tiles, per_epoch, size, samples, ORDERED, B
    )
    x, target, share = _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED)
    rows, exists, next_count = _places(
        order, epoch_stride, 1, total, tiles, per_epoch, size, samples, ORDERED, B
    )
    for q in range(total):
        next_x, next_target, next_share = _rows(
            X, y, weight, rows, exists, column, is_column, d, WEIGHTED
        )
        rows, exists, far_count = _places(
            order, epoch_stride, q + 2, total, tiles, per_epoch, size, samples, ORDERED, B
        )
        z = tl.sum(theta[:, None, :] * x[None, :, :], 2) + level[:, None]
        part = share / count.to(x.dtype)
        slope = slope_of(KIND, z, target[None, :], delta) * part[None, :]
        gradient += tl.sum(slope[:, :, None] * x[None, :, :], 1)
        slope_sum += tl.sum(slope, 1)
        if q + tiles >= total:
            loss += tl.sum(loss_of(KIND, z, target[None, :], delta) * part[None, :], 1)
        if (q + 1) % tiles == 0:
            if q + 1 == total:
                loss += l2 / 2 * tl.sum(theta * theta, 1)
            change = gradient + (l2 + decay) * theta
            level_change = slope_sum + decay * level
            if MOMENTUM:
                velocity = momentum[:, None] * velocity + change
                level_velocity = momentum * level_velocity + level_change
                if NESTEROV:
                    change += momentum[:, None] * velocity
                    level_change += momentum * level_velocity
                else:
                    change = velocity
                    level_change = level_velocity
            theta -= change * rate[:, None]
            if INTERCEPT:
                level -= level_change * rate
            gradient = tl.zeros_like(theta)
            slope_sum = tl.zeros_like(level)
        x, target, share = next_x, next_target, next_share
        count, next_count = next_count, far_count
    tl.store(w + own, theta, is_own)
    tl.store(v + own, velocity, is_own)
    tl.store(bias + trial, level, is_trial)
    tl.store(bias_v + trial, level_velocity, is_trial)
    tl.store(losses + trial, loss, is_trial)


class TritonDescent:
    """Descend from one or many starts on one problem, on a CUDA device.

    Parameters
    ----------
    X, y, weight
        The data, and the rows' weights or None.
    loss
        The loss as numbers.
    w, bias
        The starts, shape (trials, d) and (trials,) or None; they are changed.
    rates, momenta
        Learning rates and momenta, shape (trials,).
    decay, nesterov
        Weight decay, and whether momentum looks ahead.
    """

    def __init__(
        self,
        X: Tensor,
        y: Tensor,
        weight: Tensor | None,
        loss: LinearLoss,
        w: Tensor,
        bias: Tensor | None,
        rates: Tensor,
        momenta: Tensor,
        decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.X, self.y, self.weight = X.contiguous(), y.contiguous(), weight
        self.loss, self.w, self.rates, self.momenta = loss, w, rates, momenta
        self.bias = w.new_zeros(len(w)) if bias is None else bias
        self.velocities = torch.zeros_like(w), torch.zeros_like(self.bias)
        self.losses = torch.zeros_like(self.bias)
        self.numbers = w.new_tensor([decay, loss.l2, loss.delta])
        self.options = {
            "KIND": loss.kind,
            "INTERCEPT": bias is not None,
            "WEIGHTED": weight is not None,
            "MOMENTUM": bool(momenta.any()),
            "NESTEROV": nesterov,
        }

    def advance(self, orders: Tensor | None, epochs: int, size: int, samples: int) -> Tensor:
        """Make so many epochs; return each trial's last mini-batch loss, (trials,).

        ``orders`` has shape (epochs, n), the same for all trials, or (trials, epochs, n); None: the
        rows as they lie.
        """
        trials, d = self.w.shape
        own = orders is not None and orders.ndim == 3
        T, B, D = tile(trials, d, size, own)
        _descend[(triton.cdiv(trials, T),)](
            self.X, self.y, self.y if self.weight is None else self.weight,
            self.y if orders is None else orders, orders.stride(0) if own else 0,
            0 if orders is None else orders.stride(-2), self.w, self.velocities[0], self.bias,
            self.velocities[1], self.losses, self.rates, self.momenta, self.numbers, trials, epochs,
            d, size, samples, **self.options, ORDERED=orders is not None, T=T, B=B, D=D,
            num_warps=min(4, max(1, T * B * D // 1024)),
        )  # fmt: skip
        return self.losses


def tile(trials: int, d: int, size: int, own_orders: bool) -> tuple[int, int, int]:
    """Return the trials, rows and features that a program works on at once, powers of two."""
    features = triton.next_power_of_2(d)
    rows = min(triton.next_power_of_2(size), max(1, _TILE // features))
    together = 1 if own_orders else max(1, 32 // (rows * features))  # the threads of a warp
    return min(together, triton.next_power_of_2(trials)), rows, features
