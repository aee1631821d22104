"""References of linear models: bounds that hold, digits that are there, infima not attained."""

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import optlab as ol
from optlab.problems.certified.exact_rank import exact_rank
from optlab.problems.linear_model import LinearModel
from optlab.problems.losses.loss import Loss
from optlab.problems.losses.quantile import Quantile
from tests.many_digits import DIGITS, _Model, least_digits, solved
from tests.test_linear_models import MODELS, SMOOTH, models, point_of, problem_of, targets

seeds = st.integers(0, 2**32 - 1)


@models
@pytest.mark.parametrize("options", [{"l2": 0.1}, {"l1": 0.05}, {},
                                     {"l1": 0.05, "l2": 0.1, "fit_intercept": False}],
                         ids=lambda options: "+".join(options) or "none")  # fmt: skip
def test_mpmath_confirms_the_reference_to_the_digits_it_claims(cls, options):
    if cls is ol.QuantileRegression and "l2" in options:
        options = {"l1": 0.02, "quantile": 0.25}  # mpmath's solution is of a vertex
    problem = problem_of(cls, 5, rows=30, sample_weight=np.arange(30) % 3, **options)
    reference, exact = problem.reference(), solved(problem)
    assert reference.kind == "certified"
    assert reference.unique
    assert "unique" not in reference.message
    assert "not proven" not in reference.message
    if reference.certificate is None:
        assert abs(float(reference.loss - exact.loss)) <= reference.bound
        assert reference.bound <= 1e-14 * max(1.0, reference.loss)
    assert least_digits(problem, exact) >= min(reference.digits, 15.9)
    assert reference.digits > 11.0  # a bound that is far too wide would be true, and of no use


def exact_suboptimality(problem, exact, point):
    """The objective at a point less its minimum, from 50 digits."""
    with mp.workdps(DIGITS + 10):
        rows = point["weight"].reshape(problem.X.shape[1], -1)
        rows = torch.cat([point["bias"].reshape(1, -1), rows])
        theta = [mp.mpf(v) for v in rows.reshape(-1).tolist()]
        return float(_Model(problem).objective(theta) - exact.loss)


@pytest.fixture(scope="module", params=MODELS, ids=lambda cls: cls.__name__)
def solved_problem(request):
    """A problem, and its solution to 50 digits."""
    options = {"l1": 0.02} if request.param is ol.QuantileRegression else {"l1": 0.02, "l2": 0.1}
    problem = problem_of(request.param, 6, rows=20, **options)
    return problem, solved(problem)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6, 1e-8])
def test_suboptimality_keeps_its_digits_near_the_optimum(solved_problem, size):
    """Down to points that are off by 1e-8: the loss itself has no digit of 1e-16 of it left.

    Predictions off by g, with an error of some 2 eps of their terms (at most 10 here), give terms
    of the order of g**2, so relative errors of 20 eps / size of their distance from the optimum;
    that itself is rounded to 16 digits.
    """
    problem, exact = solved_problem
    best = problem.reference().parameters
    far = point_of(problem, 2)
    point = {name: value + size * far[name] for name, value in best.items()}
    right = exact_suboptimality(problem, exact, point)
    found = problem.evaluate(point).suboptimality
    assert found == pytest.approx(right, rel=1e-12 + 1e-14 / size)


@models
@settings(max_examples=6)
@given(seeds)
def test_no_point_is_below_the_infimum_by_more_than_the_bound(cls, seed):
    """Of least squares, the bound is the rounding of the loss."""
    draw = np.random.default_rng(seed)
    problem = problem_of(cls, seed, rows=12, l1=draw.choice([0.0, 0.1]), l2=draw.choice([0.01, 1]))
    reference = problem.reference()
    assert reference.kind == "certified"
    bound = reference.bound if reference.certificate is None else 0.0
    for size in 10.0 ** draw.uniform(-9, 0, 20):
        far = point_of(problem, int(draw.integers(2**31)))
        point = {k: v + size * far[k] for k, v in reference.parameters.items()}
        evaluation = problem.evaluate(point)
        # A loss is rounded by some eps of the terms it is of.
        assert evaluation.loss >= reference.loss - bound - 1e-14 * evaluation.loss
        assert evaluation.suboptimality >= 0


