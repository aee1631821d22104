"""The judge of linear regression on a few rows, at optima that are made up."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from optlab.problems import judge as module
from optlab.problems.judge import Judge, _dot, _matvec, _norm, _norms


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def judge_of(X, y, weight, bias=None, *, l2=0.0, share=None, low=(0.0, 0.0), rank=None, route=""):
    """A judge whose optimum is as given, whether it is one or not."""
    unknowns = len(weight) + (bias is not None)
    solution = SimpleNamespace(
        weight=tensor(*weight),
        weight_low=tensor(*weight) * 0 + low[0],
        bias=torch.tensor(0.0 if bias is None else bias, dtype=torch.float64),
        bias_low=torch.tensor(low[1], dtype=torch.float64),
        certificate=SimpleNamespace(
            rank=unknowns if rank is None else rank, unknowns=unknowns, route=route
        ),
    )
    share = None if share is None else tensor(*share)
    return Judge(tensor(*X), tensor(*y), solution, bias is not None, l2, share=share)


def at(weight, bias=None):
    point = {"weight": tensor(*weight)}
    return point if bias is None else point | {"bias": torch.tensor(bias, dtype=torch.float64)}


ROWS = [[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]


@pytest.mark.parametrize("share", [None, (0.5, 0.25, 0.25)])
@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("intercept", [True, False])
def test_losses_and_slopes_are_sums_over_rows(share, l2, intercept):
    """Predictions at the optimum (1, -1) + 1/2, and at (3, 1) + 1/4."""
    bias = 0.5 if intercept else None
    judge = judge_of(ROWS, [1.0, 2.0, 4.0], [1.0, -1.0], bias, l2=l2, share=share)
    found = judge(at([3.0, 1.0], 0.25 if intercept else None))
    b = 0.25 if intercept else 0.0
    shares = share or (1 / 3, 1 / 3, 1 / 3)
    r = [5 + b - 1, 8 + b - 2, 1 + b - 4]
    own = bias or 0.0
    gap = [5 + b - (own - 1), 8 + b - (own + 4), 1 + b - (own - 1)]
    loss = sum(s * v * v for s, v in zip(shares, r, strict=True)) + l2 / 2 * 10
    above = sum(s * v * v for s, v in zip(shares, gap, strict=True)) + l2 / 2 * 8
    slope = [
        2 * sum(s * v * row[k] for s, v, row in zip(shares, r, ROWS, strict=True)) + l2 * w
        for k, w in ((0, 3), (1, 1))
    ]
    if intercept:
        slope.append(2 * sum(s * v for s, v in zip(shares, r, strict=True)))
    assert found.loss == pytest.approx(loss, rel=1e-14, abs=0)
    assert found.suboptimality == pytest.approx(above, rel=1e-14, abs=0)
    assert found.gradient_norm == pytest.approx(math.hypot(*slope), rel=1e-14, abs=0)
    apart, size = (2.0, 2.0, 0.25 * intercept), (1.0, 1.0, 0.5 * intercept)
    right = math.hypot(*apart) / math.hypot(*size)
    assert found.parameter_error == pytest.approx(right, rel=1e-14, abs=0)
    point = at([3.0, 1.0], 0.25 if intercept else None)
    both, again = judge.together({k: torch.stack([v, v]) for k, v in point.items()})
    assert both == again == found


def test_what_rounding_took_off_the_optimum_counts():
    judge = judge_of(ROWS, [-1.0, 4.0, -1.0], [1.0, -1.0], 0.0, low=(2.0**-60, 2.0**-59))
    found = judge(at([1.0, -1.0], 0.0))
    gaps = [3 + 2, 2 + 2, 1 + 2]
    assert found.suboptimality == sum(v * v for v in gaps) / 3 * 2.0**-120
    assert found.parameter_error == pytest.approx(2.0**-60 * math.sqrt(6 / 2), rel=1e-15, abs=0)
    assert found.loss == 0.0  # its residuals are those of the optimum, and these the gap's
    assert judge.residual.tolist() == [v * 2.0**-60 for v in gaps]


def test_the_distance_of_an_optimum_at_zero_is_not_relative_and_of_several_there_is_none():
    assert judge_of(ROWS, [1.0, 2.0, 4.0], [0.0, 0.0])(at([3.0, 4.0])).parameter_error == 5.0
    several = judge_of(ROWS, [1.0, 2.0, 4.0], [1.0, 0.0], rank=1)
    assert math.isnan(several(at([3.0, 4.0])).parameter_error)
    assert math.isnan(several.together({"weight": tensor([3.0, 4.0])})[0].parameter_error)


def test_residuals_keep_their_digits_but_on_the_fast_route():
    """Of 3 times 0.1 less 0.3 double-double has what 0.1 and 0.3 are off by; float64 rounds."""
    exact = judge_of([[3.0]], [0.3], [0.1]).residual[0]
    assert Fraction(float(exact)) == 3 * Fraction(0.1) - Fraction(0.3)
    plain = judge_of([[3.0]], [0.3], [0.1], route="fast").residual[0]
    assert plain == 3 * 0.1 - 0.3 != exact


def test_columns_are_judged_less_an_offset_that_dwarfs_them():
    """Of 2 x - 2e6 + 1 at x = 1e6 + (0, 1, 2); slopes are of the columns as they are."""
    X, y = [[1e6], [1e6 + 1], [1e6 + 2]], [1.0, 3.0, 6.0]
    judge = judge_of(X, y, [2.0], 1 - 2e6)
    assert judge.is_shifted
    found = judge(at([2.5], 1.25 - 2.5e6))
    gap, r = [0.25, 0.75, 1.25], [0.25, 0.75, 0.25]
    assert found.suboptimality == pytest.approx(sum(v * v for v in gap) / 3, rel=1e-15, abs=0)
    assert found.loss == pytest.approx(sum(v * v for v in r) / 3, rel=1e-15, abs=0)
    slopes = [2 / 3 * sum(v * x[0] for v, x in zip(r, X, strict=True)), 2 / 3 * 1.25]
    assert found.gradient_norm == pytest.approx(math.hypot(*slopes), rel=1e-15, abs=0)
    assert not judge_of(X, y, [2.0]).is_shifted  # without an intercept nothing can take it
    assert not judge_of([[1.0], [2.0]], [1.0, 2.0], [2.0], 1.0).is_shifted
    together = judge.together({"weight": tensor([2.5]), "bias": tensor(1.25 - 2.5e6)})
    assert together == [found]


@pytest.mark.parametrize(
    ("weight", "bias", "has"),
    [
        (7.6, None, True),
        (7.4, None, False),
        (-7.6, None, True),
        (5.0, 5.1, True),
        (5.0, -5.1, True),
        (5.0, 4.9, False),
    ],
)
def test_an_optimum_that_dwarfs_the_target_has_far_points(weight, bias, has):
    """Of rows up to 2 and targets up to 1: above 15 in sum."""
    assert judge_of([[2.0], [-1.0]], [1.0, -1.0], [weight], bias)._has_far_points is has


@pytest.mark.parametrize(
    ("weight", "bias", "apart", "level", "far"),
    [
        (1.0, 0.0, 24.1, 0.0, True),
        (1.0, 0.0, 23.9, 0.0, False),
        (-1.0, 0.0, -24.1, 0.0, True),
        (1.0, 0.0, 23.9, 0.3, True),
        (1.0, 0.0, 23.9, -0.3, True),
        (1.0, 5.0, 63.9, 0.0, False),
        (1.0, -5.0, 64.1, 0.0, True),
        (1.0, 0.0, math.nan, 0.0, False),
    ],
)
def test_a_point_is_far_where_its_distance_is_sixteen_times_itself(weight, bias, apart, level, far):
    """Rows up to 2 and targets up to 1: the terms are 2 |w| + 1 + |b|, of the distance 2 |w|."""
    judge = judge_of([[2.0], [-1.0]], [1.0, -1.0], [50.0], 0.0)
    assert judge._is_far(tensor(weight).numpy(), bias, tensor(apart).numpy(), level) is far


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_a_far_point_is_judged_by_its_own_residuals(l2):
    """At 1 of an optimum 50: the difference of the losses, or with a penalty the gap's square."""
    judge = judge_of([[2.0], [-1.0]], [1.0, -0.5], [50.0], l2=l2)
    found = judge(at([1.0]))
    own, best = [1.0, -0.5], [99.0, -49.5]
    assert found.loss == (own[0] ** 2 + own[1] ** 2) / 2 + l2 / 2
    gap = [-98.0, 49.0]
    if l2:
        right = (gap[0] ** 2 + gap[1] ** 2) / 2 + l2 / 2 * 49**2
    else:
        right = max(sum(a * a - b * b for a, b in zip(own, best, strict=True)) / 2, 0.0)
    assert found.suboptimality == right
    assert found.gradient_norm == own[0] * 2 - own[1] + l2
    other = judge_of([[2.0], [-1.0]], [100.0, -50.0], [0.0], l2=l2)
    assert other(at([1.0])).suboptimality == 2.5 + l2 / 2


