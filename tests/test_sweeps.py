"""A sweep gives each trial the record that it would have alone, but for its seconds."""

import dataclasses
import time
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.analysis.statistics import summary
from optlab.lab.execution_options import Execution
from optlab.lab.grid import Grid
from optlab.lab.measure.clock import Clock, use_clock
from optlab.lab.runner import Listener, run_grid
from optlab.lab.sweeps import sweeps, unswept
from optlab.lab.trial import sweep
from optlab.lab.trial.budget import Budget
from optlab.lab.trial.task import Task
from optlab.problems.losses.logistic import LogisticRegression
from optlab.report.findings.all_findings import findings
from optlab.report.findings.caveats import caveats
from optlab.report.views import views_of

SWEEP = Execution(sweep=True)


@pytest.fixture(scope="module")
def problem():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


def results(problem, optimizers, sweep=True, **axes):
    axes = {"batch_sizes": [5], "seeds": [1], "epochs": 60, "recorded_epochs": 5} | axes
    return ol.compare(problem, optimizers, execution=Execution(sweep=sweep), **axes)


RATES = (1e-3, 0.03, 0.1, 0.3, 2.0, 1e30)


@pytest.mark.parametrize("make", [ol.FusedSGD, ol.SGD, ol.Adam], ids=lambda make: make.__name__)
def test_each_trial_has_its_own_status_trace_and_epochs(problem, make):
    own = [make(rate) for rate in RATES]
    swept = results(problem, own, seeds=[1, 2], stop_at=1e-3)
    alone = results(problem, own, sweep=False, seeds=[1, 2], stop_at=1e-3)
    assert swept.trials["shared"].all()
    assert not alone.trials["shared"].any()
    if make is not ol.Adam:
        assert set(swept.trials["status"]) == {"converged", "diverged", "finished"}
    # The order of sums differs for rules: 600 steps of float32, each of some 1e-7.
    rtol = 0 if make is ol.FusedSGD else 1e-3
    for column in ["optimizer", "seed", "status", "epochs", "steps", "samples", "best_epoch"]:
        assert swept.trials[column].tolist() == alone.trials[column].tolist(), column
    # A diverged run has no digits to compare.
    numbers = ["loss", "suboptimality", "gradient_norm", "parameter_error", "batch_loss"]
    well = swept.trials.loc[swept.trials["status"] != "diverged", "trial"]
    tables = [r.traces[r.traces["trial"].isin(well)] for r in (swept, alone)]
    assert tables[0]["epoch"].tolist() == tables[1]["epoch"].tolist()
    for name in numbers:
        ours, theirs = (table[name].to_numpy() for table in tables)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-5 * bool(rtol))


def test_seconds_are_equal_shares_of_the_sweeps(problem, monkeypatch):
    swept = results(problem, [ol.SGD(rate) for rate in (0.1, 0.01, 2.0)], epochs=20)
    seconds = swept.trials["seconds"]
    gone = swept.trials["status"] == "diverged"
    assert gone.sum() == 1
    assert seconds[~gone].nunique() == 1  # those that were in to the end
    assert 0 < seconds[gone].iloc[0] < seconds[~gone].iloc[0]
    for _, trace in swept.traces.groupby("trial"):
        assert trace["seconds"].is_monotonic_increasing
    assert swept.trials["first_pass_seconds"].nunique() == 1


def test_shared_seconds_are_never_ranked(problem):
    swept = results(problem, [ol.SGD(0.1), ol.SGD(0.2)], repeats=3, epochs=5)
    cells = swept.summary()
    assert cells["shared"].all()
    assert cells["seconds"].isna().all()
    ratios = swept.ratios("SGD(learning_rate=0.1)")
    assert ratios["message"].tolist() == ["pairs left out: 3 ran in a sweep"]
    views = views_of(swept)
    texts = [s.text for s in [*findings(swept, views), *caveats(swept, views)]]
    assert any("6 trials ran in sweeps: their seconds are their shares" in text for text in texts)
    assert not any("lowest median seconds" in text for text in texts)


@dataclasses.dataclass(frozen=True)
class RaisesLater:
    """A schedule that raises after two epochs."""

    rate: float

    def __call__(self, epoch):
        if epoch >= 2:
            raise ArithmeticError("no rate there")
        return self.rate


