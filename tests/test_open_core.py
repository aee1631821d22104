"""The lab on a problem that it knows nothing of: no reference, no gradient in closed form."""

import math
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import optlab as ol
from optlab.lab import Budget, Trial, run_trial
from optlab.lab.keys.object_hash import object_hash
from optlab.optimizers import Cost, is_direct, unsupported
from optlab.problems import capabilities, loss_and_gradient
from optlab.report.findings.caveats import caveats
from optlab.report.views import convergence_view, views_of
from tests.forked_server import fork_servers
from tests.open_problem import Ripples

METHODS = [ol.ManualSGD(0.05), ol.TorchSGD(0.05, momentum=0.9), ol.Lstsq()]


def line():
    return ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())


def experiment(**axes):
    given = {"problems": [Ripples.drawn(), line()], "optimizers": METHODS, "stop_at": 1e-2,
             "batch_sizes": [5, "full"], "epochs": 30, "name": "open"}  # fmt: skip
    return ol.Experiment(**given | axes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("open") / "open.db"
    with pytest.MonkeyPatch.context() as monkeypatch:
        fork_servers(monkeypatch)
        return experiment().run(store=path, execution=ol.Execution(isolate=True)), path


def test_trials_are_judged_by_the_least_loss_that_any_of_them_recorded(run):
    results, _ = run
    losses = results.traces.merge(results.trials[["trial", "problem"]], on="trial")
    own = losses[losses["problem"] == "ripples"]
    facts = results.problems["ripples"]
    assert (facts.reference.kind, facts.reference.loss) == ("best known", own["loss"].min())
    assert np.array_equal(own["suboptimality"], own["loss"] - own["loss"].min())
    kinds = dict(results.trials[["problem", "reference"]].drop_duplicates().to_numpy())
    assert kinds == {"ripples": "best known", "tutorial, standardized": "certified"}
    mine = results.trials[results.trials["problem"] == "ripples"]
    assert set(mine["status"]) == {"finished", "skipped"}  # nobody is judged by its own best
    assert mine["message"].str.contains("without a reference no suboptimality").sum() == 4
    starts = own[own["epoch"] == 0].set_index("trial")["suboptimality"]
    scales = mine.set_index("trial")["stop_scale"].dropna()
    assert scales.equals(starts.rename("stop_scale"))
    assert results.time_to_target(0.5).query("problem == 'ripples'")["reached"].sum() >= 1


def test_a_store_is_resumed_and_loaded_with_the_same_judgement(run, tmp_path):
    results, path = run
    again = experiment().run(store=path)
    pd.testing.assert_frame_equal(again.trials, results.trials)
    loaded = ol.Results.load(path)
    pd.testing.assert_frame_equal(loaded.traces, results.traces)
    assert loaded.problems["ripples"].reference.kind == "best known"
    # With a second file that has found less, all are judged by that.
    more = experiment(problems=Ripples.drawn(), optimizers=ol.TorchSGD(0.05, momentum=0.9),
                      epochs=60)  # fmt: skip
    further = more.run(store=tmp_path / "more.db")
    merged = ol.Results.load(path, tmp_path / "more.db")
    least = min(results.traces["loss"].min(), further.traces["loss"].min())
    assert merged.problems["ripples"].reference.loss == pytest.approx(least, abs=0)
    both = merged.trials[merged.trials["problem"] == "ripples"]["best_suboptimality"]
    assert (both.min(), (both > 0).sum()) == (0, 5)


def test_page_tables_and_figures_say_what_the_reference_is(run, tmp_path):
    results, _ = run
    page = results.report(tmp_path / "page.html").read_text(encoding="utf-8")
    page = re.sub(r"</?a\b[^>]*>", "", page)  # terms are links to the glossary
    assert "No reference of ripples is known, and its trials are judged against" in page
    assert "best known: the least loss that any trial recorded" in page
    assert "object at 0x" not in page
    drawn = views_of(results)["convergence"].table.query("problem == 'ripples'")
    assert (drawn[["suboptimality", "low"]] > 1e-16).all(axis=None)  # the best iterate's 0 is not
    missing = views_of(results)["digits"].missing
    assert missing == (
        "Of ripples no parameters to compare with are known; of the others no trial ended with an "
        "answer."
    )
    results.export(tmp_path / "csv", "csv")
    table = pd.read_csv(tmp_path / "csv" / "references.csv").set_index("problem")
    assert table.loc["ripples", "reference"] == "best known"
    assert math.isnan(table.loc["ripples", "rank"])
    values = pd.read_csv(tmp_path / "csv" / "parameters.csv").query("problem == 'ripples'")
    assert set(values["parameter"]) == {
        *(f"A[{i}]" for i in range(6)),
        *(f"c[{i}]" for i in range(4)),
    }
    assert values["reference"].isna().all()
    figures = results.figures("ripples")
    assert {"convergence", "seconds", "target"} <= figures.keys()
    assert figures.keys().isdisjoint({"digits", "parameters", "fit"})
    drawn = results.plot_convergence("ripples", "median_error")
    assert drawn.axes[0].get_ylabel() == "median error"
    with pytest.raises(ValueError, match="did you mean 'median_error'"):
        results.plot_convergence("ripples", "medan_error")
    with pytest.raises(ValueError, match="no measure is called 'median_error'"):
        results.plot_convergence("tutorial, standardized", "median_error")


class Guessed(Ripples):
    """The same with a solver's answer that is no minimiser."""

    def reference(self):
        return ol.Reference(kind="computed", loss=0.4, message="a guess")

    def evaluate(self, parameters):
        point = super().evaluate(parameters)
        return point._replace(suboptimality=point.loss - 0.4)


def test_a_reference_that_a_trial_beat_is_said_to_be_beaten():
    results = ol.compare(Guessed.drawn(), METHODS[:2], epochs=200, stop_at=1e-3)
    assert results.trials["suboptimality"].min() < 0
    said = {sentence.kind: sentence for sentence in caveats(results, views_of(results))}
    assert said["reference"].text == (
        "The reference of ripples is a solver's answer, without a proof: a guess."
    )
    losses = results.traces["loss"]
    assert said["beaten"].numbers["below"] == pytest.approx(0.4 - losses.min(), rel=1e-15)
    trial = results.traces.loc[losses.idxmin(), "trial"]
    assert said["beaten"].numbers["trial"] == trial
    assert "found a loss of ripples" in said["beaten"].text


def test_a_further_measure_is_a_column_and_can_end_a_trial():
    solution = ol.minimize(
        Ripples.drawn(), ol.TorchSGD(0.05, momentum=0.9), epochs=500, recorded_epochs=1,
        stop_at=ol.StopAt("median_error", value=0.2),
    )  # fmt: skip
    assert solution.status == "converged"
    errors = solution.trace["median_error"]
    assert errors.iloc[-1] <= 0.2 < errors.iloc[:-1].min()
    assert "suboptimality" not in repr(solution)
    rising = ol.StopAt("median_error", at_least=100.0)
    missed = ol.minimize(Ripples.drawn(), ol.ManualSGD(0.05), epochs=3, stop_at=rising)
    assert "stop_at=median_error >= 100 not reached: median_error is" in missed.message


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (("medan_error", None, 0.1), "did you mean 'median_error'"),
        (("validation_loss", None, 0.1), "'ripples' does not have: it has loss"),
        (("parameter_error", 0.1, None), "no unique minimiser that is known"),
    ],
)
def test_a_measure_that_a_problem_does_not_have_is_refused_before_anything_runs(rule, sentence):
    stop_at = ol.StopAt(*rule)
    with pytest.raises(ValueError, match=sentence):
        experiment(stop_at=stop_at)
    with pytest.raises(ValueError, match=sentence):
        ol.minimize(Ripples.drawn(), ol.ManualSGD(), stop_at=stop_at)


