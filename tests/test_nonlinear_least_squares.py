"""Nonlinear least squares as a problem: derivatives, weights, starts, judging, bad input."""

import math
import pickle
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

import optlab as ol
from optlab.optimizers.gauss_newton import _line_search
from optlab.problems.capabilities import HasCurvature, HasResiduals, gradient
from optlab.problems.curves.trust_region import LeastSquaresPoint
from optlab.problems.vector import flatten, unflatten

x = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
y = [4.1, 3.0, 2.0, 1.6, 1.0, 0.5]
START = {"height": 1.0, "rate": 1.0}


def decay(parameters, x):
    return parameters["height"] * torch.exp(-parameters["rate"] * x)


def curve(**changes):
    return ol.NonlinearLeastSquares(decay, x, y, **({"start": START} | changes))


@pytest.fixture(scope="module")
def plain():
    """The curve, whose reference is computed once."""
    return curve()


def at(height, rate):
    return {
        "height": torch.tensor(height, dtype=torch.float64),
        "rate": torch.tensor(rate, dtype=torch.float64),
    }


points = st.tuples(st.floats(0.1, 10), st.floats(-1, 3))
weights = st.one_of(st.none(), st.lists(st.floats(0.1, 9), min_size=6, max_size=6))


def test_has_the_protocol_and_its_capabilities():
    problem = curve()
    assert isinstance(problem, ol.Problem)
    assert isinstance(problem, HasResiduals)
    assert isinstance(problem, HasCurvature)


@given(points, weights)
@settings(max_examples=10)
def test_loss_residuals_jacobian_and_products_agree(point, weight):
    problem, parameters = curve(sample_weight=weight), at(*point)
    residual, jacobian = problem.residuals(parameters), problem.jacobian(parameters)
    n = len(y)
    assert problem.loss(parameters).item() == pytest.approx(residual.square().mean().item())
    slope = flatten(gradient(problem, parameters))
    torch.testing.assert_close(slope, 2 / n * jacobian.T @ residual, rtol=1e-10, atol=1e-12)
    hessian = problem.hessian(parameters)
    for direction in torch.eye(2, dtype=torch.float64):
        product = problem.hessian_product(parameters, unflatten(direction, parameters))
        torch.testing.assert_close(flatten(product), hessian @ direction, rtol=1e-10, atol=1e-12)
    # Central differences of the gradient: h^2 and eps / h, each about 1e-10 of the size.
    h, size = 1e-5, hessian.abs().max().item() + slope.abs().max().item()
    for j, direction in enumerate(torch.eye(2, dtype=torch.float64)):
        ends = [
            unflatten(flatten(parameters) + sign * h * direction, parameters) for sign in (1, -1)
        ]
        up, down = (flatten(gradient(problem, end)) for end in ends)
        torch.testing.assert_close((up - down) / (2 * h), hessian[:, j], rtol=0, atol=1e-6 * size)


def test_a_row_of_weight_two_is_the_same_row_twice_and_one_of_weight_zero_is_none():
    weighted = curve(sample_weight=[2, 1, 1, 1, 1, 0])
    rows = [0, 0, 1, 2, 3, 4]
    repeated = ol.NonlinearLeastSquares(decay, np.array(x)[rows], np.array(y)[rows], start=START)
    for point in [at(1.0, 1.0), at(3.0, 0.5)]:
        assert weighted.loss(point).item() == pytest.approx(repeated.loss(point).item(), rel=1e-14)
    one, other = (flatten(p.reference().parameters) for p in (weighted, repeated))
    torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


def test_a_batch_has_the_mean_over_its_rows():
    problem = curve()
    halves = [ol.Batch(problem.X[s], problem.y[s]) for s in (slice(0, 3), slice(3, 6))]
    parts = [problem.loss(at(2.0, 1.0), half).item() for half in halves]
    assert problem.loss(at(2.0, 1.0)).item() == pytest.approx(sum(parts) / 2)
    with pytest.raises(ValueError, match="have weights, but the batch has none"):
        curve(sample_weight=[1, 1, 1, 1, 1, 2]).loss(at(2.0, 1.0), halves[0])


@pytest.mark.parametrize("as_given", [list, np.array, pd.Series, torch.tensor])
def test_x_may_be_a_vector(as_given):
    problem = ol.NonlinearLeastSquares(decay, as_given(x), y, start=START)
    assert problem.X.shape == (6,)
    assert problem.loss(at(1.0, 1.0)).item() == pytest.approx(curve().loss(at(1.0, 1.0)).item())


