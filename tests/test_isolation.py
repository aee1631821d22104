import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import optlab as ol
from optlab.app import options
from optlab.lab import Budget, Status, Trial, execution_options, run_trial
from optlab.lab.measure import memory as meter
from optlab.lab.measure.threads import threads_kept
from optlab.lab.trial import peak_memory
from optlab.lab.trial.record import TRACE_NUMBERS
from optlab.lab.trial.task import Task
from optlab.lab.workers import process as worker_process
from optlab.lab.workers.pool import WorkerPool
from tests.commands import program
from tests.forked_server import fork_servers, forks

LIMIT = 2.0
BUDGET = Budget(epochs=20, recorded_epochs=1)
GOOD = [ol.ManualSGD(0.01), ol.TorchSGD(0.01), ol.Lstsq(), ol.SklearnLinearRegression()]


def load(path, name):
    """A module loaded as `optlab run` loads a script: it is not in sys.modules."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planted = load(Path(__file__).with_name("planted.py"), "planted")


def tasks_of(problem, optimizers, budget=BUDGET, batch_size=5):
    return [
        Task(
            Trial(number, "p", type(o).__name__, batch_size, "cpu", "float64", seed=1),
            problem,
            o,
            budget,
        )
        for number, o in enumerate(optimizers)
    ]


def bits(rows):
    """Rows of a trace but for their seconds, so that NaN equals itself."""
    names = [name for name in TRACE_NUMBERS if name != "seconds"]
    return np.array([[getattr(row, name) for name in names] for row in rows]).tobytes()


def alone(task):
    with threads_kept():
        return run_trial(task.trial, task.problem, task.optimizer, task.budget, threads=2)


def assert_same(record, alone):
    """Equal to the last bit, but for the seconds."""
    assert (record.status, record.message) == (alone.status, alone.message)
    assert bits(record.trace) == bits(alone.trace)
    assert record.parameters.keys() == alone.parameters.keys()
    for name, value in alone.parameters.items():
        assert record.parameters[name].tobytes() == value.tobytes()


BAD = {
    planted.Raises(): (Status.FAILED, "ArithmeticError: planted", 2),
    planted.YieldsNaN(): (Status.DIVERGED, "the loss is nan after epoch 2", 3),
    planted.Diverges(): (Status.DIVERGED, "times its start", 4),
    planted.HangsInPython(): (Status.TIMED_OUT, "killed at its time limit of 2 s", 3),
    planted.HangsInC(): (Status.TIMED_OUT, "killed at its time limit of 2 s", 3),
    planted.NeverEnds(): (Status.TIMED_OUT, "the time limit ran out after epoch", 5),
    planted.Exits(): (Status.CRASHED, "its process died: exit code 3", 3),
    planted.ExitsPolitely(): (Status.FAILED, "SystemExit: 3", 2),
    planted.Segfaults(): (Status.CRASHED, "its process died: SIGSEGV (signal 11)", 3),
    planted.Allocates(): (Status.FAILED, "allocate", 2),
    planted.Hoards(): (Status.FAILED, "MemoryError", 2),
    planted.YieldsNothing(): (Status.FAILED, "yielded no iterate", 1),
    planted.YieldsWrongShapes(): (Status.FAILED, "shapes", 1),
    planted.MutatesData(): (Status.FAILED, "changed the problem's data", 2),
    planted.LeavesSettings(): (Status.FINISHED, "answered in one pass", 2),
    planted.TalksAndListens(): (Status.FINISHED, "answered in one pass", 2),
    planted.HoldsLock(threading.Lock()): (Status.FAILED, "cannot be sent to a process", 0),
}


class Outcomes:
    """The records of the bad among the good, two at a time."""

    def __init__(self, problem):
        mixed = []
        for place, bad in enumerate(BAD):
            mixed += [bad, GOOD[place % len(GOOD)]]
        endless = Budget(epochs=10**6, recorded_epochs=range(1, 100))
        self.tasks = [
            replace(task, budget=endless) if task.optimizer in BAD else task
            for task in tasks_of(problem, mixed)
        ]
        self.begun, self.rows, self.records = set(), [], {}
        with WorkerPool(2, time_limit=LIMIT, threads=2, memory_limit=1 << 29) as workers:
            for record in workers.run(self.tasks, started=self.begin, watch=self.watch):
                assert record.trial.number not in self.records
                self.records[record.trial.number] = record

    def begin(self, trial):
        self.begun.add(trial.number)

    def watch(self, trial, row):
        self.rows.append((trial.number, row))

    def number(self, kind):
        (number,) = [t.trial.number for t in self.tasks if isinstance(t.optimizer, kind)]
        return number


@pytest.fixture(scope="module")
def outcomes(tutorial):
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_servers(monkeypatch)
        return Outcomes(tutorial)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: type(bad).__name__)
def test_each_bad_optimizer_has_its_row(outcomes, bad):
    status, message, rows = BAD[bad]
    record = outcomes.records[outcomes.number(type(bad))]
    assert (record.status, message in record.message) == (status, True), record
    assert len(record.trace) >= rows
    assert [row.epoch for row in record.trace][:rows] == list(range(rows))


def test_good_optimizers_beside_bad_ones_have_the_numbers_they_have_alone(outcomes):
    good = [task for task in outcomes.tasks if task.optimizer in GOOD]
    assert len(good) == len(BAD)
    for task in good:
        assert_same(outcomes.records[task.trial.number], alone(task))


def test_every_trial_is_seen_as_it_runs(outcomes):
    sent = {task.trial.number for task in outcomes.tasks} - {outcomes.number(planted.HoldsLock)}
    assert outcomes.begun == sent
    for number, record in outcomes.records.items():
        assert bits(row for of, row in outcomes.rows if of == number) == bits(record.trace)


def test_a_crash_and_a_hang_say_where(outcomes):
    for kind in (planted.HangsInPython, planted.HangsInC, planted.Segfaults):
        assert 'planted.py", line' in outcomes.records[outcomes.number(kind)].traceback


@pytest.mark.alone
def test_time_limit_is_kept(forked, tutorial):
    endless = Budget(epochs=10**6, recorded_epochs=range(1, 100))
    begun, seconds = {}, {}

    def begin(trial):
        begun[trial.number] = time.monotonic()

    # One that yields ends itself, maybe before we have read that it began: it has no lower bound.
    tasks = tasks_of(tutorial, [planted.HangsInC(), planted.NeverEnds()], endless)
    with WorkerPool(2, time_limit=LIMIT, threads=1) as workers:
        for record in workers.run(tasks, started=begin):
            assert record.status == Status.TIMED_OUT
            number = record.trial.number
            seconds[number] = time.monotonic() - begun[number]
    # Within 1 s of it on a machine of our own; this one may be anybody's.
    hangs, never_ends = seconds[0], seconds[1]
    assert LIMIT <= hangs < LIMIT + 3
    assert never_ends < LIMIT + 3


def test_contention_is_marked(outcomes):
    assert sum(record.contended for record in outcomes.records.values()) > len(BAD)


@pytest.fixture
def forked(monkeypatch):
    """Pools get their servers in milliseconds."""
    fork_servers(monkeypatch)


@pytest.fixture(scope="module")
def pool():
    """One process without limits, replaced when a test has harmed it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_servers(monkeypatch)
        with WorkerPool(threads=2) as workers:
            yield workers


