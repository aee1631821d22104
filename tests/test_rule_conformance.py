"""Checks against a rule: faults of the zoo, what is claimed, and the likely cause that is told."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.testing.conformance import rule_conformance as checks
from optlab.testing.conformance.single_run import Run, iterates
from optlab.testing.conformance.small_data import FAMILIES, small_data
from optlab.testing.conformance.subject import Subject
from optlab.testing.plain_rules import sgd
from optlab.testing.run_checks import CheckSkipped
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import ZOO, Descent

X, y = small_data(0)
RULE = checks.follows_its_rule


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def test_a_claim_is_a_reference_a_rule_or_both():
    rule, reference, unknown = sgd(0.1), ol.SGD(0.1), Descent()
    assert checks._claim(Subject(unknown, reference=rule)) == (None, rule)
    assert checks._claim(Subject(unknown, reference=unknown)) == (unknown, None)
    given, known = checks._claim(Subject(unknown, reference=reference))
    assert (given, known.name) == (reference, "SGD(0.1)")
    given, known = checks._claim(Subject(ol.Adam(0.1)))
    assert given is None
    assert known.name.startswith("Adam(0.1")
    with pytest.raises(CheckSkipped, match=r"^it claims no known rule: name one by reference=$"):
        checks._claim(Subject(unknown))
    with pytest.raises(CheckSkipped, match=r"^it is a direct method$"):
        checks._claim(Subject(ol.Lstsq()))


def test_the_epochs_of_a_run_are_its_batches():
    run = Run(FAMILIES["linear"], X, y, batch_size=3, seed=4, count=2)
    drawn = iter(run.batches(run.problem()))
    found = checks._epochs(run)
    assert len(found) == 2
    for epoch in found:
        for (features, targets), batch in zip(epoch, next(drawn), strict=True):
            assert np.array_equal(features, batch.X)
            assert np.array_equal(targets, batch.y)
    in_order = checks._epochs(run.but(shuffle=False, count=1))[0]
    assert np.array_equal(np.concatenate([part[1] for part in in_order]), y)


def test_a_rule_is_followed_far_from_the_minimum_on_all_rows_and_about_the_minimum():
    few, whole, late = checks._runs(Subject(ol.SGD(0.1)))
    assert (few.batch_size, whole.batch_size, late.batch_size) == (2, "full", 2)
    assert few.start is whole.start is None
    best = late.problem().reference().parameters
    for name, value in late.start.items():
        gap = (value - best[name]).abs().max()
        assert 0 < gap <= 0.05
        assert torch.allclose(10 * value, (10 * value).round(), atol=1e-12)


@dataclass(frozen=True)
class LogisticAlone(Descent):
    rate: float = 0.1

    def unsupported(self, problem, device):
        return None if isinstance(problem, ol.LogisticRegression) else "for classes only"


def half():
    return ZOO["half the gradient"].make()


def test_a_reference_without_a_rule_has_no_hint_nor_has_another_kind_of_problem():
    assert not outcome(RULE, Descent(), Descent())
    found = outcome(RULE, half(), Descent())
    assert "theory: Descent is at [" in found
    assert "likely" not in found
    assert not outcome(RULE, LogisticAlone(), ol.SGD(0.1))
    found = outcome(RULE, LogisticAlone(0.05), ol.SGD(0.1))  # half the gradient
    assert "theory: SGD(0.1) is at [" in found
    assert "likely: these are the numbers of" not in found
    assert outcome(RULE, LogisticAlone(), sgd(0.1)) == (
        "it does not minimise plain linear regression"
    )
    assert "without its factor 2" in outcome(RULE, half(), sgd(0.1))


@dataclass(frozen=True)
class Strays(Descent):
    """A little is added in one pass of batches of 2, or of all rows."""

    by: float = 1e-9
    at: int = 1
    size: object = 2

    def step(self, w, g, state, t, batch, batches):
        w = w - self.learning_rate * g
        last = t == self.at * batches.steps
        return w + self.by * (last and batches.batch_size == self.size)


@pytest.mark.parametrize(
    ("optimizer", "epoch"),
    [
        (Strays(), 1), (Strays(at=5), 5), (Strays(by=1e-13), None), (Strays(size="full"), 1),
        (Strays(at=3, size="full"), 3), (Strays(at=4, size="full"), None),
        (Strays(at=25), 25), (Strays(at=26), None), (Strays(by=float("nan")), 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reference", [ol.SGD(0.1), sgd(0.1), Descent()])
def test_an_iterate_that_strays_is_told_by_its_epoch(optimizer, epoch, reference):
    found = outcome(RULE, optimizer, reference, once=True)
    assert bool(found) is (epoch is not None)
    if epoch:
        assert f"after epoch {epoch} in batches of {optimizer.size}\n" in found
        assert f", {epoch}))\n" in found  # the code to paste makes so many iterates


def settings_told(optimizer, reference, seen=None):
    run = Run(FAMILIES["linear"], X, y, batch_size=2, count=2)
    point = iterates(optimizer, run)[-1].vector if seen is None else seen
    return checks._other_settings(Subject(optimizer, reference=reference), run, point)


def test_settings_that_differ_are_told_where_they_explain_what_is_seen():
    ball = ol.HeavyBall(0.1, momentum=0.5)
    assert settings_told(ball, ol.HeavyBall(0.2, momentum=0.9)) == (
        "learning_rate 0.1 here, 0.2 in the reference; momentum 0.5 here, 0.9 in the reference"
    )
    assert settings_told(ball, ball) == ""
    assert settings_told(ball, ol.HeavyBall(0.2), torch.zeros(4).double()) == ""
    assert settings_told(ball, sgd(0.1)) == ""
    assert settings_told(ball, None) == ""
    assert settings_told(half(), ol.SGD(0.001)) == ""  # they differ in more than settings
    assert settings_told(LogisticAlone(), Descent()) == ""