def test_a_share_of_what_the_start_does_not_have_is_refused():
    with pytest.raises(ValueError, match="give a value"):
        ol.StopAt("batch_loss", share=0.1)


@dataclass(frozen=True)
class Leaps:
    """Descent that yields every few epochs, and counts its cost by itself."""

    leap: int = 4
    counted: bool = True
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False

    def iterates(self, problem, batches, start):
        point, made = start, 0
        while True:
            for _ in range(self.leap):
                slope = ol.gradient(problem, point)
                point = {name: value - 0.05 * slope[name] for name, value in point.items()}
            made += self.leap
            cost = Cost(losses=0.0, gradients=float(made), hessian_products=2.0 * made)
            yield ol.Iterate(point, epochs=self.leap, cost=cost if self.counted else None)


def test_an_iterate_of_several_epochs_lands_on_the_epoch_that_it_reaches():
    trial = Trial(0, "ripples", "Leaps", "full", "cpu", "float64", seed=0)
    budget = Budget(epochs=10, recorded_epochs=[3, 5, 9])
    record = run_trial(trial, Ripples.drawn(), Leaps(), budget)
    assert [row.epoch for row in record.trace] == [0, 4, 8, 12]
    assert [row.samples for row in record.trace] == [0, 48, 96, 144]
    costs = [(r.loss_evaluations, r.gradient_evaluations, r.hessian_products) for r in record.trace]
    assert costs == [(0, 0, 0), (0, 4, 8), (0, 8, 16), (0, 12, 24)]
    assert record.message.startswith("budget spent after epoch 12")
    uncounted = run_trial(trial, Ripples.drawn(), Leaps(counted=False), budget).trace[-1]
    assert (uncounted.loss_evaluations, uncounted.gradient_evaluations) == (12, 12)


