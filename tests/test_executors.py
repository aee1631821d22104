import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import optlab as ol
from optlab.lab.workers.dask_cluster import MOST_RERUNS
from tests.commands import loaded, program
from tests.forked_server import fork_servers


@dataclass(frozen=True)
class KillsItsProcess:
    """Dies as one whose memory the system wants back."""

    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Slow:
    """Descends with pauses, and leaves the number of its process behind."""

    folder: str
    learning_rate: float = 0.01
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with (Path(self.folder) / str(os.getpid())).open("a", encoding="utf-8") as file:
            file.write("run\n")
        time.sleep(0.02)
        yield from ol.ManualSGD(self.learning_rate).iterates(problem, batches, start)


def experiment_of(problem, optimizers, **axes):
    return ol.Experiment(
        problems=problem, optimizers=optimizers, **({"epochs": 20, "recorded_epochs": 1} | axes)
    )


@pytest.fixture(scope="module")
def experiment(tutorial):
    optimizers = [ol.ManualSGD(0.01), ol.TorchSGD(0.01), ol.Lstsq(), ol.SklearnLinearRegression()]
    return experiment_of(tutorial, optimizers, batch_sizes=[3, "full"], seeds=[0, 1])


@pytest.fixture(scope="module")
def serial(experiment):
    return experiment.run(execution=ol.Execution(threads=1))


NOT_NUMBERS = {"contended", "cores_short"}
"""Columns that depend on which trials ran at the same time."""


def forking():
    # A fork of this process, which has used torch's threads, could hang.
    context = get_context("forkserver")
    # torch's optimizers load the last when they are made.
    context.set_forkserver_preload([__name__, "sklearn.linear_model", "torch._dynamo"])
    return ProcessPoolExecutor(2, mp_context=context)


@pytest.fixture(scope="module")
def processes():
    """Two processes, which no test harms: it takes them seconds to load torch."""
    with forking() as executor:
        yield executor


def assert_same_numbers(one, other):
    """Equal to the last bit, but for the seconds and who ran beside whom."""
    for mine, its in ((one.trials, other.trials), (one.traces, other.traces)):
        plain = [c for c in its if not c.endswith("seconds") and c not in NOT_NUMBERS]
        assert mine[plain].equals(its[plain])
    for trial in other.trials["trial"]:
        for name, value in other.parameters(trial).items():
            assert one.parameters(trial)[name].tobytes() == value.tobytes()


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_gives_the_serial_numbers_and_its_seconds_are_never_ranked(
    experiment, serial, kind, request
):
    executor = request.getfixturevalue(kind)
    results = experiment.run(execution=ol.Execution(executor=executor, threads=1))
    assert_same_numbers(results, serial)
    assert results.trials["contended"].all()
    assert results.trials["seconds"].notna().all()  # known, but
    summary = results.summary()
    assert summary["contended"].all()
    assert summary[["seconds", "seconds_low", "seconds_high"]].isna().all(axis=None)
    assert (summary["timed"] == 0).all()
    assert (results.ratios("ManualSGD")["pairs"] == 0).all()
    assert set(results.ratios("ManualSGD")["verdict"]) == {"too few repeats to say"}
    assert not serial.trials["contended"].any()


def test_a_store_takes_what_an_executor_gives_and_nothing_is_run_again(
    experiment, serial, processes, tmp_path
):
    store = tmp_path / "results.db"
    first = experiment.run(store=store, execution=ol.Execution(executor=processes, threads=1))
    assert_same_numbers(ol.Results.load(store), serial)
    with ThreadPoolExecutor(1) as executor:
        executor.submit = None  # it would be a TypeError
        again = experiment.run(store=store, execution=ol.Execution(executor=executor, threads=1))
    assert again.trials.equals(first.trials)


class AtOnce(Executor):
    """Runs what is submitted before it returns, and tells what a store holds by then."""

    def __init__(self, store):
        self.store, self.held = store, []

    def submit(self, function, *arguments):
        statuses = ol.Results.load(self.store).trials["status"]
        self.held.append(int((statuses == "finished").sum()))
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_trials_are_stored_as_they_end_not_when_all_have_been_submitted(tutorial, tmp_path):
    executor = AtOnce(tmp_path / "s.db")
    experiment = experiment_of(tutorial, ol.ManualSGD(0.01), batch_sizes=[5], seeds=range(5))
    experiment.run(store=tmp_path / "s.db", execution=ol.Execution(executor=executor, threads=1))
    assert executor.held == [0, 1, 2, 3, 4]


