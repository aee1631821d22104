"""Short trials are repeated until three of each are there, in a tenth of the run's time."""

import math

import pytest

import optlab as ol
from optlab.lab import rounds
from optlab.lab.rounds import repeats_of_short
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.record import TraceRow, Trial, TrialRecord
from optlab.lab.trial.status import Status
from optlab.lab.trial.task import Task

ROW = TraceRow(1, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


def planned(seconds, seeds=(0,), **changes):
    """Return what is repeated of trials that took so many seconds: optimizer, repeat, seed."""
    tasks, records = [], {}
    for number, (optimizer, seed) in enumerate((o, s) for s in seeds for o in seconds):
        trial = Trial(number, "p", optimizer, 1, "cpu", "float64", seed)
        tasks.append(Task(trial, None, None, Budget(epochs=1)))
        values = {"seconds": seconds[optimizer], "status": Status.CONVERGED, "trace": [ROW]}
        own = changes.get(optimizer, {})
        records[number] = TrialRecord(trial, **values | own)
    more = [task.trial for task in repeats_of_short(tasks, records, len(tasks))]
    assert [trial.number for trial in more] == list(range(len(tasks), len(tasks) + len(more)))
    return sorted((trial.optimizer, trial.repeat, trial.seed) for trial in more)


def test_the_shortest_are_repeated_as_far_as_a_tenth_of_the_time_goes():
    # Of 100 s, 10 may be spent: 2 * 0.5 and 2 * 4, but not 2 * 5 more.
    seconds = {"a": 0.5, "b": 4.0, "c": 5.0, "d": 90.5}
    assert planned(seconds) == [(o, r, 0) for o in "ab" for r in (2, 3)]
    assert planned({"a": 0.1, "b": 0.02}) == [(o, r, 0) for o in "ab" for r in (2, 3)]
    assert planned({"a": 2.0, "b": 3.0}) == []


@pytest.mark.parametrize(("first", "seconds"), [(2.8, 0.002), (0.002, 0.8)])
def test_a_direct_method_that_imported_or_stalled_once_is_repeated(first, seconds):
    """A run of 10 s: two repeats of both passes, of which one took longer, would be above 1 s."""
    passes = {"first_pass_seconds": first, "seconds": seconds}
    assert planned({"a": 1.0, "b": 10.0}, a=passes) == [("a", 2, 0), ("a", 3, 0)]


def test_what_imported_is_repeated_where_it_makes_many_passes():
    passes = {"first_pass_seconds": 2.8, "trace": [ROW, ROW._replace(epoch=9)]}
    assert planned({"a": 0.1, "b": 10.0}, a=passes) == [("a", 2, 0), ("a", 3, 0)]


def test_seeds_count_as_repeats():
    seconds = {"a": 0.01, "b": 0.01}
    assert planned(seconds, seeds=(0, 1)) == [(o, 2, s) for o in "ab" for s in (0, 1)]
    assert planned(seconds, seeds=(0, 1, 2)) == []


@pytest.mark.parametrize(
    "change",
    [{"status": Status.FAILED}, {"status": Status.SKIPPED, "trace": []}, {"contended": True},
     {"shared": True}, {"seconds": math.nan}],
)  # fmt: skip
def test_what_gives_no_seconds_to_rank_is_not_repeated(change):
    assert planned({"a": 0.01, "b": 0.01}, a=change) == [("b", 2, 0), ("b", 3, 0)]


def test_an_experiment_repeats_and_resumes_the_same_trials(tutorial, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rounds, "LEAST", 100.0)
    asked = {"repeats": "auto", "epochs": 60, "devices": ["cpu", "cuda:7"]}
    methods = [ol.ManualSGD(0.1), ol.HeavyBall(0.1), ol.Lstsq()]
    begun = []
    for _ in range(2):
        results = ol.compare(tutorial, methods, **asked, store=tmp_path / "s.db", progress=True)
        on_cpu = results.trials[results.trials["device"] == "cpu"]
        assert on_cpu.groupby("optimizer")["repeat"].apply(set).tolist() == [{1, 2, 3}] * 3
        assert len(results.trials) == 9 + 3
        begun.append(results.trials["seconds"].tolist())
    assert str(begun[0]) == str(begun[1])
    told = capsys.readouterr().err.splitlines()[-2:]
    assert told[0] == "6 of 6 trials are in the store already"
    assert told[1] == "12 of 12 trials are in the store already"
    assert ", 3 repeats" in str(results)
    loaded = ol.Results.load(tmp_path / "s.db")
    assert (results.definition["repeats"], loaded.definition["repeats"]) == ("auto", "auto")
    assert "not yet certain" not in results.verdict()
    with pytest.raises(ValueError, match="repeats must be a whole number"):
        ol.compare(tutorial, methods, repeats="often")


def test_without_being_asked_nothing_is_repeated(tutorial):
    assert len(ol.compare(tutorial, [ol.Lstsq()]).trials) == 1