@pytest.fixture(scope="module")
def started():
    """One process whose server has been started, for tests of what such a server holds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(worker_process, "subprocess", subprocess)  # `pool` may replace it
        with WorkerPool(threads=2) as workers:
            yield workers


class NeverArrives(ol.Lstsq):
    def __reduce__(self):
        return time.sleep, (1000,)


def test_a_task_that_never_arrives_ends_too(forked, tutorial, monkeypatch):
    monkeypatch.setattr("optlab.lab.workers.process._UNPICKLING_SECONDS", 1.0)
    tasks = tasks_of(tutorial, [NeverArrives(), ol.Lstsq()])
    with WorkerPool(time_limit=2.0) as workers:
        hung, good = workers.run(tasks)
    assert (hung.status, good.status) == ("timed out", "finished")
    assert hung.message == "killed: not unpickled 3 s after it was sent to its process"


def test_large_data_make_no_difference(pool):
    X = np.random.default_rng(0).normal(size=(5_000, 10))
    problem = ol.LinearRegression(X, X @ np.arange(10.0) + 1)
    tasks = [
        replace(task, trial=replace(task.trial, dtype=dtype))
        for task, dtype in zip(
            tasks_of(problem, GOOD, Budget(epochs=2), batch_size=2000),
            ("float32", "float64", "float64", "float32"),
            strict=True,
        )
    ]
    for record, task in zip(pool.run(tasks), tasks, strict=True):
        assert_same(record, alone(task))
        assert not record.contended


def test_killed_from_outside_while_running_and_while_idle(tutorial, pool):
    def kill(trial, row):
        if trial.number == 0 and row.epoch == 3:
            os.kill(pool._workers[0].pid, signal.SIGKILL)

    optimizers = [planted.NeverEnds(), ol.Lstsq(), ol.Lstsq()]
    records = []
    for record in pool.run(tasks_of(tutorial, optimizers, Budget(epochs=10**6)), watch=kill):
        records.append(record)
        if record.trial.number == 1:
            server = pool._workers[0].server
            server.kill()
            server.wait()
    assert [record.status for record in records] == ["crashed", "finished", "finished"]
    assert records[0].message.startswith("its process died: SIGKILL (signal 9)")
    assert records[0].trace[-1].epoch >= 3
    assert records[0].seconds == records[0].trace[-1].seconds


def test_what_a_dead_optimizer_started_ends_with_it(tutorial, pool, tmp_path):
    note = tmp_path / "pids"
    (record,) = pool.run(tasks_of(tutorial, [planted.LeavesProcesses(str(note))]))
    assert (record.status, record.message) == (Status.CRASHED, "its process died: exit code 3")
    assert_gone([int(pid) for pid in note.read_text().split()])


def assert_gone(pids, seconds=10.0):
    end = time.monotonic() + seconds
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


SCRIPT = """
import sys
from dataclasses import dataclass
from typing import ClassVar
import sibling
import optlab as ol
from optlab.lab import Budget, Trial
from optlab.lab.workers.pool import WorkerPool
from optlab.lab.trial.task import Task

