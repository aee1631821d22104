import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.linalg import array_blocks, least_squares, streaming_least_squares
from tests.exact import NIST_NAMES, exact_solution, load_nist, lre, unknowns
from tests.test_least_squares import EPS, conditions, problem, seeds, shapes


@given(seeds, shapes, conditions, st.integers(1, 50), st.booleans())
def test_chunking_does_not_matter_and_memory_agrees(seed, shape, condition, rows, intercept):
    X, y = problem(seed, *shape, condition)
    streamed = streaming_least_squares(
        array_blocks(X, y, rows), fit_intercept=intercept, refinement_passes=3
    )
    right = exact_solution(X, y, intercept)
    assert lre(unknowns(streamed, intercept), right) >= 14
    assert lre(unknowns(streamed, intercept), right) >= min(15, streamed.certificate.digits)


@pytest.mark.parametrize("passes", [0, 1, 2])
@given(seeds, shapes, conditions, st.integers(1, 50))
def test_predicted_digits_are_borne_out_after_any_number_of_passes(
    passes, seed, shape, condition, rows
):
    X, y = problem(seed, *shape, condition)
    streamed = streaming_least_squares(array_blocks(X, y, rows), refinement_passes=passes)
    found = lre(unknowns(streamed, True), exact_solution(X, y, True))
    assert found >= min(15.0, streamed.certificate.digits)


@pytest.mark.parametrize("name", NIST_NAMES)
def test_nist_in_blocks_of_five_rows(name):
    data = load_nist(name)
    streamed = streaming_least_squares(
        array_blocks(data.X, data.y, 5), fit_intercept=data.intercept, refinement_passes=3
    )
    right = exact_solution(data.X, data.y, data.intercept)
    assert lre(unknowns(streamed, data.intercept), right) >= 14


@given(seeds, shapes, conditions, st.floats(-8, 2))
def test_ridge_agrees_with_memory(seed, shape, condition, power):
    X, y = problem(seed, *shape, condition)
    streamed = streaming_least_squares(array_blocks(X, y, 7), l2=10.0**power, refinement_passes=3)
    memory = least_squares(X, y, l2=10.0**power, route="full")
    assert torch.allclose(streamed.weight, memory.weight, rtol=4 * EPS, atol=0)


@st.composite
def offset_data(draw):
    """Integers times a power of two around offsets up to 2**53 of them: exact, n small or large.

    Offset over spread goes from 1 to 1e18: with a rare step of 1, the spread is 1/sqrt(n).
    """
    n, d = draw(st.sampled_from([2, 3, 5, 20, 300, 3000])), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    X = np.empty((n, d))
    for j in range(d):
        width, power = 2 ** draw(st.integers(0, 20)), draw(st.integers(-60, 60))
        offset = 2 ** draw(st.integers(0, 52)) + draw(st.integers(0, 3))
        steps = rng.integers(0, width + 1, n)
        if draw(st.booleans()):  # nearly all rows are equal
            steps[rng.random(n) < 0.99] = 0
        X[:, j] = np.ldexp((offset + steps).astype(float), power)
    if draw(st.booleans()):  # the first rows tell little about the others
        X = X[np.argsort(X[:, 0], kind="stable")]
    y = X @ rng.integers(-3, 4, d) if draw(st.booleans()) else rng.standard_normal(n)
    return torch.from_numpy(X), torch.from_numpy(y) + draw(st.sampled_from([0.0, 1.0, 1e9]))


@given(offset_data(), st.sampled_from([1, 7, 1000, None]), st.integers(0, 2))
def test_no_false_certificate_where_the_offset_dwarfs_the_spread(drawn, rows, passes):
    X, y = drawn
    right = exact_solution(X, y, True)
    if right is None:  # the columns are dependent: there is no unique solution
        return
    streamed = streaming_least_squares(array_blocks(X, y, rows), refinement_passes=passes)
    if streamed.certificate.trusted:
        found = unknowns(streamed, True)
        claimed = streamed.certificate.digits
        assert claimed >= 1
        assert right_digits(found, right, X) >= min(15.0, claimed)


def right_digits(found, right, X):
    """The right digits, in the units of `Certificate.digits`.

    Of an unknown that float64 cannot tell from zero (below 2**-60): against the largest of the
    terms offset * weight for the bias, against the largest coefficient, columns scaled, for others.
    """
    spread = [1.0, *(X - X[0]).norm(dim=0).tolist()]
    terms = [1.0, *X[0].abs().tolist()]
    least = 15.0
    for j, (b, c) in enumerate(zip(found, right, strict=True)):
        scale = spread if j else terms
        largest = max(abs(float(c)) * s for c, s in zip(right, scale, strict=True)) / scale[j]
        size = abs(float(c)) if abs(float(c)) > 2.0**-60 * largest else largest
        error = abs(float(Fraction(b) - c))
        least = min(least, math.inf if error == 0 else -math.log10(error / size))
    return least


