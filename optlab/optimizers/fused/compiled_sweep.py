"""Run gradient descent of many trials in one compiled loop over the rows, by numba on the CPU.

Importing this file imports numba. Trials lie side by side in memory, and each row is loaded
once for a block of them. Each trial's sums are taken in the order of
`optlab.optimizers.fused.compiled_descent`: the bits are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from optlab.optimizers.fused.cached_njit import cached_njit
from optlab.optimizers.fused.compiled_descent import lerp, loss_of, slope_of
from optlab.optimizers.fused.fused_run import FusedRun, Loop

_BLOCK_BYTES = 1 << 16
"""Memory of a block of trials: parameters, velocities and gradients stay in the cache."""

_TILE_BYTES = 1 << 14
"""Memory of the rows that a block of trials works on at a time."""

_VECTOR_BYTES = 64
_PARTS = 8

_tools: Any = cgutils  # it has no types, nor has llvmlite
_intrinsic: Any = intrinsic


class _Emitter:
    """Emit instructions on vectors of trials; arrays are C-contiguous, their last axis trials."""

    trials: Any  # in a row of an array
    first: Any  # of the present vector

    def __init__(self, context: Any, builder: Any, entry: Any) -> None:
        self.context, self.builder = context, builder
        self.scalar = context.get_value_type(entry)
        self.lanes = _VECTOR_BYTES * 8 // entry.bitwidth
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.align = entry.bitwidth // 8

    def data(self, kind: Any, array: Any) -> Any:
        """Return the pointer to an array's first entry."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def number(self, value: int) -> Any:
        """Return a constant index."""
        return ir.Constant(ir.IntType(64), value)

    def at(self, start: Any, row: Any) -> Any:
        """Return the pointer to a row's vector of trials."""
        place = self.builder.add(self.builder.mul(row, self.trials), self.first)
        return self.builder.bitcast(self.builder.gep(start, [place]), self.vector.as_pointer())

    def load(self, start: Any, row: Any) -> Any:
        """Return a row's vector of trials."""
        return self.builder.load(self.at(start, row), align=self.align)

    def store(self, value: Any, start: Any, row: Any) -> None:
        """Put a vector in its place in a row."""
        self.builder.store(value, self.at(start, row), align=self.align)

    def broadcast(self, start: Any, place: Any) -> Any:
        """Return a vector of which each entry is one number of an array."""
        entry = self.builder.load(self.builder.gep(start, [place]))
        empty, first = ir.Constant(self.vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        single = self.builder.insert_element(empty, entry, first)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, empty, mask)

    def total(self, value: Any | None = None) -> Any:
        """Return a place for a running sum, which begins at a vector or at zero."""
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        return _tools.alloca_once_value(self.builder, zero if value is None else value)

    def add_product(self, total: Any, a: Any, b: Any) -> None:
        """Add a product to a running sum."""
        product = self.builder.fmul(a, b)
        self.builder.store(self.builder.fadd(self.builder.load(total), product), total)

    def loop(self, first: Any, last: Any, step: int = 1) -> Any:
        """Emit a loop over indices."""
        return _tools.for_range_slice(self.builder, first, last, self.number(step))


