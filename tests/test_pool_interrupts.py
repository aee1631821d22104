"""Ctrl-C at every line of the worker pool: each trial has a row, and no process is left behind."""

import os
import sys
from functools import cache

import pytest

import optlab as ol
from optlab.lab import resume, runner
from optlab.lab.execution_options import Execution
from optlab.lab.store.store import Store
from optlab.lab.workers import pool
from tests.forked_server import fork_servers_from_here

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="it lists the children of a process"
)

STEP = int(os.environ.get("OPTLAB_EVERY_LINE", "8"))
"""Every so many of some 130 places are tried: all take 50 s of processor time."""


@pytest.fixture
def quick(monkeypatch):
    fork_servers_from_here(monkeypatch)
    for name in ("machine", "surroundings", "deciding_code"):
        monkeypatch.setattr(resume, name, cache(getattr(resume, name)))


def interrupted_run(experiment, path, interrupt_at):
    """Run the grid isolated, with Ctrl-C at the k-th line of the pool; say what became of it."""
    lines, finished = [], []

    def trace(frame, event, _):
        if frame.f_code.co_filename != pool.__file__:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == interrupt_at:
                raise KeyboardInterrupt
        return trace

    records, before = None, sys.gettrace()
    listener = runner.Listener(finished=finished.append)
    with Store(path) as store:
        sys.settrace(trace)
        try:
            records = runner.run_grid(
                experiment.grid,
                experiment.budget,
                store=store,
                # By turns one process for both trials, or one for each: a place takes a second.
                execution=Execution(
                    isolate=True, threads=1, trials_per_process=1 + interrupt_at % 2
                ),
                listener=listener,
            )
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        # Trials, not calls: the record given last may come once more.
        told = {record.trial.number for record in finished if record.status == "finished"}
        return lines, records, len(told), len(store.finished_keys())


def test_every_trial_has_a_row_and_every_process_ends(quick, tmp_path, new_children):
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(6, 1, seed=1))
    experiment = ol.Experiment(problems=problem, optimizers=ol.ManualSGD(), epochs=1, repeats=2)
    lines, records, *_ = interrupted_run(experiment, tmp_path / "whole.db", 0)
    assert [record.status for record in records] == ["finished"] * 2
    first = {line: k for k, line in reversed(list(enumerate(lines, 1)))}
    last = {line: k for k, line in enumerate(lines, 1)}
    for k in sorted({*first.values(), *last.values()})[::STEP]:
        where = f"pool.py, line {lines[k - 1]}, line event {k}"
        _, records, told, kept = interrupted_run(experiment, tmp_path / f"{k}.db", k)
        assert not new_children(), where
        if records is None:
            assert not kept, where  # raised before the first trial only
            continue
        assert len(records) == 2, where
        assert {record.status for record in records} <= {"finished", "interrupted"}, where
        assert kept == sum(record.status == "finished" for record in records) >= told, where
