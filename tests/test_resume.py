import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import optlab as ol
from benchmarks.kill_and_resume import kill_and_resume, same_but_for_times
from optlab.app.script import load_experiment
from optlab.lab.keys import source_hash
from optlab.lab.measure.machine import machine
from optlab.lab.measure.threads import set_threads, threads_kept
from optlab.lab.measure.torch_settings import TorchSettings
from optlab.lab.store.load import NOT_RUN
from optlab.report.progress import trial_progress
from tests.commands import program
from tests.forked_server import fork_servers

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
        while "BESIDE" in os.environ and not Path(os.environ["BESIDE"]).exists():
            time.sleep(0.01)
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
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write("run\n")
        yield from ol.ManualSGD(0.1).iterates(problem, batches, start)


class Runs:
    """Runs a small experiment into one store and says how many trials that took."""

    def __init__(self, folder):
        self.store, self.log = folder / "results.db", folder / "log"
        self.results = None

    def __call__(self, **axes):
        experiment = ol.Experiment(
            problems=ol.LinearRegression.from_dataset(DATASET),
            optimizers=Counted(str(self.log)),
            epochs=4,
            **axes,
        )
        before = self.counted()
        self.results = experiment.run(store=self.store, execution=ol.Execution(threads=1))
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


FILES = {
    "mine.py": """
import os
from pathlib import Path
import helper
import other
import optlab as ol
from bases import Base, scaled
from constants import *
import patches

RATE = float(os.environ["RATE"])
UNUSED = os.environ["UNUSED"]
STEPS = [0.1, 0.01]
TEXT = Path(__file__).with_name("rate.txt").read_text()


class Own:
    uses_batches = True

    def __init__(self, *settings):
        self.settings = settings

    def iterates(self, problem, batches, start):
        ran = Path(os.environ["RAN"])
        ran.write_text(ran.read_text() + type(self).__name__ + " ")
        yield from ol.ManualSGD(0.01 * self.rate()).iterates(problem, batches, start)


class Plain(Own):
    def rate(self):
        return 1


class Named(Own):
    def rate(self):
        return RATE * STEPS[0] * float(TEXT)


class Helped(Own):
    def rate(self):
        return helper.rate()


class Other(Own):
    def rate(self):
        return other.RATE


class Lazy(Own):
    def rate(self):
        from lazy import RATE as it

        return it


class Based(Base, Own):
    pass


class Scaled(Own):
    level = float(os.environ["LEVEL"])

    @scaled(float(os.environ["SCALE"]))
    def rate(self, by=float(os.environ["BY"])):
        return self.level * by


class Starred(Own):
    def rate(self):
        return STAR


class Installed(Own):
    def rate(self):
        import some_kit

        return some_kit.RATE


OPTIMIZERS = [
    Plain(), Named(), Helped(), Other(), Lazy(), Based(), Scaled(), Starred(), Installed()
]
experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=OPTIMIZERS, epochs=2,
)
""",
    "helper.py": "import os\nimport deeper\nWEIGHT = float(os.environ['WEIGHT'])\n\n"
    "def rate():\n    return WEIGHT * deeper.RATE\n\ndef unused():\n    return 1\n",
    "deeper.py": "RATE = 1\n",
    "other.py": "RATE = 1\n",
    "lazy.py": "from lazier import RATE\n",
    "lazier.py": "RATE = 1\n",
    "bases.py": "import functools\n\nclass Base:\n    def rate(self):\n        return 1\n\n"
    "def scaled(by):\n    def decorate(function):\n        @functools.wraps(function)\n"
    "        def inner(*arguments):\n            return by * function(*arguments)\n"
    "        return inner\n    return decorate\n",
    "constants.py": "STAR = 1\n",
    "patches.py": "DONE = True\n",
    "alone.py": "RATE = 1\n",
    "rate.txt": "1",
    "kit/some_kit.py": "RATE = 1\n",
    "kit/some_kit-1.0.dist-info/RECORD": "some_kit.py,sha256=x,0\n",
}
OWN = {"Plain", "Named", "Helped", "Other", "Lazy", "Based", "Scaled", "Starred", "Installed"}
VALUES = ("RATE", "UNUSED", "WEIGHT", "LEVEL", "SCALE", "BY")


