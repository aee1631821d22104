"""Triton's kernels, by its interpreter: the textbook's steps on a few rows; sizes of tiles."""

from inspect import isfunction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from optlab.optimizers.fused.linear_loss import HUBER, LOGISTIC, POISSON, SQUARED
from tests import test_fused
from tests.test_plain_loops import CLOSE, ORDERS, run_of, textbook

triton_descent = test_fused.triton_descent  # the fixture
BACKWARDS = ORDERS[:, ::-1].copy()

CASES = [
    (SQUARED, 3, 4, {"momentum": (0.5,), "nesterov": True, "decay": 0.2}),
    (HUBER, 2, 3, {"l2": 1.0, "weight": True, "momentum": (0.5, 0.25)}),
    (LOGISTIC, 1, 5, {"bias": False}),
    (POISSON, 2, 9, {"l2": 0.3, "decay": 1.0, "bias": False, "weight": True}),
]


def check(run, expected):
    """Compare each trial with the last of the textbook's points and losses."""
    for trial, (points, losses) in enumerate(expected):
        np.testing.assert_allclose(run.theta[trial], points[-1], **CLOSE)
        np.testing.assert_allclose(run.losses[trial], losses[-1], **CLOSE)


def expected(run, size, *orders_of_trials):
    settings = zip(run.rates.tolist(), run.momenta.tolist(), orders_of_trials, strict=True)
    return [textbook(run, rate, momentum, orders, size) for rate, momentum, orders in settings]


@pytest.fixture
def small_tiles(triton_descent, monkeypatch):
    """The kernels, with tiles of eight numbers, and graphs that are called again."""
    for name in ("_TILE_BYTES", "_WIDE_TILE_BYTES"):
        monkeypatch.setattr(triton_descent, name, 64)
    graph = "optlab.optimizers.epoch_graph._captured"
    monkeypatch.setattr(graph, lambda run, _: test_fused.Replayed(run))
    return triton_descent


@pytest.mark.parametrize(("kind", "d", "size", "options"), CASES)
def test_a_programs_steps_are_the_textbooks(small_tiles, kind, d, size, options):
    run = run_of(kind, d, trials=3, **options)
    own = [ORDERS[:1], BACKWARDS[:1], ORDERS[1:]]
    alone = expected(run, size, *([*ORDERS, *orders] for orders in own))
    advance = small_tiles._narrow_loop(run, size, 9)
    advance(torch.from_numpy(ORDERS), 2)
    advance(torch.from_numpy(np.array(own)), 1)
    check(run, alone)


@pytest.mark.parametrize(("kind", "d", "size", "options"), CASES)
def test_the_steps_of_many_programs_are_the_textbooks(small_tiles, kind, d, size, options):
    run = run_of(kind, d, trials=2, **options)
    alone = expected(run, size, *[[*ORDERS, ORDERS[0]]] * 2)
    advance = small_tiles._wide_loop(run, size, 9)
    for orders in (ORDERS, ORDERS[:1]):
        advance(torch.from_numpy(orders), len(orders))
    check(run, alone)


@pytest.mark.parametrize("name", ["_narrow_loop", "_wide_loop"])
@pytest.mark.parametrize("size", [4, 9])
def test_without_orders_rows_are_visited_as_they_lie(small_tiles, name, size):
    run = run_of(SQUARED, 2)
    alone = expected(run, size, [np.arange(9)] * 2)
    getattr(small_tiles, name)(run, size, 9)(None, 2)
    check(run, alone)


def shapes(trials, d, dtype=torch.float64):
    data = SimpleNamespace(X=torch.empty(1, d, dtype=dtype))
    return SimpleNamespace(theta=torch.empty(trials, 1), data=data)


@pytest.mark.parametrize(
    ("trials", "d", "size", "own_orders", "tile"),
    [
        (1, 1, 1, False, (1, 1, 1, 1)),
        (1, 3, 5, False, (1, 8, 4, 1)),  # the next powers of two
        (1, 16, 500, False, (1, 64, 16, 4)),  # 1024 numbers of 8 bytes a tile, 256 a warp
        (1, 16, 30, False, (1, 32, 16, 2)),
        (1, 3000, 8, False, (1, 1, 4096, 4)),
        (100, 2, 2, False, (8, 2, 2, 1)),  # trials that fill the 32 threads of a warp
        (5, 1, 1, False, (8, 1, 1, 1)),
        (100, 2, 2, True, (1, 2, 2, 1)),
        (8000, 16, 16, False, (4, 16, 16, 1)),  # 2048 programs
        (8000, 16, 64, False, (1, 64, 16, 1)),  # a tile is full
        (400, 16, 64, False, (1, 64, 16, 1)),  # a warp each where there are many
        (127, 16, 64, False, (1, 64, 16, 1)),
        (100, 16, 64, True, (1, 64, 16, 1)),
        (64, 16, 64, False, (1, 64, 16, 4)),
    ],
)
def test_a_tile_holds_what_threads_hold(triton_descent, trials, d, size, own_orders, tile):
    assert triton_descent._tile(shapes(trials, d), size, own_orders=own_orders) == tile


def test_few_trials_of_large_batches_are_for_many_programs(triton_descent, monkeypatch):
    for name in ("narrow", "wide"):
        monkeypatch.setattr(triton_descent, f"_{name}_loop", lambda *_, made=name: made)
    for trials, size, kind in [
        (127, 129, "wide"),
        (127, 128, "narrow"),  # two tiles of 64 rows
        (128, 129, "narrow"),
    ]:
        assert triton_descent.loop(shapes(trials, 16), size, 1000) == kind
    assert triton_descent._rows_of(8192, shapes(1, 16, torch.float32).data.X) == 128


def test_python_runs_only_what_starts_the_kernels(triton_descent):
    plain = {
        name
        for name, value in vars(triton_descent).items()
        if isfunction(value) and value.__module__ == triton_descent.__name__
    }
    assert plain == {"loop", "_options", "_narrow_loop", "_wide_loop", "_rows_of", "_tile"}
