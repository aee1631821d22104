"""The key of a trial: no stale result is taken, and none is computed twice."""

import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import optlab as ol
from optlab.lab.keys import trial_key as module
from optlab.lab.keys.trial_key import (
    DECIDING_CODE,
    deciding_code,
    optimizer_fingerprint,
    surroundings,
    trial_key,
)
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import Trial
from optlab.lab.trial.run import run_trial
from optlab.optimizers import registry
from tests.commands import OPTLAB, program
from tests.plain_problem import plain_problem

PACKAGE = Path(ol.__file__).parent


@dataclass(frozen=True)
class Fixed:
    step: float = 1.0
    uses_batches: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        yield ol.Iterate({name: value * 0 + self.step for name, value in start.items()})


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
    hashes = set()
    for threads in (1, 2):
        facts = {"device cpu": f"{threads} threads", "device cuda:0": "a card", "python": "3"}
        monkeypatch.setattr(module, "machine", lambda facts=facts: facts)
        hashes.add(surroundings(1))
    assert len(hashes) == 1
    assert surroundings(2) not in hashes


def set_flag(name):
    where, _, flag = name.rpartition(".")

    def change():
        backend = torch.backends
        for part in where.split("."):
            backend = getattr(backend, part)
        now = getattr(backend, flag)
        setattr(backend, flag, not now if isinstance(now, bool) else "ieee")

    return change


SETTINGS = {
    "float32 precision": lambda: torch.set_float32_matmul_precision("high"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "denormal numbers": lambda: torch.set_flush_denormal(True),
    "benchmark": set_flag("cudnn.benchmark"),
    "cudnn": set_flag("cudnn.allow_tf32"),
    "the newer interface": set_flag("cuda.matmul.fp32_precision"),
    "convolutions": set_flag("mkldnn.conv.fp32_precision"),
    "reduced precision": set_flag("cuda.matmul.allow_bf16_reduced_precision_reduction"),
}


@pytest.mark.parametrize("change", SETTINGS.values(), ids=SETTINGS)
def test_each_setting_of_torch_that_decides_numbers_counts_and_is_restored(change):
    before, settings = surroundings(1), TorchSettings.current()
    try:
        change()
        changed = surroundings(1)
    finally:
        settings.apply()
    assert changed != before
    assert surroundings(1) == before
    assert TorchSettings.current() == settings
    torch.get_float32_matmul_precision()  # it raises where its two interfaces contradict each other


# Under a profile, what compiles or imports much takes minutes.
@pytest.mark.parametrize("name", sorted({*registry.names()} - {"streaming-lstsq", "sklearn"}))
def test_all_code_that_a_trial_runs_is_deciding_code(name):
    ran = set()
    optimizer = registry.get(name)()
    problem = plain_problem(optimizer, ol.datasets.tutorial().standardized())
    for large in ("numba", "torch._dynamo"):  # what methods load when they first run
        importlib.import_module(large)
    trial, budget = Trial(0, problem.name, "m", "full", "cpu", "float32", 0), Budget(epochs=2)
    if name.startswith("fused"):  # what compiles takes three times as long under a profile
        run_trial(trial, problem, optimizer, budget)
    sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
    try:
        run_trial(trial, problem, optimizer, budget)
    finally:
        sys.setprofile(None)
    ours = {file.relative_to(PACKAGE) for file in map(Path, ran) if file.is_relative_to(PACKAGE)}
    assert ours
    others = {f for f in ours if not any(f.is_relative_to(d) for d in DECIDING_CODE)}
    assert others <= {Path("text.py")}  # the words of messages, which decide no number


def test_a_key_looks_at_the_deciding_code_alone(tmp_path):
    package = tmp_path / "optlab"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before, decides = deciding_code(package), set()
    for file in sorted(package.rglob("*.py")):
        file.write_bytes(file.read_bytes() + b"# mended\n")
        if any(file.is_relative_to(package / name) for name in DECIDING_CODE):
            decides.add(file.relative_to(package).as_posix())
    deciding_code.cache_clear()
    after = deciding_code(package)
    deciding_code.cache_clear()
    assert before.keys() == after.keys() == decides
    assert {file for file in after if after[file] != before[file]} == decides
    assert all((package / name).exists() for name in DECIDING_CODE)


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
    problems=ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]),
    optimizers=Logged(), seeds=range(9),
)
if __name__ == "__main__":
    experiment.main()
"""


# In a process that has loaded torch, the copy of the package takes its place.
ANEW = """
import runpy
import sys
from pathlib import Path

for name in [name for name in sys.modules if name.partition(".")[0] == "optlab"]:
    del sys.modules[name]
sys.path.insert(0, str(Path("installed").resolve()))
runpy.run_path("mine.py", run_name="__main__")
"""


def test_a_word_mended_in_the_report_of_an_installed_copy_runs_nothing_again(tmp_path):
    copy = tmp_path / "installed" / "optlab"
    shutil.copytree(PACKAGE, copy)  # with what has been compiled: each start would compile it all
    (tmp_path / "mine.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("RATE = 0.1\n")
    # Text is hashed by this seed in the process that is started, and by another in those forked.
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    around = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(copy.parent)}
    anew = [program("python"), "-c", ANEW]
    runs = []
    for command, mended in [
        ([OPTLAB, "run", "mine.py"], ""),
        (anew, "report/words.py"),
        (anew, "lab/trial/run.py"),
    ]:
        if mended:
            with (copy / mended).open("a") as file:
                file.write("# mended\n")
        (tmp_path / "log").write_text("")
        subprocess.run([*command, "--store", "s.db"], cwd=tmp_path, check=True, env=around)
        runs.append(len((tmp_path / "log").read_text().split()))
    assert runs[1] == 0
    assert min(runs[0], runs[2]) >= 9  # a cold pass and some more each
