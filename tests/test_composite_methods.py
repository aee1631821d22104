"""Methods for a smooth loss plus a penalty: published updates in numpy, and certified optima."""

import math
from functools import cache
from itertools import islice, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.optimizers import unsupported
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Cost
from optlab.optimizers.proximal_step import ProximalStep
from optlab.problems.vector import flatten

CPU = torch.device("cpu")
N, SIZE, L1, L2 = 20, 5, 0.02, 0.05
RATE = 0.1


def classes(n=N, d=3, **options):
    """Two classes that overlap, rows of different weights."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, d))
    y = (X @ rng.normal(size=d) + rng.normal(size=n) > 0).astype(float)
    weight = rng.uniform(0.5, 2, n)
    return ol.LogisticRegression(X, y, sample_weight=weight, **options)


def run(optimizer, problem, epochs, size=SIZE, *, shuffle=False, seed=7):
    """The start and the points after each epoch, and the last iterate."""
    generator = torch.Generator().manual_seed(seed)
    start = problem.start(generator)
    data = problem.data
    batches = ol.Batches(data.X, data.y, size, generator, shuffle=shuffle, weight=data.weight)
    points = [flatten(start)]
    for iterate in islice(optimizer.iterates(problem, batches, start), epochs):
        points.append(flatten(iterate.parameters))
    return torch.stack(points).numpy(), iterate


class Smooth:
    """The smooth part of a logistic regression in numpy; the bias is the last entry of w."""

    def __init__(self, problem):
        bias = np.full((len(problem.y), int(problem.fit_intercept)), 1.0)
        self.A = np.column_stack([problem.X.numpy(), bias])
        self.y, self.u = problem.y.numpy(), problem.row_weight.numpy()
        self.l1 = np.append(np.full(3, problem.l1), 0 * bias[0])
        self.l2 = np.append(np.full(3, problem.l2), 0 * bias[0])

    def slope(self, w, rows=slice(None)):
        return self.u[rows] * (1 / (1 + np.exp(-self.A[rows] @ w)) - self.y[rows])

    def gradient(self, w, rows=slice(None)):
        s = self.slope(w, rows)
        return self.A[rows].T @ s / len(s) + self.l2 * w

    def prox(self, w, step):
        return np.sign(w) * np.maximum(np.abs(w) - step * self.l1, 0)

    def lipschitz(self):
        H = self.A.T @ (self.u[:, None] * self.A) / (4 * N)
        return np.linalg.eigvalsh(H)[-1] + L2


def epochs_of(step, w):
    """Points after each of 50 epochs of 4 batches, in order."""
    points = [w]
    for t in range(200):
        w = step(w, slice(t * SIZE % N, t * SIZE % N + SIZE), first=t * SIZE % N == 0)
        points.append(w)
    return points[::4]


def proximal_gradient(f, w):
    points, L = [w], f.lipschitz()
    for _ in range(200):
        w = f.prox(w - f.gradient(w) / L, 1 / L)
        points.append(w)
    return points


def fista(f, w):
    points, L, y, t = [w], f.lipschitz(), w, 1.0
    for _ in range(200):
        before, w = w, f.prox(y - f.gradient(y) / L, 1 / L)
        later = (1 + math.sqrt(1 + 4 * t**2)) / 2
        y, t = w + (t - 1) / later * (w - before), later
        points.append(w)
    return points


def coordinate_descent(f, w):
    points = [w]
    for _ in range(200):
        w = w.copy()
        for j in (3, 0, 1, 2):
            L = f.u @ f.A[:, j] ** 2 / (4 * N) + f.l2[j]
            new = w[j] - f.gradient(w)[j] / L
            w[j] = np.sign(new) * max(abs(new) - f.l1[j] / L, 0)
        points.append(w)
    return points


def svrg(f, w):
    snapshot = mean = None

    def step(w, rows, first):
        nonlocal snapshot, mean
        if first:
            snapshot, mean = w, f.gradient(w)
        g = f.gradient(w, rows) - f.gradient(snapshot, rows) + mean
        return f.prox(w - RATE * g, RATE)

    return epochs_of(step, w)


def saga(f, w):
    table = f.A * f.slope(w)[:, None]  # a gradient a row

    def step(w, rows, first):
        new = f.A[rows] * f.slope(w, rows)[:, None]
        g = new.mean(0) - table[rows].mean(0) + table.mean(0) + f.l2 * w
        table[rows] = new
        return f.prox(w - RATE * g, RATE)

    return epochs_of(step, w)


def sdca(f, w):
    # The nearest to the negative slopes of which w follows.
    alpha = -f.slope(w)
    lacking = f.l2 * w + f.l1 * np.sign(w) - f.A.T @ alpha / N
    alpha = alpha + N * f.A @ np.linalg.solve(f.A.T @ f.A, lacking)

    def weights():
        v = f.A.T @ alpha / N
        return np.sign(v) * np.maximum(abs(v) - f.l1, 0) / f.l2

    def step(w, rows, first):
        gamma = 4 / f.u[rows]  # each loss is 1 / gamma smooth
        norms = (f.A[rows] ** 2).sum(1)
        s = L2 * N * gamma / (SIZE * norms + L2 * N * gamma)
        alpha[rows] += s * (-f.slope(weights(), rows) - alpha[rows])
        return weights()

    return epochs_of(step, w)


METHODS = {
    "proximal gradient": (ol.ProximalGradient(), proximal_gradient, "full", True),
    "FISTA": (ol.FISTA(restart=False), fista, "full", True),
    "coordinate descent": (ol.CoordinateDescent(), coordinate_descent, "full", True),
    "SVRG": (ol.SVRG(RATE), svrg, SIZE, True),
    "SAGA": (ol.SAGA(RATE), saga, SIZE, True),
    "SDCA": (ol.SDCA(), sdca, SIZE, False),
}


@pytest.mark.parametrize("name", METHODS)
def test_200_steps_are_those_of_the_published_update(name):
    optimizer, reference, size, intercept = METHODS[name]
    problem = classes(l1=L1, l2=L2, fit_intercept=intercept)
    found, _ = run(optimizer, problem, 200 if size == "full" else 50, size)
    wanted = np.array(reference(Smooth(problem), found[0]))
    # 1e-12 of the largest coordinate: 200 steps that do not expand, of some eps each.
    assert abs(found - wanted).max() <= 1e-12 * abs(wanted).max()
    assert abs(found[-1] - found[0]).max() > 0.1


# Twice the epochs that were seen to be enough, or more.
OPTIMA = [
    (ol.ProximalGradient(), "full", 200),
    (ol.FISTA(), "full", 100),
    (ol.CoordinateDescent(), "full", 80),
    (ol.SAGA(), 1, 130),
    (ol.SVRG(), 5, 300),
    (ol.SDCA(), 1, 200),
]
PENALTIES = [(0.02, 0.0), (0.0, 0.1), (0.02, 0.1)]


def numbers(**options):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(40, 4))
    y = X @ np.array([1.0, -2.0, 0.0, 0.0]) + rng.normal(size=40)
    return ol.LinearRegression(X, y, **options)


PROBLEMS = {
    "logistic": lambda **options: classes(40, 4, **options),
    "squared": numbers,
    "huber": lambda **options: ol.HuberRegression(*numbers().data[:2], **options),
    "softmax": lambda **options: ol.SoftmaxRegression(
        numbers().X, np.arange(40) % 3, **options
    ),
}  # fmt: skip


def tolerance(problem, start):
    """The square of the rounding of a gradient, over twice the strong convexity.

    A method that stops moving has a gradient of its own rounding: at most 4 (n + d + 10) eps times
    the largest slope and entry, for each of d + 1 coordinates; the tables of SAGA and SDCA add an
    eps a step of theirs, some 5000 steps at most. The strong convexity is that of the penalty, or
    where there is none at least 1e-3 (all losses here have more curvature at their optimum).
    """
    X = problem.X
    slope = problem.loss_function.slope(problem.linear_predictor(start), problem.y).abs().max()
    entry = max(1.0, X.abs().max().item()) * max(1.0, slope.item())
    eps = torch.finfo(X.dtype).eps
    error = (
        (4 * (len(X) + X.shape[1] + 10) + 5000) * eps * entry * math.sqrt(flatten(start).numel())
    )
    return error**2 / (2 * max(problem.l2, 1e-3))


@cache
def made(kind, penalty, fit_intercept):
    """A problem, kept with its reference."""
    l1, l2 = penalty
    return PROBLEMS[kind](l1=l1, l2=l2, fit_intercept=fit_intercept)


def cases():
    """Every method on every problem that it is made for, and with every penalty on one of them."""
    for optimizer, size, epochs in OPTIMA:
        name = type(optimizer).__name__
        for kind, penalty in product(PROBLEMS, PENALTIES):
            if kind == "softmax" and (name not in {"FISTA", "SAGA"} or penalty[0]):
                continue  # dear, and the same code
            if name in {"SVRG", "SDCA"} and not penalty[1]:
                continue  # slow without strong convexity; refused without l2
            if kind in {"squared", "huber"} and penalty != PENALTIES[-1]:
                continue  # a penalty knows nothing of the loss
            yield pytest.param(
                optimizer, size, epochs, kind, penalty, id=f"{name} {kind} {penalty}"
            )


@pytest.mark.parametrize(("optimizer", "size", "epochs", "kind", "penalty"), list(cases()))
def test_the_certified_optimum_is_reached(optimizer, size, epochs, kind, penalty):
    problem = made(kind, penalty, not isinstance(optimizer, ol.SDCA))
    assert unsupported(optimizer, problem, CPU) is None
    reference = problem.reference()
    assert reference.kind == "certified"
    if isinstance(optimizer, ol.SVRG):
        square = problem.X.square().sum(1).max().item() + 1
        optimizer = ol.SVRG(1 / (3 * problem.loss_function.steepest * square + 3 * problem.l2))
    generator = torch.Generator().manual_seed(7)
    start, (X, y, weight) = problem.start(generator), problem.data
    bound = reference.bound if math.isfinite(reference.bound) else 0.0  # least squares has digits
    enough = tolerance(problem, start) + bound
    batches, there = ol.Batches(X, y, size, generator, weight=weight), 0
    for epoch, iterate in enumerate(islice(optimizer.iterates(problem, batches, start), epochs)):
        if epoch % 5 == 4:  # reached, and not left again
            gap = problem.evaluate(iterate.parameters).suboptimality
            there = there + 1 if gap <= enough else 0
            if there == 2:
                return
    assert gap <= enough


def test_restart_makes_fista_linear_where_it_is_not():
    """By theory 2 L |w_0 - w_*|^2 / (k + 1)^2 without restart, a constant factor with it."""
    problem = classes(40, 4, l2=1e-3)
    best = flatten(problem.reference().parameters).numpy()
    plain, last = run(ol.FISTA(restart=False), problem, 300, "full")
    for k, w in enumerate(plain[1:], start=1):
        if k % 50 == 0:
            gap = problem.evaluate(
                {"weight": torch.tensor(w[:-1]), "bias": torch.tensor(w[-1])}
            ).suboptimality
            assert gap <= 2 * problem.lipschitz() * np.sum((plain[0] - best) ** 2) / (k + 1) ** 2
    _, restarted = run(ol.FISTA(), problem, 300, "full")
    gap = problem.evaluate(last.parameters).suboptimality
    assert problem.evaluate(restarted.parameters).suboptimality < gap / 100


@pytest.mark.parametrize("method", [ol.ProximalGradient, ol.FISTA])
def test_backtracking_needs_no_lipschitz_constant(method):
    """Counts: the Poisson loss has none."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(40, 3))
    problem = ol.PoissonRegression(X, rng.poisson(np.exp(X @ [0.5, -0.5, 0.0])), l1=0.02, l2=0.01)
    assert problem.lipschitz() == math.inf
    _, last = run(method(), problem, 500, "full")
    # Backtracking compares losses, which have eps of themselves: some 10 of these are not seen.
    seen = 10 * torch.finfo(torch.float64).eps * abs(problem.reference().loss)
    assert problem.evaluate(last.parameters).suboptimality <= seen
    assert last.cost.losses > last.cost.gradients > 500