def test_a_failing_hyperparameter_loses_no_other(problem):
    own = {"good": ol.SGD(0.1), "bad": ol.SGD(RaisesLater(0.1)), "better": ol.SGD(0.2)}
    with pytest.warns(UserWarning, match="3 trials, as the sweep raised ArithmeticError: no rate"):
        swept = results(problem, own, epochs=6, recorded_epochs=1)
    table = swept.trials.set_index("optimizer")
    assert table["status"].to_dict() == {"good": "finished", "bad": "failed", "better": "finished"}
    assert not table["shared"].any()
    assert table.loc["bad", "epochs"] == 2


def test_what_cannot_be_swept_runs_one_by_one_and_one_line_says_so(problem):
    notes = []
    grid = Grid.of(problem, [ol.ManualSGD(0.1), ol.ManualSGD(0.2), ol.Lstsq(), ol.SGD(0.1)])
    listener = Listener(note=notes.append)
    records = run_grid(grid, Budget(epochs=3), execution=SWEEP, listener=listener)
    assert [str(record.status) for record in records] == ["finished"] * 4
    assert not any(record.shared for record in records)
    assert notes == ["one by one, not in a sweep: ManualSGD runs one trial at a time (2 trials)"]


def test_a_loss_that_cannot_be_vectorised_is_swept_one_by_one():
    class Branch(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, X):
            out = self.layer(X)
            return out if float(out.detach().sum()) > 0 else 2 * out

    net = ol.ModuleProblem(Branch(), torch.nn.MSELoss(), torch.ones(6, 2), torch.ones(6, 1))
    with pytest.warns(UserWarning, match="2 trials, as the sweep raised RuntimeError"):
        swept = results(net, [ol.Adam(0.1), ol.Adam(0.01)], epochs=3)
    assert set(swept.trials["status"]) == {"finished"}


def test_groups_share_all_but_numbers_and_seeds(problem):
    other = LogisticRegression([[1.0], [2.0], [3.0]], [0, 1, 0], name="other")
    own = [ol.SGD(0.1), ol.SGD(0.2), ol.Adam(0.1), ol.Adam(0.2), ol.Lstsq()]
    grid = Grid.of([problem, other], own[:4], batch_sizes=[5, "full"], seeds=[1, 2], repeats=2)
    budget = Budget(epochs=1)
    tasks = [
        Task(t, grid.problems[t.problem], grid.optimizers[t.optimizer], budget)
        for t in grid.trials()
    ]
    groups = sweeps(tasks)
    assert sorted(t.trial.number for group in groups for t in group) == list(range(len(tasks)))
    assert [len(group) for group in groups] == [4] * 16
    for group in groups:
        for name in ("problem", "batch_size", "device", "dtype", "repeat"):
            assert len({getattr(task.trial, name) for task in group}) == 1
        assert len({type(task.optimizer) for task in group}) == 1
    assert unswept(tasks) == ""


def test_large_sweeps_are_split(problem, monkeypatch):
    monkeypatch.setattr("optlab.lab.sweeps._MOST_ROWS", 12)
    swept = results(problem, [ol.SGD(rate) for rate in (0.1, 0.2, 0.3)], epochs=2)
    assert swept.trials["shared"].tolist() == [True, True, False]  # of batches of 5 rows


def test_a_stored_sweeps_trials_are_known_one_by_one(problem, tmp_path):
    path, rates = tmp_path / "results.db", [0.1, 0.2, 0.3]
    began = []
    axes = {"batch_sizes": [5], "epochs": 4}

    def run(rates, **options):
        began.clear()
        experiment = ol.Experiment(problems=problem, optimizers=[ol.SGD(r) for r in rates], **axes)
        listener = Listener(started=lambda trial: began.append(trial.optimizer))
        return experiment.run(store=path, execution=Execution(**options), listener=listener)

    first = run(rates, sweep=True)
    assert len(began) == 3
    again = run([*rates, 0.4, 0.5], sweep=True)
    assert began == ["SGD(learning_rate=0.4)", "SGD(learning_rate=0.5)"]
    kept = again.trials.set_index("optimizer")
    for row in first.trials.to_dict("records"):
        assert kept.loc[row["optimizer"], "loss"] == row["loss"]
    assert kept["shared"].all()
    assert not kept["contended"].any()
    assert ol.Results.load(path).trials["shared"].all()
    run(rates)
    assert not began  # they are known, though their seconds are shares
    alone = run(rates, redo="shared")
    assert len(began) == 3
    assert not alone.trials["shared"].any()


