"""Optimizers that change what is everybody's, run in this process, without isolation."""

import os
import subprocess
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.lab import run_grid
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.runner import Execution
from optlab.lab.trial import validate
from optlab.lab.trial.validate import same_bits
from optlab.optimizers import registry
from tests.commands import program
from tests.forked_server import forks

PROBLEM = ol.LinearRegression(np.arange(6.0).reshape(6, 1), np.arange(6.0) * 2 + 1)


@dataclass(frozen=True)
class WorksWhenCalled:
    """Does all its work before it hands out an iterator: its `iterates` is no generator."""

    uses_batches: ClassVar[bool] = False
    seconds: float = 0.02

    def iterates(self, problem, batches, start):
        time.sleep(self.seconds)
        return iter([ol.Iterate(start)])


@dataclass(frozen=True)
class WorksWhenCalledWithBatches(WorksWhenCalled):
    uses_batches: ClassVar[bool] = True


@pytest.mark.parametrize("kind", [WorksWhenCalled, WorksWhenCalledWithBatches])
def test_what_is_done_before_the_first_iterate_is_on_the_clock(kind):
    trials = ol.compare(PROBLEM, kind()).trials
    assert trials["status"].tolist() == ["finished"]
    assert trials["seconds"].iloc[0] >= 0.02
    assert trials["first_pass_seconds"].iloc[0] >= 0.02


@dataclass(frozen=True)
class SetsTheDefault:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(1)
        yield ol.Iterate(start)


@dataclass(frozen=True)
class SaysTheDefault:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        if torch.get_default_dtype() != torch.float32 or torch.zeros(1).device.type != "cpu":
            raise RuntimeError("another optimizer has set it")
        yield ol.Iterate(start)


def test_settings_of_torch_that_one_leaves_are_not_those_of_the_next():
    optimizers = {"sets": SetsTheDefault(), "says": SaysTheDefault()}
    with threads_kept():
        set_threads(2)
        trials = ol.compare(PROBLEM, optimizers, repeats=5, epochs=1).trials
        assert torch.get_num_threads() == 2
    assert set(trials["status"]) == {"finished"}
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_default_device() == torch.device("cpu")


def test_minimize_leaves_torchs_settings_as_they_were():
    ol.minimize(PROBLEM, SetsTheDefault(), epochs=1)
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_device() == torch.device("cpu")


@pytest.fixture(params=["meta", torch.float64], ids=str)
def scripts_own_default(request):
    """Let a test set torch's default device or dtype, as the top of a script does."""
    device, dtype = torch.get_default_device(), torch.get_default_dtype()

    def set_it():
        if request.param == "meta":
            torch.set_default_device("meta")
        else:
            torch.set_default_dtype(request.param)

    yield set_it
    torch.set_default_device(None if device.type == "cpu" else device)
    torch.set_default_dtype(dtype)


def bits_of_all_trials():
    """The parameters of every registered optimizer and two adapted ones, from data to answer."""
    methods = {name: cls() for name, cls in registry.items() if cls is not ol.SDCA}  # needs an l2
    methods["Adam"] = ol.TorchOptimizer(torch.optim.Adam, lr=0.1)
    methods["LBFGS"] = ol.TorchOptimizer(torch.optim.LBFGS, max_iter=3)
    problems = [
        ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
        ol.LinearRegression(np.random.default_rng(0).standard_normal((30, 2)), np.arange(30.0)),
    ]
    bits = []
    for problem, batch_size in zip(problems, ("full", 7), strict=True):
        results = ol.compare(problem, methods, batch_sizes=[batch_size], epochs=3, stop_at=1e-9)
        assert set(results.trials["status"]) <= {"finished", "converged"}, results.trials["message"]
        answers = map(results.parameters, results.trials["trial"])
        bits += [{k: v.tobytes() for k, v in answer.items()} for answer in answers]
    return bits


@pytest.fixture(scope="module")
def usual_bits():
    return bits_of_all_trials()


def test_a_scripts_default_device_or_dtype_changes_no_bit(usual_bits, scripts_own_default):
    scripts_own_default()
    assert bits_of_all_trials() == usual_bits


