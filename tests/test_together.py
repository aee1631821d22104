"""Trials that are advanced together make the steps that they make alone."""

import dataclasses
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.optimizers.first_order.descend_together import _stacked
from optlab.optimizers.first_order.joint_gradient import JointGradient
from optlab.optimizers.together import iterates_together, kind_of, not_together
from optlab.problems.capabilities import gradient
from optlab.problems.vector import flatten, unflatten
from tests.test_fused import problem_of

EPOCHS = 4


def begun(problem, seed, size):
    generator = torch.Generator().manual_seed(seed)
    begin = getattr(problem, "begin", problem.start)
    start = begin(generator)
    return ol.Batches(*problem.data[:2], size, generator, weight=problem.data.weight), start


def alone(optimizer, problem, seed, size, epochs=EPOCHS):
    """The points after each epoch, and the last mini-batch losses."""
    iterates = islice(optimizer.iterates(problem, *begun(problem, seed, size)), epochs)
    found = [(flatten(i.parameters).detach().clone(), i.batch_loss.clone()) for i in iterates]
    return [torch.stack(part) for part in zip(*found, strict=True)]


def together(optimizers, problem, seeds, size, epochs=EPOCHS, leave=()):
    """The points of each trial; ``leave``: pairs of an epoch and a trial that leaves after it."""
    batches, starts = zip(*(begun(problem, seed, size) for seed in seeds), strict=True)
    iterates = iterates_together(optimizers[0])(optimizers, problem, batches, starts)
    here, kept = list(range(len(optimizers))), None
    points, losses = {k: [] for k in here}, {k: [] for k in here}
    for epoch in range(1, epochs + 1):
        joint = iterates.send(kept)
        assert len(joint) == len(here)
        for place, k in enumerate(here):
            points[k].append(flatten(joint[place].parameters).clone())
            losses[k].append(joint[place].batch_loss.clone())
        going = [k for k in here if (epoch, k) not in leave]
        kept = None if going == here else [here.index(k) for k in going]
        here = going
        if not here:
            break
    return [(torch.stack(points[k]), torch.stack(losses[k])) for k in points]


fused_cases = st.tuples(
    st.sampled_from(["squared", "huber", "logistic", "poisson"]), st.integers(2, 40),
    st.integers(1, 19), st.one_of(st.integers(1, 45), st.just("full")), st.booleans(),
    st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.2]), st.booleans(), st.booleans(),
    st.sampled_from([torch.float32, torch.float64]), st.integers(0, 99),
)  # fmt: skip


@given(fused_cases, st.integers(1, 20), st.booleans(), st.randoms(use_true_random=False))
def test_compiled_trials_side_by_side_have_the_bits_of_one_by_one(drawn, count, adam, chance):
    kind, n, d, size, ahead, decay, l2, intercept, weighted, dtype, seed = drawn
    problem = problem_of(kind, n, d, seed, dtype, l2=l2, intercept=intercept, weighted=weighted)
    optimizers = []
    for _ in range(count):
        rate, momentum = 10 ** chance.uniform(-4, -1), chance.choice([0.0, 0.3, 0.9])
        if adam:
            optimizers.append(ol.FusedAdam(rate, beta1=chance.choice([0.9, 0.5])))
        else:
            optimizers.append(ol.FusedSGD(rate, momentum, ahead and momentum > 0, decay))
    seeds = [chance.choice([1, 1, 1, 2]) for _ in range(count)]
    leave = {(chance.randint(1, EPOCHS), k) for k in range(count) if chance.random() < 0.7}
    for k, (points, losses) in enumerate(together(optimizers, problem, seeds, size, leave=leave)):
        expected = alone(optimizers[k], problem, seeds[k], size, len(points))
        assert torch.equal(points.nan_to_num(), expected[0].nan_to_num())
        assert torch.equal(losses.nan_to_num(), expected[1].nan_to_num())


def rules(chance, count):
    """Rules of one class whose numbers differ."""
    draw, rate = chance.uniform, lambda: 10 ** chance.uniform(-3, -1.5)
    of_class = {
        "SGD": lambda: ol.SGD(chance.choice([rate(), ol.schedules.Cosine(rate(), epochs=3)])),
        "HeavyBall": lambda: ol.HeavyBall(rate(), draw(0, 0.9)),
        "Nesterov": lambda: ol.Nesterov(rate(), draw(0, 0.9)),
        "AdaGrad": lambda: ol.AdaGrad(rate(), 10 ** draw(-10, -3)),
        "RMSprop": lambda: ol.RMSprop(rate(), draw(0.5, 0.999), 10 ** draw(-8, -3)),
        "Adam": lambda: ol.Adam(rate(), draw(0, 0.9), draw(0.5, 0.999), 10 ** draw(-8, -3)),
        "AdamW": lambda: ol.AdamW(rate(), draw(0, 0.9), weight_decay=draw(0, 0.1)),
        "Lion": lambda: ol.Lion(rate(), draw(0, 0.9), draw(0.5, 0.99), draw(0, 0.1)),
        "Clipped": lambda: ol.Clipped(ol.Adam(rate(), draw(0, 0.9)), draw(0.1, 10)),
    }
    make = of_class[chance.choice(list(of_class))]
    return [make() for _ in range(count)]