def test_blocks_of_rows_add_up(monkeypatch):
    X, y = [[float(k), 1.0 - k] for k in range(7)], [float(k % 3) for k in range(7)]
    whole = judge_of(X, y, [1.0, 0.5], 0.25)
    monkeypatch.setattr(module, "_SMALL", 4)  # two rows
    solution = SimpleNamespace(
        weight=tensor(1.0, 0.5), weight_low=tensor(0.0, 0.0), bias=torch.tensor(0.25),
        bias_low=torch.tensor(0.0), certificate=SimpleNamespace(rank=3, unknowns=3, route=""),
    )  # fmt: skip
    parts = Judge(torch.tensor(X), torch.tensor(y), solution, True, 0.0)
    assert [(rows.start, rows.stop) for rows in parts._rows] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    point = at([2.0, -1.0], 1.0)
    assert parts(point)[:4] == pytest.approx(whole(point)[:4], rel=1e-14, abs=0)
    assert parts.together({k: v[None] for k, v in point.items()}) == [parts(point)]


def test_norms_are_right_where_squares_are_no_floats():
    for d in (2, 40):
        vector = np.zeros(d)
        vector[-2:] = 3.0, -4.0
        assert _norm(vector, 12.0) == pytest.approx(13.0, rel=1e-15, abs=0)
        assert _norms(np.stack([vector, 0 * vector]), np.array([12.0, -7.0])) == [13.0, 7.0]
        assert _norm(1e300 * vector, -12e300) == pytest.approx(13e300, rel=1e-15, abs=0)
        assert _norm(1e-300 * vector, 12e-300) == pytest.approx(13e-300, rel=1e-15, abs=0)
        assert _norm(0 * vector, 0.0) == 0.0
        assert _norm(vector, -math.inf) == math.inf


