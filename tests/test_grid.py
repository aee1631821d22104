import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.lab import Grid
from optlab.lab.grid import interleaved, named_optimizers


def problem(name="data", dtype=np.float64):
    return ol.LinearRegression(np.eye(3, dtype=dtype), np.ones(3, dtype), name=name)


def test_trials_are_every_combination_numbered_in_order():
    grid = Grid.of(
        [problem("a"), problem("b", np.float32)],
        [ol.ManualSGD(), ol.TorchSGD()],
        batch_sizes=[1, 2, "full"],
        devices=["cpu", "cuda"],
        seeds=[1, 2],
        repeats=3,
    )
    trials = grid.trials()
    assert len(set(trials)) == len(trials) == 2 * 2 * 3 * 2 * 2 * 3
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.repeat for trial in trials} == {1, 2, 3}
    # Left out, the dtype is the problem's own.
    assert {(trial.problem, trial.dtype) for trial in trials} == {("a", "float64"),
                                                                  ("b", "float32")}  # fmt: skip


def test_a_direct_method_has_one_trial_for_the_whole_batch_size_axis():
    grid = Grid.of(problem(), [ol.ManualSGD(), ol.Lstsq()], batch_sizes=[1, 2, "full"])
    sizes = {}
    for trial in grid.trials():
        sizes.setdefault(trial.optimizer, []).append(trial.batch_size)
    assert sizes == {"ManualSGD": [1, 2, "full"], "Lstsq": [None]}


def test_an_axis_value_given_twice_is_run_once():
    dtypes, devices = ["float32", torch.float32], ["cpu", torch.device("cpu")]
    axes = {"batch_sizes": [2, 2], "seeds": [1, 1], "dtypes": dtypes, "devices": devices}
    grid = Grid.of(problem(), ol.ManualSGD(), **axes)
    assert len(grid.trials()) == 1


@pytest.mark.parametrize(
    ("optimizers", "names"),
    [
        (ol.Lstsq(), ["Lstsq"]),
        ([ol.ManualSGD(0.1), ol.Lstsq()], ["ManualSGD", "Lstsq"]),
        ([ol.ManualSGD(0.1), ol.ManualSGD(0.2)],
         ["ManualSGD(learning_rate=0.1)", "ManualSGD(learning_rate=0.2)"]),
        ([ol.ManualSGD(rate) for rate in np.logspace(-5, -1, 3) / 3],
         ["ManualSGD(learning_rate=3.33333e-06)", "ManualSGD(learning_rate=0.000333333)",
          "ManualSGD(learning_rate=0.0333333)"]),
        ([ol.ManualSGD(0.1), ol.ManualSGD(0.1 + 1e-9)],
         ["ManualSGD(learning_rate=0.1)", "ManualSGD(learning_rate=0.100000001)"]),
        ([ol.TorchSGD(0.1), ol.TorchSGD(0.1, momentum=0.9)],
         ["TorchSGD(momentum=0.0)", "TorchSGD(momentum=0.9)"]),
        ([ol.TorchOptimizer(torch.optim.Adam, lr=0.1), ol.TorchOptimizer(torch.optim.LBFGS)],
         ["torch Adam", "torch LBFGS"]),
        ([ol.TorchOptimizer(torch.optim.Adam, lr=0.1), ol.TorchOptimizer(torch.optim.Adam, lr=1)],
         ["torch Adam(lr=0.1)", "torch Adam(lr=1.0)"]),
        ([ol.Tuned(ol.SGD()), ol.Tuned(ol.Adam()), ol.Adam()], ["SGD", "tuned Adam", "Adam"]),
        ([ol.Tuned(ol.SGD(), trials=4), ol.Tuned(ol.SGD(), trials=8)],
         ["tuned SGD(trials=4)", "tuned SGD(trials=8)"]),
        ({"mine": ol.Lstsq(), "yours": ol.Lstsq()}, ["mine", "yours"]),
    ],
)  # fmt: skip
def test_optimizers_are_named_shortly_and_apart(optimizers, names):
    assert list(named_optimizers(optimizers)) == names


