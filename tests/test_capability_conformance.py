"""Checks of honesty: faults of the zoo, and what a problem that is not refused must lead to."""

from dataclasses import dataclass

import pytest

import optlab as ol
from optlab.testing.conformance import capability_conformance as checks
from optlab.testing.conformance.kinds_of_problem import odd_problems, usual_problems
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckFailedError
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Descent

ROW, PLAIN = odd_problems()["one row"], odd_problems()["a ridge"]


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


@dataclass(frozen=True)
class Does(Descent):
    """Refuses with some value, or does something at one iterate."""

    refusal: object = None
    at: int = 0
    how: object = None

    def unsupported(self, problem, device):
        return self.refusal

    def report(self, parameters, loss, epoch, problem, batch):
        if self.how is not None and epoch == self.at:
            self.how(parameters, batch)
        yield ol.Iterate(parameters, loss)


def fail_early(parameters, batch):
    raise KeyError("no")


def drop(parameters, batch):
    parameters.pop("bias")


def need_three(parameters, batch):
    assert len(batch.y) <= 3


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Does(), ""),
        (Does(refusal="not this one"), ""),
        (Does(refusal="not this one", how=fail_early), ""),
        (Does(refusal=" "), "seen: ' ' for it\n"),
        (Does(refusal=True), "seen: True for it\n"),
        (Does(refusal=0), "seen: 0 for it\n"),
        (Does(how=fail_early), "seen: KeyError: 'no'\n"),
        (Does(how=fail_early, at=1), "seen: KeyError: 'no'\n"),
        (Does(how=fail_early, at=2), ""),
        (Does(how=drop), "seen: parameters {'weight': ((3,), torch.float64)}\n"),
        (Does(how=need_three), ""),
    ],
)
def test_what_is_not_refused_makes_two_iterates(optimizer, said):
    for problem in (PLAIN, ROW):
        try:
            checks._run_on(Subject(optimizer), "it", problem)
            found = ""
        except CheckFailedError as failure:
            found = str(failure)
        assert said in found
        assert bool(said) == bool(found)


@dataclass(frozen=True)
class Refuses(Descent):
    """Refuses some problem by a blank."""

    words: str = ""

    def unsupported(self, problem, device):
        return "" if repr(problem) == self.words else "not for it"


@pytest.mark.parametrize(
    ("check", "problems"),
    [
        (checks.needs_are_honest, odd_problems()),
        (checks.every_kind_of_problem_runs_or_is_refused, usual_problems()),
    ],
)
def test_each_problem_is_tried(check, problems):
    assert len(problems) >= 5
    for what, problem in problems.items():
        assert f"seen: '' for {what}\n" in outcome(check, Refuses(words=repr(problem)))


def test_methods_of_the_lab_are_honest():
    for right in (ol.SGD(0.01), ol.Lstsq()):
        assert not outcome(checks.needs_are_honest, right)
