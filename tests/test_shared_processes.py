"""Trials of one optimizer on one problem that share a process, and what ends the sharing."""

import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import optlab as ol
from optlab.lab import Budget, Trial, run_trial
from optlab.lab.trial.task import Task
from optlab.lab.workers import process
from optlab.lab.workers.pool import WorkerPool
from tests.forked_server import fork_servers, fork_servers_from_here

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes by /proc")


def load_planted():
    """Load the module as a script is loaded: its optimizers are sent by value."""
    path = Path(__file__).with_name("planted.py")
    spec = importlib.util.spec_from_file_location("planted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planted = load_planted()
LEFT = [name for name in vars(planted.Leaves) if name.startswith(("a_", "an_", "mem", "noth"))]
SHARING = ["nothing", "a_cycle"]


class Runs:
    """Runs of tasks in one pool, with the process of each trial."""

    def __init__(self, pool, problem):
        self.pool, self.problem = pool, problem

    def __call__(self, optimizers, between=lambda: None, budget=Budget(epochs=3)):  # noqa: B008 - it cannot change
        """Return the records and the numbers of the processes of an optimizer's trial each."""
        self.tasks = [
            Task(Trial(number, "p", "o", 5, "cpu", "float64", seed=1), self.problem, o, budget)
            for number, o in enumerate(optimizers)
        ]
        pids, records = {}, []

        def note(trial):
            pids[trial.number] = self.pool._workers[0].pid

        for record in self.pool.run(self.tasks, started=note):
            records.append(record)
            between()
        return records, [pids[number] for number in range(len(records))]


@pytest.fixture(scope="module")
def pool():
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_servers(monkeypatch)
        limits = {"time_limit": 5.0, "memory_limit": 1 << 30}
        with WorkerPool(threads=1, trials_per_process=3, **limits) as pool:
            yield pool


@pytest.fixture
def run(pool, tutorial):
    return Runs(pool, tutorial)


def test_an_optimizers_trials_share_a_process_and_no_other_optimizers(run):
    one, other = ol.ManualSGD(0.01), ol.ManualSGD(0.1)
    records, pids = run([one, other] * 4)
    assert pids[0] == pids[2] == pids[4] != pids[6]  # three at most
    assert pids[1] == pids[3] == pids[5] != pids[7]
    assert len(set(pids)) == 4
    for record, task in zip(records, run.tasks, strict=True):
        alone = run_trial(task.trial, task.problem, task.optimizer, task.budget, threads=1)
        assert [row.loss for row in record.trace] == [row.loss for row in alone.trace]
        assert (record.status, record.contended) == (alone.status, False)


@pytest.mark.parametrize("what", LEFT)
def test_a_process_that_is_not_as_it_was_runs_no_other_trial(run, what):
    bad = planted.Leaves(what)
    records, pids = run([bad, bad])
    assert [record.status for record in records] == ["finished", "finished"], records
    assert (pids[0] == pids[1]) == (what in SHARING)


def test_global_random_generators_begin_as_in_a_new_process(run):
    draws = planted.DrawsFromGlobals()
    records, pids = run([draws] * 4)
    assert pids[0] == pids[2] != pids[3]
    assert len({record.trace[-1].loss for record in records}) == 1


def test_a_crash_and_a_hang_are_told_of_the_trial_that_did_it(run, tmp_path):
    records, pids = run([planted.BadAtTimes(str(tmp_path / "note"))] * 4)
    assert [r.status for r in records] == ["finished", "crashed", "timed out", "finished"]
    assert pids[0] == pids[1]
    assert len(set(pids)) == 3
    assert not records[0].traceback
    assert "string_at" in records[1].traceback
    assert 'planted.py", line' in records[2].traceback
    assert "string_at" not in records[2].traceback


@pytest.mark.parametrize("told", [True, False], ids=["told by its server", "seen first"])
def test_a_process_that_dies_while_it_waits_harms_no_trial(run, told):
    waiting, timers = ol.ManualSGD(0.01), []

    def kill():
        worker = run.pool._workers[0]
        if not told:
            os.kill(worker.server.pid, signal.SIGSTOP)
            timers.append(threading.Timer(0.3, os.kill, (worker.server.pid, signal.SIGCONT)))
            timers[-1].start()
        for _, pid in worker._idle.values():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)

    records, pids = run([waiting, waiting], between=kill)
    for timer in timers:
        timer.join()
    assert [record.status for record in records] == ["finished", "finished"]
    assert pids[0] != pids[1]


def test_as_many_processes_wait_as_are_allowed(run, monkeypatch):
    monkeypatch.setattr(process, "_MOST_IDLE", 1)
    optimizers = [ol.ManualSGD(rate) for rate in (0.01, 0.02, 0.03)]
    records, _ = run(optimizers * 2)
    assert {record.status for record in records} == {"finished"}
    assert len(run.pool._workers[0]._idle) == 1


def test_no_process_is_left(tutorial, new_children, monkeypatch):
    fork_servers_from_here(monkeypatch)  # its server is a child of this process
    with WorkerPool(threads=1, trials_per_process=9) as pool:
        Runs(pool, tutorial)([ol.ManualSGD(0.01), ol.ManualSGD(0.1)])
        assert len(pool._workers[0]._idle) == 2
    assert not new_children()


def test_it_needs_processes():
    with pytest.raises(ValueError, match="trials_per_process needs isolate or jobs"):
        ol.Execution(trials_per_process=2)
    with pytest.raises(ValueError, match="trials_per_process must be"):
        ol.Execution(isolate=True, trials_per_process=0)
