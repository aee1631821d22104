"""The judgement of a linear model's point, on two rows: suboptimality, distance and balance."""

import math

import pytest
import torch

from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.linear_reference import LinearOptimum
from optlab.problems.losses.quantile import Quantile
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared
from optlab.problems.model_judge import ModelJudge, _balance, _norm
from optlab.problems.penalties.elastic_net import ElasticNet
from optlab.problems.problem import Reference


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def objective(loss, y, l1=0.0, l2=0.0, design=((1.0, 1.0), (1.0, 3.0))):
    share = tensor(0.5, 0.5)
    free = tensor(0.0, *[1.0] * (len(design[0]) - 1))
    return Objective(tensor(*design), y, share, 0 * share, loss, l1 * free, l2 * free)


def optimum(theta, eta, slope, low=None, **facts):
    parts = [part if isinstance(part, tuple) else (part, 0 * part) for part in (theta, eta, slope)]
    facts = {"kind": "certified", "loss": 0.25, "unique": True} | facts
    return LinearOptimum(Reference(**facts), *parts)


def at(bias, *weight):
    return {"weight": tensor(*weight), "bias": torch.tensor(bias, dtype=torch.float64)}


@pytest.mark.parametrize("point", [(3.0, 0.5), (0.5, 1.5), (0.0, 0.0), (0.625, 1.25), (1.0, -9.0)])
@pytest.mark.parametrize("slopes", [(0.5, -0.25), (-0.25, -0.5), (0.5, -0.5), (0.25, 0.5)])
def test_slopes_that_do_not_balance_are_taken_off_again(point, slopes):
    """Slopes are given: at (1 + 3 x) / 2 residuals are 0 and 1, and the loss is 1/4."""
    its = objective(Quantile(0.5), tensor(2.0, 6.0))
    low = tensor(2.0**-12, 2.0**-11)
    best = optimum((tensor(0.5, 1.5) - low, low), tensor(2, 5), tensor(*slopes))
    judge = ModelJudge(its, best, ElasticNet(), True)
    assert judge.level == (0.5 + slopes[1]) / 2
    found = judge(at(*point))
    right = sum(abs(y - point[0] - point[1] * x) for x, y in ((1, 2), (3, 6))) / 4
    assert found.loss == pytest.approx(right, rel=1e-15, abs=0)
    assert found.suboptimality == pytest.approx(right - 0.25, rel=1e-14, abs=1e-15)
    assert math.isnan(found.gradient_norm)
    apart = math.hypot(point[0] - 0.5, point[1] - 1.5)
    size = math.hypot(*best.theta[0].tolist())
    assert found.parameter_error == pytest.approx(apart / size, rel=1e-15, abs=0)


POINTS = [(1.0, 1.0), (1.5, 1.25), (0.0, 0.0), (2.0, -1.0), (0.0, 5.0)]


@pytest.mark.parametrize("point", POINTS)
def test_the_penalty_and_its_slope_are_part_of_the_suboptimality(point):
    """At 1 + x the slopes 3/4 and -3/4 balance l1 = 1/2 and l2 = 1/4."""
    y = tensor(2 - 0.375, 4 + 0.375)
    its, penalty = objective(Squared(), y, l1=0.5, l2=0.25), ElasticNet(l1=0.5, l2=0.25)
    judge = ModelJudge(its, optimum(tensor(1, 1), tensor(2, 4), tensor(0.75, -0.75)), penalty, True)

    def loss(bias, w):
        squares = ((bias + w * x - t) ** 2 / 2 for x, t in ((1, y[0]), (3, y[1])))
        return float(sum(squares) + abs(w) / 2 + w * w / 8)

    found = judge(at(*point))
    assert found.loss == pytest.approx(loss(*point), rel=1e-15, abs=0)
    assert found.suboptimality == pytest.approx(loss(*point) - loss(1, 1), rel=1e-14, abs=0)
    slopes = [2 * (point[0] + point[1] * x - t) / 2 for x, t in ((1, y[0]), (3, y[1]))]
    own = slopes[0] + 3 * slopes[1] + point[1] / 4
    own = own + math.copysign(0.5, point[1]) if point[1] else max(abs(own) - 0.5, 0.0)
    assert found.gradient_norm == pytest.approx(
        float(math.hypot(own, sum(slopes))), rel=1e-14, abs=0
    )