def test_ctrl_c_within_a_sweep_keeps_what_ended(problem, tmp_path):
    path, looked = tmp_path / "results.db", []

    def stop(trial, row):
        looked.append(trial.number)
        if row.epoch == 30 and trial.number == 1:
            raise KeyboardInterrupt

    own = [ol.FusedSGD(2.0), ol.FusedSGD(0.01), ol.FusedSGD(0.02)]
    axes = {"batch_sizes": [5], "epochs": 60, "recorded_epochs": [30]}
    experiment = ol.Experiment(problems=problem, optimizers=own, **axes)
    found = experiment.run(store=path, execution=SWEEP, listener=Listener(watch=stop))
    assert found.trials["status"].tolist() == ["diverged", "interrupted", "interrupted"]
    assert found.trials["epochs"].tolist()[1] == 30
    began = []
    listener = Listener(started=lambda trial: began.append(trial.number))
    again = experiment.run(store=path, execution=SWEEP, listener=listener)
    assert began == [1, 2]
    assert again.trials["status"].tolist() == ["diverged", "finished", "finished"]


@dataclasses.dataclass
class SlowRate:
    """A rate of which each epoch's value takes 10 ms by a clock that nothing else moves."""

    rate: float
    milliseconds: ClassVar[int] = 0

    def __call__(self, epoch):
        SlowRate.milliseconds += 10
        return self.rate


def test_a_sweep_has_as_many_time_limits_as_trials(problem, monkeypatch):
    monkeypatch.setattr(SlowRate, "milliseconds", 0)
    slow = SimpleNamespace(monotonic=lambda: SlowRate.milliseconds / 1e3, time=time.time)
    monkeypatch.setattr(sweep, "time", slow)
    with use_clock(Clock(lambda: SlowRate.milliseconds * 1_000_000)):
        swept = ol.compare(
            problem, [ol.SGD(SlowRate(rate)) for rate in (1e-4, 2e-4)], epochs=10**7,
            recorded_epochs=10**6, execution=Execution(sweep=True, time_limit=0.1),
        )  # fmt: skip
    assert swept.trials["status"].tolist() == ["timed out"] * 2
    assert swept.trials["epochs"].tolist() == [10] * 2  # 9 and the cold pass are 0.2 s
    assert swept.trials["seconds"].tolist() == [0.1] * 2  # each has its share


def test_a_trial_whose_start_has_reached_the_target_leaves_at_once(problem):
    optimum = problem.reference().parameters
    near = [float(optimum["weight"]), float(optimum["bias"])]

    class AtOptimum(ol.LinearRegression):
        def start(self, generator):
            drawn = super().start(generator)
            if generator.initial_seed() == 1:
                drawn = {
                    "weight": drawn["weight"] * 0 + near[0],
                    "bias": drawn["bias"] * 0 + near[1],
                }
            return drawn

    at = AtOptimum.from_dataset(ol.datasets.tutorial().standardized())
    swept = results(at, [ol.SGD(0.05), ol.SGD(0.1)], seeds=[1, 2], stop_at=1e-3)
    table = swept.trials.set_index(["optimizer", "seed"])["epochs"]
    assert (table.xs(1, level="seed") == 0).all()
    assert (table.xs(2, level="seed") > 0).all()


def test_an_optimizer_that_changes_the_data_is_found(problem):
    @dataclasses.dataclass(frozen=True)
    class Spoils(ol.SGD):
        def iterates(self, problem, batches, start):
            return ol.SGD(self.learning_rate).iterates(problem, batches, start)

        @staticmethod
        def iterates_together(optimizers, problem, batches, starts):
            for joint in ol.SGD.iterates_together(optimizers, problem, batches, starts):
                problem.X.add_(1)
                yield joint

    with pytest.warns(UserWarning, match="changed the problem's data"):
        swept = results(problem, [Spoils(0.1), Spoils(0.2)], epochs=2)
    assert set(swept.trials["status"]) == {"finished"}  # by themselves they do not
    assert not swept.trials["shared"].any()
    fresh = results(problem, [ol.SGD(0.1)], epochs=2)
    assert swept.trials["loss"].iloc[0] == fresh.trials["loss"].iloc[0]


def test_older_tables_have_no_sweeps(problem):
    found = results(problem, [ol.SGD(0.1), ol.SGD(0.2)], sweep=False, epochs=2)
    older = summary(found.trials.drop(columns="shared"))
    assert older["timed"].tolist() == [1, 1]
    assert not older["shared"].any()