class Remembers(ThreadPoolExecutor):
    """Remembers the futures that it gave."""

    def __init__(self, workers):
        super().__init__(workers)
        self.futures = []

    def submit(self, *arguments):
        self.futures.append(super().submit(*arguments))
        return self.futures[-1]


def test_after_ctrl_c_what_had_ended_is_kept(tutorial, tmp_path):
    from optlab.lab.runner import Listener

    def finished(record):
        wait(executor.futures)  # two trials in flight for each worker
        raise KeyboardInterrupt

    experiment = experiment_of(tutorial, ol.ManualSGD(0.01), batch_sizes=[5], seeds=range(6))
    with Remembers(2) as executor:
        results = experiment.run(
            store=tmp_path / "s.db",
            listener=Listener(finished=finished),
            execution=ol.Execution(executor=executor, threads=1),
        )
    statuses = list(results.trials["status"])
    assert statuses.count("finished") > 2
    assert set(statuses) <= {"finished", "interrupted"}
    assert list(ol.Results.load(tmp_path / "s.db").trials["status"]) == statuses


def test_memory_is_not_measured_on_executors_and_that_is_said(experiment):
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="measure_memory"):
        experiment.run(execution=ol.Execution(executor=executor, measure_memory=True))


def test_trials_of_an_executor_that_broke_are_interrupted_and_run_again(
    tutorial, tmp_path, monkeypatch
):
    fork_servers(monkeypatch)
    optimizers = {"kills": KillsItsProcess(), "good": ol.ManualSGD(0.01)}
    experiment = experiment_of(tutorial, optimizers, repeats=3)
    store = tmp_path / "s.db"
    with forking() as executor:
        trials = experiment.run(
            store=store, execution=ol.Execution(executor=executor, threads=1)
        ).trials
    assert len(trials) == 6
    assert set(trials.query("optimizer == 'kills'")["status"]) == {"interrupted"}
    assert set(trials.query("optimizer == 'good'")["status"]) <= {"interrupted", "finished"}
    lost = trials[trials["status"] == "interrupted"]
    assert lost["message"].str.startswith("its executor broke, by this trial or by another").all()
    assert lost["message"].str.contains("BrokenProcessPool").all()
    again = experiment.run(
        store=store, execution=ol.Execution(isolate=True, threads=1)
    ).trials  # nobody knows whose fault
    statuses = again.groupby("optimizer")["status"].agg(set).to_dict()
    assert statuses == {"kills": {"crashed"}, "good": {"finished"}}


class Held:
    """An optimizer that cannot be pickled."""

    uses_batches = True

    def __init__(self):
        self.lock = threading.Lock()

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)


def test_what_cannot_be_sent_failed_and_nobody_was_lost(tutorial):
    with ThreadPoolExecutor(1) as executor:
        trials = (
            experiment_of(tutorial, {"held": Held()})
            .run(execution=ol.Execution(executor=executor))
            .trials
        )
    assert list(trials["status"]) == ["failed"]
    assert trials["message"].iloc[0].startswith("cannot be sent to a worker: TypeError")


def test_what_is_no_executor_is_refused(tutorial):
    with pytest.raises(
        ValueError, match=r"must be a concurrent\.futures\.Executor or the address .*, not 1"
    ):
        experiment_of(tutorial, ol.Lstsq()).run(execution=ol.Execution(executor=1))


def test_an_executor_that_is_shut_down_gives_interrupted_rows(tutorial):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    trials = (
        experiment_of(tutorial, ol.Lstsq()).run(execution=ol.Execution(executor=executor)).trials
    )
    assert list(trials["status"]) == ["interrupted"]
    assert "shutdown" in trials["message"].iloc[0]


@pytest.mark.parametrize("more", [{"isolate": True}, {"jobs": 2}])
def test_ways_to_run_exclude_each_other(more):
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="exclude each other"):
        ol.Execution(executor=executor, **more)


START = """
import os
from distributed.cli.dask_{} import main
print("process", os.getpid(), flush=True)
main()
"""


LOADED = ("distributed.cli.dask_scheduler", "distributed.cli.dask_worker")


