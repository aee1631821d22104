"""Several results files as one: each name means one thing, each trial counts once."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

import optlab as ol
from optlab.lab.store.load import read_stores
from optlab.lab.store.merge import _Names, free_name
from tests.planted_store import plant, sql
from tests.test_load import changed, run


def test_the_repeats_of_a_second_file_go_on_counting(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, repeats=2)
    run(two, repeats=3)
    loaded = ol.Results.load(one, two)
    assert loaded.trials["repeat"].tolist() == [1, 2, 3, 4, 5]
    assert loaded.trials["trial"].tolist() == [0, 1, 2, 3, 4]
    assert list(loaded.problems) == ["data"]


def test_files_of_different_budgets_are_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, epochs=4)
    run(two, epochs=2, stop_at=1e-3)
    loaded = ol.Results.load(one, two)
    assert loaded.trials["optimizer"].tolist() == ["sgd", "sgd (two)"]
    assert len(loaded.summary()) == 2  # never one row with epochs that no run had
    assert loaded.definition["settings"] == (
        "epochs 4, recorded_epochs growing, threads 1; "
        "epochs 2, stop_at 0.001, recorded_epochs growing, threads 1"
    )
    files = loaded.definition["files"]
    assert [own["epochs"] for own in files.values()] == [4, 2]
    assert list(files["two.db"]["optimizers"]) == ["sgd (two)"]
    assert loaded.definition["stop_at"] is None
    page = loaded.report(tmp_path / "page.html")
    assert "The files differ in budget or threads" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("same", [True, False])
def test_files_of_different_code_of_optlab_are_told_apart(tmp_path, same):
    for name, code in (("one", "a"), ("two", "a" if same else "b")):
        path = plant(tmp_path / f"{name}.db")
        sql(path, "UPDATE experiments SET fingerprints = json_set(fingerprints, '$.code.trial', ?)",
            code)  # fmt: skip
        sql(path, "UPDATE trials SET started = started + ?", code == "b")
    loaded = read_stores([tmp_path / "one.db", tmp_path / "two.db"])
    optimizers = ["o"] * 3 if same else ["o"] * 3 + ["o (two)"] * 3
    assert [record.trial.optimizer for record in loaded.records] == optimizers


def test_a_file_and_its_copy_count_once(tmp_path):
    one = tmp_path / "one.db"
    results = run(one, repeats=2)
    copy = shutil.copy(one, tmp_path / "copy.db")
    loaded = ol.Results.load(one, copy)
    assert loaded.definition["counted once"] == "2 trials that several of the files hold"
    assert "files" not in loaded.definition
    pd.testing.assert_frame_equal(loaded.trials, results.trials)
    run(copy, repeats=3)  # the copy goes on, and so does the file
    run(one, repeats=4)
    loaded = ol.Results.load(one, copy)
    assert loaded.definition["counted once"].startswith("2 trials")
    assert loaded.trials["repeat"].tolist() == [1, 2, 3, 4, 7]
    assert len(loaded.trials[["first_pass_seconds", "seconds"]].drop_duplicates()) == 5


def test_an_interrupted_trial_gives_way_to_one_that_another_file_ended(tmp_path):
    one, two = plant(tmp_path / "one.db"), plant(tmp_path / "two.db")
    sql(one, "DELETE FROM trials WHERE key = 'k0'")
    sql(one, "UPDATE trials SET status = 'interrupted' WHERE key = 'k1'")
    for files in ([one, two], [two, one]):
        loaded = read_stores(files)
        assert {record.status for record in loaded.records} == {"finished"}
        assert sorted(record.trial.seed for record in loaded.records) == [0, 1, 2]
        assert {record.trial.repeat for record in loaded.records} == {1}


def test_each_trial_tells_its_file(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        path = plant(tmp_path / folder / "s.db", trials=1)
        sql(path, "UPDATE trials SET started = ?", ord(folder))
    loaded = read_stores([tmp_path / "a" / "s.db", tmp_path / "b" / "s.db"])
    assert [record.file for record in loaded.records] == ["s.db", "s.db (s)"]
    assert list(loaded.definition["files"]) == ["s.db", "s.db (s)"]
    assert [r.file for r in read_stores([tmp_path / "a" / "s.db"]).records] == [""]


def test_a_name_is_found_at_a_cost_that_does_not_grow(tmp_path):
    taken = {"o", *(f"o (s{number or ''})" for number in range(3))}
    assert free_name("o", Path("s.db"), taken) == "o (s3)"
    names, own = _Names(), {f"o{number}": number for number in range(2000)}
    assert names.resolve(own, Path("a.db")) == {name: name for name in own}
    assert names.resolve(own, Path("b.db")) == {name: name for name in own}
    other = names.resolve(dict.fromkeys(own, -1), Path("c.db"))
    assert other == {name: f"{name} (c)" for name in own}


def test_another_problem_of_the_same_name_is_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one)
    other = run(two, dataset=changed())
    loaded = ol.Results.load(one, two)
    assert loaded.trials["problem"].tolist() == ["data", "data (two)"]
    facts = loaded.problems["data (two)"]
    assert (facts.name, facts.reference_loss.loss) == (
        "data (two)",
        other.problems["data"].reference_loss.loss,
    )
    assert loaded.trials["repeat"].tolist() == [1, 1]


def test_another_optimizer_of_the_same_name_is_told_apart(tmp_path):
    one, two, three = (tmp_path / f"{name}.db" for name in ("one", "two", "three"))
    run(one, optimizers={"sgd": ol.ManualSGD(0.1), "same": ol.Lstsq()})
    run(two, optimizers={"sgd": ol.ManualSGD(0.2), "same": ol.Lstsq()})
    loaded = ol.Results.load(one, two)
    assert loaded.trials["optimizer"].tolist() == ["sgd", "same", "sgd (two)", "same"]
    files = loaded.definition["files"]
    assert list(files["two.db"]["optimizers"]) == ["sgd (two)", "same"]
    run(three, optimizers={"sgd": ol.ManualSGD(0.2)})
    trials = ol.Results.load(one, two, three).trials
    assert trials["optimizer"].tolist()[4:] == ["sgd (two)"]  # it keeps the name it was given


@dataclass(frozen=True)
class Stays:
    learning_rate: float
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        for _ in batches:
            yield ol.Iterate(start)


def test_another_class_of_the_same_name_and_hyperparameters_is_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, optimizers={"x": ol.ManualSGD(0.1)})
    run(two, optimizers={"x": Stays(0.1)})
    assert ol.Results.load(one, two).trials["optimizer"].tolist() == ["x", "x (two)"]


class StaysToo(Stays):
    """The same class name, by another source, in another file."""


def test_other_source_of_the_same_name_and_hyperparameters_is_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    StaysToo.__name__ = Stays.__name__
    run(one, optimizers={"x": Stays(0.1)})
    run(two, optimizers={"x": StaysToo(0.1)})
    assert ol.Results.load(one, two).trials["optimizer"].tolist() == ["x", "x (two)"]


def test_a_new_name_is_none_that_the_file_has_itself(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, optimizers={"m": ol.ManualSGD(0.1)})
    run(two, optimizers={"m": ol.ManualSGD(0.2), "m (two)": ol.ManualSGD(0.3)})
    loaded = ol.Results.load(one, two)
    assert loaded.trials["optimizer"].tolist() == ["m", "m (two2)", "m (two)"]
    assert loaded.trials["hp_learning_rate"].tolist() == [0.1, 0.2, 0.3]


def test_machines_and_names_are_those_of_the_experiments_that_ran_the_trials(tmp_path, monkeypatch):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, experiment="at home")
    monkeypatch.setattr("optlab.lab.trial.run.machine_label", lambda: "abacus, 1 core")
    monkeypatch.setattr("optlab.lab.resume.machine", lambda *_: {"processor": "abacus"})
    run(two, experiment="away")
    loaded = ol.Results.load(one, two)
    assert loaded.name == "at home + away"
    assert loaded.machine["processor"].endswith("; abacus")
    assert loaded.trials["machine"].iloc[1] == "abacus, 1 core"
    assert loaded.trials["machine"].iloc[0] != "abacus, 1 core"
