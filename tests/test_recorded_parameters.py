"""Parameters along a trial: recorded, thinned out, stored and loaded, and the best iterate."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import optlab as ol
from optlab.app.options import Axes
from optlab.lab.trial.recorded_parameters import RecordedParameters

LINE = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
NEAR = 1e-5
"""Six steps in float32: each rounds some six numbers by 6e-8 of the largest, which is below 3."""

METHODS = [ol.SGD(0.1), ol.SGD(0.3), ol.Lstsq()]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("recorded") / "store.db"


@pytest.fixture(scope="module")
def results(store):
    return ol.compare(
        LINE, METHODS, epochs=6, recorded_epochs=[2, 4], record_parameters=True, store=store,
        seeds=[3],
    )  # fmt: skip


def by_plain_loop(rate: float, epochs: int) -> list[np.ndarray]:
    """Return weight and bias after each full-batch step from the start of seed 3, as float64."""
    import torch

    start = LINE.start(torch.Generator().manual_seed(3))
    X, y = (value.double().numpy() for value in (LINE.data.X, LINE.data.y))
    point = np.array([start["weight"].item(), start["bias"].item()])
    points = [point]
    for _ in range(epochs):
        residual = X[:, 0] * point[0] + point[1] - y
        slope = np.array([(residual * X[:, 0]).mean(), residual.mean()])
        point = point - rate * 2 * slope
        points.append(point)
    return points


def test_the_parameters_of_each_recorded_epoch_are_those_of_a_plain_loop(results):
    for trial, rate in enumerate([0.1, 0.3]):
        table = results.parameter_history(trial)
        assert table["epoch"].tolist() == [0, 1, 2, 4, 6]
        points = np.array(by_plain_loop(rate, 6))[table["epoch"]]
        assert table[["x", "bias"]].to_numpy() == pytest.approx(points, rel=NEAR)
    assert results.parameter_history(2)["epoch"].tolist() == [0, 1]
    early = results.parameters(0, epoch=2)
    assert early["weight"].shape == (1,)
    assert early["bias"] == pytest.approx(by_plain_loop(0.1, 2)[2][1], rel=NEAR)
    assert results.parameters(0, epoch=6) is results.parameters(0)


def test_a_sweep_records_the_same(results):
    other = ol.compare(
        LINE, METHODS[:2], epochs=6, recorded_epochs=[2, 4], record_parameters=True, seeds=[3],
        execution=ol.Execution(sweep=True),
    )  # fmt: skip
    assert other.trials["shared"].all()
    for trial in range(2):
        own, its = results.parameter_history(trial), other.parameter_history(trial)
        assert its["epoch"].tolist() == own["epoch"].tolist()
        assert its.to_numpy() == pytest.approx(own.to_numpy(), rel=NEAR)


def test_what_a_worker_process_sends_holds_them():
    record = ol.minimize(LINE, ol.SGD(0.1), epochs=2, record_parameters=True).record
    sent = pickle.loads(pickle.dumps(record))
    assert sent.recorded == record.recorded
    assert sent.recorded.epochs == [0, 1, 2]


def test_a_store_keeps_them_and_knows_trials_without_them_apart(results, store):
    loaded = ol.Results.load(store)
    for trial in range(3):
        assert loaded.parameter_history(trial).equals(results.parameter_history(trial))
        assert loaded.parameters(trial) == results.parameters(trial)
    known = []
    without = ol.Experiment(problems=LINE, optimizers=METHODS, epochs=6, recorded_epochs=[2, 4],
                            seeds=[3])  # fmt: skip
    from optlab.lab.runner import Listener

    plain = without.run(store=store, listener=Listener(known=known.append))
    assert known[0].done == 0
    with pytest.raises(ValueError, match="record_parameters=True"):
        plain.parameter_history(0)


def test_kept_parameters_are_thinned_out_evenly_and_the_last_stays():
    recorded = RecordedParameters(most_bytes=10 * 800)
    for epoch in range(1000):
        recorded.add(epoch, {"weight": np.full(100, float(epoch))})
        assert len(recorded.epochs) <= 10
    assert recorded.epochs == list(range(0, 1000, 128))
    assert [own["weight"][0] for own in recorded.iterates] == recorded.epochs
    large = RecordedParameters(most_bytes=10)
    for epoch in range(9):
        large.add(epoch, {"weight": np.zeros(100)})
    assert large.epochs == [0, 8]


def test_a_large_trial_keeps_the_start_and_the_last_iterate(monkeypatch):
    monkeypatch.setattr(RecordedParameters.__init__, "__defaults__", (*DEFAULTS[:-1], 100))
    solution = ol.minimize(LINE, ol.SGD(0.1), epochs=21, recorded_epochs=1, record_parameters=True)
    table = solution.parameter_history()
    assert table["epoch"].tolist() == [*range(0, 21, 2), 21]  # 12 iterates of 8 bytes find room
    assert table["bias"].iloc[-1] == solution.parameters["bias"]


DEFAULTS = RecordedParameters.__init__.__defaults__


def test_tuning_trials_are_not_recorded_and_others_are_refused(results):
    tuned = ol.compare(LINE, ol.Tuned(ol.SGD(), trials=2), epochs=3, record_parameters=True)
    assert list(tuned.recorded_parameters) == [0]
    with pytest.raises(ValueError, match="no parameters of epoch 3: they were recorded at 0, 1, 2"):
        results.parameters(0, epoch=3)
    with pytest.raises(ValueError, match="record_parameters must be True or False, not 1"):
        ol.Experiment(problems=LINE, optimizers=ol.SGD(), record_parameters=1)
    assert Axes(record_parameters=True).changes() == {"record_parameters": True}


def test_the_best_and_the_last_iterate_are_both_in_the_tables():
    results = ol.compare(LINE, ol.HeavyBall(0.5, 0.95), epochs=40, recorded_epochs=1)
    row, trace = results.trials.iloc[0], results.traces
    assert row["best_loss"] == trace["loss"].min() < row["loss"]
    assert row["best_epoch"] == trace.loc[trace["loss"].idxmin(), "epoch"] < row["epochs"]
    assert results.summary()["best_loss"].item() == row["best_loss"]
