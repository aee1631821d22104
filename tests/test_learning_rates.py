"""Learning rates that are text: their numbers, that they converge, and what is refused."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab.sweeps import unswept
from optlab.lab.trial import run
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.task import Task
from optlab.optimizers import Batches, registry
from optlab.optimizers.curvature import (
    Curvature,
    _sampled,
    batch_curvature,
    largest_curvature,
    power_iteration,
)
from optlab.optimizers.linear_descent import linear_descent
from optlab.optimizers.resolve_rates import is_rate, resolve_rates
from optlab.problems.hessian import modes

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 4)) * [1.0, 3.0, 0.5, 2.0]
Y = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.normal(size=60) + 3.0
LINE = ol.LinearRegression(X, Y)
PLAIN = ("manual-sgd", "torch-sgd", "analytic-sgd", "fused-sgd", "sgd", "svrg")
DESCENTS = (*PLAIN, "heavy-ball", "nesterov")


def made(name, rate, **more):
    return registry.get(name)(learning_rate=rate, **more)


def rate_of(optimizer, problem=LINE, batch_size="full"):
    start = problem.start(torch.Generator().manual_seed(0))
    batches = Batches(*problem.data[:2], batch_size, torch.Generator(), weight=problem.data.weight)
    return resolve_rates(optimizer, problem, batches, start).learning_rate


@pytest.mark.parametrize("name", DESCENTS)
def test_formula_is_its_number(name):
    """The rates are those of the exact spectrum of the Hessian, which is computed otherwise."""
    found = modes(LINE)
    L, mu = found.largest, found.smallest
    wanted = {"1/L": 1 / L, "0.5/L": 0.5 / L, "2/(L+mu)": 2 / (L + mu), "auto": 1 / L}
    for text, rate in wanted.items():
        if name != "svrg" or text != "2/(L+mu)":
            assert rate_of(made(name, text)) == pytest.approx(rate, rel=1e-9), text


@pytest.mark.parametrize("name", DESCENTS)
def test_a_trial_is_that_of_the_number(name):
    """Nothing but the rate is changed: the same bits as with the number written by hand."""
    text = ol.minimize(LINE, made(name, "1/L"), epochs=20, batch_size=60, seed=3)
    number = ol.minimize(
        LINE, made(name, rate_of(made(name, "1/L"))), epochs=20, batch_size=60, seed=3
    )
    assert text.loss == number.loss
    assert text.trace["learning_rate"].unique().tolist() == [rate_of(made(name, "1/L"))]
    assert "learning rate" in text.message
    assert "'1/L'" in text.message


@pytest.mark.parametrize("name", DESCENTS)
def test_auto_converges_with_full_batches(name):
    solution = ol.minimize(LINE, made(name, "auto"), epochs=5000, stop_at=1e-8)
    assert solution.status == "converged", solution.message


@pytest.mark.parametrize("batch_size", [1, 7, 59])
@pytest.mark.parametrize("name", ["analytic-sgd", "heavy-ball", "nesterov", "svrg"])
def test_auto_converges_with_mini_batches(name, batch_size):
    """Data that a line fits have no noise at the optimum: a stable rate goes on to 1e-4."""
    exact = ol.LinearRegression(X, X @ [1.0, -2.0, 0.5, 0.0] + 3.0)
    solution = ol.minimize(
        exact,
        made(name, "auto"),
        epochs=3000,
        batch_size=batch_size,
        stop_at=1e-4,
        recorded_epochs=20,
    )
    assert solution.status == "converged", solution.message


def test_auto_of_mini_batches_is_the_expected_smoothness():
    L = modes(LINE).largest
    rows = 2 * (np.square(X).sum(1) + 1).max()
    n, B = 60, 7
    smooth = n * (B - 1) / (B * (n - 1)) * L + (n - B) / (B * (n - 1)) * rows
    assert rate_of(ol.SGD("auto"), batch_size=B) == pytest.approx(1 / (2 * smooth), rel=1e-9)
    heavy = rate_of(ol.HeavyBall("auto", momentum=0.8), batch_size=B)
    assert heavy == pytest.approx(0.2 / (2 * smooth), rel=1e-9)
    assert rate_of(ol.SGD("auto"), batch_size=1) == pytest.approx(1 / (2 * rows), rel=1e-9)


def test_weight_decay_is_curvature():
    L = modes(LINE).largest
    decayed = ol.TorchSGD("1/L", weight_decay=5.0)
    assert rate_of(decayed) == pytest.approx(1 / (L + 5.0), rel=1e-9)


def test_wrapped_rules_schedules_and_adapters():
    L = modes(LINE).largest
    falling = partial(torch.optim.lr_scheduler.StepLR, step_size=30)
    optimizers = [
        ol.Averaged(ol.SGD("1/L")),
        ol.Clipped(ol.HeavyBall("1/L"), max_norm=1e9),
        ol.CUDAGraph(ol.SGD("auto")),
        ol.SGD(ol.schedules.WarmUp(ol.schedules.Step("1/L", every=10), epochs=3)),
        ol.TorchOptimizer(torch.optim.SGD, lr="1/L", momentum=0.5),
        ol.TorchOptimizer(torch.optim.SGD, lr="auto", scheduler=falling),
    ]
    for optimizer in optimizers:
        assert rate_of(optimizer) == pytest.approx(1 / L, rel=1e-9), optimizer
    warm = resolve_rates(
        optimizers[3],
        LINE,
        Batches(*LINE.data[:2], "full", torch.Generator()),
        LINE.start(torch.Generator()),
    ).optimizer
    assert warm.learning_rate(13.0) == pytest.approx(0.1 / L, rel=1e-9)
    assert ol.minimize(LINE, optimizers[4], epochs=3000, stop_at=1e-6).status == "converged"


@pytest.mark.parametrize("optimizer", [ol.Adam("auto"), registry.get("torch-adam")(lr="auto"),
                                       ol.TorchOptimizer(torch.optim.Adam, lr="auto")])  # fmt: skip
def test_auto_of_adam_is_its_default(optimizer):
    solution = ol.minimize(LINE, optimizer, epochs=2)
    assert solution.trace["learning_rate"].unique().tolist() == [0.001]
    assert "default" in solution.message


@pytest.mark.parametrize("name", ["adam", "lion", "fused-adam", "lbfgs", "torch-adam"])
def test_formulas_are_of_descent(name):
    field = "lr" if name == "torch-adam" else "learning_rate"
    with pytest.raises(ValueError, match="is a rate of gradient descent, with or without momentum"):
        registry.get(name)(**{field: "1/L"})


@pytest.mark.parametrize("text", ["1/mu", "0.1", "L", "0/L", "-1/L", "auto ", "", "1/l"])
@pytest.mark.parametrize("name", ["manual-sgd", "sgd", "fused-sgd"])
def test_other_texts_are_refused(name, text):
    with pytest.raises(ValueError, match="'auto', or a formula such as '1/L'"):
        made(name, text)


def test_logistic_and_counts_converge():
    """A bound everywhere for classes; for counts, whose curvature has none, that at two points."""
    classes = ol.LogisticRegression(X, (Y > 3).astype(float), l2=0.1)
    assert ol.minimize(classes, ol.SGD("auto"), epochs=3000, stop_at=1e-6).status == "converged"
    counts = registry_problem()
    solution = ol.minimize(counts, ol.SGD("auto"), epochs=3000, stop_at=1e-6)
    assert solution.status == "converged", solution.message
    assert "the start and the best constant fit" in solution.message


def registry_problem():
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(80, 2))
    return ol.PoissonRegression(Z, rng.poisson(np.exp(1.0 + Z @ [0.5, -0.3])).astype(float))


def test_power_iteration_of_a_network():
    """Of a loss without a bound, L is the largest eigenvalue of the Hessian at the start."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    problem = ol.ModuleProblem(
        net, torch.nn.MSELoss(), X.astype("float32"), Y[:, None].astype("float32")
    )
    start = problem.start(torch.Generator().manual_seed(0))
    exact = np.abs(modes(problem, start).eigenvalues).max()
    found = largest_curvature(problem, start)
    assert 1.0 <= found.largest / exact <= 1.06  # a margin of 5 %, and 0.1 % of rounding
    assert not found.is_bound
    solution = ol.minimize(problem, ol.SGD("auto"), epochs=5, batch_size=20)
    assert math.isfinite(solution.loss)