@settings(max_examples=12)
@given(seeds)
def test_degenerate_data_of_every_kind_are_certified(seed):
    """Collinear, zero, tied, badly scaled columns; more columns than rows; weights of zero.

    Scales are powers of two, so that collinear columns stay so exactly.
    """
    draw = np.random.default_rng(seed)
    cls = MODELS[seed % len(MODELS)]
    n, d = int(draw.integers(3, 20)), int(draw.integers(1, 7))
    X = (
        draw.integers(-2, 3, (n, d)).astype(float)
        if draw.random() < 0.5
        else draw.normal(size=(n, d))
    )
    X[:, -1] = X[:, 0]
    if d > 2:
        X[:, 1] = 0.0
        X *= 2.0 ** draw.integers(-13, 14, d) if cls is not ol.PoissonRegression else 1.0
    weights = draw.integers(0, 3, n) if draw.random() < 0.3 else None
    if weights is not None:
        weights[:3] = 1
    options = {"l1": draw.choice([0.0, 1e-3, 0.1, 10.0]), "l2": draw.choice([0.0, 1e-6, 0.1])}
    problem = cls(X, targets(cls, draw, n), sample_weight=weights, **options,
                  fit_intercept=draw.random() < 0.8)  # fmt: skip
    reference = problem.reference()
    assert reference.kind == "certified", reference.message
    start = problem.start(torch.Generator().manual_seed(0))
    evaluation = problem.evaluate(start)
    assert evaluation.suboptimality >= 0
    if reference.certificate is None:
        assert reference.bound <= 1e-12 * max(evaluation.loss, reference.loss, 1.0)
        gap = evaluation.loss - reference.loss
        assert evaluation.suboptimality == pytest.approx(gap, rel=1e-9, abs=1e-9 * evaluation.loss)


LINE = np.array([[0.0], [1.0], [2.0], [3.0]])


@pytest.mark.parametrize("cls", [ol.LogisticRegression, ol.SoftmaxRegression])
def test_separable_classes_have_an_infimum_of_zero_that_no_point_attains(cls):
    problem = cls(LINE, ["a", "a", "b", "b"])
    reference = problem.reference()
    assert (reference.kind, reference.loss, reference.parameters) == ("certified", 0.0, None)
    assert reference.bound == 0.0
    assert not reference.unique
    assert "not attained: the classes are separable" in reference.message
    assert "a penalty makes it attained" in reference.message
    point = problem.start(torch.Generator().manual_seed(0))
    evaluation = problem.evaluate(point)
    assert evaluation.suboptimality == evaluation.loss
    assert math.isnan(evaluation.parameter_error)
    assert cls(LINE, ["a", "a", "b", "b"], l2=1e-8).reference().parameters is not None


def test_classes_that_separate_in_part_have_the_infimum_of_the_others():
    """At x = 1 all are yes, at x = 0 half are: the infimum is log 2 over the rows at x = 0."""
    X = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    for cls in (ol.LogisticRegression, ol.SoftmaxRegression):
        reference = cls(X, [0, 1, 1, 1, 1]).reference()
        assert reference.kind == "certified"
        assert reference.parameters is None
        assert reference.loss == pytest.approx(2 / 5 * math.log(2), rel=1e-15)
        assert reference.bound <= 1e-15
        assert "the loss of 3 of 5 rows" in reference.message


def test_a_third_class_that_separates_leaves_the_loss_of_the_other_two():
    X = np.array([[0.0], [1.0], [2.0], [3.0], [10.0], [11.0]])
    three = ol.SoftmaxRegression(X, [0, 1, 0, 1, 2, 2]).reference()
    two = ol.LogisticRegression(X[:4], [0, 1, 0, 1]).reference()
    assert three.parameters is None
    assert three.loss == pytest.approx(4 / 6 * two.loss, rel=1e-14)


def test_counts_that_are_all_zero_have_an_infimum_at_an_intercept_of_minus_infinity():
    for options in ({}, {"l2": 1.0}, {"l1": 0.1}):
        problem = ol.PoissonRegression(LINE, np.zeros(4), **options)
        reference = problem.reference()
        assert (reference.kind, reference.loss, reference.parameters) == ("certified", 0.0, None)
        assert "not attained: counts are zero" in reference.message
        assert ("penalty" in reference.message) == (not options)
        assert problem.constant_fit()["bias"].item() == 0.0
    no_way_down = ol.PoissonRegression(LINE[1:], np.zeros(3), l2=1.0, fit_intercept=False)
    assert no_way_down.reference().parameters is not None


