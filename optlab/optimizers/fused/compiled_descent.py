"""Run many epochs of stochastic gradient descent, or Adam, in one loop by numba, on the CPU.

Importing this file imports numba. Strict sums over features are taken in eight interleaved parts,
so that additions need not wait for each other: the same bits on every machine. With ``fastmath``
the compiler chooses the order of sums, and may round a product and a sum once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from optlab.optimizers.fused.cached_njit import cached_njit
from optlab.optimizers.fused.fused_run import FusedRun, Loop, SnapshotLoop
from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, SQUARED

_AHEAD = 6  # rows fetched ahead: a miss of the cache takes some steps
_LINE = np.uintp(8)  # float64 of a cache line; for float32 half the calls would do
_PARTS, _INTP = 8, ir.IntType(64)
# NaN and infinity keep their meaning, so that a run that diverges is seen to.
_FAST = ("reassoc", "contract", "nsz", "arcp")
_tools: Any = cgutils  # it has no types, nor has llvmlite
_intrinsic: Any = intrinsic
_EIGHT = np.uintp(_PARTS)  # unsigned: a signed index may be negative, which costs
_1, _2, _3, _4, _5, _6, _7 = (np.uintp(k) for k in range(1, _PARTS))


@_intrinsic  # type: ignore[untyped-decorator]
def _prefetch(_context: Any, X: Any, i: Any, j: Any) -> Any:
    """Fetch the cache line of ``X[i, j]`` without waiting for it."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, arguments[0])
        place = _tools.get_item_pointer(context, builder, kind, array, list(arguments[1:]))
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        fetch = _tools.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, number, number, number]),
            "llvm.prefetch.p0",
        )
        to_read, keep, data = number(0), number(3), number(1)
        builder.call(fetch, [builder.bitcast(place, pointer), to_read, keep, data])
        return context.get_dummy_value()

    return types.void(X, i, j), emit


class Settings(NamedTuple):
    """The hyperparameters and the problem's numbers; the numbers are in the dtype of the data."""

    rate: Any
    momentum: Any
    decay: Any
    l2: Any
    delta: Any
    one: Any
    nesterov: bool
    fastmath: bool
    kind: int
    adaptive: bool
    beta1: float  # these in float64, as Python has them
    beta2: float
    epsilon: float


def _sum_of_products(x: Any, w: Any, d: Any, zero: Any) -> Any:
    total = zero
    for j in range(d):
        total += x[j] * w[j]
    return total


def _add_multiple(g: Any, x: Any, factor: Any, d: Any) -> None:
    for j in range(d):
        g[j] += x[j] * factor


fast_dot = numba.njit(fastmath=set(_FAST))(_sum_of_products)
fast_add = numba.njit(fastmath=set(_FAST))(_add_multiple)
strict_add = numba.njit(_add_multiple)


