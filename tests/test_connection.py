"""Files that cannot be used are refused in a sentence, whatever their content and name."""

import random
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import optlab as ol
from optlab.app.cli import app
from optlab.app.exit_status import call
from optlab.lab.store.load import NOT_RUN, read_stores
from optlab.lab.store.schema import SCHEMA_VERSION
from optlab.lab.store.store import Store
from optlab.lab.store.store_error import StoreError, StoreUnavailableError
from tests.commands import program
from tests.planted_store import plant, record_of, sql, tutorial_experiment

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
SCRIPT = """
import optlab as ol
experiment = ol.Experiment(
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=ol.ManualSGD(0.1), epochs=3,
)
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted") / "planted.db")


DAMAGE = {
    "DROP TABLE trials": "no such table",
    "ALTER TABLE trials DROP COLUMN contended": "contended",
    "CREATE TABLE bookmarks (url TEXT); PRAGMA application_id = 5": "not one of optlab's",
    f"PRAGMA user_version = {SCHEMA_VERSION + 1}": "newer optlab",
    "PRAGMA user_version = -1": "newer optlab",
    "PRAGMA user_version = 1": "cannot be opened",
    "PRAGMA user_version = 3": "cannot be opened",
    f"ALTER TABLE trials RENAME TO old; CREATE VIEW trials AS {ENDLESS}": "it holds code",
    "CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END": "it holds code",
    "UPDATE wanted SET experiment = 99": "cannot be read: 99",
    "UPDATE wanted SET trial = '{'": "cannot be read",
    "UPDATE wanted SET trial = '[]'": "cannot be read",
    "UPDATE wanted SET trial = json_set(trial, '$.seed', 'one')": "seed cannot be 'one'",
    "UPDATE experiments SET fingerprints = '{}'": "cannot be read",
    "UPDATE experiments SET fingerprints = json_set(fingerprints, '$.optimizers', json('[]'))":
        "optimizers cannot be",
    "UPDATE experiments SET machine = '{\"torch\": [2]}'": "torch|machine cannot be",
    "UPDATE experiments SET name = zeroblob(9)": "name cannot be",
    "UPDATE experiments SET definition = '5'": "definition cannot be 5",
    "DELETE FROM problems": "no summary of p",
    "UPDATE problems SET summary = json_set(summary, '$.n', 'ten')": "n cannot be 'ten'",
    "UPDATE trials SET parameters = zeroblob(0)": "cannot be read",
    "UPDATE trials SET parameters = substr(parameters, 1, 200)": "cannot be read",
    "UPDATE trials SET parameters = NULL": "cannot be read",
    "UPDATE trials SET parameters = trace": "cannot be read",
    "UPDATE trials SET trace = parameters": "cannot be read",
    "UPDATE trials SET trace = zeroblob(70000)": "cannot be read",
    "UPDATE trials SET status = 'splendid'": "splendid",
    "UPDATE trials SET started = 'noon'": "started cannot be 'noon'",
    "UPDATE trials SET record = json_set(record, '$.seconds', 'long')": "seconds cannot be 'long'",
    "UPDATE trials SET record = json_set(record, '$.message', 5)": "message cannot be 5",
    "UPDATE trials SET record = replace(hex(zeroblob(50000)), '0', '[')": "cannot be read",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_cannot_be_read_is_a_clear_error(planted, tmp_path, damage):
    path = Path(shutil.copy(planted, tmp_path / "given.db"))
    for statement in damage.split("; ") if "TRIGGER" not in damage else [damage]:
        sql(path, statement)
    with pytest.raises(StoreError, match=DAMAGE[damage]) as error:
        ol.Results.load(path)
    assert "given.db" in str(error.value)


def test_files_changed_at_random_are_read_or_refused(planted, tmp_path):
    chance, path, refused = random.Random(0), tmp_path / "given.db", 0
    whole = planted.read_bytes()
    tables = {
        table: [column[1] for column in sql(planted, f"PRAGMA table_info({table})")]
        for (table,) in sql(planted, "SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    values = [None, "", "x", -1, 2**62, 1e308, b"\0" * 30, "[]", '{"a": {}}', "null", b"\x93NUMPY"]
    for turn in range(150):
        content = bytearray(whole)
        if turn % 3 == 0:
            del content[chance.randrange(len(content)) :]
        elif turn % 3 == 1:
            for _ in range(chance.randint(1, 40)):
                content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        if turn % 3 == 2:
            table = chance.choice(sorted(tables))
            column = chance.choice(tables[table])
            try:
                sql(path, f"UPDATE {table} SET {column} = ?", chance.choice(values))
            except Exception:  # a key that must differ, a number that must be one
                continue
        try:
            read_stores([path])
        except StoreError as error:
            refused += 1
            assert "given.db" in str(error)  # noqa: PT017 - most are read, or refused
    assert 50 < refused < 150


@pytest.mark.parametrize("command", ["run", "report", "export"])
@pytest.mark.parametrize("content", [b"optimizer,seconds\n" * 1000, b"SQLite format 3\0" * 500])
def test_the_command_refuses_strangers_files_with_exit_status_2(tmp_path, capsys, command, content):
    script, path = tmp_path / "script.py", tmp_path / "given.db"
    script.write_text(SCRIPT, encoding="utf-8")
    path.write_bytes(content)
    arguments = {
        "run": ["run", str(script), "--store", str(path)],
        "report": ["report", str(path), "-o", str(tmp_path / "r.html")],
        "export": ["export", str(path), "--csv", str(tmp_path / "csv")],
    }
    assert call(app, arguments[command]) == 2
    error = capsys.readouterr().err
    assert "given.db" in error
    assert "Traceback" not in error
    assert path.read_bytes() == content  # nothing of a stranger's file is touched


ODD = ["file:x.db", ":memory:", "a b.db", "100%.db", "%41.db", "what?mode=memory", "a#b.db",
       "it's.db", '"quoted".db', "caf\udce9.db", "file:%2e?cache=shared", ".db",
       "新しい.db"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("relative", [True, False])
def test_a_path_is_a_path_and_fresh_loses_nothing(tmp_path, monkeypatch, name, relative):
    monkeypatch.chdir(tmp_path)
    path = Path(name) if relative else tmp_path / name
    plant(path)
    with Store(path) as store:
        copy = store.archive()
        assert store.records() == []
    assert {file.name for file in tmp_path.iterdir()} == {path.name, copy.name}
    assert len(read_stores([copy]).records) == 3
    plant(path, trials=2)
    assert len(read_stores([path]).records) == 2
    with Store(path) as store:
        assert store.archive() != copy


@pytest.mark.parametrize("kind", ["symlink_to", "hardlink_to"])
def test_a_store_behind_a_link_is_archived_whole(tmp_path, kind):
    real, link = plant(tmp_path / "real.db"), tmp_path / "link.db"
    getattr(link, kind)(real)
    with Store(link) as store:
        copy = store.archive()
    assert len(read_stores([copy]).records) == 3
    assert read_stores([real]).records == []
    with pytest.raises(StoreError, match="named twice"):
        read_stores([real, link])


def test_fresh_keeps_each_earlier_run(tmp_path):
    path = tmp_path / "results.db"
    first = tutorial_experiment(repeats=2).run(store=path)
    for _ in range(2):
        tutorial_experiment().run(store=path, execution=ol.Execution(fresh=True))
    archived = sorted(tmp_path.glob("results-*.db"))
    assert [len(ol.Results.load(file).trials) for file in archived] == [2, 1]
    pd.testing.assert_frame_equal(ol.Results.load(archived[0]).traces, first.traces)
    assert len(ol.Results.load(path).trials) == 1
    assert {sql(file, "PRAGMA integrity_check")[0] for file in archived} == {("ok",)}


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of a size, as nothing else shows what a full one does."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"a tmpfs cannot be mounted here: {error}")
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", "-q", str(folder)], check=False)


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def write_until_an_error(path):
    kept = -1
    try:
        plant(path, trials=0)
        for kept in range(1000):
            with Store(path) as store:
                store.add(f"k{kept}", record_of(parameters={"weight": [1.0] * 100}), {}, 1)
    except StoreError as error:
        return kept, error


def test_a_disk_that_fills_at_any_write_is_a_clear_error_and_nothing_is_lost(small_disk):
    for size in range(16, 200, 12):
        folder = small_disk(size)
        path = folder / "results.db"
        kept, error = write_until_an_error(path)
        assert "results.db cannot be" in str(error)
        assert isinstance(error, StoreUnavailableError) or "disk I/O error" in str(error)
        if kept > 0:
            assert sql(path, "SELECT count(*) FROM trials") == [(kept,)]
            assert sql(path, "PRAGMA integrity_check") == [("ok",)]
            with Store(path, create=False) as store:
                assert len(store.records()) == kept
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_in_mid_run_keeps_what_was_told(small_disk):
    path = small_disk(200) / "results.db"
    with pytest.raises(
        StoreUnavailableError, match=r"the disk is full.*run the same command again"
    ):
        tutorial_experiment(optimizers=ol.ManualSGD(0.1), epochs=50, repeats=100).run(store=path)
    loaded = ol.Results.load(path).trials
    kept = loaded[loaded["status"] == "finished"]
    assert 5 < len(kept) < len(loaded) == 100
    assert set(loaded["message"].drop(kept.index)) == {NOT_RUN}


def test_results_on_a_full_or_unwritable_disk_are_loaded_and_fresh_loses_nothing(
    small_disk, planted
):
    folder = small_disk(1000)
    path = Path(shutil.copy(planted, folder / "results.db"))
    fill(folder)
    for mode in ("rw", "ro"):
        subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)
        assert len(read_stores([path]).records) == 3
        with pytest.raises(StoreError, match="cannot be"), Store(path) as store:
            store.archive()
        assert len(read_stores([path]).records) == 3
    assert {file.name for file in folder.iterdir()} == {"filler", "results.db"}


def test_a_full_disk_ends_the_command_without_a_traceback(small_disk, tmp_path):
    script, folder = tmp_path / "script.py", small_disk(64)
    script.write_text(SCRIPT, encoding="utf-8")
    fill(folder)
    command = [program("optlab"), "run", script, "--store", folder / "r.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "r.db cannot be" in done.stderr
    assert "Traceback" not in done.stderr