def test_a_perfect_fit_of_counts_has_a_loss_of_zero():
    problem = ol.PoissonRegression(LINE, 2.0 ** np.arange(4))
    reference = problem.reference()
    assert reference.kind == "certified"
    assert abs(reference.loss) <= reference.bound <= 1e-13
    assert reference.parameters["weight"].item() == pytest.approx(math.log(2), rel=1e-14)
    assert ol.PoissonRegression(LINE, np.ones(4)).reference().trusted


@pytest.mark.parametrize("cls", [*SMOOTH, ol.QuantileRegression], ids=lambda cls: cls.__name__)
def test_all_weights_vanish_from_the_level_of_l1_at_which_they_must(cls):
    """That level is the largest slope at the best constant; the intercept is not penalised."""
    problem = problem_of(cls, 8, rows=30, l1=100.0)
    reference = problem.reference()
    assert reference.kind == "certified"
    assert not reference.parameters["weight"].any()
    constant = problem.constant_fit()
    assert problem.evaluate(constant).suboptimality <= 1e-15 * max(reference.loss, 1.0)
    if cls is ol.QuantileRegression:
        return
    assert "0 of" in reference.message
    assert "all vanish" in reference.message
    level = problem.smooth_gradient(constant)["weight"].abs().max().item()
    above, below = (problem_of(cls, 8, rows=30, l1=level * share) for share in (1.0001, 0.999))
    assert not above.reference().parameters["weight"].any()
    assert below.reference().parameters["weight"].any()


