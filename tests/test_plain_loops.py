"""Compiled loops, run by Python: textbook steps and torch's orders, on a few rows.

A module is loaded anew with numba switched off, and the instructions that it emits itself are
replaced by plain loops; these instructions are compiled alone.
"""

import sys
from importlib.util import find_spec, module_from_spec
from inspect import isfunction

import numba
import numpy as np
import pytest
import torch

from optlab.optimizers.fused import (
    compiled_descent,
    compiled_philox,
    compiled_sweep,
    dataloader_order,
    mersenne_twister,
    philox_order,
)
from optlab.optimizers.fused.fused_run import FusedRun, Moments
from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, POISSON, SQUARED, LinearLoss
from optlab.problems import Batch

PACKAGE = "optlab.optimizers.fused"
NAMES = ("cached_njit", "mersenne_twister", "compiled_philox", "compiled_descent", "compiled_sweep")


@pytest.fixture(scope="module")
def plain():
    """The modules by name, run by Python; numbers of a fixed width overflow as they should."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        with pytest.MonkeyPatch.context() as switch:
            switch.setattr(numba.config, "DISABLE_JIT", 1)
            modules = {name: loaded(f"{PACKAGE}.{name}", patch) for name in NAMES}
        for module in modules.values():
            for emitted in EMITTED.keys() & vars(module).keys():
                patch.setattr(module, emitted, EMITTED[emitted])
        yield modules


def loaded(name, patch):
    """A module anew, in the place of the one that was imported."""
    spec = find_spec(name)
    module = module_from_spec(spec)
    patch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def sums(x, w, whole):
    """Eight sums of products, each in order."""
    total = np.zeros(8)
    for j in range(whole):
        total[j % 8] += x[j] * w[j]
    return tuple(total)


def strict_step(w, x, slope, rate, whole):
    for j in range(whole):
        w[j] -= x[j] * slope * rate


def fast_step(w, x, move, _, whole):
    strict_step(w, x, move, 1.0, whole)


def dots(X, w, z, rows, d, _whole, _trials):
    z[:rows] = X[:rows] @ w[:d]


def add_gradients(X, slope, g, rows, d, _whole, _trials):
    g[:d] += X[:rows].T @ slope[:rows]


EMITTED = {
    "_prefetch": lambda X, i, j: X[i, j],
    "_strict_sums": sums,
    "_fast_sums": sums,
    "_strict_step": strict_step,
    "_fast_step": fast_step,
    "_dots": dots,
    "_add_gradients": add_gradients,
}

X = np.random.default_rng(0).normal(scale=0.4, size=(9, 19))
Y = np.array([0.0, 2, 1, 0, 3, 1, 0, 1, 2])
WEIGHT = np.array([0.5, 1, 2, 1, 0.25, 1.5, 1, 0.75, 1])
ORDERS = np.array([[3, 1, 4, 0, 8, 5, 2, 7, 6], [0, 8, 6, 7, 5, 3, 1, 2, 4]], np.int32)


def slope_and_loss(kind, z, y, delta):
    """The textbook's derivative and value of each loss."""
    r = z - y
    if kind == SQUARED:
        return 2 * r, r**2
    if kind == HUBER:
        near = abs(r) <= delta
        return np.where(near, r, delta * np.sign(r)), np.where(
            near, r**2 / 2, delta * abs(r) - delta**2 / 2
        )
    if kind == LOGISTIC:
        return 1 / (1 + np.exp(-z)) - y, np.log(1 + np.exp(z)) - y * z
    best = np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0)
    return np.exp(z) - y, np.exp(z) - y * z + best


def textbook(run, rate, momentum, orders, size):
    """The parameters of one trial after each epoch, and the last mini-batch's losses before."""
    X, y = run.data.X.numpy(), run.data.y.numpy()
    weight = np.ones(len(y)) if run.data.weight is None else run.data.weight.numpy()
    d, theta = X.shape[1], run.theta[0].numpy().copy()
    v, u, t = np.zeros_like(theta), np.zeros_like(theta), 0
    l2 = np.where(np.arange(len(theta)) < d, run.loss.l2, 0.0)
    full = np.hstack([X, np.ones((len(y), 1))])[:, : len(theta)]
    points, losses = [], []
    for order in orders:
        for first in range(0, len(order), size):
            rows, t = order[first : first + size], t + 1
            slope, value = slope_and_loss(
                run.loss.kind, full[rows] @ theta, y[rows], run.loss.delta
            )
            g = full[rows].T @ (weight[rows] * slope) / len(rows) + l2 * theta
            loss = (weight[rows] * value).mean() + l2 @ theta**2 / 2
            if run.moments:
                beta1, beta2, epsilon = run.moments
                v, u = beta1 * v + (1 - beta1) * g, beta2 * u + (1 - beta2) * g**2
                root = np.sqrt(u / (1 - beta2**t))
                move = v / (1 - beta1**t) / (root + epsilon) + run.decay * theta
            else:
                g = g + run.decay * theta
                v = momentum * v + g
                move = g + momentum * v if run.nesterov else v
            theta = theta - rate * move
        points.append(theta)
        losses.append(loss)
    return np.array(points), np.array(losses)


