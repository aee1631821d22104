"""Checks of gradients: faults of the zoo, and small functions on values worked out by hand."""

from dataclasses import dataclass

import pytest
import torch

import optlab as ol
from optlab.testing.conformance import gradient_conformance as checks
from optlab.testing.conformance.single_run import Run
from optlab.testing.conformance.small_data import FAMILIES, small_data
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckFailedError
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Descent

X, y = small_data(0)


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_slope_is_the_gradient_at_the_start_or_at_a_point():
    run = Run(FAMILIES["linear"], X[:2], y[:2])
    for at in (None, vector(1.0, -2.0, 0.5, 0.25)):
        point = checks._start(run) if at is None else at
        assert checks._start(run).tolist() == [-1.17, -0.39, 0.53, 1.11]
        rest = X[:2] @ point[:3] + point[3] - y[:2]
        expected = torch.cat([X[:2].T @ rest, rest.sum()[None]])  # 2 / n is 1
        assert torch.allclose(checks._slope(run, at), expected, rtol=1e-14, atol=1e-14)
    single = checks._slope(run.but(dtype="float32"), vector(1.0, -2.0, 0.5, 0.25))
    assert torch.allclose(single.double(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("after", "slope", "still"),
    [
        ([2.0, 3.0, 4.0], [9.0, 9.0, 9.0], []),
        ([1.0, 3.0, 4.0], [9.0, 9.0, 9.0], [0]),
        ([1.0, 2.0, 3.0], [9.0, -9.0, 9.0], [0, 1, 2]),
        ([1.0, 2.0, 4.0], [0.0, 9.0, 9.0], [1]),
        ([1.0, 2.0, 4.0], [0.0081, -0.0079, 9.0], [0]),  # a thousandth of 8 is 0.008
    ],
)
def test_a_parameter_stands_still_where_it_has_a_slope_of_some_size(after, slope, still):
    before, first = vector(1.0, 2.0, 3.0), vector(4.0, -8.0, 1.0)
    assert checks._still(before, vector(*after), vector(*slope), first) == still


def test_parameters_are_named_by_their_places():
    run = Run(FAMILIES["linear"], X, y)
    assert checks._named(run, [0, 2, 3]) == "weight[0], weight[2], bias"


@dataclass(frozen=True)
class Rates(Descent):
    """A rate for each of the first steps, and the last one from then on."""

    rates: tuple = (0.1,)

    def step(self, w, g, state, t, batch, batches):
        return w - self.rates[min(t, len(self.rates)) - 1] * g


@pytest.mark.parametrize(
    ("optimizer", "is_wrong"),
    [
        (Rates(rates=(1e-9,)), False), (Rates(rates=(0.0,)), True), (Rates(rates=(-1e-9,)), True),
        (Rates(rates=(float("nan"),)), True), (Rates(rates=(10.0,)), False),
        (ol.SGD(lambda epoch: 0.1 * (epoch > 1)), False),
        (ol.Lstsq(), "it is a direct method"),
    ],
)  # fmt: skip
def test_the_sign_of_the_first_step_decides_and_not_its_size(optimizer, is_wrong):
    found = outcome(checks.the_first_step_descends, optimizer)
    if isinstance(is_wrong, str):
        assert found == is_wrong
    else:
        assert ("whose product with it is " in found) is bool(found) is is_wrong


@dataclass(frozen=True)
class WarmsUpWrong(Descent):
    """Steps of a schedule that begins at 0, and climbs."""

    learning_rate: object = ol.schedules.WarmUp(0.1, epochs=4, first=0)

    def __post_init__(self):
        pass

    def step(self, w, g, state, t, batch, batches):
        return w + self.learning_rate((t - 1) / batches.steps) * g


def test_of_a_warm_up_from_zero_the_first_step_that_moves_is_judged():
    found = outcome(checks.the_first_step_descends, WarmsUpWrong())
    assert "whose product with it is " in found


@dataclass(frozen=True)
class Sums(Descent):
    """Gradients are multiplied by the rows, a little or in one pass alone."""

    at: int = 1
    by: float = 1e-9

    def step(self, w, g, state, t, batch, batches):
        return w - self.learning_rate * g * (1 + self.by * len(batch.y) * (t == self.at))


@pytest.mark.parametrize("at", [1, 2])
def test_sums_are_caught_in_each_of_two_passes_by_a_billionth(at):
    found = outcome(checks.gradients_are_means_not_sums, Sums(at=at))
    assert "tolerance: 1.2e-11 of the largest parameter" in found  # of 14 rows
    assert not outcome(checks.gradients_are_means_not_sums, Sums(at=3))
    assert not outcome(checks.gradients_are_means_not_sums, Sums(by=1e-15))


@dataclass(frozen=True)
class KeepsGrad(Descent):
    """Autograd by hand, which leaves the .grad of some parameters, in batches from one on."""

    names: tuple = ()
    since: int = 0

    def iterates(self, problem, batches, start):
        point = {name: value.requires_grad_() for name, value in start.items()}
        taken = 0
        for rows in batches:
            for batch in rows:
                loss = problem.loss(point, batch)
                loss.backward()
                taken += 1
                with torch.no_grad():
                    for name, value in point.items():
                        value.sub_(0.01 * value.grad)
                        if name not in self.names or taken < self.since:
                            value.grad = None
            yield ol.Iterate(point, loss.detach())


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (KeepsGrad(), ""),
        (KeepsGrad(names=("bias",)), ("the .grad of bias still held an earlier step's gradient in "
         "5 of 6 evaluations")),
        (KeepsGrad(names=("weight", "bias"), since=5), ("the .grad of weight, bias still held an "
         "earlier step's gradient in 1 of 6 evaluations")),
        (KeepsGrad(names=("bias",), since=6), ""),
    ],
)  # fmt: skip
def test_gradients_that_are_left_are_named_and_counted(optimizer, said):
    found = outcome(checks.gradients_are_reset_between_steps, optimizer)
    assert said in found
    assert bool(said) == bool(found)


