"""Checks of convergence: faults of the zoo, and where the limits of each rule lie."""

import math
from dataclasses import dataclass

import pytest
import torch

import optlab as ol
from optlab.problems.vector import flatten, unflatten
from optlab.testing.conformance import convergence_conformance as checks
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.small_data import FAMILIES, small_data
from optlab.testing.conformance.subject import Subject
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Closed, Descent

X, y = small_data(0)
MOVED = "its weight decay moves the minimum"


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [
        (ol.SGD(0.1), 0.0), (ol.Lstsq(), 0.0), (ol.AdamW(0.1, weight_decay=0.25), 0.25),
        (ol.TorchOptimizer(torch.optim.SGD, lr=0.1, weight_decay=0.5), 0.5),
        (ol.TorchOptimizer(torch.optim.SGD, lr=0.1), 0.0),
        (ol.Averaged(ol.AdamW(0.1, weight_decay=0.25)), 0.25), (ol.Averaged(ol.SGD(0.1)), 0.0),
    ],
)  # fmt: skip
def test_the_weight_decay_is_found_wherever_it_stands(optimizer, decay):
    assert checks._decay(Subject(optimizer)) == decay


def test_gaps_are_those_of_the_start_and_of_each_iterate():
    run = Run(FAMILIES["linear"], X, y, count=3)
    start, gaps = checks._gaps(Subject(ol.SGD(0.1)), run)
    problem = run.problem()
    assert start == problem.evaluate(run.begin(problem)).suboptimality
    points = ol.SGD(0.1).iterates(problem, run.batches(problem), run.begin(problem))
    expected = [problem.evaluate(next(points).parameters).suboptimality for _ in range(3)]
    assert gaps == expected
    assert start > gaps[0] > gaps[1] > gaps[2] > 0


@pytest.fixture
def gaps_are(monkeypatch):
    """Let the suboptimality of the start and of the iterates be what a test says."""

    def set_to(start, gaps):
        monkeypatch.setattr(checks, "_gaps", lambda subject, run: (start, gaps))

    return set_to


class Adapted(Closed):
    """A direct method that adapts another package's."""

    cls = object


@pytest.mark.parametrize(
    ("optimizer", "gap", "is_right"),
    [
        (Closed("exact"), 4e-26, True), (Closed("exact"), 6e-26, False),
        (Closed("exact"), math.nan, False), (Adapted("exact"), 0.9e-4, True),
        (Adapted("exact"), 1.1e-4, False),
    ],
)  # fmt: skip
def test_a_direct_method_solves_to_the_square_of_its_forward_error(
    gaps_are, optimizer, gap, is_right
):
    # (1 000 eps)**2 = 4.93e-26 of the start's in float64; half of it where the start is half.
    for start in (1.0, 0.5):
        gaps_are(start, [1.0, start * gap])
        found = outcome(checks.a_direct_method_solves_the_problem, optimizer)
        assert bool(found) is not is_right


class LassoAlone(Closed):
    """A direct method for a lasso, which is off by a share of the start."""

    def unsupported(self, problem, device):
        is_one = isinstance(problem, ol.LinearRegression) and problem.l1
        return None if is_one else "for a lasso only"


def test_with_a_kink_the_tolerance_is_an_iterative_solvers(gaps_are):
    for gap, is_right in ((0.9e-4, True), (1.1e-4, False)):
        gaps_are(1.0, [gap])
        found = outcome(checks.a_direct_method_solves_the_problem, LassoAlone("exact"))
        assert bool(found) is not is_right
    assert "tolerance: 1.0e-04 of the start's, for the tolerance at which an iterative" in found


@dataclass(frozen=True)
class OffBy(Closed):
    """An exact answer that is off by some in one dtype."""

    by: float
    dtype: torch.dtype

    def iterates(self, problem, batches, start):
        (answer,) = Closed("exact").iterates(problem, batches, start)
        off = self.by * (problem.X.dtype == self.dtype)
        yield ol.Iterate({name: value + off for name, value in answer.parameters.items()})


@pytest.mark.parametrize(
    ("by", "dtype", "is_right"),
    # A suboptimality of some by**2: (1 000 eps)**2 is 5e-26 and 1.4e-8 of the start's, some 10.
    [(1e-10, torch.float64, False), (1e-14, torch.float64, True), (0.01, torch.float32, False),
     (1e-6, torch.float32, True)],
)  # fmt: skip
def test_an_answer_is_held_in_each_dtype(by, dtype, is_right):
    found = outcome(checks.a_direct_method_solves_the_problem, OffBy(by, dtype))
    assert bool(found) is not is_right
    assert ("the square of a forward error of 1 000 eps at condition < 10" in found) is not is_right


@pytest.mark.parametrize(
    ("gaps", "is_right"),
    [([3.0, 1.0], True), ([1.0, 3.0], False), ([1.0, 2.0], False), ([math.nan], False)],
)
def test_the_last_of_the_iterates_is_lower_than_the_start(gaps_are, gaps, is_right):
    gaps_are(2.0, gaps)
    found = outcome(checks.iterates_go_down, Descent())
    assert bool(found) is not is_right
    if not is_right:
        assert f"suboptimality 2 at the start, {gaps[-1]:.6g} after {len(gaps)}\n" in found


