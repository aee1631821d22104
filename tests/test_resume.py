import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from benchmarks.kill_and_resume import kill_and_resume, same_but_for_times
from optlab.app.progress import TrialProgress
from optlab.app.script import load_experiment
from optlab.lab.store.load import NOT_RUN
from optlab.lab.store.store import Store
from optlab.optimizers import hyperparameters

OPTLAB = Path(sys.executable).with_name("optlab")
DATASET = ol.datasets.tutorial().standardized()

SCRIPT = """
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import optlab as ol


@dataclass(frozen=True)
class Logged:
    number: int = 0
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with Path(os.environ["STARTED"]).open("a") as file:
            file.write(f"{self.number}\\n")
        for iterate in ol.ManualSGD(0.01).iterates(problem, batches, start):
            time.sleep(float(os.environ["PAUSE"]))
            yield iterate


experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers={str(number): Logged(number) for number in RANGE},
    epochs=5,
    recorded_epochs=1,
)
"""


@dataclass(frozen=True)
class Counted:
    """Descends, and appends to a file each time it is run."""

    log: str
    learning_rate: float = 0.1
    held: object = None
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write("run\n")
        yield from ol.ManualSGD(self.learning_rate).iterates(problem, batches, start)


class Runs:
    """Runs a small experiment into one store and says how many trials that took."""

    def __init__(self, folder):
        self.store, self.log = folder / "results.db", folder / "log"
        self.results = None

    def __call__(self, *, learning_rate=0.1, held=None, dataset=DATASET, epochs=4, threads=1,
                 **axes):  # fmt: skip
        experiment = ol.Experiment(
            problems=ol.LinearRegression.from_dataset(dataset),
            optimizers=Counted(str(self.log), learning_rate, held),
            epochs=epochs,
            **axes,
        )
        before = self.counted()
        self.results = experiment.run(store=self.store, execution=ol.Execution(threads=threads))
        return self.counted() - before

    def counted(self):
        if not self.log.exists():
            return 0
        # The cold pass and the solve are a run each.
        return len(self.log.read_text(encoding="utf-8").splitlines()) // 2


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def test_a_second_run_runs_nothing_and_gives_the_same_tables(runs):
    axes = {"seeds": [0, 1], "batch_sizes": [2, "full"], "repeats": 2}
    assert runs(**axes) == 8
    first = runs.results
    assert runs(**axes) == 0
    assert runs.results.trials.equals(first.trials)  # the seconds too: they are the first run's
    assert runs.results.traces.equals(first.traces)


def test_only_what_is_missing_is_run(runs):
    assert runs(seeds=[0, 1]) == 2
    assert runs(seeds=[3, 1, 2, 0]) == 2
    assert list(runs.results.trials["seed"]) == [3, 1, 2, 0]
    assert list(runs.results.trials["trial"]) == [0, 1, 2, 3]
    assert runs(seeds=[1], repeats=3) == 2


moved = ol.datasets.tutorial().standardized()
moved.X[3, 0] = np.nextafter(moved.X[3, 0], np.inf)  # one bit of one number


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": np.nextafter(0.1, 1)},
        {"held": np.where(np.arange(5000) == 2500, 1.0, 0.0)},
        {"held": torch.ones(3)},
        {"held": ol.Lstsq()},
        {"held": ol.ManualSGD},
        {"held": (ol.ManualSGD(0.2),)},
        {"dataset": moved},
        {"dtypes": ["float64"]},
        {"seeds": [1]},
        {"epochs": 5},
        {"stop_at": 1e-3},
        {"recorded_epochs": 2},
        {"batch_sizes": [5]},
        {"threads": 2},
    ],
    ids=str,
)
def test_what_decides_a_trial_is_in_its_key(runs, change):
    first = {"held": np.zeros(5000)} if isinstance(change.get("held"), np.ndarray) else {}
    assert runs(**first) == 1
    assert runs(**change) == 1
    assert runs(**change) == 0
    assert runs(**first) == 0  # both are kept


def test_hyperparameters_that_repr_shortens_are_told_apart(runs):
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1
    shown = [hyperparameters(Counted("", 0.1, array))["held"] for array in (one, other)]
    assert shown[0] == shown[1]  # so the key must look at the array itself
    assert [runs(held=one), runs(held=other)] == [1, 1]


