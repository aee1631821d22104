"""The bound of a vertex term by term, and its systems in pairs, on numbers for a hand."""

import math
from fractions import Fraction

import pytest
import torch

from optlab.linalg import double_double as dd
from optlab.problems.certified.kinks import (
    INSIDE,
    Kinks,
    independent_rows,
    product_of,
    proven,
    quotient_of,
    refined,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def pair(*values):
    return tensor(*values), 0 * tensor(*values)


def exact(pair):
    return [
        Fraction(a) + Fraction(b) for a, b in zip(*(part.tolist() for part in pair), strict=True)
    ]


MEDIAN = Kinks(
    tensor([1.0], [1.0], [1.0]), tensor(0.0, 1.0, 10.0), pair(2.0, 4.0, 1.0),
    tensor(-1.0, -0.5, -3.0), tensor(5.0, 0.5, 2.0), tensor(0.0),
)  # fmt: skip


def test_the_bound_of_a_minimum_is_what_rounding_may_have_left():
    """At 1 the slopes -1, 0 and 2 of the weights 2, 4 and 1 add up to 0, and each is at its end.

    Residuals -1, 0, 9 are of the loss 2 + 18 = 20. The rows' lesser slopes 1, 1/2, 2 times the
    weights are 2, 2, 2, of the sum 6. Errors: 64 units of the pull's terms, 2 + 2, and of the
    residuals' terms, 2 (0 + 1) + 4 (1 + 1) + 1 (10 + 1).
    """
    found = proven(MEDIAN, torch.tensor([1]), pair(1.0), pair(-1.0, 0.0, 9.0), pair(-1.0, 0.0, 2.0))
    value, unit = 1.01 * 20, 64 * dd.UNIT
    apart = 2 * value / math.sqrt(2)
    right = unit * 21 + unit * 4 / math.sqrt(6) * apart
    assert found.bound == pytest.approx(right, rel=1e-12, abs=0)
    assert found.is_unique


def test_the_bound_with_a_penalty_has_its_pull_and_its_reach():
    """At 1/2, l2 = 8 pulls by 4: slopes -1, 3/4 and 3 of weights 2, 4 and 1 add up to 4.

    The loss is 2 + 27, the penalty 1; rows' lesser slopes times weights are 2, 4, 2, with l2 16.
    """
    kinks = MEDIAN._replace(
        l2=tensor(8.0), low=tensor(-1.0, -1.0, -2.0), high=tensor(5.0, 2.0, 3.0)
    )
    at, basis = (pair(0.5), pair(-1.0, 0.0, 9.0)), torch.tensor([1])
    value, unit = 1.01 * 30, 64 * dd.UNIT
    apart = 2 * value / math.sqrt(2) + 2 * math.sqrt(2 * value)
    rounding = unit * (2 * 0.5 + 4 * 1.5 + 10.5)

    def right(terms):
        return pytest.approx(rounding + unit * terms / 4 * apart, rel=1e-12, abs=0)

    assert proven(kinks, basis, *at, pair(-1.0, 0.75, 3.0)).bound == right(2 + 3 + 3 + 4)
    # Slopes that miss the pull by 1/8 of the weight 4; the residual 0 adds nothing.
    short = proven(kinks, basis, *at, pair(-1.0, 0.625, 3.0))
    assert short.bound == pytest.approx(0.5 / 4 * apart, rel=1e-12, abs=0)
    low = tensor(0.0, 0.125, 2.0)  # the last is at its end, beyond which it may not be
    whole = proven(kinks, basis, *at, (tensor(-1.0, 0.625, 3.0), low))
    assert whole.bound == right(2 + 2.5 + 3 + 4)
    assert whole.slope[1].tolist() == [0.0, 0.125, 0.0]
    moved = ((tensor(0.5), tensor(2.0**-60)), at[1])
    found = proven(kinks, basis, *moved, (tensor(-1.0, 0.75, 3.0), tensor(0.0, 2.0**-59, 0.0)))
    assert found.bound == right(2 + 3 + 3 + 4)


def test_residuals_whose_slopes_are_not_at_their_ends_add_what_is_left():
    kinks = MEDIAN
    slopes = pair(-1 + 2**-30, -(2.0**-30), 2 + 2**-29)  # 2, 4, 1 of them add up to 2**-29
    found = proven(kinks, torch.tensor([1]), pair(1.0), pair(-1.0, 2.0**-20, 9.0), slopes)
    assert found.slope[0].tolist() == [-1 + 2**-30, -(2.0**-30), 2.0]  # the last is clipped
    gap = 2 * 2.0**-30 + 4 * 2.0**-20 * (0.5 + 2.0**-30)
    error = 2 * (-1 + 2**-30) - 4 * 2.0**-30 + 2
    value = 1.01 * (20 + 2 * 2.0**-20)
    right = gap + abs(error) / math.sqrt(6) * 2 * value / math.sqrt(2)
    assert found.bound == pytest.approx(right, rel=1e-12, abs=0)


def test_a_bound_is_at_most_the_value_and_the_value_where_columns_depend():
    far = proven(MEDIAN, torch.tensor([1]), pair(1.0), pair(-1.0, 0.0, 9.0), pair(5.0, 0.5, 2.0))
    assert far.bound == 1.01 * 20
    twice = MEDIAN._replace(A=torch.ones((3, 2)).double(), l2=tensor(0.0, 0.0))
    at = pair(0.5, 0.5), pair(-1.0, 0.0, 9.0), pair(-1.0, 0.0, 2.0)
    assert proven(twice, torch.tensor([1]), *at).bound == 1.01 * 20


@pytest.mark.parametrize(("inside", "is_unique"), [(1.01, True), (0.99, False)])
@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_a_vertex_is_unique_where_the_slopes_of_its_basis_are_inside_their_range(
    inside, is_unique, l2
):
    """By a share of the range, here 3; with a penalty one row of the basis suffices, else all."""
    A, b = tensor([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]), tensor(0.0, 0.0, 0.0)
    low, high = tensor(-1.0, -1.0, -1.0), tensor(2.0, 2.0, 2.0)
    kinks = Kinks(A, b, pair(1.0, 1.0, 1.0), low, high, tensor(l2, l2))
    slope = tensor(-1 + inside * INSIDE * 3, 2.0 if l2 else 0.5, 0.5)
    at = pair(0.0, 0.0), pair(0.0, 0.0, 0.0), (slope, 0 * slope)
    assert proven(kinks, torch.tensor([0, 1]), *at).is_unique is is_unique
    slope = tensor(2 - inside * INSIDE * 3, 2.0 if l2 else 0.5, 0.5)
    at = pair(0.0, 0.0), pair(0.0, 0.0, 0.0), (slope, 0 * slope)
    assert proven(kinks, torch.tensor([0, 1]), *at).is_unique is is_unique
    assert not proven(kinks, torch.tensor([1, 0]), *at[:2], pair(2.0, -1.0, 0.5)).is_unique


def test_products_and_quotients_of_pairs_have_their_digits():
    """Within some units of 2**-104 of numbers below 4."""
    c, a = (tensor(0.1, 0.7), tensor(2.0**-57, -(2.0**-55))), tensor(0.3, -1.9)
    for found, high, low, by in zip(
        exact(product_of(c, a)), *(p.tolist() for p in (*c, a)), strict=True
    ):
        right = (Fraction(high) + Fraction(low)) * Fraction(by)
        assert abs(found - right) <= Fraction(2) ** -102
    of, by = (
        (tensor(0.7, -0.1), tensor(2.0**-56, 2.0**-58)),
        (tensor(0.3, 0.9), tensor(2.0**-57, -(2.0**-56))),
    )
    for found, above, below in zip(exact(quotient_of(of, by)), exact(of), exact(by), strict=True):
        assert abs(found - above / below) <= Fraction(2) ** -100


def test_systems_of_badly_scaled_rows_and_columns_are_solved_to_the_digits_of_pairs():
    """``[[2, 1], [1, 3]] x = (3, 5) / 10`` with rows and columns times powers of two."""
    rows, columns = tensor(2.0**40, 2.0**-30), tensor(2.0**-50, 2.0**20)
    B = rows[:, None] * tensor([2.0, 1.0], [1.0, 3.0]) * columns
    high, low = tensor(0.3, 0.5), tensor(2.0**-56, -(2.0**-57))
    found = refined(B, (high * rows, low * rows))
    a, b = exact((high, low))
    right = [(3 * a - b) / 5, (2 * b - a) / 5]
    for value, its, scale in zip(exact(found), right, columns.tolist(), strict=True):
        assert abs(value * Fraction(scale) / its - 1) <= Fraction(2) ** -98


@pytest.mark.parametrize(("apart", "rank"), [(1e-10, 2), (1e-12, 1)])
def test_rows_are_independent_to_rounding(apart, rank):
    rows = tensor([1.0, 0.0], [1.0, apart], [3.0, 0.0])
    assert len(independent_rows(rows)) == rank
    assert independent_rows(rows)[0] == 2  # the largest comes first
    assert independent_rows(rows[:0]).dtype == independent_rows(rows).dtype == torch.long
