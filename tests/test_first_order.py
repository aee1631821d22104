"""Each first-order rule against its published update, written in plain numpy."""

import math
from itertools import islice

import numpy as np
import pytest
import torch
from torch.func import vmap

import optlab as ol
from optlab.optimizers import registry
from optlab.optimizers.first_order.descend import move
from optlab.problems.vector import flatten

N, SIZE, EPOCHS = 20, 5, 50  # 50 epochs of 4 steps are 200


@pytest.fixture(scope="module")
def line():
    """A problem with a mild condition number: 200 steps multiply rounding by no large factor."""
    return ol.LinearRegression.from_dataset(ol.datasets.synthetic(N, 3, condition=3, seed=2))


def points_of(optimizer, problem, epochs=EPOCHS, size=SIZE, shuffle=False):
    generator = torch.Generator().manual_seed(7)
    start = problem.start(generator)
    batches = ol.Batches(problem.X, problem.y, size, generator, shuffle=shuffle)
    iterates = islice(optimizer.iterates(problem, batches, start), epochs)
    return torch.stack([flatten(iterate.parameters) for iterate in iterates]).numpy()


def expected(problem, step, rate=lambda epoch: 0.01, clip=math.inf):
    """All 201 points of w <- w - rate x step(g, w, t), gradients in numpy, batches in order."""
    A = np.column_stack([problem.X.numpy(), np.ones(N)])
    y = problem.y.numpy()
    w = flatten(problem.start(torch.Generator().manual_seed(7))).numpy()
    points = [w]
    for t in range(EPOCHS * N // SIZE):
        rows = slice(t * SIZE % N, t * SIZE % N + SIZE)
        g = 2 * A[rows].T @ (A[rows] @ w - y[rows]) / SIZE
        g = g * min(1.0, clip / np.linalg.norm(g))
        w = w - rate(t / (N // SIZE)) * step(g, w, t + 1)
        points.append(w)
    return np.array(points)


def epochs_of(points):
    return points[:: N // SIZE][1:]


def close(found, wanted):
    """1e-12 of the largest coordinate: some 200 steps of a few eps = 2.2e-16 each, over 5."""
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= 1e-12 * abs(wanted).max()


def sgd():
    return lambda g, w, t: g


def heavy_ball(m):
    v = 0.0

    def step(g, w, t):
        nonlocal v
        v = m * v + g
        return v

    return step


def nesterov(m):
    v = 0.0

    def step(g, w, t):
        nonlocal v
        v = m * v + g
        return g + m * v

    return step


def adagrad(epsilon):
    s = 0.0

    def step(g, w, t):
        nonlocal s
        s = s + g**2
        return g / (np.sqrt(s) + epsilon)

    return step


def rmsprop(rho, epsilon):
    s = 0.0

    def step(g, w, t):
        nonlocal s
        s = rho * s + (1 - rho) * g**2
        return g / (np.sqrt(s) + epsilon)

    return step


def adam(beta1, beta2, epsilon, decay=0.0):
    m = v = 0.0

    def step(g, w, t):
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        return m_hat / (np.sqrt(v_hat) + epsilon) + decay * w

    return step


def lion(beta1, beta2, decay):
    m = 0.0

    def step(g, w, t):
        nonlocal m
        c = beta1 * m + (1 - beta1) * g
        m = beta2 * m + (1 - beta2) * g
        return np.sign(c) + decay * w

    return step


RULES = [
    (ol.SGD(0.01), sgd),
    (ol.HeavyBall(0.01, 0.8), lambda: heavy_ball(0.8)),
    (ol.Nesterov(0.01, 0.8), lambda: nesterov(0.8)),
    (ol.AdaGrad(0.01, 1e-6), lambda: adagrad(1e-6)),
    (ol.RMSprop(0.01, 0.9, 1e-6), lambda: rmsprop(0.9, 1e-6)),
    (ol.Adam(0.01, 0.8, 0.99, 1e-6), lambda: adam(0.8, 0.99, 1e-6)),
    (ol.AdamW(0.01, 0.8, 0.99, 1e-6, 0.1), lambda: adam(0.8, 0.99, 1e-6, 0.1)),
    (ol.Lion(0.01, 0.8, 0.95, 0.1), lambda: lion(0.8, 0.95, 0.1)),
]
NAMES = [type(rule).__name__ for rule, _ in RULES]


@pytest.mark.parametrize(("rule", "step"), RULES, ids=NAMES)
def test_200_steps_are_those_of_the_published_update(rule, step, line):
    close(points_of(rule, line), epochs_of(expected(line, step())))


@pytest.mark.parametrize(("rule", "step"), RULES, ids=NAMES)
def test_clipping_scales_the_gradient_that_the_rule_sees(rule, step, line):
    found = points_of(ol.Clipped(rule, max_norm=0.5), line)
    close(found, epochs_of(expected(line, step(), clip=0.5)))
    if not isinstance(rule, ol.Lion):  # Lion's first steps are the same signs
        assert not np.allclose(found, points_of(rule, line))


@pytest.mark.parametrize("from_epoch", [1, 7])
@pytest.mark.parametrize(("rule", "step"), RULES, ids=NAMES)
def test_averaging_takes_the_mean_of_all_steps_since_its_epoch(rule, step, line, from_epoch):
    points = expected(line, step())
    first = (from_epoch - 1) * N // SIZE
    means = [
        points[end] if end <= first else points[first + 1 : end + 1].mean(0)
        for end in range(4, 201, 4)
    ]
    close(points_of(ol.Averaged(rule, from_epoch), line), np.array(means))


def test_wrappers_compose_and_tables_tell_them_apart(line):
    both = ol.Averaged(ol.Clipped(ol.Adam(0.01), 0.5))
    points = expected(line, adam(0.9, 0.999, 1e-8), clip=0.5)[1:]
    means = np.cumsum(points, 0) / np.arange(1, 201)[:, None]
    close(points_of(both, line), means[3::4])
    assert both.name == "Averaged(Clipped(Adam))"


def staircase(epoch):
    return 0.02 * 0.5 ** (epoch // 10)


SCHEDULES = [
    (ol.schedules.Constant(0.01), lambda e: 0.01),
    (ol.schedules.Step(0.02, every=10, factor=0.5), staircase),
    (ol.schedules.Cosine(0.02, epochs=30, final=1e-3),
     lambda e: 1e-3 + 0.019 * (1 + math.cos(math.pi * e / 30)) / 2 if e < 30 else 1e-3),
    (ol.schedules.InverseTime(0.02, decay=0.25), lambda e: 0.02 / (1 + e / 4)),
    (ol.schedules.WarmUp(0.02, epochs=5, first=0.2),
     lambda e: 0.02 * (0.2 + 0.8 * e / 5) if e < 5 else 0.02),
    (ol.schedules.WarmUp(ol.schedules.Step(0.02, every=10, factor=0.5), epochs=5, first=0),
     lambda e: 0.02 * e / 5 if e < 5 else staircase(e - 5)),
    (staircase, staircase),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "formula"), SCHEDULES, ids=lambda value: repr(value)[:12])
def test_the_rate_of_each_step_follows_the_schedule(schedule, formula, line):
    for epoch in np.linspace(0, 50, 201):
        assert schedule(epoch) == pytest.approx(formula(epoch), rel=1e-14)
    found = points_of(ol.HeavyBall(schedule, 0.8), line)
    close(found, epochs_of(expected(line, heavy_ball(0.8), formula)))


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES], ids=NAMES)
def test_hyperparameters_are_tensors_of_many_trials_at_once(rule, line):
    """By vmap, as sweeps do: the same numbers as one by one, to a few roundings a step."""
    names = list(vars(rule))
    table = {
        name: torch.tensor([getattr(rule, name) * share for share in (1.0, 0.9, 0.5)]).double()
        for name in names
    }
    w = torch.tensor([[1.0, -2.0, 3.0]]).double().repeat(3, 1)
    state = vmap(rule.init)(w)

    def step(values, state, w, g, t):
        one = type(rule)(**values)
        direction, state = one.update(g, state, w, t)
        return w - one.learning_rate * direction, state

    for t in range(1, 11):
        w, state = vmap(step, (0, 0, 0, 0, None))(table, state, w, torch.cos(w + t), t)
    for k in range(3):
        one = type(rule)(**{name: table[name][k].item() for name in names})
        alone = torch.tensor([1.0, -2.0, 3.0]).double()
        its = one.init(alone)
        for t in range(1, 11):
            direction, its = one.update(torch.cos(alone + t), its, alone, t)
            move(alone, direction, one.learning_rate)
        assert torch.allclose(w[k], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES], ids=NAMES)
def test_update_changes_none_of_its_arguments(rule):
    w, g = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    _, state = rule.update(g, rule.init(w), w, 1)
    kept = [value.clone() for value in (w, g, *state)]
    rule.update(g, state, w, 2)
    assert all(map(torch.equal, (w, g, *state), kept))


@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_equal_seeds_give_equal_bits_and_shuffling_is_theirs(name, line):
    a, b = (points_of(registry.get(name)(), line, shuffle=True) for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, points_of(registry.get(name)(), line))


BAD = [
    (lambda: ol.SGD(0), "learning_rate must be positive and finite, not 0"),
    (lambda: ol.SGD("fast"), "learning_rate"),
    (lambda: ol.SGD(ol.schedules.Cosine), "learning_rate"),
    (lambda: ol.SGD(math.nan), "learning_rate"),
    (lambda: ol.HeavyBall(0.1, 1.0), "momentum must be at least 0 and less than 1"),
    (lambda: ol.Nesterov(0.1, -0.1), "momentum"),
    (lambda: ol.AdaGrad(0.1, 0.0), "epsilon"),
    (lambda: ol.RMSprop(0.1, 1.0), "decay"),
    (lambda: ol.Adam(0.1, beta1=1), "beta1"),
    (lambda: ol.Adam(0.1, beta2=-1), "beta2"),
    (lambda: ol.AdamW(weight_decay=-1), "weight_decay must be finite and at least 0"),
    (lambda: ol.Lion(weight_decay=math.inf), "weight_decay"),
    (lambda: ol.Clipped(ol.Lstsq()), r"rule must be a first-order rule .* not Lstsq"),
    (lambda: ol.Clipped(ol.SGD(), 0), "max_norm"),
    (lambda: ol.Averaged(ol.SGD), "rule"),
    (lambda: ol.Averaged(ol.SGD(), 0), "from_epoch must be a whole number of at least 1"),
    (lambda: ol.schedules.Step(0.1, every=0), "every"),
    (lambda: ol.schedules.Step(0.1, every=1, factor=0), "factor"),
    (lambda: ol.schedules.Cosine(0.1, epochs=-1), "epochs"),
    (lambda: ol.schedules.Cosine(0.1, epochs=1, final=-1), "final"),
    (lambda: ol.schedules.InverseTime(0.1, decay=0), "decay"),
    (lambda: ol.schedules.WarmUp(0.1, epochs=1, first=1), "first"),
    (lambda: ol.schedules.WarmUp(-0.1, epochs=1), "learning_rate"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_hyperparameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_experiment_takes_rules_with_schedules_and_wrappers(line):
    optimizers = [
        ol.Adam(ol.schedules.Cosine(0.1, epochs=20)),
        ol.Averaged(ol.SGD(ol.schedules.InverseTime(0.1))),
        ol.Clipped(ol.Lion(0.01), 2.0),
    ]
    results = ol.compare(line, optimizers, batch_sizes=[5], epochs=20)
    assert list(results.trials["optimizer"]) == ["Adam", "Averaged(SGD)", "Clipped(Lion)"]
    assert set(results.trials["status"]) == {"finished"}
