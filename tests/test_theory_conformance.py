"""Checks against the exact theory of descent: faults of the zoo, and how small a fault is seen."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.testing.conformance import theory_conformance as checks
from optlab.testing.conformance.single_run import Point
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


@pytest.fixture
def losses_are(monkeypatch):
    """Let 1 be expected after each step, and a run of a seed have the losses that a test says."""
    runs = []

    def set_to(loss):
        def iterates(optimizer, run):
            runs.append(run)
            # From the best weights in the direction in which the predictions' mean square is 1.
            A = np.c_[run.X.numpy(), np.ones(len(run.y))]
            best = np.linalg.lstsq(A, run.y.numpy(), rcond=None)[0]
            unit = np.array([1.0, 0, 0, 0]) / math.sqrt(float((A[:, 0] ** 2).mean()))
            return [
                Point({"w": torch.from_numpy(best + math.sqrt(loss(run.seed, step)) * unit)},
                      None, 1, None, 0)
                for step in range(1, run.count + 1)
            ]  # fmt: skip

        monkeypatch.setattr(checks, "iterates", iterates)
        monkeypatch.setattr(
            checks.SGDMoments, "suboptimality", lambda self, start, steps: np.ones(steps + 1)
        )
        runs.clear()
        return runs

    return set_to


MEAN_LOSS = checks.the_mean_loss_is_the_exact_expectation


@pytest.mark.parametrize(
    ("by", "at", "is_right"),
    [
        # 5 standard errors of 300 runs of standard deviation 0.1 are 0.02887.
        (0.028, (10, 20), True), (-0.028, (10, 20), True), (0.0295, (10,), False),
        (-0.0295, (10,), False), (0.0295, (20,), False), (0.9, (9, 11, 19), True),
        (math.nan, (10,), False),
    ],
)  # fmt: skip
def test_the_mean_of_many_runs_is_within_five_standard_errors(losses_are, by, at, is_right):
    runs = losses_are(
        lambda seed, step: 1 + by * (step in at or 0) + 0.1 * (1 if seed % 2 else -1)
        if step in at or not math.isnan(by) else 1.0
    )  # fmt: skip
    found = outcome(MEAN_LOSS, ol.SGD(0.1), once=True)
    assert bool(found) is not is_right
    if found:
        assert f"after {at[0]} steps on 5 of 7 rows is 1, by the recursion" in found
        assert f"seen: {1 + by:.6g} in the mean of 300 seeds" in found
        if not math.isnan(by):
            assert "tolerance: 5 standard errors of 0.0058: one false alarm" in found
        return
    assert [run.seed for run in runs] == list(range(300))
    first, last = runs[0], runs[-1]
    assert (first.batch_size, first.drop_last, first.count) == (5, True, 20)
    assert torch.equal(first.start["weight"], last.start["weight"])


def test_a_mean_without_scatter_is_held_to_rounding(losses_are):
    losses_are(lambda seed, step: 1.0)
    assert outcome(MEAN_LOSS, ol.SGD(0.1), once=True) == ""
    losses_are(lambda seed, step: 1 + 1e-9)
    assert "after 10 steps on 5 of 7 rows is 1, by" in outcome(MEAN_LOSS, ol.SGD(0.1), once=True)
