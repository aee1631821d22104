"""Ctrl-C at every line of the code that runs and resumes trials: no trial that ended is lost."""

import sys
from functools import cache
from types import SimpleNamespace

import pytest

import optlab as ol
from optlab.lab import resume, runner
from optlab.lab.execution_options import Execution
from optlab.lab.store.store import Store

FILES = {runner.__file__, resume.__file__}


@pytest.fixture(scope="module")
def experiment():
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(6, 1, seed=1))
    return ol.Experiment(problems=problem, optimizers=[ol.ManualSGD(), ol.Lstsq()], epochs=1)


def interrupted_run(experiment, path, interrupt_at):
    """Run the grid into a new store with Ctrl-C at the k-th line, and say what became of it."""
    ended, lines = [], []

    def run_trial(trial, *arguments, **keywords):
        record = whole_run_trial(trial, *arguments, **keywords)
        if record.status == "finished":
            ended.append(trial.number)
        return record

    def trace(frame, event, _):
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(lines) == interrupt_at:
                raise KeyboardInterrupt
        return trace

    whole_run_trial, runner.run_trial = runner.run_trial, run_trial
    records, before = None, sys.gettrace()
    try:
        with Store(path) as store:
            sys.settrace(trace)
            try:
                records = runner.run_grid(
                    experiment.grid,
                    experiment.budget,
                    store=store,
                    execution=Execution(measure_memory=True),
                )
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(before)
            kept = len(store.finished_keys())
    finally:
        runner.run_trial = whole_run_trial
    return SimpleNamespace(ended=ended, lines=lines, records=records, kept=kept)


def sampled(lines):
    """Return where each line is reached first, and last in the runner, counted from 1."""
    first = {line: k for k, line in reversed(list(enumerate(lines, 1)))}
    last = {line: k for k, line in enumerate(lines, 1) if line[0] == runner.__file__}
    return sorted({*first.values(), *last.values()})


def test_every_trial_that_ended_is_kept_and_has_its_row(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "peak_bytes", lambda *_: 1)  # tested elsewhere, as the next are
    for name in (
        "machine", "surroundings", "deciding_code", "object_hash", "optimizer_fingerprint",
    ):  # fmt: skip
        monkeypatch.setattr(resume, name, cache(getattr(resume, name)))
    monkeypatch.setattr(resume.ProblemSummary, "of", cache(resume.ProblemSummary.of))
    whole = interrupted_run(experiment, tmp_path / "whole.db", 0)
    assert [record.status for record in whole.records] == ["finished"] * 2
    for k in sampled(whole.lines):
        run = interrupted_run(experiment, tmp_path / f"{k}.db", k)
        where = f"{whole.lines[k - 1]}, line event {k}"
        assert run.kept == len(run.ended), where
        if run.records is None:
            assert not run.ended, where  # raised before the first trial only
            continue
        assert len(run.records) == 2, where
        finished = [r.trial.number for r in run.records if r.status == "finished"]
        assert sorted(run.ended) == finished, where
