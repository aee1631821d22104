import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.linalg import least_squares
from tests.exact import exact_solution, exact_squares, lre, unknowns

EPS = 2.0**-52
ROUTES = ["auto", "fast", "full"]


def problem(seed, n, d, condition=1.0, noise=1.0):
    """X = U diag(1 .. 1/condition) V' with random U and V, and y = X w + noise."""
    g = torch.Generator().manual_seed(seed)
    kind = {"dtype": torch.float64, "generator": g}
    U = torch.linalg.qr(torch.randn(n, d, **kind)).Q
    V = torch.linalg.qr(torch.randn(d, d, **kind)).Q
    X = U * torch.logspace(0, -math.log10(condition), d, dtype=torch.float64) @ V.T
    w = torch.randn(d, **kind)
    return X, X @ w + noise * torch.randn(n, **kind) / math.sqrt(n)


seeds = st.integers(0, 2**31)
conditions = st.floats(0, 10).map(lambda e: 10.0**e)
shapes = st.tuples(st.integers(6, 40), st.integers(1, 5))


def true_backward_error(X, y, c, intercept):
    """Karlson-Walden in units of eps ||A||_F, with the gradient in exact arithmetic."""
    ones = torch.ones(len(y), 1, dtype=torch.float64)
    A = torch.cat([ones, X], 1) if intercept else X
    powers = torch.exp2(-torch.frexp(A.norm(dim=0)).exponent.double())
    rows = [[Fraction(v) for v in r] for r in A.tolist()]
    f = [Fraction(v) for v in c]
    r = [Fraction(t) - sum((a * b for a, b in zip(row, f, strict=True)), Fraction(0))
         for row, t in zip(rows, y.tolist(), strict=True)]  # fmt: skip
    g = [float(sum((row[j] * e for row, e in zip(rows, r, strict=True)), Fraction(0)))
         for j in range(len(f))]  # fmt: skip
    g = torch.tensor(g, dtype=torch.float64) * powers
    x = torch.tensor(c, dtype=torch.float64) / powers
    _, s, V = torch.linalg.svd(A * powers, full_matrices=False)
    squares = float(sum((e * e for e in r), Fraction(0)))
    mu = ((V @ g) ** 2 / (x @ x * s**2 + squares)).sum().sqrt()
    return float(mu / (EPS * torch.linalg.norm(A * powers)))


@given(seeds, shapes, conditions, st.booleans(), st.sampled_from(ROUTES))
def test_backward_error_is_small_and_predicted_digits_are_borne_out(
    seed, shape, condition, intercept, route
):
    X, y = problem(seed, *shape, condition)
    solution = least_squares(X, y, fit_intercept=intercept, route=route)
    c = unknowns(solution, intercept)
    assert true_backward_error(X, y, c, intercept) <= 10
    right = exact_solution(X, y, intercept)
    assert lre(c, right) >= min(15.0, solution.certificate.digits)
    if solution.certificate.route == "full":
        assert lre(c, right) >= 14


@given(seeds, shapes, st.floats(0, 6).map(lambda e: 10.0**e), st.floats(-6, 6))
def test_fast_predictions_hold_for_large_and_small_residuals(seed, shape, condition, noise):
    X, y = problem(seed, *shape, condition, 10.0**noise)
    solution = least_squares(X, y, route="fast")
    found = lre(unknowns(solution, True), exact_solution(X, y, True))
    assert found >= min(15.0, solution.certificate.digits)


@given(seeds, shapes, conditions, st.floats(-8, 2))
def test_ridge_solves_the_exact_ridge_problem(seed, shape, condition, power):
    X, y = problem(seed, *shape, condition)
    l2 = 10.0**power
    solution = least_squares(X, y, l2=l2, route="full")
    right = exact_solution(X, y, True, Fraction(len(y)) * Fraction(l2) / 2)
    assert lre(unknowns(solution, True), right) >= 14
    assert solution.certificate.standard_errors is None


@given(seeds, shapes, conditions)
def test_order_of_rows_does_not_matter(seed, shape, condition):
    X, y = problem(seed, *shape, condition)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed + 1))
    one, two = (least_squares(A, b, route="full") for A, b in ((X, y), (X[order], y[order])))
    # Both are within one rounding of the exact answer: two units in the last place.
    assert torch.allclose(one.weight, two.weight, rtol=2 * EPS, atol=0)