class Cluster:
    """A real scheduler and real workers, as processes on this machine."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes = {}
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0")
        wait_until(self.file.exists)

    def workers(self, count):
        """The names of so many workers that run; those that are missing are started."""
        running = [n for n in self.processes if n != "scheduler" and self.runs(n)]
        missing = [f"worker {len(self.processes) + k}" for k in range(count - len(running))]
        self.start_workers(*missing)
        return running + missing

    def runs(self, name):
        return self.processes[name].poll() is None

    def start(self, name, *options):
        kind = "scheduler" if name == "scheduler" else "worker"
        command = [program("python"), "-c", START.format(kind)]
        log = (self.folder / f"{name}.log").open("w", encoding="utf-8")
        with log:
            self.processes[name] = subprocess.Popen(
                [*command, "--scheduler-file", str(self.file), "--no-dashboard", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | loaded(*LOADED),
            )

    def start_workers(self, *names, options=()):
        once = ["--nthreads", "1", "--no-nanny", "--host", "127.0.0.1"]
        for name in names:
            self.start(name, *once, *options)
        wait_until(lambda: all("Registered to" in self.log(name) for name in names))

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def process_number(self, name):
        """That of the process which runs the trials."""
        return re.search(r"^process (\d+)$", self.log(name), re.MULTILINE)[1]

    @property
    def address(self):
        import json

        return json.loads(self.file.read_text(encoding="utf-8"))["address"]

    def stop(self):
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()


def wait_until(true, seconds=120):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The cluster of all tests that leave its scheduler alive."""
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory):
    """The cluster of the tests that lose it, its scheduler last."""
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path_factory.mktemp("lost"))
    yield cluster
    cluster.stop()


# What Dask's own threads leave behind when a client is closed is not ours to close.
dask = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def many(problem, folder, count):
    return experiment_of(problem, Slow(str(folder)), batch_sizes=[5], seeds=range(count), epochs=3)


@dask
def test_a_dask_worker_killed_half_way_costs_no_trial(cluster, tutorial, tmp_path):
    runs, alone = tmp_path / "runs", tmp_path / "alone"
    runs.mkdir()
    alone.mkdir()
    name, *_ = cluster.workers(2)
    victim, number = cluster.processes[name], cluster.process_number(name)
    told = []

    def finished(record):
        told.append(record)
        if len(told) == 15:
            assert (runs / number).exists()  # it had its share
            victim.send_signal(signal.SIGKILL)

    from optlab.lab.runner import Listener

    results = many(tutorial, runs, 30).run(
        listener=Listener(finished=finished),
        execution=ol.Execution(executor=cluster.address, threads=1),
    )
    assert victim.wait(timeout=10) == -signal.SIGKILL
    assert len(results.trials) == 30
    assert set(results.trials["status"]) == {"finished"}
    assert results.trials["contended"].all()
    # The hyperparameters name the folder; it decides no number.
    serial = many(tutorial, alone, 30).run(execution=ol.Execution(threads=1))
    for each in (results, serial):
        each.trials["hp_folder"] = ""
    assert_same_numbers(results, serial)


@dask
def test_a_trial_that_kills_every_worker_is_crashed_and_the_scheduler_is_left_as_it_was(
    cluster, tutorial
):
    names = cluster.workers(MOST_RERUNS + 2)
    from distributed import Client

    def allowed(dask_scheduler):
        return dask_scheduler.allowed_failures

    with Client(cluster.address, set_as_default=False) as client:
        before = client.run_on_scheduler(allowed)
        trials = (
            experiment_of(tutorial, KillsItsProcess())
            .run(execution=ol.Execution(executor=cluster.address, threads=1))
            .trials
        )
        assert client.run_on_scheduler(allowed) == before
    assert list(trials["status"]) == ["crashed"], trials["message"].iloc[0]
    assert "KilledWorker" in trials["message"].iloc[0]
    assert len(names) - sum(map(cluster.runs, names)) == MOST_RERUNS + 1