def test_what_rounding_took_off_the_minimiser_counts():
    """Of the minimiser x - 1 and 2**-60 (1 + 4 x) the first part is off by 2**-60 (5, 13)."""
    theta, eta = (tensor(-1, 1), tensor(1, 4) * 2.0**-60), (tensor(0, 2), tensor(5, 13) * 2.0**-60)
    its = objective(Squared(), tensor(0, 2))
    judge = ModelJudge(its, optimum(theta, eta, tensor(0, 0)), ElasticNet(), True)
    near, far = judge(at(-1.0, 1.0)), judge(at(0.0, 0.0))
    assert near.suboptimality == 97 * 2.0**-120
    assert near.parameter_error == pytest.approx(2.0**-60 * math.sqrt(17 / 2), rel=1e-15, abs=0)
    assert far.suboptimality == pytest.approx(2.0, rel=1e-15, abs=0)


def test_the_gradient_of_several_classes_is_summed_over_rows():
    """At zero each class has 1/2: slopes of -1/2 and 1/2, of rows x = 1 and 3 of the first."""
    its = objective(Softmax(2), torch.tensor([0, 0]))
    nothing = LinearOptimum(Reference(kind="computed", loss=0.0))
    zero = {"weight": torch.zeros((1, 2)).double(), "bias": torch.zeros(2).double()}
    found = ModelJudge(its, nothing, ElasticNet(), True)(zero)
    assert found.gradient_norm == pytest.approx(math.sqrt(1 + 1 + 0.25 + 0.25), rel=1e-15, abs=0)


def test_without_an_intercept_all_entries_are_weights():
    its = objective(Squared(), tensor(2, 4), design=((2.0,), (1.0,)))
    judge = ModelJudge(its, optimum(tensor(2), tensor(4, 2), tensor(4, -4)), ElasticNet(), False)
    found = judge({"weight": tensor(3)})
    # Of the rows 2 w - 2 and w - 4; the slopes given leave 1/2 (8 - 4) unbalanced.
    assert found.suboptimality == pytest.approx((16 + 1) / 2 - (4 + 4) / 2, rel=1e-15, abs=0)
    assert found.gradient_norm == pytest.approx(2 * 4 - 1, rel=1e-15, abs=0)
    assert found.parameter_error == 0.5


def test_without_a_minimiser_the_suboptimality_is_the_difference_of_the_losses():
    its = objective(Squared(), tensor(2, 5))
    nothing = LinearOptimum(Reference(kind="computed", loss=0.25, unique=None))
    found = ModelJudge(its, nothing, ElasticNet(), True)(at(0.0, 1.0))
    assert found.suboptimality == (1 + 4) / 2 - 0.25
    assert math.isnan(found.parameter_error)


@pytest.mark.parametrize(("penalty", "right"), [({}, 20), ({"l1": 0.5}, 78), ({"l2": 0.5}, 78)])
@pytest.mark.parametrize("best", [(0.0, 0.0), (3.0, 4.0)])
def test_the_distance_is_less_what_all_classes_share_where_nothing_determines_it(
    penalty, right, best
):
    """Weights are off by 1 and 3, and 2 and 8, biases by 2 and 6: of both classes alike by 4."""
    its = objective(Softmax(2), torch.tensor([0, 1]), design=((1.0, 1.0, 2.0), (1.0, 3.0, 4.0)))
    b, w = best
    theta, low = tensor([b, b], [w, w], [w, w]), tensor([0.25, 0.25], [0.0, 0.0], [0.0, 0.0])
    best = optimum((theta - low if b else theta, low if b else 0 * low), theta[:2], theta[:2])
    judge = ModelJudge(its, best, ElasticNet(**penalty), True)
    weight, bias = tensor([w + 1, w + 3], [w + 2, w + 8]), tensor(b + 2, b + 6)
    size = math.hypot(*best.theta[0].reshape(-1).tolist()) or 1.0
    assert judge._error(weight, bias) == pytest.approx(
        math.sqrt(right + 8) / size, rel=1e-15, abs=0
    )