def test_products_of_stacks_are_those_of_each():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    assert _dot(a, b).tolist() == [17.0, 53.0]
    matrix = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert _matvec(matrix, a).tolist() == [[1.0, 3.0, 4.0], [3.0, 7.0, 8.0]]


def test_levels_at_an_offset_are_summed_in_double_double():
    """1e6 times 0.1 is 1e5 and what 0.1 is off by, which the terms that cancel leave."""
    judge = judge_of([[1e6], [1e6 + 1]], [1.0, 3.0], [2.0], 1 - 2e6, low=(2.0**-60, 2.0**-50))
    tenth = Fraction(0.1) * 10**6 - 10**5
    assert judge._own_level(np.array([0.1]), 3 - 1e5) == pytest.approx(
        float(3 + tenth), rel=1e-15, abs=0
    )
    right = float(Fraction(2.5 - 2) * 10**6 - 499999 - Fraction(10**6, 2**60) - Fraction(1, 2**50))
    assert judge._level(np.array([2.5]), 1 - 2e6 - 499999) == pytest.approx(right, rel=1e-15, abs=0)
    plain = judge_of([[1.0], [2.0]], [1.0, 3.0], [2.0], 1.0)
    assert plain._own_level(np.array([0.1]), 7.0) == 7.0
    with np.errstate(all="ignore"):  # numbers that large cannot be split in two
        assert judge._own_level(np.array([2.0**1000]), 1.0) == 1e6 * 2.0**1000


def test_a_far_point_of_columns_with_an_offset_is_judged_by_its_own_residuals():
    """At 0 of an optimum 100 (x - 1e6): the targets are 1 and -1/2, which are all that is left."""
    X, y = [[1e6 + 1], [1e6 + 2], [1e6 + 3]], [1.0, -0.5, 0.25]
    judge = judge_of(X, y, [100.0], -1e8)
    assert judge._has_far_points
    found = judge(at([1.0], -1e6))
    own, best = [0.0, 2.5, 2.75], [99.0, 200.5, 299.75]
    assert found.loss == pytest.approx(sum(v * v for v in own) / 3, rel=1e-15, abs=0)
    gap = sum(a * a - b * b for a, b in zip(own, best, strict=True)) / 3
    assert found.suboptimality == max(gap, 0.0)
    sums = [sum(v * (x[0]) for v, x in zip(own, X, strict=True)), sum(own)]
    assert found.gradient_norm == pytest.approx(2 / 3 * math.hypot(*sums), rel=1e-14, abs=0)