class Project:
    """A folder with a script and its helpers; a run says which optimizers ran."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.patch = folder, monkeypatch
        monkeypatch.setattr(sys, "dont_write_bytecode", True)  # its look at times is too coarse
        monkeypatch.setattr(sys, "path", [str(folder / "kit"), *sys.path])
        monkeypatch.setenv("RAN", str(folder / "ran"))
        for name in VALUES:
            monkeypatch.setenv(name, "1")
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name, old, new):
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def rename(self, name, new):
        (self.folder / name).rename(self.folder / new)
        for cached in (source_hash.distribution, source_hash._metadata, source_hash._files):
            cached.cache_clear()  # a process looks at each folder once

    def forget(self):
        """Be as a new process: no module of the folder is loaded."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(self.folder)):
                del sys.modules[name]

    def run(self, script="mine.py", change=None, **how):
        self.write("ran", "")
        self.forget()
        experiment = load_experiment(self.folder / script)
        if change:
            experiment = replace(experiment, **change(experiment))
        execution = ol.Execution(**how)
        results = experiment.run(store=self.folder / "results.db", execution=execution)
        assert set(results.trials["status"]) <= {"finished", "converged"}
        return set((self.folder / "ran").read_text().split())


def file(name, old, new):
    return lambda project: project.replace(name, old, new) or {}


def setting(name):
    return lambda project: project.patch.setenv(name, "2") or {}


def experiment(**changes):
    return lambda project: {"change": lambda _: changes}


def patched(what, value):
    return lambda project: project.patch.setattr(what, value) or {}


def moved_data(experiment):
    problem = experiment.problems
    X = problem.X.clone()
    X[3, 0] = torch.nextafter(X[3, 0], torch.tensor(9.0))  # one bit of one number
    return {"problems": type(problem)(X, problem.y, name=problem.name)}


def of_problem(**settings):
    def change(experiment):
        problem = experiment.problems
        return {"problems": type(problem)(problem.X, problem.y, name=problem.name, **settings)}

    return lambda project: {"change": change}


# What is changed, and who runs again. Each is told from the state before it, in the same store.
CHANGES = {
    "nothing": (lambda project: {}, set()),
    "the source of all": (file("mine.py", "0.01 * self", "0.02 * self"), OWN),
    "a comment in their file": (file("mine.py", "STEPS =", "# some\nSTEPS ="), OWN),  # needless
    "a docstring": (file("mine.py", "class Own:", 'class Own:\n    """It."""'), OWN),  # needless
    "a list that one names": (file("mine.py", "[0.1, 0.01]", "[0.2, 0.01]"), OWN),
    "an environment variable that one names": (setting("RATE"), {"Named"}),
    "one that nobody names": (setting("UNUSED"), set()),
    "one that a helper reads": (setting("WEIGHT"), {"Helped"}),
    "one in a class": (setting("LEVEL"), {"Scaled"}),
    "one in a decorator": (setting("SCALE"), {"Scaled"}),
    "one in a default": (setting("BY"), {"Scaled"}),
    "a file that the script reads": (lambda p: p.write("rate.txt", "2") or {}, {"Named"}),
    "a helper's function": (file("helper.py", "WEIGHT *", "2 * WEIGHT *"), {"Helped"}),
    "a helper's comment": (file("helper.py", "import os", "import os  # it"), {"Helped"}),
    "a helper's helper": (file("deeper.py", "1", "2"), {"Helped"}),
    "another helper": (file("other.py", "1", "2"), {"Other"}),
    "a helper imported when it runs": (file("lazy.py", "RATE", "RATE  # it"), {"Lazy"}),
    "what that imports": (file("lazier.py", "1", "2"), {"Lazy"}),
    "a base class": (file("bases.py", "return 1", "return 2"), {"Based", "Scaled"}),
    "names by a star": (file("constants.py", "1", "2"), OWN),
    "an import for its effect": (file("patches.py", "True", "False"), OWN),
    "a file beside that nobody imports": (file("alone.py", "1", "2"), set()),
    "a version of a package": (
        lambda p: p.rename("kit/some_kit-1.0.dist-info", "kit/some_kit-1.1.dist-info") or {},
        {"Installed"},
    ),
    "another package": (
        lambda p: p.write("kit/no_kit-1.0.dist-info/RECORD", "no_kit.py,,\n") or {},
        set(),
    ),
    "optlab's deciding code": (
        patched("optlab.lab.keys.trial_key.deciding_code", lambda *_: {"linalg": "mended"}),
        OWN,
    ),
    "numpy": (
        patched("optlab.lab.keys.trial_key.machine", lambda: machine() | {"numpy": "9"}),
        OWN,
    ),
    "pandas": (
        patched("optlab.lab.keys.trial_key.machine", lambda: machine() | {"pandas": "9"}),
        set(),
    ),
    "torch's precision": (
        lambda p: torch.set_float32_matmul_precision("high") or {},
        OWN,
    ),
    "torch's default dtype": (lambda p: torch.set_default_dtype(torch.float64) or {}, OWN),
    "threads": (lambda p: {"threads": torch.get_num_threads() + 1}, OWN),
    "jobs, which share the threads": (lambda p: {"jobs": 2}, set()),
    "a bit of the data": (lambda p: {"change": moved_data}, OWN),
    "a setting of the problem": (of_problem(l2=0.1), OWN),
    "epochs": (experiment(epochs=3), OWN),
    "where it stops": (experiment(stop_at=1e-3), OWN),
    "what is recorded": (experiment(recorded_epochs=2), OWN),
    "seeds": (experiment(seeds=[1]), OWN),
    "dtypes": (experiment(dtypes=["float64"]), OWN),
    "batch sizes": (experiment(batch_sizes=[5]), OWN),
    "batch sizes that were run": (experiment(batch_sizes=["full"]), set()),
    "order of the optimizers": (
        lambda p: {"change": lambda e: {"optimizers": e.optimizers[::-1]}},
        set(),
    ),
    "the script's name": (
        lambda p: p.rename("mine.py", "yours.py") or {"script": "yours.py"},
        set(),
    ),
}