@dataclass(frozen=True)
class Freezes(Descent):
    """One parameter moves in some passes only."""

    number: int = 1
    since: int = 0
    learning_rate: float = 0.01

    def step(self, w, g, state, t, batch, batches):
        g = g.clone()
        if (t - 1) // batches.steps >= self.since:
            g[self.number] = 0
        return w - self.learning_rate * g


def test_a_parameter_that_freezes_is_named_in_the_first_pass_or_the_last_ones():
    first, late = (
        checks.every_parameter_is_updated, checks.every_parameter_is_updated_late_in_the_run_too
    )  # fmt: skip
    assert "seen: weight[1] did not move in the first pass\n" in outcome(first, Freezes())
    assert not outcome(first, Freezes(since=1))
    said = outcome(late, Freezes(number=3, since=42))
    assert "seen: bias did not move in the passes 43 to 45\n" in said
    assert "the gradient after 42 passes is [" in said
    assert not outcome(late, Freezes(number=3, since=43))
    for right in (ol.Adam(0.1), ol.SGD(0.1), Descent()):
        assert not outcome(first, right)
        assert not outcome(late, right)


@dataclass(frozen=True)
class Losses(Descent):
    """The loss that is yielded is another by a share, in every pass or one."""

    by: float = 1e-9
    at: object = None

    def report(self, parameters, loss, epoch, problem, batch):
        wrong = self.at is None or epoch == self.at
        yield ol.Iterate(parameters, loss * (1 + self.by) if wrong else loss)


class NoLoss(Descent):
    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters)


OF_BATCH_LOSS = [
    checks.the_batch_loss_is_the_loss_before_the_update,
    checks.the_batch_loss_is_that_of_the_last_batch,
]


@pytest.mark.parametrize("check", OF_BATCH_LOSS)
def test_a_batch_loss_is_held_to_rounding(check):
    assert "for sums in another order" in outcome(check, Losses())
    assert "likely" not in outcome(check, Losses())
    assert outcome(check, Losses(by=float("nan")))
    assert not outcome(check, Losses(by=1e-15))
    assert not outcome(check, Losses(at=1))
    assert outcome(check, NoLoss()) == "it yields no batch loss"
    assert outcome(check, ol.Lstsq()) == "it uses no mini-batches"


class Large(Subject):
    """A subject whose data are larger, and its losses some 1e8."""

    @property
    def data(self):
        return 1e4 * X, 1e4 * y


@pytest.mark.parametrize("check", OF_BATCH_LOSS)
def test_a_loss_far_above_1_is_held_to_its_own_rounding(check):
    check.function(Large(Losses(by=1e-14)))
    with pytest.raises(CheckFailedError):
        check.function(Large(Losses(by=1e-9)))


def test_a_second_step_of_an_older_gradient_is_told_and_others_are_not_blamed():
    check = checks.each_step_uses_the_gradient_at_its_own_point
    assert not outcome(check, Descent())
    assert not outcome(check, ol.Adam(0.1))
    assert outcome(check, ol.Lstsq()) == "it uses no mini-batches"
