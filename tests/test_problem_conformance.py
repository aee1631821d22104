"""Every registered problem is checked; a new one is tested by being registered."""

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.problems import registry
from optlab.testing import check_problem


def of_table(cls, **options):
    """A problem that is made of a table: of classes, counts or numbers, as it takes them."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(24, 3))
    eta = X @ [1.0, -0.5, 0.2]
    y = eta + draw.normal(size=24)
    if getattr(cls, "takes_labels", False):
        y = np.where(y > 0, 1.0, 0.0)
    elif "Poisson" in cls.__name__:
        y = draw.poisson(np.exp(0.5 * eta)).astype(float)
    return cls.from_dataset(ol.datasets.Dataset("sample", X, y), l2=0.1, **options)


def of_module(cls):
    X = torch.linspace(-1, 1, 36).reshape(12, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)]
    return cls(torch.nn.Sequential(*layers), torch.nn.MSELoss(), X, X[:, :1].square())


# Of problems that neither a table nor their defaults make.
SAMPLES = {
    "module": of_module,
    "nonlinear-least-squares": lambda cls: cls.from_dataset(ol.datasets.nist_nonlinear("Misra1a")),
}


def samples():
    """Each registered problem, and with an l1 penalty where it is made of a table."""
    for name, cls in registry.items():
        if name in SAMPLES:
            yield pytest.param((SAMPLES[name], cls, {}), id=name)
        elif hasattr(cls, "from_dataset"):
            yield pytest.param((of_table, cls, {}), id=name)
            yield pytest.param((of_table, cls, {"l1": 0.05}), id=f"{name}, l1")
        else:
            yield pytest.param((lambda cls: cls(), cls, {}), id=name)


@pytest.fixture(scope="module", params=samples())
def problem(request):
    make, cls, options = request.param
    return make(cls, **options)


def test_follows_the_whole_protocol(problem):
    check_problem(problem).raise_if_failed()


def test_its_class_is_public_and_says_what_is_minimised(problem):
    cls = type(problem)
    assert getattr(ol, cls.__name__) is cls
    assert "Examples\n" in cls.__doc__
    assert "References\n" in cls.__doc__
    assert repr(problem).startswith(cls.__name__)