@models
def test_dependent_and_zero_columns_have_the_weights_of_least_norm(cls):
    draw = np.random.default_rng(4)
    X, y = draw.normal(size=(30, 2)), targets(cls, draw, 30)
    wide = np.column_stack([X, X[:, 0], np.zeros(30)])
    one, other = cls(X, y).reference(), cls(wide, y).reference()
    assert other.kind == "certified"
    assert not other.unique
    assert "not unique" in other.message
    assert other.loss == pytest.approx(one.loss, rel=1e-14)
    weight, narrow = other.parameters["weight"], one.parameters["weight"]
    torch.testing.assert_close(weight[0], narrow[0] / 2, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(weight[0], weight[2], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(weight[3], 0 * weight[3], rtol=0, atol=1e-12)


@models
def test_more_columns_than_rows_are_fitted_exactly_or_in_the_limit(cls):
    draw = np.random.default_rng(4)
    problem = cls(draw.normal(size=(5, 9)), targets(cls, draw, 5))
    reference = problem.reference()
    assert reference.kind == "certified"
    assert abs(reference.loss) <= 1e-13
    assert not reference.unique


def test_a_huber_threshold_near_zero_is_the_median():
    draw = np.random.default_rng(4)
    X, y = draw.normal(size=(40, 3)), draw.normal(size=40)
    robust = ol.HuberRegression(X, y, delta=1e-9).reference()
    median = ol.QuantileRegression(X, y).reference()
    assert robust.kind == "certified"
    torch.testing.assert_close(
        robust.parameters["weight"], median.parameters["weight"], rtol=0, atol=1e-7
    )


def test_tied_medians_are_certified_and_not_called_unique():
    problem = ol.QuantileRegression(np.zeros((4, 1)), [0.0, 1.0, 2.0, 3.0], l1=0.1)
    reference = problem.reference()
    assert reference.loss == pytest.approx(0.5, rel=1e-15)
    assert reference.unique is None
    huber = ol.HuberRegression(
        np.zeros((4, 1)), [0.0, 0.0, 9.0, 9.0], delta=1.0, l1=0.1
    ).reference()
    assert huber.kind == "certified"
    assert huber.loss == pytest.approx(4.0, rel=1e-15)
    assert not huber.unique


@pytest.mark.parametrize("seed", range(4))
def test_quantiles_of_exact_fits_are_certified_also_where_rounding_breaks_ties(seed):
    """Residuals that are zero but for rounding, 1e-17, in all rows, some of them exactly zero."""
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(30, 3)).round(seed)
    for options in ({}, {"l1": 0.01}, {"l1": 0.01, "l2": 0.01}):
        problem = ol.QuantileRegression(X, X[:, 0] + 1, quantile=0.3, **options)
        reference = problem.reference()
        assert reference.kind == "certified"
        assert reference.bound <= 1e-14
        assert reference.loss == pytest.approx(sum(options.values()), rel=0.6)


def test_ridge_and_lasso_of_quantiles_agree_with_a_general_minimiser():
    """The quadratic programme of the parts w+, w-, r+, r- >= 0, by SLSQP, whose ftol is 1e-12.

    Its point is judged by the problem's own loss, which is thus never below the infimum.
    """
    problem = problem_of(ol.QuantileRegression, 3, rows=25, l1=0.05, l2=0.3, quantile=0.3)
    reference, X = problem.reference(), problem.X.numpy()
    linear = np.concatenate([[0.0], np.full(6, 0.05), np.full(25, 0.3 / 25), np.full(25, 0.7 / 25)])
    ridge = np.diag([0.0] + [0.3] * 6 + [0.0] * 50)
    ridge[1:4, 4:7] = ridge[4:7, 1:4] = -0.3 * np.eye(3)
    rows = np.column_stack([np.ones(25), X, -X, np.eye(25), -np.eye(25)])
    found = minimize(
        lambda v: linear @ v + v @ ridge @ v / 2,
        np.zeros(57),
        jac=lambda v: linear + ridge @ v,
        bounds=[(None, None)] + [(0, None)] * 56,
        constraints={
            "type": "eq",
            "fun": lambda v: rows @ v - problem.y.numpy(),
            "jac": lambda v: rows,
        },
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    v = torch.from_numpy(found.x)
    theirs = problem.loss({"weight": v[1:4] - v[4:7], "bias": v[0]}).item()
    assert -reference.bound <= theirs - reference.loss <= 1e-9


def test_scikit_learns_solvers_never_beat_the_reference():
    from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor

    draw = np.random.default_rng(2)
    X = draw.normal(size=(60, 3))
    labels, y = (X[:, 0] + draw.normal(size=60) > 0).astype(int), X[:, 0] + draw.normal(size=60)
    pairs = [
        (ol.LogisticRegression(X, labels, l2=0.1), LogisticRegression(C=1 / 6, tol=1e-13)),
        (
            ol.PoissonRegression(X, draw.poisson(2, 60), l2=0.1),
            PoissonRegressor(alpha=0.1, tol=1e-13),
        ),
        (ol.QuantileRegression(X, y, l1=0.01), QuantileRegressor(alpha=0.01)),
    ]
    for problem, estimator in pairs:
        found = estimator.fit(X, problem.y.numpy())
        weight, bias = np.ravel(found.coef_), np.ravel(found.intercept_)[0]
        theirs = problem.evaluate({"weight": torch.from_numpy(weight), "bias": torch.tensor(bias)})
        reference = problem.reference()
        assert theirs.loss >= reference.loss - 2 * reference.bound  # both losses are rounded
        assert theirs.suboptimality <= 1e-9  # the same problem


def test_columns_that_depend_exactly_are_certified_with_their_rank():
    draw = np.random.default_rng(6)
    X, y = draw.normal(size=(30, 2)), draw.normal(size=30)
    exactly = ol.HuberRegression(np.column_stack([X, 2 * X[:, 0]]), y).reference()
    assert exactly.kind == "certified"
    assert "the columns have rank 3 of 4)" in exactly.message


# Of least squares, the solver's rank is exact, and its certificate is of another kind.
GENERAL = [cls for cls in MODELS if cls is not ol.LinearRegression]


@pytest.mark.parametrize("cls", GENERAL, ids=lambda cls: cls.__name__)
@settings(max_examples=4)
@given(seeds)
def test_columns_that_depend_at_rounding_only_have_no_false_certificate(cls, seed):
    """Against an exact basis: x, and what rounding left of another unit, ``r = fl(c x) - c x``.

    r is computed in fractions, scaled by a power of two and rounded once, so that its entries err
    by eps; the infimum of this problem errs by some eps of the loss, less than 1e-12 of it.
    """
    draw = np.random.default_rng(seed)
    x, y = draw.normal(size=20), targets(cls, draw, 20)
    factor = Fraction(2.54) if seed % 2 else Fraction(1, 3)
    unit = x * 2.54 if seed % 2 else x / 3
    rest = [Fraction(b) - factor * Fraction(a) for a, b in zip(x, unit, strict=True)]
    exact = cls(np.column_stack([x, [float(r * 2**54) for r in rest]]), y).reference()
    problem = cls(np.column_stack([x, unit]), y)
    found = problem.reference()
    assert exact.kind == "certified"
    if found.kind == "certified":
        assert found.loss - exact.loss <= found.bound + 1e-12 * exact.loss
        return
    assert found.loss >= exact.loss * (1 - 1e-12)
    assert math.isnan(found.bound)
    assert (found.kind, found.unique, found.trusted) == ("computed", None, False)
    assert "as judged at rounding, but" in found.message
    assert problem.evaluate(found.parameters).suboptimality == pytest.approx(0, abs=1e-14)


class LogCosh(Loss):
    """log cosh of the residual, as one might write it: the curvature ignores its radius."""

    steepest = 1.0

    def value(self, eta, y):
        return torch.logaddexp(eta - y, y - eta) - math.log(2)

    def slope(self, eta, y):
        return torch.tanh(eta - y)

    def curvature(self, eta, y, radius=0.0):
        return torch.cosh(eta - y) ** -2


class Declared(LogCosh):
    has_bounds = True


class Changed(Declared):
    """Its bounds are its parent's, which it does not confirm."""

    def value(self, eta, y):
        return super().value(eta, y) + 1.0


class OwnMedian(Quantile):
    """A loss with a kink, of a class that declares nothing."""


@pytest.mark.parametrize(
    "loss", [LogCosh(), Changed(), OwnMedian(0.5)], ids=["own", "changed", "kink"]
)
def test_a_loss_that_does_not_declare_its_bounds_has_a_computed_reference(loss):
    X, y = np.array([[0.0], [1.0], [2.0], [5.0]]), np.array([0.0, 2.0, 1.0, 4.0])
    problem = LinearModel(X, y, loss, l2=0.1)
    reference = problem.reference()
    assert (reference.kind, reference.unique, reference.trusted) == ("computed", None, True)
    assert math.isnan(reference.bound)
    assert (
        f"bounds of {type(loss).__name__}, whose class does not set has_bounds" in reference.message
    )
    zero = {"weight": torch.zeros(1).double(), "bias": torch.zeros(()).double()}
    evaluation = problem.evaluate(zero)
    assert evaluation.suboptimality == evaluation.loss - reference.loss
    assert LinearModel(X, y, Declared(), l2=0.1).reference().kind == "certified"


def test_no_certificate_where_the_data_are_too_many_for_the_exact_rank(monkeypatch):
    monkeypatch.setattr("optlab.problems.certified.exact_rank.MOST_WORK", 1)
    reference = ol.HuberRegression(np.column_stack([LINE, LINE]), [0.0, 1.0, 0.0, 2.0]).reference()
    assert (reference.kind, reference.unique, reference.trusted) == ("computed", None, False)
    assert "too many for the exact rank" in reference.message


def test_an_infimum_at_infinity_has_no_false_certificate_of_the_rows_that_remain():
    """A third column separates the last row alone; of the others, two depend at rounding only."""
    draw = np.random.default_rng(1)
    x, labels = draw.normal(size=20), draw.permutation(np.arange(20) % 2)
    X = np.column_stack([x, x * 2.54, np.zeros(20)])
    X = np.vstack([X, [0.0, 0.0, 1.0]])
    found = ol.LogisticRegression(X, [*labels, 1]).reference()
    assert (found.kind, found.parameters, found.trusted) == ("computed", None, False)
    assert math.isnan(found.bound)
    assert "not attained" in found.message
    assert "as judged at rounding, but" in found.message


@settings(max_examples=20)
@given(seeds)
def test_exact_rank_is_that_of_rational_elimination(seed):
    draw = np.random.default_rng(seed)
    n, p, r = draw.integers(1, 7, 3)
    A = (
        draw.integers(-4, 5, (n, r))
        @ draw.integers(-4, 5, (r, p))
        * 2.0 ** draw.integers(-60, 60, p)
    )
    rows = [[Fraction(v) for v in row] for row in A.tolist()]
    rank = 0
    for column in range(p):
        pivot = next((i for i in range(rank, n) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, n):
            share = rows[i][column] / rows[rank][column]
            rows[i] = [a - share * b for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    assert exact_rank(torch.from_numpy(A)) == rank
