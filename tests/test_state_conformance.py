"""Checks of state: faults of the zoo, and those that show late, in part or at one size only."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

import optlab as ol
from optlab.testing.conformance import state_conformance as checks
from optlab.testing.conformance.single_run import Point, Run
from optlab.testing.conformance.small_data import FAMILIES, small_data
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckFailedError
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Closed, Descent


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def changed(change):
    """The parts named as changed in a thing of members of each kind."""
    thing = SimpleNamespace(
        X=torch.ones(2), l2=0.5, flag=True, count=3, name="own", pair=(1, 2), kept=[1], call=print
    )
    held = checks._held(thing)
    assert "call" not in held
    change(thing)
    return checks._changed(thing, held)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda one: None, []),
        (lambda one: one.X.add_(1), ["X"]),
        (lambda one: setattr(one, "X", one.X.double()), ["X"]),
        (lambda one: setattr(one, "X", None), ["X"]),
        (lambda one: setattr(one, "X", one.X.clone()), []),
        (lambda one: delattr(one, "l2"), ["l2"]),
        (lambda one: setattr(one, "l2", 0.25), ["l2"]),
        (lambda one: setattr(one, "flag", False), ["flag"]),
        (lambda one: setattr(one, "count", 4), ["count"]),
        (lambda one: setattr(one, "name", "other"), ["name"]),
        (lambda one: setattr(one, "pair", (1, 3)), ["pair"]),
        (lambda one: setattr(one, "cache", 1), []),
        (lambda one: one.kept.append(2), []),
    ],
)
def test_what_a_problem_no_longer_holds_is_named(change, named):
    assert changed(change) == named


@dataclass(frozen=True)
class Writes(Descent):
    """Writes to the data or to a batch, in one pass and for one size of batches."""

    to: str = "data"
    late: int = 0
    size: object = 3

    def seen(self, batch, batches):
        if batches.looks == () and batches.batch_size == self.size:
            number = batches.taken - 1
            if number == self.late and self.to in {"data", "both"}:
                batches.X.mul_(2)
            if number == self.late and self.to in {"batch", "both"}:
                batch.y.add_(1)
        return batch


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Writes(to="data", late=0), "changed in place: problem.X\n"),
        (Writes(to="batch", late=0), "changed in place: a batch\n"),
        (Writes(to="both", late=0), "changed in place: problem.X, a batch\n"),
        (Writes(to="data", late=8), "changed in place: problem.X\n"),
        (Writes(to="data", late=2, size="full"), "changed in place: problem.X, a batch\n"),
    ],
)
def test_what_is_written_to_is_named_whenever_it_was(optimizer, said):
    assert said in outcome(checks.data_and_problem_are_left_as_they_are, optimizer)


@dataclass(frozen=True)
class Appends(Descent):
    """Notes something in a list that is one of its settings."""

    notes: list = field(default_factory=list)
    late: int = 0

    def epochs(self, batches):
        for number, rows in enumerate(batches):
            if number == self.late:
                self.notes.append(number)
            yield rows


def test_settings_that_are_changed_within_are_caught():
    said = outcome(checks.hyperparameters_are_left_as_they_are, Appends(late=2))
    assert "its settings: {'learning_rate': 0.1, 'notes': [], 'late': 2}" in said
    assert "after a run they are {'learning_rate': 0.1, 'notes': [2], 'late': 2}" in said
    assert not outcome(checks.hyperparameters_are_left_as_they_are, Appends(late=9))


def points(*values):
    return [Point({"w": torch.tensor([float(v)])}, None, 1, None, 0) for v in values]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (points(1, 2, 3), points(1, 5, 6), "iterate 2 is [2] the first time and [5] the second"),
        (points(4), points(5), "iterate 1 is [4] the first time and [5] the second"),
        (points(1, 2), points(1), "iterate 2 is [2] the first time and none the second"),
        (points(1), points(1, 2), "iterate 2 is none the first time and [2] the second"),
    ],
)
def test_the_first_iterate_that_differs_is_shown(one, other, said):
    run = Run(FAMILIES["linear"], *small_data(0))
    with pytest.raises(CheckFailedError, match="theory: as it is") as failed:
        checks._blame(Subject(ol.SGD(0.1)), run, "as it is", one, other)
    assert f"seen: {said}\n" in str(failed.value)
    assert "other = list(" in str(failed.value)


@dataclass(frozen=True)
class OfRuns(Descent):
    """The rate of some pass depends on the runs before, or on those beside it."""

    at: int = 3
    what: str = "before"
    runs: list = field(default_factory=list, compare=False, repr=False)

    def epochs(self, batches):
        number = len(self.runs)
        self.runs.append(1)
        for epoch, rows in enumerate(batches, start=1):
            object.__setattr__(
                self, "learning_rate",
                0.05 if epoch == self.at and (
                    number > 0 if self.what == "before" else len(self.runs) > number + 1
                ) else 0.1,
            )  # fmt: skip
            yield rows


def test_state_that_shows_in_the_third_pass_alone_is_caught():
    second = outcome(checks.no_state_outlives_a_run, OfRuns())
    assert "iterate 3 is [" in second
    beside = outcome(checks.interleaved_runs_do_not_disturb_each_other, OfRuns(what="beside"))
    assert "iterate 3 is [" in beside
    assert not outcome(checks.no_state_outlives_a_run, OfRuns(at=4))
    assert not outcome(checks.interleaved_runs_do_not_disturb_each_other, OfRuns(at=4))


@dataclass(frozen=True)
class Unlooked(Descent):
    """Other numbers in one pass where nobody looks at each; many passes at once where none do."""

    wrong_in: int = 0
    at_once: int = 1

    def iterates(self, problem, batches, start):
        at_once = self.at_once if batches.looks else 1
        for number, point in enumerate(super().iterates(problem, batches, start), start=1):
            if number % at_once == 0:
                yield ol.Iterate(point.parameters, point.batch_loss, epochs=at_once)

    def step(self, w, g, state, t, batch, batches):
        epoch = (t - 1) // batches.steps + 1
        return w - self.learning_rate * g * (2 if batches.looks and epoch == self.wrong_in else 1)


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Unlooked(), ""), (Unlooked(at_once=3), ""), (Unlooked(at_once=2), ""),
        (Unlooked(wrong_in=1), "after pass 1 it is"), (Unlooked(wrong_in=2), "after pass 2 it is"),
        (Unlooked(wrong_in=6), "after pass 6 it is"), (Unlooked(wrong_in=7), ""),
        (Unlooked(wrong_in=1, at_once=3), "after pass 3 it is"),
        (Unlooked(wrong_in=5, at_once=3), "after pass 6 it is"),
    ],
)  # fmt: skip
def test_numbers_that_depend_on_who_looks_are_caught_in_each_pass(optimizer, said):
    found = outcome(checks.recording_changes_nothing, optimizer)
    assert said in found
    assert bool(said) == bool(found)


class Notes(Descent):
    """Notes where it is looked at."""

    looks = set()  # noqa: RUF012 - of the class, as copies of it run

    def epochs(self, batches):
        self.looks.add(batches.looks)
        return batches


def test_each_pass_is_looked_at_or_as_the_message_says_3_and_6():
    Notes.looks.clear()
    assert not outcome(checks.recording_changes_nothing, Notes())
    assert Notes.looks == {(), (3, 6)}


class FromTheStart(Closed):
    """A direct method whose answer is a little of the start."""

    def iterates(self, problem, batches, start):
        (answer,) = super().iterates(problem, batches, start)
        yield ol.Iterate({k: v + 1e-9 * start[k] for k, v in answer.parameters.items()})


def test_a_direct_method_does_not_depend_on_the_start_and_no_other_begins_elsewhere():
    check = checks.begins_at_the_start
    assert "a direct method's answer does not depend" in outcome(check, FromTheStart("exact"))
    for right in (Closed("exact"), Descent(), ol.Lstsq()):
        assert not outcome(check, right)


class Wanders:
    """Takes no mini-batches, and draws its steps from the trial's generator."""

    uses_batches = False

    def iterates(self, problem, batches, start):
        draw = torch.randn(len(start["weight"]), generator=batches.generator).double()
        yield ol.Iterate(start | {"weight": start["weight"] + draw})


def test_the_order_decides_the_iterates_of_methods_with_mini_batches_alone():
    check = checks.another_order_of_batches_gives_another_iterate
    assert outcome(check, Descent()) == ""
    assert outcome(check, Closed("exact")) == ""
    assert outcome(check, Wanders()) == "it draws from the trial's seed, and uses no mini-batches"
