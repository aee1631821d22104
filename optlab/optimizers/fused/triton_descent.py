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
def _places(order, epoch_stride, q, bounds, B: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the rows of tile ``q``, which of them exist, and how many rows its mini-batch has."""
    total, tiles, per_epoch, size, samples = bounds
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
def _load(  # type: ignore[no-untyped-def]
    w, v, trial, is_trial, column, is_column, d, p, INTERCEPT: tl.constexpr
):
    """Return weights and bias, each with its velocity."""
    own = trial[:, None] * p + column[None, :]
    is_own = is_trial[:, None] & is_column[None, :]
    theta = tl.load(w + own, is_own, 0.0)
    velocity = tl.load(v + own, is_own, 0.0)
    level, level_velocity = (
        tl.zeros_like(trial).to(theta.dtype),
        tl.zeros_like(trial).to(theta.dtype),
    )
    if INTERCEPT:
        level = tl.load(w + trial * p + d, is_trial, 0.0)
        level_velocity = tl.load(v + trial * p + d, is_trial, 0.0)
    return theta, velocity, level, level_velocity


@triton.jit  # type: ignore[untyped-decorator]
def _store(  # type: ignore[no-untyped-def]
    w, v, theta, velocity, level, level_velocity, trial, is_trial, column, is_column, d, p,
    INTERCEPT: tl.constexpr,
):  # fmt: skip
    """Write back what `_load` returns."""
    own = trial[:, None] * p + column[None, :]
    is_own = is_trial[:, None] & is_column[None, :]
    tl.store(w + own, theta, is_own)
    tl.store(v + own, velocity, is_own)
    if INTERCEPT:
        tl.store(w + trial * p + d, level, is_trial)
        tl.store(v + trial * p + d, level_velocity, is_trial)


@triton.jit  # type: ignore[untyped-decorator]
def _step(  # type: ignore[no-untyped-def]
    w, v, change, rate, momentum, MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr
):
    """Return parameters and velocity after a step along the gradient."""
    if MOMENTUM:
        v = momentum * v + change
        change = change + momentum * v if NESTEROV else v
    return w - change * rate, v


@triton.jit  # type: ignore[untyped-decorator]
def _move(  # type: ignore[no-untyped-def]
    theta, velocity, level, level_velocity, gradient, slope_sum, rate, momentum, decay, l2,
    INTERCEPT: tl.constexpr, MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr,
):  # fmt: skip
    """Return weights and bias, each with its velocity, after a step."""
    change = gradient + (l2 + decay) * theta
    theta, velocity = _step(
        theta, velocity, change, rate[:, None], momentum[:, None], MOMENTUM, NESTEROV
    )
    if INTERCEPT:
        change = slope_sum + decay * level
        level, level_velocity = _step(
            level, level_velocity, change, rate, momentum, MOMENTUM, NESTEROV
        )
    return theta, velocity, level, level_velocity


@triton.jit(do_not_specialize=["trials", "epochs", "size", "samples"])  # type: ignore[untyped-decorator]
def _descend(  # type: ignore[no-untyped-def]
    X, y, weight, order, order_stride, epoch_stride, w, v, losses, rates, momenta, numbers,
    trials, epochs, d, p, size, samples,
    KIND: tl.constexpr, INTERCEPT: tl.constexpr, WEIGHTED: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr,
    T: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Make all steps of some trials by one program.

    Of three tiles in hand, one is worked on, the next one's rows are on their way, and of the one
    after it the places of the rows.
    """
    trial, column = tl.program_id(0) * T + tl.arange(0, T), tl.arange(0, D)
    is_trial, is_column = trial < trials, column < d
    theta, velocity, level, level_velocity = _load(
        w, v, trial, is_trial, column, is_column, d, p, INTERCEPT
    )
    rate, momentum = tl.load(rates + trial, is_trial, 0.0), tl.load(momenta + trial, is_trial, 0.0)
    decay, l2, delta = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    gradient, slope_sum, loss = tl.zeros_like(theta), tl.zeros_like(level), tl.zeros_like(level)
    tiles = tl.cdiv(size, B)
    per_epoch = tiles * tl.cdiv(samples, size)
    total = per_epoch * epochs
    order += tl.program_id(0) * order_stride
    bounds = (total, tiles, per_epoch, size, samples)
    rows, here, count = _places(order, epoch_stride, 0, bounds, B)
    x, target, share = _rows(X, y, weight, rows, here, column, is_column, d, WEIGHTED)
    rows, here, next_count = _places(order, epoch_stride, 1, bounds, B)
    for q in range(total):
        after = _rows(X, y, weight, rows, here, column, is_column, d, WEIGHTED)
        rows, here, far_count = _places(order, epoch_stride, q + 2, bounds, B)
        z = tl.sum(theta[:, None, :] * x[None, :, :], 2) + level[:, None]
        part = (share / count.to(x.dtype))[None, :]
        slope = slope_of(KIND, z, target[None, :], delta) * part
        gradient += tl.sum(slope[:, :, None] * x[None, :, :], 1)
        slope_sum += tl.sum(slope, 1)
        if q + tiles >= total:
            loss += tl.sum(loss_of(KIND, z, target[None, :], delta) * part, 1)
        if (q + 1) % tiles == 0:
            if q + 1 == total:
                loss += l2 / 2 * tl.sum(theta * theta, 1)
            theta, velocity, level, level_velocity = _move(
                theta, velocity, level, level_velocity, gradient, slope_sum, rate, momentum, decay,
                l2, INTERCEPT, MOMENTUM, NESTEROV,
            )  # fmt: skip
            gradient, slope_sum = tl.zeros_like(theta), tl.zeros_like(level)
        x, target, share = after
        count, next_count = next_count, far_count
    _store(w, v, theta, velocity, level, level_velocity, trial, is_trial, column, is_column, d, p,
           INTERCEPT)  # fmt: skip
    tl.store(losses + trial, loss, is_trial)


@triton.jit  # type: ignore[untyped-decorator]
def _partial_sums(  # type: ignore[no-untyped-def]
    X, y, weight, order, theta, level, delta, own, count, d, KIND: tl.constexpr,
    WEIGHTED: tl.constexpr, ORDERED: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Write this program's sums of the gradient, the slopes and the losses of a mini-batch."""
    column = tl.arange(0, D)
    is_column = column < d
    sums = tl.zeros([B, D], theta.dtype)
    slopes, values = tl.zeros([B], theta.dtype), tl.zeros([B], theta.dtype)
    for q in range(tl.program_id(0), tl.cdiv(count, B), tl.num_programs(0)):
        place = q * B + tl.arange(0, B)
        exists = place < count
        rows = tl.load(order + place, exists, 0) if ORDERED else place
        x, target, share = _rows(X, y, weight, rows, exists, column, is_column, d, WEIGHTED)
        z = tl.sum(x * theta, 1) + level
        slope = slope_of(KIND, z, target, delta) * share
        sums += x * slope[:, None]
        slopes += slope
        values += loss_of(KIND, z, target, delta) * share
    tl.store(own + column, tl.sum(sums, 0))
    tl.store(own + D, tl.sum(slopes, 0))
    tl.store(own + D + 1, tl.sum(values, 0))


@triton.jit(do_not_specialize=["count"])  # type: ignore[untyped-decorator]
def _wide_step(  # type: ignore[no-untyped-def]
    X, y, weight, order, w, v, losses, rates, momenta, numbers, partial, arrived, count, d, p,
    KIND: tl.constexpr, INTERCEPT: tl.constexpr, WEIGHTED: tl.constexpr, ORDERED: tl.constexpr,
    MOMENTUM: tl.constexpr, NESTEROV: tl.constexpr, B: tl.constexpr, D: tl.constexpr,
    R: tl.constexpr,
):  # fmt: skip
    """Make one step of each trial by many programs: the last to arrive adds up and moves."""
    programs, number = tl.num_programs(0), tl.program_id(1)
    trial, column = number + tl.arange(0, 1), tl.arange(0, D)
    is_trial, is_column = trial >= 0, column < d
    theta, velocity, level, level_velocity = _load(
        w, v, trial, is_trial, column, is_column, d, p, INTERCEPT
    )
    decay, l2, delta = tl.load(numbers), tl.load(numbers + 1), tl.load(numbers + 2)
    all_of = partial + number * programs * (D + 2)
    own = all_of + tl.program_id(0) * (D + 2)
    _partial_sums(
        X, y, weight, order, theta, level, delta, own, count, d, KIND, WEIGHTED, ORDERED, B, D
    )
    tl.debug_barrier()  # all of this program's stores, before its arrival
    if tl.atomic_add(arrived + number, 1, sem="acq_rel") == programs - 1:
        gradient = tl.zeros([D], theta.dtype)
        slope_sum, loss = tl.zeros_like(level), tl.zeros_like(level)
        for first in range(0, programs, R):
            program = first + tl.arange(0, R)
            here, is_there = all_of + program * (D + 2), program < programs
            part = tl.load(here[:, None] + column[None, :], is_there[:, None], 0.0, volatile=True)
            gradient += tl.sum(part, 0)
            slope_sum += tl.sum(tl.load(here + D, is_there, 0.0, volatile=True), 0)
            loss += tl.sum(tl.load(here + D + 1, is_there, 0.0, volatile=True), 0)
        mean = count.to(theta.dtype)
        loss = loss / mean + l2 / 2 * tl.sum(theta * theta, 1)
        theta, velocity, level, level_velocity = _move(
            theta, velocity, level, level_velocity, gradient[None, :] / mean, slope_sum / mean,
            tl.load(rates + trial), tl.load(momenta + trial), decay, l2, INTERCEPT, MOMENTUM,
            NESTEROV,
        )  # fmt: skip
        _store(
            w, v, theta, velocity, level, level_velocity, trial, is_trial, column, is_column, d, p,
            INTERCEPT,
        )  # fmt: skip
        tl.store(losses + trial, loss)
        tl.store(arrived + number, 0)


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