@given(seeds, shapes, conditions, st.sampled_from(ROUTES), st.booleans())
def test_powers_of_two_in_columns_and_rows_scale_the_answer_exactly(
    seed, shape, condition, route, intercept
):
    X, y = problem(seed, *shape, condition)
    powers = torch.randint(-40, 40, (shape[1],), generator=torch.Generator().manual_seed(seed))
    factors = torch.exp2(powers.double())
    plain = least_squares(X, y, route=route, fit_intercept=intercept)
    columns = least_squares(X * factors, y, route=route, fit_intercept=intercept)
    assert torch.equal(columns.weight * factors, plain.weight)
    assert torch.equal(columns.bias, plain.bias)
    rows = least_squares(X * 2.0**30, y * 2.0**30, route=route, fit_intercept=False)
    assert torch.equal(rows.weight, least_squares(X, y, route=route, fit_intercept=False).weight)


@given(seeds, shapes, conditions)
def test_repeated_rows_are_weights(seed, shape, condition):
    X, y = problem(seed, *shape, condition)
    repeats = torch.randint(1, 4, (len(y),), generator=torch.Generator().manual_seed(seed))
    root = repeats.double()
    again = least_squares(X.repeat_interleave(repeats, 0), y.repeat_interleave(repeats))
    # The same weighted problem, exactly: (A' W A) c = A' W y.
    A = [[Fraction(1)] + [Fraction(v) for v in r] for r in X.tolist()]
    p = len(A[0])
    W = [Fraction(v) for v in root.tolist()]
    rows = [[w * a for a in r] for w, r in zip(W, A, strict=True)]
    M = [[sum((u[i] * r[j] for u, r in zip(rows, A, strict=True)), Fraction(0)) for j in range(p)]
         for i in range(p)]  # fmt: skip
    t = [Fraction(v) for v in y.tolist()]
    g = [sum((u[i] * v for u, v in zip(rows, t, strict=True)), Fraction(0)) for i in range(p)]
    c = [
        Fraction(h) + Fraction(e)
        for h, e in zip(
            unknowns(again, True), [again.bias_low.item(), *again.weight_low.tolist()], strict=True
        )
    ]
    # High and low parts together leave a gradient of the double-double's size, 2**-80 to be safe.
    for i in range(p):
        left = abs(sum((M[i][j] * c[j] for j in range(p)), Fraction(0)) - g[i])
        size = sum((abs(M[i][j] * c[j]) for j in range(p)), Fraction(0)) + abs(g[i])
        assert left <= size / 2**80


@given(seeds, shapes, st.floats(0, 6).map(lambda e: 10.0**e))
def test_translating_y_along_x_translates_the_answer(seed, shape, condition):
    X, y = problem(seed, *shape, condition)
    X, y = (X * 2.0**20).round(), (y * 2.0**20).round()  # integers: X t is exact
    t = torch.randint(-8, 8, (shape[1],), generator=torch.Generator().manual_seed(seed)).double()
    one, two = least_squares(X, y, route="full"), least_squares(X, y + X @ t, route="full")
    if one.certificate.rank == one.certificate.unknowns:
        # Each is rounded once: half a unit in the last place of what is rounded.
        error = (two.weight - (one.weight + t)).abs()
        assert torch.all(error <= 2 * EPS * (two.weight.abs() + one.weight.abs() + t.abs()))


@pytest.mark.parametrize("shape", [(20, 3), (5000, 8), (40000, 30)])
@pytest.mark.parametrize("route", ROUTES)
def test_repeating_a_call_gives_the_same_bits_also_in_dirty_memory(shape, route):
    X, y = problem(0, *shape, 1e4)
    first = least_squares(X, y, route=route)
    for size in (1, 3, 100, 10**5, 10**6):
        dirt = [torch.full((size,), math.nan, dtype=torch.float64) for _ in range(4)]
        del dirt
        again = least_squares(X.clone(), y.clone(), route=route)
        assert torch.equal(again.weight, first.weight)
        assert torch.equal(again.bias, first.bias)
        assert again.certificate == first.certificate


def test_auto_takes_the_fast_route_for_large_and_easy_data_and_says_so():
    X, y = problem(0, 20000, 5)
    assert least_squares(X, y).certificate.route == "fast"
    assert least_squares(*problem(0, 20000, 5, 1e9)).certificate.route == "full"
    assert least_squares(X[:1000], y[:1000]).certificate.route == "full"


