"""Checks against the exact theory of descent: faults of the zoo, and how small a fault is seen."""

from dataclasses import dataclass

import pytest

import optlab as ol
from optlab.testing.conformance import theory_conformance as checks
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Descent


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


@dataclass(frozen=True)
class Strays(Descent):
    """A little is added at one step."""

    by: float = 1e-9
    at: int = 1

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g + self.by * (t == self.at)


@pytest.mark.parametrize(
    ("optimizer", "step"),
    [
        (Strays(), 1), (Strays(at=60), 60), (Strays(at=61), None), (Strays(by=1e-13), None),
        (Strays(by=float("nan")), 1), (ol.SGD(0.2), 1), (Descent(), None),
    ],
)  # fmt: skip
def test_a_mode_that_strays_by_a_billionth_is_told_by_its_step(optimizer, step):
    found = outcome(checks.each_mode_contracts_as_theory_says, optimizer, ol.SGD(0.1))
    assert bool(found) is (step is not None)
    if step:
        assert f" after step {step}\n" in found
        assert f", {step}))\n" in found  # the code to paste makes so many iterates
        eigenvalue, _, rest = found.partition("eigenvalue ")[2].partition(" has the error ")
        right, seen = rest.partition(" after")[0], found.partition("seen: ")[2].partition("\n")[0]
        assert float(eigenvalue) > 0
        assert seen == "nan" or abs(float(right) - float(seen)) < 10


@pytest.mark.parametrize("rule", [ol.HeavyBall(0.1), ol.Nesterov(0.05), ol.SGD(0.3)])
def test_methods_with_a_recurrence_follow_it(rule):
    assert not outcome(checks.each_mode_contracts_as_theory_says, rule)


def test_a_method_without_a_recurrence_or_with_decay_is_not_judged():
    said = "it says no linear recurrence of its error: linear_descent()"
    for optimizer in (ol.Adam(0.1), ol.TorchSGD(0.1, weight_decay=0.1), Descent()):
        assert outcome(checks.each_mode_contracts_as_theory_says, optimizer) == said
        assert outcome(checks.the_mean_loss_is_the_exact_expectation, optimizer) == said