@dataclass(frozen=True)
class Hangs:
    uses_batches: ClassVar[bool] = False
    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        sibling.hang()

def report(trial, row):
    if row.epoch == 3:  # the last before it hangs
        print("running", *[w.pid for w in workers._workers],
              *[w.server.pid for w in workers._workers], flush=True)

# No guard against being imported: nothing imports this script.
problem = ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
count = int(sys.argv[1])
trials = [Trial(number, "p", "Hangs", None, "cpu", "float64", 0) for number in range(count + 1)]
tasks = [Task(trial, problem, Hangs(), Budget(epochs=9, recorded_epochs=1)) for trial in trials]
with WorkerPool(count) as workers:
    try:
        list(workers.run(tasks, watch=report))
    except KeyboardInterrupt:
        for record in workers.interrupt():
            print(record.trial.number, record.status, record.message, len(record.trace))
        sys.exit(130)
"""


@pytest.fixture
def running_script(tmp_path, request):
    """A script with trials that hang in C, and the processes it runs them in.

    Two trials, whose servers are forked; or one, whose server has been started.
    """
    (tmp_path / "sibling.py").write_text(
        "import ctypes\ndef hang():\n    ctypes.PyDLL(None).sleep(1000)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    count, more = (2, forks()) if hasattr(request, "param") else (1, {})
    command = [program("python"), str(script), str(count)]
    with subprocess.Popen(
        command, env=os.environ | more, stdout=subprocess.PIPE, text=True
    ) as process:
        said = [process.stdout.readline() for _ in range(count)]
        pids = [int(pid) for pid in said[-1].split()[1:]]
        assert len(pids) == 2 * count
        assert all(alive(pid) for pid in pids)
        yield process, pids
        process.kill()


@pytest.mark.parametrize("running_script", ["forked servers"], indirect=True)
def test_ctrl_c_keeps_what_was_running(running_script):
    process, pids = running_script
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert said.splitlines() == [
        f"{n} interrupted stopped by Ctrl-C or SIGTERM 4" for n in range(2)
    ]
    assert process.returncode == 130
    assert_gone(pids)


def test_no_process_outlives_a_killed_parent(running_script):
    process, pids = running_script
    process.kill()
    assert_gone(pids)


def test_interrupted_while_the_caller_works(tutorial, pool):
    ended = []

    def consume():
        for record in pool.run(tasks_of(tutorial, [ol.Lstsq(), ol.Lstsq()])):
            ended.append(record)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert pool.interrupt() == ended  # its keeping may have been cut short: once more
    assert pool.interrupt() == []
    assert [record.status for record in pool.run(tasks_of(tutorial, [ol.Lstsq()]))] == ["finished"]


def test_modules_that_no_search_finds_travel_by_value(tutorial, pool, tmp_path, monkeypatch):
    file = tmp_path / "hidden.py"
    file.write_text(Path(planted.__file__).read_text())
    module = load(file, "hidden_optimizers")
    monkeypatch.setitem(sys.modules, "hidden_optimizers", module)
    (tmp_path / "beside.py").write_text(Path(planted.__file__).read_text())
    monkeypatch.syspath_prepend(tmp_path)
    import beside

    pool.close()  # where modules are looked for is known to processes that start now
    records = list(pool.run(tasks_of(tutorial, [module.Raises(), beside.Raises()])))
    assert all(record.message.startswith("ArithmeticError: planted (") for record in records)


def test_settings_of_torch_go_along(forked, tutorial):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with WorkerPool() as workers:
            (record,) = workers.run(tasks_of(tutorial, [planted.TellsSettings()]))
    finally:
        torch.set_default_dtype(before)
    assert record.message.startswith("ArithmeticError: torch.float64 (")


def test_modules_of_optlab_that_are_loaded_here_are_imported_by_no_process_anew(tutorial, started):
    (record,) = started.run(tasks_of(tutorial, [planted.TellsModules()]))
    loaded = record.message.split()
    assert execution_options.__name__ in loaded
    assert options.__name__ not in loaded  # no optimizer is made of it


def test_no_trial_feels_what_another_left_behind(tutorial, pool):
    left = [
        planted.LeavesHarm(),
        planted.TellsAnomaly(),
        ol.ManualSGD(0.01),
        planted.TellsAnomaly(),
    ]
    tasks = tasks_of(tutorial, left)
    harm, first, good, second = pool.run(tasks)
    assert harm.status == "finished"
    assert_same(good, alone(tasks[2]))
    anomaly, pids = zip(*(r.message.split()[1:3] for r in (first, second)), strict=True)
    assert set(anomaly) == {"False"}
    assert len(set(pids)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed on Linux only")
def test_the_server_has_no_thread_that_a_fork_would_lose(tutorial, started):
    list(started.run(tasks_of(tutorial, [ol.TorchSGD(0.01), ol.SklearnLinearRegression()])))
    server = psutil.Process(started._workers[0].server.pid)
    names = [path.read_text().strip() for path in Path(f"/proc/{server.pid}/task").glob("*/comm")]
    # OpenBLAS ends its threads before a fork, jemalloc (of pyarrow) repairs its own after one.
    assert len([name for name in names if name != "jemalloc_bg_thd"]) == 1, names
    libraries = {Path(m.path).name.partition("-")[0] for m in server.memory_maps()}
    assert not {name for name in libraries if name.startswith("libcuda.so")}


@pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux only")
def test_shared_maps_and_forks_count_to_the_memory_limit(forked, tutorial):
    size = 240 * 2**20
    large = [planted.SharesMemory(size), planted.SharesMemory(size, forks=4)]
    with WorkerPool(memory_limit=size // 2) as workers:
        records = list(workers.run(tasks_of(tutorial, [*large, ol.ManualSGD(0.1)])))
    assert [record.status for record in records] == ["crashed", "crashed", "finished"]
    for record in records[:2]:
        assert "its memory limit is 120 MiB" in record.message
        assert 'planted.py", line' in record.traceback


def test_processes_that_cannot_start_are_told(tutorial, monkeypatch, capfd):
    monkeypatch.setattr(worker_process, "_BOOT", "raise SystemExit(7)")
    with (
        WorkerPool() as workers,
        pytest.raises(RuntimeError, match=r"no process can be started .* exit code 7"),
    ):
        list(workers.run(tasks_of(tutorial, [ol.Lstsq()])))


@pytest.mark.parametrize(
    "bad", [{"count": 0}, {"time_limit": 0.0}, {"threads": -1}, {"memory_limit": 0}]
)
def test_arguments_are_checked(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        WorkerPool(**bad)


def peak(task):
    return peak_memory.peak_bytes(task.trial, task.problem, task.optimizer, task.budget)


@pytest.mark.skipif(sys.platform != "linux", reason="the resident set is known on Linux")
def test_peak_memory(forked, tutorial):
    size = 100 * 2**20
    with WorkerPool(peak_memory=True) as workers:
        tasks = tasks_of(tutorial, [planted.Borrows(size), planted.Borrows(1), planted.Raises()])
        borrowed, nothing, raised = workers.run(tasks)
    # The kernel counts pages in batches, and a thread or a cache may wake: some MB either way.
    assert borrowed.peak_bytes == pytest.approx(size, abs=20 * 2**20)
    assert nothing.peak_bytes < 20 * 2**20
    assert raised.peak_bytes is None
    here = peak(tasks[0])
    assert here == pytest.approx(size, abs=20 * 2**20)


def test_peak_memory_is_none_where_it_cannot_be_known(tutorial, monkeypatch):
    monkeypatch.setattr(meter.Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError))
    assert peak(tasks_of(tutorial, [ol.Lstsq()])[0]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory can be limited on Linux only")
@pytest.mark.parametrize("threads", [None, 8])  # more than BLAS begins with: it takes more memory
def test_what_the_process_itself_needs_is_no_part_of_the_memory_limit(forked, tutorial, threads):
    with WorkerPool(memory_limit=5 * 2**20, threads=threads) as workers:
        (record,) = workers.run(tasks_of(tutorial, [ol.ManualSGD(0.1)]))
    assert record.status == "finished", record.traceback