def test_threads_that_jobs_share_are_written_down(tmp_path, monkeypatch):
    fork_servers(monkeypatch)
    found = {}
    with threads_kept():
        set_threads(4)  # as many as a larger machine has
        for jobs in (1, 2):
            problem = ol.LinearRegression.from_dataset(DATASET)
            asked = ol.Experiment(problems=problem, optimizers=ol.Lstsq(), repeats=jobs)
            own = asked.run(store=tmp_path / f"{jobs}.db", execution=ol.Execution(jobs=jobs))
            machine = ol.Results.load(tmp_path / f"{jobs}.db").machine
            assert own.machine == machine
            found[jobs] = machine.get("threads of a trial")
    assert found == {1: None, 2: "2"}


def test_results_name_the_threads_that_their_trials_had():
    with threads_kept():
        set_threads(2)
        problem = ol.LinearRegression.from_dataset(DATASET)
        found = ol.compare(problem, ol.Lstsq(), execution=ol.Execution(threads=1)).machine
    assert (found["torch threads"], found["device cpu"]) == ("1", "1 thread")


def test_after_a_change_exactly_what_it_decides_is_run_again(tmp_path, monkeypatch):
    """Each change is told from the last state; what is no change of the files is taken back."""
    before = TorchSettings.current()
    project = Project(tmp_path, monkeypatch)
    assert project.run() == OWN
    wrong = {}
    for name, (change, expected) in CHANGES.items():
        with monkeypatch.context() as patch:
            project.patch = patch
            try:
                ran = project.run(**change(project))
            finally:
                before.apply()
        if ran != expected:
            wrong[name] = {"stale": expected - ran, "needless": ran - expected}
    project.forget()
    assert wrong == {}
    assert len(CHANGES) > 30


HOLDS = """
import threading
import optlab as ol


class Keeps(ol.ManualSGD):
    def __init__(self, **held):
        super().__init__(0.1)
        vars(self).update(held)


def over_a_local():
    rate = 0.1
    return lambda epoch: rate / epoch


experiment = ol.Experiment(
    problems=ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), epochs=2,
    optimizers={
        "logs": Keeps(log=open(__file__)), "locks": Keeps(inner=[Keeps(lock=threading.Lock())]),
        "slows": Keeps(schedule=over_a_local()), "known": Keeps(),
    },
)
"""


def test_what_cannot_be_known_again_runs_each_time_and_one_line_says_why(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "holds.py").write_text(HOLDS)
    ran = []
    for _ in range(2):
        loaded, began = load_experiment(tmp_path / "holds.py"), []
        with trial_progress(True, 4, 2) as heard:
            listener = replace(heard, started=lambda t, began=began: began.append(t.optimizer))
            results = loaded.run(
                store=tmp_path / "s.db", listener=listener, execution=ol.Execution(threads=1)
            )
        loaded.optimizers["logs"].log.close()
        assert results.trials["status"].tolist() == ["finished"] * 4
        ran.append(set(began))
    assert ran == [{"logs", "locks", "slows", "known"}, {"logs", "locks", "slows"}]
    why = "it cannot be known again, so its trials run each time"
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if why in line] == [
        f"logs holds an open file in `log`: {why}",
        f"locks holds a lock in `inner.lock`: {why}",
        f"slows holds a lambda over the local variable `rate` in `schedule`: {why}",
    ] * 2
    assert len(ol.Results.load(tmp_path / "s.db").trials) == 4


