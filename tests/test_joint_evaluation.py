"""Points evaluated together have the bits of points alone, and trials the same records."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab.execution_options import Execution
from optlab.lab.grid import Grid
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.status import Status
from optlab.optimizers.fused import compiled_loops
from optlab.optimizers.optimizer import Snapshots
from optlab.problems.joint_evaluation import evaluate_together, joint_evaluation
from optlab.problems.judge import Judge
from optlab.problems.losses.huber import HuberRegression


@pytest.fixture(scope="module")
def problem():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


def made(seed, dtype=torch.float64, *, shift=0.0, rows=400, **options):
    """Return a problem of random shape, and points near and far from its optimum."""
    draw = np.random.default_rng(seed)
    n, d, k = draw.integers(2, rows), draw.integers(1, 60), draw.integers(1, 40)
    X = torch.as_tensor(draw.normal(shift, 1, (n, d))).to(dtype)
    y = torch.as_tensor(draw.normal(size=n)).to(dtype)
    if options.pop("weighted", False):
        options["sample_weight"] = draw.uniform(0, 1, n)
    problem = ol.LinearRegression(X, y, **options)
    far = 10.0 ** draw.integers(-12, 160 if dtype == torch.float64 else 30, (k, 1))
    points = {"weight": torch.as_tensor(far * draw.normal(size=(k, d))).to(dtype)}
    points["weight"][0, 0] = [0.0, math.inf, math.nan][seed % 3]
    if problem.fit_intercept:
        points["bias"] = torch.as_tensor(draw.normal(size=k)).to(dtype)
    return problem, points


def bits(evaluations):
    return np.array([evaluation[:4] for evaluation in evaluations])


def alone(problem, points):
    each = zip(*points.values(), strict=True)
    return [problem.evaluate(dict(zip(points, point, strict=True))) for point in each]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": torch.float32, "weighted": True},
        {"l2": 0.1, "fit_intercept": False},
        {"l1": 0.1},  # judged by the general judge
        {"shift": 1e6},  # in double-double
    ],
    ids=str,
)
def test_points_together_have_the_bits_of_points_alone(seed, options):
    problem, points = made(seed, **options)
    # NaN equals NaN here, and nothing but the same number equals a number.
    np.testing.assert_array_equal(
        bits(problem.evaluate_together(points)), bits(alone(problem, points))
    )


def test_points_of_large_data_and_of_many_parts_are_the_same(monkeypatch):
    large = ol.LinearRegression.from_dataset(ol.datasets.synthetic(3000, 20, seed=1))
    points = {"weight": torch.randn(3, 20).double(), "bias": torch.randn(3).double()}
    assert large.evaluate_together(points) == alone(large, points)
    monkeypatch.setattr("optlab.problems.judge._AT_ONCE", 1)  # a point at a time
    problem, points = made(3)
    np.testing.assert_array_equal(
        bits(problem.evaluate_together(points)), bits(alone(problem, points))
    )


def test_held_out_rows_are_measured(problem):
    own = ol.LinearRegression([[0.0], [1.0]], [0.0, 1.0], validation=([[2.0]], [3.0]))
    points = {"weight": torch.ones(2, 1), "bias": torch.zeros(2)}
    assert [found.more["validation_loss"] for found in own.evaluate_together(points)] == [1.0, 1.0]


def test_an_evaluation_of_ones_own_is_asked_point_by_point(problem, monkeypatch):
    class Own(ol.LinearRegression):
        def evaluate(self, parameters):
            return super().evaluate(parameters)._replace(loss=7.0)

    own = Own.from_dataset(ol.datasets.tutorial())
    points = {"weight": torch.ones(2, 1), "bias": torch.zeros(2)}
    assert joint_evaluation(problem) is not None
    assert joint_evaluation(own) is None
    assert [found.loss for found in evaluate_together(own, points)] == [7.0, 7.0]
    rates = [ol.SGD(rate) for rate in (0.01, 0.02)]
    for sweep in (False, True):
        results = ol.compare(own, rates, epochs=5, execution=Execution(sweep=sweep))
        assert set(results.traces["loss"]) == {7.0}
    monkeypatch.setitem(vars(own), "evaluate", own.evaluate)
    assert joint_evaluation(own) is None


def record_of(problem, optimizer, *, watch=None, **options):
    (trial,) = Grid.of(problem, [optimizer], batch_sizes=[1], seeds=[1]).trials()
    budget = Budget(**{"epochs": 300} | options)
    return run_trial(trial, problem, optimizer, budget, warm_up=False, watch=watch)


def look_by_look(problem, optimizer, **options):
    """The record of a run whose compiled loop comes back at every look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_loops, "_NUMBERS_AT_ONCE", 1)
        return record_of(problem, optimizer, **options)


