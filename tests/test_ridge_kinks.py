"""The smoothed kinks and the balance of slopes with a penalty, by hand."""

import pytest
import torch

from optlab.problems.certified.kinks import Kinks
from optlab.problems.certified.ridge_kinks import Envelope, _balanced


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pair(*values):
    return tensor(*values), 0 * tensor(*values)


@pytest.mark.parametrize(
    ("residual", "value", "slope", "curvature"),
    [
        (0.25, 0.0625, -0.5, 2.0),
        (-0.25, 0.0625, 0.5, 2.0),
        (3.0, 5.0, -2.0, 0.0),
        (-3.0, 2.75, 1.0, 0.0),
        (1.0, 1.0, -2.0, 0.0),  # at the end of the quadratic part
        (-0.5, 0.25, 1.0, 0.0),
    ],
)
def test_an_envelope_is_quadratic_within_and_linear_beyond(residual, value, slope, curvature):
    """Of slopes -1 and 2 and the width 1/2: r**2 from -1/2 to 1, then 2 r - 1 and -r - 1/4."""
    loss, eta, y = Envelope(tensor(-1), tensor(2), 0.5), tensor(0.75), tensor(0.75 + residual)
    assert loss.value(eta, y).item() == value
    assert loss.slope(eta, y).item() == slope
    assert loss.curvature(eta, y).item() == curvature


THREE = Kinks(
    tensor([1.0], [1.0], [1.0]), tensor(0.0, 1.0, 10.0), pair(0.25, 0.5, 0.25),
    tensor(-3.0, -3.0, -3.0), tensor(1.0, 1.0, 1.0), tensor(0.5),
)  # fmt: skip


def test_rows_inside_a_kink_are_zero_and_their_slopes_balance_the_penalty():
    """At the row 1: -3/4 + a/2 + 1/4 = 1/2, so that a = 2 beyond its end; at 1/8 of l2 it is 1."""
    inside = torch.tensor([False, True, False])
    kinks = THREE._replace(l2=tensor(-0.25 / 2))
    found = _balanced(kinks._replace(l2=tensor(0.125)), inside, tensor(-3.0, 0.0, 1.0), tensor(9))
    assert found.theta[0].tolist() == [1.0]
    assert found.residual[0].tolist() == [-1.0, 0.0, 9.0]
    assert found.residual[1].tolist() == [0.0] * 3
    assert found.slope[0].tolist() == [-3.0, 1.0, 1.0]  # clipped from 5/4
    within = _balanced(
        THREE._replace(c=pair(0.125, 1.0, 0.25)), inside, tensor(-3, 0, 1), tensor(9)
    )
    assert within.slope[0].tolist() == [-3.0, 0.625, 1.0]  # 1/2 + 3/8 - 1/4
    assert within.bound <= 1e-26
    assert within.is_unique


@pytest.mark.parametrize(("slope", "end"), [(-0.9, 1.0), (-1.1, -3.0)])
def test_rows_outside_have_the_slope_of_their_nearer_end(slope, end):
    """With none inside, theta is twice the pull, (1 + 2 a + 1) / 4."""
    none = torch.tensor([False, False, False])
    found = _balanced(THREE, none, tensor(1.0, slope, 1.0), tensor(9.0))
    theta = (2 + 2 * end) / 2
    assert found.theta[0].tolist() == [theta]
    assert found.slope[0].tolist() == [1.0, end, 1.0]
    assert found.residual[0].tolist() == [-theta, 1 - theta, 10 - theta]


def test_a_row_that_stands_twice_is_held_once():
    kinks = Kinks(
        tensor([1.0], [1.0]), tensor(1.0, 1.0), pair(1.0, 1.0), tensor(-1, -1), tensor(1, 1),
        tensor(0.5),
    )  # fmt: skip
    found = _balanced(kinks, torch.tensor([True, True]), tensor(0.125, 0.125), tensor(0.0))
    assert found.theta[0].tolist() == [1.0]
    assert sorted(found.slope[0].tolist()) == [0.125, 0.375]  # the sum balances l2 = 1/2


def test_a_parameter_without_penalty_that_no_row_holds_stays():
    """The slopes 1 and -1 of an intercept balance; the other column's pull is 1/4 (3 - 1)."""
    A = tensor([1.0, 3.0], [1.0, 1.0])
    kinks = Kinks(A, tensor(9.0, -9.0), pair(0.25, 0.25), tensor(-1, -1), tensor(1, 1),
                  tensor(0.0, 2.0))  # fmt: skip
    none = torch.tensor([False, False])
    found = _balanced(kinks, none, tensor(1.0, -1.0), tensor(0.75, 9.0))
    assert found.theta[0].tolist() == [0.75, 0.25]
    assert found.residual[0].tolist() == [9 - 0.75 - 0.75, -9 - 0.75 - 0.25]
    # A row that holds it, at 1/2 + 0: the slope 0 of the row 1/2 + 0 x balances 1 and -1.
    more = Kinks(
        torch.cat([A, tensor([1.0, 0.0])]),
        tensor(9.0, -9.0, 0.5), pair(0.25, 0.25, 1.0), tensor(-1, -1, -1), tensor(1, 1, 1),
        tensor(0.0, 2.0),
    )  # fmt: skip
    held = _balanced(more, torch.tensor([False, False, True]), tensor(1.0, -1.0, 0.0), tensor(9, 9))
    assert held.theta[0].tolist() == [0.5, 0.25]
    assert held.slope[0].tolist() == [1.0, -1.0, 0.0]