def run_of(
    kind, d, *, rows=9, bias=True, weight=False, trials=1, l2=0.0, momentum=(0.0,), **options
):
    """A run on the rows above; each trial has its own rate, and momentum where there are some."""
    y = np.minimum(Y, 1) if kind == LOGISTIC else Y
    arrays = np.ascontiguousarray(X[:rows, :d]), y[:rows], WEIGHT[:rows]
    data = Batch(*map(torch.from_numpy, arrays[: 2 + weight]))
    start = torch.from_numpy(np.linspace(-0.3, 0.4, d + bias))
    rates = 0.02 * torch.arange(1.0, trials + 1, dtype=torch.float64)
    momenta = torch.tensor(momentum * trials, dtype=torch.float64)[:trials]
    loss = LinearLoss(kind, 0.7, l2)
    return FusedRun(data, loss, start.repeat(trials, 1), rates, momenta, **options)


ADAM = Moments(0.9, 0.99, 0.01)
CASES = [
    (1, 1, {}),
    (1, 1, {"bias": False, "weight": True}),
    (3, 1, {"weight": True}),
    (3, 1, {"bias": False}),
    (19, 1, {}),
    (11, 1, {"fastmath": True, "bias": False}),
    (11, 1, {"fastmath": True}),
    (19, 1, {"l2": 1.0}),
    (19, 4, {"l2": 0.3, "weight": True, "fastmath": True}),
    (8, 4, {"decay": 1.0, "bias": False}),
    (3, 9, {"momentum": (0.5, 0.25), "weight": True}),
    (2, 4, {"momentum": (0.5,), "nesterov": True, "decay": 0.1}),
    (1, 1, {"momentum": (0.25, 0.75), "l2": 0.3}),
    (1, 1, {"decay": 0.2}),
    (11, 4, {"moments": ADAM}),
    (2, 1, {"moments": ADAM, "decay": 1.0, "l2": 1.0}),
    (2, 9, {"moments": Moments(0.25, 0.5, 1.0), "bias": False}),
]
STRICT, FAST = (
    ("_strict_sums", "_strict_step", "strict_add"),
    ("_fast_sums", "_fast_step", "fast_add", "fast_dot"),
)
# Some hundred roundings of 1.1e-16, of numbers up to 10, of which no step enlarges the errors.
CLOSE = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("kind", [SQUARED, HUBER, LOGISTIC, POISSON])
@pytest.mark.parametrize(("d", "size", "options"), CASES)
def test_one_trials_steps_are_the_textbooks(plain, monkeypatch, kind, d, size, options):
    others = STRICT if options.get("fastmath") else FAST
    for name in others:  # the other kind's, which may not be called
        monkeypatch.setattr(plain["compiled_descent"], name, None)
    run = run_of(kind, d, **options)
    expected, losses = textbook(run, 0.02, float(run.momenta[0]), ORDERS[[0, 1, 1, 0, 0]], size)
    advance = plain["compiled_descent"].snapshot_loop(run, size, len(Y))
    found = advance(torch.from_numpy(ORDERS[[0, 1, 1]]), [2, 3])
    later = advance(torch.from_numpy(ORDERS[[0]]), [2])  # one order, for both epochs
    for ours, theirs in zip(found, (expected, losses), strict=True):
        np.testing.assert_allclose(ours[0], theirs[[1, 2]], **CLOSE)
    for ours, theirs in zip(later, (expected, losses), strict=True):
        np.testing.assert_allclose(ours[0], theirs[[4]], **CLOSE)
    np.testing.assert_array_equal(run.theta[0], later[0][0, 0])


