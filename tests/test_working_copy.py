"""Trials of one problem share a copy of its data as long as none changes it."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

import optlab as ol
from optlab.lab import Trial
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.working_copy import WorkingCopy
from optlab.problems.losses.logistic import LogisticRegression

PROBLEM = ol.LinearRegression.from_dataset(ol.datasets.synthetic(50, 3, seed=0))
CPU, DOUBLE = torch.device("cpu"), torch.float64


@dataclass(frozen=True)
class Meddles:
    """Does something to its data, and yields its start."""

    how: str = "nothing"
    uses_batches: ClassVar[bool] = False
    seen: ClassVar[list[tuple[int, bool]]] = []

    def iterates(self, problem, batches, start):
        self.seen.append((problem.X.data_ptr(), problem.X.requires_grad))
        match self.how:
            case "changes":
                problem.X[0, 0] += 1.0
            case "requires":
                problem.X.requires_grad_()
            case "turns":
                problem.X = problem.X.T.contiguous().T
            case "replaces":
                problem.X = problem.X.clone()
        yield ol.Iterate({name: value.detach() for name, value in start.items()})


def run(how, copy, problem=PROBLEM):
    Meddles.seen.clear()
    trial = Trial(0, "data", "Meddles", None, "cpu", "float64", seed=0)
    return run_trial(trial, problem, Meddles(how=how), Budget(epochs=1), copy=copy)


def first_seen():
    address, requires_grad = Meddles.seen[0]
    assert not requires_grad
    return address


@pytest.mark.parametrize("how", ["nothing", "changes", "requires", "turns", "replaces"])
def test_the_copy_is_kept_unless_it_was_changed(how):
    copy = WorkingCopy()
    first = run(how, copy)
    taken = first_seen()
    assert taken != PROBLEM.X.data_ptr()
    held = copy._held
    assert (held is not None) == (how in {"nothing", "requires"})
    second = run("nothing", copy)
    if held is not None:
        assert first_seen() == taken
        assert second.transfer_seconds == first.transfer_seconds
    assert first.status == ("failed" if how == "changes" else "finished")
    assert second.status == "finished"
    untouched = run("nothing", None)
    assert second.trace[-1].loss == untouched.trace[-1].loss
    assert torch.equal(PROBLEM.X, ol.LinearRegression.from_dataset(
        ol.datasets.synthetic(50, 3, seed=0)).X)  # fmt: skip


def test_one_copy_is_held_of_one_problem_device_and_dtype():
    copy = WorkingCopy()
    other = ol.LinearRegression(PROBLEM.X, PROBLEM.y)
    for problem, dtype in ((PROBLEM, DOUBLE), (other, DOUBLE), (other, torch.float32)):
        local, _ = copy.take(problem, CPU, dtype)
        assert local.X.dtype == dtype
        assert copy._held is None
        copy.give_back(local.data)
        again, _ = copy.take(problem, CPU, dtype)
        assert again.X.data_ptr() == local.X.data_ptr()
        assert again is not local
        copy.give_back(again.data)


def test_problems_of_every_kind_run_over_a_shared_copy():
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    for problem in (
        ol.LinearRegression(X, X.sum(1), sample_weight=X[:, 0] ** 2 + 0.1),
        LogisticRegression(X, (X[:, 0] > 0).double()),
    ):
        shared = ol.compare(problem, ol.ManualSGD(0.01), epochs=3, repeats=3)
        assert shared.trials["loss"].nunique() == 1
        assert shared.trials["transfer_seconds"].nunique() == 1
