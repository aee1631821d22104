"""A'B is the same by blocks, by numpy and by torch, for every layout of the memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from optlab.linalg import cross_product as module
from optlab.linalg.cross_product import BLOCK_ROWS, MOST_COLUMNS, cross_product

EPS = 2.0**-52
SHAPES = [(1, 3), (2 * BLOCK_ROWS - 1, 4), (2 * BLOCK_ROWS, 4), (3 * BLOCK_ROWS + 7, 5),
          (2 * BLOCK_ROWS, MOST_COLUMNS + 1), (4 * BLOCK_ROWS, 0)]  # fmt: skip


def matrix(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def close(found: object, A: np.ndarray, B: np.ndarray, eps: float = EPS) -> None:
    """A sum of n products errs by at most n eps sum |a||b| in any order, and so does the other."""
    bound = 2 * (len(A) + 1) * eps * (np.abs(A).T @ np.abs(B))
    assert (np.abs(np.asarray(found) - A.T @ B) <= bound).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_and_tensors_have_the_product(shape: tuple[int, int]) -> None:
    A, B = matrix(*shape), matrix(shape[0], 2, seed=1)
    for right in (None, B):
        found = cross_product(A, right)
        assert isinstance(found, np.ndarray)
        close(found, A, A if right is None else right)
        tensor = cross_product(
            torch.from_numpy(A), None if right is None else torch.from_numpy(right)
        )
        assert isinstance(tensor, torch.Tensor)
        close(tensor.numpy(), A, A if right is None else right)


def test_every_layout_of_the_memory() -> None:
    n = 2 * BLOCK_ROWS + 3
    A = matrix(n, 4)
    read_only = A.copy()
    read_only.flags.writeable = False
    fields = np.zeros(n, dtype=[("flag", "i1"), ("x", "f8", 4)])  # strides of 33 bytes
    fields["x"] = A
    layouts = {
        "columns first": np.asfortranarray(A),
        "read-only": read_only,
        "every other column": np.repeat(A, 2, axis=1)[:, ::2],
        "backwards": A[::-1].copy()[::-1],
        "other byte order": A.astype(A.dtype.newbyteorder()),
        "odd strides": fields["x"],
    }
    for name, layout in layouts.items():
        assert np.array_equal(layout, A), name
        close(cross_product(layout), A, A)
    close(cross_product(A.astype(np.float32)), A, A, 2.0**-23)
    integers = np.arange(2 * n, dtype=np.int64).reshape(n, 2)
    assert (cross_product(integers) == integers.T @ integers).all()


def test_tall_data_are_multiplied_by_blocks_and_no_more_at_once_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda a, b: calls.append(a.shape) or bmm(a, b))
    monkeypatch.setattr(module, "MOST_SUMS", 3 * 4 * 4)
    A = matrix(7 * BLOCK_ROWS + 1, 4)
    close(cross_product(A), A, A)
    assert calls == [(3, 4, BLOCK_ROWS), (3, 4, BLOCK_ROWS), (1, 4, BLOCK_ROWS)]
    calls.clear()
    cross_product(matrix(BLOCK_ROWS, 4))
    assert not calls


def test_autograd_goes_through() -> None:
    A = torch.from_numpy(matrix(2 * BLOCK_ROWS, 2)).requires_grad_()
    cross_product(A).sum().backward()
    assert torch.allclose(A.grad, 2 * A.detach().sum(1, keepdim=True).expand_as(A))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_shows_on_the_diagonal(bad: float) -> None:
    A = matrix(3 * BLOCK_ROWS, 3)
    A[5, 1] = bad
    assert not np.isfinite(cross_product(A)[1, 1])
