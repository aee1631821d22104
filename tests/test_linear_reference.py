"""The parts of a linear model's reference by hand: scales, columns, kinks, digits, sentences."""

import math
from dataclasses import replace

import pytest
import torch

from optlab.problems.certified import linear_reference
from optlab.problems.certified.active_set_newton import Point
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.linear_reference import (
    TRUSTED,
    Columns,
    LinearOptimum,
    _at_infinity,
    _at_vertex,
    _attained,
    _centred,
    _common_shift,
    _digits,
    _exact_rank,
    _independent,
    _kinks,
    _least_norm,
    _offsets,
    _parameters,
    _scale,
    _with_offsets,
    _without_proof,
    constant_optimum,
    optimum,
)
from optlab.problems.certified.recession import Recession
from optlab.problems.certified.suboptimality_bound import Bound
from optlab.problems.losses.huber import Huber
from optlab.problems.losses.logistic import Logistic
from optlab.problems.losses.quantile import Quantile
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared
from optlab.problems.problem import Reference


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def objective(design, y, loss, l1=None, l2=None, share=None):
    design, y = tensor(*design), torch.tensor(y)
    share = (
        torch.full((len(y),), 1 / len(y), dtype=torch.float64) if share is None else tensor(*share)
    )
    zero = [0.0] * design.shape[1]
    y = y if loss.outputs else y.double()
    return Objective(
        design, y, share, 0 * share, loss, tensor(*(l1 or zero)), tensor(*(l2 or zero))
    )


LINE = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]


def test_the_scale_of_a_bound_is_the_loss_of_the_best_constant():
    """Of 1, 3 and 8 the mean is 4, and the squares around it are 9, 1 and 16."""
    its = objective(LINE, [1, 3, 8], Squared())
    assert _scale(its, True) == pytest.approx(26 / 3, rel=1e-14, abs=0)
    assert _scale(its, False) == pytest.approx(74 / 3, rel=1e-14, abs=0)
    assert _scale(objective([[1.0]] * 3, [1, 3, 8], Squared()), True) == pytest.approx(74 / 3)
    best = constant_optimum(its, True)
    assert (best["bias"].item(), best["weight"].tolist()) == (4.0, [0.0])
    assert constant_optimum(its, False)["weight"].tolist() == [0.0, 0.0]


def test_columns_that_depend_are_left_out_and_said():
    design = [[1.0, 1.0, 2.0], [1.0, 2.0, 4.0], [1.0, 4.0, 8.0], [1.0, 3.0, 6.0]]
    found = _independent(objective(design, [1, 2, 3, 4], Squared()))
    assert found.allowed.sum() == 2
    assert found[1:] == ("the columns have rank 2 of 3", True)
    penalised = _independent(objective(design, [1, 2, 3, 4], Squared(), l2=[0.0, 0.0, 1.0]))
    assert penalised.allowed.all()
    assert penalised[1:] == ("", True)
    classes = _independent(objective(design, [0, 1, 2, 0], Softmax(3)))
    assert classes.allowed.sum() == 4
    assert classes[1:] == ("the columns have rank 4 of 6", True)
    full = _independent(objective([row[:2] for row in design], [0, 1, 2, 0], Softmax(3)))
    assert full.allowed.sum() == 4  # of 6: one class's parameters stay at zero
    assert full[1:] == ("", True)
    all_penalised = _independent(objective(design, [1, 2, 3, 4], Squared(), l1=[1.0] * 3))
    assert all_penalised.allowed.tolist() == [True] * 3
    nothing = _independent(objective([[0.0, 1.0], [0.0, 2.0]], [1, 2], Squared()))
    assert (nothing.allowed.tolist(), nothing.dependent) == (
        [False, True],
        "the columns have rank 1 of 2",
    )


