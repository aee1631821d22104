"""Levenberg-Marquardt, Gauss-Newton, Newton, L-BFGS and scipy's least squares."""

from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.optimizers import optimizer_name, unsupported
from optlab.problems.curves.scaled_jacobian import ScaledJacobian
from optlab.problems.vector import flatten

CPU = torch.device("cpu")
EPS = 2.0**-52
METHODS = [
    ol.LevenbergMarquardt(),
    ol.LevenbergMarquardt(geodesic=True),
    ol.GaussNewton(),
    ol.Newton(),
    ol.LBFGS(),
    ol.ScipyLeastSquares("trf", tolerance=1e-15),
]


def curve(name, start):
    return ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear(name), start=start)


def run(optimizer, problem, most=200):
    start = problem.start(torch.Generator().manual_seed(0))
    batches = ol.Batches(*problem.data[:2], "full", torch.Generator())
    return list(islice(optimizer.iterates(problem, batches, start), most))


def digits(problem, iterate):
    return problem.evaluate(iterate.parameters).more["correct_digits"]


@pytest.fixture(scope="module")
def line():
    """Badly scaled linear least squares with a penalty and weights of the rows."""
    data = ol.datasets.synthetic(30, 4, condition=100, seed=3)
    X = data.X * [1.0, 1e3, 1e-3, 1.0]
    weight = np.linspace(0.5, 2, 30)
    return ol.LinearRegression(X, data.y, l2=0.01, sample_weight=weight)


