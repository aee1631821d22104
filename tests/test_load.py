"""Results files are loaded as the last experiment in each would see them."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.lab.store.load import NOT_RUN, _all_asked, read_stores
from optlab.lab.store.store import Store
from tests.planted_store import plant, record_of, sql

DATASET = ol.datasets.tutorial().standardized()


def run(path, *, dataset=DATASET, name="data", optimizers=None, **axes):
    experiment = ol.Experiment(
        name=axes.pop("experiment", "e"),
        problems=ol.LinearRegression.from_dataset(dataset, name=name),
        optimizers=optimizers or {"sgd": ol.ManualSGD(0.1)},
        **({"epochs": 4} | axes),
    )
    return experiment.run(store=path, execution=ol.Execution(threads=1))


def changed():
    dataset = ol.datasets.tutorial().standardized()
    dataset.y[0] += 1
    return dataset


def test_an_earlier_experiment_that_is_run_again_is_what_is_loaded(tmp_path):
    path = tmp_path / "s.db"
    first = run(path, epochs=4, seeds=[0, 1])
    run(path, epochs=2, seeds=[0, 1])
    assert set(ol.Results.load(path).trials["epochs"]) == {2}
    run(path, epochs=4, seeds=[0, 1])  # nothing is run: it is all there
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, first.trials)


def test_trials_of_data_that_changed_are_left_out_and_counted(tmp_path):
    path = tmp_path / "s.db"
    run(path, seeds=range(5))
    new = run(path, dataset=changed(), seeds=[0, 1])
    loaded = ol.Results.load(path)
    pd.testing.assert_frame_equal(loaded.trials, new.trials)
    assert loaded.definition["left out"] == "5 trials of other data or code of problem 'data'"
    assert loaded.problems["data"].reference_loss.loss == new.problems["data"].reference_loss.loss
    back = run(path, seeds=range(5))
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, back.trials)


def test_trials_of_an_optimizer_that_changed_under_its_name_are_left_out(tmp_path):
    path = tmp_path / "s.db"
    both = {"sgd": ol.ManualSGD(0.1), "lstsq": ol.Lstsq()}
    run(path, optimizers=both, seeds=range(3))
    run(path, optimizers={"sgd": ol.ManualSGD(0.2)}, seeds=[0])
    trials = ol.Results.load(path).trials
    assert list(trials["optimizer"]).count("lstsq") == 3  # as it was: it belongs to the file
    assert trials.loc[trials["optimizer"] == "sgd", "hp_learning_rate"].tolist() == [0.2]


def test_trials_of_another_budget_or_other_threads_are_not_set_beside_the_last(tmp_path):
    path = tmp_path / "s.db"
    both = {"a": ol.ManualSGD(0.1), "b": ol.ManualSGD(0.1)}
    run(path, optimizers=both, epochs=50, repeats=5)
    run(path, optimizers={"a": ol.ManualSGD(0.1)}, epochs=2, repeats=3)
    loaded = ol.Results.load(path)
    assert loaded.trials["epochs"].tolist() == [2] * 3
    assert loaded.definition["left out"] == (
        "10 trials of another budget or other threads (epochs 50, recorded_epochs growing, "
        "threads 1; the last: epochs 2, recorded_epochs growing, threads 1)"
    )
    problem = ol.LinearRegression.from_dataset(DATASET, name="data")
    experiment = ol.Experiment(name="e", problems=problem, optimizers={"a": ol.ManualSGD(0.1)},
                               epochs=2)  # fmt: skip
    experiment.run(store=path, execution=ol.Execution(threads=2))
    assert len(ol.Results.load(path).trials) == 1


@dataclass(frozen=True)
class Stops:
    at: int
    uses_batches: ClassVar[bool] = True
    begun: ClassVar[list[int]] = []

    def iterates(self, problem, batches, start):
        Stops.begun.append(1)
        if len(Stops.begun) > self.at:
            raise KeyboardInterrupt
        yield ol.Iterate(start)


def test_what_was_asked_for_and_not_run_has_its_row(tmp_path):
    path = tmp_path / "s.db"
    results = run(path, optimizers=Stops(at=4), seeds=range(6))
    assert list(results.trials["status"]).count("finished") == 2
    loaded = ol.Results.load(path).trials
    assert list(loaded["status"]).count("finished") == 2
    assert list(loaded["message"]).count("stopped by Ctrl-C or SIGTERM") == 1
    assert list(loaded["message"]).count(NOT_RUN) == 3
    assert list(loaded["seed"]) == list(range(6))


REASONS = {
    "machine": "other versions or another machine (torch 1.0; the last: 2)",
    "code": "other code of optlab (linalg, trial)",
    "nothing": "other code of optlab",
}


@pytest.mark.parametrize("what", REASONS)
def test_trials_of_changed_surroundings_are_left_out_and_the_part_is_named(tmp_path, what):
    path = plant(tmp_path / "s.db", trials=2)
    fingerprints = "fingerprints = json_set(fingerprints, '$.surroundings', 'other', '$.code', "
    change = {
        "machine": """json('{}')), machine = '{"torch": "1.0"}'""",
        "code": """json('{"trial": "a", "linalg": "b"}'))""",
        "nothing": "json('{}'))",
    }
    with Store(path) as store:
        last = store.experiments()[1]
        sql(path, f"UPDATE experiments SET {fingerprints}{change[what]}")
        store.begin_experiment(*last, {"new": record_of(5).trial})
    loaded = read_stores([path])
    assert [record.message for record in loaded.records] == [NOT_RUN]
    assert loaded.definition["left out"] == f"2 trials of {REASONS[what]}"


def test_the_definition_of_several_experiments_in_a_file_has_the_axes_of_all(tmp_path):
    path = tmp_path / "s.db"
    run(path, seeds=[1, 2], repeats=2)
    run(path, seeds=[5], optimizers=[ol.Lstsq()])
    loaded = ol.Results.load(path)
    assert loaded.definition["seeds"] == [1, 2, 5]
    assert loaded.definition["repeats"] == 2
    assert list(loaded.definition["optimizers"]) == ["sgd", "Lstsq"]
    assert set(loaded.trials["seed"]) == {1, 2, 5}


@pytest.mark.parametrize(
    ("asked", "merged"), [([1, "auto"], "auto"), (["auto", 1], "auto"), ([3, "auto"], 3)]
)
def test_repeats_of_short_trials_are_what_was_asked_for_unless_a_number_was(asked, merged):
    assert _all_asked([{"repeats": repeats} for repeats in asked]) == {"repeats": merged}


def test_without_a_file_there_is_nothing_to_load():
    with pytest.raises(ValueError, match="name at least one results file"):
        ol.Results.load()


def test_a_project_that_has_moved_is_known_again(tmp_path, monkeypatch):
    from optlab.app.script import load_experiment

    monkeypatch.setattr(sys, "path", list(sys.path))

    source = (
        "import helper\nimport optlab as ol\n"
        "class Mine:\n    uses_batches = True\n"
        "    def iterates(self, problem, batches, start):\n"
        "        yield from ol.ManualSGD(helper.RATE).iterates(problem, batches, start)\n"
        "problem = ol.LinearRegression([[0.0], [1.0]], [1.0, 2.0])\n"
        "experiment = ol.Experiment(problems=problem, optimizers=Mine(), epochs=2)\n"
    )
    ran = []
    for place, script in (("zzz", "a_moved.py"), ("aaa", "z_moved.py")):
        (tmp_path / place).mkdir()
        (tmp_path / place / script).write_text(source)
        (tmp_path / place / "helper.py").write_text("RATE = 0.1\n")
        results = load_experiment(tmp_path / place / script).run(store=tmp_path / "s.db")
        ran.append(results.trials["seconds"].item())
        del sys.modules["helper"]
    assert ran[0] == ran[1]  # to the last bit: it is the first run's


def test_a_file_named_twice_is_refused(tmp_path, monkeypatch):
    run(tmp_path / "s.db")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="named twice"):
        ol.Results.load("s.db", tmp_path / "s.db")


def test_a_file_of_no_bytes_is_said_to_be_empty(tmp_path):
    (tmp_path / "s.db").touch()
    with pytest.raises(ValueError, match="is empty"):
        ol.Results.load(tmp_path / "s.db")


def test_a_file_in_which_nothing_was_begun_is_empty_and_can_be_written_out(tmp_path):
    Store(tmp_path / "s.db").close()
    results = ol.Results.load(tmp_path / "s.db")
    assert results.trials.empty
    assert results.traces.empty
    for kind in ("csv", "latex", "parquet"):
        assert len(results.export(tmp_path / kind, kind)) == 5
    assert "No trial ended" in results.report(tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="there is no trial"):
        results.figures()


def test_numpys_numbers_are_stored_as_numbers(tmp_path):
    run(tmp_path / "s.db", epochs=np.int64(5), stop_at=np.float32(1e-3), repeats=np.int64(2))
    loaded = ol.Results.load(tmp_path / "s.db")
    asked = [loaded.definition[name] for name in ("epochs", "repeats")]
    assert asked == [5, 2]
    assert loaded.definition["stop_at"] == pytest.approx(1e-3, rel=1e-7)
    loaded.report(tmp_path / "page.html")


def test_a_file_whose_share_to_stop_at_is_no_longer_allowed_is_read(tmp_path):
    """Older versions took any positive share of the start's suboptimality."""
    path = Path(shutil.copy(Path(__file__).with_name("data") / "schema3.db", tmp_path / "old.db"))
    with closing(sqlite3.connect(path)) as database, database:
        (definition,) = database.execute("SELECT definition FROM experiments").fetchone()
        changed = json.dumps(json.loads(definition) | {"target": 2.0})
        database.execute("UPDATE experiments SET definition = ?", [changed])
    assert len(ol.Results.load(path).trials) == 10
