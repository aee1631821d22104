"""Rules of several trials, with the gradient of squares by hand: the steps of each alone."""

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers.first_order import descend_together as module
from optlab.optimizers.first_order.descend_together import _same, _stacked, descend_together

N, SIZE, D = 7, 3, 3  # two full mini-batches an epoch, and one of a single row
DRAW = np.random.default_rng(6)
X, Y = DRAW.normal(size=(N, D)), DRAW.normal(size=N)
START = [0.5, -1.0, 0.25]
SCHEDULE = ol.schedules.InverseTime(0.1, decay=0.5)
CLOSE = {"rtol": 0, "atol": 1e-14}  # some roundings of numbers below 2 a step, that contract


class Squares:
    """The means of squares of a linear model without a bias, and of their slopes."""

    def __init__(self, problem, like):
        pass

    def __call__(self, w, batch, *, is_shared, with_loss):
        x, y = batch.X, batch.y
        if is_shared:
            assert x.ndim == 2
            x, y = x.expand(len(w), *x.shape), y.expand(len(w), -1)
        r = torch.einsum("tbd,td->tb", x, w) - y
        slope = 2 * torch.einsum("tb,tbd->td", r, x) / r.shape[1]
        return slope, r.square().mean(1) if with_loss else None


def batches(seed, **options):
    rows = torch.from_numpy(X), torch.from_numpy(Y)
    return ol.Batches(*rows, SIZE, torch.Generator().manual_seed(seed), **options)


def together(rules, seeds, leave, average_from=None):
    """The points and losses of each epoch; ``leave``: the places that stay after it, by epoch."""
    starts = [{"weight": torch.tensor(START, dtype=torch.float64)} for _ in rules]
    rows = [batches(seed) for seed in seeds]
    run = descend_together(rules, None, rows, starts, average_from=average_from)
    kept, found = None, []
    for epoch in range(1, 6):
        joint = run.send(kept)
        found.append((joint.points.clone(), joint.batch_losses.clone()))
        kept = leave.get(epoch)
    return found


def alone(rate, momentum, seed, average_from=9):
    """Heavy ball on one trial, as in the textbook."""
    w, v, t, points = np.array(START), 0.0, 0, []
    seen, epochs = [], iter(batches(seed))
    for epoch in range(1, 6):
        for batch in next(epochs):
            x, y = batch.X.numpy(), batch.y.numpy()
            r = x @ w - y
            v = momentum * v + 2 * x.T @ r / len(r)
            w = w - (rate(t / 3) if callable(rate) else rate) * v
            t += 1
            if epoch >= average_from:
                seen.append(w)
        points.append((np.mean(seen, axis=0) if seen else w, (r**2).mean()))
    return points


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch):
    monkeypatch.setattr(module, "JointGradient", Squares)


@pytest.mark.parametrize("seeds", [(1, 1, 1), (1, 2, 1)], ids=["one order", "two orders"])
@pytest.mark.parametrize("average_from", [None, (1, 3, 9)], ids=["last", "mean"])
def test_trials_make_their_own_steps_also_when_others_have_left(seeds, average_from):
    settings = [(0.1, 0.5), (SCHEDULE, 0.25), (0.05, 0.0)]
    rules = [ol.HeavyBall(*setting) for setting in settings]
    expected = [
        alone(*setting, seed, *([] if average_from is None else [first]))
        for setting, seed, first in zip(settings, seeds, average_from or seeds, strict=True)
    ]
    # After the second epoch the first trial leaves, after the fourth the one after it.
    found = together(rules, seeds, {2: [1, 2], 4: [1]}, average_from)
    here = [[0, 1, 2], [0, 1, 2], [1, 2], [1, 2], [2]]
    for epoch, ((points, losses), trials) in enumerate(zip(found, here, strict=True)):
        assert len(points) == len(losses) == len(trials)
        for place, trial in enumerate(trials):
            np.testing.assert_allclose(points[place], expected[trial][epoch][0], **CLOSE)
            np.testing.assert_allclose(losses[place], expected[trial][epoch][1], **CLOSE)


def test_half_of_the_trials_go_on_in_smaller_arrays(monkeypatch):
    shapes = []

    class Noted(Squares):
        def __call__(self, w, *arguments, **options):
            shapes.append(len(w))
            return super().__call__(w, *arguments, **options)

    monkeypatch.setattr(module, "JointGradient", Noted)
    rules = [ol.HeavyBall(0.1, 0.1 * k) for k in range(4)]
    together(rules, [1] * 4, {1: [0, 2, 3], 2: [1, 2]})
    assert shapes == [4] * 6 + [2] * 9  # three steps an epoch


def test_numbers_that_differ_become_a_column_and_others_stay():
    w = torch.zeros(2, D, dtype=torch.float32)
    own = [ol.Clipped(ol.Adam(rate, beta), 0.5) for rate, beta in ((0.1, 0.5), (0.2, 0.75))]
    rule = _stacked(own, w)
    assert rule.max_norm == 0.5
    assert rule.rule.beta1.tolist() == [[0.5], [0.75]]
    assert rule.rule.beta1.dtype == torch.float64
    assert rule.rule.beta2 == 0.999
    assert (w + (1 - rule.rule.beta1)).dtype == torch.float32
    assert _same(w, w)  # one array, which has no plain equality
    same = [ol.HeavyBall(0.1), ol.HeavyBall(0.2)]  # rates are multiplied elsewhere
    assert _stacked(same, w) is same[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_several_orders_are_stacked_by_trial(weighted):
    weight = torch.arange(1.0, N + 1, dtype=torch.float64) if weighted else None
    first, other = (list(next(iter(batches(seed, weight=weight)))) for seed in (1, 2))
    epochs = module._epochs_of([batches(seed, weight=weight) for seed in (1, 2, 1)])
    for (stacked, is_shared), one, two in zip(next(epochs), first, other, strict=True):
        assert not is_shared
        for name in ("X", "y", "weight") if weighted else ("X", "y"):
            parts = [getattr(one, name), getattr(two, name), getattr(one, name)]
            assert torch.equal(getattr(stacked, name), torch.stack(parts))
        assert (stacked.weight is not None) is weighted
    assert all(is_shared for _, is_shared in next(epochs.restricted([0, 2])))
