"""Results files, read again: as the last experiment in each would see them, and several."""

import json
import shutil
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from optlab.lab.store.load import NOT_RUN
from optlab.lab.store.store import Store

DATASET = ol.datasets.tutorial().standardized()


def run(path, *, dataset=DATASET, name="data", optimizers=None, **axes):
    experiment = ol.Experiment(
        name=axes.pop("experiment", "e"),
        problems=ol.LinearRegression.from_dataset(dataset, name=name),
        optimizers=optimizers or {"sgd": ol.ManualSGD(0.1)},
        **({"epochs": 4} | axes),
    )
    return experiment.run(store=path, threads=1)


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
    assert (
        loaded.definition["left out"]
        == "5 trials of data, code, a budget, threads, versions or a machine changed since"
    )
    assert loaded.problems["data"].optimum_loss == new.problems["data"].optimum_loss
    back = run(path, seeds=range(5))
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, back.trials)


def test_trials_of_an_optimizer_that_changed_under_its_name_are_left_out(tmp_path):
    path = tmp_path / "s.db"
    both = {"sgd": ol.ManualSGD(0.1), "lstsq": ol.Lstsq()}
    run(path, optimizers=both, seeds=range(3))
    run(path, optimizers={"sgd": ol.ManualSGD(0.2)}, seeds=[0])
    trials = ol.Results.load(path).trials
    assert list(trials["optimizer"]).count("lstsq") == 3  # as it was: it belongs to the file
    assert trials.loc[trials["optimizer"] == "sgd", "hyperparameters"].tolist() == [
        '{"learning_rate": 0.2}'
    ]


def test_trials_of_another_budget_or_other_threads_are_not_set_beside_the_last(tmp_path):
    path = tmp_path / "s.db"
    both = {
        "a": ol.ManualSGD(0.1),
        "b": ol.ManualSGD(
            0.1,
        ),
    }
    run(path, optimizers=both, epochs=50, repeats=5)
    run(path, optimizers={"a": ol.ManualSGD(0.1)}, epochs=2, repeats=3)
    loaded = ol.Results.load(path)
    assert loaded.trials["epochs"].tolist() == [2] * 3
    assert loaded.definition["left out"].startswith("10 trials")
    problem = ol.LinearRegression.from_dataset(DATASET, name="data")
    experiment = ol.Experiment(name="e", problems=problem, optimizers={"a": ol.ManualSGD(0.1)},
                               epochs=2)  # fmt: skip
    experiment.run(store=path, threads=2)
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


def test_the_repeats_of_a_second_file_go_on_counting(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, repeats=2)
    run(two, repeats=3)
    loaded = ol.Results.load(one, two)
    assert loaded.trials["repeat"].tolist() == [1, 2, 3, 4, 5]
    assert loaded.trials["trial"].tolist() == [0, 1, 2, 3, 4]
    assert list(loaded.problems) == ["data"]


def test_files_of_different_budgets_say_so(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, epochs=4)
    run(two, epochs=2, stop_at=1e-3)
    assert ol.Results.load(one, two).definition["settings"] == (
        "epochs 4, recorded_epochs growing, threads 1; epochs 2, stop_at 0.001, recorded_epochs growing, threads 1"
    )
    three = shutil.copy(one, tmp_path / "three.db")
    assert "settings" not in ol.Results.load(one, three).definition
    merged = ol.Results.load(one, two).definition
    assert [own["epochs"] for own in merged["files"].values()] == [4, 2]
    assert merged["stop_at"] is None
    page = ol.Results.load(one, two).report(tmp_path / "page.html")
    assert "The files differ in budget or threads" in page.read_text(encoding="utf-8")


def test_another_problem_of_the_same_name_is_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one)
    other = run(two, dataset=changed())
    loaded = ol.Results.load(one, two)
    assert loaded.trials["problem"].tolist() == ["data", "data (two)"]
    facts = loaded.problems["data (two)"]
    assert (facts.name, facts.optimum_loss) == ("data (two)", other.problems["data"].optimum_loss)
    assert loaded.trials["repeat"].tolist() == [1, 1]