def start(folder, numbers, *, pause=0.0, log="started", name="script", beside=None):
    """Start a run, whose first trial goes on until one of the run with another log has begun."""
    script = folder / f"{name}.py"
    script.write_text(SCRIPT.replace("RANGE", repr(numbers)), encoding="utf-8")
    command = [program("optlab"), "run", script, "--store", folder / "results.db"]
    others = {"BESIDE": str(folder / beside)} if beside else {}
    return subprocess.Popen(
        [*command, "--threads", "1"],
        env=os.environ | {"STARTED": str(folder / log), "PAUSE": str(pause)} | others,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def started(folder, log="started"):
    path = folder / log
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_run_twice(tmp_path):
    # The benchmark kills 50 times in 200 trials, and starts the command itself.
    seen = kill_and_resume(tmp_path, kills=2, seed=8, optlab=program("optlab"), trials=30)
    assert (seen.kills, seen.starts, seen.stored_after[-1]) == (2, 3, 30)
    assert seen.stored_after[0] < seen.stored_after[-2] < 30
    assert (seen.lost, seen.run_again, seen.damaged) == ([], [], [])
    assert seen.same_tables


def test_two_processes_that_write_one_store_give_the_union(tmp_path):
    both = [
        start(tmp_path, range(14), pause=0.01, log="one", name="script"),
        start(tmp_path, range(8, 20), pause=0.01, log="two", name="script_two"),
    ]
    for process in both:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
    trials = ol.Results.load(tmp_path / "results.db").trials
    assert sorted(trials["optimizer"].astype(int)) == list(range(20))
    assert set(trials["status"]) == {"finished"}


def test_two_processes_of_one_experiment_have_each_trial_once(tmp_path, monkeypatch):
    # Both first write a new file, then race for every trial.
    # The pauses take no processor.
    logs = ("one", "two")
    both = [
        start(tmp_path, range(20), pause=0.01, log=logs[k], beside=logs[1 - k]) for k in range(2)
    ]
    for process in both:
        out, _ = process.communicate(timeout=200)
        assert process.returncode == 0, out
    results = ol.Results.load(tmp_path / "results.db")
    assert sorted(results.trials["optimizer"].astype(int)) == list(range(20))
    assert len(results.traces) == 120
    assert results.trials["contended"].any()  # they ran beside each other
    results.trials["contended"] = False
    monkeypatch.setenv("STARTED", str(tmp_path / "alone"))
    monkeypatch.setenv("PAUSE", "0")
    alone = load_experiment(tmp_path / "script.py").run(
        store=tmp_path / "alone.db", execution=ol.Execution(threads=1)
    )
    assert same_but_for_times(results, alone)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_status_130_and_what_had_finished_is_kept(tmp_path, monkeypatch, how):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child inherits "ignored"
    try:
        process = start(tmp_path, range(15), pause=0.05)
    finally:
        signal.signal(signal.SIGINT, before)
    while process.poll() is None and len(set(started(tmp_path))) < 5:
        time.sleep(0.01)
    process.send_signal(how)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    loaded = ol.Results.load(tmp_path / "results.db").trials.set_index("optimizer")
    assert len(loaded) == 15
    kept = loaded["status"][loaded["message"] != NOT_RUN]
    *finished, _ = dict.fromkeys(started(tmp_path))
    assert set(kept[finished]) == {"finished"}
    assert list(kept.drop(finished)) in (["interrupted"], ["finished"], [])
    monkeypatch.setenv("STARTED", str(tmp_path / "again"))
    monkeypatch.setenv("PAUSE", "0")
    again = load_experiment(tmp_path / "script.py")
    again.run(store=tmp_path / "results.db", execution=ol.Execution(threads=1))
    assert not set(finished) & set(started(tmp_path, "again"))
    loaded = ol.Results.load(tmp_path / "results.db").trials
    assert loaded["status"].tolist() == ["finished"] * 15


def test_what_the_store_holds_is_told_before_anything_runs(tmp_path, capsys):
    problem, store = ol.LinearRegression.from_dataset(DATASET), tmp_path / "s.db"
    experiment = ol.Experiment(problems=problem, optimizers=[ol.ManualSGD(), ol.Lstsq()], epochs=2)
    for threads, told in (
        (1, ""),
        (1, "2 of 2 trials are in the store already\n"),
        (2, "0 of 2 trials are in the store already; 2 others in it are of other settings"),
    ):
        with trial_progress(True, 2, 2) as listener:
            how = ol.Execution(threads=threads)
            experiment.run(store=store, execution=how, listener=listener)
        said = capsys.readouterr().err
        assert said.startswith(told)
        assert ("store" in said) == bool(told)
    results = experiment.run(execution=ol.Execution(threads=1))
    with trial_progress(True, 2, 2) as listener:
        experiment.run(store=results.save(tmp_path / "saved.db"), listener=listener)
    told = "0 of 2 trials are in the store already; 2 in it were written by Results.save"
    assert capsys.readouterr().err.startswith(told)


def test_lines_of_progress_name_the_problem_where_there_are_several(tutorial, capsys):
    other = ol.Rosenbrock()
    ol.compare(tutorial, ol.Lstsq(), progress=True)
    assert capsys.readouterr().err.startswith("1/1 Lstsq on cpu seed 0")
    ol.compare([tutorial, other], ol.SGD(1e-4), batch_sizes=["full"], epochs=1, progress=True)
    assert f"2/2 {other.name}: SGD at batch size full on cpu seed 0" in capsys.readouterr().err
