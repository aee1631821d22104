"""Trials that are done and are run again all the same."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import optlab as ol
from tests.forked_server import fork_servers
from tests.test_load import DATASET, run


@pytest.mark.parametrize("kind", ["failed", "contended", "unmeasured"])
def test_redo_runs_again_what_is_of_its_kind_alone(tmp_path, kind, monkeypatch):
    fork_servers(monkeypatch)
    path, log = tmp_path / "s.db", tmp_path / "log"
    both = {"good": Counts(str(log), fails=False), "bad": Counts(str(log), fails=True)}
    experiment = ol.Experiment(
        problems=ol.LinearRegression.from_dataset(DATASET), optimizers=both, epochs=2
    )
    beside = {"jobs": 2} if kind == "contended" else {}
    first = experiment.run(
        store=path, execution=ol.Execution(threads=1, **beside)
    ).trials.set_index("optimizer")
    assert first["status"].tolist() == ["finished", "failed"]
    measure = {"measure_memory": kind == "unmeasured"}
    log.write_text("")
    experiment.run(store=path, execution=ol.Execution(threads=1, **measure))
    assert log.read_text() == ""
    again = experiment.run(store=path, execution=ol.Execution(threads=1, redo=[kind], **measure))
    began = set(log.read_text().split())
    assert began == {"failed": {"bad"}, "contended": {"good", "bad"}, "unmeasured": {"good"}}[kind]
    table = again.trials.set_index("optimizer")
    assert table["status"].tolist() == ["finished", "failed"]
    assert not table["contended"].any()
    if kind == "unmeasured" and pd.notna(table["peak_bytes"]["good"]):
        assert pd.isna(first["peak_bytes"]["good"])
    seconds = ["first_pass_seconds", "seconds"]
    again_good = not table.loc["good", seconds].equals(first.loc["good", seconds])
    assert again_good == (kind != "failed")
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
    again = experiment.run(store=path, execution=ol.Execution(threads=1, redo=["failed"]))
    assert again.trials["status"].tolist() == ["interrupted"] * 2  # so the exit status is 130
    pd.testing.assert_frame_equal(ol.Results.load(path).trials, first.trials)


def test_what_cannot_be_redone_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"redo must be of 'failed', .* not 'faild'"):
        ol.Experiment(
            problems=ol.LinearRegression(np.eye(2), [1.0, 2.0]), optimizers=ol.Lstsq()
        ).run(store=tmp_path / "s.db", execution=ol.Execution(redo=["faild"]))


@pytest.mark.parametrize("what", [{"redo": ["failed"]}, {"fresh": True}])
def test_without_a_store_there_is_nothing_to_redo(what):
    problem = ol.LinearRegression(np.eye(2), [1.0, 2.0])
    with pytest.raises(ValueError, match="fresh and redo are about the trials of a store"):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(execution=ol.Execution(**what))


@pytest.mark.parametrize(
    "wrong", [{"redo": ["bogus"]}, {"jobs": 0}, {"threads": 0}, {"time_limit": -1},
              {"redo": ["failed"]}], ids=str,
)  # fmt: skip
def test_fresh_sets_nothing_aside_where_another_argument_is_refused(tmp_path, wrong):
    path = tmp_path / "s.db"
    run(path)
    problem = ol.LinearRegression.from_dataset(DATASET, name="data")
    with pytest.raises(ValueError, match=r"."):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(
            store=path, execution=ol.Execution(**{"fresh": True} | wrong)
        )
    assert len(ol.Results.load(path).trials) == 1
    assert list(tmp_path.glob("*.db")) == [path]


def test_unmeasured_trials_are_redone_only_to_be_measured(tmp_path):
    problem = ol.LinearRegression(np.eye(2), [1.0, 2.0])
    with pytest.raises(ValueError, match="needs measure_memory"):
        ol.Experiment(problems=problem, optimizers=ol.Lstsq()).run(
            store=tmp_path / "s.db", execution=ol.Execution(redo=["unmeasured"])
        )