def test_fresh_runs_everything_again(runs):
    assert runs(seeds=[0, 1]) == 2
    experiment = ol.Experiment(
        problems=ol.LinearRegression.from_dataset(DATASET),
        optimizers=Counted(str(runs.log)),
        epochs=4,
        seeds=[0, 1],
    )
    before = runs.counted()
    experiment.run(store=runs.store, execution=ol.Execution(threads=1, fresh=True))
    assert runs.counted() - before == 2
    assert len(list(runs.store.parent.glob("results-*.db"))) == 1
    experiment.run(
        store=runs.store.with_name("new.db"), execution=ol.Execution(threads=1, fresh=True)
    )
    assert not list(runs.store.parent.glob("new-*.db"))  # there was nothing to set aside


class FailsOnce:
    uses_batches = True

    def __init__(self, log):
        self.log = str(log)

    def iterates(self, problem, batches, start):
        if not Path(self.log).exists():
            Path(self.log).touch()
            raise KeyboardInterrupt
        yield ol.Iterate(start)


def test_an_interrupted_trial_is_run_again(tmp_path, tutorial):
    optimizer = FailsOnce(tmp_path / "log")
    experiment = ol.Experiment(problems=tutorial, optimizers=optimizer, repeats=2)
    assert list(experiment.run(store=tmp_path / "s.db").trials["status"]) == ["interrupted"] * 2
    assert list(experiment.run(store=tmp_path / "s.db").trials["status"]) == ["finished"] * 2
    assert list(ol.Results.load(tmp_path / "s.db").trials["status"]) == ["finished"] * 2


SOURCE = """
import optlab as ol
{imports}


class Mine:
    uses_batches = True

    def iterates(self, problem, batches, start):
        {inside}
        with open({log!r}, "a") as file:
            file.write("run\\n")
        yield from ol.ManualSGD({rate}).iterates(problem, batches, start)


experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers={optimizer}, epochs=4,
)
"""

# How a script can come by what is in helper.py: (imports, what stands inside, the rate).
HELPED = {
    "module": ("import helper", "pass", "helper.RATE"),
    "renamed": ("import helper as h", "pass", "h.rate()"),
    "function": ("from helper import rate", "pass", "rate()"),
    "class": ("from helper import Rate", "pass", "Rate.value"),
    "constant": ("from helper import RATE", "pass", "RATE"),
    "star": ("from helper import *", "pass", "RATE"),
    "inside": ("", "from helper import RATE", "RATE"),
    "through another": ("from between import COPY", "pass", "COPY"),
    "package": ("from package.inner import RATE", "pass", "RATE"),
    "relative": ("from package import outer", "pass", "outer.RATE"),
}
HELPER = """
RATE = {rate}


def rate():
    return RATE


class Rate:
    value = RATE
"""


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """Write a script and its helpers, run them as a process of their own would, count the runs."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # its check of times is a second coarse
    monkeypatch.setattr(sys, "path", list(sys.path))
    log, script = tmp_path / "log", tmp_path / "mine_for_resume.py"
    (tmp_path / "package").mkdir()

    def run(helper_rate=0.1, *, how=("", "pass", "0.1"), optimizer="Mine()"):
        imports, inside, rate = how
        helper = HELPER.format(rate=helper_rate)
        files = {
            script: SOURCE.format(
                imports=imports, inside=inside, rate=rate, log=str(log), optimizer=optimizer
            ),
            tmp_path / "helper.py": helper,
            tmp_path / "between.py": "from helper import RATE\nCOPY = RATE\n",
            tmp_path / "package" / "__init__.py": "",
            tmp_path / "package" / "inner.py": helper,
            tmp_path / "package" / "outer.py": "from .inner import RATE\n",
        }
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
                del sys.modules[name]
        before = len(log.read_bytes()) if log.exists() else 0
        results = load_experiment(script).run(store=tmp_path / "results.db")
        assert list(results.trials["status"]) == ["finished"]
        return (len(log.read_bytes()) if log.exists() else 0) > before

    yield run
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_changed_source_of_an_optimizer_is_run_again(scripted):
    assert scripted()
    assert not scripted()
    assert scripted(how=("", "pass", "0.2"))
    assert not scripted(how=("", "pass", "0.2"))


@pytest.mark.parametrize("how", HELPED.values(), ids=HELPED)
def test_a_changed_helper_beside_the_script_is_run_again(scripted, how):
    assert scripted(0.1, how=how)
    assert not scripted(0.1, how=how)
    assert scripted(0.2, how=how)
    assert not scripted(0.2, how=how)
    assert not scripted(0.1, how=how)


def test_a_module_that_is_not_used_does_not_matter(scripted):
    assert scripted(0.1)
    assert not scripted(0.2)


TORCH_OPTIMIZER = """
import torch
class Own(torch.optim.SGD):
    factor = {rate}