def test_the_residuals_of_linear_regression_have_its_loss_and_gradient(line):
    point = line.start(torch.Generator().manual_seed(1))
    residual, jacobian = line.residuals(point), line.jacobian(point)
    assert residual.square().mean().item() == pytest.approx(line.loss(point).item(), rel=1e-13)
    slope = 2 / len(residual) * jacobian.T @ residual
    torch.testing.assert_close(slope, flatten(line.gradient(point)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", METHODS[:4], ids=repr)
def test_linear_least_squares_takes_one_full_step(line, optimizer):
    # Of the start: the square of 1e3 eps, a forward error at the scaled condition 100 times 10.
    far = line.evaluate(line.start(torch.Generator().manual_seed(0))).suboptimality
    iterates = run(optimizer, line)
    gaps = [line.evaluate(iterate.parameters).suboptimality for iterate in iterates]
    solved = next(i for i, gap in enumerate(gaps) if gap <= (1e3 * EPS) ** 2 * far)
    # Within the first radius, which is the start's norm, Levenberg-Marquardt may need more.
    assert solved <= (8 if isinstance(optimizer, ol.LevenbergMarquardt) else 1)
    assert max(gaps[solved:]) <= (1e3 * EPS) ** 2 * far
    assert len(gaps) < 40  # and it ends by itself


@pytest.mark.parametrize("optimizer", METHODS, ids=repr)
def test_an_easy_curve_is_solved(optimizer):
    problem = curve("Chwirut2", 2)
    iterates = run(optimizer, problem)
    assert digits(problem, iterates[-1]) >= 6
    losses = [problem.loss(iterate.parameters).item() for iterate in iterates]
    # Never up, but for the rounding of a mean of 54 squares.
    assert all(b <= a * (1 + 54 * EPS) for a, b in pairwise(losses))
    costs = np.array([iterate.cost for iterate in iterates])
    assert (np.diff(costs, axis=0) >= 0).all()
    assert costs[-1][0] >= len(iterates)


@pytest.mark.parametrize("geodesic", [False, True])
@pytest.mark.parametrize(
    ("name", "start"),
    [("BoxBOD", 1), ("Eckerle4", 1), ("Rat43", 1), ("Rat42", 1)],
    ids=str,
)
def test_levenberg_marquardt_passes_poles_and_overflows(name, start, geodesic):
    """Undamped Gauss-Newton overflows, or runs to infinity, from each of these."""
    problem = curve(name, start)
    assert digits(problem, run(ol.LevenbergMarquardt(geodesic=geodesic), problem)[-1]) >= 13


def test_a_step_onto_a_plateau_ends_the_search():
    """From here the first step leads to where all derivatives are about 1e-178, and beyond poles.

    Their squares underflow, and the radius with them: there is no direction left to try.
    """
    data = ol.datasets.nist_nonlinear("MGH10")
    start = {"b1": 1.7720625011324285, "b2": 334445.5005938224, "b3": 26403.24106911923}
    problem = ol.NonlinearLeastSquares(data.known["model"], data.X, data.y, start=start)
    iterates = run(ol.LevenbergMarquardt(), problem)
    losses = [problem.loss(iterate.parameters).item() for iterate in iterates]
    jacobian = problem.jacobian(iterates[-1].parameters)
    assert len(iterates) < 20
    assert losses[-1] < losses[0]
    assert 0 < jacobian.abs().max() < 1e-150


def hyperbola(parameters, x):
    return parameters["a"] / (x - parameters["b"])


def test_steps_into_a_pole_or_an_overflow_are_refused():
    x = torch.linspace(1, 2, 9, dtype=torch.float64)
    y = 0.3 / (x - 0.5)

    def model(parameters, x):
        value = hyperbola(parameters, x)
        # Undefined at and beyond the first pole: only steps that stop before it have a value.
        return torch.where(parameters["b"] < 1, value, torch.nan)

    problem = ol.NonlinearLeastSquares(model, x, y, start={"a": 40.0, "b": 0.9})
    for optimizer in (ol.LevenbergMarquardt(), ol.GaussNewton(), ol.Newton()):
        iterates = run(optimizer, problem)
        assert all(torch.isfinite(problem.loss(each.parameters)) for each in iterates)
        b = iterates[-1].parameters["b"].item()
        assert b == pytest.approx(0.5, rel=1e-12)


@settings(max_examples=8)
@given(st.lists(st.integers(-30, 30), min_size=3, max_size=3))
def test_units_that_are_powers_of_two_change_no_bit(exponents):
    """Columns are scaled by their norms: a parameter in other units takes the same steps."""
    data = ol.datasets.nist_nonlinear("Rat42")
    units = {f"b{j}": 2.0**e for j, e in enumerate(exponents, start=1)}

    def model(parameters, X):
        return data.known["model"]({b: v * units[b] for b, v in parameters.items()}, X)

    plain = curve("Rat42", 1)
    start = {b: value / units[b] for b, value in data.known["starts"][0].items()}
    other = ol.NonlinearLeastSquares(model, data.X, data.y, start=start)
    for optimizer in (ol.LevenbergMarquardt(), ol.GaussNewton()):
        pairs = zip(run(optimizer, plain, 6), run(optimizer, other, 6), strict=True)
        for one, two in pairs:
            assert all(torch.equal(one.parameters[b], two.parameters[b] * units[b]) for b in units)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(-6, 2), st.booleans())
def test_a_damped_step_solves_its_system_and_has_its_length(seed, p, log_radius, deficient):
    generator = torch.Generator().manual_seed(seed)
    J = torch.randn(9, p, generator=generator, dtype=torch.float64)
    if deficient and p > 1:
        J[:, 1] = J[:, 0]
    r = torch.randn(9, generator=generator, dtype=torch.float64)
    scale = J.norm(dim=0)
    scaled, radius = ScaledJacobian(J, r, scale), 10**log_radius
    damping = scaled.damping(radius)
    q = scaled.step(damping)
    A = J / scale
    if damping == 0:
        assert q.norm() <= 1.1 * radius * (1 + 1e-12)
    else:
        assert q.norm().item() == pytest.approx(radius, rel=0.1 + 1e-9)
    normal = A.T @ A + damping * torch.eye(p, dtype=torch.float64)
    # The residual of normal equations: eps times norms below 9, and the length of the step.
    slack = 100 * EPS * (float(normal.norm() * q.norm()) + float((A.T @ r).norm()))
    assert (normal @ q + A.T @ r).norm() <= slack
    predicted = r.square().sum() - (r + A @ q).square().sum()
    assert scaled.predicted(damping) == pytest.approx(predicted.item(), rel=1e-9, abs=1e-12)


def test_newton_descends_from_a_saddle_and_from_a_hill():
    def model(parameters, x):
        a, b = parameters["a"], parameters["b"]
        return torch.stack([a * a - 1, a * b, b + 0 * a])

    problem = ol.NonlinearLeastSquares(
        model, [0.0, 0.0, 0.0], [0.0, 0.0, 0.5], start={"a": 0.01, "b": 0.3}
    )
    iterates = run(ol.Newton(), problem)
    end = iterates[-1].parameters
    slope = flatten(ol.gradient(problem, end))
    assert slope.norm() <= 100 * EPS
    assert torch.linalg.eigvalsh(problem.hessian(end))[0] > 0
    assert len(iterates) < 20


@pytest.mark.parametrize("make", [ol.LogisticRegression, ol.PoissonRegression, ol.HuberRegression])
def test_newton_reaches_the_certified_minimum_of_convex_models(make):
    draw = np.random.default_rng(5)
    X = draw.normal(size=(40, 3)) * [1.0, 1e2, 1e-2]
    eta = X @ [0.5, 1e-2, 30.0]
    y = {
        ol.LogisticRegression: (draw.random(40) < 1 / (1 + np.exp(-eta))).astype(float),
        ol.PoissonRegression: draw.poisson(np.exp(eta / 2)).astype(float),
        ol.HuberRegression: eta + draw.standard_t(2, size=40),
    }[make]
    problem = make(X, y, l2=1e-6)
    reference = problem.reference()
    iterates = run(ol.Newton(), problem)
    last = problem.evaluate(iterates[-1].parameters)
    # What its own bound leaves open, and the rounding of a sum of 40 losses.
    assert last.suboptimality <= reference.bound + 40 * EPS * reference.loss
    assert iterates[-1].cost.hessian_products % 4 == 0
    assert len(iterates) < 200


@pytest.mark.parametrize("make", [ol.LogisticRegression, ol.SoftmaxRegression])
@settings(max_examples=5)
@given(seed=st.integers(0, 2**16), log_l2=st.integers(-4, 0))
def test_newton_leaves_starts_at_which_curvatures_underflow(make, seed, log_l2):
    """Features in their own units predict thousands from a random start: probabilities of 0 or 1,
    and second derivatives of the intercept down to 1e-300."""
    draw = np.random.default_rng(seed)
    d = int(draw.integers(1, 5))
    scales, means = 10 ** draw.uniform(-3, 4, d), 10 ** draw.uniform(0, 4, d)
    z = draw.normal(size=(60, d))
    eta = z @ draw.normal(size=d) + draw.normal(size=60)
    y = np.digitize(eta, np.quantile(eta, [0.3, 0.6])[: 1 + (make is ol.SoftmaxRegression)])
    problem = make(z * scales + draw.normal(size=d) * means, y, l2=10.0**log_l2)
    solution = ol.minimize(problem, ol.Newton(), epochs=300, seed=seed)
    constant = problem.evaluate(problem.constant_fit()).loss
    assert solution.suboptimality <= 1e-12 * constant, solution


def test_a_start_at_zero_from_which_every_step_is_refused_is_the_end():
    def model(parameters, x):
        p = parameters["p"]
        return torch.where(p.abs() < 1e-300, p * x, torch.nan)

    problem = ol.NonlinearLeastSquares(model, [1.0, 2.0], [3.0, 1.0], start={"p": 0.0})
    for optimizer in (ol.LevenbergMarquardt(), ol.GaussNewton(), ol.Newton()):
        (iterate,) = run(optimizer, problem)
        assert iterate.parameters["p"].item() == 0.0


def test_newton_converges_quadratically():
    problem = curve("Misra1a", 2)
    gaps = [digits(problem, iterate) for iterate in run(ol.Newton(), problem)]
    inside = [d for d in gaps if 2 < d < 15]
    # Each step doubles the digits, but for a constant; from 2 digits on three or four are enough.
    assert 1 <= len(inside) <= 4
    assert gaps[-1] >= 13


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", METHODS[:4], ids=repr)
def test_ends_at_the_floor_of_the_dtype(optimizer, dtype):
    problem = curve("Misra1a", 2)
    solution = ol.minimize(problem, optimizer, dtype=dtype, epochs=300)
    assert "stopped by itself" in solution.message
    # Unit columns have the condition 40: some 100 eps.
    least = 4.5 if dtype == "float32" else 13
    assert solution.trace["correct_digits"].iloc[-1] >= least


def counted(problem):
    """Return the problem with counters of what scipy asks for, and the counts."""
    counts = {"residuals": 0, "jacobian": 0}
    for name in counts:
        function = getattr(problem, name)

        def count(parameters, name=name, function=function):
            counts[name] += 1
            return function(parameters)

        setattr(problem, name, count)
    return problem, counts


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
@pytest.mark.parametrize("jacobian", ["exact", "2-point"])
def test_scipys_least_squares_gives_the_bits_of_a_direct_call(method, jacobian):
    from scipy.optimize import least_squares

    problem, counts = counted(curve("Misra1a", 2))
    optimizer = ol.ScipyLeastSquares(method, jacobian, tolerance=1e-12)
    iterates = run(optimizer, problem)
    # A Jacobian takes the residuals once, under its transform.
    asked = counts["residuals"] - counts["jacobian"]
    assert iterates[-1].cost == (asked, 2 * counts["jacobian"], 0)

    points = []

    def named(vector):
        return {
            f"b{j}": torch.tensor(v, dtype=torch.float64) for j, v in enumerate(vector, start=1)
        }

    options = {} if method == "lm" else {"callback": lambda x: points.append(x.copy())}
    direct = least_squares(
        lambda b: problem.residuals(named(b)).numpy(),
        [250.0, 0.0005],
        jac=(lambda b: problem.jacobian(named(b)).numpy()) if jacobian == "exact" else jacobian,
        method=method,
        x_scale="jac",
        ftol=1e-12,
        xtol=1e-12,
        gtol=1e-12,
        **options,
    )
    found = [flatten(iterate.parameters).numpy() for iterate in iterates]
    assert np.array_equal(found[-1], direct.x)
    if method != "lm":
        kept = [p for i, p in enumerate(points) if i == 0 or not np.array_equal(p, points[i - 1])]
        assert len(found) > 1
        assert all(np.array_equal(a, b) for a, b in zip(found, points, strict=False))
        assert len(kept) >= len(found) - 1
    else:
        assert len(found) == 1


def test_lbfgs_gives_the_bits_of_torch_and_counts_each_evaluation_once():
    problem = curve("Chwirut2", 2)
    iterates = run(ol.LBFGS(history_size=5), problem, 12)
    w = flatten(problem.start(torch.Generator().manual_seed(0))).requires_grad_()
    direct = torch.optim.LBFGS(
        [w],
        max_iter=12,
        max_eval=1000,
        history_size=5,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    seen = []

    def closure():
        direct.zero_grad()
        loss = problem.loss({f"b{j}": v for j, v in enumerate(w.unbind(), start=1)})
        loss.backward()
        seen.append(w.detach().clone())
        return loss

    direct.step(closure)
    assert torch.equal(flatten(iterates[-1].parameters), w.detach())
    assert iterates[-1].cost == (len(seen), len(seen), 0)


def test_scipys_methods_are_named_as_scipys():
    assert optimizer_name(ol.ScipyLeastSquares("dogbox")) == "scipy dogbox"


def test_what_cannot_run_is_said():
    problem = curve("Misra1a", 2)
    assert "more than most_parameters, 1" in unsupported(ol.Newton(most_parameters=1), problem, CPU)
    quadratic = torch.optim.SGD  # any object that is no problem of residuals
    for optimizer in (ol.LevenbergMarquardt(), ol.GaussNewton(), ol.ScipyLeastSquares()):
        assert "residuals and their Jacobian" in unsupported(optimizer, quadratic, CPU)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ol.LevenbergMarquardt(0.0), "initial_radius must be positive"),
        (lambda: ol.Newton(0), "most_parameters must be a whole number"),
        (lambda: ol.LBFGS(0), "history_size must be a whole number"),
        (lambda: ol.ScipyLeastSquares("LM"), "method must be one of trf, dogbox, lm, not 'LM'"),
        (lambda: ol.ScipyLeastSquares(jacobian="cs"), "jacobian must be one of exact"),
        (lambda: ol.ScipyLeastSquares(tolerance=0.0), "tolerance must be positive"),
    ],
)
def test_bad_hyperparameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
