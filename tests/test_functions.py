"""Functions with a known minimum: values, gradients, minima and noise against their formulas."""

import itertools
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

import optlab as ol
from optlab.problems.capabilities import HasCurvature, HasGradient, gradient, has, loss_and_gradient

mpmath.mp.dps = 40

FUNCTIONS = {
    "quadratic": lambda **options: ol.Quadratic([10.0, 1.0, 0.5], **options),
    "rosenbrock": ol.Rosenbrock,
    "rosenbrock of 5": lambda **options: ol.Rosenbrock(5, **options),
    "beale": ol.Beale,
    "himmelblau": ol.Himmelblau,
    "rastrigin": lambda **options: ol.Rastrigin(3, **options),
    "styblinski-tang": lambda **options: ol.StyblinskiTang(4, **options),
}


def exactly(name, x):
    """Return a function in 40 digits, by its formula in the literature."""
    x = [mpmath.mpf(value) for value in x]
    if name == "quadratic":
        return sum(h * t**2 for h, t in zip([10, 1, 0.5], x, strict=True)) / 2
    if name.startswith("rosenbrock"):
        return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))
    if name == "beale":
        c = [mpmath.mpf("1.5"), mpmath.mpf("2.25"), mpmath.mpf("2.625")]
        return sum((c[k] - x[0] + x[0] * x[1] ** (k + 1)) ** 2 for k in range(3))
    if name == "himmelblau":
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2
    if name == "rastrigin":
        return 10 * len(x) + sum(t**2 - 10 * mpmath.cos(2 * mpmath.pi * t) for t in x)
    return sum(t**4 - 16 * t**2 + 5 * t for t in x) / 2


def least(name, d):
    if name != "styblinski-tang":
        return mpmath.mpf(0)
    root = min(mpmath.polyroots([4, 0, -32, 5], maxsteps=200, extraprec=200))
    return d * (root**4 - 16 * root**2 + 5 * root) / 2


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_loss_and_suboptimality_are_those_of_the_formula_far_and_near(name, data):
    problem = FUNCTIONS[name]()
    seed = data.draw(st.integers(0, 2**32 - 1))
    near = 10.0 ** -data.draw(st.integers(0, 7))
    draw = np.random.default_rng(seed)
    best = problem.reference().parameters["x"].numpy()
    x = best + near * draw.uniform(-3, 3, problem.d)
    judged = problem.evaluate({"x": torch.from_numpy(x)})
    value = exactly(name, x)
    # Each term is a few roundings of numbers of this size, in sums of squares that do not cancel
    # but for x itself: a term that is near 0 there is off by some eps of what cancelled in it.
    size = 50 * (problem.d + float(np.abs(x).max()) ** 4)
    assert abs(judged.loss - float(value)) <= 1e-15 * size * (1 + abs(float(value)) ** 0.5)
    gap = float(value - least(name, problem.d))
    # An argument off by eps |x| moves a sum of squares near its zero by slope * eps.
    curvature = {"quadratic": 10, "rastrigin": 400}.get(name, 5000)
    slack = 1e-15 * size
    bound = 2 * curvature**0.5 * slack * max(gap, 0) ** 0.5 + curvature * slack**2 + 1e-13 * gap
    assert abs(judged.suboptimality - gap) <= bound


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reference_is_a_stationary_point_that_nothing_is_below(name):
    problem = FUNCTIONS[name]()
    reference = problem.reference()
    assert reference.kind == "certified"
    at_best = problem.evaluate(reference.parameters)
    # The gradient at the rounded minimiser is at most the curvature there times its rounding.
    assert at_best.gradient_norm <= 5000 * 4 * 2.3e-16
    assert at_best.suboptimality <= 1e-28
    assert abs(reference.loss - float(least(name, problem.d))) <= reference.bound
    draw = np.random.default_rng(0)
    low, high = problem.box
    points = torch.from_numpy(draw.uniform(low, high, (100_000, problem.d)))
    assert problem.value(points).min() >= reference.loss
    assert (problem.suboptimality(points) >= 0).all()


def test_himmelblaus_four_minima_have_one_depth():
    problem = ol.Himmelblau()
    found = set()
    for start in itertools.product((-4.0, 4.0), repeat=2):
        end = ol.minimize(ol.Himmelblau(start=start), ol.ScipyMinimize("BFGS", tol=1e-12))
        assert end.loss < 1e-20
        found.add(tuple(end.parameters["x"].round(decimals=3).tolist()))
    known = {(3.0, 2.0), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848)}
    assert found == known
    assert problem.reference().unique is False
    assert np.isnan(problem.evaluate({"x": torch.zeros(2)}).parameter_error)