def test_x_may_have_columns_and_the_start_be_a_vector(plain):
    columns = ol.NonlinearLeastSquares(
        lambda p, X: p[0] * torch.exp(-p[1] * X[:, 0]), np.array(x)[:, None], y, start=[1.0, 1.0]
    )
    assert columns.start(torch.Generator()).keys() == {"parameters"}
    (vector,) = columns.reference().parameters.values()
    assert torch.equal(vector, flatten(plain.reference().parameters))


def test_float32_data_have_a_reference_of_their_own_and_trials_in_float32_are_judged_by_float64(
    plain,
):
    problem = plain
    rounded = problem.to("cpu", torch.float32)
    assert rounded.y.dtype == torch.float32
    assert problem.to("cpu", torch.float64) is problem
    copy = problem.to("cpu", torch.float64, copy=True)
    assert copy.reference() is problem.reference()
    assert rounded.reference().loss != problem.reference().loss
    solution = ol.minimize(problem, ol.LevenbergMarquardt(), dtype="float32", epochs=50)
    assert solution.parameters["rate"].dtype == torch.float32
    assert 5 < solution.trace["correct_digits"].iloc[-1] < 10


def test_an_exact_nist_answer_does_not_go_along_with_rounded_data_but_is_a_start_for_them():
    data = ol.datasets.nist_nonlinear("Misra1a")
    problem = ol.NonlinearLeastSquares.from_dataset(data, start=1)
    rounded = problem.to("cpu", torch.float32)
    assert rounded.reference().kind == "computed"
    assert rounded.reference().trusted
    assert len(rounded.starts) == 1  # a seed takes the same start in every dtype
    # Rounding moves the parameters by its relative size times the condition number, 40.
    for name, value in problem.reference().parameters.items():
        other = rounded.reference().parameters[name]
        assert other.item() == pytest.approx(value.item(), rel=40 * 2**-24 * 10)


def exact_suboptimality(point, minimum):
    """The difference of two losses in 60 digits."""

    def loss(height, rate):
        rows = zip(map(mpf, x), map(mpf, y), strict=True)
        return sum((height * mp.exp(-rate * a) - b) ** 2 for a, b in rows) / len(y)

    return loss(*map(mpf, point)) - loss(*minimum)


@settings(max_examples=20)
@given(st.integers(-14, 0), st.floats(-1, 1), st.floats(-1, 1))
def test_suboptimality_is_right_near_and_far(plain, exponent, one, other):
    problem = plain
    best = [value.item() for value in problem.reference().parameters.values()]
    point = [b + 10.0**exponent * d for b, d in zip(best, (one, other), strict=True)]
    with mp.workdps(60):
        refined = mp.findroot(
            lambda a, b: [
                mp.diff(lambda t: exact_suboptimality((t, b), (0, 0)), a),
                mp.diff(lambda t: exact_suboptimality((a, t), (0, 0)), b),
            ],
            best,
            tol=1e-80,
        )
        exact = float(exact_suboptimality(point, list(refined)))
    judged = problem.evaluate(at(*point))
    # The reference is off by up to eps of each parameter, which is felt where the distance is.
    slack = max(4e-16 / 10.0**exponent / max(abs(one), abs(other), 1e-300), 0) if exact else 0
    assert judged.suboptimality == pytest.approx(exact, rel=1e-4 + 40 * slack, abs=1e-30)


def test_a_minimum_that_is_not_the_least_is_seen_as_negative_suboptimality():
    # Two minima, at -1 and at 2; the start and those near it lead to the first.
    def model(parameters, x):
        p = parameters["p"]
        return (p + 1) * (p - 2) * x + 0.1 * (2 - p)

    problem = ol.NonlinearLeastSquares(model, [1.0, 2.0], [0.0, 0.0], start={"p": -1.2})
    reference = problem.reference()
    assert reference.kind == "computed"
    assert reference.parameters["p"].item() < 0
    assert problem.evaluate({"p": torch.tensor(2.0)}).suboptimality < 0


def test_parameters_that_the_data_do_not_determine_are_no_trusted_reference():
    def model(parameters, x):
        return (parameters["a"] + parameters["b"]) * x

    reference = ol.NonlinearLeastSquares(model, x, y, start={"a": 1.0, "b": 2.0}).reference()
    assert not reference.trusted
    assert "singular" in reference.message
    assert math.isnan(reference.digits)


def test_parameters_that_run_away_are_no_trusted_reference():
    def model(parameters, x):
        return torch.exp(-parameters["rate"] * x)

    reference = ol.NonlinearLeastSquares(model, [1.0, 2.0], [0.0, 0.0], start={"rate": 1.0})
    reference = reference.reference()
    assert reference.loss == 0.0  # an underflow: the infimum is at infinity
    assert not reference.trusted
    assert math.isnan(reference.digits)
    assert "not attained" in reference.message