def test_the_same_optimizer_twice_is_refused_unless_it_has_two_names():
    with pytest.raises(ValueError, match=r"given twice: .*pass a dict of names"):
        Grid.of(problem(), [ol.ManualSGD(0.1), ol.ManualSGD(0.1)])


def test_two_classes_of_one_name_are_told_apart():
    @dataclass(frozen=True)
    class Lstsq:
        uses_batches: ClassVar[bool] = False

        def iterates(self, problem, batches, start):
            yield ol.Iterate(start)

    names = list(named_optimizers([ol.Lstsq(), Lstsq()]))
    assert len(set(names)) == 2
    assert all(name.endswith(".Lstsq") for name in names)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"optimizers": []}, "optimizers is empty"),
        ({"optimizers": [ol.ManualSGD]}, "such as ol.ManualSGD()?"),
        ({"optimizers": ["manual-sgd"]}, "'manual-sgd' is no optimizer"),
        ({"optimizers": {"a": 1}}, "is no optimizer"),
        ({"problems": []}, "problems is empty"),
        ({"problems": [problem("a"), problem("a")]}, "several problems are called a"),
        ({"problems": [np.eye(2)]}, "LinearRegression(X, y) makes a problem of arrays"),
        ({"batch_sizes": [0]}, "batch_size must be a whole number of at least 1 or 'full', not 0"),
        ({"batch_sizes": [-1]}, "not -1"),
        ({"batch_sizes": ["half"]}, "not 'half'"),
        ({"batch_sizes": 32}, "batch_sizes must be a list, such as [32], not 32"),
        ({"batch_sizes": "full"}, "batch_sizes must be a list, such as ['full']"),
        ({"batch_sizes": []}, "batch_sizes is empty"),
        ({"devices": ["cpux"]}, "unknown device 'cpux': did you mean 'cpu'? there are cpu, cuda"),
        ({"devices": ["cuda:x"]}, "unknown device 'cuda:x'"),
        ({"devices": ["gpu"]}, "unknown device 'gpu'"),
        ({"devices": "cpu"}, "devices must be a list, such as ['cpu']"),
        ({"dtypes": ["float16"]}, "dtype must be float32 or float64, not 'float16'"),
        ({"seeds": [-1]}, "seed must be a whole number from 0 to 2**63 - 1, not -1"),
        ({"seeds": [1.5]}, "not 1.5"),
        ({"seeds": [True]}, "not True"),
        ({"seeds": []}, "seeds is empty"),
        ({"repeats": 0}, "repeats must be a whole number of at least 1, not 0"),
    ],
)
def test_axes_that_cannot_be_are_refused_by_name_and_value(arguments, sentence):
    axes = {"problems": problem(), "optimizers": ol.ManualSGD()} | arguments
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Grid.of(axes.pop("problems"), axes.pop("optimizers"), **axes)


@given(sizes=st.integers(1, 6), seeds=st.integers(1, 4), repeats=st.integers(1, 4))
def test_interleaving_is_a_permutation_repeat_by_repeat_and_always_the_same(sizes, seeds, repeats):
    grid = Grid.of(problem(), [ol.ManualSGD(), ol.Lstsq()], batch_sizes=range(1, sizes + 1),
                   seeds=range(seeds), repeats=repeats)  # fmt: skip
    trials = grid.trials()
    order = interleaved(trials)
    assert sorted(order, key=lambda trial: trial.number) == trials
    assert [trial.repeat for trial in order] == sorted(trial.repeat for trial in trials)
    assert interleaved(trials) == order


def test_interleaving_mixes_the_optimizers_anew_in_each_repeat():
    trials = Grid.of(problem(), ol.ManualSGD(), seeds=range(20), repeats=2).trials()
    order = interleaved(trials)
    first, second = ([t.seed for t in order if t.repeat == repeat] for repeat in (1, 2))
    assert first != sorted(first)
    assert first != second