"""


def test_a_changed_class_that_an_adapter_holds_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    keys = []
    for rate in (1, 1, 2):
        (tmp_path / "own_for_resume.py").write_text(TORCH_OPTIMIZER.format(rate=rate))
        sys.modules.pop("own_for_resume", None)
        import own_for_resume

        optimizer = ol.TorchOptimizer(own_for_resume.Own, lr=0.1)
        store = tmp_path / "s.db"
        problem = ol.LinearRegression.from_dataset(DATASET)
        ol.Experiment(problems=problem, optimizers=optimizer, epochs=2).run(store=store)
        with Store(store) as opened:
            keys.append(len(opened.finished_keys()))
    sys.modules.pop("own_for_resume")
    assert keys == [1, 1, 2]


def start(folder, numbers, *, pause=0.0, log="started", name="script", prefix=()):
    script = folder / f"{name}.py"
    script.write_text(SCRIPT.replace("RANGE", repr(numbers)), encoding="utf-8")
    command = [*prefix, OPTLAB, "run", script, "--store", folder / "results.db"]
    return subprocess.Popen(
        [*command, "--threads", "1"],
        env=os.environ | {"STARTED": str(folder / log), "PAUSE": str(pause)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started(folder, log="started"):
    path = folder / log
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_run_twice(tmp_path):
    seen = kill_and_resume(tmp_path, kills=5, seed=1)
    assert (seen.kills, seen.starts, seen.stored_after[-1]) == (5, 6, 200)
    assert seen.stored_after[0] < seen.stored_after[-2] < 200
    assert (seen.lost, seen.run_again, seen.damaged) == ([], [], [])
    assert seen.same_tables


def test_two_processes_that_write_one_store_give_the_union(tmp_path):
    both = [
        start(tmp_path, range(120), log="one", name="script"),
        start(tmp_path, range(80, 200), log="two", name="script_two"),
    ]
    for process in both:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
    trials = ol.Results.load(tmp_path / "results.db").trials
    assert sorted(trials["optimizer"].astype(int)) == list(range(200))
    assert set(trials["status"]) == {"finished"}


def test_two_processes_of_one_experiment_have_each_trial_once(tmp_path):
    # Both first write a new file, then race for every trial.
    both = [start(tmp_path, range(100), log=log) for log in ("one", "two")]
    for process in both:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
    results = ol.Results.load(tmp_path / "results.db")
    assert sorted(results.trials["optimizer"].astype(int)) == list(range(100))
    assert len(results.traces) == 600
    assert results.trials["contended"].any()  # they ran beside each other
    results.trials["contended"] = False
    alone = tmp_path / "alone"
    alone.mkdir()
    process = start(alone, range(100))
    process.communicate(timeout=200)
    assert same_but_for_times(results, ol.Results.load(alone / "results.db"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_status_130_and_what_had_finished_is_kept(tmp_path, how):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignored"
    try:
        process = start(tmp_path, range(50), pause=0.05)
    finally:
        signal.signal(signal.SIGINT, before)
    while process.poll() is None and len(set(started(tmp_path))) < 5:
        time.sleep(0.01)
    process.send_signal(how)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    loaded = ol.Results.load(tmp_path / "results.db").trials.set_index("optimizer")
    assert len(loaded) == 50
    kept = loaded["status"][loaded["message"] != NOT_RUN]
    *finished, _ = dict.fromkeys(started(tmp_path))
    assert set(kept[finished]) == {"finished"}
    assert list(kept.drop(finished)) in (["interrupted"], ["finished"], [])
    again = start(tmp_path, range(50), log="again")
    out, _ = again.communicate(timeout=200)
    assert again.returncode == 0, out
    assert not set(finished) & set(started(tmp_path, "again"))
    assert len(ol.Results.load(tmp_path / "results.db").trials) == 50


def test_what_the_store_holds_is_told_before_anything_runs(tmp_path, capsys):
    problem, store = ol.LinearRegression.from_dataset(DATASET), tmp_path / "s.db"
    experiment = ol.Experiment(problems=problem, optimizers=[ol.ManualSGD(), ol.Lstsq()], epochs=2)
    for threads, told in (
        (1, ""),
        (1, "2 of 2 trials are in the store already\n"),
        (2, "0 of 2 trials are in the store already; 2 others in it are of other settings"),
    ):
        with TrialProgress(2, 2) as progress:
            listener = progress.listener()
            threads = ol.Execution(threads=threads)
            experiment.run(store=store, execution=threads, listener=listener)
        said = capsys.readouterr().err
        assert said.startswith(told)
        assert ("store" in said) == bool(told)