def test_another_optimizer_of_the_same_name_is_told_apart(tmp_path):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, optimizers={"sgd": ol.ManualSGD(0.1), "same": ol.Lstsq()})
    run(two, optimizers={"sgd": ol.ManualSGD(0.2), "same": ol.Lstsq()})
    trials = ol.Results.load(one, two).trials
    assert trials["optimizer"].tolist() == ["sgd", "same", "sgd (two)", "same"]
    files = ol.Results.load(one, two).definition["files"]
    assert list(files) == ["one.db", "two.db"]
    assert list(files["two.db"]["optimizers"]) == ["sgd (two)", "same"]
    assert trials["repeat"].tolist() == [1, 1, 2, 2] or trials["repeat"].tolist() == [1, 1, 1, 2]
    three = shutil.copy(two, tmp_path / "three.db")
    trials = ol.Results.load(one, two, three).trials
    assert trials["optimizer"].tolist()[4:] == ["sgd (two)", "same"]


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
    rates = [json.loads(text)["learning_rate"] for text in loaded.trials["hyperparameters"]]
    assert rates == [0.1, 0.2, 0.3]


def test_trials_of_changed_surroundings_are_left_out_and_counted(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    run(path, seeds=[1, 2])
    monkeypatch.setattr("optlab.lab.resume.surroundings", lambda threads: f"new torch, {threads}")
    new = run(path, seeds=[1])
    loaded = ol.Results.load(path)
    pd.testing.assert_frame_equal(loaded.trials, new.trials)
    assert loaded.definition["left out"].startswith("2 trials")


def test_the_definition_of_several_experiments_in_a_file_has_the_axes_of_all(tmp_path):
    path = tmp_path / "s.db"
    run(path, seeds=[1, 2], repeats=2)
    run(path, seeds=[5], optimizers=[ol.Lstsq()])
    loaded = ol.Results.load(path)
    assert loaded.definition["seeds"] == [1, 2, 5]
    assert loaded.definition["repeats"] == 2
    assert list(loaded.definition["optimizers"]) == ["sgd", "Lstsq"]
    assert set(loaded.trials["seed"]) == {1, 2, 5}


def test_without_a_file_there_is_nothing_to_load():
    with pytest.raises(ValueError, match="name at least one results file"):
        ol.Results.load()


def test_perfect_fits_of_other_data_are_told_apart(tmp_path):
    for name, slope in (("one", 2.0), ("two", 3.0)):
        X = np.arange(12.0).reshape(6, 2) % 5
        problem = ol.LinearRegression(X, X @ [1.0, slope] + 1, name="p")
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(store=tmp_path / f"{name}.db")
    copy = shutil.copy(tmp_path / "one.db", tmp_path / "three.db")
    files = tmp_path / "one.db", tmp_path / "two.db", copy
    loaded = ol.Results.load(*files).trials
    assert loaded["problem"].tolist() == ["p", "p (two)", "p"]
    assert loaded["repeat"].tolist() == [1, 1, 2]
    copy = shutil.copy(tmp_path / "two.db", tmp_path / "four.db")
    loaded = ol.Results.load(*files, copy).trials  # known again under the name it was given
    assert loaded["problem"].tolist() == ["p", "p (two)", "p", "p (two)"]


def test_machines_and_names_are_those_of_the_experiments_that_ran_the_trials(tmp_path, monkeypatch):
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    run(one, experiment="at home")
    monkeypatch.setattr("optlab.lab.trial.run.machine_label", lambda: "abacus, 1 core")
    monkeypatch.setattr("optlab.lab.resume.machine", lambda: {"processor": "abacus"})
    run(two, experiment="away")
    loaded = ol.Results.load(one, two)
    assert loaded.name == "at home + away"
    assert loaded.machine["processor"].endswith("; abacus")
    assert loaded.trials["machine"].iloc[1] == "abacus, 1 core"
    assert loaded.trials["machine"].iloc[0] != "abacus, 1 core"


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


@pytest.mark.parametrize("kind", ["failed", "contended", "unmeasured"])
def test_redo_runs_again_what_is_of_its_kind_alone(tmp_path, kind):
    path, log = tmp_path / "s.db", tmp_path / "log"
    both = {"good": Counts(str(log), fails=False), "bad": Counts(str(log), fails=True)}
    experiment = ol.Experiment(
        problems=ol.LinearRegression.from_dataset(DATASET), optimizers=both, epochs=2
    )
    beside = {"jobs": 2} if kind == "contended" else {}
    first = experiment.run(store=path, threads=1, **beside).trials.set_index("optimizer")
    assert first["status"].tolist() == ["finished", "failed"]
    measure = {"measure_memory": kind == "unmeasured"}
    log.write_text("")
    experiment.run(store=path, threads=1, **measure)
    assert log.read_text() == ""
    again = experiment.run(store=path, threads=1, redo=[kind], **measure)
    began = set(log.read_text().split())
    assert began == {"failed": {"bad"}, "contended": {"good", "bad"}, "unmeasured": {"good"}}[kind]
    table = again.trials.set_index("optimizer")
    assert table["status"].tolist() == ["finished", "failed"]
    assert not table["contended"].any()
    if kind == "unmeasured" and pd.notna(table["peak_bytes"]["good"]):
        assert pd.isna(first["peak_bytes"]["good"])
    assert table["seconds"]["good"] != first["seconds"]["good"] or kind == "failed"
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, again.trials)


