"""Theory of mini-batches: against all draws enumerated, exact arithmetic, and simulated runs."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers.linear_descent import LinearDescent
from optlab.problems.vector import flatten, unflatten
from optlab.testing import oracles
from optlab.testing.oracles import NoisyQuadraticModel, SGDMoments

EPS = np.finfo(float).eps
RANDOM = np.random.default_rng(5)
X, Y = RANDOM.standard_normal((3, 1)), RANDOM.standard_normal(3)
WIDE = RANDOM.standard_normal((2, 3))
WEIGHTS = [1.0, 2.0, 5.0]
SMALL = {
    "plain": ol.LinearRegression(X, Y),
    "ridge": ol.LinearRegression(X, Y, l2=0.3),
    "weights": ol.LinearRegression(X, Y, sample_weight=WEIGHTS),
    "ridge, weights, no intercept": ol.LinearRegression(
        X, Y, l2=0.2, sample_weight=WEIGHTS, fit_intercept=False
    ),
    "wide": ol.LinearRegression(WIDE, Y[:2], fit_intercept=False),
    "noisy quadratic": ol.NoisyQuadratic([1.0], rows=4),
}
METHODS = {
    "descent": LinearDescent(0.1),
    "heavy ball": LinearDescent(0.1, 0.5),
    "nesterov, decay": LinearDescent(0.1, 0.5, nesterov=True, weight_decay=0.2),
    "decay": LinearDescent(0.05, weight_decay=0.2),
}


def start_of(problem, seed=0):
    drawn = problem.start(torch.Generator().manual_seed(seed))
    return {name: value.double() for name, value in drawn.items()}


def every_run(problem, descent, draws, start, steps):
    """Return the flat parameters of all runs ``(k, p)``: after each step, all batches follow."""
    rows = [
        ol.Batch(*(None if part is None else part[list(draw)] for part in problem.data))
        for draw in draws
    ]
    runs = [(flatten(start), torch.zeros_like(flatten(start)))]
    for _ in range(steps):
        following = []
        for (w, v), batch in itertools.product(runs, rows):
            slope = flatten(ol.gradient(problem, unflatten(w, start), batch))
            g = slope + descent.weight_decay * w
            velocity = descent.momentum * v + g
            move = g + descent.momentum * velocity if descent.nesterov else velocity
            following.append((w - descent.learning_rate * move, velocity))
        runs = following
    return torch.stack([w for w, _ in runs])


def draws_of(n, batch_size, *, replacement):
    if replacement:
        return list(itertools.product(range(n), repeat=batch_size))
    return list(itertools.combinations(range(n), batch_size))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (2, True), (2, False)])
def test_moments_are_those_of_all_runs_that_can_be(name, method, batch_size, replacement):
    problem, descent = SMALL[name], METHODS[method]
    draws = draws_of(len(problem.data.y), batch_size, replacement=replacement)
    start = start_of(problem)
    runs = every_run(problem, descent, draws, start, 2)
    moments = SGDMoments(problem, descent, batch_size, replacement=replacement)
    gaps = [problem.evaluate(unflatten(w, start)).suboptimality for w in runs]
    assert moments.suboptimality(start, 2)[-1] == pytest.approx(np.mean(gaps), rel=1e-11)
    mean = flatten(oracles.expected_parameters(problem, descent, start, 2))
    torch.testing.assert_close(mean, runs.mean(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("replacement", [True, False])
def test_covariance_of_a_batch_is_that_of_all_batches_that_can_be(name, replacement):
    problem = SMALL[name]
    n, at = len(problem.data.y), start_of(problem, seed=4)
    for batch_size in {1, 2, n}:
        draws = draws_of(n, batch_size, replacement=replacement)
        moved = every_run(problem, LinearDescent(1.0), draws, at, 1)
        expected = np.cov(moved.numpy().T, bias=True).reshape(len(moved.T), -1)
        found = oracles.gradient_covariance(problem, at, batch_size, replacement=replacement)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    assert not oracles.gradient_covariance(problem, at, "full", replacement=replacement).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["ridge", "wide", "noisy quadratic"])
def test_the_noise_floor_is_where_the_expected_loss_ends(name, method):
    problem, descent = SMALL[name], METHODS[method]
    start = start_of(problem)
    moments = SGDMoments(problem, descent, 2)
    moments = moments.at(moments.stable_rate() / 2)
    left = moments.mean_square_factor() ** 400
    assert left < 1e-3
    first, *_, last = moments.suboptimality(start, 400)
    floor = moments.noise_floor()
    # What is left of the start, times what modes that share a root can add; and rounding.
    assert abs(last - floor) <= 100 * (left + EPS) * max(first, floor)
    if not descent.weight_decay:
        modes = moments.gradients.modes
        H = modes.vectors * modes.eigenvalues @ modes.vectors.T
        trace = (H * moments.stationary_covariance()).sum()
        assert trace / 2 == pytest.approx(floor, rel=1e-10, abs=1e-15)


def test_the_textbooks_formula_is_no_oracle_and_the_exact_one_is_stable_where_it_says():
    """Additive noise: the covariance at the minimiser, taken for that everywhere."""
    problem = SMALL["plain"]
    rate = SGDMoments(problem, ol.SGD(0.1)).stable_rate() / 2
    moments = SGDMoments(problem, ol.SGD(rate))
    modes = moments.gradients
    C = modes.at_centre.T @ modes.at_centre / 3
    h = modes.eigenvalues
    additive = rate**2 * C / (1 - np.outer(1 - rate * h, 1 - rate * h))
    floor = moments.noise_floor()
    assert abs(h @ np.diagonal(additive) / 2 / floor - 1) > 0.15
    limit = moments.stable_rate()
    assert limit < oracles.stable_rate(problem)
    assert moments.at(limit * (1 - 1e-9)).noise_floor() < math.inf
    unstable = moments.at(limit * (1 + 1e-9))
    assert unstable.noise_floor() == math.inf
    with pytest.raises(ValueError, match="not stable in mean square at the rate"):
        unstable.stationary_covariance()
    full = SGDMoments(problem, ol.SGD(rate), "full")
    assert full.noise_floor() == 0.0
    assert full.stable_rate() == pytest.approx(oracles.stable_rate(problem), rel=1e-9)


def test_steps_to_a_target_are_the_first_that_reach_it():
    moments, start = SGDMoments(SMALL["plain"], ol.SGD(0.05), 2), start_of(SMALL["plain"])
    curve = moments.suboptimality(start, 200)
    for target in (curve[0] * 2, curve[7], curve[100]):
        assert moments.steps_to(target, start) == int((curve <= target).argmax())
    assert moments.steps_to(moments.noise_floor() / 2, start, most=500) is None
    assert moments.at(10.0).steps_to(1e-9, start) is None  # it diverges
    with pytest.raises(ValueError, match="target must be positive"):
        moments.steps_to(0.0, start)


# The tutorial's data, standardized in float64: ol.datasets.tutorial() rounds them to float32.
X10 = (np.arange(10.0) - 4.5) / np.arange(10.0).std()
TUTORIAL = ol.LinearRegression(X10[:, None], [1, 1.3, 3.1, 2, 5, 6.3, 6.6, 7.4, 8, 9])
ZERO = {"weight": torch.zeros(1), "bias": torch.zeros(())}


def test_one_step_laws_on_the_tutorial():
    scale = oracles.noise_scale(TUTORIAL, ZERO)
    assert f"{scale.batch_size:.5f}" == "1.14442"
    assert f"{scale.decrease:.6f}" == "32.028248"
    rates = {B: scale.best_rate(B) for B in (1, 10, 100, math.inf)}
    assert [f"{rate:.6f}" for rate in rates.values()] == [
        "0.233164", "0.448655", "0.494343", "0.500000",
    ]  # fmt: skip
    for B, rate in rates.items():
        # All ten draws of one row, or the moments of B: no other rate leaves less after a step.
        left = {
            share: SGDMoments(
                TUTORIAL, ol.SGD(share * rate), "full" if math.inf == B else B
            ).suboptimality(ZERO, 1)
            for share in (0.999, 1.0, 1.001)
        }
        assert left[1.0][1] < min(left[0.999][1], left[1.001][1])
        assert left[1.0][0] - left[1.0][1] == pytest.approx(scale.best_decrease(B), rel=1e-12)
    with pytest.raises(ValueError, match="batch_size must be positive"):
        scale.best_rate(0)
    with pytest.raises(ValueError, match="a point where the loss of 'data' has a slope"):
        oracles.noise_scale(TUTORIAL, TUTORIAL.constant_fit() | {"weight": torch.zeros(1) + 1e200})


BATCHES = (1, 16, 64, 256, 1024, 65536)
LEAST = (32102, 2037, 536, 169, 94, 69)


def closed_form(rates, batch_size, steps):
    """Return the expected loss by the formula of the model, written down once more, in numpy."""
    a, h = np.asarray(rates)[:, None], 1 / np.arange(1, 101)
    left = (1 - a * h) ** (2 * steps)
    return (h / 2 * (left + a * a * h / batch_size * (1 - left) / (1 - (1 - a * h) ** 2))).sum(1)


@pytest.mark.parametrize(("batch_size", "least"), list(zip(BATCHES, LEAST, strict=True)))
def test_least_steps_of_the_noisy_quadratic_model(batch_size, least):
    found = NoisyQuadraticModel().least_steps(0.01, batch_size)
    assert found.steps == least
    rate = found.descent.learning_rate
    assert closed_form([rate], batch_size, least)[0] <= 0.01
    # One step less, and no rate of 20 000 between the best over 3 and the limit reaches it.
    rates = np.linspace(rate / 3, 2.0, 20_000, endpoint=False)
    assert closed_form(rates, batch_size, least - 1).min() > 0.01


def test_a_grid_of_rates_needs_the_steps_that_were_published_at_most_one_more():
    """A grid of 600 rates misses the best one: 32 103 and 70 steps, where 32 102 and 69 do."""
    rates = np.geomspace(1e-3, 2.5, 600)
    rates = rates[rates < 2]
    on_grid = {}
    for batch_size, least in zip(BATCHES, LEAST, strict=True):
        steps = least
        while closed_form(rates, batch_size, steps).min() > 0.01:
            steps += 1
        on_grid[batch_size] = steps
    assert list(on_grid.values()) == [32103, 2037, 536, 169, 94, 70]


def test_momentum_gains_nothing_at_batch_1_and_thrice_at_65536():
    model = NoisyQuadraticModel()
    assert LEAST[-1] / model.least_steps(0.01, 65536, momentum=0.5).steps > 3
    steps = round(0.998 * LEAST[0])
    assert model.expected_loss(model.best_descent(1, steps, momentum=0.5), 1, steps) > 0.01


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_noisy_quadratic_model_has_the_moments_of_its_problem(nesterov):
    h = [1.0, 0.3, 0.05]
    problem, model = ol.NoisyQuadratic(h, rows=32), NoisyQuadraticModel(h, start=[1.0, 4.0, 0.25])
    start = {"x": torch.tensor([1.0, -2.0, 0.5])}
    for momentum in (0.0, 1e-300, 0.6):
        descent = LinearDescent(0.4, momentum, nesterov=nesterov)
        curve = SGDMoments(problem, descent, 4).suboptimality(start, 50)
        for steps in (0, 1, 2, 13, 50):
            loss = model.expected_loss(descent, 4, steps)
            assert loss == pytest.approx(curve[steps], rel=1e-12)
    assert model.expected_loss(LinearDescent(3.0), 4, 10**6) == math.inf
    assert model.least_steps(100.0, 4).steps == 0
    for eigenvalues in ([1.0, 0.0], [[1.0]], [], [1.0, math.inf]):
        with pytest.raises(ValueError, match="eigenvalues must be positive and finite"):
            NoisyQuadraticModel(eigenvalues)
    with pytest.raises(ValueError, match="start must be finite and at least 0, not -1"):
        NoisyQuadraticModel(start=-1)


RUNS = 16_000


def simulated(rule, batch_size, checkpoints, seed):
    """Return the mean loss of runs of the noisy quadratic, and its standard error, by step.

    All runs at once, by the rule's own `update`. Only the noise's covariance counts: it is plus or
    minus its deviation, which costs a random bit.
    """
    h = 1 / torch.arange(1, 101, dtype=torch.float32)
    random = np.random.default_rng(seed)
    w = torch.ones(RUNS, 100)
    state, deviation = rule.init(w), (h / batch_size).sqrt()
    found = {}
    for t in range(1, max(checkpoints) + 1):
        bits = np.unpackbits(np.frombuffer(random.bytes(RUNS * 100 // 8), np.uint8))
        noise = (2 * torch.from_numpy(bits).view(RUNS, 100).float() - 1) * deviation
        direction, state = rule.update(h * w + noise, state, w, t)
        w = w - rule.learning_rate * direction
        if t in checkpoints:
            losses = (w.square() @ h).double() / 2
            found[t] = float(losses.mean()), float(losses.std()) / math.sqrt(RUNS)
    return found


@pytest.mark.parametrize("rule", [ol.SGD(0.8), ol.HeavyBall(0.4, 0.5), ol.Nesterov(0.4, 0.5)])
def test_simulated_runs_lie_on_the_exact_curve_and_not_on_one_that_is_1_percent_off(rule):
    """At 20 steps more than a third of the loss is noise, so that its size is tested to 3 %."""
    model, descent = NoisyQuadraticModel(), rule.linear_descent()
    assert model.expected_loss(descent, math.inf, 20) < 0.67 * model.expected_loss(descent, 4, 20)
    for steps, (mean, error) in simulated(rule, 4, (5, 10, 20), seed=1).items():
        exact = model.expected_loss(descent, 4, steps)
        # The chance that a right curve is four standard errors off is 6e-5.
        assert abs(mean - exact) <= 4 * error, (steps, mean, exact, error)
        for wrong in (0.99 * exact, 1.01 * exact):
            assert abs(mean - wrong) > 4 * error, (steps, mean, wrong, error)


def test_interpolation_converges_at_its_rate_and_has_no_floor():
    random = np.random.default_rng(2)
    wide = random.standard_normal((6, 3))
    problem = ol.LinearRegression(wide, wide @ [1.0, 2.0, 3.0], fit_intercept=False)
    found = oracles.interpolation(problem)
    H = 2 * wide.T @ wide / 6
    beta = 2 * (wide**2).sum(1).max()
    largest = np.linalg.eigvalsh(H)[-1]
    assert found.critical_batch_size == pytest.approx(beta / largest + 1)
    start = {"weight": torch.zeros(3)}
    for batch_size in (1, 3, 50):
        rate = found.best_rate(batch_size)
        least = found.bound(batch_size, rate)
        assert least < 1
        for share in (0.99, 1.01):
            assert found.bound(batch_size, share * rate) >= least
        moments = SGDMoments(problem, ol.SGD(rate), batch_size)
        distances = [np.trace(S) for _, S in itertools.islice(moments.moments(start), 30)]
        assert (np.divide(distances[1:], distances[:-1]) <= least * (1 + 1e-12)).all()
        assert moments.noise_floor() == pytest.approx(0.0, abs=1e-20)
    with pytest.raises(ValueError, match="it does not interpolate"):
        oracles.interpolation(SMALL["plain"])


def test_descent_ends_at_the_minimum_norm_and_with_decay_at_ridge():
    problem, zero = SMALL["wide"], {"weight": torch.zeros(3, dtype=torch.float64)}
    limit = oracles.descent_limit(problem, ol.SGD(0.1), zero)["weight"].numpy()
    np.testing.assert_allclose(limit, np.linalg.pinv(WIDE) @ Y[:2], rtol=1e-12)
    # From elsewhere: the point of the minimisers that is nearest to the start.
    start = start_of(problem, seed=3)
    nearest = oracles.descent_limit(problem, ol.SGD(0.1), start)["weight"].numpy()
    first = start["weight"].numpy()
    projected = first - np.linalg.pinv(WIDE) @ (WIDE @ first - Y[:2])
    np.testing.assert_allclose(nearest, projected, rtol=1e-12)
    decay = ol.TorchSGD(0.1, weight_decay=0.3)
    ridge = ol.LinearRegression(WIDE, Y[:2], fit_intercept=False, l2=0.3).reference().parameters
    torch.testing.assert_close(oracles.descent_limit(problem, decay, start), ridge)


def test_problems_and_methods_without_such_theory_are_refused():
    logistic = ol.LogisticRegression([[0.0], [1.0], [2.0]], [0, 1, 0], l2=1.0)
    for call in (
        lambda: SGDMoments(logistic, ol.SGD(0.1)),
        lambda: oracles.predicted_suboptimality(logistic, ol.SGD(0.1), start_of(logistic), 1),
    ):
        with pytest.raises(ValueError, match="must have a quadratic loss, which 'data' has not"):
            call()
    with pytest.raises(ValueError, match="no linear recurrence"):
        SGDMoments(SMALL["plain"], ol.Adam(0.1))
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, not 0"):
        SGDMoments(SMALL["plain"], ol.SGD(0.1), 0)
    many = ol.LinearRegression(np.eye(80), np.ones(80), l2=1.0)
    with pytest.raises(ValueError, match="more than 2500 unknowns"):
        SGDMoments(many, ol.SGD(0.1)).noise_floor()


RULES = {
    "manual": (ol.ManualSGD, {}),
    "sgd": (ol.SGD, {}),
    "heavy ball": (ol.HeavyBall, {"momentum": "1/2"}),
    "nesterov": (ol.Nesterov, {"momentum": "1/2", "nesterov": True}),
    "torch": (ol.TorchSGD, {"momentum": "1/2", "nesterov": True, "weight_decay": "1/4"}),
}


@pytest.mark.parametrize("name", RULES)
def test_descent_on_small_integers_is_right_to_the_last_bit(name):
    """Rates and momenta that are powers of two, batches of two: float64 rounds nothing."""
    make, options = RULES[name]
    rows, y = [[1, 2], [3, -1], [0, 1], [2, 2]], [1, -2, 3, 0]
    batches, problem = [[0, 1], [2, 3]] * 3, ol.LinearRegression(rows, y, fit_intercept=False)
    *_, last = oracles.rational_descent(rows, y, batches, learning_rate="1/16", **options)
    own = {k: v if v is True else float(Fraction(v)) for k, v in options.items()}
    if make is ol.Nesterov:
        own.pop("nesterov")
    start = {"weight": torch.zeros(2, dtype=torch.float64)}
    ended = ol.minimize(
        problem, make(1 / 16, **own), batch_size=2, epochs=3, shuffle=False, start=start
    )
    assert ended.parameters["weight"].tolist() == [float(value) for value in last]
    assert all(Fraction(float(value)) == value for value in last)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"X": [[1.0]], "y": [1], "batches": [[0]]}, "X must be whole numbers, fractions or text"),
        ({"X": [[1], [1, 2]], "y": [1, 1], "batches": [[0]]}, "X must be rows of one length"),
        ({"X": [[1]], "y": ["a"], "batches": [[0]]}, "y must be whole numbers or fractions"),
        ({"X": [[1]], "y": [1], "batches": [[]]}, "a batch must be rows from 0 to 0, not"),
        ({"X": [[1]], "y": [1], "batches": [[1]]}, "a batch must be rows from 0 to 0, not"),
        (
            {"X": [[1]], "y": [1], "batches": [[0]], "start": [1, 2]},
            "start must be 1 numbers, not 2",
        ),
    ],
)
def test_rational_descent_refuses_what_is_not_exact(arguments, words):
    with pytest.raises(ValueError, match=words):
        list(oracles.rational_descent(**arguments, learning_rate=1))
