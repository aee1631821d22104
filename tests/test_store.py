import io
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

import optlab as ol
from optlab.app.cli import app
from optlab.app.exit_status import call
from optlab.lab import Status, Trial, TrialRecord, machine
from optlab.lab.runner import Listener
from optlab.lab.store.encoding import arrays_to_bytes, bytes_to_arrays
from optlab.lab.store.load import NOT_RUN
from optlab.lab.store.schema import SCHEMA_VERSION
from optlab.lab.store.store import Store, StoreError
from optlab.lab.store.stored_trial import Fingerprints
from optlab.lab.trial.record import TraceRow
from tests.planted_results import facts as facts_of

NAN, INF = float("nan"), float("inf")
LEARNING_RATE = 0.1
EXPERIMENT = """
import optlab as ol
experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=ol.ManualSGD(0.1), epochs=3,
)
"""


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


class Unsafe:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def experiment(tutorial):
    wide = ol.LinearRegression.from_dataset(ol.datasets.synthetic(30, 3, seed=2, condition=2))
    return ol.Experiment(
        name="all sorts",
        problems=[tutorial, wide],
        optimizers={
            "sgd": ol.ManualSGD(LEARNING_RATE),
            "diverges": ol.ManualSGD(1e9),
            "lstsq": ol.Lstsq(),
            "fails": FailsAtTheThirdPass(),
        },
        batch_sizes=[3, "full"],
        devices=["cpu", "cuda:7"],  # the second is not there: skipped
        seeds=[0, 2**62],
        epochs=12,
        recorded_epochs=1,
    )