@pytest.mark.parametrize("name", ["quadratic", "noisy quadratic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_closed_gradients_are_autograds(name, dtype):
    made = FUNCTIONS.get(name, lambda: ol.NoisyQuadratic([1.0, 0.5, 0.1], rows=32))
    problem = made().to("cpu", dtype, copy=True)
    start = problem.start(torch.Generator().manual_seed(0))
    assert has(problem, HasGradient)
    batch = ol.Batch(problem.data.X[:4], problem.data.y[:4])
    leaves = {name: value.requires_grad_() for name, value in start.items()}
    (slope,) = torch.autograd.grad(problem.loss(leaves, batch), leaves["x"])
    found = gradient(problem, start, batch)["x"]
    assert found.dtype == dtype
    torch.testing.assert_close(found.detach(), slope)


class Operations(TorchDispatchMode):
    """Note the operations of torch that are made meanwhile."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.add(operation.overloadpacket._qualified_op_name)
        return operation(*args, **kwargs or {})


@pytest.mark.parametrize("name", [*FUNCTIONS, "noisy quadratic"])
def test_steps_stay_on_the_device_as_a_cuda_graph_needs_it(name):
    """Nothing is copied from another device or dtype, and no tensor's value is read."""
    made = FUNCTIONS.get(name, lambda: ol.NoisyQuadratic([1.0, 0.3, 0.1], rows=32))
    problem, exact = made().to("cpu", torch.float32), made()
    start = problem.start(torch.Generator().manual_seed(0))
    with Operations() as operations:
        loss, slope = loss_and_gradient(problem, start, problem.data)
        if isinstance(problem, HasCurvature):
            problem.hessian_product(start, slope)
    assert "aten::mul" in operations.names
    never = {"aten::_to_copy", "aten::copy_", "aten::_local_scalar_dense"}
    assert not operations.names & never
    assert loss.dtype == slope["x"].dtype == torch.float32
    # Judged by the eigenvalues as they were given, not as float32 rounds them.
    assert problem.evaluate(start) == exact.evaluate(start)
    assert problem.contours() == exact.contours()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_formula(name):
    problem = FUNCTIONS[name]()
    x = problem.start(torch.Generator().manual_seed(0))["x"]
    found = gradient(problem, {"x": x})["x"].tolist()
    formula = partial(exactly, name)
    wanted = [
        # A central difference of 40 digits, with a step that leaves 15 of them or more.
        mpmath.diff(lambda t, k=k: formula([*x[:k].tolist(), t, *x[k + 1 :].tolist()]), value)
        for k, value in enumerate(x.tolist())
    ]
    # At these points no terms cancel: some ten roundings.
    assert found == pytest.approx([float(slope) for slope in wanted], rel=3e-15, abs=0)


@pytest.mark.parametrize(
    ("problem", "size"),
    [
        (ol.Quadratic([1.0]), 2.0), (ol.NoisyQuadratic([1.0]), 2.0),
        (ol.Rosenbrock(), 2.048), (ol.Beale(), 4.5), (ol.Himmelblau(), 5.0),
        (ol.Rastrigin(2), 5.12), (ol.StyblinskiTang(2), 5.0),
    ],
)  # fmt: skip
def test_boxes_are_those_of_the_literature(problem, size):
    assert problem.box == (-size, size)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_starts_are_drawn_from_the_box_or_given(name):
    problem = FUNCTIONS[name]()
    low, high = problem.box
    one, other = (problem.start(torch.Generator().manual_seed(k))["x"] for k in (1, 2))
    assert not torch.equal(one, other)
    assert ((one >= low) & (one <= high)).all()
    point = tuple(0.1 * (k + 1) for k in range(problem.d))
    fixed = FUNCTIONS[name](start=point).start(torch.Generator())
    assert fixed["x"].tolist() == list(point)


@given(
    d=st.integers(1, 6),
    extra=st.integers(1, 10),
    seed=st.integers(0, 1000),
)
def test_the_noise_has_mean_zero_and_the_hessian_for_covariance(d, extra, seed):
    rows = 2 * (d + extra)
    h = np.random.default_rng(seed).uniform(0.01, 5, d)
    problem = ol.NoisyQuadratic(h, rows=rows, seed=seed)
    noise = problem.data.X
    # An orthogonal factor by Householder is orthonormal to some d eps.
    covariance = noise.T @ noise / rows
    torch.testing.assert_close(covariance, torch.diag(torch.tensor(h)), rtol=0, atol=1e-13)
    assert noise.mean(0).abs().max() <= 1e-15 * rows
    x = problem.start(torch.Generator().manual_seed(0))
    whole = problem.loss(x, problem.data)
    assert abs(whole - problem.loss(x)) <= 1e-13
    assert problem.evaluate(x).loss == problem.loss(x).item()


def test_mini_batches_of_the_noisy_quadratic_have_the_covariance_of_the_theory():
    """Over all batches of 2 of 6 rows: (n - B) / (n - 1) H / B, for draws without replacement."""
    problem = ol.NoisyQuadratic([2.0, 0.5], rows=6)
    x = {"x": torch.tensor([1.0, -3.0], dtype=torch.float64)}
    slopes = torch.stack(
        [
            problem.gradient(x, ol.Batch(problem.data.X[list(pair)], problem.data.y[:2]))["x"]
            for pair in itertools.combinations(range(6), 2)
        ]
    )
    mean = torch.tensor([2.0, -1.5], dtype=torch.float64)
    torch.testing.assert_close(slopes.mean(0), mean, rtol=0, atol=1e-14)
    covariance = (slopes - mean).T @ (slopes - mean) / len(slopes)
    expected = (6 - 2) / (6 - 1) / 2 * torch.diag(torch.tensor([2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(covariance, expected, rtol=0, atol=1e-14)


def test_descent_on_a_quadratic_shrinks_as_the_theory_says():
    problem = ol.Quadratic([10.0, 1.0], start=(1.0, 1.0))
    solution = ol.minimize(problem, ol.ManualSGD(2 / 11), epochs=40, recorded_epochs=1)
    rate = 9 / 11
    errors = np.sqrt(solution.trace["suboptimality"] / 5.5)
    np.testing.assert_allclose(errors, rate ** np.arange(41), rtol=1e-12)


def test_the_lab_runs_functions_and_keeps_the_way_in_the_plane():
    results = ol.compare(
        [ol.Rosenbrock(start=(-1.2, 1.0)), ol.NoisyQuadratic([1.0, 0.1], rows=64)],
        [ol.ManualSGD(1e-3), ol.ScipyMinimize("L-BFGS-B")],
        batch_sizes=[8], epochs=20, recorded_epochs=1, dtypes=["float32", "float64"],
    )  # fmt: skip
    assert set(results.trials["status"]) == {"finished"}
    valley = results.trials[results.trials["problem"] == "Rosenbrock"]["trial"]
    first = results.traces[results.traces["trial"].isin(valley) & (results.traces["epoch"] == 0)]
    np.testing.assert_allclose(first[["x1", "x2"]], [[-1.2, 1.0]] * 4, rtol=1e-7)
    last = results.traces[results.traces["trial"] == valley.iloc[0]].iloc[-1]
    assert results.parameters(valley.iloc[0])["x"].tolist() == [last["x1"], last["x2"]]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ol.Rosenbrock(1), "d must be at least 2, not 1"),
        (lambda: ol.Rastrigin(0), "d must be a whole number of at least 1, not 0"),
        (lambda: ol.Beale(start=(1.0,)), "start must be 2 finite numbers"),
        (lambda: ol.Himmelblau(start=(1.0, np.nan)), "start must be 2 finite numbers"),
        (lambda: ol.Quadratic([]), "eigenvalues must be finite numbers of at least 0"),
        (lambda: ol.Quadratic([1.0, -1.0]), "eigenvalues must be finite numbers of at least 0"),
        (lambda: ol.Quadratic([0.0, 0.0]), "not all 0"),
        (lambda: ol.Quadratic("ten"), "eigenvalues must be numbers, not 'ten'"),
        (lambda: ol.NoisyQuadratic([1.0, 2.0], rows=7), "rows must be even and at least 6, not 7"),
        (lambda: ol.NoisyQuadratic([1.0, 2.0], rows=4), "rows must be even and at least 6, not 4"),
    ],
)
def test_bad_arguments_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_flat_direction_makes_the_minimiser_not_unique():
    problem = ol.Quadratic([1.0, 0.0])
    assert problem.reference().unique is False
    assert "1 variables make no difference" in problem.reference().message


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_where_it_is_needed_is_the_same_one_unless_a_copy_is_asked_for(name):
    problem = FUNCTIONS[name]()
    kind = problem.data.y.dtype
    assert problem.to("cpu", kind) is problem
    copied, other = problem.to("cpu", kind, copy=True), problem.to("cpu", torch.float32)
    assert copied is not problem
    assert copied.data.y.data_ptr() != problem.data.y.data_ptr()
    assert (copied.data.y.dtype, other.data.y.dtype) == (kind, torch.float32)
    assert type(other) is type(problem)
