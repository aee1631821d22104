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

from optlab.optimizers.epoch_graph import EpochGraph
from optlab.optimizers.fused.fused_run import FusedRun, Loop
from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, SQUARED

_WARP, _PROGRAMS = 32, 2048  # some sixteen programs of one warp on each multiprocessor
_TILE_BYTES = 8192
"""Size of a tile, trials x rows x features: what 32 to 128 threads hold in registers."""
_WIDE_TILE_BYTES, _WIDE_WARPS, _WIDE_PROGRAMS = 16384, 4, 264
"""The same for large batches: the best of 36 settings on an H200 (benchmarks/results/)."""

_SQUARED, _HUBER, _LOGISTIC = map(tl.constexpr, (SQUARED, HUBER, LOGISTIC))


@triton.jit  # type: ignore[untyped-decorator]
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


@triton.jit  # type: ignore[untyped-decorator]
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
    at_best = tl.where(y > 0, y * tl.log(tl.where(y > 0, y, 1.0)) - y, 0.0)
    return tl.exp(z) - y * z + at_best


@triton.jit  # type: ignore[untyped-decorator]
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


@triton.jit  # type: ignore[untyped-decorator]
def _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the rows' features, targets and weights; zeros where none exist."""
    here = rows.to(tl.int64)[:, None] * d + column[None, :]
    x = tl.load(X + here, exists[:, None] & is_column[None, :], 0.0)
    target = tl.load(y + rows, exists, 0.0)
    share = tl.load(weight + rows, exists, 0.0) if WEIGHTED else exists.to(x.dtype)
    return x, target, share


@triton.jit  # type: ignore[untyped-decorator]
def _step(  # type: ignore[no-untyped-def]
    w, v, change, rate, momentum, MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr
):
    """Return parameters and velocity after a step along the gradient."""
    if MOMENTUM:
        v = momentum * v + change
        change = change + momentum * v if NESTEROV else v
    return w - change * rate, v


@triton.jit(do_not_specialize=["trials", "epochs", "size", "samples"])  # type: ignore[untyped-decorator]
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
    rows, exists, count = _places(order, epoch_stride, 0, total, tiles, per_epoch, size, samples, B)
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
            theta, velocity = _step(
                theta, velocity, gradient + (l2 + decay) * theta, rate[:, None],
                momentum[:, None], MOMENTUM, NESTEROV,
            )  # fmt: skip
            if INTERCEPT:
                level, level_velocity = _step(
                    level, level_velocity, slope_sum + decay * level, rate, momentum, MOMENTUM,
                    NESTEROV,
                )  # fmt: skip
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


@triton.jit(do_not_specialize=["count"])  # type: ignore[untyped-decorator]
def _wide_step(  # type: ignore[no-untyped-def]
    X, y, weight, order, w, v, losses, rates, momenta, numbers, partial, arrived, count, d, p,
    KIND: tl.constexpr, INTERCEPT: tl.constexpr, WEIGHTED: tl.constexpr, ORDERED: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
    R: tl.constexpr,
):  # fmt: skip
    """Make one step of each trial by many programs: the last to arrive adds up and moves."""
    programs, trial = tl.num_programs(0), tl.program_id(1)
    column = tl.arange(0, D)
    is_column = column < d
    theta = tl.load(w + trial * p + column, is_column, 0.0)
    level = tl.load(w + trial * p + d) if INTERCEPT else 0.0
    l2, delta = tl.load(numbers + 1), tl.load(numbers + 2)
    sums = tl.zeros([B, D], theta.dtype)
    slopes = tl.zeros([B], theta.dtype)
    values = tl.zeros([B], theta.dtype)
    for q in range(tl.program_id(0), tl.cdiv(count, B), programs):
        place = q * B + tl.arange(0, B)
        exists = place < count
        rows = tl.load(order + place, exists, 0) if ORDERED else place
        x, target, share = _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED)
        z = tl.sum(x * theta[None, :], 1) + level
        slope = slope_of(KIND, z, target, delta) * share
        sums += x * slope[:, None]
        slopes += slope
        values += loss_of(KIND, z, target, delta) * share
    own = partial + (trial * programs + tl.program_id(0)) * (D + 2)
    tl.store(own + column, tl.sum(sums, 0))
    tl.store(own + D, tl.sum(slopes, 0))
    tl.store(own + D + 1, tl.sum(values, 0))
    tl.debug_barrier()  # all of this program's stores, before its arrival
    if tl.atomic_add(arrived + trial, 1, sem="acq_rel") == programs - 1:
        all_of = partial + trial * programs * (D + 2)
        gradient = tl.zeros([D], theta.dtype)
        slope_sum = l2 - l2
        loss = slope_sum
        for first in range(0, programs, R):
            program = first + tl.arange(0, R)
            here, is_there = all_of + program * (D + 2), program < programs
            part = tl.load(here[:, None] + column[None, :], is_there[:, None], 0.0, volatile=True)
            gradient += tl.sum(part, 0)
            slope_sum += tl.sum(tl.load(here + D, is_there, 0.0, volatile=True), 0)
            loss += tl.sum(tl.load(here + D + 1, is_there, 0.0, volatile=True), 0)
        rate, momentum = tl.load(rates + trial), tl.load(momenta + trial)
        decay = tl.load(numbers)
        mean = count.to(theta.dtype)
        tl.store(losses + trial, loss / mean + l2 / 2 * tl.sum(theta * theta, 0))
        velocity = tl.load(v + trial * p + column, is_column, 0.0)
        theta, velocity = _step(
            theta, velocity, gradient / mean + (l2 + decay) * theta, rate, momentum, MOMENTUM,
            NESTEROV,
        )  # fmt: skip
        tl.store(w + trial * p + column, theta, is_column)
        tl.store(v + trial * p + column, velocity, is_column)
        if INTERCEPT:
            level, velocity = _step(
                level, tl.load(v + trial * p + d), slope_sum / mean + decay * level, rate, momentum,
                MOMENTUM, NESTEROV,
            )  # fmt: skip
            tl.store(w + trial * p + d, level)
            tl.store(v + trial * p + d, velocity)
        tl.store(arrived + trial, 0)


