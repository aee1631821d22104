import math
import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import optlab as ol
from tests.exact import exact_solution, exact_squares

EPS = np.finfo(np.float64).eps


@st.composite
def arrays(draw):
    """X, y, weight and bias with entries in [-10, 10], and the problem's options."""
    n, d = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    numbers = st.floats(-10, 10, width=32)
    found = [draw(hnp.arrays(np.float64, shape, elements=numbers)) for shape in ((n, d), n, d, ())]
    return found, {"fit_intercept": draw(st.booleans()), "l2": draw(st.sampled_from([0.0, 0.5]))}


def problem_and_point(drawn):
    (X, y, weight, bias), options = drawn
    problem = ol.LinearRegression(X, y, **options)
    point = {"weight": torch.from_numpy(weight)}
    return problem, point | ({"bias": torch.from_numpy(bias)} if problem.fit_intercept else {})


def largest(problem, point, step=0.0):
    """Bounds of |x|, of |residual| before cancellation, and of |w|, over points within a step."""
    w, b = point["weight"].abs() + step, abs(point.get("bias", torch.tensor(0.0))) + step
    x = max(1.0, problem.X.abs().max().item())
    r = (problem.X.abs() @ w + b + problem.y.abs()).max().item()
    return x, r, w.max().item()


def gradient_error(problem, point):
    """A bound of the rounding error of one gradient component, however its sums are ordered.

    A residual is a sum of d products, the bias and y: error (d + 3) eps r. A component is the mean
    of n terms 2 x r: n + 3 more roundings. The penalty adds l2 w with two roundings.
    """
    (n, d), (x, r, w) = problem.X.shape, largest(problem, point)
    return EPS * ((n + d + 6) * 2 * x * r + 3 * problem.l2 * w)


def autograd(problem, point, batch=None):
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    problem.loss(leaves, batch).backward()
    return {name: value.grad for name, value in leaves.items()}


def assert_close(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=tolerance)


@given(arrays())
def test_closed_form_gradient_is_autograds(drawn):
    problem, point = problem_and_point(drawn)
    # Twice the bound: both sides round.
    tolerance = 2 * gradient_error(problem, point)
    assert_close(problem.gradient(point), autograd(problem, point), tolerance)


@given(arrays())
def test_closed_form_gradient_is_the_central_difference(drawn):
    problem, point = problem_and_point(drawn)
    (n, d), (x, r, w) = problem.X.shape, largest(problem, point, step=1.0)
    # The loss is quadratic, so that the central difference has no truncation error at any step: at
    # step 1 only rounding is left. A loss is a mean of n squares r^2, each with twice the error of
    # a residual, and the penalty a sum of d squares; two of them are subtracted and halved.
    loss_error = EPS * ((n + 2 * (d + 3) + 2) * r**2 + problem.l2 * (d + 3) * d * w**2)
    gradient = problem.gradient(point)
    for name, value in point.items():
        for index in np.ndindex(value.shape):
            ahead, behind = ({k: v.clone() for k, v in point.items()} for _ in range(2))
            ahead[name][index] += 1
            behind[name][index] -= 1
            # Adding 1 rounds the point by at most 11 eps, which moves the loss by |gradient| times.
            moved = 11 * EPS * (2 * x * r + problem.l2 * w)
            difference = (problem.loss(ahead) - problem.loss(behind)).item() / 2
            found = gradient[name][index].item()
            assert abs(found - difference) <= loss_error + moved + gradient_error(problem, point)


@given(arrays(), st.integers(1, 12), st.integers(0, 2**32))
def test_mini_batch_gradients_weighted_by_length_average_to_the_full_one(drawn, size, seed):
    problem, point = problem_and_point(drawn)
    n = len(problem.y)
    batches = ol.Batches(problem.X, problem.y, size, torch.Generator().manual_seed(seed))
    mean = {name: torch.zeros_like(value) for name, value in point.items()}
    for batch in next(iter(batches)):
        for name, value in problem.gradient(point, batch).items():
            mean[name] += value * (len(batch.y) / n)
    # Each batch's gradient is within the bound (its sums are no longer); weighting and adding at
    # most n of them rounds n + 1 times more a value of at most 2 x r + l2 w.
    x, r, w = largest(problem, point)
    tolerance = 2 * gradient_error(problem, point) + (n + 1) * EPS * (2 * x * r + problem.l2 * w)
    assert_close(mean, problem.gradient(point), tolerance)