def outcome(record):
    rows = [row._replace(seconds=0.0)._asdict() for row in record.trace]
    values = {name: value.tolist() for name, value in record.parameters.items()}
    return record.status, record.message, repr(rows), repr(values)


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.9, 3.0, 1e4])
@pytest.mark.parametrize("kind", [ol.FusedSGD, ol.FusedAdam])
def test_snapshots_give_the_record_of_looks_one_by_one(problem, kind, rate):
    one_by_one = look_by_look(problem, kind(rate))
    together = record_of(problem, kind(rate))
    assert outcome(together) == outcome(one_by_one)
    assert together.seconds == together.trace[-1].seconds
    if kind is ol.FusedSGD:
        assert (together.status == Status.DIVERGED) == (rate > 0.5)
        at = together.trace[-1].epoch  # where the last parameters are those of a run so long
        alone = ol.minimize(problem, kind(rate), batch_size=1, seed=1, epochs=at)
        assert alone.parameters["weight"].tolist() == together.parameters["weight"].tolist() or (
            math.isnan(together.trace[-1].loss)
        )


def test_a_target_is_reached_at_the_same_look(problem):
    kinds = {"recorded_epochs": 1, "stop_at": 1e-2}
    huber = HuberRegression(problem.X, problem.y)  # evaluated point by point
    for own in (problem, huber):
        one_by_one = look_by_look(own, ol.FusedSGD(0.01), **kinds)
        together = record_of(own, ol.FusedSGD(0.01), **kinds)
        assert together.status == Status.CONVERGED
        assert outcome(together) == outcome(one_by_one)


def test_the_seconds_of_snapshots_are_shares_by_epochs(problem):
    _, first, *rows = record_of(problem, ol.FusedSGD(0.001), recorded_epochs=[1, 4, 5, 200]).trace
    assert [row.epoch for row in rows] == [4, 5, 200, 300]
    per_epoch = (rows[-1].seconds - first.seconds) / 299
    assert per_epoch > 0
    for row in rows:
        assert row.seconds == pytest.approx(first.seconds + (row.epoch - 1) * per_epoch)


def test_looks_far_apart_are_the_ends_of_their_own_calls(problem, monkeypatch):
    few = record_of(problem, ol.FusedSGD(0.001), recorded_epochs=[4, 5, 200])
    monkeypatch.setattr(compiled_loops, "_ROWS_AT_ONCE", 500)  # calls end between the looks too
    assert outcome(record_of(problem, ol.FusedSGD(0.001), recorded_epochs=[4, 5, 200])) == (
        outcome(few)
    )


class TenAtOnce:
    """Descent that makes the first epoch, then ten at a time, with a snapshot of each."""

    uses_batches = True

    def iterates(self, problem, batches, start):
        single = ol.ManualSGD(0.01).iterates(problem, batches, start)
        yield next(single)
        while True:
            made = [({k: v.clone() for k, v in own.parameters.items()}, own.batch_loss)
                    for own in islice(single, 10)]  # fmt: skip
            points = {name: torch.stack([point[name] for point, _ in made]) for name in start}
            taken = Snapshots(points, torch.stack([loss for _, loss in made]), range(1, 11))
            yield ol.Iterate(*made[-1], epochs=10, snapshots=taken)


def test_a_look_that_is_the_only_one_among_snapshots_is_recorded_at_its_epoch(problem):
    options = {"epochs": 31, "recorded_epochs": [1, 5, 21, 24, 26]}  # 11 is no look, 21 ends a call
    together = record_of(problem, TenAtOnce(), **options)
    assert [row.epoch for row in together.trace] == [0, 1, 5, 21, 24, 26, 31]
    assert outcome(together) == outcome(record_of(problem, ol.ManualSGD(0.01), **options))
    _, first, inside, end = together.trace[:4]
    assert first.seconds < inside.seconds < end.seconds


def test_an_interrupt_between_snapshots_keeps_those_before(problem):
    def watch(_, row):
        if row.epoch >= 12:
            raise KeyboardInterrupt

    record = record_of(problem, ol.FusedSGD(0.01), recorded_epochs=1, watch=watch)
    assert record.status == Status.INTERRUPTED
    assert [row.epoch for row in record.trace] == list(range(13))
    twelve = ol.minimize(problem, ol.FusedSGD(0.01), batch_size=1, seed=1, epochs=12)
    assert record.parameters["weight"].tolist() == twelve.parameters["weight"].tolist()


def _counted(function, calls):
    def counted(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return counted


def test_a_sweep_evaluates_its_trials_together(problem, monkeypatch):
    together, single = [], []
    monkeypatch.setattr(Judge, "together", _counted(Judge.together, together))
    monkeypatch.setattr(Judge, "__call__", _counted(Judge.__call__, single))
    own = [ol.FusedSGD(rate) for rate in np.geomspace(1e-4, 0.3, 16)]
    results = ol.compare(problem, own, epochs=50, execution=Execution(sweep=True))
    looks = results.traces.query("trial == 0 and epoch > 0")
    assert len(together) == len(looks)
    assert 16 <= len(single) < 2 * 16  # the starts, and what is the same for all trials


def test_a_kind_of_loop_is_compiled_once_in_a_process(problem, monkeypatch):
    compiled = []
    monkeypatch.setattr(compiled_loops, "_COMPILED", set())
    monkeypatch.setattr(
        "optlab.optimizers.fused.fused_sgd.compile_loop",
        _counted(compiled_loops.compile_loop, compiled),
    )
    for dtype in ("float32", "float64", "float32"):
        ol.minimize(problem, ol.FusedSGD(0.001), epochs=2, batch_size=1, dtype=dtype)
    assert len(compiled) == 2