def test_a_start_at_0_where_descent_cannot_begin_is_left():
    def model(parameters, x):
        return torch.cos(parameters["a"]) * x

    reference = ol.NonlinearLeastSquares(model, x, [-v / 2 for v in x], start={"a": 0.0})
    reference = reference.reference()
    # Rounding moves the cosine by eps, and the angle by eps / sin(a), at |cos(a)| = 1 / 2.
    assert abs(reference.parameters["a"].item()) == pytest.approx(2 * math.pi / 3, rel=4e-15)
    assert reference.trusted


def test_a_saddle_is_no_trusted_reference():
    def model(parameters, x):
        near = (parameters["a"].abs() < 1e-9) & (parameters["b"] > 0)  # no further start is
        return torch.where(near, torch.cos(parameters["a"]) + (parameters["b"] - 1) ** 3, nan) * x

    nan = torch.tensor(torch.nan, dtype=torch.float64)
    start = {"a": 0.0, "b": 1.0}
    reference = ol.NonlinearLeastSquares(model, x, [-v / 2 for v in x], start=start).reference()
    assert reference.parameters["a"] == 0.0
    assert not reference.trusted
    assert math.isnan(reference.digits)
    assert "negative eigenvalue, so that it is a saddle or a maximum" in reference.message


def test_a_point_that_no_curvature_tells_apart_is_judged_by_its_loss():
    def model(parameters, x):
        return parameters["step"].round() * x

    problem = ol.NonlinearLeastSquares(model, [1.0, 2.0], [2.0, 4.0], start={"step": 2.0})
    assert problem.evaluate({"step": torch.tensor(1.0)}).suboptimality == 2.5


def test_pickles_without_what_can_be_made_again():
    problem = ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear("Rat42"))
    problem.evaluate(problem.starts[0])
    again = pickle.loads(pickle.dumps(problem))
    assert again.evaluate(again.starts[1]) == problem.evaluate(problem.starts[1])