@given(
    st.integers(1, 9),
    st.integers(1, 40),
    st.sampled_from([torch.float32, torch.float64]),
    st.randoms(use_true_random=False),
)
def test_a_rules_update_of_many_trials_has_the_bits_of_one_by_one(count, p, dtype, chance):
    own, draw = rules(chance, count), torch.Generator().manual_seed(chance.randint(0, 99))
    w = torch.randn(count, p, generator=draw, dtype=dtype)
    rule, state = _stacked(own, w), own[0].init(w)
    states = [one.init(w[k]) for k, one in enumerate(own)]
    for t in range(1, 5):
        g = torch.randn(count, p, generator=draw, dtype=dtype)
        direction, state = rule.update(g, state, w, t)
        assert direction.dtype == dtype
        for k, one in enumerate(own):
            found, states[k] = one.update(g[k], states[k], w[k], t)
            if isinstance(one, ol.Clipped):  # a norm's sum has no fixed order
                close = 8 * p * torch.finfo(dtype).eps * found.abs().max()
                assert (direction[k] - found).abs().max() <= close
            else:
                assert torch.equal(direction[k], found)


class Disturbed:
    """A problem whose gradients are off by as much as their rounding allows.

    A gradient is X's / B, with s a function of X w + b: products of d + 1 and of B numbers, and the
    slope. Whatever the order of sums, each entry is right to (d + B + 8) eps of the largest row
    times the largest slope, twice that between two orders.
    """

    def __init__(self, problem, draw):
        self.problem, self.draw = problem, draw

    def __getattr__(self, name):
        return getattr(self.problem, name)

    def gradient(self, parameters, batch=None):
        exact = self.problem.gradient(parameters, batch)
        X, y, weight = batch
        eta = self.problem.linear_predictor(parameters, X)
        reach = X.abs().amax() + 1
        slope = self.problem.loss_function.slope(eta, y).abs().amax()
        # The slope itself moves with the prediction, by no more than 2 of its error.
        slope = slope + 2 * (X.abs() @ parameters["weight"].abs()).amax()
        largest = 1.0 if weight is None else weight.amax()
        off = 2 * (X.shape[1] + len(y) + 8) * torch.finfo(X.dtype).eps * reach * slope * largest
        return {
            name: value + off * (2 * torch.rand(value.shape, generator=self.draw) - 1)
            for name, value in exact.items()
        }