@pytest.mark.parametrize("kind", [SQUARED, HUBER, LOGISTIC, POISSON])
@pytest.mark.parametrize(("d", "size", "options"), CASES)
def test_the_steps_of_trials_side_by_side_are_the_textbooks(
    plain, monkeypatch, kind, d, size, options
):
    sweep = plain["compiled_sweep"]
    monkeypatch.setattr(sweep, "_VECTOR_BYTES", 8)  # one number a vector, three trials a block
    monkeypatch.setattr(sweep, "_BLOCK_BYTES", 8 * 3 * (3 * (d + 1) + size))
    monkeypatch.setattr(sweep, "_TILE_BYTES", 3 * 8 * d)
    run = run_of(kind, d, trials=5, **options)
    alone = [
        textbook(run, rate, momentum, ORDERS[[0, 1, 1]], size)
        for rate, momentum in zip(run.rates.tolist(), run.momenta.tolist(), strict=True)
    ]
    advance = sweep.loop(run, size, len(Y))
    for orders, epochs, seen in [(ORDERS, 2, 1), (ORDERS[[1]], 1, 2)]:
        advance(torch.from_numpy(orders), epochs)
        for trial, (points, losses) in enumerate(alone):
            np.testing.assert_allclose(run.theta[trial], points[seen], **CLOSE)
            np.testing.assert_allclose(run.losses[trial], losses[seen], **CLOSE)


@pytest.mark.parametrize("trials", [1, 5])
def test_without_orders_rows_are_visited_as_they_lie(plain, trials):
    run = run_of(SQUARED, 2, trials=trials)
    expected, losses = textbook(run, 0.02, 0.0, [np.arange(9)] * 2, 4)
    name = "compiled_descent" if trials == 1 else "compiled_sweep"
    plain[name].loop(run, 4, 9)(None, 2)
    np.testing.assert_allclose(run.theta[0], expected[1], **CLOSE)
    np.testing.assert_allclose(run.losses[0], losses[1], **CLOSE)


def test_one_row_of_many_columns_is_no_single_column(plain):
    run = run_of(SQUARED, 3, rows=1)
    expected, _ = textbook(run, 0.02, 0.0, [np.zeros(1, int)] * 2, 1)
    plain["compiled_descent"].loop(run, 1, 1)(None, 2)
    np.testing.assert_allclose(run.theta[0], expected[1], **CLOSE)


def test_numbers_far_from_zero_neither_overflow_nor_cancel(plain):
    loops = plain["compiled_descent"]
    for z, y, slope, loss in [
        (800.0, 1.0, 0.0, 0.0),
        (-800.0, 1.0, -1.0, 800.0),
        (-40.0, 0.0, np.exp(-40.0), np.exp(-40.0)),
    ]:
        assert loops.slope_of(LOGISTIC, z, y, 1.0, 1.0) == pytest.approx(slope, rel=1e-15, abs=0)
        assert loops.loss_of(LOGISTIC, z, y, 1.0, 1.0) == pytest.approx(loss, rel=1e-15, abs=0)
    # At a share of 1 a mean is the other number, and at 0 the first, to the bit.
    assert loops.lerp(1e17, 1.0, 1.0, 1.0) == 1.0
    assert loops.lerp(1.0, 1e17, 0.0, 1.0) == 1.0
    assert loops.lerp(1e17, 1.0, 0.5, 1.0) == 1.0 - (1.0 - 1e17) * 0.5


def eight_parts(x, w):
    """The sum of products in eight interleaved parts, added pairwise, and the rest."""
    whole = len(x) - len(x) % 8
    a, rest = sums(x, w, whole), 0.0
    for j in range(whole, len(x)):
        rest += x[j] * w[j]
    return (((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))) + rest


@pytest.mark.parametrize("d", [1, 7, 8, 11, 24])
def test_sums_are_taken_in_eight_parts(plain, d):
    loops, draw = plain["compiled_descent"], np.random.default_rng(d)
    for x, w in draw.normal(size=(20, 2, d)):  # so many that no other order has all these bits
        assert loops.scalar_dot(x, w, d, 0.0) == eight_parts(x, w)
        assert loops.vector_dot(x, w, d, 0.0, False) == eight_parts(x, w)
        column, total = w[:, None], np.zeros(1)
        own = compiled_sweep.Settings(0.0, 2.0, 0.0, 1.0, False, False, SQUARED, False, 0, 0, 0)
        plain["compiled_sweep"]._add_penalty(column, d, total, own)
        assert total[0] == eight_parts(w, w)


def test_the_rows_that_come_are_fetched(plain, monkeypatch):
    loops, fetched = plain["compiled_descent"], []
    monkeypatch.setattr(loops, "_prefetch", lambda X, i, j: fetched.append((int(i), int(j))))
    for d, columns, size in [(1, [0], 1), (11, [0, 8], 1), (11, [0, 8], 4)]:
        fetched.clear()
        loops.snapshot_loop(run_of(SQUARED, d), size, 9)(torch.from_numpy(ORDERS), [2])
        ahead = ORDERS[:, loops._AHEAD :].reshape(-1).tolist()
        assert fetched == [(i, j) for i in ahead for j in columns]


