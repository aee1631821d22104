"""Linear regression as a system and as residuals, on three rows, by hand."""

import math

import pytest
import torch

from optlab.problems.least_squares_system import (
    _constant_columns,
    least_squares_system,
    why_another_minimiser,
)
from optlab.problems.linear_residuals import linear_jacobian, linear_residuals
from optlab.problems.problem import Batch


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


X, Y = tensor([1.0, 5.0], [2.0, 5.0], [6.0, 5.0]), tensor(1.0, 3.0, 5.0)
WEIGHT = tensor(0.5, 1.5, 1.0)  # of mean 1


def test_centred_columns_take_the_intercept_out():
    system = least_squares_system(X, Y, fit_intercept=True, l2=0.0)
    assert system.A.tolist() == [[-2.0, 0.0], [-1.0, 0.0], [3.0, 0.0]]
    assert system.b.tolist() == [-2.0, 0.0, 2.0]
    found = system.to_parameters(tensor(2.0, 1.0))
    assert (found["weight"].tolist(), found["bias"].item()) == ([2.0, 1.0], 3 - 6 - 5)
    plain = least_squares_system(X, Y, fit_intercept=False, l2=0.0)
    assert plain.A is X
    assert plain.b is Y
    assert list(plain.to_parameters(tensor(2.0, 1.0))) == ["weight"]


def test_weights_are_of_the_mean_and_of_the_rows():
    system = least_squares_system(X, Y, fit_intercept=True, l2=0.0, weight=WEIGHT)
    roots = [math.sqrt(w) for w in WEIGHT.tolist()]
    mean, level = 9.5 / 3, 10 / 3
    right = [r * (x - mean) for r, x in zip(roots, (1, 2, 6), strict=True)]
    assert system.A[:, 0].tolist() == pytest.approx(right, rel=1e-14, abs=0)
    assert system.A[:, 1].tolist() == [0.0] * 3
    right = [r * (y - level) for r, y in zip(roots, (1, 3, 5), strict=True)]
    assert system.b.tolist() == pytest.approx(right, rel=1e-14, abs=0)
    bias = system.to_parameters(tensor(2.0, 1.0))["bias"].item()
    assert bias == pytest.approx(level - 2 * mean - 5, rel=1e-14, abs=0)


def test_a_penalty_is_a_row_for_each_weight():
    system = least_squares_system(X, Y, fit_intercept=False, l2=0.5)
    ridge = math.sqrt(3 * 0.5 / 2)
    assert system.A[3:].tolist() == [[ridge, 0.0], [0.0, ridge]]
    assert system.b.tolist() == [1.0, 3.0, 5.0, 0.0, 0.0]


def test_constant_columns_are_so_in_the_rows_that_count():
    assert _constant_columns(X, None).tolist() == [False, True]
    columns = tensor([9.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 1.0, 7.0])
    assert _constant_columns(columns, tensor(0.0, 0.5, 2.0)).tolist() == [True, True, False]
    assert _constant_columns(columns, tensor(1.0, 0.0, 0.0)).tolist() == [True] * 3


@pytest.mark.parametrize(("cut_off", "dropped"), [(0.2, 0), (0.3, 1), (0.6, 2)])
def test_a_cut_off_that_drops_a_direction_is_said(cut_off, dropped):
    """Singular values 4, 2 and 1; the cut-off itself is dropped too."""
    said = why_another_minimiser(torch.diag(tensor(4.0, 2.0, 1.0)), 3, cut_off)
    if not dropped:
        assert said is None
        return
    assert f"in float64 the cut-off at {cut_off:.1e} of the largest" in said
    assert f"dropped {dropped} of 3 directions" in said
    assert why_another_minimiser(torch.diag(tensor(4.0, 2.0, 1.0)), 3 - dropped, cut_off) is None


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("l2", [0.0, 0.5])
@pytest.mark.parametrize("intercept", [True, False])
def test_residuals_and_their_derivatives(weight, l2, intercept):
    """Of 2 x - 5, and 1 with an intercept, less the targets; times the roots of the weights."""
    data, point = Batch(X, Y, weight), {"weight": tensor(2.0, -1.0)}
    if intercept:
        point["bias"] = torch.tensor(1.0).double()
    roots = [1.0] * 3 if weight is None else [math.sqrt(w) for w in weight.tolist()]
    plain = [v + intercept for v in (2 - 5 - 1, 4 - 5 - 3, 12 - 5 - 5)]
    grown, ridge = (math.sqrt(5 / 3), math.sqrt(5 * 0.5 / 2)) if l2 else (1.0, 0.0)
    right = [grown * r * v for r, v in zip(roots, plain, strict=True)]
    right += [2 * ridge, -ridge] if l2 else []
    assert linear_residuals(data, point, l2).tolist() == pytest.approx(right, rel=1e-15, abs=0)
    jacobian = linear_jacobian(data, point, l2)
    assert jacobian.shape == (5 if l2 else 3, 3 if intercept else 2)
    for row, root in zip(range(3), roots, strict=True):
        own = [grown * root * v for v in (*X[row].tolist(), *[1.0] * intercept)]
        assert jacobian[row].tolist() == pytest.approx(own, rel=1e-15, abs=0)
    if l2:
        zero = [0.0] * intercept
        assert jacobian[3:].tolist() == [[ridge, 0.0, *zero], [0.0, ridge, *zero]]