@pytest.mark.parametrize(
    ("exact", "said"),
    [(None, ", and are too many for the exact rank"), (3, ", but 3 in exact arithmetic")],
)
def test_a_rank_at_rounding_is_no_proof(exact, said, monkeypatch):
    monkeypatch.setattr(linear_reference, "exact_rank", lambda columns: exact)
    found = _independent(objective([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [1, 2, 3], Squared()))
    assert found.dependent == f"the columns have rank 1 of 2 as judged at rounding{said}"
    assert not found.is_exact


def test_an_exact_rank_is_that_of_what_the_classes_are_told_apart_by():
    design = [[1.0, 0.0, 5.0], [0.0, 1.0, 7.0], [1.0, 1.0, 9.0]]
    its = objective(design, [0, 1, 2], Softmax(3), l2=[0.0, 0.0, 1.0])
    assert _exact_rank(its) == 4
    # Where rows 1 and 2 allow their own class alone, row 0 has two contrasts of one column each.
    possible = torch.tensor([[True] * 3, [False, True, False], [False, False, True]])
    receded = objective(design, [0, 1, 2], Softmax(3, possible), l2=[0.0, 0.0, 1.0])
    assert _exact_rank(receded) == 2
    assert _exact_rank(objective(design, [1, 2, 3], Squared(), l1=[0.0, 1.0, 0.0])) == 2


def test_offsets_are_of_columns_that_they_dwarf_and_never_of_the_intercept():
    its = objective([[1.0, 1e6, 3.0], [1.0, 1e6 + 1, 4.0]], [1, 2], Quantile())
    assert _offsets(its, True).tolist() == [0.0, 1e6, 0.0]
    assert _offsets(its, False).tolist() == [0.0] * 3


def test_an_intercept_takes_back_what_the_offsets_of_the_columns_took_off():
    theta = (tensor(1.0, 2.0, -5.0), tensor(2.0**-60, 2.0**-61, 2.0**-62))
    high, low = _with_offsets(theta, tensor(0.0, 4.0, -3.0))
    assert high.tolist() == [1 - 8 - 15, 2.0, -5.0]
    assert low.tolist() == [2.0**-60 - 4 * 2.0**-61 + 3 * 2.0**-62, 2.0**-61, 2.0**-62]
    assert _with_offsets(theta, tensor(0.0, 0.0, 0.0)) is theta


def test_a_penalty_on_absolute_values_is_a_row_with_a_kink_of_its_own():
    its = objective(LINE, [1, 3, 8], Quantile(0.25), l1=[0.0, 0.5], l2=[0.0, 0.125],
                    share=[0.5, 0.25, 0.25])  # fmt: skip
    its.share_low.fill_(2.0**-60)
    kinks = _kinks(its, torch.tensor([True, True]), tensor(2.0, 4.0))
    assert kinks.A.tolist() == [[2.0, 0.0], [2.0, 4.0], [2.0, 8.0], [0.0, 1.0]]
    assert kinks.b.tolist() == [1.0, 3.0, 8.0, 0.0]
    assert kinks.c[0].tolist() == [0.5, 0.25, 0.25, 4.0]
    assert kinks.c[1].tolist() == [2.0**-60] * 3 + [0.0]
    assert kinks.low.tolist() == [-0.75] * 3 + [-0.5]
    assert kinks.high.tolist() == [0.25] * 3 + [0.5]
    assert kinks.l2.tolist() == [0.0, 2.0]
    alone = _kinks(its, torch.tensor([True, False]), tensor(2.0))
    assert (alone.A.tolist(), alone.l2.tolist()) == ([[2.0]] * 3, [0.0])


def test_classes_have_a_mean_of_zero_where_no_penalty_determines_it():
    its = objective(LINE, [0, 1, 0], Softmax(2), l1=[0.0, 1.0])
    theta = tensor([1.0, 5.0], [2.0, 6.0])
    high, low = _centred(its, (theta, 0 * theta))
    assert (high.tolist(), low.tolist()) == ([[-2.0, 2.0], [2.0, 6.0]], [[0.0, 0.0]] * 2)
    plain = (tensor(1.0, 2.0), tensor(0.0, 0.0))
    assert _centred(objective(LINE, [1, 2, 3], Squared()), plain) is plain
    sentence = "a number added to the parameters of all classes alike"
    assert sentence in _common_shift(its)
    assert not _common_shift(objective(LINE, [0, 1, 0], Softmax(2), l2=[1.0, 1.0]))
    assert not _common_shift(objective(LINE, [1, 2, 3], Squared()))


def test_digits_are_of_the_least_accurate_entry():
    its = objective(LINE, [1, 2, 3], Squared())
    assert _digits(its, tensor(2.0, -4.0), tensor(2e-6, 4e-3)) == pytest.approx(3, abs=1e-9)
    assert _digits(its, tensor(2.0, -4.0), tensor(0.0, 0.0)) == pytest.approx(
        -math.log10(2.0**-53), abs=0.05
    )
    zero = objective([[1.0, 0.0], [2.0, 0.0]], [1, 2], Squared())
    assert _digits(zero, tensor(2.0, 0.0), tensor(2e-6, math.inf)) == pytest.approx(6, abs=1e-9)
    theta, errors = tensor([1.0, 3.0], [4.0, 8.0]), tensor([1e-6, 3e-6], [4e-7, 8e-7])
    means = objective(LINE, [0, 1, 0], Softmax(2), l2=[0.0, 1.0])  # 2e-6 in the first row
    assert _digits(means, theta, errors) == pytest.approx(-math.log10(3e-6), abs=1e-9)
    held = objective(LINE, [0, 1, 0], Softmax(2), l2=[1.0, 1.0])
    assert _digits(held, theta, errors) == pytest.approx(6, abs=1e-9)
    # Of an exact optimum the mean that was taken off leaves eps of the largest entry, 3.
    exact = _digits(means, theta, 0 * errors)
    assert exact == pytest.approx(-math.log10(2.0**-52 * 3.5), abs=1e-9)


def test_parameters_have_no_negative_zeros():
    for parts in (_parameters(-tensor(0.0, 0.0), False), _parameters(-tensor(0.0, 0.0), True)):
        assert all(math.copysign(1, v) == 1 for part in parts.values() for v in part.reshape(-1))
    assert _parameters(tensor(1.0, 2.0), True)["weight"].tolist() == [2.0]
    assert _parameters(tensor(1.0, 2.0), True)["bias"].item() == 1.0
    assert _parameters(tensor(1.0, 2.0), False)["weight"].tolist() == [1.0, 2.0]


def test_weights_of_least_norm_share_a_column_that_stands_twice():
    design = [[1.0, x, x] for x in (0.0, 1.0, 3.0)]
    for loss, slopes in ((Squared(), [[4.0]]), (Softmax(2), [[4.0], [-6.0]])):
        its = objective(design, [0, 1, 0], loss)
        eta = torch.stack([1 + slope[0] * its.design[:, 1] for slope in slopes], 1)
        eta = eta if loss.outputs else eta[:, 0]
        found = _least_norm(its, (eta, 0 * eta), True)
        right = torch.tensor(slopes).double().T / 2
        weight = found["weight"].reshape(2, -1)
        torch.testing.assert_close(weight, right.expand(2, -1), rtol=1e-14, atol=0)
        torch.testing.assert_close(found["bias"].reshape(-1), torch.ones(len(slopes)).double())
        assert found["weight"].shape == (2, *loss.outputs)
        assert found["bias"].shape == loss.outputs
    bare = objective([row[1:] for row in design], [0, 1, 0], Squared())
    eta = 4 * bare.design[:, 0]
    found = _least_norm(bare, (eta, 0 * eta), False)
    assert list(found) == ["weight"]
    assert found["weight"].tolist() == pytest.approx([2.0, 2.0], rel=1e-14, abs=0)


def test_a_minimum_without_its_bounds_keeps_the_loss_and_says_why():
    columns = Columns(torch.tensor([True]), "so and so", is_exact=False)
    given = Reference(kind="certified", loss=3.0, unique=True, bound=1.0)
    found = _without_proof(
        LinearOptimum(given, (tensor(1.0, 2.0), tensor(0.0, 0.0))), columns, True
    )
    assert (found.theta, found.eta, found.slope) == (None, None, None)
    reference = found.reference
    assert (reference.kind, reference.loss, reference.trusted) == ("computed", 3.0, False)
    assert reference.parameters["weight"].tolist() == [2.0]
    assert "not trusted, as so and so: leave such columns out" in reference.message


SIX = [[1.0, x, x * x] for x in (0.0, 1.0, 2.0, 4.0)]


@pytest.mark.parametrize(("share", "is_proven"), [(0.99, True), (1.01, False)])
def test_an_optimum_is_certified_where_its_bound_is_a_billionth_of_the_scale(share, is_proven):
    its = objective(SIX, [1, 3, 8, 2], Squared(), l1=[0.0, 0.5, 0.5])
    theta = (tensor(1.0, 0.0, 2.0), tensor(0.0, 0.0, 0.0))
    point = Point(theta, torch.tensor([True, False, True]), tensor(0.0, 0.0, 1.0))
    errors = tensor(1e-8, 0.0, 1e-8)
    scale = 1e3  # rounding is some 1e-13
    found = _attained(its, point, Bound(share * TRUSTED * scale, errors, True), (True, "", scale))
    reference = found.reference
    assert reference.kind == ("certified" if is_proven else "computed")
    assert reference.trusted is is_proven
    assert ("; not trusted: no small bound could be proven" in reference.message) != is_proven
    assert reference.unique is True
    assert reference.digits == pytest.approx(8, abs=1e-6)
    assert "proven to" in reference.message
    assert ", 1 of 2 weights are not zero" in reference.message
    assert "vanish" not in reference.message
    assert "unique" not in reference.message
    squares = [(1 + 2 * x * x - y) ** 2 for x, y in zip((0, 1, 2, 4), (1, 3, 8, 2), strict=True)]
    assert reference.loss == pytest.approx(sum(squares) / 4 + 1, rel=1e-15, abs=0)
    rounding = its.value_error(theta, found.eta)
    assert reference.bound == pytest.approx(share * TRUSTED * scale + rounding, rel=1e-15, abs=0)
    assert found.eta[0].tolist() == [1, 3, 9, 33]
    assert found.slope[0].tolist() == [0, 0, 2, 62]


def test_an_optimum_says_what_is_not_proven_of_its_uniqueness():
    its = objective(SIX, [1, 3, 8, 2], Squared(), l1=[0.0, 0.5, 0.5])
    theta = (tensor(1.0, 0.0, 0.0), tensor(0.0, 0.0, 0.0))
    point = Point(theta, torch.tensor([True, False, False]), tensor(0.0, 0.0, 0.0))
    for bound, dependent, unique, said in (
        (Bound(0.0, 0 * theta[0], False), "", None, "; whether the minimiser is unique is not"),
        (Bound(0.0, theta[0] / 0, True), "", None, "; whether the minimiser is unique is not"),
        (Bound(0.0, 0 * theta[0], True), "it", False, "; the minimiser is not unique (it): "),
    ):
        reference = _attained(its, point, bound, (True, dependent, 1.0)).reference
        assert reference.unique is unique
        assert math.isnan(reference.digits)
        assert said in reference.message
        assert ", 0 of 2 weights are not zero: l1 is at or above the level at" in reference.message
    two = objective(SIX, [0, 1, 1, 0], Softmax(2), l1=[0.0, 0.5, 0.5])
    theta = tensor([1.0, 3.0], [0.0, 2.0], [0.0, 0.0])
    point = Point((theta, 0 * theta), torch.ones(6, dtype=torch.bool), 0 * theta.reshape(-1))
    reference = _attained(two, point, Bound(0.0, 0 * theta.reshape(-1), True), (True, "", 1.0))
    assert ", 1 of 4 weights are not zero; a number added" in reference.reference.message
    assert reference.theta[0].tolist() == [[-1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("far", "is_proven"), [(100.0, True), (21.2, True), (21.0, False), (10.0, False)]
)
def test_an_infimum_at_infinity_is_as_near_as_parameters_may_go(far, is_proven):
    """At 1e8 times the direction the loss is log(1 + exp(-far)), the scale log 2."""
    its = objective([[1.0], [-1.0]], [1, 0], Logistic())
    none = torch.zeros(2, dtype=torch.bool)
    rest = Objective(its.design[none], its.y[none], its.share[none], its.share[none], its.loss,
                     its.l1, its.l2)  # fmt: skip
    found = _at_infinity(its, Recession(tensor(far * 1e-8), rest, 2), math.log(2))
    assert (found.loss, found.unique, found.parameters) == (0.0, False, None)
    assert found.bound == pytest.approx(math.log1p(math.exp(-far)), rel=1e-12, abs=0)
    assert found.kind == ("certified" if is_proven else "computed")
    assert found.trusted is is_proven
    assert "the classes are separable, along a direction in which the loss of 2 of 2 rows" in (
        found.message
    )
    assert found.message.endswith("; a penalty makes it attained")


def test_a_vertex_of_offset_columns_is_given_for_the_columns_as_they_are():
    """The median of three on a line but for the last: 2 + x of x from 1000."""
    design = [[1.0, 1000.0], [1.0, 1001.0], [1.0, 1003.0], [1.0, 1002.0]]
    its = objective(design, [1002, 1003, 1005, 1006], Quantile(0.5))
    columns = Columns(torch.tensor([True, True]))
    found = _at_vertex(its, tensor(0.0, 1000.0), columns, True)
    reference = found.reference
    assert reference.parameters["weight"].tolist() == [1.0]
    assert reference.parameters["bias"].item() == 2.0
    assert reference.loss == 2 / 8
    assert (reference.kind, reference.trusted, reference.unique) == ("certified", True, True)
    assert reference.message.startswith("found by a linear programme's vertex; its loss is proven")
    assert "unique" not in reference.message
    assert reference.digits > 15
    assert found.eta[0].tolist() == [1002, 1003, 1005, 1004]
    assert found.slope[0][3] == -0.5
    assert float(found.slope[0].sum()) == pytest.approx(0, abs=1e-15)


def test_a_smoothed_vertex_and_one_of_dependent_columns_say_so():
    its = objective(LINE, [1, 3, 4], Quantile(0.5), l2=[0.0, 1.0])
    assert optimum(its, True).reference.message.startswith("found by smoothing; its loss")
    twice = objective([[1.0, x, x] for x in (0.0, 1.0, 2.0)], [1, 3, 4], Quantile(0.5))
    reference = optimum(twice, True).reference
    assert reference.unique is False
    assert math.isnan(reference.digits)
    assert "not unique (the columns have rank 2 of 3): weights of minimum norm" in reference.message
    assert reference.parameters["weight"].tolist() == pytest.approx([0.75, 0.75], rel=1e-12)
    tied = objective([[1.0]] * 4, [0, 1, 2, 3], Quantile(0.5))
    reference = optimum(tied, True).reference
    assert reference.unique is None
    assert reference.message.endswith("; the minimiser may not be unique")
    assert math.isnan(reference.digits)


def test_a_weight_at_its_kink_is_exactly_zero():
    its = objective(LINE, [1, 3, 4], Quantile(0.5), l1=[0.0, 10.0])
    found = optimum(its, True)
    assert found.theta[0].tolist() == [3.0, 0.0]
    assert found.theta[1].tolist() == [0.0, 0.0]


class Unknown(Squared):
    """A loss whose class claims no bounds of its own."""


def test_a_whole_reference_is_of_the_case_that_the_data_are():
    apart = optimum(objective(LINE, [0, 1, 1], Logistic()), True)
    assert (apart.reference.kind, apart.reference.parameters) == ("certified", None)
    assert apart.theta is apart.eta is apart.slope is None
    mixed = optimum(objective(LINE, [1, 0, 1], Logistic()), True)
    assert (mixed.reference.kind, mixed.reference.unique) == ("certified", True)
    assert mixed.reference.parameters["weight"].item() == pytest.approx(0, abs=1e-15)
    assert mixed.theta is not None
    own = optimum(objective(LINE, [1, 3, 8], Unknown()), True)
    assert (own.reference.kind, own.reference.unique, own.theta) == ("computed", None, None)
    assert own.reference.loss == pytest.approx(3 / 2 / 3, rel=1e-14, abs=0)  # squares 1/4, 1, 1/4
    assert "bounds of Unknown" in own.reference.message
    for loss in (Huber(), Quantile(0.25)):
        design = [[1.0, v, v * 2.54] for v in (0.1, 0.7, 0.3, 0.9, 0.2)]
        nearly = optimum(objective(design, [1, 3, 8, 2, 5], loss), True)
        assert (nearly.reference.kind, nearly.reference.trusted) == ("computed", False)
        assert "as judged at rounding" in nearly.reference.message


def test_a_bound_by_growth_stands_in_where_no_curvature_proves_one():
    """Of four rows at two levels far apart, Huber's loss is flat between: no curvature at all."""
    its = objective([[1.0]] * 4, [0, 0, 9, 9], Huber(1.0))
    reference = optimum(its, True).reference
    assert (reference.kind, reference.loss) == ("certified", pytest.approx(4.0, rel=1e-15, abs=0))
    assert reference.unique is None


def test_an_infimum_of_rows_that_remain_has_their_bound(monkeypatch):
    """Far along the direction the lost row adds exp(-100); the rest's bound, here 1e-3, is more."""
    its = objective([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1], Logistic())
    keep = torch.tensor([True, True, False])
    rest = replace(
        its,
        design=its.design[keep],
        y=its.y[keep],
        share=its.share[keep],
        share_low=0 * its.y[keep],
    )
    theta = (tensor(0.0, 0.0), tensor(0.0, 0.0))
    point = Point(theta, torch.tensor([True, False]), theta[0])
    bound = Bound(1e-3, theta[0], True)
    monkeypatch.setattr(linear_reference, "_solved", lambda rest, allowed: (point, bound))
    found = _at_infinity(its, Recession(tensor(0.0, 1e-6), rest, 1), 1.0)
    assert found.loss == pytest.approx(2 / 3 * math.log(2), rel=1e-14, abs=0)
    assert found.bound == pytest.approx(1e-3, rel=1e-11)
    assert (found.kind, found.trusted) == ("computed", False)
    assert "the loss of 1 of 3 rows" in found.message
