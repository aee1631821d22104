"""Newton's bound term by term, on one column of two rows."""

import math
from dataclasses import dataclass

import pytest
import torch

from optlab.problems.certified import suboptimality_bound
from optlab.problems.certified.active_set_newton import Point
from optlab.problems.certified.curvature_factor import EPS, Factor
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.suboptimality_bound import (
    _around,
    _decrement,
    _excess,
    _widest,
    newton_bound,
)
from optlab.problems.losses.squared import Squared


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def objective(loss, y=(3.0, -1.0), l1=(0.0,), design=((1.0,), (2.0,))):
    share, l1 = tensor(0.5, 0.5), tensor(*l1)
    return Objective(tensor(*design), tensor(*y), share, 0 * share, loss, l1, 0 * l1)


@dataclass(frozen=True, eq=False)
class Bending(Squared):
    """A curvature of 2 at a point, and another within a radius, which is written down."""

    within: float
    seen: list

    def curvature(self, eta, y, radius=0.0):
        if isinstance(radius, float):
            return torch.full_like(eta, 2.0)
        self.seen.append(radius)
        return torch.full_like(eta, self.within)

    def slope_error_squares(self, eta, y, radius):
        return torch.full_like(eta, 0.0)


@pytest.mark.parametrize(("share", "is_proven"), [(3.9, True), (4.1, False)])
def test_the_radius_is_four_times_the_reach_and_rounding(share, is_proven):
    """The Hessian is 1 + 4; a gradient of 10 has the decrement 10 / 5**.5, a row the reach of
    x / 5**.5. Both grow by the root of the share by which the curvature falls in the radius."""
    its, eta = objective(Bending(2 / share, seen := [])), tensor(5.0, -7.0)
    found = _around(its, eta, torch.arange(1), tensor(10.0))
    rounding = EPS * tensor(8.0, 8.0)
    radius = 4 * 10 / 5 * tensor(1.0, 2.0) + rounding
    for each in seen:
        torch.testing.assert_close(each, radius, rtol=1e-13, atol=0)
    assert (found is not None) is is_proven
    if found is not None:
        factor, decrement, reach = found
        assert decrement == pytest.approx(10 * math.sqrt(share / 5), rel=1e-13)
        torch.testing.assert_close(
            reach, tensor(1.0, 2.0) * math.sqrt(share / 5), rtol=1e-13, atol=0
        )
        assert factor.solve(tensor(10.0)).item() == pytest.approx(2 * share, rel=1e-13)


def test_at_a_gradient_of_zero_the_radius_is_that_of_rounding():
    its, eta = objective(Bending(2.0, seen := [])), tensor(5.0, -7.0)
    _, decrement, _ = _around(its, eta, torch.arange(1), tensor(0.0))
    assert decrement == 0.0
    assert seen[0].tolist() == [EPS * 8, EPS * 8]
    flat = objective(Bending(0.0, []))
    assert _around(flat, eta, torch.arange(1), tensor(0.0)) is None


@pytest.mark.parametrize(("by_row", "least"), [(0.04, 0.2), (0.64, 0.4)])
def test_a_decrement_has_the_lesser_of_two_bounds_of_its_error(by_row, least, monkeypatch):
    """R = 2: a gradient of 3 is 1.5 long, its error 0.8 of the free entry 0.4."""
    monkeypatch.setattr(suboptimality_bound, "slope_errors", lambda *_: tensor(9.0, 0.8))
    loss = Bending(2.0, [])
    object.__setattr__(
        loss, "slope_error_squares", lambda eta, y, radius: tensor(by_row, by_row) * radius
    )
    factor = Factor(tensor([2.0]), tensor(1.0), 0.5)
    its = objective(loss)
    found = _decrement(its, factor, tensor(0.0, 0.0), torch.tensor([1]), tensor(3.0), 1.0)
    assert found == pytest.approx((1.5 + least) / 0.5, rel=1e-14, abs=0)