def test_large_means_do_not_spoil_the_fast_route():
    X, y = problem(1, 40000, 3)
    X = X * 200 + 1e6
    solution = least_squares(X, y, route="fast")
    full = least_squares(X, y, route="full")
    assert solution.certificate.route == "fast"
    relative = ((solution.weight - full.weight) / full.weight).abs().max().item()
    assert relative <= 10.0**-solution.certificate.digits


@pytest.mark.parametrize("shape", [(70000, 20), (3000, 400)])
@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6])
def test_large_problems_fast_against_full(shape, condition):
    X, y = problem(2, *shape, condition)
    fast, full = (least_squares(X, y, route=route) for route in ("fast", "full"))
    assert (fast.certificate.route, full.certificate.route) == ("fast", "full")
    error = ((fast.weight - full.weight) / full.weight).abs().max().item()
    assert error <= 10.0**-fast.certificate.digits
    assert fast.certificate.backward_error <= 1
    assert full.certificate.digits > 15


def test_compiled_and_plain_passes_agree(monkeypatch):
    X, y = problem(3, 60000, 20, 1e5)
    with_kernels = least_squares(X, y, route="full")
    for user in ("passes", "traversal"):
        monkeypatch.setattr(f"optlab.linalg.{user}.kernels", lambda: None, raising=False)
    without = least_squares(X, y, route="full")
    # Both round the exact answer once.
    assert torch.allclose(with_kernels.weight, without.weight, rtol=2 * EPS, atol=0)
    fast = least_squares(X, y, route="fast")
    error = ((fast.weight - without.weight) / without.weight).abs().max().item()
    assert error <= 10.0**-fast.certificate.digits


def test_any_layout_of_memory():
    X, y = problem(4, 300, 4)
    right = least_squares(X, y)
    wide = torch.full((300, 8), math.nan, dtype=torch.float64)
    wide[:, ::2] = X
    for same in (X.T.contiguous().T, wide[:, ::2], X.flip(0).flip(0)):
        assert torch.equal(least_squares(same, y).weight, right.weight)
    assert torch.equal(least_squares(X.clone().requires_grad_(), y).weight, right.weight)


def test_float32_data_is_taken_as_exact():
    X, y = (part.float() for part in problem(5, 50, 3))
    single, double = least_squares(X, y), least_squares(X.double(), y.double())
    assert torch.equal(single.weight, double.weight)
    assert single.weight.dtype == torch.float64


def test_standard_errors_are_those_of_the_textbook():
    X, y = problem(6, 100, 3)
    solution = least_squares(X, y)
    A = np.concatenate([np.ones((100, 1)), X.numpy()], 1)
    r = y.numpy() - A @ np.array(unknowns(solution, True))
    right = np.sqrt(r @ r / 96 * np.diag(np.linalg.inv(A.T @ A)))
    errors = solution.certificate.standard_errors
    # numpy's inverse of a matrix of condition below 1e3 has 13 digits.
    assert errors["bias"].item() == pytest.approx(right[0], rel=1e-11)
    assert errors["weight"].numpy() == pytest.approx(right[1:], rel=1e-11)
    assert solution.certificate.residual_sum_of_squares == pytest.approx(r @ r, rel=1e-13)


def test_the_residual_sum_of_squares_is_exact_to_rounding():
    X, y = problem(7, 30, 3, 1e4)
    solution = least_squares(X, y, route="full")
    right = float(exact_squares(X, y, exact_solution(X, y, True), True))
    assert solution.certificate.residual_sum_of_squares == pytest.approx(right, rel=4 * EPS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"route": "quick"}, "route must be one of auto, fast, full, not 'quick'"),
        ({"l2": -1.0}, "l2 must be finite and at least 0, not -1.0"),
        ({"X": torch.zeros(3, 2, dtype=torch.int64)}, "X must be float64 or float32"),
        ({"y": torch.zeros(4)}, r"X must have shape \(n, d\) and y \(n,\)"),
        ({"X_low": torch.zeros(3, 1)}, "X_low must have the shape"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = {"X": torch.zeros(3, 2), "y": torch.zeros(3)} | change
    with pytest.raises(ValueError, match=words):
        least_squares(arguments.pop("X"), arguments.pop("y"), **arguments)