def test_threads_are_after_a_run_what_they_were():
    before = torch.get_num_threads()
    experiment = ol.Experiment(problems=PROBLEM, optimizers=ol.Lstsq())
    run_grid(experiment.grid, experiment.budget, execution=Execution(threads=before + 1))
    assert torch.get_num_threads() == before


@dataclass(frozen=True)
class SaysWhatIsNoText:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        raise ValueError(os.fsdecode(b"no file caf\xe9.csv"))
        yield


def test_a_message_that_is_no_text_costs_nobody_their_results(tmp_path):
    results = ol.compare(PROBLEM, {"odd": SaysWhatIsNoText(), "good": ol.Lstsq()})
    assert results.trials["status"].tolist() == ["failed", "finished"]
    assert results.trials["message"].iloc[0].startswith(r"ValueError: no file caf\udce9.csv (")
    results.to_csv(tmp_path)
    results.report(tmp_path / "page.html")


@settings(max_examples=20)
@given(
    dtype=st.sampled_from([torch.float32, torch.float64]),
    rows=st.integers(1, 5),
    place=st.integers(0, 10**6),
    bit=st.integers(0, 63),
    special=st.sampled_from([0.0, -0.0, float("nan"), float("inf"), 5e-324, 1.5]),
)
def test_any_bit_that_an_optimizer_changes_in_its_data_is_found(dtype, rows, place, bit, special):
    # Two rows are a block: the change can be in any of several, the last and shorter one included.
    columns = validate._BLOCK // 2
    original = torch.zeros(rows, columns, dtype=torch.float64)
    original[:, ::3] = special
    copy = original.to(dtype, copy=True)
    assert same_bits(original, copy)
    assert not same_bits(original, copy[:-1])
    kind, bits = (torch.int32, 32) if dtype == torch.float32 else (torch.int64, 64)
    one = np.array(1, dtype=f"u{bits // 8}") << (bit % bits)
    copy.view(kind).view(-1)[place * 7919 % copy.numel()] ^= int(one.view(f"i{bits // 8}"))
    assert not same_bits(original, copy)


class Weighted(ol.LinearRegression):
    """A problem of a person's own that has more than the data."""

    def __init__(self, X, y, weights):
        super().__init__(X, y)
        self.weights = weights


def test_a_subclass_keeps_what_it_has_in_another_dtype():
    problem = Weighted([[0.0], [1.0]], [1.0, 2.0], weights=[3, 4])
    assert problem.reference().loss < 1e-20
    moved = problem.to("cpu", torch.float32)
    assert moved.weights == [3, 4]
    assert "_certified" not in vars(moved)  # it is of other data


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(ValueError, match="name must be text, not 2024"):
        ol.LinearRegression([[0.0], [1.0]], [1.0, 2.0], name=2024)


SCRIPT = """
import os
import sys
import optlab as ol


class Careless:
    uses_batches = True

    def iterates(self, problem, batches, start):
        {careless}
        yield ol.Iterate(start)


experiment = ol.Experiment(
    problems=ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]),
    optimizers={{"careless": Careless(), "good": ol.ManualSGD()}},
    repeats=3,
    epochs=1,
)
"""


def run(folder, careless, *arguments):
    (folder / "exp.py").write_text(SCRIPT.format(careless=careless), encoding="utf-8")
    return subprocess.run(
        [program("optlab"), "run", "exp.py", *arguments],
        check=False, cwd=folder, env=os.environ | forks(), capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip


def test_outputs_go_where_they_were_asked_for_though_a_trial_leaves_the_folder_and_closes_stderr(
    tmp_path,
):
    careless = "os.chdir('/'); sys.stderr.close()"
    done = run(tmp_path, careless, "--csv", "out", "--report", "page.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pd.read_csv(tmp_path / "out" / "trials.csv")["status"].tolist() == ["finished"] * 6
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])
def test_a_child_that_an_optimizer_forks_is_not_a_second_lab(tmp_path, how):
    fork = "child = os.fork()\n        if child == 0: sys.exit(0)\n        os.waitpid(child, 0)"
    done = run(tmp_path, fork, "--csv", "out", "--store", "s.db", *how)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("experiment") == 1
    for trials in (pd.read_csv(tmp_path / "out" / "trials.csv"),
                   ol.Results.load(tmp_path / "s.db").trials):  # fmt: skip
        assert trials["status"].tolist() == ["finished"] * 6