def test_the_excess_is_the_largest_share_of_a_slope_over_its_l1(monkeypatch):
    """With errors, 0.5 + 0.1 of 1, -3 - 0.2 of 2, and 9 of 1, which is not allowed."""
    its = objective(Squared(), l1=(1.0, 2.0, 1.0, 1.0), design=((1.0,) * 4, (2.0,) * 4))
    changes = []

    def errors(objective, eta, change):
        changes.append(change)
        return tensor(0.1, 0.2, 0.3, 0.4)

    monkeypatch.setattr(suboptimality_bound, "slope_errors", errors)
    allowed, active = torch.tensor([True, True, False, True]), torch.tensor([False] * 3 + [True])
    zero = torch.zeros(4).double()
    given = tensor(0.5, -3.0, 9.0, 9.0), tensor(0.0, 0.0), tensor(7.0)
    found = _excess(its, Point((zero, zero), active, zero), allowed, *given)
    assert found == pytest.approx(0.6, rel=1e-14, abs=0)
    assert [change.tolist() for change in changes] == [[7.0]]
    nothing = _excess(its, Point((zero, zero), allowed, zero), allowed, *given)
    assert nothing == -1.0


def test_the_widest_is_of_a_rows_outputs():
    assert _widest(tensor(1.0, 3.0)).tolist() == [1.0, 3.0]
    assert _widest(tensor([1.0, 3.0], [5.0, 4.0])).tolist() == [3.0, 5.0]


@pytest.mark.parametrize(("l1", "is_allowed"), [(0.5, False), (3.875, True), (3.4, True)])
def test_newtons_bound_of_least_squares_is_half_the_decrements_square(l1, is_allowed):
    """At 3/4, of the mean 1; a second column, whose slope is at most 3.5, stays at zero."""
    design = ((1.0, 1.0), (1.0, -0.5))
    its = objective(Squared(), y=(3.0, -1.0), l1=(0.0, l1), design=design)
    theta = tensor(0.75, 0.0)
    point = Point((theta, 0 * theta), torch.tensor([True, False]), 0 * theta)
    allowed = torch.tensor([True, is_allowed])
    value = (2.25**2 + 1.75**2) / 2
    # Slopes -4.5 and 3.5: a gradient of -1/2 of curvature 2, so that the minimum is 1/16 below.
    pull = 0.5 * (4.5 + 1.75)
    found = newton_bound(its, point, allowed)
    # At the minimiser the slopes have changed by the curvature 2 times the reach of 1/4.
    most = pull + 0.5 * 2 * 0.25 * 1.5
    more = max(most / l1 - 1, 0.0) * value if is_allowed else 0.0
    assert found.value == pytest.approx(min(value, 1 / 16 + more), rel=1e-12)
    assert found.errors.tolist() == pytest.approx([0.25, 0.0], rel=1e-12)
    assert found.is_strict is (not is_allowed or most < l1)


def test_no_bound_is_above_the_value_and_none_of_distance_where_nothing_is_proven():
    flat = objective(Bending(0.0, []))
    theta = tensor(0.0)
    point = Point((theta, theta), torch.tensor([True]), theta)
    found = newton_bound(flat, point, torch.tensor([True]))
    assert found.value == pytest.approx((9 + 1) / 2, rel=1e-14, abs=0)
    assert (found.errors.tolist(), found.is_strict) == ([math.inf], False)


def test_each_entry_is_as_near_as_the_ellipsoid_reaches_in_its_direction():
    """Of the Hessian ((1, 1), (1, 2)), whose inverse has the diagonal 2 and 1."""
    its = objective(Squared(), y=(3.0, -1.0), l1=(0.0, 0.0), design=((1.0, 1.0), (0.0, 1.0)))
    theta = tensor(3.5, -0.75)
    point = Point((theta, 0 * theta), torch.tensor([True, True]), 0 * theta)
    # Residuals -1/4 and 1/4: their mean square is all of the suboptimality, of half the decrement.
    found = newton_bound(its, point, torch.tensor([True, True]))
    assert found.value == pytest.approx(1 / 16, rel=1e-12)
    assert found.errors.tolist() == pytest.approx([0.5, math.sqrt(1 / 8)], rel=1e-12)
