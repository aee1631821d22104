"""The error for what is no problem, optimizer or data says what was probably meant."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.linear_model import LinearRegression, Ridge

import optlab as ol
from optlab.testing import check_optimizer

MODULE = torch.nn.Linear(3, 1)
X, y = np.arange(12.0).reshape(4, 3) ** 2, np.arange(4.0)
DATASET = ol.datasets.tutorial()
PROBLEM = ol.LinearRegression.from_dataset(DATASET.standardized())
TORCH = "ol.TorchOptimizer(torch.optim.{}) makes an optimizer of it"
OF_MODULE = "ol.ModuleProblem(module, loss, X, y) makes a problem of it"
OF_DATASET = "ol.LinearRegression.from_dataset(dataset.standardized()) makes a problem of it"


class Wrong(NamedTuple):
    given: object
    meant: str
    checked: bool = True
    """Whether `check_optimizer` refuses it too: it takes classes and what torch has."""


def rule(parameters):
    return parameters


NO_OPTIMIZERS = [
    Wrong(torch.optim.Adam, TORCH.format("Adam, lr=..."), checked=False),
    Wrong(torch.optim.SGD(MODULE.parameters(), lr=0.5), TORCH.format("SGD, lr=0.5"), checked=False),
    Wrong(ol.Adam, "did you mean an object of it, such as ol.Adam()?", checked=False),
    Wrong(MODULE, f"Linear is no optimizer: {OF_MODULE}"),
    Wrong(DATASET, f"Dataset is no optimizer: {OF_DATASET}"),
    Wrong(PROBLEM, "LinearRegression is no optimizer, but a problem: optimizers come second"),
    Wrong("adam", "'adam' is no optimizer, but a name: ol.Adam() is one", checked=False),
    Wrong("BFGS", "'BFGS' is no optimizer, but a name: ol.ScipyMinimize('BFGS')", checked=False),
    Wrong("adamm", "but a name: did you mean 'adam'? optimizers are objects", checked=False),
    Wrong(Ridge(), "ol.SklearnEstimator(Ridge(...)) makes an optimizer of it", checked=False),
    Wrong(LinearRegression, "it is scikit-learn's: ol.SklearnLinearRegression()", checked=False),
    Wrong(rule, "function is no optimizer: it needs `uses_batches` and `iterates(", checked=False),
    Wrong(ol.schedules.Cosine(0.1, epochs=3), "takes the place of a learning rate, as in ol.SGD("),
    Wrong(torch.optim.lr_scheduler.StepLR, "a scheduler goes with its optimizer", checked=False),
    Wrong([ol.SGD(0.1)], "a list is no optimizer"),
    Wrong(None, "NoneType is no optimizer"),
]


def names(value):
    return value.__name__ if hasattr(value, "__name__") else type(value).__name__


def check_refused(uses, sentence):
    for use in uses:
        with pytest.raises(ValueError, match=re.escape(sentence)):
            use()


@pytest.mark.parametrize("wrong", NO_OPTIMIZERS, ids=lambda wrong: names(wrong.given))
def test_in_place_of_an_optimizer(wrong):
    given = wrong.given
    uses = [
        lambda: ol.minimize(PROBLEM, given),
        lambda: ol.compare(PROBLEM, [given]),
        lambda: ol.compare(PROBLEM, {"mine": given}),
        lambda: ol.Experiment(problems=PROBLEM, optimizers=[given]),
        lambda: ol.Tuned(given, {"learning_rate": ol.LogUniform(0.1, 1)}),
    ]
    check_refused(uses + [lambda: check_optimizer(given)] * wrong.checked, wrong.meant)


NO_PROBLEMS = [
    (MODULE, f"Linear is no problem: {OF_MODULE}"),
    (DATASET, f"Dataset is no problem: {OF_DATASET}"),
    (rule, "function is no problem: ol.NonlinearLeastSquares(model, X, y, start=...)"),
    (ol.SGD(0.1), "SGD is no problem, but an optimizer: problems come first"),
    (torch.optim.Adam, f"the class Adam is no problem: {TORCH.format('Adam, lr=...')}"),
    (ol.LinearRegression, "the class LinearRegression is no problem: call it with arguments"),
    (X, "ndarray is no problem: ol.LinearRegression(X, y) makes a problem of arrays"),
    (pd.DataFrame(X), "ol.datasets.from_pandas(frame, target=...) makes a dataset of it"),
    ("diabetes", "from_dataset(ol.datasets.load('diabetes').standardized()) makes one"),
]


@pytest.mark.parametrize(("given", "meant"), NO_PROBLEMS, ids=names)
def test_in_place_of_a_problem(given, meant):
    uses = [
        lambda: ol.minimize(given, ol.SGD(0.1)),
        lambda: ol.compare(given, [ol.SGD(0.1)]),
        lambda: ol.Experiment(problems=[given], optimizers=ol.SGD(0.1)),
    ]
    check_refused(uses, meant)


NO_DATA = [
    (lambda: ol.LinearRegression(scipy.sparse.csr_array(X), y), "X must be dense: pass X.toarray"),
    (lambda: ol.LogisticRegression(torch.eye(3).to_sparse(), y[:3] > 1), "pass X.to_dense()"),
    (lambda: ol.LinearRegression(y, X), "X and y are swapped: X has shape (4,), y (4, 3)"),
    (lambda: ol.LinearRegression(DATASET, y), OF_DATASET),
    (lambda: ol.LinearRegression(MODULE, y), OF_MODULE),
    (lambda: ol.LinearRegression.from_dataset(X), "from_dataset takes a Dataset, not ndarray: "),
    (lambda: ol.LinearRegression.from_dataset(pd.DataFrame(X)), "ol.datasets.from_pandas(frame, t"),
    (lambda: ol.TorchOptimizer("Adam"), "not 'Adam': did you mean torch.optim.Adam?"),
    (lambda: ol.TorchOptimizer(ol.Adam), "ol.Adam(...) is an optimizer itself"),
    (
        lambda: ol.TorchOptimizer(torch.optim.Adam(MODULE.parameters(), lr=0.5)),
        f"not an object of Adam: {TORCH.format('Adam, lr=0.5')}",
    ),
    (lambda: ol.compare(PROBLEM, ol.SGD(0.1), seeds=3), "[3] for one seed, or range(3) for 3, not"),
    (lambda: ol.compare(PROBLEM, ol.SGD(0.1), seeds="0-4"), "such as [0, 1, 2], not '0-4'"),
    (lambda: ol.compare(PROBLEM, ol.SGD(0.1), execution={"jobs": 2}), "ol.Execution(jobs=2), not"),
]  # fmt: skip


@pytest.mark.parametrize(("use", "meant"), NO_DATA, ids=range(len(NO_DATA)))
def test_in_place_of_data_and_axes(use, meant):
    check_refused([use], meant)


class YieldsArrays:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate({name: value.numpy() for name, value in start.items()})


class YieldsADict:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield dict(start)


class HoldsAList:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(list(start.values()))


@pytest.mark.parametrize(
    ("optimizer", "meant"),
    [
        (
            YieldsArrays(),
            "has as 'weight' a ndarray: it must be a tensor, such as torch.as_tensor(",
        ),
        (YieldsADict(), "must yield Iterate, not dict: yield ol.Iterate(parameters)"),
        (HoldsAList(), "holds a list: it must hold a dict of tensors by name, as the start is"),
    ],
)
def test_an_iterate_that_is_none(optimizer, meant):
    with pytest.raises(TypeError, match=re.escape(meant)):
        ol.minimize(PROBLEM, optimizer, epochs=1)
    (row,) = ol.compare(PROBLEM, optimizer, epochs=1).trials.to_dict("records")
    assert row["status"] == "failed"
    assert meant in row["message"]