def test_the_loss_of_a_short_last_batch_is_its_own_mean():
    problem = ol.LinearRegression(np.zeros((5, 1)), np.arange(5.0))
    zero = {"weight": torch.zeros(1).double(), "bias": torch.zeros(()).double()}
    batches = ol.Batches(problem.X, problem.y, 2, torch.Generator(), shuffle=False)
    losses = [problem.loss(zero, batch).item() for batch in next(iter(batches))]
    assert losses == [(0 + 1) / 2, (4 + 9) / 2, 16.0]  # small whole numbers: no rounding
    assert problem.loss(zero).item() == 30 / 5


def exact_loss(problem, weight, bias):
    residuals = exact_squares(problem.X, problem.y, [bias, *weight], True)
    return residuals / len(problem.y) + Fraction(problem.l2) / 2 * sum(w * w for w in weight)


@given(st.integers(0, 2**20), st.integers(2, 8), st.sampled_from([0.0, 1e3]), st.booleans())
def test_ordinary_points_keep_their_digits_where_the_optimum_has_huge_weights(
    seed, digits, offset, in_float32
):
    draw = np.random.default_rng(seed)
    U = draw.normal(size=(8, 3))
    # Two columns that differ by 1e-digits: the optimum's weights are some 10**digits.
    X = np.column_stack([U, U[:, :1] + 10.0**-digits * draw.normal(size=(8, 1))]) + offset
    problem = ol.LinearRegression(X, draw.normal(size=8))
    if in_float32:  # its columns then depend on each other to rounding
        problem = problem.to("cpu", torch.float32)
    weight = torch.from_numpy(draw.normal(size=4))
    point = {"weight": weight, "bias": -offset * weight.sum() + draw.normal()}
    right = exact_loss(problem, *([Fraction(v) for v in part] for part in [weight.tolist()]),
                       Fraction(point["bias"].item()))  # fmt: skip
    judged = problem.evaluate(point)
    # Terms of some size (1 + offset) round to 53 bits; the offset's are summed in twice as many.
    assert abs(judged.loss - right) <= 1e-13 * float(right) + 1e-15 * offset
    assert abs(judged.suboptimality - (judged.loss - problem.reference().loss)) <= (
        1e-12 * judged.loss
    )


def exact_optimum(problem):
    """Weight and bias in rational arithmetic, or None where they are not unique."""
    ridge = Fraction(problem.l2) * len(problem.y) / 2
    best = exact_solution(problem.X, problem.y, problem.fit_intercept, ridge)
    if best is None:
        return None
    return (best[1:], best[0]) if problem.fit_intercept else (best, Fraction(0))


def design(problem):
    """The design with its column of ones, and the penalty's rows, as one least-squares system."""
    X, n = problem.X.double().numpy(), len(problem.y)
    A = np.column_stack([X, np.ones(n)]) if problem.fit_intercept else X
    penalty = np.sqrt(n * problem.l2 / 2) * np.eye(X.shape[1], A.shape[1])
    return np.vstack([A, penalty]), np.append(problem.y.double().numpy(), np.zeros(len(penalty)))


def projected_error(problem, w):
    """A bound of ||A (w_computed - w_exact)|| for a backward stable solver.

    It solves a system perturbed by c eps relative to ||A|| and ||b|| exactly, so that, r being the
    residual, A dw = P (db - dA w) + pinv(A)' dA' r: at most c eps (||b|| + ||A|| ||w|| + k ||r||).
    c = 10 m is far above what LAPACK shows and far below what a wrong formula would give.
    """
    A, b = design(problem)
    k = np.linalg.norm(A) * np.linalg.norm(np.linalg.pinv(A), 2)
    sizes = np.linalg.norm(b) + np.linalg.norm(A) * np.linalg.norm(w)
    return 10 * len(b) * EPS * (sizes + k * np.linalg.norm(b - A @ w))


