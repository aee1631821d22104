"""The steps to an exact vertex: the programme, its basis, and the solution in pairs, by hand."""

from fractions import Fraction

import pytest
import torch

from optlab.problems.certified import vertex
from optlab.problems.certified.kinks import INSIDE, Kinks
from optlab.problems.certified.vertex import _basis, _by_simplex, _solved, minimise_kinks


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pair(*values):
    return tensor(*values), 0 * tensor(*values)


# Of u = 64 theta the slope is -16 at first, and rises by 12 at -4, by 2 at 0 and by 8 at 2.
FOUR = Kinks(
    tensor([2.0], [2.0], [2.0], [2.0]), tensor(0.0, 2.0, 20.0, -4.0) / 32, pair(1.0, 2.0, 1.0, 4.0),
    tensor(-1.0, -1.0, -2.0, -1.0), tensor(1.0, 3.0, 1.0, 2.0), tensor(0.0),
)  # fmt: skip
SLOPES = [-1.0, 2.0, 1.0, -1.0]  # of which the weighted sum is 0


@pytest.mark.parametrize("far", [[], [2], [3], [2, 3]])
def test_the_programme_finds_the_slopes_and_the_move(far):
    near = torch.ones(4, dtype=torch.bool)
    near[far] = False
    slope, move = _by_simplex(FOUR, FOUR.b, near)
    assert slope.tolist() == pytest.approx(SLOPES, abs=1e-9)  # the programme's tolerance is 1e-7
    assert move.tolist() == pytest.approx([1 / 32], abs=1e-9)


def test_no_slopes_of_the_near_rows_balance_those_of_the_far_ones():
    assert _by_simplex(FOUR, FOUR.b, torch.tensor([True, False, False, False])) is None


@pytest.mark.parametrize("size", [1.0, 2.0**40])
@pytest.mark.parametrize(
    ("residual", "at_end", "far", "basis"),
    [
        ([3.0, 2.0, 1.0, 0.0], [], [], [3, 2]),
        ([0.0, 1.0, 2.0, 3.0], [], [], [0, 2]),  # the second depends on the first
        ([0.0, 1.0, 2.0, 3.0], [0], [], [1, 2]),
        ([0.0, 1.0, 2.0, 3.0], [0, 2], [], [1, 3]),
        ([0.0, 1.0, 2.0, 3.0], [2], [1, 0], [3, 2]),
        ([0.0, 1.0, 2.0, 3.0], [0, 1, 2, 3], [2, 3], [0, 2]),
    ],
)
def test_a_basis_is_of_near_rows_of_slopes_inside_and_of_small_residuals(
    residual, at_end, far, basis, size
):
    A = tensor([1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0]) * tensor(1.0, size)
    low, high = torch.full((4,), -1.0).double(), torch.full((4,), 2.0).double()
    kinks = Kinks(A, 0 * low, pair(1.0, 1.0, 1.0, 1.0), low, high, tensor(0.0, 0.0))
    near = torch.ones(4, dtype=torch.bool)
    near[far] = False
    for end, sign in ((low, 1), (high, -1)):
        slope = end + sign * 1.01 * INSIDE * 3
        slope[at_end] = (end + sign * 0.99 * INSIDE * 3)[at_end]
        assert _basis(kinks, slope, tensor(*residual), near).tolist() == basis


@pytest.mark.parametrize(("apart", "basis"), [(1e-10, [0, 1]), (1e-12, [0, 2])])
def test_rows_that_are_apart_by_rounding_are_one(apart, basis):
    A = 3 * tensor([1.0, 0.0], [1.0, apart], [0.0, 1.0])
    one = torch.ones(3).double()
    kinks = Kinks(A, one, (one, 0 * one), -one, one, tensor(0.0, 0.0))
    assert _basis(kinks, 0 * one, tensor(0.0, 1.0, 2.0), one > 0).tolist() == basis


def test_a_vertex_has_the_residuals_and_slopes_of_its_basis_to_the_digits_of_pairs():
    c_low = tensor(2.0**-60, -(2.0**-58), 2.0**-57, 2.0**-56)
    c = tensor(0.1, 0.2, 0.3, 0.15)
    kinks = FOUR._replace(A=1.5 * FOUR.A, c=(c, c_low))
    theta, residual, slope = _solved(kinks, torch.tensor([1]), tensor(0.0, 0.0, 0.0, 0.0))
    assert abs(Fraction(theta[0].item()) + Fraction(theta[1].item()) - Fraction(1, 48)) < 2**-100
    assert residual[0].tolist() == [-2 / 32, 0.0, 18 / 32, -6 / 32]
    assert residual[1].tolist() == [0.0] * 4
    assert slope[0][[0, 2, 3]].tolist() == [-1.0, 1.0, -1.0]
    weights = [Fraction(a) + Fraction(b) for a, b in zip(c.tolist(), c_low.tolist(), strict=True)]
    own = (weights[0] - weights[2] + weights[3]) / weights[1]
    assert abs(Fraction(slope[0][1].item()) + Fraction(slope[1][1].item()) - own) < 2**-98


