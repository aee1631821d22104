import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.lab.workers import pickle_file
from optlab.lab.workers.pickling import dumps_by_value
from optlab.problems.losses.huber import HuberRegression


def odd_modules():
    return {name: m for name, m in list(sys.modules.items()) if type(m) is not ModuleType}


def test_what_lies_among_the_modules_is_pickled_by_its_name():
    assert "torch.backends.cudnn" in odd_modules()
    for name, module in odd_modules().items():
        if name in sys.modules and module is not None:
            assert pickle.loads(dumps_by_value([module]))[0] is sys.modules[name], name


cudnn = torch.backends.cudnn


class NamesCudnn:
    def iterates(self, problem, batches, start):
        cudnn.benchmark = False
        yield problem


def test_a_class_of_a_script_may_name_cudnn(monkeypatch):
    monkeypatch.setattr(NamesCudnn, "__module__", "__main__")
    assert pickle.loads(dumps_by_value(NamesCudnn)).iterates is not None


@pytest.fixture
def file(tmp_path):
    with (tmp_path / "problem").open("w+b") as file:
        yield file


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 5), max_size=3),
    transposed=st.booleans(),
    grad=st.booleans(),
)
def test_tensors_come_back_with_their_bits_strides_and_kind(
    tmp_path_factory, dtype, shape, transposed, grad
):
    grad &= dtype.is_floating_point
    value = (torch.randn(shape) * 3).to(dtype)
    value = (value.mT if transposed and value.ndim >= 2 else value).requires_grad_(grad)
    with (tmp_path_factory.mktemp("p") / "f").open("w+b") as file:
        layout = pickle_file.dump({"t": value}, file)
        (again,) = pickle_file.load(file.fileno(), layout).values()
    (in_band,) = pickle.loads(dumps_by_value({"t": value})).values()
    for got in (again, in_band):
        assert (got.dtype, got.stride(), got.requires_grad) == (dtype, value.stride(), grad)
        assert torch.equal(got, value)


def test_what_is_mapped_may_be_changed_and_nobody_else_sees_it(file):
    X, y = torch.randn(300, 20), np.arange(300.0)
    layout = pickle_file.dump((X, y), file)
    assert layout.pickle[1] < 2000  # the data are no part of the pickle
    mine, yours = (pickle_file.load(file.fileno(), layout) for _ in range(2))
    mine[0].zero_()
    mine[1][:] = 0
    assert torch.equal(yours[0], X)
    assert np.array_equal(yours[1], y)
    assert mine[0].data_ptr() % 64 == 0


@pytest.mark.parametrize("kind", [ol.LinearRegression, HuberRegression])
def test_another_process_is_sent_the_solution(file, monkeypatch, kind):
    problem = kind([[0.0], [1.0], [2.0]], [1.0, 3.0, 6.0])
    reference = problem.reference()
    layout = pickle_file.dump(problem, file)
    for module in ("linear_regression.least_squares", "linear_model.optimum"):
        monkeypatch.setattr(f"optlab.problems.{module}", None)  # it would be called
    again = pickle_file.load(file.fileno(), layout)
    assert repr(again.reference()) == repr(reference)
    start = problem.start(torch.Generator())
    assert again.evaluate(start) == problem.evaluate(start)
    assert "_judge" not in again.__getstate__()  # of which a key is made


def test_a_default_device_is_no_matter():
    with torch.device("meta"):
        again = pickle.loads(dumps_by_value(torch.ones(3, device="cpu")))
    assert again.tolist() == [1, 1, 1]