small_data = st.tuples(
    hnp.arrays(np.float64, st.tuples(st.integers(4, 9), st.integers(1, 3)),
               elements=st.integers(-8, 8).map(float)),
    st.lists(st.integers(-50, 50), min_size=9, max_size=9),
    st.booleans(),
    st.sampled_from([0.0, 0.25]),
)  # fmt: skip


@given(small_data)
def test_suboptimality_is_the_exact_difference_of_losses_far_from_and_near_the_optimum(drawn):
    X, y, fit_intercept, l2 = drawn
    problem = ol.LinearRegression(
        X, np.array(y[: len(X)], float) / 4, fit_intercept=fit_intercept, l2=l2
    )
    best = exact_optimum(problem)
    assume(best is not None)
    weight, bias = best
    w = np.array([float(v) for v in [*weight, bias]])[: len(weight) + fit_intercept]
    A, _ = design(problem)
    for point in (np.ones_like(w), np.float32(w).astype(float)):
        parameters = {"weight": torch.from_numpy(point[: len(weight)])}
        at = [Fraction(v) for v in point.tolist()]
        if fit_intercept:
            parameters["bias"] = torch.tensor(point[-1])
        else:
            at.append(Fraction(0))
        found = problem.evaluate(parameters)
        loss = exact_loss(problem, at[:-1], at[-1])
        gap = loss - exact_loss(problem, weight, bias)
        # gap = ||A (point - w)||^2 / n. The optimum's error enters as E = its projected error, and
        # so does the rounding of the product, (d + 3) eps ||A|| ||point - w||.
        n, apart = len(problem.y), np.linalg.norm(point - w)
        E = projected_error(problem, w) + (len(w) + 3) * EPS * np.linalg.norm(A) * apart
        tolerance = (2 * np.sqrt(float(gap) * n) * E + E**2) / n + 2 * n * EPS * float(gap)
        assert abs(Fraction(found.suboptimality) - gap) <= tolerance


