"""Inputs that break solvers: each gets the least residual and norm, or an error that says why."""

import math
from fractions import Fraction

import pytest
import torch

from optlab.linalg import least_squares, streaming_least_squares
from tests.exact import exact_squares, unknowns

ROUTES = ["auto", "fast", "full", "streaming"]


def solve(X, y, route="auto", **options):
    if route != "streaming":
        return least_squares(X, y, route=route, **options)
    pieces = list(zip(X.split(7), y.split(7), strict=True))
    return streaming_least_squares(pieces, **options)


def draw(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=g)


# Multiples of 2**-20: sums of columns are exact, so dependent columns are exactly dependent.
A, t = (draw(30, 3) * 2.0**20).round() / 2.0**20, draw(30, seed=1)
DUPLICATE = torch.cat([A, A[:, :1]], 1)
DEPENDENT = torch.cat([A, A[:, :1] + A[:, 1:2]], 1)
ZERO = A * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
CONSTANT = torch.cat([A[:, :1], torch.full((30, 1), 3.0), torch.full((30, 1), 5.0)], 1)

DEFICIENT = {  # X, y, rank with and without an intercept
    "duplicate": (DUPLICATE, t, 4, 3),
    "dependent": (DEPENDENT, t, 4, 3),
    "zero column": (ZERO, t, 3, 2),
    "two constant columns": (CONSTANT, t, 2, 2),
    "one constant column": (CONSTANT[:, :2], t, 2, 2),
    "n < d": (draw(3, 5), t[:3], 3, 3),
    "n = d": (A[:3], t[:3], 3, 3),
    "n = 1": (A[:1], t[:1], 1, 1),
    "all zero": (torch.zeros(6, 2, dtype=torch.float64), t[:6], 1, 0),
    "duplicate, large": (DUPLICATE * 2.0**600, t, 4, 3),
    "duplicate, tiny": (DUPLICATE * 2.0**-600, t, 4, 3),
    "duplicates of mixed size": (DUPLICATE * torch.tensor([2.0**40, 1, 1, 2.0**-40]), t, 4, 3),
    "duplicates of very mixed size": (
        DUPLICATE * torch.exp2(torch.tensor([600.0, 1, -600, -600], dtype=torch.float64)), t, 4, 3),
}  # fmt: skip


def reference(X, y, intercept, rank):
    """Minimum-norm solution by mpmath-free means: pinv of the centred columns in 60 digits."""
    import mpmath

    with mpmath.workdps(
        800 if float(X.abs().max()) > 1e100 or 0 < float(X.abs().min()) < 1e-100 else 60
    ):
        rows = [[mpmath.mpf(v) for v in r] for r in X.tolist()]
        target = [mpmath.mpf(v) for v in y.tolist()]
        n, d = X.shape
        means, mean = [mpmath.mpf(0)] * d, mpmath.mpf(0)
        if intercept:
            means = [sum(r[j] for r in rows) / n for j in range(d)]
            mean = sum(target) / n
            rows = [[r[j] - means[j] for j in range(d)] for r in rows]
        basis = []  # of the row space, by Gram-Schmidt, twice
        for r in rows:
            v = list(r)
            for q in basis * 2:
                c = sum(a * b for a, b in zip(v, q, strict=True))
                v = [a - c * b for a, b in zip(v, q, strict=True)]
            size = mpmath.sqrt(sum(a * a for a in v))
            whole = mpmath.sqrt(sum(a * a for a in r))
            if size > whole * mpmath.mpf(10) ** (-mpmath.mp.dps * 0.7):
                basis.append([a / size for a in v])
        assert len(basis) == rank - intercept
        if not basis:
            return [mean] * intercept + [mpmath.mpf(0)] * d
        B = mpmath.matrix([[sum(a * b for a, b in zip(r, q, strict=True)) for q in basis]
                           for r in rows])  # fmt: skip
        z = mpmath.matrix([v - mean for v in target])
        c = mpmath.lu_solve(B.T * B, B.T * z)
        w = [sum(c[i] * basis[i][j] for i in range(len(basis))) for j in range(d)]
        bias = mean - sum(m * v for m, v in zip(means, w, strict=True))
        return [bias] * intercept + w


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", DEFICIENT)
def test_rank_deficient(name, route, intercept):
    X, y, *ranks = DEFICIENT[name]
    rank = ranks[0] if intercept else ranks[1]
    solution = solve(X, y, route, fit_intercept=intercept)
    certificate = solution.certificate
    assert certificate.rank == rank
    if rank < X.shape[1] + intercept:
        assert certificate.route == "minimum norm"
        assert certificate.standard_errors is None
    right = reference(X, y, intercept, rank)
    found = unknowns(solution, intercept)
    size = max(abs(float(v)) for v in right[intercept:])
    # Condition below 100, and the null space is known to eps: 1e-12 of the norm leaves a factor 40.
    assert all(abs(a - float(b)) <= 1e-12 * size for a, b in zip(
        found[intercept:], right[intercept:], strict=True))  # fmt: skip
    least = exact_squares(X, y, [Fraction(str(v)) if v == 0 else Fraction(float(v))
                                 for v in found], intercept)  # fmt: skip
    squares = sum(Fraction(v) ** 2 for v in y.tolist())
    # Of the minimisers' residuals: rounding w to float64 changes r by eps ||y||, r'r by its square.
    assert abs(Fraction(certificate.residual_sum_of_squares) - least) <= squares / 10**14
    assert certificate.trusted
    assert math.isfinite(certificate.condition_scaled)
    assert not math.isnan(certificate.condition_raw)