@pytest.mark.parametrize("seed", range(4))
def test_what_many_blocks_round_off_is_in_the_claim(seed):
    """One row a block, offsets of 2**36 times the step: one pass claimed 4.8 digits for 4.0."""
    steps = np.sort(np.random.default_rng(seed).integers(0, 129, 3000))
    X = torch.from_numpy((2.0**49 + 2.0**13 * (1 + steps))[:, None])
    y = 1.0 - 2.0 * X[:, 0]  # exact: no other answer than 1 and -2
    for rows in (1, 7):
        streamed = streaming_least_squares(array_blocks(X, y, rows), refinement_passes=1)
        found = right_digits(unknowns(streamed, True), [Fraction(1), Fraction(-2)], X)
        assert found >= min(15.0, streamed.certificate.digits)


def test_an_answer_without_a_right_digit_of_a_small_coefficient_is_not_trusted():
    """Weights of sizes 1 and 1e-13, one pass of QR in blocks of 7 rows: the small one is noise."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(3000, 2, generator=generator, dtype=torch.float64)
    y = X @ torch.tensor([1.0, 1e-13], dtype=torch.float64) + 1.0
    certificate = streaming_least_squares(array_blocks(X, y, 7), refinement_passes=0).certificate
    assert certificate.digits < 1
    assert not certificate.trusted
    assert certificate.message.endswith("not trusted: a coefficient may have no right digit")
    refined = streaming_least_squares(array_blocks(X, y, 7), refinement_passes=2).certificate
    assert refined.trusted


@pytest.mark.parametrize("passes", [0, 1, 2])
@given(seeds, shapes, st.floats(0, 6).map(lambda e: 10.0**e), st.floats(-300, 300), st.booleans())
def test_predicted_digits_are_borne_out_with_any_ridge(
    passes, seed, shape, condition, power, intercept
):
    X, y = problem(seed, *shape, condition)
    l2 = 10.0**power
    streamed = streaming_least_squares(
        array_blocks(X, y, 7), l2=l2, refinement_passes=passes, fit_intercept=intercept
    )
    right = exact_solution(X, y, intercept, Fraction(len(y)) * Fraction(l2) / 2)
    assert lre(unknowns(streamed, intercept), right) >= min(15.0, streamed.certificate.digits)


@pytest.fixture(params=[1, 2], ids="{} threads".format)
def threads(request):
    """Blocks are worked on by as many threads."""
    with threads_kept():
        yield set_threads(request.param)


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e9])
def test_large_data_agrees_with_memory(condition, threads):
    X, y = problem(1, 50000, 20, condition)
    memory = least_squares(X, y, route="full")
    for passes in (0, 1, 2):
        streamed = streaming_least_squares(array_blocks(X, y), refinement_passes=passes)
        error = ((streamed.weight - memory.weight) / memory.weight).abs().max().item()
        assert error <= 10.0**-streamed.certificate.digits
        assert streamed.certificate.route == "streaming"
    assert error <= 2 * EPS
    assert streamed.certificate.residual_sum_of_squares == pytest.approx(
        memory.certificate.residual_sum_of_squares, rel=1e-14
    )


def test_memory_mapped_file(tmp_path):
    X, y = problem(2, 20000, 10, 1e3)
    np.save(tmp_path / "X.npy", X.numpy())
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    streamed = streaming_least_squares(array_blocks(mapped, y, 3000))
    memory = least_squares(X, y, route="full")
    assert torch.allclose(streamed.weight, memory.weight, rtol=2 * EPS, atol=0)


def test_sources_of_blocks():
    X, y = problem(3, 100, 3)
    right = streaming_least_squares(array_blocks(X, y, 40)).weight
    pieces = list(zip(X.split(40), y.split(40), strict=True))
    assert torch.equal(streaming_least_squares(pieces).weight, right)
    assert torch.equal(streaming_least_squares(lambda: iter(pieces)).weight, right)
    once = streaming_least_squares(iter(pieces), refinement_passes=0)
    assert torch.allclose(once.weight, right, rtol=1e-12)
    assert once.certificate.backward_error is None
    with pytest.raises(ValueError, match="visited only once"):
        streaming_least_squares(iter(pieces), refinement_passes=1)
    empty_between = [pieces[0], (X[:0], y[:0]), *pieces[1:]]
    assert torch.equal(streaming_least_squares(empty_between).weight, right)


def test_bad_blocks_are_named():
    X, y = problem(4, 30, 3)
    with pytest.raises(ValueError, match="one number of columns, not 3 and 2"):
        streaming_least_squares([(X, y), (X[:, :2], y)])
    with pytest.raises(ValueError, match=r"pairs of X \(m, d\) and y \(m,\)"):
        streaming_least_squares([(X, y[:5])])
    with pytest.raises(ValueError, match="refinement_passes must be 0 to 10, not -1"):
        streaming_least_squares([(X, y)], refinement_passes=-1)
    X[29, 2] = math.nan
    with pytest.raises(ValueError, match="nan at row 29, column 2"):
        streaming_least_squares(array_blocks(X, y, 8), refinement_passes=0)


def test_the_same_bits_again(threads):
    X, y = problem(5, 30000, 12, 1e5)
    first = streaming_least_squares(array_blocks(X, y, 4000))
    again = streaming_least_squares(array_blocks(X.clone(), y.clone(), 4000))
    assert torch.equal(first.weight, again.weight)
    assert first.certificate == again.certificate