@given(
    offset=st.integers(0, 50), power=st.integers(-40, 40), n=st.integers(4, 30),
    noise=st.integers(-30, 10), seed=st.integers(0, 2**32), l2=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_loss_and_suboptimality_have_their_digits_where_the_offset_dwarfs_the_spread(
    offset, power, n, noise, seed, l2
):
    rng = np.random.default_rng(seed)
    X = np.ldexp(2.0**offset + np.c_[np.arange(n), rng.integers(0, 4, n)], power)
    y = X @ [2.0, -1.0] + np.ldexp(rng.standard_normal(n), noise + power)
    problem = ol.LinearRegression(X, y, l2=l2)
    best = exact_optimum(problem)
    assume(best is not None)
    least = exact_loss(problem, *best)
    optimum = problem.reference()
    size = y @ y / n
    # Each loss is a sum of squares, without cancellation but for that inside a residual, which
    # double-double has to 2**-100 of the fitted values: 1e-12 leaves room for n roundings.
    assert abs(Fraction(optimum.loss) - least) <= 1e-12 * least + 2.0**-150 * size
    for moved in (0.0, 1e-12, 1e-3):
        point = {name: value * (1 + moved) for name, value in optimum.parameters.items()}
        at = [Fraction(v) for v in point["weight"].tolist()], Fraction(point["bias"].item())
        loss, found = exact_loss(problem, *at), problem.evaluate(point)
        assert abs(Fraction(found.loss) - loss) <= 1e-12 * loss + 2.0**-150 * size
        assert abs(Fraction(found.suboptimality) - (loss - least)) <= (
            1e-10 * (loss - least) + 2.0**-150 * size
        )


def test_suboptimality_near_the_optimum_keeps_digits_that_a_difference_would_lose():
    # The optimum is exactly (1, 0): residuals 1024 (1, -1, -1, 1) are orthogonal to x and 1.
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    problem = ol.LinearRegression(X, X[:, 0] + 1024 * np.array([1.0, -1.0, -1.0, 1.0]))
    step = 2.0**-30
    weight, bias = torch.tensor([1 + step], dtype=torch.float64), torch.zeros(()).double()
    exact = step**2 * (0 + 1 + 4 + 9) / 4  # 3e-18, where the loss is 1e6 and its rounding 1e-10
    found = problem.evaluate({"weight": weight, "bias": bias}).suboptimality
    # The optimum's own error, some 1e-13 (eps times the residual's 1e3), against a step of 1e-9.
    assert found == pytest.approx(exact, rel=1e-3, abs=0)


def test_a_float32_problem_is_judged_in_float64_at_its_own_data():
    X = np.float32([[0.1], [0.2], [0.7]])
    problem = ol.LinearRegression(X, np.float32([1.1, 0.9, 2.3]))
    point = {"weight": torch.tensor([0.3]), "bias": torch.tensor(0.1)}
    weight, bias = [Fraction(point["weight"].item())], Fraction(point["bias"].item())
    exact = float(exact_loss(problem, weight, bias))
    # Three terms of order 1 and no cancellation: below 20 roundings in float64, while computing in
    # float32 would be off by some 1e-7.
    assert problem.evaluate(point).loss == pytest.approx(exact, rel=20 * EPS, abs=0)


def test_parameter_error_and_gradient_norm_are_euclidean_over_weight_and_bias():
    problem = ol.LinearRegression(np.array([[-1.0], [1.0]]), np.array([-1.0, 7.0]))  # w 4, b 3
    found = problem.evaluate(
        {"weight": torch.tensor([7.0]).double(), "bias": torch.tensor(7.0).double()}
    )
    # (3, 4) away from (4, 3): 5 / 5; gradient 2 (3, 4). One digit numbers: a few roundings.
    assert found.parameter_error == pytest.approx(1, rel=20 * EPS, abs=0)
    assert found.gradient_norm == pytest.approx(10, rel=20 * EPS, abs=0)
    assert found.suboptimality == pytest.approx(25, rel=20 * EPS, abs=0)
    assert found.loss == pytest.approx(25, rel=20 * EPS, abs=0)


def assert_normal_equations_hold(problem):
    """The residual is orthogonal to every column, to rounding, column by column.

    The computed w solves perturbed data exactly, so that |a_j'r| is at most c eps ||a_j|| times
    ||b|| + sum_i ||a_i|| |w_i|, where c = 10 m as above; scaling the columns keeps it columnwise.
    """
    A, b = design(problem)
    optimum = problem.reference().parameters
    w = np.concatenate([value.reshape(-1).numpy() for value in optimum.values()])
    size = np.linalg.norm(b) + np.linalg.norm(A, axis=0) @ abs(w)
    assert np.all(abs(A.T @ (b - A @ w)) <= 10 * len(b) * EPS * np.linalg.norm(A, axis=0) * size)


@given(
    n=st.integers(6, 40),
    d=st.integers(1, 5),
    exponent=st.floats(0, 6),
    seed=st.integers(0, 2**32),
    fit_intercept=st.booleans(),
    l2=st.sampled_from([0.0, 0.1]),
)
def test_the_optimums_residual_is_orthogonal_to_the_columns(
    n, d, exponent, seed, fit_intercept, l2
):
    data = ol.datasets.synthetic(n, d, condition=10**exponent, seed=seed)
    assert_normal_equations_hold(
        ol.LinearRegression.from_dataset(data, fit_intercept=fit_intercept, l2=l2)
    )


def test_columns_of_very_different_size_do_not_look_rank_deficient():
    data = ol.datasets.synthetic(50, 3, condition=2, seed=1)
    problem = ol.LinearRegression(data.X * [1e-12, 1.0, 1e12], data.y)
    assert problem.reference().certificate.rank == 3 + 1  # the column of ones counts
    assert_normal_equations_hold(problem)


@given(small_data)
def test_the_optimum_is_the_exact_solution_of_the_normal_equations(drawn):
    X, y, fit_intercept, l2 = drawn
    problem = ol.LinearRegression(X, np.array(y[: len(X)], float), fit_intercept=fit_intercept,
                                  l2=l2)  # fmt: skip
    best = exact_optimum(problem)
    assume(best is not None)
    weight, bias = best
    w = np.array([float(v) for v in [*weight, bias]])[: len(weight) + fit_intercept]
    found = problem.reference().parameters
    computed = np.concatenate([value.reshape(-1).numpy() for value in found.values()])
    # ||dw|| <= ||pinv(A)|| ||A dw||.
    smallest = np.linalg.svd(design(problem)[0], compute_uv=False)[-1]
    assert np.linalg.norm(computed - w) <= projected_error(problem, w) / smallest
    assert found.keys() == ({"weight", "bias"} if fit_intercept else {"weight"})


def test_of_many_minimisers_the_one_of_least_weights_is_the_optimum():
    x = np.arange(6.0)
    problem = ol.LinearRegression(np.column_stack([x, x, 2 * x]), 6 * x + 1)
    optimum = problem.reference()
    assert optimum.certificate.rank == 1 + 1  # the column of ones counts
    # w along (1, 1, 2) with w . (1, 1, 2) = 6. Six rows of digits, condition 1: 1e-13 is 450 eps.
    np.testing.assert_allclose(optimum.parameters["weight"], [1, 1, 2], rtol=1e-13)
    assert optimum.parameters["bias"].item() == pytest.approx(1, rel=1e-13, abs=0)


def test_the_rank_of_fewer_rows_than_columns_is_their_number_with_or_without_intercept():
    data = np.random.default_rng(0).standard_normal((4, 6))
    assert ol.LinearRegression(data, data[:, 0]).reference().certificate.rank == 4
    assert (
        ol.LinearRegression(data, data[:, 0], fit_intercept=False).reference().certificate.rank == 4
    )


def test_a_constant_column_and_a_constant_target_have_an_optimum():
    problem = ol.LinearRegression(np.column_stack([np.ones(4), np.arange(4)]), np.full(4, 3.0))
    found = problem.reference()
    # Numbers of size 3, some ten roundings.
    np.testing.assert_allclose(found.parameters["weight"], [0, 0], rtol=0, atol=30 * EPS)
    assert found.parameters["bias"].item() == pytest.approx(3, rel=10 * EPS, abs=0)
    assert found.loss <= (30 * EPS) ** 2
    assert found.certificate.rank == 2


def test_to_converts_data_and_shares_nothing_that_has_to_change():
    problem = ol.LinearRegression(
        np.float32([[0.1], [0.2]]), np.float32([1, 2]), l2=0.5, name="a", fit_intercept=False
    )
    double = problem.to("cpu", torch.float64)
    assert (double.X.dtype, double.y.dtype) == (torch.float64, torch.float64)
    assert torch.equal(double.X, problem.X.double())
    assert (double.l2, double.name, double.fit_intercept) == (0.5, "a", False)
    assert problem.X.dtype == torch.float32
    assert problem.to("cpu", torch.float32) is problem


def test_to_with_copy_has_data_of_its_own(tutorial):
    copied = tutorial.to("cpu", tutorial.X.dtype, copy=True)
    assert copied.X.data_ptr() != tutorial.X.data_ptr()
    assert copied.y.data_ptr() != tutorial.y.data_ptr()
    assert torch.equal(copied.X, tutorial.X)


@given(seed=st.integers(0, 2**63 - 1), d=st.integers(1, 40))
def test_every_dtype_of_one_seed_starts_at_the_same_point_and_draws_the_same_order(seed, d):
    single = ol.LinearRegression(np.zeros((3, d), np.float32), np.zeros(3, np.float32))
    double = single.to("cpu", torch.float64)
    generators = [torch.Generator().manual_seed(seed) for _ in range(2)]
    a, b = single.start(generators[0]), double.start(generators[1])
    assert torch.equal(a["weight"].double(), b["weight"])
    assert (a["weight"].dtype, b["weight"].dtype) == (torch.float32, torch.float64)
    assert a["bias"].item() == b["bias"].item() == 0
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_the_start_is_torchs_own_randn():
    problem = ol.LinearRegression(np.zeros((3, 20), np.float32), np.zeros(3, np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = torch.randn(20)
    assert torch.equal(problem.start(torch.Generator().manual_seed(7))["weight"], expected)


def test_a_problem_without_intercept_has_no_bias():
    problem = ol.LinearRegression(np.ones((3, 2)), np.ones(3), fit_intercept=False)
    start = problem.start(torch.Generator())
    assert start.keys() == problem.gradient(start).keys() == {"weight"}


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool])
def test_whole_numbers_and_truth_values_become_float64(dtype):
    problem = ol.LinearRegression(np.array([[0], [1]], dtype), np.array([1, 0], dtype))
    assert (problem.X.dtype, problem.y.dtype) == (torch.float64, torch.float64)
    assert problem.X.tolist() == [[0], [1]]


def test_lists_frames_and_tensors_are_taken():
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    frame = pd.DataFrame({"a": [1.0, 3.0], "b": [2, 4]})
    for X in ([[1, 2], [3, 4]], frame, expected, np.asfortranarray(frame), frame.to_numpy()[::-1]):
        problem = ol.LinearRegression(X, pd.Series([1, 2]))
        assert torch.equal(problem.X.sort(0).values, expected)


def test_the_target_takes_the_dtype_of_the_features():
    assert ol.LinearRegression(np.ones((2, 1), np.float32), [1, 2]).y.dtype == torch.float32


X, y = np.arange(6.0).reshape(3, 2), np.arange(3.0)


def with_(value, place, array):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("X", "y", "sentence"),
    [
        (X, y[:2], "X has 3 rows, y has 2"),
        (X, y.reshape(3, 1), r"y must have shape \(n,\), not \(3, 1\); flatten it with y.ravel"),
        (y, y, r"X must have shape \(n, d\), not \(3,\); for one feature, X.reshape\(-1, 1\)"),
        (X[None], y, r"X must have shape \(n, d\), not \(1, 3, 2\)"),
        (X, y.sum(), r"y must have shape \(n,\), not \(\)"),
        (X[:0], y[:0], r"the data are empty: X has shape \(0, 2\)"),
        (X[:, :0], y, r"the data are empty: X has shape \(3, 0\)"),
        (with_(np.nan, (1, 0), X), y, "X has a value .* nan in row 1, column 0"),
        (with_(-np.inf, (2, 1), X), y, "X has a value .* -inf in row 2, column 1"),
        (with_(np.nan, slice(1, 3), X), y, "X has 4 values .* nan in row 1, column 0"),
        (X, with_(np.inf, 2, y), "y has a value .* inf in row 2"),
        (X, with_(np.nan, slice(0, 2), y), "y has 2 values .* nan in row 0"),
        ([["a", "b"], ["c", "d"]], [1, 2], "column 0 of X holds text, not numbers"),
        (np.array([["a", 1], ["c", 2]], object), [1, 2], "column 0 of X holds text.*'a' in row 0"),
        (X, ["a", "b", "c"], "y holds text, not numbers"),
        (X, [1, None, 3], "y has a value that is NaN or infinite; it is nan in row 1"),
        (X.astype(complex), y, "column 0 of X holds complex numbers"),
        ([[1, 2], [3]], [1, 2], "X is no rectangular array"),
    ],
)
def test_bad_data_are_refused_with_what_is_wrong_and_where(X, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.LinearRegression(X, y)


def test_bad_data_name_the_feature():
    with pytest.raises(ValueError, match="row 1, column 'age'"):
        ol.LinearRegression(with_(np.nan, (1, 0), X), y, feature_names=("age", "size"))


def test_a_target_is_not_rounded_to_the_features_dtype():
    problem = ol.LinearRegression(np.ones((2, 1), np.float32), [1.0, 1e300])
    assert (problem.X.dtype, problem.y.tolist()) == (torch.float64, [1.0, 1e300])


@pytest.mark.parametrize("l2", [-1.0, float("nan"), float("inf")])
def test_a_penalty_that_is_none_is_refused(l2):
    with pytest.raises(ValueError, match="l2 must be finite and at least 0"):
        ol.LinearRegression(X, y, l2=l2)


def test_a_problem_of_huge_numbers_is_judged():
    x = np.arange(5.0)[:, None]
    problem = ol.LinearRegression(x * 1e300, 2 * x[:, 0] + 1)
    found = problem.evaluate(problem.reference().parameters)
    assert found.loss <= 1e-28
    assert found.suboptimality <= 1e-28


def test_where_the_minimiser_is_not_unique_no_distance_to_it_is_given():
    x = np.arange(6.0)
    problem = ol.LinearRegression(np.column_stack([x, x]), x)
    found = problem.evaluate(problem.reference().parameters)
    assert np.isnan(found.parameter_error)
    assert found.suboptimality < 1e-28


def test_methods_say_that_their_cut_off_dropped_a_direction_and_why_a_gram_matrix_fails():
    rng = np.random.default_rng(0)
    X, noise = rng.standard_normal((30, 2)), rng.standard_normal(30)
    cpu, small = torch.device("cpu"), np.column_stack([X, X[:, 0] * 1e-9])
    small[:, 2] += 1e-9 * noise
    single = ol.LinearRegression(small.astype(np.float32), noise.astype(np.float32))
    assert "dropped 1 of 3 directions" in ol.Lstsq().remark(single, cpu)
    assert ol.Lstsq().remark(single.to("cpu", torch.float64), cpu) is None
    assert ol.Lstsq().remark(ol.LinearRegression(np.c_[X, X[:, 0]], noise), cpu) is None
    large = ol.LinearRegression((X * 1e30).astype(np.float32), noise.astype(np.float32))
    assert "overflows float32" in ol.NormalEquations().unsupported(large, cpu)
    tiny = ol.LinearRegression((X * 1e-30).astype(np.float32), noise.astype(np.float32))
    assert "underflows float32" in ol.NormalEquations().unsupported(tiny, cpu)


def test_dependent_features_are_named():
    x = np.arange(6.0)
    problem = ol.LinearRegression(np.c_[x, x**2, 2 * x], x, feature_names=("age", "size", "years"))
    message = problem.reference().certificate.message
    assert message.endswith("not unique: linear dependence among age, years")


def test_large_float32_data_are_solved_and_judged_in_blocks_as_their_float64_copy():
    n, d = 60_000, 20
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(n, d, generator=generator) + torch.arange(d) * 1000.0  # some are shifted
    y = X @ torch.randn(d, generator=generator) + torch.randn(n, generator=generator)
    single, double = ol.LinearRegression(X, y), ol.LinearRegression(X.double(), y.double())
    assert (single.X.dtype, single.X.numel() > 1 << 20) == (torch.float32, True)
    point = single.start(generator)
    ours, theirs = single.evaluate(point), double.evaluate(point)
    # Sums of n terms that are not negative, each rounded once more: n eps; the bias times 20 000.
    for name in ("loss", "suboptimality", "gradient_norm"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=4 * n * EPS)
    assert single.reference().loss == pytest.approx(double.reference().loss, rel=4 * n * EPS)


@pytest.mark.parametrize("first", ["copy", "original"])
def test_copies_of_the_same_values_are_solved_once(first):
    original = ol.LinearRegression(np.arange(12.0).reshape(4, 3) ** 2, np.arange(4.0) ** 3)
    copy = original.to("cpu", torch.float64, copy=True)
    again = copy.to("cpu", torch.float64, copy=True)
    optimum = (copy if first == "copy" else original).reference()
    assert again.reference() is copy.reference() is original.reference() is optimum
    rounded = original.to("cpu", torch.float32, copy=True)
    assert rounded.to("cpu", torch.float64).reference() is rounded.reference() is not optimum
    sent = pickle.loads(pickle.dumps(copy))
    assert sent.reference().loss == optimum.loss
    assert sent.X is not original.X


def test_an_optimizer_that_changes_its_copy_of_the_data_changes_no_optimum():
    original = ol.LinearRegression(np.arange(12.0).reshape(4, 3) ** 2, np.arange(4.0) ** 3)
    expected = ol.LinearRegression(original.X, original.y).reference().loss
    copy = original.to("cpu", torch.float64, copy=True)
    copy.X.fill_(1.0)
    copy.y.mul_(7.0)
    assert copy.reference().loss == original.reference().loss == expected
    start = copy.start(torch.Generator())
    assert copy.evaluate(start) == original.evaluate(start)


def test_the_norm_of_a_long_gradient_is_right_where_its_square_is_no_float():
    problem = ol.LinearRegression(np.eye(40), np.zeros(40), fit_intercept=False)
    point = {"weight": torch.arange(40.0).double()}
    norm = problem.evaluate(point).gradient_norm
    huge = problem.evaluate({"weight": 1e200 * point["weight"]}).gradient_norm
    assert huge == pytest.approx(1e200 * norm, rel=1e-14)
    assert norm == pytest.approx(2 / 40 * math.sqrt(39 * 40 * 79 / 6), rel=1e-14)
    assert problem.evaluate({"weight": torch.zeros(40).double()}).gradient_norm == 0.0
