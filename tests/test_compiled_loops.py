"""Stretches, looks and kinds of compiled loops, with loops that are compiled or that only note."""

from itertools import islice
from types import SimpleNamespace

import pytest
import torch

import optlab as ol
from optlab.optimizers.fused import compiled_loops, joint_runs
from optlab.optimizers.fused.fused_run import FusedRun, Moments
from optlab.optimizers.fused.linear_loss import LinearLoss

ROWS = torch.arange(5.0, dtype=torch.float64)
PROBLEM = ol.LinearRegression(ROWS[:, None] / 4, ROWS.sqrt())
START = {"weight": torch.ones(1).double(), "bias": torch.zeros(1).double()}


def batches(size=1, seed=1, **options):
    X, y, _ = PROBLEM.data
    return ol.Batches(X, y, size, torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize(
    ("rows", "numbers", "stretches"),
    [
        (15, 99, [[1], [1, 3], [2], [2]]),  # at most three epochs of five rows
        (99, 4, [[1], [1, 3], [2, 4]]),  # at most two looks at two parameters
        (99, 1, [[1], [1], [2], [2], [2]]),
        (4, 99, [[1]] * 8),
    ],
)
def test_a_run_stops_after_so_many_rows_and_looks(monkeypatch, rows, numbers, stretches):
    monkeypatch.setattr(compiled_loops, "_ROWS_AT_ONCE", rows)
    monkeypatch.setattr(compiled_loops, "_NUMBERS_AT_ONCE", numbers)
    run = ol.FusedSGD(0.1).iterates(PROBLEM, batches(looks=(1, 2, 4, 6, 8)), START)
    by_epoch = list(islice(ol.FusedSGD(0.1).iterates(PROBLEM, batches(), START), 8))
    done = 0
    for ends, iterate in zip(stretches, islice(run, len(stretches)), strict=True):
        assert iterate.snapshots.epochs == ends
        for place, end in enumerate(ends):
            expected = by_epoch[done + end - 1]
            assert iterate.snapshots.batch_losses[place] == expected.batch_loss
            for name, value in iterate.snapshots.parameters.items():
                assert torch.equal(value[place], expected.parameters[name])
        assert iterate.epochs == ends[-1]
        assert iterate.batch_loss == expected.batch_loss
        assert torch.equal(iterate.parameters["weight"], expected.parameters["weight"])
        done += iterate.epochs


def test_a_sweep_stops_after_so_many_rows_of_all_its_trials(monkeypatch):
    assert joint_runs.Settings(0.1) == (0.1, 0.0, 0.0, False, False, None)  # plain descent
    monkeypatch.setattr(joint_runs, "_ROWS_AT_ONCE", 30)  # three epochs of two trials' five rows
    for count, epochs in [(2, [1, 3, 3, 1]), (6, [1] * 8)]:
        together = ol.FusedSGD.iterates_together(
            [ol.FusedSGD(0.1)] * count,
            PROBLEM,
            [batches(looks=(1, 8)) for _ in range(count)],
            [START] * count,
        )
        assert [joint.epochs for joint in islice(together, len(epochs))] == epochs


class Elsewhere:
    """Numbers on a device whose loop notes how it is called, and how often it was."""

    device = SimpleNamespace(type="elsewhere")

    def __init__(self, *shape):
        self.shape, self.calls = shape, []

    def __len__(self):
        return self.shape[0]

    def clone(self):
        return torch.full(self.shape, float(len(self.calls)))


def noting_run(monkeypatch):
    """A run on that device, and the calls of its loop."""
    theta, losses = Elsewhere(1, 2), Elsewhere(1)
    theta.calls = losses.calls

    def loop(run, size, samples):
        return lambda orders, epochs: losses.calls.append((size, samples, orders, epochs))

    compiler = compiled_loops.Compiler("", "", "its file")
    monkeypatch.setitem(compiled_loops.COMPILERS, "elsewhere", compiler)
    modules = {"its file": SimpleNamespace(loop=loop)}
    monkeypatch.setattr(compiled_loops, "_module", modules.__getitem__)
    return SimpleNamespace(theta=theta, losses=losses), losses.calls


def test_a_loop_without_copies_is_called_for_the_epochs_up_to_each_look(monkeypatch):
    run, calls = noting_run(monkeypatch)
    advance = compiled_loops._snapshot_loop(run, 2, 5)
    points, losses = advance(torch.arange(7)[:, None], [1, 3, 7])
    noted = [(size, samples, part[:, 0].tolist(), epochs) for size, samples, part, epochs in calls]
    assert noted == [(2, 5, [0], 1), (2, 5, [1, 2], 2), (2, 5, [3, 4, 5, 6], 4)]
    assert points.tolist() == [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]
    assert losses.tolist() == [[1.0, 2.0, 3.0]]
    calls.clear()
    advance(None, [2])
    assert calls == [(2, 5, None, 2)]


def test_compiling_is_an_epoch_of_one_row_and_is_known_for_one_trial_on_the_cpu(monkeypatch):
    run, calls = noting_run(monkeypatch)
    monkeypatch.setattr(compiled_loops, "_COMPILED", set())
    shuffled, whole = batches(2), batches("full")
    assert not compiled_loops.is_compiled(shuffled)
    compiled_loops.compile_loop(run, shuffled)
    ((size, samples, orders, epochs),) = calls
    assert (size, samples, orders.tolist(), epochs) == (2, 1, [[0]], 1)
    assert orders.dtype == torch.int32
    assert compiled_loops.is_compiled(shuffled)
    assert compiled_loops.is_compiled(batches(3))
    assert not compiled_loops.is_compiled(whole)
    compiled_loops.compile_loop(run, whole)
    assert calls[1] == (5, 1, None, 1)
    assert compiled_loops.is_compiled(whole)
    others = [
        batches(order="fast"),
        batches(weight=ROWS + 1),
        ol.Batches(ROWS.float()[:, None], ROWS.float(), 1, torch.Generator()),
        ol.Batches(ROWS[:4, None], ROWS[:4], 1, torch.Generator()),
        ol.Batches(ROWS[:, None].to("meta"), ROWS.to("meta"), "full", torch.Generator()),
    ]
    assert not any(map(compiled_loops.is_compiled, others))


@pytest.mark.parametrize(("trials", "is_known"), [(3, True), (4, False), (9, False)])
def test_the_loop_of_many_trials_is_another(monkeypatch, trials, is_known):
    made = []

    def module(name):
        return SimpleNamespace(loop=lambda *_: made.append(name) or (lambda *_: None))

    monkeypatch.setattr(compiled_loops, "_module", module)
    monkeypatch.setattr(compiled_loops, "_COMPILED", set())
    like = torch.ones(trials)
    theta = torch.ones(trials, 2)
    run = FusedRun(PROBLEM.data, LinearLoss.of(PROBLEM), theta, like, like)
    compiled_loops.compile_loop(run, batches())
    assert made == ["compiled_descent" if is_known else "compiled_sweep"]
    assert compiled_loops.is_compiled(batches()) is is_known


def group_of(count, **options):
    settings = [joint_runs.Settings(0.1 * (k + 1), 0.5, **options) for k in range(count)]
    rows = [batches() for _ in settings]
    (group,) = joint_runs._groups(settings, PROBLEM, rows, [START] * count)
    group.run.velocity.copy_(torch.arange(2.0 * count).view(count, 2))
    group.run.losses.copy_(torch.arange(10.0, 10 + count))
    group.run.theta.copy_(torch.arange(20.0, 20 + 2 * count).view(count, 2))
    return group


@pytest.mark.parametrize(("kept", "is_smaller"), [([0, 2, 4], False), ([1, 4], True), ([3], True)])
def test_a_group_becomes_smaller_when_half_of_its_trials_have_left(kept, is_smaller):
    group = group_of(5, decay=0.25, nesterov=True, fastmath=True)
    run, fewer = group.run, group.restricted(kept)
    assert fewer.trials == kept
    assert (fewer.run is not run) is is_smaller
    assert fewer.places == (list(range(len(kept))) if is_smaller else kept)
    for part in ("theta", "rates", "momenta", "velocity", "losses"):
        assert torch.equal(getattr(fewer.run, part)[fewer.places], getattr(run, part)[kept]), part
    assert (fewer.run.decay, fewer.run.nesterov, fewer.run.fastmath) == (0.25, True, True)
    assert (fewer.run.data, fewer.run.loss) == (run.data, run.loss)
    assert fewer.batches is group.batches


def test_adams_group_keeps_its_trials_as_its_loop_counts_the_steps():
    group = group_of(5, moments=Moments(0.9, 0.99, 1e-8))
    assert group.restricted([2]).run is group.run
    assert group.places == [2]


def test_a_plain_run_and_the_names_of_its_parameters():
    like = torch.ones(3)
    run = FusedRun(PROBLEM.data, LinearLoss.of(PROBLEM), torch.ones(3, 2), like, like)
    assert (run.decay, run.nesterov, run.fastmath, run.moments) == (0.0, False, False, None)
    assert run.second.shape == (3, 0)
    named = run.named(torch.tensor([[1.0, 2.0]]))
    assert {name: value.tolist() for name, value in named.items()} == {
        "weight": [[1.0]],
        "bias": [2.0],
    }
    assert run.named(torch.ones(4, 1)).keys() == {"weight"}  # no intercept