BAD = {
    "a model that is none": ({"model": 3}, "model must be a function"),
    "a column for each row": (
        {"model": lambda p, x: decay(p, x)[:, None]},
        r"must return a tensor of shape \(6,\) for X of shape \(6,\), not \(6, 1\)",
    ),
    "a number": ({"model": lambda p, x: 1.0}, r"must return a tensor of shape \(6,\).*float"),
    "no parameters": ({"start": {}}, "start has no parameters"),
    "no start": ({"start": []}, "start must be a dict of named parameters"),
    "text": ({"start": {"height": "one", "rate": 1.0}}, "height must be real numbers"),
    "NaN in the start": (
        {"start": {"height": math.nan, "rate": 1.0}},
        "start: height must be finite, not nan",
    ),
    "an overflow in one row": (
        {"start": {"height": 1.0, "rate": -400.0}},
        r"start \(height=1, rate=-400\).*is 5.2\d+e\+173 in row 2 .*X is 1.0; 4 of 6 rows are such",
    ),
    "a second start of no finite loss": (
        {"start": [START, {"height": 1.0, "rate": -400.0}]},
        r"start 2 \(height=1",
    ),
    "starts of different parameters": (
        {"start": [START, {"height": 1.0}]},
        "all starts must have the same parameters",
    ),
    "a name that is none": ({"name": 3}, "name must be text"),
    "weights of zero": ({"sample_weight": [0.0] * 6}, "sample_weight is 0 in every row"),
    "a reference that is no minimum": (
        {"reference": ol.Reference(kind="certified", loss=0.1, parameters=at(4.0, 1.0))},
        "reference is no minimum of 'curve'",
    ),
    "a reference of other parameters": (
        {
            "reference": ol.Reference(
                kind="certified", loss=0.1, parameters={"height": torch.ones(())}
            )
        },
        "reference has parameters",
    ),
    "a reference without parameters": (
        {"reference": ol.Reference(kind="computed", loss=0.1)},
        "reference must have parameters",
    ),
    "a reference beyond the model": (
        {"reference": ol.Reference(kind="computed", loss=0.1, parameters=at(1.0, -400.0))},
        "reference is no minimum of 'curve': the residuals there or their derivatives are not fin",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_words(case):
    changes, message = BAD[case]
    given = {"model": decay, "start": START} | changes
    model = given.pop("model")
    with pytest.raises(ValueError, match=message):
        ol.NonlinearLeastSquares(model, x, y, **given)


@given(weights, st.floats(1e-5, 1e3), st.sampled_from([-1, 1]))
@settings(max_examples=10)
def test_a_reference_has_the_loss_of_its_parameters(plain, weight, off, sign):
    on_curve, exact = decay(at(4.0, 0.75), torch.tensor(x).double()), at(4.0, 0.75)
    zero = ol.Reference(kind="certified", loss=0.0, parameters=exact)
    # The second leaves residuals that are rounding alone, whatever the weights.
    for target, known, weighted in ((y, plain.reference(), None), (on_curve, zero, weight)):
        given = {"start": START, "sample_weight": weighted, "reference": known}
        assert ol.NonlinearLeastSquares(decay, x, target, **given).reference() is known
        for loss in (known.loss + sign * off * max(known.loss, 1e-9), math.nan):
            given["reference"] = replace(known, loss=loss)
            with pytest.raises(ValueError, match="reference has the loss"):
                ol.NonlinearLeastSquares(decay, x, target, **given)


def test_a_parameter_without_effect_at_the_reference_is_stationary():
    known = ol.Reference(kind="certified", loss=0.0, parameters=at(0.0, 1.0))
    problem = ol.NonlinearLeastSquares(decay, x, [0.0] * 6, start=START, reference=known)
    assert not problem.jacobian(known.parameters)[:, 1].any()
    end = ol.minimize(problem, ol.LevenbergMarquardt(), stop_at=1e-9)
    assert end.status == "converged"
    assert end.loss == pytest.approx(end.suboptimality)


def test_a_column_that_should_have_been_taken_is_named():
    with pytest.raises(ValueError, match=r"take the column X\[:, 0\]"):
        ol.NonlinearLeastSquares(decay, np.array(x)[:, None], y, start=START)


class Fixed:
    """Residuals and a Jacobian that are given."""

    def __init__(self, residual, jacobian):
        self.values = torch.tensor(residual), torch.tensor(jacobian)

    def residuals(self, point):
        return self.values[0]

    def jacobian(self, point):
        return self.values[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_point_is_finite_where_residuals_and_jacobian_both_are(bad):
    point = torch.zeros(1)
    assert LeastSquaresPoint(Fixed([1.0, 2.0], [[1.0], [0.0]]), point).is_finite
    assert not LeastSquaresPoint(Fixed([1.0, bad], [[1.0], [0.0]]), point).is_finite
    assert not LeastSquaresPoint(Fixed([1.0, 2.0], [[1.0], [bad]]), point).is_finite


class Straight:
    """The residuals are the parameters."""

    def residuals(self, point):
        return point

    def jacobian(self, point):
        return torch.eye(len(point), dtype=point.dtype)


def test_a_step_that_hardly_reduces_the_squares_is_halved():
    """From 1 to -0.99999 the square falls by 2e-5 of the 4 that the slope promises."""
    here = LeastSquaresPoint(Straight(), torch.ones(1, dtype=torch.float64))
    reached = _line_search(here, torch.tensor([-1.99999], dtype=torch.float64))
    assert reached.point.item() == pytest.approx(5e-6)
    whole = _line_search(here, torch.tensor([-1.5], dtype=torch.float64))
    assert whole.point.item() == -0.5
    assert _line_search(here, torch.tensor([1.0], dtype=torch.float64)) is None  # uphill


@pytest.mark.parametrize(("start", "attempts"), [((1.0, 1.0), 5), ((-1.2, 1.0), 20)])
def test_five_steps_whose_gain_is_below_rounding_end_a_run(monkeypatch, start, attempts):
    """Each step is taken, and leads nowhere; 20 are asked for."""
    monkeypatch.setattr("optlab.optimizers.gauss_newton._line_search", lambda here, step: here)

    def model(parameters, x):
        a, b = parameters["p"]
        return torch.stack([10 * (b - a**2), a - 1]) + 0 * x

    problem = ol.NonlinearLeastSquares(model, [0.0, 1.0], [0.0, 0.0], start={"p": list(start)})
    iterates = ol.GaussNewton().iterates(problem, None, problem.start(torch.Generator()))
    assert len(list(islice(iterates, 20))) == attempts


def test_a_model_that_asks_for_what_the_start_has_not_is_told_its_name():
    x, y = [0.0, 1.0, 2.0], [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"asks for the parameter 'b', .* it has a$"):
        ol.NonlinearLeastSquares(lambda p, x: p["a"] + p["b"] * x, x, y, start={"a": 1.0})
    with pytest.raises(ValueError, match="has a; give start as a vector for numbers"):
        ol.NonlinearLeastSquares(lambda p, x: p[0] * x, x, y, start={"a": 1.0})