@dask
def test_trials_on_a_device_go_to_workers_that_have_it(cluster, tutorial):
    cluster.workers(1)
    experiment = experiment_of(tutorial, ol.ManualSGD(), devices=["cpu", "cuda:0"], epochs=2)
    rows = experiment.run(execution=ol.Execution(executor=cluster.address)).trials.set_index(
        "device"
    )
    assert rows.loc["cpu", "status"] == "finished"
    assert rows.loc["cuda:0", "status"] == "skipped"
    assert (
        "no worker of the Dask cluster offers the resource 'cuda'" in rows.loc["cuda:0", "message"]
    )
    cluster.start_workers("gifted", options=["--resources", "cuda=1"])
    rows = experiment.run(execution=ol.Execution(executor=cluster.address)).trials.set_index(
        "device"
    )
    # It was sent, and it is the worker that says what it has.
    assert "no worker" not in rows.loc["cuda:0", "message"]


class Signals:
    """Kills processes when so many trials have ended."""

    def __init__(self, after, *victims):
        self.after, self.victims, self.ended = after, victims, 0

    def __call__(self, record):
        self.ended += 1
        if self.ended == self.after:
            for victim in self.victims:
                victim.kill()


@dask
@pytest.mark.alone
@pytest.mark.parametrize("lost", ["workers", "scheduler"])
def test_a_cluster_that_is_lost_interrupts_what_had_not_ended(
    own_cluster, tutorial, tmp_path, lost, monkeypatch
):
    from optlab.lab.runner import Listener
    from optlab.lab.workers import dask_cluster

    monkeypatch.setattr(dask_cluster, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(dask_cluster, "_CONNECT_SECONDS", 4)
    runs = tmp_path / "runs"
    runs.mkdir()
    workers = own_cluster.workers(2)
    lost_ones = ["scheduler"] if lost == "scheduler" else workers
    victims = [own_cluster.processes[name] for name in lost_ones]
    began = time.monotonic()
    trials = (
        many(tutorial, runs, 40)
        .run(
            store=tmp_path / "s.db",
            listener=Listener(finished=Signals(5, *victims)),
            execution=ol.Execution(executor=own_cluster.address, threads=1),
        )
        .trials
    )
    assert time.monotonic() - began < 60
    assert len(trials) == 40
    assert set(trials["status"]) == {"finished", "interrupted"}
    assert (trials["status"] == "finished").sum() >= 5
    messages = trials[trials["status"] == "interrupted"]["message"]
    assert messages.str.contains("lost|no worker|no more trials").all(), set(messages)


class CountsLoads(ol.LinearRegression):
    """Leaves a line in a file each time that it is unpickled."""

    def __setstate__(self, state):
        vars(self).update(state)
        with (Path(self.name) / "loads").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")


@dask
@pytest.mark.parametrize("kind", ["process", "dask"])
def test_the_data_are_loaded_once_by_each_worker_and_no_task_holds_them(
    kind, processes, cluster, tmp_path, monkeypatch
):
    sizes = []
    from optlab.lab.workers import executors

    dumps = executors.dumps_by_value
    monkeypatch.setattr(
        executors, "dumps_by_value", lambda value: sizes.append(dumps(value)) or sizes[-1]
    )
    X = torch.randn(50_000, 4)
    problem = CountsLoads(X, X.sum(1), name=str(tmp_path))
    experiment = experiment_of(problem, ol.Lstsq(), repeats=12)
    most = len(cluster.workers(2)) if kind == "dask" else 2
    executor = cluster.address if kind == "dask" else processes
    results = experiment.run(execution=ol.Execution(executor=executor, threads=1))
    assert set(results.trials["status"]) == {"finished"}
    loads = (tmp_path / "loads").read_text(encoding="utf-8").split()
    assert len(loads) == len(set(loads)) <= most
    sizes = [len(size) for size in sizes]
    assert len(sizes) == 13
    assert sum(sizes) < 1.1 * X.numel() * 4 * 5 / 4


@pytest.fixture
def silent():
    """The address of a socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@dask
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://", "127.0.0.1", "silent"])
def test_no_scheduler_is_a_value_error(experiment, address, silent, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("optlab.lab.workers.dask_cluster._CONNECT_SECONDS", 1)
    address = silent if address == "silent" else address
    with pytest.raises(ValueError, match="no Dask scheduler answers at"):
        experiment.run(execution=ol.Execution(executor=address))


def test_without_distributed_the_error_names_the_extra(experiment, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"optlab\[cluster\]"):
        experiment.run(execution=ol.Execution(executor="tcp://127.0.0.1:8786"))
