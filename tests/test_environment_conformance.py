"""Checks of the surroundings: faults of the zoo, and each setting of the process."""

import contextlib
import random
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from optlab.testing import check_optimizer
from optlab.testing.conformance import environment_conformance as checks
from tests.caught_faults import each_fault, outcome, require_caught
from tests.faulty_optimizers import SETTINGS, Descent


@each_fault(checks)
def test_a_fault_is_caught_by_the_check_that_names_it(name):
    require_caught(name)


# Its first call imports what adds filters of warnings.
torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())

CHANGES = {
    "torch's global random state": lambda: torch.manual_seed(3),
    "numpy's global random state": lambda: np.random.seed(3),  # noqa: NPY002 - the subject
    "Python's global random state": lambda: random.seed(3),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's float32 matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's grad mode": lambda: torch.set_grad_enabled(False),
    "numpy's error handling": lambda: np.seterr(all="ignore"),
    "the filters of warnings": lambda: warnings.filterwarnings("ignore", message="planted"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_setting_is_known_by_its_name_and_is_restored(name):
    before = checks._settings()
    with checks.process_state_kept():
        CHANGES[name]()
        inside = checks._settings()
        if name == "torch's float32 matmul precision":  # it is a flag of torch's backends too
            inside.pop("the precision of torch's backends", None)
        assert [key for key in inside if inside[key] != before[key]] == [name]
    assert checks._settings() == before


def test_settings_are_restored_after_an_error_too():
    before = checks._settings()
    with contextlib.suppress(KeyError), checks.process_state_kept():
        for change in CHANGES.values():
            change()
        raise KeyError
    assert checks._settings() == before


@dataclass(frozen=True)
class Sets(Descent):
    """Calls something in one pass, and may undo it at the end."""

    name: str = "numpy's error handling"
    at: int = 0

    def report(self, parameters, loss, epoch, problem, batch):
        if epoch == self.at:
            CHANGES[self.name]()
        yield from super().report(parameters, loss, epoch, problem, batch)


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("name", ["numpy's error handling", "torch's default dtype"])
def test_a_setting_that_any_pass_leaves_is_named(name, at):
    (found,) = check_optimizer(Sets(0.1, name, at), only=SETTINGS).checks
    assert f"seen: changed by a run: {name}\n" in found.message
    assert "likely" not in found.message


def test_settings_are_seen_at_three_iterates():
    assert check_optimizer(Sets(at=3), only=SETTINGS).ok


@dataclass(frozen=True)
class Threads(Descent):
    """In one pass the step is longer with more threads."""

    at: int = 2

    def step(self, w, g, state, t, batch, batches):
        threads = torch.get_num_threads() if (t - 1) // batches.steps == self.at else 1
        return w - self.learning_rate * g * threads


def test_the_last_iterates_are_shown_the_first_run_first():
    found = outcome(checks.the_number_of_threads_makes_no_difference, Threads())
    single, double = (
        found.partition("seen: [")[2].partition("]\n")[0].split("], and [")
    )  # fmt: skip
    assert single != double
    assert not outcome(checks.the_number_of_threads_makes_no_difference, Threads(at=3))
    run = [line for line in found.splitlines() if line.strip().startswith("run = ")]
    assert len(run) == 1