@pytest.mark.parametrize(("slope", "end"), [(-0.9, -1.0), (0.4, -1.0), (0.6, 2.0), (1.9, 2.0)])
def test_a_residual_that_is_rounding_is_zero_and_its_slope_at_the_nearest_end(slope, end):
    """The third row is 7 and 3 times the basis; of its residual, 0, rounding leaves some 1e-32."""
    A, b = tensor([1.0, 1.0], [1.0, 11.0], [10.0, 40.0], [1.0, 1.0]), tensor(1.0, 2.0, 13.0, 1.0)
    b[3] += 2.0**-52
    low, high = torch.full((4,), -1.0).double(), torch.full((4,), 2.0).double()
    kinks = Kinks(A, b, pair(1.0, 1.0, 0.5, 0.5), low, high, tensor(0.0, 0.0))
    _, residual, found = _solved(kinks, torch.tensor([0, 1]), tensor(0.0, 0.0, slope, 0.0))
    assert [part[:3].tolist() for part in residual] == [[0.0] * 3] * 2
    assert residual[0][3] == pytest.approx(2.0**-52, rel=1e-12, abs=0)
    right = [-(7 * end + 2) / 2, -3 * end / 2, end, 2.0]
    assert found[0].tolist() == pytest.approx(right, rel=1e-15, abs=0)


def test_rows_that_are_near_each_other_are_told_apart_by_the_programme_once_more():
    """The median of five; its tolerance of 1e-7 cannot tell the three in the middle apart."""
    b, one = tensor(-1.0, 0.0, 1e-9, 2e-9, 1.0), torch.ones(5).double()
    found = minimise_kinks(Kinks(one[:, None], b, (one, 0 * one), -one, one, tensor(0.0)))
    assert found.theta[0].item() == 1e-9
    assert found.is_unique
    assert found.bound <= 1e-26  # rounding
    assert found.slope[0].tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]


def test_without_columns_each_slope_is_that_of_its_residuals_side():
    low, high = tensor(-1.0, -2.0, -3.0), tensor(4.0, 5.0, 6.0)
    b = tensor(2.0, -1.0, 0.0)
    kinks = Kinks(torch.zeros((3, 0)).double(), b, pair(1.0, 1.0, 1.0), low, high, tensor())
    found = minimise_kinks(kinks)
    assert found.theta[0].tolist() == found.theta[1].tolist() == []
    assert (found.residual[0].tolist(), found.residual[1].tolist()) == ([2, -1, 0], [0, 0, 0])
    assert (found.slope[0].tolist(), found.slope[1].tolist()) == ([4, -2, -3], [0, 0, 0])
    assert found.bound <= 64 * 2.0**-104 * 3 * (1 + 1e-12)
    assert found.is_unique


SEVEN = tensor(-4.0, -6e-5, 0.0, 1e-6, 2e-6, 6e-5, 4.0)


def rounds_of_a_median(monkeypatch, *, is_solved_again):
    """The vertex of a median whose first programme is wrong: at 0 instead of 1e-6; its rounds."""
    seen = []

    def programme(kinks, residual, near):
        seen.append((residual, near.tolist()))
        if len(seen) == 1:
            return tensor(-1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0), tensor(0.0)
        return _by_simplex(kinks, residual, near) if is_solved_again else None

    monkeypatch.setattr(vertex, "_by_simplex", programme)
    one = torch.ones(7).double()
    kinks = Kinks(one[:, None], SEVEN, (one, 0 * one), -one, one, tensor(0.0))
    return minimise_kinks(kinks), seen


def test_a_wrong_basis_is_solved_again_with_the_near_rows_scaled_up(monkeypatch):
    """Near is what is at most 1e-5 of the largest residual, 4; the slope at 0 would be -2."""
    found, seen = rounds_of_a_median(monkeypatch, is_solved_again=True)
    assert found.theta[0].item() == 1e-6
    assert found.bound <= 1e-26
    assert len(seen) == 2
    assert seen[0][0].tolist() == (SEVEN / 4).tolist()
    assert seen[0][1] == [True] * 7
    torch.testing.assert_close(seen[1][0], SEVEN / 2e-6, rtol=1e-15, atol=0)
    assert seen[1][1] == [False, False, True, True, True, False, False]


def test_the_best_vertex_so_far_stands_where_no_programme_is_solved(monkeypatch):
    found, seen = rounds_of_a_median(monkeypatch, is_solved_again=False)
    assert len(seen) == 2
    assert found.theta[0].item() == 0.0
    assert found.bound > 1e-6