COSTS = [
    (ol.ProximalGradient(), "full", Cost(0, 3, 0)),
    (ol.CoordinateDescent(), "full", Cost(0, 3, 0)),
    (ol.SVRG(0.1), SIZE, Cost(3 / 4, 9, 0)),
    (ol.SAGA(0.1), SIZE, Cost(3 / 4, 4, 0)),
]


@pytest.mark.parametrize(("optimizer", "size", "cost"), COSTS)
def test_three_epochs_cost_what_they_evaluate(optimizer, size, cost):
    _, last = run(optimizer, classes(l1=L1, l2=L2), 3, size)
    assert last.cost == pytest.approx(cost)


def test_sdca_costs_what_saga_does():
    _, last = run(ol.SDCA(), classes(l2=L2, fit_intercept=False), 3)
    assert last.cost == pytest.approx(Cost(3 / 4, 4, 0))


def test_what_cannot_be_solved_is_refused_with_its_reason():
    counts = ol.PoissonRegression([[0.0], [1.0], [2.0]], [1, 2, 3], l2=1.0, fit_intercept=False)
    for method in (ol.CoordinateDescent, ol.SAGA, ol.SDCA):
        reason = unsupported(method(), counts, CPU)
        assert "bounded second derivative, which PoissonRegression does not have" in reason
    plain = classes()
    assert "needs an l2 penalty" in unsupported(ol.SDCA(), plain, CPU)
    assert "which an intercept has not" in unsupported(ol.SDCA(), classes(l2=1.0), CPU)
    lasso = numbers(l1=0.1)
    for method in (ol.CGLS, ol.LSQR, ol.BarzilaiBorwein):
        assert "kinks" in unsupported(method(), lasso, CPU)
    for problem in (lasso, plain):
        assert "that of a quadratic" in unsupported(ol.ExactLineSearch(), problem, CPU)
    for method in (ol.CGLS, ol.LSQR):
        assert "least-squares system, which LogisticRegression" in unsupported(method(), plain, CPU)


