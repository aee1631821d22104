"""Bounds and suboptimalities of linear models, in exact arithmetic, on data that lose digits."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.problems.certified.vertex import minimise_kinks
from tests.many_digits import DIGITS, _Model, solved
from tests.test_linear_models import models, targets

NOISE = np.random.default_rng(0).normal(size=6)


def assert_bound_holds(problem):
    reference, exact = problem.reference(), solved(problem)
    assert reference.kind == "certified"
    with mp.workdps(DIGITS):
        assert abs(reference.loss - exact.loss) <= reference.bound


@pytest.mark.parametrize(
    ("cls", "options"),
    [(ol.QuantileRegression, {}), (ol.HuberRegression, {}), (ol.LinearRegression, {"l1": 1e-30})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_loss_of_residuals_that_are_rounding_alone_is_within_its_bound(cls, options):
    """Of y = 1e12 + x as float64 rounds it, predictions have no digit of the residuals."""
    problem = cls(NOISE[:, None], 1e12 + NOISE, **options)
    assert_bound_holds(problem)
    assert problem.reference().loss > 1e-11


@pytest.mark.parametrize("cls", [ol.SoftmaxRegression, ol.LogisticRegression])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 1, 0, 1]])
def test_log_losses_below_rounding_are_within_their_bound(cls, labels):
    problem = cls([[-2.0], [-1.0], [1.0], [2.0]], labels, l2=1e-20)
    assert_bound_holds(problem)


def pair_theta(problem):
    """The reference's minimiser as mpmath's numbers, with what rounding took off it."""
    high, low = (part.reshape(-1).tolist() for part in problem._optimum.theta)
    return [mp.mpf(a) + mp.mpf(b) for a, b in zip(high, low, strict=True)]


def assert_suboptimality_is_exact(problem, size):
    """At the minimiser times 1 - size, of the objective in 40 digits at both points.

    A prediction errs by some eps of its terms, and the objective by that times the slopes.
    """
    best = problem._optimum.theta[0]
    theta = best * (1 - size)
    point = {"weight": theta[1:], "bias": theta[0]}
    with mp.workdps(DIGITS):
        model = _Model(problem)
        there = model.objective([mp.mpf(v) for v in theta.reshape(-1).tolist()])
        right = float(there - model.objective(pair_theta(problem)))
    design, loss = problem.objective.design, problem.loss_function
    slopes = loss.slope(design @ theta, problem.objective.y).abs()
    slopes = slopes + problem._optimum.slope[0].abs()
    rows = (slopes * (design.abs() @ (best - theta).abs())).reshape(len(design), -1).sum(1)
    rounding = 2.0**-48 * float(problem.objective.share @ rows)
    evaluation = problem.evaluate(point)
    assert evaluation.suboptimality == pytest.approx(right, rel=1e-12, abs=rounding)


@models
@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_bounds_and_suboptimalities_hold_where_data_lose_digits(cls, seed):
    """With offsets of X and y of 1e6 to 1e12, tiny penalties, and fits that are near perfect."""
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(7, 1)), targets(cls, draw, 7)
    options = {"l1": draw.choice([0.0, 1e-30, 1e-9]), "l2": draw.choice([0.0, 1e-20, 1e-9])}
    if cls not in (ol.LogisticRegression, ol.SoftmaxRegression, ol.PoissonRegression):
        least = 1e-9 if cls is ol.QuantileRegression else 0.0  # perfect fits have many slopes
        y = X[:, 0] + draw.choice([least, 1e-9, 1.0]) * y
        if cls is not ol.HuberRegression:  # from the size of y to its threshold is a long way
            y = y + draw.choice([0.0, 1.0]) * 10.0 ** draw.uniform(6, 12)
        X = X + draw.choice([0.0, 1.0]) * 10.0 ** draw.uniform(6, 12)
    if cls is ol.LinearRegression:
        options["l1"] = max(options["l1"], 1e-30)  # without l1 it is least squares
    if cls is ol.QuantileRegression:
        options["l2"] = 0.0  # mpmath's solution is of a vertex
    problem = cls(X, y, **options)
    reference = problem.reference()
    if reference.kind == "certified" and reference.parameters is not None:
        assert_bound_holds(problem)
    if problem._optimum.theta is not None:
        for size in (1.0, 1e-4):
            assert_suboptimality_is_exact(problem, size)


def test_suboptimality_is_exact_where_the_slopes_of_the_reference_do_not_balance():
    """A vertex that is none: theta is moved away from the minimum, and its slopes with it."""
    x = np.arange(5.0)
    for problem in (
        ol.QuantileRegression(x[:, None], x**2, l1=1e-3),
        ol.HuberRegression(x[:, None], x**2, l1=1e-3),
    ):
        found = problem._optimum
        theta = (found.theta[0] + 0.25, found.theta[1])
        eta = problem.objective.predictions(theta)
        slope = (problem.loss_function.slope(eta[0], problem.y), 0 * problem.y)
        problem._optimum = found._replace(theta=theta, eta=eta, slope=slope)
        assert_suboptimality_is_exact(problem, 1.0)
        assert_suboptimality_is_exact(problem, 1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_quantiles_of_columns_that_are_all_zero_are_certified(fit_intercept):
    problem = ol.QuantileRegression(np.zeros((3, 2)), [1.0, 2.0, 3.0], fit_intercept=fit_intercept)
    reference = problem.reference()
    assert (reference.kind, reference.unique) == ("certified", False)
    assert reference.loss == pytest.approx(1 / 3 if fit_intercept else 1.0, rel=1e-15)
    assert not reference.parameters["weight"].any()


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_a_bound_is_certified_by_the_loss_of_the_best_constant(offset, monkeypatch):
    """A vertex whose bound is 1e-3 is no proof, whatever the offset of the target."""
    x = np.arange(5.0)
    monkeypatch.setattr(
        "optlab.problems.certified.linear_reference.minimise_kinks",
        lambda kinks: minimise_kinks(kinks)._replace(bound=1e-3),
    )
    found = ol.QuantileRegression(x[:, None], offset + x**2).reference()
    assert (found.kind, found.trusted) == ("computed", False)


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_quantiles_of_columns_with_offsets_are_exact(seed):
    """Offsets of up to 1e12 leave spreads of 1 with four digits, in which all is solved."""
    draw = np.random.default_rng(seed)
    X, y = draw.normal(size=(9, 2)) + 10.0 ** draw.uniform(5, 12, 2), draw.normal(size=9)
    y = y + draw.choice([0.0, 1e9])
    assert_bound_holds(ol.QuantileRegression(X, y, quantile=float(draw.choice([0.25, 0.5]))))
