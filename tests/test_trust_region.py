"""The parts of a curve fit by hand: steps within a radius, rounding, references and digits."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.problems.curves.computed_reference import (
    _digits,
    _message,
    _scaled_hessian,
    _starts,
    computed_reference,
)
from optlab.problems.curves.curve_judge import CurveJudge
from optlab.problems.curves.known_reference import checked_reference
from optlab.problems.curves.scaled_jacobian import ScaledJacobian, column_norms
from optlab.problems.curves.starts import checked_starts
from optlab.problems.curves.trust_region import LeastSquaresPoint, TrustRegion, _bent, _next_radius

EPS = 2.0**-52


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


class Functions:
    """Residuals of two parameters, with the Jacobian and the second derivative by hand."""

    def __init__(self, residuals, jacobian, acceleration=None):
        self.residuals, self.jacobian, self.acceleration = residuals, jacobian, acceleration


A, B = tensor([3.0, 0.0], [4.0, 1.0], [0.0, 2.0]), tensor(1.0, -2.0, 3.0)
LINE = Functions(lambda x: A @ x - B, lambda _: A, lambda x, step: 0 * B)
ROSENBROCK = Functions(
    lambda x: torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]),
    lambda x: tensor([-20 * float(x[0]), 10.0], [-1.0, 0.0]),
    lambda x, step: torch.stack([-20 * step[0] ** 2, 0 * step[0]]),
)


@pytest.mark.parametrize(
    ("radius", "length", "share", "damping", "following"),
    [
        (1.0, 0.9, 0.8, 1.0, 1.8), (4.0, 1.0, 0.8, 1.0, 4.0), (1.0, 0.9, 0.75, 1.0, 1.0),
        (1.0, 0.9, 0.3, 0.0, 1.8), (1.0, 0.9, 0.25, 0.0, 1.0), (1.0, 0.9, 0.3, 1.0, 1.0),
        (1.0, 0.8, 0.2, 1.0, 0.4), (0.6, 0.8, 0.2, 0.0, 0.3), (1.0, 0.8, 0.0, 1.0, 0.4),
        (1.0, 0.8, -0.1, 1.0, 0.2), (0.6, 0.8, -9.0, 0.0, 0.15), (1.0, 0.9, 0.25, 1.0, 1.0),
    ],
)  # fmt: skip
def test_the_radius_grows_after_good_steps_and_shrinks_after_bad_ones(
    radius, length, share, damping, following
):
    assert _next_radius(radius, length, share, damping) == pytest.approx(following, rel=1e-15)


def test_the_noise_of_a_sum_of_squares_and_where_a_change_is_lost_in_it():
    x = tensor(1.0, -2.0)
    at = LeastSquaresPoint(LINE, x)
    r = A @ x - B
    noise = 4 * EPS * (A.abs() @ x.abs() + r.abs()).norm() * r.norm()
    assert at.noise == pytest.approx(float(noise), rel=1e-14, abs=0)
    assert at.slope.tolist() == (A.T @ r).tolist()
    assert at.is_lost(-999 * at.noise)
    assert at.is_lost(1000 * at.noise)
    assert not at.is_lost(-1001 * at.noise)
    assert not at.is_lost(1e4 * at.noise)


def test_a_reduction_is_the_difference_or_where_that_is_lost_the_mean_slope():
    x, s = tensor(1.0, -2.0), tensor(0.5, 1.0)
    here = LeastSquaresPoint(LINE, x)
    to = LeastSquaresPoint(LINE, x + s)
    squares = [float(at.residual @ at.residual) for at in (here, to)]
    assert here.reduction(to, 1.0) == pytest.approx(squares[0] - squares[1], rel=1e-14)
    near = LeastSquaresPoint(LINE, x + 1e-14 * s)
    exact = -float(s @ A.T @ here.residual) * 2e-14
    step = near.point - x  # as rounded
    by_slopes = -2 * float(step @ here.slope)
    assert here.reduction(near, exact) == pytest.approx(by_slopes, rel=1e-9, abs=0)
    assert here.reduction(near, 1.0) != here.reduction(near, exact)  # not expected: as it is
    for value, is_finite in ((math.nan, False), (math.inf, False), (1.0, True)):
        bad = Functions(lambda x, value=value: value * x, lambda _: A)
        assert LeastSquaresPoint(bad, x).is_finite is is_finite
        bad = Functions(lambda x: x, lambda _, value=value: value * A)
        assert LeastSquaresPoint(bad, x).is_finite is is_finite


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_first_step_is_as_long_as_the_first_radius(share):
    start = tensor(-1.2, 1.0)
    scale = ROSENBROCK.jacobian(start).norm(dim=0)
    _, first = islice(TrustRegion(share).points(ROSENBROCK, start), 2)
    length = float((scale * (first.point - start)).norm())
    assert length == pytest.approx(share * float((scale * start).norm()), rel=0.1)
    from_zero = Functions(lambda x: x - 100.0, lambda _: torch.eye(2).double())
    _, first = islice(TrustRegion(share).points(from_zero, tensor(0.0, 0.0)), 2)
    assert float(first.point.norm()) == pytest.approx(share, rel=0.1)


def test_a_linear_problem_takes_one_step_and_the_curved_one_ends_at_its_minimum():
    exact = torch.linalg.lstsq(A, B[:, None]).solution[:, 0]
    points = [at.point for at in TrustRegion(100.0).points(LINE, tensor(1.0, 1.0))]
    torch.testing.assert_close(points[1], exact, rtol=1e-14, atol=0)
    assert len(points) <= 4
    for geodesic in (False, True):
        region = TrustRegion(geodesic=geodesic)
        *path, last = region.points(ROSENBROCK, tensor(-1.2, 1.0))
        assert last.point.tolist() == [1.0, 1.0]
        values = [float(at.residual @ at.residual) for at in (*path, last)]
        assert values == sorted(values, reverse=True)
        assert len(values) <= (25 if geodesic else 20)
    poles = Functions(lambda x: 1 / x, lambda x: torch.diag(-1 / x**2))
    assert len(list(TrustRegion().points(poles, tensor(0.0, 1.0)))) == 1


def test_a_bent_step_adds_half_the_acceleration_unless_that_is_long():
    here = LeastSquaresPoint(ROSENBROCK, tensor(-1.2, 1.0))
    J, scale = here.jacobian, here.jacobian.norm(dim=0)
    scaled = ScaledJacobian(J, here.residual, scale)
    for damping, is_long in ((1e3, False), (0.0, True)):
        step = scaled.step(damping) / scale
        second = ROSENBROCK.acceleration(here.point, step)
        D = torch.diag(scale**2)
        bend = -torch.linalg.solve(J.T @ J + damping * D, J.T @ second)
        ratio = float((scale * bend).norm() / (scale * step).norm())
        assert (ratio > 0.375) is is_long
        bent = _bent(ROSENBROCK, here, scaled, scale, damping, step)
        if is_long:
            assert bent is None
        else:
            torch.testing.assert_close(bent, step + bend / 2)
    endless = Functions(*[None] * 2, lambda x, step: tensor(math.inf, 0.0))
    assert _bent(endless, here, scaled, scale, 1.0, step) is None


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0])
def test_a_damped_steps_length_is_within_a_tenth_of_the_radius(radius):
    draw = np.random.default_rng(8)
    J, r = (torch.from_numpy(draw.normal(size=shape)) for shape in ((9, 3), (9,)))
    scaled = ScaledJacobian(J, 10 * r, column_norms(J))
    damping = scaled.damping(radius)
    assert damping > 0
    assert abs(float(scaled.step(damping).norm()) - radius) <= 0.1 * radius
    free = float(scaled.step(0.0).norm())
    assert scaled.damping(free / 1.09) == 0
    assert scaled.damping(free / 1.11) > 0
    bound = 2 * radius * float((torch.linalg.svdvals(J / column_norms(J)) * scaled.z).norm())
    assert scaled.most_reducible(radius) == pytest.approx(bound, rel=1e-12)
    assert scaled.predicted(damping) <= 1.1 * bound
    assert column_norms(tensor([3.0, 0.0], [4.0, 0.0])).tolist() == [5.0, 1.0]


# --- references -------------------------------------------------------------------------------

T = torch.arange(8.0, dtype=torch.float64)


def growth(p, x):
    return p["a"] * torch.exp(p["b"] * x[:, 0])


def fit(start=None, noise=0.1, **options):
    draw = torch.Generator().manual_seed(2)
    y = 2.0 * torch.exp(0.3 * T) + noise * torch.randn(8, generator=draw).double()
    return ol.NonlinearLeastSquares(
        growth, T[:, None], y, start=start or {"a": 1.0, "b": 0.2}, **options
    )


@pytest.fixture(scope="module")
def curve():
    problem = fit()
    return problem, problem.reference()


def test_a_computed_reference_says_its_digits_and_how_many_starts_ended_there(curve):
    problem, reference = curve
    assert reference.trusted
    assert reference.kind == "computed"
    assert "from 5 starts (5 of them ended there)" in reference.message
    scaled, scale = _scaled_hessian(problem, reference.parameters)
    J, H = problem.jacobian(reference.parameters), 4 * problem.hessian(reference.parameters)
    torch.testing.assert_close(scale, J.norm(dim=0))
    torch.testing.assert_close(scaled * scale * scale[:, None], H)
    p = tensor(*(float(reference.parameters[name]) for name in "ab")).abs()
    r = problem.residuals(reference.parameters)
    size = J.abs() @ p + problem.y.abs() + r.abs()
    error = torch.linalg.inv(H).abs() @ (4 * EPS * J.abs().T @ size)
    digits = -math.log10(float((error / p).max()))
    assert 10 < digits < 15.95
    found = _digits(problem, reference.parameters, scaled, scale)
    assert found == pytest.approx(digits, abs=1e-3)
    assert found == reference.digits


def test_a_point_that_has_not_settled_is_not_trusted_however_curved(curve, monkeypatch):
    monkeypatch.setattr(
        "optlab.problems.curves.computed_reference._polished", lambda _, point: (point, False)
    )
    reference = computed_reference(curve[0])
    assert math.isnan(reference.digits)
    assert not reference.trusted
    assert "had not settled" in reference.message


def test_further_starts_are_scaled_or_moved_and_those_without_a_loss_are_left_out():
    own = _starts(fit({"a": 1.0, "b": 0.0}))
    assert len(own) == 5
    drawn = torch.stack(own[1:])
    generator = torch.Generator().manual_seed(0)
    moved = torch.stack([torch.randn(2, generator=generator, dtype=torch.float64)] + [
        torch.randn(2, generator=generator, dtype=torch.float64) for _ in range(3)
    ]) * 0.3  # fmt: skip
    torch.testing.assert_close(drawn[:, 0], torch.exp(moved[:, 0]))
    torch.testing.assert_close(drawn[:, 1], moved[:, 1])
    steep = _starts(fit({"a": 1.0, "b": 50.5}))  # above it the squares leave float64
    assert len(steep) == 1 + int((moved[:, 1] < 0).sum()) < 5
    two = _starts(fit([{"a": 1.0, "b": 0.1}, {"a": 2.0, "b": 0.2}]))
    assert [float(start[0]) for start in two[:2]] == [1.0, 2.0]
    assert len(two) == 6


def test_messages_of_a_computed_reference_name_what_is_wrong_in_this_order():
    words = ("negative eigenvalue", "singular", "had not settled", "2 of them ended there")
    cases = [(False, True, False), (False, False, False), (True, False, False)]
    for (curved, falls, settled), word in zip([*cases, (True, False, True)], words, strict=True):
        text = _message(3, 2, curved, falls, settled)
        assert word in text
        assert "from 3 starts" in text
    assert "from 1 start:" in _message(1, 1, False, False, True)


def test_a_reference_is_checked_to_half_its_digits(curve):
    problem, reference = curve
    checked_reference(reference, problem)

    def changed(loss=1.0, a=1.0, **shape):
        parameters = dict(reference.parameters) | shape
        parameters["a"] = parameters["a"] * a
        return replace(reference, loss=reference.loss * loss, parameters=parameters)

    checked_reference(changed(loss=1 + 9e-7), problem)
    checked_reference(changed(a=1 + 1e-9), problem)
    for loss in (1 + 2e-6, 1 - 2e-6):
        with pytest.raises(ValueError, match=r"reference has the loss .* a mean of squares, is"):
            checked_reference(changed(loss=loss), problem)
    with pytest.raises(ValueError, match=r"no minimum of 'curve': a column .* have the cosine"):
        checked_reference(changed(a=1.01), problem)
    with pytest.raises(ValueError, match="the residuals there or their derivatives are not finite"):
        checked_reference(changed(b=tensor(1e4)[0]), problem)
    with pytest.raises(ValueError, match=r"reference has parameters .*, the start has"):
        checked_reference(changed(b=tensor(1.0)), problem)
    with pytest.raises(ValueError, match="reference must have parameters"):
        checked_reference(replace(reference, parameters=None), problem)


def test_points_of_a_curve_fit_are_judged_by_their_distance_and_its_digits(curve):
    problem, reference = curve
    judge = CurveJudge(problem, reference)
    best = tensor(*(float(reference.parameters[name]) for name in "ab"))

    def at(*factors):
        a, b = best * tensor(*factors)
        return judge({"a": a, "b": b})

    away = at(1.1, 1.0)
    assert away.parameter_error == pytest.approx(float(0.1 * best[0] / best.norm()), rel=1e-12)
    assert away.more["correct_digits"] == pytest.approx(1.0, abs=1e-12)
    assert away.suboptimality == pytest.approx(away.loss - reference.loss, rel=1e-9)
    assert at(1.0, 1 + 1e-6).more["correct_digits"] == pytest.approx(6.0, abs=1e-6)
    assert at(1.0, 1.0).more["correct_digits"] == 15.0
    assert at(30.0, 1.0).more["correct_digits"] == 0.0
    assert at(math.nan, 1.0).more["correct_digits"] == 0.0
    step = tensor(1e-7, 1e-7) * best  # where squares differ by rounding, the quadratic form counts
    H = problem.hessian(reference.parameters)
    near = at(1 + 1e-7, 1 + 1e-7).suboptimality
    assert near == pytest.approx(float(step @ H @ step / 2), rel=1e-4, abs=0)
    wide = tensor(0.1, -0.1) * best
    far = at(1.1, 0.9).suboptimality
    assert far != pytest.approx(float(wide @ H @ wide / 2), rel=1e-3)


# --- starts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({}, "^start has no parameters$"),
        ([{"a": 1.0}, {}], "^start 2 has no parameters$"),
        ({1: 2.0}, r"start must name its parameters by text, not \[1\]"),
        ({"a": math.inf}, "^start: a must be finite, not inf$"),
        ([{"a": 1.0}, {"a": [math.nan]}], r"^start 2: a must be finite, not \[nan\]$"),
        ([], r"a sequence of either, not an array of shape \(0,\)"),
        ([[[1.0]]], r"not an array of shape \(1, 1, 1\)"),
        (1.0, r"not an array of shape \(\)"),
        ([[], []], r"not an array of shape \(2, 0\)"),
        ({"a": "x"}, "^start: a must be real numbers, not 'x' "),
        ([{"a": 1.0}, {"a": [1.0]}], "start 1 has {'a': ..}, start 2 has {'a': .1,.}"),
        ([{"a": 1.0, "b": 1.0}, {"b": 1.0, "a": 1.0}], "all starts must have the same parameters"),
    ],
)
def test_starts_that_are_none_are_refused_by_name(start, message):
    with pytest.raises(ValueError, match=message):
        checked_starts(start)


def test_starts_are_one_or_several_vectors_or_mappings():
    assert [s["parameters"].tolist() for s in checked_starts([1.0, 2.0])] == [[1.0, 2.0]]
    assert len(checked_starts([[1.0], [2.0], [3.0]])) == 3
    assert len(checked_starts(({"a": 1.0}, {"a": 2.0}))) == 2
    assert checked_starts(torch.ones(2, 3, requires_grad=True))[1]["parameters"].shape == (3,)
    given = np.ones(2)
    assert checked_starts(given)[0]["parameters"].data_ptr() != given.ctypes.data