def test_a_column_of_zeros_and_one_that_l1_drops():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.normal(size=30), np.zeros(30)])
    y = X[:, 0] + rng.normal(size=30)
    _, last = run(ol.CoordinateDescent(), ol.LinearRegression(X, y), 50, "full")
    assert math.isfinite(last.parameters["weight"][1])
    _, last = run(ol.CoordinateDescent(), ol.LinearRegression(X, y, l1=0.1), 50, "full")
    assert last.parameters["weight"][1] == 0


def awkward(seed, n, d, kind, dtype, **options):
    """Data with a column twice, a column of zeros, few rows, large and small units, as drawn."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d)
    X[:, rng.integers(d)] = X[:, 0]
    X[:, rng.integers(d)] *= rng.integers(2)
    y = np.arange(n) % 2 if kind is ol.LogisticRegression else rng.normal(size=n)
    return kind(X.astype(dtype), y.astype(dtype), **options)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 12),
    d=st.integers(1, 6),
    kind=st.sampled_from([ol.LinearRegression, ol.LogisticRegression, ol.HuberRegression]),
    dtype=st.sampled_from([np.float32, np.float64]),
    l1=st.sampled_from([0.0, 0.1]),
    l2=st.sampled_from([0.0, 0.1]),
    fit_intercept=st.booleans(),
)
def test_no_step_increases_the_loss_on_any_data(seed, n, d, kind, dtype, **options):
    """Of methods that promise it; the others stay finite."""
    problem = awkward(seed, n, d, kind, dtype, **options)
    for cls in (ol.ProximalGradient, ol.CoordinateDescent, ol.SAGA, ol.ExactLineSearch, ol.CGLS,
                ol.LSQR, ol.FISTA, ol.SDCA, ol.BarzilaiBorwein):  # fmt: skip
        if unsupported(cls(), problem, CPU):
            continue
        generator = torch.Generator().manual_seed(seed)
        start = problem.start(generator)
        batches = ol.Batches(problem.X, problem.y, "full", generator)
        losses = [problem.loss(start).item()]
        for iterate in islice(cls().iterates(problem, batches, start), 12):
            losses.append(problem.loss(iterate.parameters).item())
        assert np.isfinite(losses).all(), (cls, losses)
        if hasattr(cls, "stable_growth"):
            # A loss is a mean of n numbers of sums of d + 1 products, each at most the first loss's
            # size: what is lost to rounding is of that size, not of the loss's at the optimum.
            slack = 8 * (n + d + 10) * np.finfo(dtype).eps * losses[0]
            assert (np.diff(losses) <= slack).all(), (cls, losses)


@pytest.mark.parametrize("method", [ol.SAGA, ol.SDCA])
def test_the_rounding_of_a_far_start_is_forgotten(method):
    """At 1e8 a sum is off by 1e8 eps = 2e-8: kept by updates alone, it stays in every gradient."""
    problem = numbers(l2=1.0, fit_intercept=False)
    generator = torch.Generator().manual_seed(1)
    start = {name: 1e8 * value for name, value in problem.start(generator).items()}
    batches = ol.Batches(problem.X, problem.y, 1, generator)
    *_, last = islice(method().iterates(problem, batches, start), 120)
    # Some 20 eps at the optimum, whose numbers are about 1; 1e-12 is 4500 of them.
    assert problem.evaluate(last.parameters).gradient_norm <= 1e-12


@pytest.mark.parametrize("method", [ol.SVRG, ol.SAGA, ol.SDCA])
def test_equal_seeds_give_equal_bits(method):
    problem = classes(l1=L1, l2=L2, fit_intercept=False)
    a, b, other = (run(method(), problem, 5, shuffle=True, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)


def test_bad_hyperparameters_are_refused():
    for make in (lambda: ol.SVRG(0), lambda: ol.SAGA(-1.0)):
        with pytest.raises(ValueError, match="learning_rate must be positive and finite"):
            make()
    with pytest.raises(ValueError, match="restart must be True or False, not 1"):
        ol.FISTA(1)


def test_a_step_that_is_too_long_is_halved_until_the_quadratic_is_above_the_loss():
    """From zero the curvature of counts of thousands is far below that on the way to them."""
    counts = ol.PoissonRegression([[1.0], [2.0]], [50, 3000], fit_intercept=False, l1=0.1)
    start = {"weight": torch.zeros(1).double()}
    objective, w = Objective(counts, start), flatten(start)
    slope = objective.smooth_gradient(w)
    first = objective.curvature(w, slope)
    step = ProximalStep(objective)
    x = step(w)
    assert math.log2(step.constant / first) in range(2, 40)

    def most(constant):
        d = objective.proximal(w - slope / constant, 1 / constant) - w
        excess = objective.smooth_loss(w) + slope @ d + constant / 2 * (d @ d)
        return float(excess - objective.smooth_loss(w + d))

    assert most(step.constant) >= 0 > most(step.constant / 2)
    assert counts.loss({"weight": x}) < counts.loss(start)


def three_classes():
    X, _, weight = classes().data
    return ol.SoftmaxRegression(X, [0, 1, 2, 1] * (N // 4), sample_weight=weight, l2=L2)


def test_saga_with_all_rows_is_gradient_descent_of_any_number_of_classes():
    problem = three_classes()
    found, _ = run(ol.SAGA(RATE), problem, 9, "full")
    expected, _ = run(ol.AnalyticSGD(RATE), problem, 9, "full")
    # A few roundings of numbers below 1 in each of the steps, which contract.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_sagas_own_rate_is_a_third_of_the_inverse_of_the_steepest_row():
    problem = classes(l2=L2)
    X, weight = problem.X, problem.row_weight
    steepest = (weight * (X.square().sum(1) + 1)).max().item() / 4 + L2
    own, given = (run(saga, problem, 3)[0] for saga in (ol.SAGA(), ol.SAGA(1 / (3 * steepest))))
    np.testing.assert_allclose(own, given, rtol=0, atol=1e-14)
    flat = ol.LinearRegression([[0.0], [0.0]], [1.0, 2.0], fit_intercept=False)
    start, end = run(ol.SAGA(), flat, 1, 1)[0]
    assert start == end