@pytest.mark.parametrize(
    ("gaps", "is_right"),
    [
        ([1.0, 1.0, 1.0, 1.1e-6], True),  # it is still falling
        ([0.0, 0.0, 1.9e-6, 1.9e-6], True),  # 1e-6 of the start's, 2
        ([0.0, 0.0, 2.1e-6, 2.1e-6], False),
        ([1.0, 1.0, 1.0, 0.9985], True),
        ([1.0, 1.0, 1.0, 0.9995], False),
        ([9.0, 9.0, 1.0, 1.0, 1.0], False),
        ([9.0, 9.0, 2.0, 1.0, 1.0], True),
        ([9.0, math.nan, math.nan, math.nan], False),
    ],
)
def test_iterates_are_at_the_reference_or_fall_over_the_second_half(gaps_are, gaps, is_right):
    gaps_are(2.0, gaps)
    found = outcome(checks.iterates_reach_the_reference_or_still_descend, Descent())
    assert bool(found) is not is_right
    if not is_right:
        half = len(gaps) // 2
        said = f"{gaps[half]:.6g} and {gaps[-1]:.6g} after {half} and {len(gaps)} iterates"
        assert f"seen: 2 at the start, {said}" in found


def test_of_600_passes_fewer_where_the_rate_ends(monkeypatch):
    asked = []
    monkeypatch.setattr(checks, "_gaps", lambda subject, run: asked.append(run.count) or (1, [0.0]))
    check = checks.iterates_reach_the_reference_or_still_descend
    outcome(check, Descent())
    outcome(check, ol.SGD(lambda epoch: 0.1 * 0.5**epoch))  # 0.5**6 is above a hundredth
    assert asked == [600, 7]


def test_checks_that_need_a_minimum_are_skipped_where_decay_moves_it():
    decayed = ol.AdamW(0.1, weight_decay=0.1)
    for check in (
        checks.iterates_reach_the_reference_or_still_descend, checks.stays_at_the_optimum
    ):  # fmt: skip
        assert outcome(check, decayed) == MOVED
        assert outcome(check, ol.Lstsq()) == "it is a direct method"


@dataclass(frozen=True)
class Drifts(Descent):
    """A little is added in one pass."""

    by: float = 1e-12
    at: int = 0
    entry: int = 0

    def step(self, w, g, state, t, batch, batches):
        w = w - self.learning_rate * g
        if t - 1 == self.at * batches.steps:
            w[self.entry] += self.by
        return w


@pytest.mark.parametrize(
    ("optimizer", "is_right"),
    [
        # 1 000 eps are 2.2e-13. What was added early has shrunk by then.
        (Drifts(at=19), False), (Drifts(at=19, by=-1e-12, entry=3), False), (Drifts(at=20), True),
        (Drifts(at=19, by=1e-13), True), (Drifts(at=19, by=math.nan), False),
        (Drifts(by=100.0), False),
    ],
)  # fmt: skip
def test_no_step_is_made_at_the_optimum(optimizer, is_right):
    found = outcome(checks.stays_at_the_optimum, optimizer)
    assert bool(found) is not is_right
    assert ("after 20 passes in batches of 4" in found) is not is_right


@dataclass(frozen=True)
class OnNaN(Descent):
    """Does something of its own where the gradient is NaN, from some step on."""

    how: object = None
    since: int = 1

    def step(self, w, g, state, t, batch, batches):
        if g.isfinite().all():
            return w - self.learning_rate * g
        if t < self.since:
            return w
        return self.how(w)


def refuse(w):
    raise ValueError("it is not a number")


@pytest.mark.parametrize(
    ("how", "since", "is_right"),
    [
        (lambda w: w + math.nan, 1, True), (lambda w: w, 1, True), (refuse, 1, True),
        (lambda w: w + 1e-9, 1, False), (lambda w: w + 1e-9, 3, False),
        (lambda w: w + 1e-9, 4, True), (lambda w: w / 0, 1, True),
    ],
)  # fmt: skip
def test_a_nan_leads_to_nan_or_nowhere(how, since, is_right):
    found = outcome(checks.what_is_not_a_number_is_passed_on, OnNaN(how=how, since=since))
    assert bool(found) is not is_right


def test_the_entry_that_a_message_names_is_nan():
    seen = []

    @dataclass(frozen=True)
    class Notes(Descent):
        def seen(self, batch, batches):
            seen.append(batches.X.isnan().nonzero().tolist())
            return batch

    assert not outcome(checks.what_is_not_a_number_is_passed_on, Notes())
    assert seen[0] == [[2, 1]]


@dataclass(frozen=True)
class AsksOnce(Descent):
    """Asks for one gradient, and then goes on by itself."""

    def iterates(self, problem, batches, start):
        slope = flatten(ol.gradient(problem, start))
        w = flatten(start)
        for rows in batches:
            for _ in rows:
                w = w - 0.01 * slope
            yield ol.Iterate(unflatten(w, start))


def test_an_error_that_cannot_come_is_no_fault():
    check = checks.an_error_of_the_problem_is_passed_on
    assert outcome(check, AsksOnce()) == "it evaluates nothing after its first iterate"
    assert not outcome(check, Descent())
    assert not outcome(check, ol.SGD(0.1))


@dataclass(frozen=True)
class Swallows(Descent):
    """Goes on after an error, in one of the passes."""

    def slope(self, problem, parameters, batch):
        try:
            return super().slope(problem, parameters, batch)
        except RuntimeError:
            return torch.zeros(()), parameters


def test_an_error_that_is_swallowed_is_told_with_its_number():
    found = outcome(checks.an_error_of_the_problem_is_passed_on, Swallows())
    # A loss and a gradient of each of three batches make the first iterate.
    assert "the problem raises from evaluation 7 on, so the run raises" in found
    assert "seen: 3 iterates and no error" in found


def test_the_last_point_is_shown_where_it_is_not_the_optimum():
    found = outcome(checks.stays_at_the_optimum, Drifts(at=19, by=0.5))
    assert "theory: at [3, -2, 1, 1] every row's" in found
    assert "seen: [3." in found
    assert "seen: [3, -2, 1, 1]" not in found
