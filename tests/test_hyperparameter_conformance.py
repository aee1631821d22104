"""The check of hyperparameters: the zoo's fault, and each value that must be refused."""

import dataclasses
import math

import pytest
import torch

import optlab as ol
from optlab.testing.conformance import hyperparameter_conformance as checks
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Descent


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def is_possible(name, value):
    """Whether some method may mean a value."""
    if math.isnan(value):
        return False
    if name in {"history_size", "memory"}:
        return value >= 1
    if name in {"learning_rate", "max_norm"}:
        return 0 < value < math.inf or (name == "max_norm" and value > 0)
    if name in {"beta1", "beta2"}:
        return 0 <= value < 1
    return value >= 0


def test_no_value_that_a_method_may_mean_is_tried_and_the_edge_is():
    for name, values in checks._IMPOSSIBLE.items():
        assert not any(is_possible(name, value) for value in values)
        is_count = name in {"history_size", "memory"}
        assert any(value < 0 for value in values)
        assert is_count or any(math.isnan(value) for value in values)
    of = checks._IMPOSSIBLE
    assert 0 in of["learning_rate"]
    assert math.inf in of["learning_rate"]
    assert 0 in of["max_norm"]
    assert 0 in of["history_size"]
    assert 0 in of["memory"]
    assert 1 in of["beta1"]
    assert 1 in of["beta2"]


class NoDataclass:
    uses_batches = True

    def iterates(self, problem, batches, start):
        yield from Descent().iterates(problem, batches, start)


def made(name, words, error=ValueError, taken=()):
    """A dataclass of one hyperparameter, which refuses in these words all values but some."""

    def check(self):
        if getattr(self, name) not in (0.5, *taken):
            raise error(words)

    members = {"__post_init__": check}
    fields = [(name, float, 0.5)]
    return dataclasses.make_dataclass(
        "Mine", fields, bases=(NoDataclass,), namespace=members, frozen=True
    )()


@pytest.mark.parametrize(
    ("name", "words", "is_named"),
    [
        ("learning_rate", "learning_rate must be positive", True),
        ("learning_rate", "the Learning Rate must be positive", True),
        ("learning_rate", "lr must be positive", False),
        ("beta1", "Beta1 is no fraction", True),
        ("beta1", "beta is no fraction", False),
        ("eps", "epsilon is no number", True),
        ("eps", "Eps!", True),
        ("weight_decay", "weight decay is wrong", True),
        ("weight_decay", "weight is wrong", False),
        ("lr", "a learning rate is positive", True),
    ],
)
@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_a_refusal_names_the_argument_in_one_of_its_spellings(name, words, is_named, error):
    found = outcome(checks.refuses_bad_hyperparameters, made(name, words, error))
    assert bool(found) is not is_named
    if not is_named:
        value = checks._IMPOSSIBLE[name][0]
        assert f"theory: {name}={value!r} cannot be meant: a ValueError names it\n" in found
        assert f"seen: {error.__name__}: {words}, which does not name {name}\n" in found


@pytest.mark.parametrize(("name", "value"), [("learning_rate", math.inf), ("beta2", 1.0)])
def test_each_value_is_tried(name, value):
    found = outcome(checks.refuses_bad_hyperparameters, made(name, f"{name}!", taken=[value]))
    assert f"seen: Mine({name}={value!r}) was made\n" in found


def test_another_error_is_no_refusal():
    odd = made("momentum", "momentum!", ZeroDivisionError)
    found = outcome(checks.refuses_bad_hyperparameters, odd)
    assert "seen: ZeroDivisionError: momentum!\n" in found


class TakesAll(torch.optim.SGD):
    def __init__(self, params, lr=0.1, momentum=0.0):
        super().__init__(params, lr=lr, momentum=abs(momentum))


def test_of_a_class_of_torch_the_rate_and_its_options_are_tried():
    wrong = ol.TorchOptimizer(TakesAll, momentum=0.5)
    found = outcome(checks.refuses_bad_hyperparameters, wrong)
    assert "theory: momentum=-0.1 cannot be meant" in found
    assert "seen: TorchOptimizer(momentum=-0.1) was made" in found
    assert not outcome(checks.refuses_bad_hyperparameters, ol.TorchOptimizer(TakesAll))
    right = ol.TorchOptimizer(torch.optim.SGD, momentum=0.5, nesterov=True)
    assert not outcome(checks.refuses_bad_hyperparameters, right)


def test_where_no_hyperparameter_is_known_nothing_is_tried():
    check = checks.refuses_bad_hyperparameters
    assert outcome(check, made("depth", "depth!")) == "it has no hyperparameter of a usual name"
    assert outcome(check, NoDataclass()) == (
        "it is no dataclass, so its hyperparameters are not known"
    )