def _emit_sums(x: Any, w: Any, whole: Any, flags: tuple[str, ...]) -> Any:
    """Return eight sums of products, each of every eighth entry, held in two vector registers.

    Four entries a load: a wider one would wait for the narrower stores that wrote the parameters.
    """
    entry = x.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, half = ir.VectorType(context.get_value_type(entry), 4), ir.Constant(_INTP, 4)
        starts = [
            context.make_array(kind)(context, builder, argument).data
            for kind, argument in zip(signature.args[:2], arguments[:2], strict=True)
        ]
        zeros = ir.Constant(vector, [0.0] * 4)
        sums = [_tools.alloca_once_value(builder, zeros) for _ in range(2)]
        bounds = ir.Constant(_INTP, 0), arguments[2], ir.Constant(_INTP, _PARTS)
        with _tools.for_range_slice(builder, *bounds) as (j, _):
            for place, total in zip((j, builder.add(j, half)), sums, strict=True):
                pointers = (builder.gep(start, [place]) for start in starts)
                vectors = (builder.bitcast(pointer, vector.as_pointer()) for pointer in pointers)
                pair = [builder.load(v, align=entry.bitwidth // 8) for v in vectors]
                product = builder.fmul(*pair, flags=flags)
                builder.store(builder.fadd(builder.load(total), product, flags=flags), total)
        found = [builder.load(total) for total in sums]
        lanes = [builder.extract_element(v, ir.IntType(32)(k)) for v in found for k in range(4)]
        return context.make_tuple(builder, signature.return_type, lanes)

    sums: Any = types.UniTuple
    return sums(entry, _PARTS)(x, w, whole), emit


def _emit_step(w: Any, x: Any, slope: Any, rate: Any, whole: Any, flags: tuple[str, ...]) -> Any:
    """Subtract (x slope) rate from w, in place: the loads and stores of `_emit_sums`.

    With flags the slope has been multiplied by the rate before.
    """
    entry = x.dtype

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(entry), 4)
        to, of = (
            context.make_array(kind)(context, builder, argument).data
            for kind, argument in zip(signature.args[:2], arguments[:2], strict=True)
        )
        number = ir.IntType(32)
        factors = []
        for value in arguments[2 : 3 if flags else 4]:
            lanes = ir.Constant(vector, ir.Undefined)
            for k in range(4):
                lanes = builder.insert_element(lanes, value, number(k))
            factors.append(lanes)
        bounds = ir.Constant(_INTP, 0), arguments[4], ir.Constant(_INTP, 4)
        align = entry.bitwidth // 8
        with _tools.for_range_slice(builder, *bounds) as (j, _):
            place, source = (
                builder.bitcast(builder.gep(start, [j]), vector.as_pointer()) for start in (to, of)
            )
            change = builder.load(source, align=align)
            for factor in factors:
                change = builder.fmul(change, factor, flags=flags)
            moved = builder.fsub(builder.load(place, align=align), change, flags=flags)
            builder.store(moved, place, align=align)
        return context.get_dummy_value()

    return types.void(w, x, slope, rate, whole), emit


@_intrinsic  # type: ignore[untyped-decorator]
def _strict_sums(_context: Any, x: Any, w: Any, whole: Any) -> Any:
    return _emit_sums(x, w, whole, ())


@_intrinsic  # type: ignore[untyped-decorator]
def _fast_sums(_context: Any, x: Any, w: Any, whole: Any) -> Any:
    return _emit_sums(x, w, whole, _FAST)


@_intrinsic  # type: ignore[untyped-decorator]
def _strict_step(_context: Any, w: Any, x: Any, slope: Any, rate: Any, whole: Any) -> Any:
    return _emit_step(w, x, slope, rate, whole, ())


@_intrinsic  # type: ignore[untyped-decorator]
def _fast_step(_context: Any, w: Any, x: Any, slope: Any, rate: Any, whole: Any) -> Any:
    return _emit_step(w, x, slope, rate, whole, _FAST)


@numba.njit
def vector_dot(x: Any, w: Any, d: Any, zero: Any, fastmath: bool) -> Any:
    """Return x'w, its sum in eight parts and the rest, by vector instructions."""
    whole = d - d % _EIGHT
    rest = zero
    for j in range(whole, d):
        rest += x[j] * w[j]
    if not whole:
        return rest
    a = _fast_sums(x, w, np.intp(whole)) if fastmath else _strict_sums(x, w, np.intp(whole))
    return (((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))) + rest


@numba.njit
def strict_step_by_row(w: Any, x: Any, slope: Any, d: Any, rate: Any) -> None:
    """Make a step along the gradient of one row: x times the slope, and the slope for the bias."""
    whole = d - d % _EIGHT
    _strict_step(w, x, slope, rate, np.intp(whole))
    for j in range(whole, d):
        w[j] -= x[j] * slope * rate
    if len(w) > d:
        w[d] -= slope * rate


@numba.njit
def fast_step_by_row(w: Any, x: Any, move: Any, d: Any) -> None:
    """Make the same step, with the product of slope and rate."""
    whole = d - d % _EIGHT
    _fast_step(w, x, move, move, np.intp(whole))
    for j in range(whole, d):
        w[j] -= x[j] * move
    if len(w) > d:
        w[d] -= move


@numba.njit
def scalar_dot(x: Any, w: Any, d: Any, zero: Any) -> Any:
    """Return x'w, the same bits, entry by entry: faster where each step has just written w."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = zero
    whole = d - d % _EIGHT
    for j in range(np.uintp(0), whole, _EIGHT):
        a0 += x[j] * w[j]
        a1 += x[j + _1] * w[j + _1]
        a2 += x[j + _2] * w[j + _2]
        a3 += x[j + _3] * w[j + _3]
        a4 += x[j + _4] * w[j + _4]
        a5 += x[j + _5] * w[j + _5]
        a6 += x[j + _6] * w[j + _6]
        a7 += x[j + _7] * w[j + _7]
    rest = zero
    for j in range(whole, d):
        rest += x[j] * w[j]
    return (((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7))) + rest


@numba.njit
def slope_of(kind: int, z: Any, y: Any, delta: Any, one: Any) -> Any:
    """Return the derivative of a row's loss in its prediction: see `linear_loss`."""
    r = z - y
    if kind == SQUARED:
        return r + r
    if kind == HUBER:
        return max(-delta, min(r, delta))
    if kind == LOGISTIC:
        e = math.exp(-abs(z))
        return (one if z >= 0 else e) / (one + e) - y
    return math.exp(z) - y


@numba.njit
def loss_of(kind: int, z: Any, y: Any, delta: Any, one: Any) -> Any:
    """Return a row's loss."""
    r, zero = z - y, one - one
    if kind == SQUARED:
        return r * r
    if kind == HUBER:
        clipped = max(-delta, min(r, delta))
        return clipped * (r - clipped / (one + one))
    if kind == LOGISTIC:
        return max(z, zero) + math.log1p(math.exp(-abs(z))) - y * z
    return math.exp(z) - y * z + (y * math.log(y) - y if y > 0 else zero)


@numba.njit
def step(w: Any, v: Any, g: Any, d: Any, s: Settings) -> None:
    """Change the parameters ``w`` and the velocity ``v`` by the gradient ``g``."""
    for j in range(np.uintp(len(w))):
        change = g[j]
        if s.l2 != 0 and j < d:
            change += s.l2 * w[j]
        if s.decay != 0:
            change += s.decay * w[j]
        if s.momentum != 0:
            v[j] = s.momentum * v[j] + change
            change = change + s.momentum * v[j] if s.nesterov else v[j]
        w[j] -= change * s.rate


@numba.njit
def lerp(a: Any, b: Any, share: Any, one: Any) -> Any:
    """Return a (1 - share) + b share, in the form of `torch.lerp`."""
    half = one / (one + one)
    return a + share * (b - a) if share < half else b - (b - a) * (one - share)


@numba.njit
def adam_step(w: Any, m: Any, v: Any, g: Any, d: Any, t: Any, s: Settings) -> None:
    """Make Adam's step t on the parameters ``w`` and the moments ``m`` and ``v``.

    Numbers that do not change over the parameters are float64, rounded once to the dtype of ``w``:
    the operations of `optlab.Adam`, in its order.
    """
    number, power = type(s.one), float(t)  # a whole power would be products, not Python's pow
    bias1, bias2 = 1 - s.beta1**power, 1 - s.beta2**power
    scale, epsilon = number(bias1 / math.sqrt(bias2)), number(bias1 * s.epsilon)
    first, second = number(1 - s.beta1), number(1 - s.beta2)
    for j in range(np.uintp(len(w))):
        slope = g[j]
        if s.l2 != 0 and j < d:
            slope += s.l2 * w[j]
        m[j] = lerp(m[j], slope, first, s.one)
        v[j] = lerp(v[j], slope * slope, second, s.one)
        change = m[j] / (math.sqrt(v[j]) * scale + epsilon)
        if s.decay != 0:
            change += s.decay * w[j]
        w[j] -= change * s.rate


@numba.njit
def prefetch_row(X: Any, i: Any, d: Any) -> None:
    """Fetch a row without waiting for it."""
    for j in range(np.uintp(0), d, _LINE):
        _prefetch(X, i, j)


@numba.njit
def descend_one_column(
    X: Any, y: Any, weight: Any, orders: Any, epochs: int, samples: int, w: Any, s: Settings
) -> Any:
    """Make the steps of `descend_by_rows` for data of one column, without a load or store of w.

    Each step needs the parameters of the one before: what is left is the time from one to the next.
    """
    zero, loss = s.one - s.one, s.one - s.one
    coefficient, bias, has_bias = w[0], zero, len(w) > 1
    if has_bias:
        bias = w[1]
    for epoch in range(epochs):
        order = orders[min(epoch, len(orders) - 1)]
        for k in range(samples):
            if k + _AHEAD < samples:
                _prefetch(X, np.uintp(order[k + _AHEAD]), np.uintp(0))
            i = np.uintp(order[k])
            x = X[i, 0]
            z = x * coefficient
            if has_bias:
                z += bias
            slope = slope_of(s.kind, z, y[i], s.delta, s.one)
            if len(weight):
                slope *= weight[i]
            if k == samples - 1:
                loss = loss_of(s.kind, z, y[i], s.delta, s.one)
                loss *= weight[i] if len(weight) else s.one
            coefficient -= x * slope * s.rate
            if has_bias:
                bias -= slope * s.rate
    w[0] = coefficient
    if has_bias:
        w[1] = bias
    return loss


@numba.njit
def descend_by_rows(
    X: Any, y: Any, weight: Any, orders: Any, epochs: int, samples: int, w: Any, s: Settings
) -> Any:
    """Make epochs of plain steps at batch size 1: those of `descend_epochs`, without a gradient.

    The dot product loads what the step before has stored, by vectors of one width.
    """
    if X.shape[1] == 1:
        return descend_one_column(X, y, weight, orders, epochs, samples, w, s)
    d, zero, loss = np.uintp(X.shape[1]), s.one - s.one, s.one - s.one
    for epoch in range(epochs):
        order = orders[min(epoch, len(orders) - 1)]
        for k in range(samples):
            if k + _AHEAD < samples:
                for j in range(np.uintp(0), d, _LINE):
                    _prefetch(X, np.uintp(order[k + _AHEAD]), j)
            i = np.uintp(order[k])
            x = X[i]
            z = vector_dot(x, w, d, zero, s.fastmath)
            if len(w) > d:
                z += w[d]
            slope = slope_of(s.kind, z, y[i], s.delta, s.one)
            if len(weight):
                slope *= weight[i]
            if k == samples - 1:
                loss = loss_of(s.kind, z, y[i], s.delta, s.one)
                loss *= weight[i] if len(weight) else s.one
            if s.fastmath:
                fast_step_by_row(w, x, slope * s.rate, d)
            else:
                strict_step_by_row(w, x, slope, d, s.rate)
    return loss


@numba.njit
def descend_epochs(  # noqa: PLR0912 - in parts it would be slower: calls cost as much as a row
    X: Any, y: Any, weight: Any, orders: Any, epochs: int, size: int, samples: int, t: int,
    w: Any, v: Any, u: Any, s: Settings,
) -> Any:  # fmt: skip
    """Make some epochs; return the last mini-batch's loss before its update.

    ``orders`` has one for each epoch, or one for all.

    ``w`` holds the weights, then the bias where there is one; ``v`` the velocities or Adam's first
    moments, ``u`` its second moments. All are changed. ``weight`` has a number a row, or none.
    ``t`` is the number of steps made before.
    """
    if size == 1 and not (s.adaptive or s.momentum != 0 or s.decay != 0 or s.l2 != 0):
        return descend_by_rows(X, y, weight, orders, epochs, samples, w, s)
    d, number, zero = np.uintp(X.shape[1]), type(s.one), s.one - s.one
    g, loss = np.empty_like(v), zero
    for epoch in range(epochs):
        order = orders[min(epoch, len(orders) - 1)]
        for first in range(0, samples, size):
            last = min(first + size, samples)
            share, loss = s.one / number(last - first), zero  # a float32 over an int is a float64
            for j in range(np.uintp(len(g))):  # a loop: arrays in arrays take seconds to compile
                g[j] = zero
            for k in range(first, last):
                if k + _AHEAD < samples:
                    prefetch_row(X, np.uintp(order[k + _AHEAD]), d)
                i = np.uintp(order[k])
                x = X[i]
                if s.fastmath:
                    z = fast_dot(x, w, d, zero)
                else:
                    z = scalar_dot(x, w, d, zero) if size == 1 else vector_dot(x, w, d, zero, False)
                if len(w) > d:
                    z += w[d]
                part = share * weight[i] if len(weight) else share
                slope = part * slope_of(s.kind, z, y[i], s.delta, s.one)
                if s.fastmath:
                    fast_add(g, x, slope, d)
                else:
                    strict_add(g, x, slope, d)
                if len(w) > d:
                    g[d] += slope
                if last == samples:
                    loss += part * loss_of(s.kind, z, y[i], s.delta, s.one)
            if last == samples and s.l2 != 0:
                loss += s.l2 / (s.one + s.one) * scalar_dot(w, w, d, zero)
            t += 1
            if s.adaptive:
                adam_step(w, v, u, g, d, t, s)
            else:
                step(w, v, g, d, s)
    return loss


@cached_njit
def descend(
    X: Any, y: Any, weight: Any, orders: Any, ends: Any, points: Any, losses: Any, size: int,
    samples: int, t: int, w: Any, v: Any, u: Any, s: Settings,
) -> None:  # fmt: skip
    """Make epochs up to each of ``ends``, where ``w`` and the loss are copied to a row's place."""
    begun, steps = 0, -(-samples // size)
    for k, end in enumerate(ends):
        own = orders[begun:end] if len(orders) > 1 else orders
        losses[k] = descend_epochs(
            X, y, weight, own, end - begun, size, samples, t + begun * steps, w, v, u, s
        )
        for j in range(np.uintp(len(w))):
            points[k, j] = w[j]
        begun = end


def loop(run: FusedRun, size: int, samples: int) -> Loop:
    """Return a loop that makes some epochs, the trials one after the other."""
    advance = snapshot_loop(run, size, samples)

    def advance_all(orders: Tensor | None, epochs: int) -> None:
        run.losses.copy_(advance(orders, [epochs])[1][:, 0])

    return advance_all


def snapshot_loop(run: FusedRun, size: int, samples: int) -> SnapshotLoop:
    """Return a loop that makes epochs and copies the parameters on the way.

    All that can be is made ready here, as a call may be short.
    """
    X, y = run.data.X.numpy(), run.data.y.numpy()
    weight = X[0, :0] if run.data.weight is None else run.data.weight.numpy()
    theta, velocity, second = (part.numpy() for part in (run.theta, run.velocity, run.second))
    steps, made = -(-samples // size), 0
    decay, l2, delta, one = map(X.dtype.type, (run.decay, run.loss.l2, run.loss.delta, 1))
    rest: tuple[Any, ...] = (decay, l2, delta, one, run.nesterov, run.fastmath, run.loss.kind)
    rest += (run.moments is not None, *map(float, run.moments or (0, 0, 0)))
    each = [
        (theta[i], velocity[i], second[i], Settings(*(rate, momentum, *rest)))
        for i, (rate, momentum) in enumerate(
            zip(run.rates.numpy(), run.momenta.numpy(), strict=True)
        )
    ]

    natural = np.arange(samples, dtype=np.int32)[None]

    def advance(orders: Tensor | None, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
        nonlocal made
        order = natural if orders is None else orders.numpy()
        points = np.empty((len(each), len(ends), theta.shape[1]), theta.dtype)
        losses = np.empty((len(each), len(ends)), theta.dtype)
        stretches = np.array(ends)
        for i, own in enumerate(each):
            descend(X, y, weight, order, stretches, points[i], losses[i], size, samples, made, *own)
        made += ends[-1] * steps
        return torch.from_numpy(points), torch.from_numpy(losses)

    return advance
