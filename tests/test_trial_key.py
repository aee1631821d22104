"""What tells one trial from another: no stale result is taken, and none is computed twice."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.lab.keys import object_hash as structure
from optlab.lab.keys import trial_key as fingerprint
from optlab.lab.keys.source_hash import source_hash
from optlab.lab.keys.trial_key import optimizer_fingerprint, problem_fingerprint, trial_key
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial

OPTLAB = Path(sys.executable).with_name("optlab")


class Scaled(ol.LinearRegression):
    def __init__(self, scale):
        super().__init__([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        self.scale = scale


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.tensor(0.1), torch.tensor(0.2)),
        (np.array([1.0, 2.0]), np.array([1.0, 2.5])),
        (np.float32(0.1), np.float32(0.2)),
        ((1, 2), (1, 3)),
        ({"a": 1}, {"a": 2}),
        (0.1, 0.2),
    ],
)
def test_every_setting_of_a_problem_counts(one, other):
    assert problem_fingerprint(Scaled(one)) == problem_fingerprint(Scaled(one))
    assert problem_fingerprint(Scaled(one)) != problem_fingerprint(Scaled(other))


def test_what_a_problem_has_computed_does_not_count():
    problem = Scaled(0.1)
    before = problem_fingerprint(problem)
    problem.evaluate(problem.optimum().parameters)
    assert problem_fingerprint(problem) == before


class Slots:
    __slots__ = ("inner",)
    name = "slots"

    def __init__(self, scale):
        self.inner = Scaled(scale)

    X = property(lambda self: self.inner.X)
    y = property(lambda self: self.inner.y)


class OtherSlots(Slots):
    name = "others"


def test_problems_with_slots_and_problems_of_other_classes_are_told_apart():
    prints = [problem_fingerprint(p) for p in (Slots(0.1), Slots(0.2), OtherSlots(0.1))]
    assert len(set(prints)) == 3
    assert problem_fingerprint(Slots(0.1)) == prints[0]


def test_a_problem_whose_features_are_sparse_has_a_fingerprint():
    class Sparse(Slots):
        X = property(lambda self: self.inner.X.to_sparse())

    assert problem_fingerprint(Sparse(0.1)) == problem_fingerprint(Sparse(0.1))


@dataclass(frozen=True)
class Fixed:
    step: float = 1.0
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate({name: value * 0 + self.step for name, value in start.items()})


@dataclass(frozen=True)
class FixedToo:
    step: float = 1.0
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate({name: value * 0 + self.step + 1 for name, value in start.items()})


def test_no_optimizer_of_another_class_has_its_result(tmp_path, tutorial):
    losses = [
        ol.Experiment(problems=tutorial, optimizers={"m": optimizer})
        .run(store=tmp_path / "s.db").trials["loss"][0]
        for optimizer in (Fixed(), FixedToo())
    ]  # fmt: skip
    assert losses[0] != losses[1]


def test_the_problem_s_name_in_the_grid_is_in_the_key():
    trial = Trial(0, "one", "m", None, "cpu", "float64", 0)
    budget = Budget(epochs=1)
    keys = {
        trial_key(replace(trial, **change), "print", "print", budget, "here")
        for change in ({}, {"problem": "other"}, {"optimizer": "other"}, {"number": 3})
    }
    assert len(keys) == 3  # the number in the grid decides nothing


class Versioned(Fixed):
    def versions(self):
        return {"solver": Path(self.file).read_text()}


def test_the_versions_that_an_optimizer_tells_of_count(tmp_path):
    optimizer = Versioned(0.1)
    object.__setattr__(optimizer, "file", str(tmp_path / "version"))
    prints = []
    for version in ("1", "1", "2"):
        (tmp_path / "version").write_text(version)
        prints.append(optimizer_fingerprint(optimizer))
    assert prints[0] == prints[1] != prints[2]


def test_the_threads_that_this_process_has_at_the_moment_decide_nothing(monkeypatch):
    prints = set()
    for threads in (1, 2):
        told = {"device cpu": f"{threads} threads", "device cuda:0": "a card", "python": "3"}
        monkeypatch.setattr(fingerprint, "machine", lambda told=told: told)
        prints.add(fingerprint.surroundings.__wrapped__(1))
    assert len(prints) == 1
    assert fingerprint.surroundings.__wrapped__(2) not in prints


def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_sibling.py").write_text("def broken(:\n")
    (tmp_path / "uses_broken.py").write_text(
        "class Uses:\n    def later(self):\n        import broken_sibling\n"
    )
    import uses_broken

    assert source_hash([uses_broken.__name__])


@pytest.mark.parametrize("package", ["part", "part.deeper"])
@pytest.mark.parametrize("initial", [["part/__init__.py"], []], ids=["package", "namespace"])
@pytest.mark.parametrize(
    "how", ["from {}.helper import STEP", "import {}.helper", "from {} import helper"]
)
def test_a_helper_imported_later_by_a_dotted_name_counts_unrun(
    tmp_path, monkeypatch, package, initial, how
):  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    helper = tmp_path.joinpath(*package.split("."), "helper.py")
    helper.parent.mkdir(parents=True)
    for file in initial:
        (tmp_path / file).write_text("raise SystemExit('a package was run')")
    (tmp_path / "lazy_user.py").write_text(f"def later():\n    {how.format(package)}\n")
    prints = []
    for step in ("1", "1", "2.0"):
        helper.write_text(f"STEP = {step}\n")
        prints.append(source_hash(["lazy_user"]))
    assert prints[0] == prints[1] != prints[2]
    assert "part" not in sys.modules
    if initial:  # importing a part runs the package
        (tmp_path / initial[0]).write_text("")
        assert source_hash(["lazy_user"]) != prints[2]


SCRIPT = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import helper
import optlab as ol

def rate(): return helper.RATE

@dataclass(frozen=True)
class Logged:
    rate: object = rate
    skip: frozenset = frozenset({"weight", "bias", "scale", "shift"})
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        with Path("log").open("a") as file:
            file.write("run ")
        yield ol.Iterate(start)

experiment = ol.Experiment(
    problems=ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), optimizers=Logged()
)
if __name__ == "__main__":
    experiment.main()
"""


def test_a_script_run_in_another_way_runs_nothing_again(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("RATE = 0.1\n")
    logs = []
    for seed, command in enumerate([[OPTLAB, "run", "mine.py"], [sys.executable, "mine.py"]]):
        around = os.environ | {"PYTHONHASHSEED": str(seed)}
        subprocess.run([*command, "--store", "s.db"], cwd=tmp_path, check=True, env=around)
        logs.append((tmp_path / "log").read_text())
    assert logs[0] == logs[1]


def test_sources_are_read_once_for_many_objects(monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr(structure, "source_hash", lambda names: read.append(names) or "")
    optimizer_fingerprint([Fixed(), FixedToo(), Fixed(2.0), *(lambda k=k: k for k in range(9))])
    assert len(read) == len(set(read))