@pytest.mark.parametrize("route", ROUTES)
def test_near_duplicate_is_full_rank_and_right(route):
    from tests.exact import exact_solution, lre

    X = torch.cat([A, A[:, :1] + 1e-9 * draw(30, 1, seed=2)], 1)
    solution = solve(X, t, route)
    assert solution.certificate.rank == 5
    assert lre(unknowns(solution, True), exact_solution(X, t, True)) >= 14


SCALES = {
    "1e200": A * 1e200,
    "1e-200": A * 1e-200,
    "1e200 and 1e-200": A * torch.tensor([1e200, 1e-200, 1.0], dtype=torch.float64),
    "1e10 and 1e-10": A * torch.tensor([1e10, 1e-10, 1.0], dtype=torch.float64),
    "1e307": A * 1e307,
    "subnormal in one column": A * torch.tensor([1.0, 1e-300, 1.0], dtype=torch.float64),
}


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", SCALES)
def test_extreme_scales_have_all_digits(name, route, intercept):
    from tests.exact import exact_solution, lre

    solution = solve(SCALES[name], t, route, fit_intercept=intercept)
    right = exact_solution(SCALES[name], t, intercept)
    found = lre(unknowns(solution, intercept), right)
    assert found >= min(15.0, solution.certificate.digits)
    assert found >= (11 if route == "fast" else 14)
    assert solution.certificate.rank == 3 + intercept


@pytest.mark.parametrize("route", ROUTES)
def test_subnormal_data(route):
    tiny = 2.0**-1030
    both = solve(A * tiny, t * tiny, route, fit_intercept=False)  # w of the usual size
    from tests.exact import exact_solution, lre

    right = exact_solution(A * tiny, t * tiny, False)
    assert lre(both.weight.tolist(), right) >= 11
    with pytest.raises(OverflowError, match=r"weight of column \d is beyond the range"):
        solve(A * 1e-310, t, route)


@pytest.mark.parametrize("route", ROUTES)
def test_answers_that_vanish_are_not_trusted(route):
    solution = solve(A * 1e200, t * 1e-200, route, fit_intercept=False)
    assert solution.certificate.digits == 0
    assert not solution.certificate.trusted


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("X", math.nan, "X must be finite, but holds nan at row 25, column 1"),
        ("X", math.inf, "X must be finite, but holds inf at row 25, column 1"),
        ("y", -math.inf, "y must be finite, but holds -inf at row 25"),
        ("y", math.nan, "y must be finite, but holds nan at row 25"),
    ],
)
def test_non_finite_data_is_an_error_that_says_where(name, value, words, route):
    X, y = A.clone(), t.clone()
    if name == "X":
        X[25, 1] = value
    else:
        y[25] = value
    for intercept in (True, False):
        with pytest.raises(ValueError, match=words):
            solve(X, y, route, fit_intercept=intercept)