@dataclass(frozen=True)
class Counts:
    """Descends, or fails, and tells a file that it was begun."""

    log: str
    fails: bool
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        with open(self.log, "a") as file:  # noqa: PTH123 - as short as that
            file.write("bad\n" if self.fails else "good\n")
        if self.fails:
            raise ArithmeticError("planted")
        yield from ol.ManualSGD(0.1).iterates(problem, batches, start)


@dataclass(frozen=True)
class FailsThenIsStopped:
    log: str
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        import pathlib

        if pathlib.Path(self.log).exists():
            raise KeyboardInterrupt
        yield ol.Iterate(start)
        raise ArithmeticError("planted")


def test_redo_that_is_stopped_leaves_what_was_there(tmp_path):
    path, log = tmp_path / "s.db", tmp_path / "log"
    optimizer = FailsThenIsStopped(str(log))
    first = run(path, optimizers=optimizer, repeats=2)
    assert first.trials["status"].tolist() == ["failed"] * 2
    log.touch()
    experiment = ol.Experiment(
        name="e", problems=ol.LinearRegression.from_dataset(DATASET, name="data"),
        optimizers=optimizer, repeats=2, epochs=4,
    )  # fmt: skip
    again = experiment.run(store=path, threads=1, redo=["failed"])
    assert again.trials["status"].tolist() == ["interrupted"] * 2  # so the exit status is 130
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, first.trials)


def test_what_cannot_be_redone_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"redo must be of 'failed', .* not 'faild'"):
        ol.Experiment(
            problems=ol.LinearRegression(np.eye(2), [1.0, 2.0]), optimizers=ol.Lstsq()
        ).run(store=tmp_path / "s.db", redo=["faild"])


@pytest.mark.parametrize("what", [{"redo": ["failed"]}, {"fresh": True}])
def test_without_a_store_there_is_nothing_to_redo(what):
    problem = ol.LinearRegression(np.eye(2), [1.0, 2.0])
    with pytest.raises(ValueError, match="about what a store holds"):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(**what)


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


@pytest.mark.parametrize(
    "wrong", [{"redo": ["bogus"]}, {"jobs": 0}, {"threads": 0}, {"time_limit": -1},
              {"redo": ["failed"]}], ids=str,
)  # fmt: skip
def test_fresh_sets_nothing_aside_where_another_argument_is_refused(tmp_path, wrong):
    path = tmp_path / "s.db"
    run(path)
    problem = ol.LinearRegression.from_dataset(DATASET, name="data")
    with pytest.raises(ValueError, match=r"."):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(store=path, fresh=True, **wrong)
    assert len(ol.Results.load(path).trials) == 1
    assert list(tmp_path.glob("*.db")) == [path]


def test_unmeasured_trials_are_redone_only_to_be_measured(tmp_path):
    problem = ol.LinearRegression(np.eye(2), [1.0, 2.0])
    with pytest.raises(ValueError, match="needs measure_memory"):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(
            store=tmp_path / "s.db", redo=["unmeasured"]
        )


def test_numpys_numbers_are_stored_as_numbers(tmp_path):
    run(tmp_path / "s.db", epochs=np.int64(5), stop_at=np.float32(1e-3), repeats=np.int64(2))
    loaded = ol.Results.load(tmp_path / "s.db")
    asked = [loaded.definition[name] for name in ("epochs", "repeats")]
    assert asked == [5, 2]
    assert loaded.definition["stop_at"] == pytest.approx(1e-3, rel=1e-7)
    loaded.report(tmp_path / "page.html")
