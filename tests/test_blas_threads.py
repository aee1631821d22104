"""Small decompositions of the reference solver use one thread, and leave the number as it was."""

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import optlab as ol
from optlab.linalg import minimum_norm


def threads():
    return {torch.get_num_threads(), *(info["num_threads"] for info in threadpool_info())}


def test_a_wide_problem_is_decomposed_on_one_thread(monkeypatch):
    seen, svd = [], np.linalg.svd

    def spy(*arguments, **keywords):
        seen.append(threads())
        return svd(*arguments, **keywords)

    monkeypatch.setattr(minimum_norm.np.linalg, "svd", spy)
    X = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 60)))
    with threadpool_limits(2):
        before = threads()
        reference = ol.LinearRegression(X, X.sum(1)).reference()
        assert threads() == before
    assert seen
    assert all(counts == {1} for counts in seen)
    assert reference.loss < 1e-25