def loop(run: FusedRun, size: int, samples: int) -> Loop:
    """Return a function that makes some epochs: in one launch, or a large batch a launch.

    It takes orders that lie on the device and the number of epochs. Orders have shape (epochs, n)
    and are the same for all trials, or (trials, epochs, n); None: the rows as they lie.
    """
    rows = _rows_of(_TILE_BYTES, run.data.X)
    is_wide = len(run.theta) < _PROGRAMS // 16 and size > 2 * rows
    return (_wide_loop if is_wide else _narrow_loop)(run, size, samples)


def _options(run: FusedRun) -> dict[str, Any]:
    (X, _, weight), p = run.data, run.theta.shape[1]
    return {"KIND": run.loss.kind, "INTERCEPT": p > X.shape[1], "WEIGHTED": weight is not None,
            "MOMENTUM": bool(run.momenta.any()), "NESTEROV": run.nesterov,
            "enable_fp_fusion": True}  # fmt: skip


def _narrow_loop(run: FusedRun, size: int, samples: int) -> Loop:
    X, y, weight = run.data
    (trials, p), d = run.theta.shape, X.shape[1]
    numbers = run.theta.new_tensor([run.decay, run.loss.l2, run.loss.delta])
    options = _options(run)
    natural = torch.arange(samples, dtype=torch.int32, device=X.device)[None]

    def advance(orders: Tensor | None, epochs: int) -> None:
        order = natural if orders is None else orders
        own = order.ndim == 3
        T, B, D, warps = _tile(run, size, own_orders=own)
        _descend[(triton.cdiv(trials, T),)](
            X, y, y if weight is None else weight, order, order.stride(0) if own else 0,
            0 if orders is None else order.stride(-2), run.theta, run.velocity, run.losses,
            run.rates, run.momenta, numbers, trials, epochs, d, p, size, samples, **options, T=T,
            B=B, D=D, num_warps=warps,
        )  # fmt: skip

    return advance


def _wide_loop(run: FusedRun, size: int, samples: int) -> Loop:
    X, y, weight = run.data
    (trials, p), d = run.theta.shape, X.shape[1]
    numbers = run.theta.new_tensor([run.decay, run.loss.l2, run.loss.delta])
    options = _options(run)
    B, D = _rows_of(_WIDE_TILE_BYTES, X), triton.next_power_of_2(d)
    programs = min(_WIDE_PROGRAMS, triton.cdiv(size, B))
    together = min(triton.next_power_of_2(programs), 4 * B)
    partial = run.theta.new_empty(trials, programs, D + 2)
    arrived = torch.zeros(trials, dtype=torch.int32, device=X.device)

    def step(rows: Tensor | None, _: Tensor, __: bool) -> None:
        _wide_step[(programs, trials)](
            X, y, y if weight is None else weight, y if rows is None else rows, run.theta,
            run.velocity, run.losses, run.rates, run.momenta, numbers, partial, arrived,
            samples if rows is None else len(rows), d, p, **options, ORDERED=rows is not None, B=B,
            D=D, R=together, num_warps=_WIDE_WARPS,
        )  # fmt: skip

    state = [run.theta, run.velocity, run.losses, arrived]
    graph: EpochGraph | None = None

    def advance(orders: Tensor | None, epochs: int) -> None:
        nonlocal graph
        if graph is None:
            ordered = orders is not None or size < samples
            graph = EpochGraph(step, state, size=size, samples=samples, ordered=ordered)
        for epoch in range(epochs):
            graph.replay(None if orders is None else orders[epoch])

    return advance


def _rows_of(tile_bytes: int, X: Tensor) -> int:
    return max(1, tile_bytes // X.element_size() // int(triton.next_power_of_2(X.shape[1])))


def _tile(run: FusedRun, size: int, *, own_orders: bool) -> tuple[int, int, int, int]:
    """Return the trials, rows and features that a program works on at once, and its warps.

    The first three are powers of two. One warp makes the most of a GPU full of trials; few trials
    leave room for more warps each.
    """
    trials = int(triton.next_power_of_2(len(run.theta)))
    features = int(triton.next_power_of_2(run.data.X.shape[1]))
    most = _rows_of(_TILE_BYTES, run.data.X)
    rows = min(int(triton.next_power_of_2(size)), most)
    fill = max(_WARP // (rows * features), trials // _PROGRAMS, 1)
    together = 1 if own_orders else min(fill, max(1, most // rows), trials)
    few = trials // together < _PROGRAMS // 16
    warps = min(4, max(1, together * rows * features // 256)) if few else 1
    return together, rows, features, warps
