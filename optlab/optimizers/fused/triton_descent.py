"""Run many epochs of stochastic gradient descent in one kernel by Triton, on CUDA devices.

Importing this file imports triton. A program makes the whole run of one trial, or of some trials
that visit the rows in one order: parameters, velocities and gradients stay in its registers, and
the rows of the next tile are fetched while those of this one are worked on.
"""

from __future__ import annotations

from collections.abc import Callable

import triton
import triton.language as tl
from torch import Tensor

from optlab.optimizers.fused.fused_run import FusedRun
from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, SQUARED

_WARP, _PROGRAMS = 32, 2048  # some sixteen programs of one warp on each multiprocessor
_TILE = 2048
"""Numbers of a tile, trials x rows x features: what 32 to 128 threads hold in registers."""

_SQUARED, _HUBER, _LOGISTIC = map(tl.constexpr, (SQUARED, HUBER, LOGISTIC))


@triton.jit
def slope_of(kind: tl.constexpr, z, y, delta):  # type: ignore[no-untyped-def]
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
def loss_of(kind: tl.constexpr, z, y, delta):  # type: ignore[no-untyped-def]
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
    B: tl.constexpr,
):  # fmt: skip
    """Return the rows of tile ``q``, which of them exist, and how many rows its mini-batch has."""
    q = tl.minimum(q, total - 1)  # beyond the end the last tile is fetched again, for nothing
    first = (q % per_epoch) // tiles * size
    last = tl.minimum(first + size, samples)
    place = first + (q % tiles) * B + tl.arange(0, B)
    exists = place < last
    rows = tl.load(order + q // per_epoch * epoch_stride + place, exists, 0)
    return rows, exists, last - first


@triton.jit
def _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the rows' features, targets and weights; zeros where none exist."""
    here = rows.to(tl.int64)[:, None] * d + column[None, :]
    x = tl.load(X + here, exists[:, None] & is_column[None, :], 0.0)
    target = tl.load(y + rows, exists, 0.0)
    share = tl.load(weight + rows, exists, 0.0) if WEIGHTED else exists.to(x.dtype)
    return x, target, share


@triton.jit(do_not_specialize=["epochs"])
def _descend(  # type: ignore[no-untyped-def]
    X, y, weight, orders, order_stride, epoch_stride, w, v, losses, rates, momenta, numbers,
    trials, epochs, d, p, size, samples,
    KIND: tl.constexpr, INTERCEPT: tl.constexpr, WEIGHTED: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr,
    T: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    trial = tl.program_id(0) * T + tl.arange(0, T)
    column = tl.arange(0, D)
    is_trial, is_column = trial < trials, column < d
    own = trial[:, None] * p + column[None, :]
    is_own = is_trial[:, None] & is_column[None, :]
    theta = tl.load(w + own, is_own, 0.0)
    velocity = tl.load(v + own, is_own, 0.0)
    own_level = trial * p + d  # where there is no bias, the next trial's first weight: not loaded
    level, level_velocity = tl.zeros([T], theta.dtype), tl.zeros([T], theta.dtype)
    if INTERCEPT:
        level = tl.load(w + own_level, is_trial, 0.0)
        level_velocity = tl.load(v + own_level, is_trial, 0.0)
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
        order, epoch_stride, 0, total, tiles, per_epoch, size, samples, B
    )
    x, target, share = _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED)
    rows, exists, next_count = _places(
        order, epoch_stride, 1, total, tiles, per_epoch, size, samples, B
    )
    for q in range(total):
        next_x, next_target, next_share = _rows(
            X, y, weight, rows, exists, column, is_column, d, WEIGHTED
        )
        rows, exists, far_count = _places(
            order, epoch_stride, q + 2, total, tiles, per_epoch, size, samples, B
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
    if INTERCEPT:
        tl.store(w + own_level, level, is_trial)
        tl.store(v + own_level, level_velocity, is_trial)
    tl.store(losses + trial, loss, is_trial)


def loop(run: FusedRun, size: int, samples: int) -> Callable[[Tensor], None]:
    """Return a function that makes an epoch for each of some orders, in one launch.

    Orders lie on the device, shape (epochs, n), the same for all trials, or (trials, epochs, n).
    """
    X, y, weight = run.data
    trials, p = run.theta.shape
    d = X.shape[1]
    numbers = run.theta.new_tensor([run.decay, run.loss.l2, run.loss.delta])
    options = {"KIND": run.loss.kind, "INTERCEPT": p > d, "WEIGHTED": weight is not None,
               "MOMENTUM": bool(run.momenta.any()), "NESTEROV": run.nesterov}  # fmt: skip

    def advance(orders: Tensor) -> None:
        own = orders.ndim == 3
        T, B, D, warps = tile(trials, d, size, own_orders=own)
        _descend[(triton.cdiv(trials, T),)](
            X, y, y if weight is None else weight, orders, orders.stride(0) if own else 0,
            orders.stride(-2), run.theta, run.velocity, run.losses, run.rates, run.momenta, numbers,
            trials, orders.shape[-2], d, p, size, samples, **options, T=T, B=B, D=D,
            num_warps=warps, enable_fp_fusion=True,
        )  # fmt: skip

    return advance


def tile(trials: int, d: int, size: int, *, own_orders: bool) -> tuple[int, int, int, int]:
    """Return the trials, rows and features that a program works on at once, and its warps.

    The first three are powers of two. One warp makes the most of a GPU full of trials; few trials
    leave room for more warps each.
    """
    features = triton.next_power_of_2(d)
    rows = min(triton.next_power_of_2(size), max(1, _TILE // features))
    fill = max(_WARP // (rows * features), triton.next_power_of_2(trials) // _PROGRAMS, 1)
    most = min(max(1, _TILE // (rows * features)), triton.next_power_of_2(trials))
    together = 1 if own_orders else min(fill, most)
    few = trials // together < _PROGRAMS // 16
    warps = min(4, max(1, together * rows * features // 256)) if few else 1
    return together, rows, features, warps