def _emitted(emit: Callable[..., None]) -> Any:
    """Return an intrinsic that emits instructions for arrays and whole numbers."""

    def typed(_context: Any, *kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emitter = _Emitter(context, builder, signature.args[0].dtype)
            values = [
                emitter.data(kind, value) if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            *values, emitter.trials = values
            with emitter.loop(emitter.number(0), emitter.trials, emitter.lanes) as (first, _):
                emitter.first = first
                emit(emitter, *values)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return typed


def _emit_dots(e: _Emitter, X: Any, w: Any, z: Any, rows: Any, d: Any, whole: Any) -> None:
    """``z[r, k] = X[r]'w[:, k]``, each sum in eight parts and the rest: see `scalar_dot`."""
    build, zero = e.builder, e.number(0)
    with e.loop(zero, rows) as (r, _):
        row, sums, rest = build.mul(r, d), [e.total() for _ in range(_PARTS)], e.total()
        nothing = ir.Constant(e.vector, [0.0] * e.lanes)
        for total in (*sums, rest):  # a place is made once, and set in each row
            build.store(nothing, total)
        with e.loop(zero, whole, _PARTS) as (first, _):
            for part, total in enumerate(sums):
                j = build.add(first, e.number(part))
                e.add_product(total, e.broadcast(X, build.add(row, j)), e.load(w, j))
        with e.loop(whole, d) as (j, _):
            e.add_product(rest, e.broadcast(X, build.add(row, j)), e.load(w, j))
        a = [build.load(total) for total in sums]
        pairs = [build.fadd(a[i], a[i + 4]) for i in (0, 2, 1, 3)]
        halves = [build.fadd(pairs[0], pairs[1]), build.fadd(pairs[2], pairs[3])]
        e.store(build.fadd(build.fadd(*halves), build.load(rest)), z, r)


def _emit_gradients(e: _Emitter, X: Any, slope: Any, g: Any, rows: Any, d: Any, whole: Any) -> None:
    """Add ``X[r, j] slope[r, k]`` to ``g[j, k]``, row by row."""
    build, zero = e.builder, e.number(0)

    def add(first: Any, count: int) -> None:
        places = [build.add(first, e.number(part)) for part in range(count)]
        sums = [e.total() for _ in places]
        for j, total in zip(places, sums, strict=True):
            build.store(e.load(g, j), total)
        with e.loop(zero, rows) as (r, _):
            row, factor = build.mul(r, d), e.load(slope, r)
            for j, total in zip(places, sums, strict=True):
                e.add_product(total, e.broadcast(X, build.add(row, j)), factor)
        for j, total in zip(places, sums, strict=True):
            e.store(build.load(total), g, j)

    with e.loop(zero, whole, _PARTS) as (first, _):
        add(first, _PARTS)
    with e.loop(whole, d) as (j, _):
        add(j, 1)


@_intrinsic  # type: ignore[untyped-decorator]
def _dots(_c: Any, X: Any, w: Any, z: Any, rows: Any, d: Any, whole: Any, trials: Any) -> Any:
    return _emitted(_emit_dots)(_c, X, w, z, rows, d, whole, trials)


@_intrinsic  # type: ignore[untyped-decorator]
def _add_gradients(
    _c: Any, X: Any, slope: Any, g: Any, rows: Any, d: Any, whole: Any, trials: Any
) -> Any:
    return _emitted(_emit_gradients)(_c, X, slope, g, rows, d, whole, trials)


class Settings(NamedTuple):
    """The numbers that the trials of a loop share, in the dtype of the data."""

    decay: Any
    l2: Any
    delta: Any
    one: Any
    nesterov: bool
    momentum: bool
    kind: int
    adaptive: bool
    beta1: float  # these in float64, as Python has them
    beta2: float
    epsilon: float


@numba.njit
def _slopes(z: Any, w: Any, g: Any, y: Any, part: Any, rows: Any, d: Any, s: Settings) -> None:
    """Replace predictions without bias by slopes, and add these to the bias's gradient."""
    trials = np.uintp(z.shape[1])
    for r in range(rows):
        target, share = y[r], part[r]
        if len(w) > d:
            for k in range(trials):
                slope = share * slope_of(s.kind, z[r, k] + w[d, k], target, s.delta, s.one)
                z[r, k] = slope
                g[d, k] += slope
        else:
            for k in range(trials):
                z[r, k] = share * slope_of(s.kind, z[r, k], target, s.delta, s.one)


@numba.njit
def _add_losses(
    z: Any, w: Any, y: Any, part: Any, rows: Any, d: Any, total: Any, s: Settings
) -> None:
    """Add the rows' losses, of predictions without bias."""
    for r in range(rows):
        for k in range(np.uintp(z.shape[1])):
            eta = z[r, k] + w[d, k] if len(w) > d else z[r, k]
            total[k] += part[r] * loss_of(s.kind, eta, y[r], s.delta, s.one)


@numba.njit
def _step(w: Any, v: Any, g: Any, d: Any, rate: Any, momentum: Any, s: Settings) -> None:
    """Change parameters and velocities by the gradients ``g``, each trial by its own rate."""
    trials = np.uintp(len(rate))
    for j in range(np.uintp(len(w))):
        if s.l2 != 0 and j < d:
            for k in range(trials):
                g[j, k] += s.l2 * w[j, k]
        if s.decay != 0:
            for k in range(trials):
                g[j, k] += s.decay * w[j, k]
        if s.momentum:
            for k in range(trials):
                v[j, k] = momentum[k] * v[j, k] + g[j, k]
                g[j, k] = g[j, k] + momentum[k] * v[j, k] if s.nesterov else v[j, k]
        for k in range(trials):
            w[j, k] -= g[j, k] * rate[k]


@numba.njit
def _adam_step(w: Any, m: Any, v: Any, g: Any, d: Any, t: Any, rate: Any, s: Settings) -> None:
    """Make Adam's step t; see `compiled_descent.adam_step`."""
    number, power = type(s.one), float(t)  # a whole power would be products, not Python's pow
    bias1, bias2 = 1 - s.beta1**power, 1 - s.beta2**power
    scale, epsilon = number(bias1 / math.sqrt(bias2)), number(bias1 * s.epsilon)
    first, second = number(1 - s.beta1), number(1 - s.beta2)
    for j in range(np.uintp(len(w))):
        for k in range(np.uintp(len(rate))):
            slope = g[j, k]
            if s.l2 != 0 and j < d:
                slope += s.l2 * w[j, k]
            m[j, k] = lerp(m[j, k], slope, first, s.one)
            v[j, k] = lerp(v[j, k], slope * slope, second, s.one)
            change = m[j, k] / (math.sqrt(v[j, k]) * scale + epsilon)
            if s.decay != 0:
                change += s.decay * w[j, k]
            w[j, k] -= change * rate[k]


def _descend(
    X: Any, y: Any, weight: Any, orders: Any, epochs: int, size: int, samples: int, t: int,
    w: Any, v: Any, u: Any, rate: Any, momentum: Any, losses: Any, tile: int, s: Settings,
) -> Any:  # fmt: skip
    """Make some epochs of a block of trials; see `compiled_descent`.

    ``w``, ``v`` and ``u``, shape (parameters, trials), are changed, and ``losses`` becomes each
    trial's loss of the last mini-batch before its update.
    """
    d, trials, zero, number = X.shape[1], w.shape[1], s.one - s.one, type(s.one)
    whole = d - d % _PARTS
    g, z = np.empty_like(w), np.empty((tile, trials), w.dtype)
    rows, targets, parts = np.empty((tile, d), w.dtype), np.empty(tile, w.dtype), np.empty_like(y)
    full = s.one / number(size)
    for epoch in range(epochs):
        order = orders[min(epoch, len(orders) - 1)]
        for first in range(0, samples, size):
            last = min(first + size, samples)
            share = full if last - first == size else s.one / number(last - first)
            g[:] = zero
            if last == samples:
                losses[:] = zero
            for begin in range(first, last, tile):
                count = min(tile, last - begin)
                for r in range(count):
                    i = np.uintp(order[begin + r])
                    for j in range(d):
                        rows[r, j] = X[i, j]
                    targets[r] = y[i]
                    parts[r] = share * weight[i] if len(weight) else share
                _dots(rows, w, z, count, d, whole, trials)
                if last == samples:
                    _add_losses(z, w, targets, parts, count, d, losses, s)
                _slopes(z, w, g, targets, parts, count, d, s)
                _add_gradients(rows, z, g, count, d, whole, trials)
            if last == samples and s.l2 != 0:
                _add_penalty(w, d, losses, s)
            if s.adaptive:
                t += 1
                _adam_step(w, v, u, g, d, t, rate, s)
            else:
                _step(w, v, g, d, rate, momentum, s)


@numba.njit
def _add_penalty(w: Any, d: Any, total: Any, s: Settings) -> None:
    """Add the l2 penalty to the losses, its sum in the order of `scalar_dot`."""
    half, zero = s.l2 / (s.one + s.one), s.one - s.one
    sums = np.empty(_PARTS, w.dtype)
    whole = d - d % _PARTS
    for k in range(w.shape[1]):
        sums[:] = zero
        rest = zero
        for j in range(whole):
            sums[j % _PARTS] += w[j, k] * w[j, k]
        for j in range(whole, d):
            rest += w[j, k] * w[j, k]
        low = (sums[0] + sums[4]) + (sums[2] + sums[6])
        total[k] += half * ((low + ((sums[1] + sums[5]) + (sums[3] + sums[7]))) + rest)


descend = cached_njit(_descend)


def loop(run: FusedRun, size: int, samples: int) -> Loop:
    """Return a loop that makes some epochs, block by block of the trials.

    Trials with and without momentum must not be mixed.
    """
    X, y = run.data.X.numpy(), run.data.y.numpy()
    weight = X[0, :0] if run.data.weight is None else run.data.weight.numpy()
    arrays = (run.theta, run.velocity, run.second, run.rates, run.momenta, run.losses)
    theta, velocity, second, rates, momenta, losses = (array.numpy() for array in arrays)
    decay, l2, delta, one = map(X.dtype.type, (run.decay, run.loss.l2, run.loss.delta, 1))
    beta1, beta2, epsilon = map(float, run.moments or (0, 0, 0))
    settings = Settings(
        decay, l2, delta, one, run.nesterov, bool((momenta != 0).any()), run.loss.kind,
        run.moments is not None, beta1, beta2, epsilon,
    )  # fmt: skip
    steps, made = -(-samples // size), 0
    natural = np.arange(samples, dtype=np.int32)[None]
    (trials, p), lanes = theta.shape, _VECTOR_BYTES // X.itemsize
    tile = max(1, min(size, _TILE_BYTES // (X.shape[1] * X.itemsize)))
    most = lanes * max(1, _BLOCK_BYTES // ((3 * p + tile) * _VECTOR_BYTES))
    blocks = [slice(first, min(first + most, trials)) for first in range(0, trials, most)]

    def advance(orders: Tensor | None, epochs: int) -> None:
        nonlocal made
        order = natural if orders is None else orders.numpy()
        for block in blocks:
            own = (theta, velocity, second, rates, momenta, losses)
            parts = [_side_by_side(array[block], lanes) for array in own]
            w, v, u, rate, momentum, loss = parts
            descend(
                X, y, weight, order, epochs, size, samples, made, w, v, u, rate, momentum, loss,
                tile, settings,
            )  # fmt: skip
            for array, found in zip(own, parts, strict=True):
                array[block] = found.T[: block.stop - block.start]
        made += epochs * steps

    return advance


def _side_by_side(array: np.ndarray[Any, Any], lanes: int) -> np.ndarray[Any, Any]:
    """Return (trials, p) as (p, trials), filled up by zeros to an odd number of whole vectors.

    Rows that begin an even number of vectors apart would share a part of the cache.
    """
    vectors = -(-len(array) // lanes) | 1
    filled = np.zeros((*array.shape[1:], vectors * lanes), array.dtype)
    filled[..., : len(array)] = array.T
    return filled