@pytest.mark.parametrize(("loss", "y"), [(Quantile(0.5), 0.0), (Squared(), 2.0**40)])
@pytest.mark.parametrize(("share", "is_rounding"), [(0.99, True), (1.01, False)])
def test_what_a_balance_leaves_is_zero_where_it_may_be_rounding(loss, y, share, is_rounding):
    """Slopes -1 and 1 balance at w = 4: 0 and (-2 - 1) / 2 + 4 l2 + l1; low parts leave a rest.

    Rounding is 2**-80 of the terms, 1, and 3/2 + 1 + 1/2; of least squares also four times the
    errors of its slopes, 4 units of 2**-104 of the target.
    """
    its = objective(loss, tensor(y, y), l1=0.5, l2=0.25, design=((1.0, 2.0), (1.0, -1.0)))
    theta, slope, error = tensor(1, 4), tensor(-1, 1), [2.0**-80, 2.0**-80 * 3]
    if loss.kink is None:
        error = [e + 16 * 2.0**-104 * y * rows for e, rows in zip(error, (1, 1.5), strict=True)]
    for low in ((2 * error[0] * share, 0.0), (0.0, -2 * error[1] * share)):
        pull, rest = _balance(its, optimum(theta, tensor(0, 0), (slope, tensor(*low))))
        assert pull.tolist() == [0.0, 0.5]
        assert (rest[int(low[0] == 0)] == 0) == is_rounding


def test_the_penaltys_slope_at_zero_is_what_balances_up_to_l1():
    its = objective(Quantile(0.5), tensor(0, 0), l1=0.5, design=((1.0, 2.0), (1.0, -1.0)))
    for slope, pull, rest in [
        ((0.25, -0.25), -0.375, 0.0),
        ((0.5, -0.5), -0.5, 0.25),
        ((-0.5, 0.5), 0.5, -0.25),
    ]:
        slopes = (tensor(*slope), tensor(2.0**-60, 0.0))
        found = _balance(its, optimum(tensor(0, 0), tensor(0, 0), slopes))
        assert found[0].tolist() == [0.0, pull]
        assert found[1].tolist() == [2.0**-61, rest]
    free = objective(Quantile(0.5), tensor(0, 0), design=((1.0, 2.0), (1.0, -1.0)))
    slopes = tensor(0.25, -0.25)
    assert _balance(free, optimum(tensor(0, 0), tensor(0, 0), slopes))[1].tolist() == [0.0, 0.375]


def test_a_norm_is_right_where_its_square_is_no_float():
    assert _norm(tensor(3, 4), None) == 5.0
    assert _norm(tensor(3, -4), tensor(12)) == 13.0
    assert _norm(tensor([0.0, 0.0]), None) == 0.0
    for size in (1e300, 1e-300):
        assert _norm(size * tensor(3, 4), None) == pytest.approx(5 * size, rel=1e-15, abs=0)
    assert _norm(tensor(3, -math.inf), None) == math.inf
    assert math.isnan(_norm(tensor(3, math.nan), None))


@pytest.mark.parametrize(("weight", "pull"), [(4.0, 2.0), (-4.0, -2.0)])
def test_the_penaltys_slope_of_a_weight_has_its_sign_whatever_balances(weight, pull):
    """The loss's slopes are 3/4 and 0, which the pull is added to."""
    its = objective(Quantile(0.5), tensor(0, 0), l1=2.0, design=((1.0, 2.0), (1.0, -1.0)))
    best = optimum(tensor(1, weight), tensor(0, 0), tensor(0.5, -0.5))
    found = _balance(its, best)
    assert [part.tolist() for part in found] == [[0.0, pull], [0.0, 0.75 + pull]]
