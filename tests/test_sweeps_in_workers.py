"""A sweep in a process of its own, or on an executor, gives the records that it gives here."""

import dataclasses
import os
import signal
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest

import optlab as ol
from optlab.lab import runner
from optlab.lab.execution_options import Execution
from optlab.lab.grid import Grid
from optlab.lab.rounds import untuned_tasks
from optlab.lab.runner import Listener
from optlab.lab.sweeps import sweeps
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TRACE_NUMBERS
from optlab.lab.trial.sweep import Sweep
from optlab.lab.workers.pool import WorkerPool
from tests.forked_server import fork_servers_from_here

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="trials are isolated by forks")


@pytest.fixture(scope="module")
def workers():
    """One process at a time; each test finds its server running."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_servers_from_here(monkeypatch)
        with WorkerPool(threads=1, time_limit=60, peak_memory=True) as pool:
            yield pool


def tasks_of(problem, optimizers, seeds=(1,), epochs=6):
    budget = Budget(epochs=epochs, recorded_epochs=1)
    return untuned_tasks(Grid.of(problem, optimizers, batch_sizes=[5], seeds=seeds), budget)


def by_number(records):
    found = {record.trial.number: record for record in records}
    assert len(found) == len(records)
    return [found[number] for number in sorted(found)]


def here(tasks):
    """Their records of a sweep in this process."""
    sweep, records = Sweep(tasks, threads=1), []
    while ended := sweep.advance():
        records += ended
    assert not sweep.failure
    return by_number(records)


def bits(record):
    names = [name for name in TRACE_NUMBERS if name != "seconds"]
    rows = [[float(getattr(row, name)).hex() for name in names] for row in record.trace]
    parameters = {name: value.tobytes() for name, value in record.parameters.items()}
    return record.trial, record.status, record.message, record.shared, rows, parameters


@on_linux
def test_a_sweep_in_its_process_has_the_records_of_one_here(workers, tutorial):
    tasks = tasks_of(tutorial, [ol.SGD(rate) for rate in (1e-3, 1e30, 0.1)], seeds=(1, 2))
    rows, began = [], []
    records = by_number(list(workers.run(
        sweeps(tasks), started=lambda trial: began.append(trial.number),
        watch=lambda trial, row: rows.append((trial.number, row.epoch)),
    )))  # fmt: skip
    assert [bits(record) for record in records] == [bits(record) for record in here(tasks)]
    assert all(record.shared for record in records)
    assert sorted(began) == list(range(6))
    assert sorted(rows) == [(r.trial.number, row.epoch) for r in records for row in r.trace]
    assert {str(record.status) for record in records} == {"finished", "diverged"}
    for record in records:
        assert (record.peak_bytes is not None) == record.status.is_result
        assert not record.contended


@dataclasses.dataclass(frozen=True)
class Ends:
    """A schedule that ends well, or by an act, after two epochs."""

    rate: float
    act: str = ""

    def __call__(self, epoch):
        if epoch >= 2 and self.act == "raise":
            raise ArithmeticError("no rate there")
        if epoch >= 2 and self.act == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch >= 2 and self.act == "hang":
            time.sleep(600)
        return self.rate


@on_linux
@pytest.mark.parametrize(
    ("act", "status", "why"),
    [
        ("raise", "failed", "the sweep raised ArithmeticError: no rate there"),
        ("crash", "crashed", "the sweep crashed: its process died: SIGKILL (signal 9)"),
    ],
)
def test_a_trial_that_ends_its_sweep_is_found_and_loses_no_other(
    workers, tutorial, act, status, why
):
    own = [ol.SGD(0.1), ol.SGD(Ends(0.1, act)), ol.SGD(1e30), ol.SGD(0.2)]
    notes = []
    records = by_number(list(workers.run([tasks_of(tutorial, own)], note=notes.append)))
    statuses = [str(record.status) for record in records]
    assert statuses == ["finished", status, "diverged", "finished"]
    assert [record.shared for record in records] == [False, False, True, False]
    assert [row.epoch for row in records[1].trace] == [0, 1, 2]
    (note,) = notes
    assert note.startswith(f"one by one, not in a sweep: 3 trials, as {why}")


@on_linux
def test_what_cannot_be_sent_is_found_by_itself(workers, tutorial):
    class Held(Ends):
        def __reduce__(self):
            raise TypeError("held")

    notes = []
    own = [ol.SGD(0.1), ol.SGD(Held(0.1))]
    records = by_number(list(workers.run([tasks_of(tutorial, own)], note=notes.append)))
    assert [str(record.status) for record in records] == ["finished", "failed"]
    assert records[1].message == "cannot be sent to a process: held"
    assert notes == [
        "one by one, not in a sweep: 2 trials, as the sweep cannot be sent to a process: held"
    ]


@on_linux
def test_a_sweep_that_hangs_is_killed_at_its_limit_and_keeps_its_traces(
    workers, tutorial, monkeypatch
):
    (worker,) = workers._workers
    monkeypatch.setattr(worker, "setup", worker.setup._replace(time_limit=0.7))
    own = [ol.SGD(0.1), ol.SGD(Ends(0.1, "hang")), ol.SGD(1e30)]
    began = time.monotonic()
    records = by_number(list(workers.run([tasks_of(tutorial, own)])))
    assert time.monotonic() - began >= 3 * 0.7
    assert [str(record.status) for record in records] == ["timed out", "timed out", "diverged"]
    for record in records[:2]:
        assert record.message == "killed at its sweep's time limit of 2.1 s"
        assert [row.epoch for row in record.trace] == [0, 1, 2]
        assert record.shared


@on_linux
def test_after_ctrl_c_what_had_ended_is_stored_and_not_run_again(
    workers, tutorial, monkeypatch, tmp_path
):
    monkeypatch.setattr(runner, "WorkerPool", lambda *_, **__: workers)

    def stop(trial, row):
        if row.epoch == 4 and trial.number == 1:
            raise KeyboardInterrupt

    began = []
    experiment = ol.Experiment(
        problems=tutorial, optimizers=[ol.SGD(1e30), ol.SGD(0.01), ol.SGD(0.02)],
        batch_sizes=[5], epochs=6, recorded_epochs=1,
    )  # fmt: skip
    path = tmp_path / "s.db"
    first = experiment.run(
        store=path, listener=Listener(watch=stop),
        execution=Execution(sweep=True, isolate=True, threads=1),
    ).trials  # fmt: skip
    assert first["status"].tolist() == ["diverged", "interrupted", "interrupted"]
    assert first["epochs"].tolist() == [1, 4, 3]
    assert first["shared"].all()
    again = experiment.run(
        store=path, listener=Listener(started=lambda trial: began.append(trial.number)),
        execution=Execution(sweep=True, threads=1),
    ).trials  # fmt: skip
    assert began == [1, 2]
    assert again["status"].tolist() == ["diverged", "finished", "finished"]


class Loses(Executor):
    """Runs what is submitted at once, and loses the worker of the first where it is to."""

    _max_workers = 1

    def __init__(self, lose):
        self.lose, self.calls = lose, 0

    def submit(self, function, *arguments):
        self.calls += 1
        future = Future()
        if self.lose and self.calls == 1:
            future.set_exception(RuntimeError("lost"))
        else:
            future.set_result(function(*arguments))
        return future


def submitted(problem, optimizers, lose=False):
    """The results of a sweep on such an executor, its submissions, and what was noted."""
    executor, notes = Loses(lose), []
    experiment = ol.Experiment(
        problems=problem, optimizers=optimizers, batch_sizes=[5], seeds=[1], epochs=6,
        recorded_epochs=1,
    )  # fmt: skip
    found = experiment.run(
        execution=Execution(sweep=True, executor=executor, threads=1),
        listener=Listener(note=notes.append),
    )
    assert found.trials["contended"].all()
    return found, executor.calls, notes


def test_a_sweep_is_one_submission_to_an_executor(tutorial):
    own = [ol.SGD(0.1), ol.SGD(0.2), ol.SGD(30.0)]
    found, calls, notes = submitted(tutorial, own)
    assert (calls, notes) == (1, [])
    assert found.trials["status"].tolist() == ["finished", "finished", "diverged"]
    assert found.trials["shared"].all()
    losses = [row.loss for record in here(tasks_of(tutorial, own)) for row in record.trace]
    assert [loss.hex() for loss in found.traces["loss"]] == [loss.hex() for loss in losses]


def test_a_sweep_whose_worker_was_lost_is_submitted_one_by_one(tutorial):
    found, calls, notes = submitted(tutorial, [ol.SGD(0.1), ol.SGD(0.2)], lose=True)
    assert calls == 3
    assert found.trials["status"].tolist() == ["finished", "finished"]
    assert not found.trials["shared"].any()
    (note,) = notes
    assert note.endswith("2 trials, as the sweep crashed: its worker was lost: RuntimeError: lost")


def test_a_sweep_that_raised_on_an_executor_goes_on_one_by_one(tutorial):
    found, calls, notes = submitted(tutorial, [ol.SGD(0.1), ol.SGD(Ends(0.2, "raise"))])
    assert calls == 1
    assert found.trials["status"].tolist() == ["finished", "failed"]
    (note,) = notes
    assert "2 trials, as the sweep raised ArithmeticError: no rate there (" in note


def test_threads_share_a_sweep_evenly(tutorial):
    with ThreadPoolExecutor(2) as executor:
        found = ol.compare(
            tutorial, [ol.SGD(rate) for rate in (0.1, 0.2, 0.3, 0.4)], epochs=3, batch_sizes=[5],
            execution=Execution(sweep=True, executor=executor, threads=1),
        )  # fmt: skip
    assert set(found.trials["status"]) == {"finished"}
    assert found.trials["shared"].all()


@pytest.mark.parametrize(
    ("trials", "at_once", "sizes"),
    [(10, 1, [10]), (10, 2, [5, 5]), (10, 3, [4, 3, 3]), (10, 8, [2] * 5), (3, 8, [2, 1])],
)
def test_where_several_run_at_once_a_sweep_is_split_into_equal_parts(
    tutorial, trials, at_once, sizes
):
    tasks = tasks_of(tutorial, [ol.SGD(0.01 * (k + 1)) for k in range(trials)])
    groups = sweeps(tasks, at_once)
    assert [len(group) for group in groups] == sizes
    assert [task.trial.number for group in groups for task in group] == list(range(trials))
