"""Trials that ran beside those of another process are marked, and no others."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import optlab as ol
from optlab.lab import Status
from optlab.lab.runner import Listener
from optlab.lab.store.store import Store
from tests.commands import program
from tests.forked_server import fork_servers
from tests.planted_store import plant, record_of, sql, tutorial_experiment

linux = pytest.mark.skipif(sys.platform != "linux", reason="locks of open files are Linux's")


def contended(path):
    return {key: bool(c) for key, c in sql(path, "SELECT key, contended FROM trials")}


def test_trials_of_two_processes_that_ran_at_the_same_time_are_contended(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    with Store(path) as store:

        def add(key, experiment, *, started, ended, status=Status.FINISHED):
            monkeypatch.setattr("optlab.lab.store.overlap.time.time", lambda: ended)
            store.add(key, record_of(started=started, status=status), {}, experiment)

        add("before", 1, started=0.0, ended=10.0)
        add("skipped", 2, started=11.0, ended=13.0, status=Status.SKIPPED)
        add("short", 2, started=13.0, ended=14.0)
        assert not any(contended(path).values())
        add("long", 1, started=12.0, ended=20.0)
        add("after", 2, started=20.0, ended=21.0)
        add("same process", 2, started=20.5, ended=22.0)
        expected = dict.fromkeys(("before", "skipped", "after", "same process"), False)
        assert contended(path) == expected | {"short": True, "long": True}
        add("after", 1, started=20.2, ended=23.0)  # the same trial, in two processes at once
        assert contended(path)["after"]


def test_the_processes_of_one_file_mark_each_others_trials(tmp_path, monkeypatch):
    fork_servers(monkeypatch)
    path = tmp_path / "s.db"

    def started(trial):
        if trial.repeat == 2:
            tutorial_experiment(optimizers=ol.ManualSGD(0.1), epochs=2).run(store=path)

    experiment = tutorial_experiment(repeats=3, epochs=2)
    before = experiment.run(
        store=path, listener=Listener(started=started), execution=ol.Execution(isolate=True)
    )
    assert before.trials.set_index("repeat")["contended"].tolist() == [False, True, False]
    assert ol.Results.load(path).trials["contended"].sum() == 2


@pytest.mark.parametrize("isolate", [False, True])
def test_a_clock_that_goes_backwards_loses_nothing_and_makes_nothing_contended(
    tmp_path, monkeypatch, isolate
):
    fork_servers(monkeypatch)
    path, ticks = tmp_path / "s.db", itertools.count()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 3600 * next(ticks))  # an hour at each look
    experiment = tutorial_experiment(repeats=4, epochs=2)
    execution = ol.Execution(isolate=isolate, time_limit=60)
    results = experiment.run(store=path, execution=execution)
    assert results.trials["status"].tolist() == ["finished"] * 4
    assert not results.trials["contended"].any()
    again = experiment.run(store=path, execution=execution)
    pd.testing.assert_frame_equal(again.traces, results.traces)  # seconds too: none ran again
    loaded = ol.Results.load(path)
    assert len(loaded.trials) == 4
    assert not loaded.trials["contended"].any()


# A process that begins a trial, and holds it until it is told to end or is killed.
HOLDS = """
import os
import sys
from optlab.lab.store.store import Store
with Store(sys.argv[1]) as store:
    store.lock_running(77)
    print(os.getpid(), flush=True)
    sys.stdin.read()
    store.unlock_running()
"""


def hold(path, *python):
    """Start such a process; return it, and its number as it sees it."""
    process = subprocess.Popen(
        [*python, "-c", HOLDS, str(path)], cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, int(process.stdout.readline())


ASKS = """
import sys
from tests.test_overlap import is_beside
for key in sys.stdin:
    print(is_beside(sys.argv[1], key.strip()), flush=True)
"""


def ask(path, prefix):
    """Start a process that says of each key whether its trial is beside another."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", ASKS, str(path)], cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def answer(process, key):
    print(key, file=process.stdin, flush=True)
    return process.stdout.readline()


def is_beside(path, key):
    with Store(path) as store:
        store.lock_running(5)
        store.add(key, record_of(started=1e18), {}, 5)
    return contended(path)[key]


@linux
def test_trials_beside_one_that_still_runs_are_contended_and_not_after_it_was_killed(tmp_path):
    path = plant(tmp_path / "s.db")
    process, pid = hold(path, program("python"))
    with process:
        assert is_beside(path, "while")
        os.kill(pid, signal.SIGKILL)
        process.wait()
        assert not is_beside(path, "after")


@linux
def test_processes_of_two_containers_see_each_other_and_no_dead_one(tmp_path):
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("no process may have process numbers of its own here (unshare --pid)")
    path = plant(tmp_path / "s.db")
    process, pid = hold(path, *apart, sys.executable)
    assert pid == 1  # as the first process of each container
    with process, ask(path, apart) as other:
        assert answer(other, "while") == "True\n"
        process.kill()
        process.wait()
        # Only `unshare` has ended for certain; the kernel then kills what it had started.
        said = (answer(other, f"after {k}") for k in range(100) if not time.sleep(0.1))
        assert "False\n" in said
