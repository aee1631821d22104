"""Results files of every schema there has been, read and migrated."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.lab.store.encoding import bytes_to_arrays
from optlab.lab.store.schema import SCHEMA_VERSION
from optlab.lab.store.store import Store
from tests.planted_store import sql, tutorial_experiment

SAMPLES = Path(__file__).parent / "data"
VERSIONS = range(1, SCHEMA_VERSION + 1)
OLD = VERSIONS[:-1]
WITH_COLUMNS = VERSIONS[:3]
"""A trial's facts are columns in these, not JSON."""


@pytest.fixture
def file(tmp_path):
    return lambda version: Path(shutil.copy(SAMPLES / f"schema{version}.db", tmp_path / "old.db"))


def kinds(results):
    """The material of a page: the columns of the tables, and what is known of the problems."""
    tables = [table.dtypes.astype(str).to_dict() for table in (results.trials, results.traces)]
    facts = {name: vars(problem) for name, problem in results.problems.items()}
    return tables, {name: {k for k in own if own[k] is not None} for name, own in facts.items()}


@pytest.fixture(scope="module")
def newest():
    return ol.Results.load(SAMPLES / f"schema{SCHEMA_VERSION}.db")


@pytest.mark.parametrize("version", VERSIONS)
def test_there_is_a_sample_of_every_schema_and_it_can_be_read_reported_and_exported(
    version, newest, file, tmp_path
):
    path = file(version)
    before = path.read_bytes()
    results = ol.Results.load(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert sql(path, "PRAGMA user_version") == [(version,)]
    counts = results.trials["status"].value_counts().to_dict()
    assert counts == {"skipped": 5, "finished": 3, "diverged": 2}
    assert (results.definition["epochs"], results.definition["recorded_epochs"]) == (30, "growing")
    assert results.definition["stop_at"] is None
    assert kinds(results) == kinds(newest)  # so that the page of one tells of the others
    if version in {1, SCHEMA_VERSION}:
        assert "old" in results.report(tmp_path / "page.html").read_text(encoding="utf-8")
    written = {path.stem for path in results.export(tmp_path / "csv", "csv")}
    assert written >= {"trials", "traces", "summary", "parameters", "references"}


@pytest.mark.parametrize("version", WITH_COLUMNS)
def test_every_number_of_an_old_file_is_the_one_that_was_written(version, file):
    path = file(version)
    results = ol.Results.load(path)
    rows = sql(path, "SELECT key, json_extract(trial, '$.optimizer', '$.batch_size', '$.device'),"
                     " seconds, message, parameters FROM trials")  # fmt: skip
    trials = results.trials
    assert sorted(trials["message"]) == sorted(row[3] for row in rows)
    assert set(trials["seconds"].dropna()) == {row[2] for row in rows} - {None}
    with closing(sqlite3.connect(path)) as database:
        columns = [c for c in results.traces if c not in ("trial", "steps")]
        columns = [c for c in columns if c in str(sql(path, "SELECT sql FROM sqlite_master"))]
        traces = pd.read_sql(f"SELECT {', '.join(columns)} FROM traces", database)
    assert len(columns) >= 8
    order = ["seconds", "epoch", "loss"]
    mine = results.traces[columns].sort_values(order, ignore_index=True)
    its = traces.sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(mine, its, check_dtype=False, check_exact=True)
    kept = {bytes_to_arrays(row[4])["weight"].tobytes() for row in rows if row[2] is not None}
    assert kept == {
        results.parameters(n)["weight"].tobytes() for n in trials["trial"][trials["epochs"] > 0]
    }


@pytest.mark.parametrize("version", OLD)
def test_an_old_file_that_is_written_is_migrated_and_a_copy_stays(version, file, tmp_path):
    path = file(version)
    before = ol.Results.load(path)
    with Store(path):
        pass
    assert sql(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    (copy,) = set(tmp_path.glob("*.db")) - {path}
    assert sql(copy, "PRAGMA user_version") == [(version,)]
    for own in (path, copy):
        pd.testing.assert_frame_equal(ol.Results.load(own).trials, before.trials)
        pd.testing.assert_frame_equal(ol.Results.load(own).traces, before.traces)
    tutorial_experiment(name="new").run(store=path)
    assert list(ol.Results.load(path).trials["optimizer"]) == ["Lstsq"]
    assert sql(path, "SELECT count(*) FROM trials") == [(11,)]
    assert sql(path, "SELECT max(id) FROM experiments") == [(2,)]


@pytest.mark.parametrize("version", OLD)
def test_the_optimum_of_an_old_file_is_a_certified_reference(version, file):
    path = file(version)
    column = "summary" if version == 4 else "facts"
    ((text,),) = sql(path, f"SELECT {column} FROM problems")
    was = json.loads(text)
    (facts,) = ol.Results.load(path).problems.values()
    found = facts.reference
    assert (found.kind, found.loss, found.unique) == ("certified", was["optimum_loss"], True)
    assert (found.trusted, found.message) == (True, was["certificate"]["message"])
    assert found.certificate == was["certificate"]
    right = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()).reference()
    np.testing.assert_allclose(facts.parameters["weight"], right.parameters["weight"], rtol=1e-14)


@pytest.mark.parametrize("version", OLD)
def test_a_migration_that_is_cut_off_changes_nothing(version, file, monkeypatch):
    path = file(version)
    before = path.read_bytes()

    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("optlab.lab.store.migrate._with_reference", cut_off)
    with pytest.raises(KeyboardInterrupt):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("write", [False, True])
def test_the_log_that_an_older_version_left_is_read(file, tmp_path, write):
    path = file(3)
    live = sqlite3.connect(path)
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("UPDATE trials SET message = 'from the log' WHERE status = 'finished'")
    live.commit()
    killed = tmp_path / "killed.db"
    for suffix in ("", "-wal"):  # as they are when the process is killed here
        shutil.copy(f"{path}{suffix}", f"{killed}{suffix}")
    live.close()
    files = {p.name: p.read_bytes() for p in tmp_path.glob("killed*")}
    if write:
        Store(killed).close()
    messages = list(ol.Results.load(killed).trials["message"])
    assert messages.count("from the log") == 3
    assert write or files == {p.name: p.read_bytes() for p in tmp_path.glob("killed*")}


def test_a_new_field_of_a_record_needs_no_new_schema(tmp_path):
    from tests.planted_store import plant

    path = plant(tmp_path / "s.db")
    sql(path, "UPDATE trials SET record = json_set(record, '$.of_tomorrow', 5)")
    sql(path, "UPDATE trials SET record = json_remove(record, '$.cores_short', '$.traceback')")
    with Store(path, create=False) as store:
        for _, _, record in store.records():
            assert np.isnan(record.cores_short)
            assert record.traceback == ""
