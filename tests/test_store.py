"""A results file gives back what was written, whoever else writes, and whatever cuts it off."""

import itertools
import json
import multiprocessing
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import torch

import optlab as ol
from optlab.lab import Status, machine
from optlab.lab.runner import Listener
from optlab.lab.store import store as store_module
from optlab.lab.store.load import read_stores
from optlab.lab.store.store import Store
from optlab.lab.store.store_error import StoreError, StoreUnavailableError
from tests.planted_store import plant, record_of, row, sql, tutorial_experiment


@dataclass(frozen=True)
class FailsAtTheThirdPass:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        yield ol.Iterate(start)
        raise ArithmeticError("planted: \u2028 “quoted” %s {}")


@dataclass(frozen=True)
class SaysWhatIsNoText:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        raise OSError("no file caf\udce9.csv")  # as os.fsdecode gives a name in Latin-1
        yield


@pytest.fixture(scope="module")
def stored(tutorial, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.db"
    wide = ol.LinearRegression.from_dataset(ol.datasets.synthetic(30, 3, seed=2, condition=2))
    experiment = ol.Experiment(
        name="all sorts",
        problems=[tutorial, wide],
        optimizers={
            "sgd": ol.ManualSGD(0.1),
            "diverges": ol.ManualSGD(1e9),
            "lstsq": ol.Lstsq(),
            "fails": FailsAtTheThirdPass(),
            "no text": SaysWhatIsNoText(),
        },
        batch_sizes=[3, "full"],
        devices=["cpu", "cuda:7"],  # the second is not there: skipped
        seeds=[2**62],
        epochs=12,
        recorded_epochs=1,
    )
    return path, experiment.run(store=path)


def test_a_loaded_file_gives_the_results_that_were_in_memory(stored, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a results file was unpickled")

    for name in ("pickle.loads", "pickle.load", "cloudpickle.loads"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    path, results = stored
    loaded = ol.Results.load(path)
    pd.testing.assert_frame_equal(loaded.trials, results.trials)
    pd.testing.assert_frame_equal(loaded.traces, results.traces)
    pd.testing.assert_frame_equal(loaded.summary(), results.summary())
    assert {"finished", "failed", "diverged", "skipped"} <= set(loaded.trials["status"])
    assert loaded.traces["batch_loss"].isna().any()
    assert (loaded.name, loaded.machine) == ("all sorts", machine())
    assert loaded.definition == json.loads(json.dumps(results.definition))
    for trial in results.trials.query("status == 'finished'")["trial"]:
        before, after = results.parameters(trial), loaded.parameters(trial)
        assert list(before) == list(after)
        for name, value in before.items():
            assert (after[name].dtype, after[name].tobytes()) == (value.dtype, value.tobytes())


def test_failed_trials_keep_their_partial_trace_and_traceback(stored):
    path, results = stored
    loaded = ol.Results.load(path)
    failed = loaded.trials.query("status == 'failed'")
    assert Counter(failed["optimizer"]) == {"fails": 4, "no text": 4}
    for _, trial in failed.iterrows():
        epochs = list(loaded.traces.query("trial == @trial.trial")["epoch"])
        assert epochs == ([0, 1, 2] if trial["optimizer"] == "fails" else epochs[:1])
    for number in failed.query("optimizer == 'fails'")["trial"]:
        assert loaded.traceback(number) == results.traceback(number)
    assert failed.query("optimizer == 'no text'")["message"].str.contains("no file caf").all()


def test_problems_come_back(stored):
    path, results = stored
    again = ol.Results.load(path).problems
    assert list(again) == list(results.problems)
    for name, summary in results.problems.items():
        for field in ("kind", "n", "d", "dtype", "feature_names", "target_name"):
            assert getattr(again[name], field) == getattr(summary, field)
        assert again[name].reference.loss == summary.reference.loss
        assert again[name].certificate == json.loads(json.dumps(summary.certificate))
        assert again[name].x.tobytes() == summary.x.tobytes()
        for key, value in summary.parameters.items():
            assert again[name].parameters[key].tobytes() == value.tobytes()


def test_the_first_to_come_stays_but_an_interrupted_one_gives_way(tmp_path):
    with Store(tmp_path / "s.db") as store:
        interrupted = record_of(status=Status.INTERRUPTED, trace=[row(e) for e in range(5)])
        store.add("k", interrupted, {}, 0)
        assert store.done_by("k") is None
        store.add("k", record_of(message="first", trace=[row(0, 2.0)]), {}, 0)
        store.add("k", record_of(message="second"), {}, 0)
        ((_, _, record),) = store.records()
    assert record.message == "first"
    assert [row.loss for row in record.trace] == [2.0]


def test_only_the_traces_that_are_asked_for_are_read(tmp_path, monkeypatch):
    path, read = plant(tmp_path / "s.db", trials=50), []
    decode = store_module.row_to_record
    monkeypatch.setattr(store_module, "row_to_record", lambda row: read.append(1) or decode(row))
    with Store(path) as store:
        assert [key for key, _, _ in store.records({"k7", "k3", "none"})] == ["k3", "k7"]
        assert len(read) == 2
        assert store.records(set()) == []
        assert len(store.records()) == 50


def test_trials_are_in_the_file_itself_and_no_log_is_beside_it(tmp_path):
    path = tmp_path / "s.db"

    def finished(record):
        assert list(tmp_path.glob("s.db?*")) == []
        alone = tmp_path / "alone.db"
        alone.write_bytes(path.read_bytes())
        assert sql(alone, "SELECT count(*) FROM trials") == [(record.trial.repeat,)]

    tutorial_experiment(repeats=5).run(store=path, listener=Listener(finished=finished))


def write_until(path, begun, stop, written):
    with Store(path) as store:
        for number in range(10**6):
            store.add(f"w{number}", record_of(), {}, 1)
            begun.set()
            if stop.is_set():
                written.put(number + 1)
                return


def test_an_archive_loses_nothing_that_another_process_writes(tmp_path):
    path, fork = plant(tmp_path / "s.db", trials=0), multiprocessing.get_context("fork")
    begun, stop, written = fork.Event(), fork.Event(), fork.Queue()
    writer = fork.Process(target=write_until, args=(path, begun, stop, written))
    writer.start()
    assert begun.wait(100)
    with Store(path) as store:
        archived = store.archive()
        while not store.stored_keys():
            time.sleep(0.01)
    stop.set()
    count = written.get(timeout=100)
    writer.join()
    keys = [{key for (key,) in sql(p, "SELECT key FROM trials")} for p in (path, archived)]
    assert min(map(len, keys)) > 0  # it wrote before and after
    assert len(keys[0] | keys[1]) == count


def test_an_experiment_whose_store_is_archived_goes_on_and_is_whole(tmp_path):
    path = tmp_path / "s.db"

    def finished(record):
        if record.trial.repeat == 2:
            with Store(path) as other:
                other.archive()

    results = tutorial_experiment(repeats=4).run(store=path, listener=Listener(finished=finished))
    assert list(results.trials["status"]) == ["finished"] * 4
    with Store(path) as store:
        assert min(store.experiments()) > 1  # no number is used again
    assert Counter(ol.Results.load(path).trials["status"]) == {"finished": 2, "interrupted": 2}


def begin_and_write(path, place, begun, stop):
    with Store(path) as store:
        last = store.experiments()[1]
        for turn in range(10**6):
            key, trial = f"{place}-{turn}", replace(record_of(turn).trial, repeat=place + 1)
            number = store.begin_experiment(*last, {key: trial})
            store.add(key, record_of(turn, trace=[row()], started=1.0), {}, number)
            begun.set()
            if stop.wait(0.005):  # or the file would grow faster than it can be read
                return


def test_a_load_sees_the_file_at_one_moment_while_others_begin_experiments_and_write(tmp_path):
    path, fork = plant(tmp_path / "s.db", trials=1), multiprocessing.get_context("fork")
    begun, stop = fork.Event(), fork.Event()
    writers = [
        fork.Process(target=begin_and_write, args=(path, place, begun, stop)) for place in range(2)
    ]
    for writer in writers:
        writer.start()
    try:
        assert begun.wait(100)
        for _ in range(5):
            records = read_stores([path]).records
            assert all(r.trace for r in records if r.status == Status.FINISHED)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(read_stores([path]).records) > 2


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_stays_locked_is_said_to_be_and_is_whole(tmp_path, create):
    path = plant(tmp_path / "s.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(StoreUnavailableError, match=r"another process keeps it locked.*run the"),
            Store(path, create=create, busy_seconds=0.05) as store,
        ):
            store.records()
        other.execute("ROLLBACK")
        with Store(path, busy_seconds=0.05) as store:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError):
                store.add("late", record_of(), {}, 1)
            other.execute("ROLLBACK")
            store.add("late", record_of(), {}, 1)
            assert len(store.records()) == 4


def interrupt_at(number, action):
    """Raise KeyboardInterrupt at a line of the store's code, counted from 0; return if there is."""
    count, folder = itertools.count(), str(Path(store_module.__file__).parent)

    def trace(frame, event, _):
        if event == "call" and not frame.f_code.co_filename.startswith(folder):
            return None
        if event == "line" and next(count) == number:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


SAME = {"new": record_of(9).trial}
ACTIONS = {
    "add": lambda store, _: store.add("new", record_of(9, trace=[row()]), {}, 1),
    "begin": lambda store, held: store.begin_experiment(*held[0], SAME),
    "problem": lambda store, held: store.add_problem("9", held[1]),
    "read": lambda store, _: store.records() and store.wanted() and store.stored_keys(),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_ctrl_c_at_any_line_loses_nothing_and_what_was_cut_off_can_be_done_again(tmp_path, action):
    path = plant(tmp_path / "s.db")
    with Store(path) as store:
        store._database.execute("PRAGMA synchronous = OFF")  # a power cut is not what is tried
        held = store.experiments()[1], next(iter(store.problems().values()))
        for number in itertools.count(0, 11 if action == "read" else 1):
            cut_off = interrupt_at(number, lambda: ACTIONS[action](store, held))
            ACTIONS[action](store, held)
            with closing(sqlite3.connect(path)) as other:  # so it is in the file, and not locked
                other.execute("BEGIN IMMEDIATE")
                keys = [key for (key,) in other.execute("SELECT key FROM trials")]
            assert keys == ["k0", "k1", "k2"] + ["new"] * (action == "add")
            assert store.records()[0].record.trace[1].loss == 0.5
            if action == "add":
                store._database.execute("DELETE FROM trials WHERE key = 'new'")
            if not cut_off:
                break
        assert number > 20
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


def test_ctrl_c_at_any_line_of_an_archive_leaves_all_in_one_of_the_files(tmp_path):
    for number in itertools.count(0, 3):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = plant(folder / "s.db")
        with Store(path) as store:
            cut_off = interrupt_at(number, store.archive)
        left = {key for p in folder.glob("*.db") for (key,) in sql(p, "SELECT key FROM trials")}
        assert left == {"k0", "k1", "k2"}
        if not cut_off:
            break
    assert number > 20


def test_ctrl_c_while_a_finished_trial_is_written_keeps_it(tmp_path, monkeypatch):
    add, calls = Store.add, []

    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 2:
            self._database.execute("BEGIN IMMEDIATE")
            raise KeyboardInterrupt
        return add(self, *arguments, **keywords)

    monkeypatch.setattr(Store, "add", interrupted)
    path = tmp_path / "s.db"
    results = tutorial_experiment(repeats=3).run(store=path)
    expected = ["finished", "finished", "interrupted"]
    assert list(results.trials["status"]) == expected
    assert list(ol.Results.load(path).trials["status"]) == expected


def test_a_folder_that_is_not_there_is_said_to_be_none(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        Store(tmp_path / "nowhere" / "s.db")
    with pytest.raises(StoreError, match="there is no file"):
        Store(tmp_path / "s.db", create=False)
    assert list(tmp_path.iterdir()) == []
