from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.linalg import double_double as dd

# Products and their errors must stay normal: |a b| >= 2**-969 + ..., so draw magnitudes in between.
numbers = st.floats(-(2.0**400), 2.0**400).filter(lambda v: v == 0 or abs(v) > 2.0**-400)


def tensor(value):
    return torch.tensor(value, dtype=torch.float64)


@given(numbers, numbers)
def test_two_sum_is_exact(a, b):
    s, e = dd.two_sum(tensor(a), tensor(b))
    assert Fraction(s.item()) + Fraction(e.item()) == Fraction(a) + Fraction(b)


@given(numbers, numbers)
def test_two_product_is_exact(a, b):
    p, e = dd.two_product(tensor(a), tensor(b))
    assert Fraction(p.item()) + Fraction(e.item()) == Fraction(a) * Fraction(b)


def draw(seed, m, k, spread):
    """Random pairs whose entries span ``10**spread``, so that sums cancel."""
    g = np.random.default_rng(seed)
    A = g.standard_normal((m, k)) * 10.0 ** g.uniform(-spread, spread, (m, k))
    x = g.standard_normal(k) * 10.0 ** g.uniform(-spread, spread, k)
    return A, A * 2.0**-54 * g.uniform(-1, 1, A.shape), x, x * 2.0**-54 * g.uniform(-1, 1, k)


def exact(A, A_low, x, x_low):
    F = Fraction
    rows = [[F(h) + F(e) for h, e in zip(r, s, strict=True)] for r, s in zip(A, A_low, strict=True)]
    v = [F(h) + F(e) for h, e in zip(x, x_low, strict=True)]
    sums = [sum((a * b for a, b in zip(r, v, strict=True)), F(0)) for r in rows]
    sizes = [sum((abs(a * b) for a, b in zip(r, v, strict=True)), F(0)) for r in rows]
    return sums, sizes


# Errors: products of pairs drop low*low, 2**-106, and round the three remaining terms, 3 * 2**-106;
# adding m pairs by halves rounds low parts log2(m) times: (log2(m) + 2)**2 * 2**-106 with
# m <= 60: 64 * 2**-106 = 2**-100, relative to the sum of sizes.
BOUND = Fraction(1, 2**100)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 60), st.floats(0, 8))
def test_matvec_has_twice_the_digits(kind, seed, m, k, spread):
    A, A_low, x, x_low = draw(seed, m, k, spread)
    wrap = torch.from_numpy if kind == "torch" else np.asarray
    high, low = dd.matvec(wrap(A), (wrap(x), wrap(x_low)), wrap(A_low))
    sums, sizes = exact(A, A_low, x, x_low)
    for h, e, s, size in zip(high.tolist(), low.tolist(), sums, sizes, strict=True):
        assert abs(Fraction(h) + Fraction(e) - s) <= BOUND * size


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 20), st.floats(0, 8))
def test_transposed_matvec_agrees_with_matvec_of_the_transpose(seed, m, k, spread):
    A, A_low, x, x_low = draw(seed, m, k, spread)
    B, B_low = np.ascontiguousarray(A.T), np.ascontiguousarray(A_low.T)
    high, low = dd.transposed_matvec(B, (x, x_low), B_low)
    sums, sizes = exact(A, A_low, x, x_low)
    for h, e, s, size in zip(high.tolist(), low.tolist(), sums, sizes, strict=True):
        assert abs(Fraction(h) + Fraction(e) - s) <= BOUND * size


def test_blocks_do_not_change_the_accuracy():
    A, A_low, x, x_low = draw(0, 7000, 12, 3)  # more than one block of 2**16 numbers
    high, low = dd.matvec(A, (x, x_low), A_low)
    sums, sizes = exact(A[-50:], A_low[-50:], x, x_low)
    for h, e, s, size in zip(high[-50:], low[-50:], sums, sizes, strict=True):
        assert abs(Fraction(h) + Fraction(e) - s) <= BOUND * size


def test_gram_has_twice_the_digits():
    A, A_low, *_ = draw(3, 30, 4, 4)
    high, low = dd.gram(A, A_low)
    for j in range(4):
        sums, sizes = exact(A.T, A_low.T, A[:, j], A_low[:, j])
        for i in range(4):
            value = Fraction(high[i, j]) + Fraction(low[i, j])
            assert abs(value - sums[i]) <= BOUND * sizes[i]


def test_no_rows_and_no_columns_give_zeros():
    empty = np.zeros((0, 3))
    assert dd.transposed_matvec(empty, (np.zeros(0), np.zeros(0)))[0].tolist() == [0.0, 0.0, 0.0]
    assert dd.matvec(empty.T, (np.zeros(0), np.zeros(0)))[0].tolist() == [0.0, 0.0, 0.0]


def test_compiled_kernel_agrees():
    kernels = pytest.importorskip("optlab.linalg.kernels", exc_type=ImportError)
    A, _, x, x_low = draw(5, 1000, 7, 3)
    y = np.random.default_rng(6).standard_normal(1000)
    high, low, sums = np.zeros(7), np.zeros(7), np.zeros(4)
    bias = np.array([0.3, 2.0**-60])
    kernels.accurate_residual_gradient(A, y, bias, x, x_low, high, low, sums)
    r = dd.matvec(A, (-x, -x_low))
    r = dd.pair_add(r, (y, 0 * y))
    r = dd.pair_add(r, (-bias[:1], -bias[1:]))
    g = dd.transposed_matvec(A, r)
    size = np.abs(A).T @ (np.abs(y) + np.abs(A) @ np.abs(x) + 1)
    # Sums one after the other, not by halves: n times 2**-106 at most, n = 1000: 2**-96.
    assert np.all(np.abs((high - g[0]) + (low - g[1])) <= 2.0**-96 * size)
    ones = dd.pair_sum(*r, 0)
    assert abs((sums[0] - ones[0]) + (sums[1] - ones[1])) <= 2.0**-96 * size.max()
