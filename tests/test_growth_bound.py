"""A bound by growth, by hand, on rows of different shares."""

import math

import pytest
import torch

from optlab.problems.certified.active_set_newton import Point
from optlab.problems.certified.growth_bound import growth_bound
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.losses.huber import Huber


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def objective(design, y, l1, l2):
    share = tensor(0.25, 0.75)
    return Objective(
        tensor(*design), tensor(*y), share, 0 * share, Huber(0.5), tensor(*l1), tensor(*l2)
    )


def test_without_a_penalty_the_distance_is_over_the_least_share():
    """At 0.83 the residuals 0.83 (clipped to 1/2) and -0.17 pull by 1/8 - 0.1275."""
    its = objective([[1.0], [1.0]], [0.0, 1.0], [0.0], [0.0])
    theta = tensor(0.83)
    point = Point((theta, 0 * theta), torch.tensor([True]), 0 * theta)
    value = 0.25 * 0.5 * (0.83 - 0.25) + 0.75 * 0.17**2 / 2
    apart = 2 * (value + 0.125) / 0.5
    found = growth_bound(its, point, torch.tensor([True]))
    assert found.value == pytest.approx(0.0025 * apart / math.sqrt(0.25), rel=1e-11)
    # Columns that depend have no such distance.
    twice = objective([[1.0, 1.0], [1.0, 1.0]], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0])
    theta = tensor(0.83, 0.0)
    point = Point((theta, 0 * theta), torch.tensor([True, True]), 0 * theta)
    both = torch.tensor([True, True])
    assert growth_bound(twice, point, both).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("l1", "l2", "w", "by"),
    [
        (0.25, 0.0, 0.0, "l1"),
        (0.0, 200.0, -0.0013, "l2"),
        (0.25, 1e-9, 0.0, "l1"),
        (0.25, 50.0, 0.0, "l2"),
    ],
)
def test_with_a_penalty_the_weights_and_what_they_move_are_bounded(l1, l2, w, by):
    """Weights are within 2 F / l1 in sum, or 2 (2 F / l2)**.5 in length; rows have 3, 4."""
    its = objective([[1.0, 3.0, 4.0], [1.0, 1.0, 2.0]], [0.0, 1.0], [0, l1, l1], [0, l2, l2])
    theta = tensor(0.84, w, w)
    point = Point((theta, 0 * theta), torch.tensor([True] * 3), tensor(0.0, -1.0, -1.0))
    first, second = 0.84 + 7 * w, 0.84 + 3 * w - 1
    value = 0.25 * 0.5 * (first - 0.25) + 0.75 * second**2 / 2 + l2 * w * w
    one, other = 0.25 * 0.5, 0.75 * second
    more = l2 * w - l1
    pulls = [abs(one + other), abs(3 * one + other + more), abs(4 * one + 2 * other + more)]
    apart = 2 * (value + 0.125) / 0.5
    if by == "l1":
        reach = 2 * value / l1
        moved, product = reach * 4, reach * max(pulls[1:])
    else:
        reach = 2 * math.sqrt(2 * value / l2)
        moved, product = reach * 5, reach * math.hypot(*pulls[1:])
    right = product + pulls[0] * (apart + moved)
    found = growth_bound(its, point, torch.tensor([True, True, True]))
    assert right < value
    assert found.value == pytest.approx(right, rel=1e-11)
    assert not found.is_strict


@pytest.mark.parametrize(("l1", "excess"), [(0.25, 0.02), (0.3, 0.0)])
def test_an_entry_at_zero_adds_the_excess_of_its_slope(l1, excess):
    """At 5/6 the intercept's pull is 0; the other's, 1/16, exceeds l1 by a share or not at all."""
    its = objective([[1.0, 1.5], [1.0, 1.0]], [0.0, 1.0], [0.0, l1], [0.0, 0.0])
    theta = tensor(5 / 6, 0.0)
    point = Point((theta, 0 * theta), torch.tensor([True, False]), 0 * theta)
    value = 0.25 * 0.5 * (5 / 6 - 0.25) + 0.75 / 72
    pull = 0.25 * 0.5 * 1.5 - 0.75 / 6
    its.l1[1] = pull / (1 + excess) if excess else l1
    found = growth_bound(its, point, torch.tensor([True, True]))
    assert found.value == pytest.approx(excess * value, rel=1e-10, abs=1e-14)
