"""Small decompositions of the reference solver use one thread, and leave the number as it was."""

import ctypes
import importlib
import shutil
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import optlab as ol
from optlab.linalg import minimum_norm
from optlab.linalg.blas_threads import controller


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere modules are counted")
def test_thread_pools_are_looked_for_where_a_library_was_loaded_not_a_module(tmp_path, monkeypatch):
    before = controller()
    (tmp_path / "without_a_library.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("without_a_library")
    assert controller() is before
    library = next(Path(psutil.__file__).parent.glob("_psutil_linux*.so"))
    ctypes.CDLL(shutil.copy(library, tmp_path))
    assert controller() is not before