def test_costs_that_are_counted_are_an_axis_of_the_convergence_view():
    problem, methods = Ripples.drawn(), {"leaps": Leaps(leap=2), "plain": ol.ManualSGD(0.05)}
    plain = ol.compare(problem, ol.ManualSGD(0.05), epochs=3)
    assert [axis.column for axis in convergence_view(plain).x] == ["epoch", "samples", "seconds"]

    @dataclass(frozen=True)
    class Twice(Leaps):
        def iterates(self, problem, batches, start):
            for made, iterate in enumerate(super().iterates(problem, batches, start), start=1):
                cost = Cost(losses=6.0 * made, gradients=2.0 * self.leap * made)
                yield ol.Iterate(iterate.parameters, epochs=self.leap, cost=cost)

    results = ol.compare(problem, methods | {"twice": Twice(leap=2)}, epochs=4)
    view = convergence_view(results)
    assert view.x[-1].column == "gradient_evaluations"
    made = view.table[view.table["epoch"] == 2].set_index("optimizer")["gradient_evaluations"]
    assert made.to_dict() == {"leaps": 2, "plain": 2, "twice": 4}
    row = results.trials.set_index("optimizer").loc["twice"]
    assert (row["loss_evaluations"], row["hessian_products"]) == (12, 0)
    assert len(results.plot_convergence().axes) == 3


def test_a_method_over_all_data_has_one_trial_and_is_not_direct():
    grid = experiment(optimizers=[Leaps(), ol.ManualSGD()], problems=Ripples.drawn()).grid
    sizes = [(trial.optimizer, trial.batch_size) for trial in grid.trials()]
    assert sizes == [("Leaps", "full"), ("ManualSGD", 5), ("ManualSGD", "full")]
    assert not is_direct(Leaps())


@pytest.mark.parametrize("epochs", [0, -1, 1.0, True])
def test_an_iterate_without_whole_epochs_fails_its_trial(epochs):
    class Odd:
        uses_batches = True

        def iterates(self, problem, batches, start):
            while True:
                yield ol.Iterate(start, epochs=epochs)

    trial = Trial(0, "ripples", "Odd", "full", "cpu", "float64", seed=0)
    record = run_trial(trial, Ripples.drawn(), Odd(), Budget(epochs=5))
    assert record.status == "failed"
    assert "a whole number of at least 1" in record.message


@dataclass(frozen=True)
class NeedsResiduals(Leaps):
    needs: ClassVar[tuple[type, ...]] = (capabilities.HasResiduals,)


def test_a_pair_that_cannot_run_is_told_by_the_capability():
    problem, cpu = Ripples.drawn(), torch.device("cpu")
    reason = unsupported(NeedsResiduals(), problem, cpu)
    assert reason == (
        "NeedsResiduals needs residuals and their Jacobian, which Ripples does not have"
    )
    assert unsupported(Leaps(), problem, cpu) is None
    lasso = ol.LinearRegression([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], l1=0.1)
    for method in (ol.Lstsq(), NeedsResiduals()):
        assert "LinearRegression with kinks (an l1 penalty)" in unsupported(method, lasso, cpu)


def test_gradients_by_autograd_are_those_in_closed_form():
    class Plain:
        """The same loss without its closed form."""

        def __init__(self, whole):
            self.loss = whole.loss

    problem = line().to("cpu", torch.float64)
    point = problem.start(torch.Generator().manual_seed(3))
    loss, by_autograd = loss_and_gradient(Plain(problem), point)
    closed = problem.gradient(point)
    assert loss == problem.loss(point)
    for name, slope in closed.items():
        # Sums of 10 terms, in another order.
        torch.testing.assert_close(by_autograd[name], slope, rtol=1e-13, atol=1e-13)
    assert not any(value.requires_grad for value in (*point.values(), *by_autograd.values()))


def test_keys_tell_problems_without_features_and_with_modules_apart():
    class Holds:
        def __init__(self, **what):
            self.__dict__ |= what

    def module(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5))

    first, last = Ripples.drawn(seed=1), Ripples.drawn(seed=2)
    assert object_hash(first) == object_hash(Ripples.drawn(seed=1)) != object_hash(last)
    assert object_hash(Holds(net=module(0))) == object_hash(Holds(net=module(0)))
    assert object_hash(Holds(net=module(0))) != object_hash(Holds(net=module(1)))
    other = module(0)
    other[3].p = 0.4
    assert object_hash(Holds(net=module(0))) != object_hash(Holds(net=other))
    assert object_hash(Holds(d=2)) != object_hash(Holds(d=3))


def test_changed_data_of_whole_numbers_are_noticed():
    class Classes(Ripples):
        def to(self, device, dtype, *, copy=False):
            X = self._X.to(device, dtype, copy=copy)
            return type(self)(X, self._y.to(device, copy=copy), self._name)

    class Vandal:
        uses_batches = True

        def iterates(self, problem, batches, start):
            problem.data.y[0] += 1
            while True:
                yield ol.Iterate(start)

    drawn = Ripples.drawn()
    for dtype in (torch.int64, torch.uint8):
        problem = Classes(drawn.data.X, torch.arange(12, dtype=dtype))
        trial = Trial(0, "ripples", "o", 5, "cpu", "float32", seed=0)
        good = run_trial(trial, problem, ol.ManualSGD(), Budget(epochs=2))
        assert good.status == "finished", good.traceback
        bad = run_trial(trial, problem, Vandal(), Budget(epochs=2))
        assert "changed the problem's data" in bad.message