def test_non_finite_data_in_many_rows():
    X, y = draw(30000, 40), draw(30000)
    X[29999, 39] = math.inf
    with pytest.raises(ValueError, match=r"inf at row 29999, column 39 \(1 such value in all"):
        least_squares(X, y)


def test_no_rows_and_no_columns():
    with pytest.raises(ValueError, match="no rows"):
        least_squares(A[:0], t[:0])
    with pytest.raises(ValueError, match="empty"):
        streaming_least_squares([])
    with pytest.raises(ValueError, match="no rows"):
        streaming_least_squares([(A[:0], t[:0])])
    with pytest.raises(ValueError, match="nothing to fit"):
        least_squares(A[:, :0], t, fit_intercept=False)
    mean = least_squares(A[:, :0], t)
    assert mean.bias.item() == pytest.approx(t.mean().item(), rel=1e-14)


@pytest.mark.parametrize("route", ROUTES)
def test_zero_rows_and_zero_target(route):
    with_zeros = solve(torch.cat([A, 0 * A]), torch.cat([t, 0 * t]), route, fit_intercept=False)
    plain = solve(A, t, "full", fit_intercept=False)
    assert torch.allclose(with_zeros.weight, plain.weight, rtol=1e-12, atol=0)
    assert solve(A, 0 * t, route).weight.tolist() == [0.0] * 3
    assert solve(A, 0 * t, route).certificate.trusted


def test_dependent_columns_in_many_rows_are_found_by_the_fast_route():
    for seed in range(5):
        X = draw(40000, 30, seed=seed)
        X[:, 29] = X[:, :29] @ draw(29, seed=seed + 100)
        solution = least_squares(X, draw(40000, seed=seed + 200), route="fast")
        assert solution.certificate.rank == 30
        assert solution.certificate.route == "minimum norm"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", [(1, 7), (2, 9), (6, 60), (30, 31)])
def test_wide_problems_get_the_weights_of_minimum_norm(shape, intercept, route):
    X, y = draw(*shape, seed=5), draw(shape[0], seed=6)
    solution = solve(X, y, route, fit_intercept=intercept)
    assert solution.certificate.rank == shape[0]
    A, b = (X - X.mean(0), y - y.mean()) if intercept else (X, y)
    right = torch.linalg.pinv(A, rtol=1e-12) @ b
    # Condition below 1e3, and centring rounds: 1e-12 of the norm leaves a factor of ten.
    assert (solution.weight - right).norm() <= 1e-12 * max(1.0, right.norm().item())
    assert torch.allclose(X @ solution.weight + solution.bias, y, rtol=0, atol=1e-12)


def test_the_work_on_a_wide_problem_grows_with_its_columns_only():
    X, y = draw(5, 20000), draw(5)  # a matrix of 20 000 x 20 000 numbers would take 3.2 GB
    solution = least_squares(X, y)
    assert solution.certificate.small.triangle.shape == (5, 20001)
    assert solution.certificate.condition_scaled < 10
    assert solution.certificate.condition_raw < 10


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("power", [-6, 0, 30])
def test_wide_problems_with_a_ridge(intercept, power):
    from tests.exact import exact_solution, lre

    X, y = draw(4, 7, seed=7), draw(4, seed=8)
    right = exact_solution(X, y, intercept, 4 * Fraction(10.0**power) / 2)
    for route in ROUTES:
        solution = solve(X, y, route, l2=10.0**power, fit_intercept=intercept)
        assert lre(unknowns(solution, intercept), right) >= 14


@pytest.mark.parametrize("route", ["auto", "streaming"])
def test_dependent_columns_are_named(route):
    message = solve(DEPENDENT, t, route).certificate.message
    assert "not unique: linear dependence among column 0, column 1, column 3" in message
    assert message.endswith("column 3")
    message = solve(ZERO, t, route).certificate.message
    assert message.endswith("linear dependence among column 1")
    message = solve(CONSTANT[:, :2], t, route).certificate.message
    assert message.endswith("linear dependence among column 1 and the intercept")
    message = solve(draw(3, 5), t[:3], route).certificate.message
    assert message.endswith("3 rows cannot determine 6 unknowns")
    assert "not unique" not in solve(A, t, route).certificate.message
    names = least_squares(DUPLICATE, t, column_names=["a", "b", "c", "d"]).certificate.message
    assert names.endswith("linear dependence among a, d")
