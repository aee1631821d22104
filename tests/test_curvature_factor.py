"""The proven floor of a triangular factor takes off each term of rounding that it names."""

import math

import pytest
import torch

from optlab.problems.certified.curvature_factor import factored, gram_factored

EPS = 2.0**-52


def close_columns(apart, p=3, m=40):
    """Rows of which the last column is the first but for a share."""
    A = torch.randn(m, p, generator=torch.Generator().manual_seed(4)).double()
    A[:, -1] = A[:, 0] + apart * A[:, -1]
    return A


@pytest.mark.parametrize("apart", [1e-4, 1e-5])
def test_the_floor_of_a_factored_product_takes_off_solves_and_entries(apart):
    A, p = close_columns(apart), 3
    factor = gram_factored(A.T @ A, 40)
    R, inverse = factor.R, torch.linalg.inv(factor.R)
    scaled = A.T @ A * factor.scale * factor.scale[:, None]
    half = torch.linalg.solve_triangular(R.T, scaled, upper=False)
    C = torch.linalg.solve_triangular(R, half, upper=True, left=False)
    apart_from_one = float((C - torch.eye(p, dtype=C.dtype)).norm())
    solves = 3 * (p + 8) * EPS * float((R.abs() @ inverse.abs()).norm()) * float(C.norm())
    entries = 2 * p * (40 + 20) * EPS * float(inverse.norm()) ** 2
    lost = 1 - factor.floor**2
    assert lost == pytest.approx(apart_from_one + solves + entries, rel=1e-8, abs=0)


def test_the_number_of_rows_enters_the_floor_of_a_product():
    A = close_columns(1e-4)
    lost = [1 - gram_factored(A.T @ A, rows).floor ** 2 for rows in (40, 100)]
    inverse = torch.linalg.inv(gram_factored(A.T @ A, 40).R)
    more = 2 * 3 * 60 * EPS * float(inverse.norm()) ** 2
    assert lost[1] - lost[0] == pytest.approx(more, rel=1e-3, abs=0)
    assert gram_factored(A.T @ A, int(0.2 * 40 / lost[0])) is None  # nothing is proven below 0.9


def test_the_floor_of_factored_rows_takes_off_solves_and_entries():
    A, m, p = close_columns(1e-6), 40, 3
    factor = factored(A)
    R, inverse = factor.R, torch.linalg.inv(factor.R)
    scaled = A * factor.scale
    B = scaled @ inverse
    size = float(B.norm())
    assert size**2 == pytest.approx(3, rel=1e-6)  # of three orthonormal columns
    solves = (p + 8) * size * float((R.abs() @ inverse.abs()).norm())
    entries = 8 * float(scaled.norm()) * float(inverse.norm())
    lost = 1 - factor.floor
    apart = (m + 8) * EPS * size**2
    product = float((B.T @ B - torch.eye(p, dtype=A.dtype)).norm())
    known = EPS * (solves + entries) + apart / 2
    assert known * (1 - 1e-6) <= lost <= known * (1 + 1e-6) + 10 * product
    assert factored(close_columns(1e-15)) is None


def test_columns_are_scaled_by_the_nearest_power_of_two_of_their_norm():
    A = torch.diag(torch.tensor([1.0, 1.3, 1.5, 6.0, 2.0**-40]).double())
    expected = [1.0, 1.0, 0.5, 0.125, 2.0**40]
    assert factored(A).scale.tolist() == expected
    assert gram_factored(A.T @ A, 5).scale.tolist() == expected
    vector = torch.arange(1.0, 6.0).double()
    for factor in (factored(A), gram_factored(A.T @ A, 5)):
        torch.testing.assert_close(factor.solve(vector), vector / A.diagonal() ** 2)
        torch.testing.assert_close(factor.dual(vector).abs(), vector / A.diagonal())
        both = factor.dual(torch.stack([vector, 2 * vector], 1))
        torch.testing.assert_close(both[:, 1], 2 * factor.dual(vector))


def test_the_floor_of_many_rows_takes_off_the_rounding_of_their_product():
    """Of columns of the identity R is exact: all else is 2 (12 2 + 8 2) units."""
    lost = 1 - factored(torch.eye(4096, 4).double()).floor
    assert lost == pytest.approx(EPS * (4104 * 4 / 2 + 2 * (12 * 2 + 8 * 2)), rel=1e-3, abs=0)


def test_what_has_no_factor():
    """No columns have an empty one; zeros, infinity and fewer rows than columns have none."""
    good = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]).double()
    for k, wrong in ((0, 0.0), (0, math.inf), (1, 0.0), (1, math.inf), (1, math.nan)):
        bad = good.clone()
        bad[k, k] = wrong
        assert factored(bad) is None
        gram = good.T @ good
        gram[k, k] = wrong
        assert gram_factored(gram, 3) is None
    assert factored(good[:1]) is None
    assert factored(good[:2]) is not None
    assert factored(good[:, :1]) is not None
    assert gram_factored(torch.ones((1, 1)).double(), 3).floor > 0.99
    assert gram_factored(torch.ones((0, 0)).double(), 3) is None
    empty = factored(good[:, :0])
    assert (empty.R.shape, empty.scale.shape, empty.floor) == ((0, 0), (0,), 1.0)
    assert gram_factored(torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double(), 3) is None


def test_a_vector_is_whitened_and_solved_for():
    A = torch.tensor([[3.0, 1.0], [0.0, 2.0], [4.0, 0.0]]).double()
    vector = torch.tensor([5.0, -7.0]).double()
    H = A.T @ A
    for factor in (factored(A), gram_factored(H, 3)):
        solved = torch.linalg.solve(H, vector)
        torch.testing.assert_close(factor.solve(vector), solved, rtol=1e-13, atol=0)
        size = float(factor.dual(vector).square().sum())
        assert size == pytest.approx(float(vector @ solved), rel=1e-13)
        whitening = factor.whitening()
        torch.testing.assert_close(whitening.T @ whitening, H.inverse(), rtol=1e-13, atol=1e-15)