@pytest.fixture(scope="module")
def stored(experiment, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "results.db"
    return path, experiment.run(store=path)


def sql(path, statement, *values):
    database = sqlite3.connect(path)
    try:
        with database:
            return database.execute(statement, values).fetchall()
    finally:
        database.close()


def record_of(number=0, **what):
    return TrialRecord(Trial(number, "p", "o", 1, "cpu", "float32", 0), Status.FINISHED, **what)


def test_a_loaded_file_gives_the_tables_that_were_in_memory(stored):
    path, results = stored
    loaded = ol.Results.load(path)
    pd.testing.assert_frame_equal(loaded.trials, results.trials)
    pd.testing.assert_frame_equal(loaded.traces, results.traces)
    pd.testing.assert_frame_equal(loaded.summary(), results.summary())
    assert {"finished", "failed", "diverged", "skipped"} <= set(loaded.trials["status"])


def test_a_batch_loss_that_there_was_not_is_nan_again(stored):
    assert ol.Results.load(stored[0]).traces["batch_loss"].isna().any()


def test_parameters_come_back_bit_for_bit(stored):
    path, results = stored
    loaded = ol.Results.load(path)
    ran = results.trials.query("status == 'finished'")["trial"]
    for trial in ran:
        before, after = results.parameters(trial), loaded.parameters(trial)
        assert list(before) == list(after)
        for name, value in before.items():
            assert (after[name].dtype, after[name].tobytes()) == (value.dtype, value.tobytes())


def test_a_failed_trial_keeps_its_partial_trace_and_its_traceback(stored):
    path, results = stored
    loaded = ol.Results.load(path)
    failed = loaded.trials.query("status == 'failed'")["trial"]
    assert len(failed) == 8
    for trial in failed:
        assert list(loaded.traces.query("trial == @trial")["epoch"]) == [0, 1, 2]
        assert loaded.traceback(trial) == results.traceback(trial)
        assert "FailsAtTheThirdPass" in loaded.traceback(trial) or "planted" in loaded.traceback(
            trial
        )


def test_problem_machine_and_definition_come_back(stored):
    path, results = stored
    loaded = ol.Results.load(path)
    assert loaded.name == "all sorts"
    assert loaded.machine == results.machine == machine()
    assert loaded.definition == json.loads(json.dumps(results.definition))
    for name, facts in results.problems.items():
        again = loaded.problems[name]
        assert (again.kind, again.n, again.d, again.dtype) == (
            facts.kind, facts.n, facts.d, facts.dtype)  # fmt: skip
        assert again.feature_names == facts.feature_names
        assert again.optimum_loss == facts.optimum_loss
        assert again.certificate == json.loads(json.dumps(facts.certificate))
        assert again.x.tobytes() == facts.x.tobytes()
        for key, value in facts.optimum.items():
            assert again.optimum[key].tobytes() == value.tobytes()


# But for minus zero: SQLite keeps whole numbers as integers, which have none.
@pytest.mark.parametrize("value", [NAN, INF, -INF, 5e-324, 1.7976931348623157e308])
def test_every_number_survives(tmp_path, value):
    row = TraceRow(0, 2**53, value, value, value, value, value, value)
    with Store(tmp_path / "s.db") as store:
        store.add("k", record_of(trace=[row], seconds=value), {}, 0)
        ((_, _, record),) = store.records()
    kept = np.array([record.seconds, *record.trace[0][2:8]])
    assert kept.tobytes() == np.full(7, value).tobytes()
    assert record.trace[0][:2] == (0, 2**53)


@pytest.mark.parametrize(
    "names", [["file"], ["arr_0", "arr_1", "file", "allow_pickle"], ["a/b"], []]
)
def test_parameters_may_have_any_name(names):
    arrays = {name: np.arange(3.0) + place for place, name in enumerate(names)}
    found = bytes_to_arrays(arrays_to_bytes(arrays))
    assert list(found) == names
    for name, value in arrays.items():
        assert found[name].tobytes() == value.tobytes()


def test_parameters_of_no_dimension_and_no_length_survive():
    arrays = {"bias": np.float32(2.5), "none": np.empty((0, 3))}
    found = bytes_to_arrays(arrays_to_bytes(arrays))
    assert (found["bias"].shape, found["bias"].dtype) == ((), np.float32)
    assert found["none"].shape == (0, 3)


def test_a_message_that_is_no_text_does_not_lose_the_trial(tmp_path, tutorial):
    bad = {"bad": SaysWhatIsNoText(), "good": ol.Lstsq()}
    path = tmp_path / "s.db"
    ol.Experiment(problems=tutorial, optimizers=bad).run(store=path)
    loaded = ol.Results.load(path).trials.set_index("optimizer")
    assert loaded.loc["bad", "status"] == "failed"
    assert "no file caf" in loaded.loc["bad", "message"]
    assert loaded.loc["good", "status"] == "finished"


def missing_file(path, stored):
    pass


def text(path, stored):
    path.write_text("optimizer,seconds\n" * 1000, encoding="utf-8")


def foreign(path, stored):
    sql(path, "CREATE TABLE bookmarks (url TEXT)")


def newer(path, stored):
    shutil.copy(stored, path)
    sql(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def older(path, stored):
    shutil.copy(stored, path)
    sql(path, "PRAGMA user_version = 1")


def no_such_experiment(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE wanted SET experiment = 99")


def no_prints(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE experiments SET prints = '{}'")


def other_prints(path, stored):
    shutil.copy(stored, path)
    sql(path, """UPDATE experiments SET prints = '{"problems": {}, "optimizers": []}'""")


def no_problems(path, stored):
    shutil.copy(stored, path)
    sql(path, "DELETE FROM problems")


def truncated(path, stored):
    path.write_bytes(stored.read_bytes()[:8192])


def overwritten(path, stored):
    content = bytearray(stored.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def no_arrays(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET parameters = zeroblob(0)")


def cut_arrays(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET parameters = substr(parameters, 1, 200)")


def bare_array(path, stored):
    shutil.copy(stored, path)
    file = io.BytesIO()
    np.save(file, np.arange(3))
    sql(path, "UPDATE trials SET parameters = ?", file.getvalue())


def null_arrays(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET parameters = NULL")


def unknown_status(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET status = 'splendid'")


def no_json(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET trial = '{'")


def other_json(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET trial = '[]'")


def deep_json(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE trials SET optimizer = ?", "[" * 100_000)


def lost_table(path, stored):
    shutil.copy(stored, path)
    sql(path, "DROP TABLE traces")


def lost_column(path, stored):
    shutil.copy(stored, path)
    sql(path, "ALTER TABLE trials DROP COLUMN contended")


def words_for_numbers(path, stored):
    shutil.copy(stored, path)
    sql(path, "UPDATE traces SET epoch = 'one'")


UNREADABLE = {
    missing_file: "there is no file",
    text: "file is not a database",
    foreign: "not one of optlab's",
    newer: "written by a newer optlab",
    truncated: "malformed",
    overwritten: "cannot be (opened|read)",
    older: "older optlab",
    no_such_experiment: "cannot be read",
    no_prints: "cannot be read",
    other_prints: "cannot be read",
    no_problems: "cannot be read",
    no_arrays: "cannot be read",
    cut_arrays: "cannot be read",
    bare_array: "cannot be read",
    null_arrays: "cannot be read",
    unknown_status: "splendid",
    no_json: "cannot be read",
    other_json: "cannot be read",
    deep_json: "cannot be read",
    lost_table: "no such table: traces",
    lost_column: "contended",
    words_for_numbers: "cannot be read",
}


@pytest.mark.parametrize("damage", UNREADABLE, ids=lambda damage: damage.__name__)
def test_what_cannot_be_read_is_a_clear_error(stored, tmp_path, damage):
    path = tmp_path / "given.db"
    damage(path, stored[0])
    with pytest.raises(ValueError, match=UNREADABLE[damage]) as error:
        ol.Results.load(path)
    assert "given.db" in str(error.value)


@pytest.mark.parametrize("damage", [text, foreign, newer, overwritten], ids=lambda d: d.__name__)
def test_run_refuses_a_store_it_cannot_use_with_exit_status_2(stored, tmp_path, damage, capsys):
    script, path = tmp_path / "script.py", tmp_path / "given.db"
    script.write_text(EXPERIMENT, encoding="utf-8")
    damage(path, stored[0])
    before = path.read_bytes()
    assert call(app, ["run", str(script), "--store", str(path)]) == 2
    error = capsys.readouterr().err
    assert "given.db" in error
    assert "Traceback" not in error
    assert path.read_bytes() == before  # nothing of a stranger's file is touched


@pytest.mark.parametrize("where", ["nowhere/results.db", "."])
def test_a_store_that_cannot_be_made_is_a_usage_error(tmp_path, capsys, where):
    script = tmp_path / "script.py"
    script.write_text(EXPERIMENT, encoding="utf-8")
    assert call(app, ["run", str(script), "--store", str(tmp_path / where)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_commands_that_read_refuse_with_exit_status_2(tmp_path, capsys):
    foreign(tmp_path / "foreign.db", None)
    for file in ["foreign.db", "missing.db"]:
        for command in (
            ["report", "-o", str(tmp_path / "r.html")],
            ["export", "--csv", str(tmp_path)],
        ):
            assert call(app, [command[0], str(tmp_path / file), *command[1:]]) == 2
            assert file in capsys.readouterr().err
    assert not (tmp_path / "missing.db").exists()


def test_loading_makes_no_file(tmp_path):
    with pytest.raises(StoreError, match="there is no file"):
        ol.Results.load(tmp_path / "results.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("column", ["trials.parameters", "problems.optimum", "problems.x"])
def test_a_pickled_array_is_refused_and_runs_nothing(stored, tmp_path, column):
    path, trap = tmp_path / "given.db", tmp_path / "trap"
    table, name = column.split(".")
    shutil.copy(stored[0], path)
    file = io.BytesIO()
    np.savez(file, np.array(["weight"]), np.array([Unsafe(trap)], dtype=object))
    sql(path, f"UPDATE {table} SET {name} = ?", file.getvalue())
    with pytest.raises(ValueError, match="allow_pickle=False"):
        ol.Results.load(path)
    assert not trap.exists()
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=True) as arrays:
        arrays["arr_1"]
    assert trap.exists()  # so the trap was one


def test_a_pickled_table_of_names_runs_nothing(tmp_path):
    trap, file = tmp_path / "trap", io.BytesIO()
    np.savez(file, np.array([Unsafe(trap)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        bytes_to_arrays(file.getvalue())
    assert not trap.exists()


def test_fresh_loses_nothing(experiment, stored, tmp_path):
    path = tmp_path / "results.db"
    shutil.copy(stored[0], path)
    small = ol.Experiment(problems=experiment.problems, optimizers=ol.Lstsq())
    small.run(store=path, execution=ol.Execution(fresh=True))
    (aside,) = set(tmp_path.glob("results-*.db"))
    pd.testing.assert_frame_equal(ol.Results.load(aside).trials, stored[1].trials)
    pd.testing.assert_frame_equal(ol.Results.load(aside).traces, stored[1].traces)
    assert list(ol.Results.load(path).trials["optimizer"]) == ["Lstsq"] * 2


def test_fresh_twice_keeps_both(tmp_path, tutorial):
    path = tmp_path / "results.db"
    for _ in range(3):
        ol.Experiment(problems=tutorial, optimizers=ol.Lstsq()).run(
            store=path, execution=ol.Execution(fresh=True)
        )
    kept = [len(ol.Results.load(f).trials) for f in tmp_path.glob("results-*.db") if holds(f)]
    assert kept == [1, 1]
    assert len(ol.Results.load(path).trials) == 1


def holds(path):
    return sql(path, "SELECT count(*) FROM trials") != [(0,)]


def test_a_file_copied_aside_is_whole(stored, tmp_path):
    path = tmp_path / "results.db"
    shutil.copy(stored[0], path)
    with Store(path) as store:
        aside = store.archive()
        assert store.finished_keys() == set()
    assert sql(aside, "PRAGMA integrity_check") == [("ok",)]
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_first_to_come_stays_but_an_interrupted_one_gives_way(tmp_path):
    with Store(tmp_path / "s.db") as store:
        interrupted = record_of(trace=[TraceRow(e, e, *[1.0] * 6) for e in range(5)])
        interrupted.status = Status.INTERRUPTED
        store.add("k", interrupted, {}, 0)
        assert store.done_by("k") is None
        store.add("k", record_of(message="first", trace=[TraceRow(0, 0, *[2.0] * 6)]), {}, 0)
        store.add("k", record_of(message="second"), {}, 0)
        ((_, _, record),) = store.records()
    assert record.message == "first"
    assert [row.loss for row in record.trace] == [2.0]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB, as nothing else shows what a full one does."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder, leave=0):
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    os.truncate(folder / "filler", max(0, (folder / "filler").stat().st_size - leave))


def test_a_full_disk_is_a_clear_error_and_earlier_trials_are_readable(small_disk, tutorial):
    path = small_disk / "results.db"
    experiment = ol.Experiment(
        problems=tutorial,
        optimizers=ol.ManualSGD(LEARNING_RATE),
        epochs=50,
        recorded_epochs=1,
        repeats=300,
    )
    with pytest.raises(ValueError, match=r"results\.db cannot be written: .*full"):
        experiment.run(store=path)
    loaded = ol.Results.load(path).trials
    assert len(loaded) == 300
    kept = loaded[loaded["status"] == "finished"]
    assert 10 < len(kept) < 300
    assert set(loaded["message"].drop(kept.index)) == {NOT_RUN}
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("leave", [0, 8192, 65536])
def test_results_on_a_disk_that_is_full_can_be_loaded(small_disk, stored, leave):
    path = small_disk / "results.db"
    shutil.copy(stored[0], path)
    fill(small_disk, leave)
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, stored[1].trials)


@pytest.mark.parametrize("leave", [0, 65536])
def test_trials_in_the_log_of_a_killed_run_can_be_loaded_on_a_full_disk(small_disk, stored, leave):
    path = small_disk / "results.db"
    with Store(path.with_name("first.db")) as store:
        prints = Fingerprints({"p": ""}, {"o": ""}, "", "")
        number = store.begin_experiment("e", {}, {}, prints, {"k": record_of().trial})
        store.add_problem("", facts_of("p"))
        store.add("k", record_of(), {}, number)
        for suffix in ["", "-wal"]:  # as they are when the process is killed here
            shutil.copy(f"{store.path}{suffix}", f"{path}{suffix}")
    assert Path(f"{path}-wal").stat().st_size > 0
    fill(small_disk, leave)
    assert len(ol.Results.load(path).trials) == 1


def test_results_on_a_disk_that_cannot_be_written_can_be_loaded(small_disk, stored):
    path = small_disk / "results.db"
    shutil.copy(stored[0], path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, stored[1].trials)


def test_fresh_on_a_full_disk_loses_nothing(small_disk, stored, tutorial):
    path = small_disk / "results.db"
    shutil.copy(stored[0], path)
    fill(small_disk, leave=65536)
    with pytest.raises(ValueError, match="cannot be written"):
        ol.Experiment(problems=tutorial, optimizers=ol.Lstsq()).run(
            store=path, execution=ol.Execution(fresh=True)
        )
    (small_disk / "filler").unlink()
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, stored[1].trials)


def test_a_full_disk_is_a_usage_error_of_the_command(small_disk, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(EXPERIMENT, encoding="utf-8")
    fill(small_disk)
    command = [Path(sys.executable).with_name("optlab"), "run", script, "--store"]
    done = subprocess.run(
        [*command, small_disk / "r.db"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "r.db cannot be" in done.stderr
    assert "Traceback" not in done.stderr


def test_torch_is_not_asked_to_load_anything(stored, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a results file was unpickled")

    monkeypatch.setattr("pickle.loads", refuse)
    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("cloudpickle.loads", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert len(ol.Results.load(stored[0]).trials) > 0


def write_for_a_while(path, seconds, begun, written):
    with Store(path) as store:
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            store.add(f"k{count}", record_of(), {}, 1)
            count += 1
            begun.set()
    written.put(count)


def test_setting_aside_loses_nothing_that_another_process_writes(tmp_path):
    path, spawn = tmp_path / "s.db", multiprocessing.get_context("spawn")
    begun, written = spawn.Event(), spawn.Queue()
    Store(path).close()
    writer = spawn.Process(target=write_for_a_while, args=(path, 4, begun, written))
    writer.start()
    assert begun.wait(60)
    time.sleep(1.5)
    with Store(path) as store:
        aside = store.archive()
    count = written.get(timeout=60)
    writer.join()
    keys = [{key for (key,) in sql(p, "SELECT key FROM trials")} for p in (path, aside)]
    assert min(map(len, keys)) > 0  # it wrote before and after
    assert len(keys[0] | keys[1]) == count


def test_an_experiment_whose_store_is_set_aside_goes_on_and_is_whole(tmp_path, tutorial):
    path = tmp_path / "s.db"

    def finished(record):
        if record.trial.repeat == 2:
            with Store(path) as other:
                other.archive()

    results = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq(), repeats=4).run(
        store=path, listener=Listener(finished=finished)
    )
    assert list(results.trials["status"]) == ["finished"] * 4
    with Store(path) as store:
        assert min(store.experiments()) > 1  # no number is used again
    loaded = ol.Results.load(path).trials
    assert list(loaded["status"]).count("finished") == 2
    assert len(loaded) == 4


def test_ctrl_c_while_a_finished_trial_is_written_keeps_it(tmp_path, tutorial, monkeypatch):
    add, calls = Store.add, []

    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 2:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("ROLLBACK")
            raise KeyboardInterrupt
        return add(self, *arguments, **keywords)

    monkeypatch.setattr(Store, "add", interrupted)
    path = tmp_path / "s.db"
    results = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq(), repeats=3).run(store=path)
    expected = ["finished", "finished", "interrupted"]
    assert list(results.trials["status"]) == expected
    assert list(ol.Results.load(path).trials["status"]) == expected


def beside(path):
    return {key: bool(c) for key, c in sql(path, "SELECT key, contended FROM trials")}


def test_trials_of_two_processes_that_ran_at_the_same_time_are_contended(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    with Store(path) as store:

        def add(key, experiment, *, started, ended, status=Status.FINISHED):
            monkeypatch.setattr("optlab.lab.store.overlap.time.time", lambda: ended)
            record = record_of()
            record.started, record.status = started, status
            store.add(key, record, {}, experiment)

        add("before", 1, started=0.0, ended=10.0)
        add("skipped", 2, started=11.0, ended=13.0, status=Status.SKIPPED)
        add("short", 2, started=13.0, ended=14.0)
        assert not any(beside(path).values())
        add("long", 1, started=12.0, ended=20.0)
        add("after", 2, started=20.0, ended=21.0)
        add("same process", 2, started=20.5, ended=22.0)
        expected = dict.fromkeys(("before", "skipped", "after", "same process"), False)
        assert beside(path) == expected | {"short": True, "long": True}
        add("after", 1, started=20.2, ended=23.0)  # the same trial, in two processes at once
        assert beside(path)["after"]


def test_the_processes_of_one_file_mark_each_others_trials(tmp_path, tutorial):
    path, other = tmp_path / "s.db", ol.ManualSGD(0.1)

    def started(trial):
        if trial.repeat == 2:
            ol.Experiment(problems=tutorial, optimizers=other, epochs=2).run(store=path)

    experiment = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq(), repeats=3, epochs=2)
    before = experiment.run(
        store=path, listener=Listener(started=started), execution=ol.Execution(isolate=True)
    )
    contended = before.trials.set_index("repeat")["contended"]
    assert contended.tolist() == [False, True, False]
    assert ol.Results.load(path).trials["contended"].sum() == 2


RUNS = """
import time
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
import optlab as ol


@dataclass(frozen=True)
class Sleeps:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        yield ol.Iterate(start)
        print("running", flush=True)
        time.sleep(600)
        yield ol.Iterate(start)


problem = ol.LinearRegression(np.arange(6.0).reshape(6, 1), np.arange(6.0))
ol.Experiment(problems=problem, optimizers=Sleeps(), epochs=9).run(store="s.db")
"""


def test_trials_beside_one_that_still_runs_are_contended_and_not_beside_a_killed_one(
    tmp_path, tutorial
):
    path = tmp_path / "s.db"
    process = subprocess.Popen(
        [sys.executable, "-c", RUNS], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "running\n"
        experiment = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq(), repeats=2)
        assert experiment.run(store=path).trials["contended"].all()
        process.kill()
    other = ol.Experiment(problems=tutorial, optimizers=ol.ManualSGD(), repeats=2, epochs=2)
    assert not other.run(store=path).trials["contended"].any()
    with Store(path) as store:
        assert store._database.execute("SELECT count(*) FROM running").fetchone() == (1,)


def test_a_file_with_code_in_it_is_refused(stored, tmp_path):
    path = tmp_path / "strange.db"
    shutil.copy(stored[0], path)
    sql(path, "ALTER TABLE traces RENAME TO old")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    sql(path, f"CREATE VIEW traces AS {endless}")
    with pytest.raises(StoreError, match="it holds code"):
        ol.Results.load(path)


def test_a_file_that_sqlite_would_not_keep_is_kept(tmp_path, tutorial, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ol.Experiment(problems=tutorial, optimizers=ol.Lstsq()).run(store=":memory:")
    assert len(ol.Results.load(tmp_path / ":memory:").trials) == 1


def test_a_store_whose_path_is_no_utf_8_is_set_aside(tmp_path, tutorial):
    path = tmp_path / os.fsdecode(b"caf\xe9.db")
    experiment = ol.Experiment(problems=tutorial, optimizers=ol.Lstsq())
    experiment.run(store=path)
    experiment.run(store=path, execution=ol.Execution(fresh=True))
    (aside,) = (p for p in tmp_path.glob("*.db") if p != path)
    assert len(ol.Results.load(aside).trials) == len(ol.Results.load(path).trials) == 1
