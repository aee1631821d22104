import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e9])
def test_large_data_agrees_with_memory(condition):
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


def test_the_same_bits_again():
    X, y = problem(5, 30000, 12, 1e5)
    first = streaming_least_squares(array_blocks(X, y, 4000))
    again = streaming_least_squares(array_blocks(X.clone(), y.clone(), 4000))
    assert torch.equal(first.weight, again.weight)
    assert first.certificate == again.certificate