def test_power_iteration_of_a_wide_design():
    wide = ol.LinearRegression(RNG.normal(size=(600, 550)), RNG.normal(size=600))
    exact = modes(wide).largest
    found = largest_curvature(wide, wide.start(torch.Generator())).largest
    assert 0.99 * exact <= found <= 1.06 * exact
    assert power_iteration(lambda v: 0 * v, torch.zeros(3)) == 0


def test_no_curvature_is_said():
    kinked = ol.QuantileRegression(X, Y)
    results = ol.compare(kinked, [ol.SGD("auto"), ol.SGD(0.1)], epochs=2)
    skipped, ran = results.trials.itertuples()
    assert (skipped.status, ran.status) == ("skipped", "finished")
    assert "SGD has no learning rate" in skipped.message
    assert "kinks" in skipped.message
    with pytest.raises(ValueError, match="cannot run here: SGD has no learning rate"):
        ol.minimize(kinked, ol.SGD("auto"), epochs=2)
    classes = ol.LogisticRegression(X, (Y > 3).astype(float))
    with pytest.raises(ValueError, match=r"is not quadratic.*use '1/L' or 'auto'"):
        ol.minimize(classes, ol.SGD("2/(L+mu)"), epochs=2)


def test_tables_say_text_and_number(tmp_path):
    store = tmp_path / "results.db"
    optimizers = [ol.SGD("1/L"), ol.SGD(0.01), ol.Lstsq()]
    for _ in range(2):  # computed, and read from the store
        results = ol.compare(LINE, optimizers, epochs=3, stop_at=1e-3, store=store)
        trials = results.trials.set_index("optimizer")
        assert trials["hp_learning_rate"].tolist()[:2] == ["1/L", 0.01]
        wanted = [1 / modes(LINE).largest, 0.01, math.nan]
        assert trials["learning_rate"].tolist() == pytest.approx(wanted, rel=1e-9, nan_ok=True)
    assert "learning_rate" in results.summary()


