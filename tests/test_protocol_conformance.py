"""Checks of the protocol: faults of the zoo, and each rule of an iterate on one of its own."""

from dataclasses import dataclass

import pytest
import torch

import optlab as ol
from optlab.problems.capabilities import HasGradient
from optlab.testing.conformance import protocol_conformance as checks
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import Closed, Descent


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


def with_members(**members):
    return type("Mine", (Descent,), members)()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, ""),
        ({"needs": ()}, ""),
        ({"needs": (HasGradient, ol.LinearRegression)}, ""),
        ({"uses_batches": 1}, "uses_batches=1, iterates="),
        ({"uses_batches": None}, "uses_batches=None, iterates="),
        ({"needs": [HasGradient]}, "needs=[<class"),
        ({"needs": (HasGradient, "gradient")}, "needs=(<class"),
        ({"needs": None}, "needs=None"),
    ],
)
def test_members_are_of_the_types_that_the_runner_asks_for(members, said):
    found = outcome(checks.has_the_members_of_the_protocol, with_members(**members))
    assert said in found
    assert bool(said) == bool(found)


P = {"w": torch.zeros(2)}
EXPECTED = {"w": ((2,), torch.float32)}


@pytest.mark.parametrize(
    ("iterate", "said"),
    [
        (ol.Iterate(P), ""),
        (ol.Iterate(P, torch.tensor(1.0)), ""),
        (ol.Iterate({"w": torch.zeros(3)}), "parameters {'w': ((3,), torch.float32)}"),
        (ol.Iterate({"w": P["w"].double()}), "parameters {'w': ((2,), torch.float64)}"),
        (ol.Iterate({"v": P["w"]}), "parameters {'v': ((2,), torch.float32)}"),
        (ol.Iterate(P, 1.0), "a batch loss that is a float"),
        (ol.Iterate(P, torch.zeros(1)), "a batch loss of shape (1,), requires_grad=False"),
        (ol.Iterate(P, torch.tensor(0.0, requires_grad=True)),
         "a batch loss of shape (), requires_grad=True"),
        (P, "a dict"),
    ],
)  # fmt: skip
def test_what_an_iterate_lacks_is_said(iterate, said):
    assert checks._wrong(iterate, EXPECTED) == said


@dataclass(frozen=True)
class Yields(Descent):
    """In one pass, or in one dtype, what is yielded is another."""

    at: int = 0
    dtype: torch.dtype | None = None
    how: object = None

    def report(self, parameters, loss, epoch, problem, batch):
        ours = epoch == self.at and problem.X.dtype in {self.dtype or problem.X.dtype}
        yield self.how(parameters, loss) if ours else ol.Iterate(parameters, loss)


def as_float(parameters, loss):
    return ol.Iterate(parameters, float(loss))


@pytest.mark.parametrize(
    ("at", "dtype", "is_caught"),
    [(0, torch.float32, True), (1, torch.float64, True), (2, None, False)],
)
def test_two_iterates_in_each_dtype_are_looked_at(at, dtype, is_caught):
    found = outcome(checks.yields_parameters_like_the_start, Yields(0.1, at, dtype, as_float))
    assert ("a batch loss that is a float" in found) is is_caught
    assert bool(found) is is_caught


@dataclass(frozen=True)
class Ends(Descent):
    after: int = 44

    def epochs(self, batches):
        for _, rows in zip(range(self.after), batches, strict=False):
            yield rows


@dataclass(frozen=True)
class Points:
    """A method without mini-batches that yields so many points."""

    count: int = 1
    uses_batches = False
    direct = False

    def iterates(self, problem, batches, start):
        for k in range(self.count):
            slope = ol.gradient(problem, start)
            start = {name: value - 0.1 * slope[name] for name, value in start.items()}
            yield ol.Iterate(start, cost=ol.Cost(losses=0, gradients=k + 1))


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Ends(), "44 iterates of 45 asked for"), (Ends(after=45), ""),
        (Points(1), ""), (Points(2), ""), (Points(9), ""),
        (Closed("exact"), ""), (ol.Lstsq(), ""), (Closed("twice"), "2 iterates of 2 asked for"),
    ],
)  # fmt: skip
def test_iterates_are_counted(optimizer, said):
    found = outcome(checks.yields_as_often_as_it_says, optimizer)
    assert said in found
    assert bool(said) == bool(found)


@dataclass(frozen=True)
class Counts(Descent):
    """Says so many epochs in one iterate."""

    at: int = 0
    epochs_said: object = 1

    def report(self, parameters, loss, epoch, problem, batch):
        yield ol.Iterate(parameters, loss, epochs=self.epochs_said if epoch == self.at else 1)


@dataclass(frozen=True)
class Own(Descent):
    """Draws its mini-batches by itself from some pass on, and may not move before it."""

    until: int = 0
    rate: float = 0.1
    epochs_said: object = 1

    def iterates(self, problem, batches, start):
        drawn = iter(batches)
        epoch = 0
        while True:
            if epoch < self.until:
                for _ in next(drawn):
                    pass
            slope = ol.gradient(problem, start)
            start = {k: v - self.rate * slope[k] for k, v in start.items()}
            yield ol.Iterate(start, epochs=self.epochs_said)
            epoch += 1


BY_ITSELF = "it draws its mini-batches by itself"


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (Counts(), ""),
        (Counts(epochs_said=2), "3 batches taken (1 passes) when it was yielded, epochs=2"),
        (Counts(epochs_said=1.0), "epochs=1.0"),
        (Counts(epochs_said=True), "epochs=True"),
        (Counts(at=3, epochs_said=2), "iterate 4 stands for 5 passes of 3 batches"),
        (Counts(at=3, epochs_said=2), "12 batches taken (4 passes) when it was yielded, epochs=2"),
        (Counts(at=4, epochs_said=2), ""),
        (Own(), BY_ITSELF),
        (Own(rate=0.0), "the first iterate is the start, yielded before any batch was taken"),
        (Own(epochs_said=1.0), "epochs=1.0"),
        (Own(until=1), "iterate 2 stands for 2 passes of 3 batches"),
    ],
)
def test_passes_are_counted(optimizer, said):
    found = outcome(checks.yields_after_each_pass_and_counts_it, optimizer)
    assert said in found
    assert bool(said) == bool(found)
    assert (found == BY_ITSELF) == (said == BY_ITSELF)


@dataclass(frozen=True)
class AnotherCopy(Descent):
    """A copy that was pickled has another rate in one pass."""

    wrong_in: int = -1

    def __reduce__(self):
        return AnotherCopy, (self.learning_rate, 1)

    def __deepcopy__(self, memo):
        return self

    def step(self, w, g, state, t, batch, batches):
        is_wrong = (t - 1) // batches.steps == self.wrong_in
        return w - self.learning_rate * g * (1.5 if is_wrong else 1)


def test_a_copy_that_differs_in_the_second_pass_alone_is_caught():
    assert "seen: other numbers" in outcome(checks.is_the_same_after_pickling, AnotherCopy())


def test_without_an_intercept_there_is_a_weight_alone():
    for right in (Descent(), ol.Lstsq(), ol.Adam()):
        assert not outcome(checks.fits_without_an_intercept, right)
