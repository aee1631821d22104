"""Parts of the least-squares solver by themselves: tensors, standard errors, tiny ridges."""

import math
import re

import numpy as np
import pytest
import torch

from optlab.linalg import least_squares, streaming_least_squares
from optlab.linalg.row_blocks import times_power
from optlab.linalg.traversal import empty_like, like, to_numpy
from optlab.linalg.triangle import qr_triangle

A = np.random.default_rng(3).normal(size=(7, 3))
LINE = torch.arange(8, dtype=torch.float64) / 8
NOISY = 2 * LINE + torch.tensor([0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1], dtype=torch.float64)


def test_tensors_take_the_ways_of_arrays():
    """Those of an accelerator do; here they lie in the memory that arrays lie in."""
    tensor = torch.from_numpy(A)
    R, own = qr_triangle(tensor), qr_triangle(A)
    assert isinstance(R, torch.Tensor)
    np.testing.assert_allclose(R.T @ R, own.T @ own, rtol=1e-13)
    powers = np.array([1074, -3, 0])
    assert times_power(tensor * 2.0**-1000, powers).numpy().tolist() == (
        times_power(A * 2.0**-1000, powers).tolist()
    )
    assert (empty_like(tensor, (2, 3)).shape, empty_like(A, (2, 3)).shape) == ((2, 3), (2, 3))
    assert isinstance(empty_like(tensor, (2,)), torch.Tensor)
    back = like(A.T, tensor)
    assert isinstance(back, torch.Tensor)
    assert to_numpy(back).tolist() == to_numpy(A.T).tolist()
    assert like(A, A) is A


def test_a_standard_error_follows_its_combination_through_an_offset():
    """Of the prediction at a point: the same for columns that all moved by 2**30, exactly."""
    near = least_squares(LINE[:, None], NOISY).certificate
    far = least_squares(LINE[:, None] + 2.0**30, NOISY).certificate
    one = near.standard_error(np.array([1.0, 0.25]))
    design = np.column_stack([np.ones(8), LINE.numpy()])
    inverse = np.linalg.inv(design.T @ design)
    sigma = math.sqrt(near.residual_sum_of_squares / 6)
    assert one == pytest.approx(sigma * math.sqrt([1, 0.25] @ inverse @ [1, 0.25]), rel=1e-12)
    assert far.standard_error(np.array([1.0, 0.25 + 2.0**30])) == pytest.approx(one, rel=1e-6)
    exact = least_squares(LINE[:2, None], NOISY[:2]).certificate
    assert math.isnan(exact.standard_error(np.array([1.0, 0.0])))  # no residual is left


def test_a_ridge_below_rounding_leaves_the_minimum_norm():
    twice = torch.stack([LINE, LINE], 1)
    plain = least_squares(twice, NOISY)
    ridged = least_squares(twice, NOISY, l2=1e-40)
    assert ridged.certificate.rank == plain.certificate.rank == 2
    torch.testing.assert_close(ridged.weight, plain.weight, rtol=1e-13, atol=0)
    assert ridged.weight[0] == pytest.approx(ridged.weight[1].item(), rel=1e-15)


def test_an_infinite_entry_of_the_first_block_is_named():
    bad = A.copy()
    bad[4, 1] = math.inf
    with pytest.raises(ValueError, match=re.escape("row 4")):
        streaming_least_squares([(bad, A[:, 0])], refinement_passes=2)