@settings(max_examples=12)  # each traces some gradients
@given(
    st.sampled_from(["squared", "huber", "logistic"]),
    st.integers(4, 30),
    st.integers(1, 6),
    st.one_of(st.integers(1, 31), st.just("full")),
    st.booleans(),
    st.integers(2, 5),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_rules_trials_are_one_by_ones_to_rounding(
    kind, n, d, size, weighted, count, averaged, chance
):
    problem = problem_of(kind, n, d, chance.randint(0, 99), l2=0.1, weighted=weighted)
    own = rules(chance, count)
    if averaged and not isinstance(own[0], ol.Clipped):
        own = [ol.Averaged(rule, chance.randint(1, 3)) for rule in own]
    seeds = [chance.choice([1, 1, 2]) for _ in own]
    leave = {(chance.randint(1, EPOCHS), k) for k in range(count) if chance.random() < 0.5}
    draw = torch.Generator().manual_seed(0)
    for k, (points, _) in enumerate(together(own, problem, seeds, size, leave=leave)):
        expected, _ = alone(own[k], problem, seeds[k], size, len(points))
        others = [
            alone(own[k], Disturbed(problem, draw), seeds[k], size, len(points))[0]
            for _ in range(4)
        ]
        # What disturbances of that size make of this run bounds what rounding makes of it; the
        # updates themselves have the same bits, and 1e-13 is for runs that nothing disturbs.
        bound = 4 * torch.stack([(other - expected).abs().amax(1) for other in others]).amax(0)
        assert ((points - expected).abs().amax(1) <= bound + 1e-13).all()


def network(seed=0):
    draw = torch.Generator().manual_seed(seed)
    X = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    layers = torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    module = torch.nn.Sequential(*layers).double()
    return ol.ModuleProblem(module, torch.nn.MSELoss(), X, X.sum(1, keepdim=True).sin())


@pytest.mark.parametrize("size", [7, "full"])
def test_a_networks_trials_are_one_by_ones_and_may_leave(size):
    problem, own = network(), [ol.Adam(rate) for rate in (0.1, 0.01, 0.001, 0.03)]
    seeds, leave = [1, 1, 2, 1], {(1, 0), (2, 2), (2, 3)}
    for k, (points, losses) in enumerate(together(own, problem, seeds, size, leave=leave)):
        expected, expected_losses = alone(own[k], problem, seeds[k], size, len(points))
        # 24 steps of some 1e-16 each, where Adam divides by roots of 1e-4 and more.
        torch.testing.assert_close(points, expected, rtol=0, atol=1e-11)
        torch.testing.assert_close(losses, expected_losses, rtol=0, atol=1e-11)


def test_gradients_are_replayed_and_right_at_other_points_and_batches():
    problem = network()
    start = problem.begin(torch.Generator().manual_seed(1))
    joint = JointGradient(problem, start)
    draw = torch.Generator().manual_seed(2)
    p = len(flatten(start))
    for rows in (8, 8, 8, 5, 5, 5, 8):
        points = torch.randn(6, p, generator=draw, dtype=torch.float64)
        X, y, _ = problem.data
        batch = ol.problems.Batch(X[:rows].flip(0), y[:rows].flip(0), None)
        slopes, losses = joint(points, batch, is_shared=True, with_loss=True)
        for k, point in enumerate(points):
            at = unflatten(point, start)
            expected = flatten(gradient(problem, at, batch))
            torch.testing.assert_close(slopes[k], expected, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(losses[k], problem.loss(at, batch).detach())
    assert [calls for calls, _ in joint._known.values()] == [2, 2]


class Counting(torch.nn.Module):
    """A layer that does something else at each call."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = torch.nn.Linear(3, 1).double(), 0

    def forward(self, X):
        self.calls += 1
        return self.layer(X) * self.calls


def test_a_loss_that_changes_with_each_call_is_not_replayed():
    X = torch.ones(4, 3, dtype=torch.float64)
    problem = ol.ModuleProblem(Counting(), torch.nn.MSELoss(), X, X[:, :1])
    start = problem.begin(torch.Generator().manual_seed(1))
    joint = JointGradient(problem, start)
    points = torch.ones(2, 4, dtype=torch.float64)
    found = [joint(points, problem.data, is_shared=True, with_loss=True)[1][0] for _ in range(5)]
    assert len({float(loss) for loss in found}) == 5


class Branching(torch.nn.Module):
    """A loss that is another for targets above 1."""

    def forward(self, outputs, y):
        mean = (outputs - y).square().mean()
        return 2 * mean if y.max() > 1 else mean


def test_a_loss_that_depends_on_a_number_of_its_batch_has_the_branch_of_each():
    X, y = torch.ones(4, 1, dtype=torch.float64), torch.tensor([[1.0], [1.0], [3.0], [3.0]])
    layer = torch.nn.Linear(1, 1, dtype=torch.float64)
    problem = ol.ModuleProblem(layer, Branching(), X, y.double())
    joint = JointGradient(problem, problem.begin(torch.Generator().manual_seed(1)))
    for rows, factor in ((slice(2), 1), (slice(2), 1), (slice(2), 1), (slice(2, 4), 2)):
        batch = ol.problems.Batch(X[rows], problem.data.y[rows], None)
        points = torch.zeros(2, 2, dtype=torch.float64)
        _, losses = joint(points, batch, is_shared=True, with_loss=True)
        assert losses.tolist() == [factor * y[rows][0, 0].item() ** 2] * 2


@dataclasses.dataclass(frozen=True)
class OwnSteps(ol.SGD):
    """A person's rule whose iterates are not those of `descend`."""

    def iterates(self, problem, batches, start):
        yield from ol.SGD(self.learning_rate / 2).iterates(problem, batches, start)


def test_an_optimizer_with_iterates_of_its_own_is_not_advanced_by_anothers():
    assert iterates_together(ol.SGD()) is not None
    assert iterates_together(OwnSteps()) is None
    assert not_together(OwnSteps(), network()) == "OwnSteps runs one trial at a time"


def test_a_problem_with_buffers_is_not_swept():
    norm = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)
    )
    problem = ol.ModuleProblem(norm, torch.nn.MSELoss(), torch.randn(9, 3), torch.randn(9, 1))
    assert "updates buffers" in not_together(ol.Adam(), problem)


def test_what_differs_in_more_than_numbers_goes_apart():
    assert kind_of(ol.Clipped(ol.SGD(0.1))) == kind_of(ol.Clipped(ol.SGD(0.2), 3))
    assert kind_of(ol.Clipped(ol.SGD(0.1))) != kind_of(ol.Clipped(ol.Adam(0.1)))
    assert kind_of(ol.FusedSGD(0.1, 0.5)) != kind_of(ol.FusedSGD(0.1, 0.5, nesterov=True))