@pytest.mark.parametrize("n", [1, 2, 5, 227, 228, 229, 625])
def test_orders_of_the_twister_are_torchs(plain, monkeypatch, n):
    monkeypatch.setattr(plain["mersenne_twister"], "_LANES", 4)
    for before, epochs in [(0, 6), (621, 1)]:  # the second time across a twist of the state
        ours, theirs = (torch.Generator().manual_seed(n) for _ in range(2))
        for generator in (ours, theirs):
            torch.rand(before, generator=generator)
        found = dataloader_order._draw_compiled(ours, n, epochs)
        assert torch.equal(found, dataloader_order._draw_by_torch(theirs, n, epochs))
        assert torch.equal(ours.get_state(), theirs.get_state())


def test_so_many_rows_that_torch_draws_64_bits_are_left_to_it(monkeypatch):
    """From 2^32 / 20 rows on 32 bits would favour some of the orders: randperm_cpu."""
    assert dataloader_order._MOST_ROWS == 214_748_364
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    monkeypatch.setattr(dataloader_order, "_draw_compiled", None)
    monkeypatch.setattr(dataloader_order, "_MOST_ROWS", 7)
    found = dataloader_order.draw_orders(ours, 7, 2)
    assert found.dtype == torch.int32
    assert [order.tolist() for order in found] == [
        dataloader_order.draw_order(theirs, 7).tolist() for _ in range(2)
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 48, 49, 65])
def test_orders_of_philox_are_those_of_torchs_calls(plain, monkeypatch, n):
    monkeypatch.setattr(plain["compiled_philox"], "_LANES", 2)
    for seed, first in [(1, 0), (2**62 + 5, 2**32 - 1)]:
        expected = philox_order.draw_fast_orders(seed, n, first, 3)
        with monkeypatch.context() as patch:
            patch.setattr(philox_order, "draw_fast_orders", None)
            assert torch.equal(philox_order.draw_fast_orders_compiled(seed, n, first, 3), expected)


def test_python_runs_only_what_makes_loops_ready():
    modules = compiled_descent, compiled_philox, compiled_sweep, mersenne_twister
    plain = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isfunction(value) and value.__module__ == module.__name__
    }
    emitters = {name for name in plain if name.startswith("_emit")}
    under_two_names = {"_temper", "_mix", "_two_keys", "_sum_of_products", "_add_multiple"}
    makers = {"loop", "snapshot_loop", "fill_orders", "permutations", "_side_by_side", "_descend"}
    assert plain == emitters | under_two_names | makers


def compiled(intrinsic, count):
    """An intrinsic as a function that Python can call."""
    names = ", ".join(f"a{k}" for k in range(count))
    return numba.njit(eval(f"lambda {names}: call({names})", {"call": intrinsic}))


@pytest.mark.parametrize("strict", [True, False])
def test_emitted_sums_and_steps_are_the_loops(strict):
    kind = "strict" if strict else "fast"
    add = compiled(getattr(compiled_descent, f"_{kind}_sums"), 3)
    move = compiled(getattr(compiled_descent, f"_{kind}_step"), 5)
    # Small whole numbers: no sum is rounded, whatever its order.
    x, w = np.arange(1.0, 20), np.arange(7.0, 26) % 9
    assert add(x, w, np.intp(16)) == sums(x, w, 16)
    expected = w.copy()
    strict_step(expected, x, 0.5, 0.25 if strict else 1.0, 16)
    move(w, x, 0.5, 0.25, np.intp(16))
    np.testing.assert_array_equal(w, expected)


def test_to_fetch_a_row_changes_nothing():
    x = np.arange(6.0).reshape(2, 3)
    compiled(compiled_descent._prefetch, 3)(x, np.uintp(1), np.uintp(2))
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_emitted_sums_of_trials_are_the_loops():
    lanes, (rows, d) = compiled_sweep._VECTOR_BYTES // 8, (2, 11)
    draw = np.random.default_rng(1)
    x, w = draw.normal(size=(rows + 1, d)), draw.normal(size=(d + 1, 2 * lanes))
    z = np.full((rows + 1, 2 * lanes), 7.0)
    numbers = tuple(map(np.intp, (rows, d, 8, 2 * lanes)))
    compiled(compiled_sweep._dots, 7)(x, w, z, *numbers)
    expected = [[eight_parts(x[r], w[:d, k]) for k in range(2 * lanes)] for r in range(rows)]
    np.testing.assert_array_equal(z, [*expected, [7.0] * (2 * lanes)])
    g = w.copy()
    compiled(compiled_sweep._add_gradients, 7)(x, z, g, *numbers)
    np.testing.assert_array_equal(g, [*(w[:d] + np.outer(x[0], z[0]) + np.outer(x[1], z[1])), w[d]])