def test_outside_a_trial_text_has_no_number():
    batches, start = (
        Batches(*LINE.data[:2], "full", torch.Generator()),
        LINE.start(torch.Generator()),
    )
    for name in DESCENTS:
        assert linear_descent(made(name, "auto")) is None
        with pytest.raises(ValueError, match="has no number yet"):
            next(iter(made(name, "auto").iterates(LINE, batches, start)))


def test_texts_are_not_swept():
    grid = ol.Experiment(problems=LINE, optimizers=[ol.SGD("auto")], seeds=[1, 2]).grid
    tasks = [Task(t, LINE, grid.optimizer_of(t), Budget(epochs=2)) for t in grid.trials()]
    assert "learning rate that is computed in each trial (2 trials)" in unswept(tasks)


def test_the_curvature_is_computed_in_each_trial(monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return resolve_rates(*arguments)

    monkeypatch.setattr(run, "resolve_rates", counted)
    results = ol.compare(LINE, [ol.SGD("1/L")], epochs=2, seeds=[1, 2])
    assert len(calls) == 4  # cold and warm, in each of two trials
    assert (results.traces.query("epoch > 0")["seconds"] > 0).all()


def test_the_noise_of_batches_without_a_bound_is_what_they_are_steeper_than_the_whole():
    """By hand: the Hessians of Poisson's loss at zero are those of the rows, exp(0) x x'."""
    X = torch.tensor([[1.0], [2.0], [3.0], [6.0]], dtype=torch.float64)
    counts = ol.PoissonRegression(X, [1, 2, 3, 4], fit_intercept=False)
    start = {"weight": torch.zeros(1, dtype=torch.float64)}
    whole = Curvature(12.5, "is the curvature at the start", False)
    batches = Batches(counts.X, counts.y, 2, torch.Generator())
    largest, noise = batch_curvature(counts, batches, start, whole)
    assert largest == pytest.approx(1.05 * (9 + 36) / 2)  # with its margin
    assert noise == largest - 12.5
    full = Batches(counts.X, counts.y, "full", torch.Generator())
    assert batch_curvature(counts, full, start, whole) == (12.5, 0.0)
    quiet = Curvature(100.0, "is said to be more", False)
    assert batch_curvature(counts, batches, start, quiet) == (100.0, 0.0)


def test_what_a_learning_rate_is_and_what_has_rates_of_its_own():
    assert all(map(is_rate, (0.1, "1/L", None, torch.tensor(0.1))))
    assert not is_rate(ol.schedules.Cosine(0.1, epochs=9))


@pytest.mark.parametrize(
    ("n", "size", "firsts"),
    [(20, 4, [0, 2, 4, 6, 9, 11, 13, 16]), (5, 4, [0, 1]), (4, 4, [0])],  # 16/7 apart, cut
)
def test_eight_mini_batches_are_looked_at_from_the_first_rows_to_the_last(n, size, firsts):
    rows = torch.arange(float(n))
    for weight in (None, rows + 1):
        batches = Batches(rows[:, None], rows, size, torch.Generator(), weight=weight)
        sampled = _sampled(batches)
        assert [batch.y.tolist() for batch in sampled] == [
            [float(first + k) for k in range(size)] for first in firsts
        ]
        assert all(torch.equal(batch.X[:, 0], batch.y) for batch in sampled)
        if weight is None:
            assert all(batch.weight is None for batch in sampled)
        else:
            assert all(torch.equal(batch.weight, batch.y + 1) for batch in sampled)
