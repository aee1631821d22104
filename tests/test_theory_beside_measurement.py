"""Theory beside measurement: what messages, tables, figures and the page say of trials."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

import optlab as ol
from optlab import analysis
from optlab.lab.trial.predict import predict
from optlab.lab.trial.record import Trial
from optlab.lab.trial.run import run_trial
from optlab.lab.trial.task import Task
from optlab.lab.trial.theory_advice import TheoryAdvice
from optlab.optimizers.linear_descent import LinearDescent
from optlab.problems.hessian import modes
from optlab.report.oklab import lightness
from optlab.report.page.render import render_page
from optlab.report.page.spectrum_lines import spectrum_lines
from optlab.report.views import theory_view
from optlab.testing import oracles, signature
from optlab.theory import setting_theory as module
from optlab.theory.setting_theory import first_below, problem_theory, setting_theory

X = np.arange(-500.0, 501.0)
CELSIUS = ol.LinearRegression(X[:, None], 1.8 * X + 32, name="celsius")
SYSTEM = ol.LinearRegression(
    [[-249.69, -4.1511], [-4.1511, -0.20755]], [0.0, 10.0], fit_intercept=False
)
SMALL = ol.LinearRegression.from_dataset(ol.datasets.synthetic(24, 3, condition=3, seed=1))


def message(problem, optimizer, **options):
    solution = ol.minimize(problem, optimizer, **{"seed": 1, "epochs": 200} | options)
    return solution.status, solution.message


@pytest.mark.parametrize(
    ("problem", "limit"), [(SYSTEM, "3.206177e-05"), (CELSIUS, "1.197605e-05")]
)
def test_the_forums_systems_get_their_largest_stable_rate(problem, limit):
    for rate in (0.01, 1.01 * float(limit)):
        status, words = message(problem, ol.ManualSGD(rate), epochs=3000)
        assert status == "diverged"
        assert f"the largest stable learning rate here is {limit}; this one is {rate:.7g}" in words
    status, words = message(problem, ol.ManualSGD(0.99 * float(limit)))
    assert (status, "largest stable" in words) == ("finished", False)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_limit_is_said_at_and_above_it_only_and_with_its_momentum(momentum, nesterov):
    optimizer = ol.Nesterov if nesterov else ol.HeavyBall
    limit = oracles.stable_rate(SMALL, optimizer(1.0, momentum=momentum))
    for share in (1.05, 0.95):
        _, words = message(SMALL, optimizer(share * limit, momentum=momentum), epochs=2000)
        assert (f"is {limit:.7g}; this one is" in words) == (share > 1)
        assert (f"momentum {momentum:g} is" in words) == (share > 1 and momentum > 0)


def test_a_rate_that_seven_digits_do_not_tell_from_the_limit_is_said_in_all():
    rate = math.nextafter(oracles.stable_rate(SMALL), math.inf) * (1 + 1e-9)
    words = advice(SMALL, ol.SGD(rate)).too_large()
    assert words.endswith(f"this one is {rate!r}")


def advice(problem, optimizer, batch_size="full"):
    start = problem.start(torch.Generator().manual_seed(1))
    return TheoryAdvice(setting_theory(problem, optimizer, batch_size), start)


def test_mini_batches_are_judged_by_the_mean_square():
    moments = oracles.SGDMoments(SMALL, ol.SGD(1.0), 4, replacement=False)
    limit = moments.stable_rate()
    assert limit < 0.9 * oracles.stable_rate(SMALL)
    says = "the largest learning rate that is stable in mean square at batch size 4 is"
    status, words = message(SMALL, ol.SGD(2 * limit), batch_size=4)
    assert status == "diverged"
    assert f"{says} {limit:.7g}; this one is {2 * limit:.7g}" in words
    assert advice(SMALL, ol.SGD(0.99 * limit), 4).too_large() == ""
    # Of many parameters only the limit of the mean is known, which is said to be that.
    wide = ol.LinearRegression.from_dataset(ol.datasets.synthetic(60, 20, seed=1))
    full = oracles.stable_rate(wide)
    words = advice(wide, ol.SGD(2 * full), 4).too_large()
    assert f"rate of full batches is {full:.7g} (mini-batches need a smaller one)" in words
    assert advice(wide, ol.SGD(0.9 * full), 4).too_large() == ""


def test_where_the_loss_is_no_quadratic_the_limit_is_that_near_the_minimiser():
    z = np.random.default_rng(0).standard_normal((40, 2))
    problem = ol.LogisticRegression(z, z[:, 0] + z[:, 1] ** 2 > 0, l2=0.1)
    words = advice(problem, ol.SGD(100.0)).too_large()
    assert words.startswith("near the minimiser the largest stable learning rate is ")
    assert setting_theory(problem, ol.SGD(1.0), 4).noise_floor() != 0  # not known, not zero


def test_a_crawling_trial_is_told_its_half_life_and_what_helps():
    status, words = message(CELSIUS, ol.ManualSGD(1e-5), stop_at=1e-6, epochs=3000)
    half = math.log(0.5) / math.log1p(-2e-5)  # of the intercept, whose eigenvalue is 2
    assert status == "finished"
    assert f"{half:.0f}" == "34657"
    assert "the slowest mode halves every 35 000 epochs (some 230 000 more to stop_at)" in words
    assert words.endswith("standardize the features (condition number 1, not 83 500)")
    _, words = message(CELSIUS, ol.ManualSGD(1e-7), stop_at=1e-6)
    assert words.endswith("83 500), or use the learning rate 1/L = 5.99e-06")
    # What helps does help.
    scaled = ol.LinearRegression(X[:, None] / X.std(), 1.8 * X + 32)
    assert message(scaled, ol.ManualSGD(0.5), stop_at=1e-6)[0] == "converged"
    _, words = message(scaled, ol.ManualSGD(0.001), stop_at=1e-6)
    assert "standardize" not in words
    assert words.endswith("use the learning rate 1/L = 0.5")


def test_momentum_that_slows_the_slowest_mode_is_told_to_be_less():
    _, words = message(SMALL, ol.HeavyBall(0.1, momentum=0.95), epochs=50, stop_at=1e-8)
    assert words.endswith("take less momentum")
    assert message(SMALL, ol.HeavyBall(0.1, momentum=0.6), stop_at=1e-8)[0] == "converged"
    _, words = message(SMALL, ol.HeavyBall(1e-4, momentum=0.5), epochs=50, stop_at=1e-8)
    assert "use the learning rate 1/L" in words


def test_the_epochs_that_stop_at_still_takes_are_those_it_takes():
    solution = ol.minimize(SMALL, ol.ManualSGD(0.05), epochs=20, stop_at=1e-6, seed=1)
    more = int(solution.message.split("(some ")[1].split(" more")[0].replace(" ", ""))
    longer = ol.minimize(SMALL, ol.ManualSGD(0.05), epochs=10_000, stop_at=1e-6, seed=1,
                         recorded_epochs=1)  # fmt: skip
    assert longer.status == "converged"
    assert longer.epochs - 20 == pytest.approx(more, rel=0.06)  # it is said in two digits


def test_noise_and_weight_decay_are_blamed_where_they_are_to_blame():
    # 200 epochs at this rate: nothing of the start is left, and all is noise.
    _, words = message(SMALL, ol.AnalyticSGD(0.05), batch_size=4, stop_at=1e-9)
    floor = oracles.SGDMoments(SMALL, ol.AnalyticSGD(0.05), 4, replacement=False).noise_floor()
    assert f"scatter about the noise floor, {floor:.3g} on average for independent" in words
    _, words = message(SMALL, ol.AnalyticSGD(0.001), batch_size=4, stop_at=1e-9, epochs=50)
    assert "slowest mode halves every" in words
    assert "noise of mini-batches" not in words
    _, words = message(SMALL, ol.TorchSGD(0.2, weight_decay=0.1), stop_at=1e-9, epochs=500)
    assert "the weight decay 0.1 moves the minimiser: the suboptimality ends at" in words


def test_methods_without_a_recurrence_and_other_measures_keep_the_old_words():
    for optimizer in (ol.Adam(1e-4), ol.SGD(ol.schedules.Cosine(1e-7, epochs=200))):
        _, words = message(CELSIUS, optimizer, stop_at=1e-6, epochs=50)
        assert words.endswith("try more epochs, or another learning rate")
    _, words = message(CELSIUS, ol.SGD(1e-7), stop_at=ol.StopAt("loss", value=1e-3), epochs=50)
    assert words.endswith("try more epochs, or another learning rate")
    status, words = message(CELSIUS, ol.Adam(1e9), epochs=50)
    assert status == "diverged"
    assert words.endswith("try a smaller learning rate, or standardize the features")


class Liar:
    """Least squares in one variable whose Hessian cannot be had."""

    def __init__(self, lie):
        self.inner, self.lie, self.name = ol.Quadratic([2.0, 1.0]), lie, "liar"

    def __getattr__(self, name):
        if name in {"inner", "lie"}:
            raise AttributeError(name)
        return getattr(self.inner, name)

    def to(self, device, dtype, *, copy=False):
        return self

    def hessian_product(self, parameters, direction, batch=None):
        return self.lie(direction)


def refuse(direction):
    raise RuntimeError("no Hessian today")


@pytest.mark.parametrize(
    "lie",
    [
        refuse,
        lambda direction: {"x": direction["x"] * math.nan},
        lambda direction: {"x": direction["x"][:1]},
        lambda direction: {"x": -direction["x"]},
        lambda direction: None,
    ],
)
def test_a_problem_that_lies_about_its_hessian_loses_no_record(lie):
    problem = Liar(lie)
    trial = Trial(0, "liar", "SGD", "full", "cpu", "float64", 1)
    budget = ol.lab.Budget(epochs=300, stop_at=1e-6)
    for rate, status in ((5.0, "diverged"), (1e-6, "finished")):
        record = run_trial(trial, problem, ol.SGD(rate), budget)
        predict(record, Task(trial, problem, ol.SGD(rate), budget))
        assert (str(record.status), record.theory) == (status, None)
        assert "learning rate" in record.message
        assert "largest stable" not in record.message


def test_modes_are_computed_once_for_a_problem_however_many_trials_diverge(monkeypatch):
    problem = ol.LinearRegression(X[:, None], X, name="once")
    calls = []
    monkeypatch.setattr(module, "modes", lambda p: calls.append(p) or modes(p))
    rates = np.geomspace(1e-3, 1.0, 40)
    optimizers = {f"{rate:.3g}": ol.SGD(float(rate)) for rate in rates}
    results = ol.compare(problem, optimizers, batch_sizes=["full"], epochs=5, seeds=[1, 2])
    assert (results.trials["status"] == "diverged").all()
    assert results.trials["message"].str.contains("largest stable learning rate here").all()
    assert len(calls) == 1


def test_large_problems_are_left_alone_and_dead_ones_forgotten():
    wide = ol.LinearRegression(np.eye(501), np.arange(501.0))
    assert problem_theory(wide) is None
    key = id(wide)
    assert key in module._KNOWN
    del wide
    assert key not in module._KNOWN


def test_the_first_epoch_below_a_target_is_found_whatever_the_distance():
    for first in (0, 1, 255, 256, 257, 12_345, 10**8):
        assert first_below(lambda epochs, at=first: np.where(epochs < at, 1.0, 0.0), 0.5) == first
    assert math.isnan(first_below(lambda epochs: epochs * math.nan, 1.0))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Descent, momentum and others on a problem, and what its results file holds."""
    optimizers = {
        "sgd": ol.SGD(0.2),
        "heavy": ol.HeavyBall(0.2, momentum=0.8),
        "decay": ol.TorchSGD(0.2, weight_decay=0.01),
        "above": ol.ManualSGD(1.02 * oracles.stable_rate(SMALL)),
        "adam": ol.Adam(0.1),
        "direct": ol.Lstsq(),
    }
    store = tmp_path_factory.mktemp("store") / "theory.db"
    found = ol.compare(SMALL, optimizers, batch_sizes=[6, "full"], seeds=[1, 2], epochs=150,
                       stop_at=1e-6, store=store)  # fmt: skip
    return found, ol.Results.load(store)


def test_the_predicted_curve_is_that_of_the_oracles_and_the_measured_one(results):
    found, _ = results
    traces = found.traces.merge(found.trials[["trial", "optimizer", "batch", "seed"]], on="trial")
    full = traces[(traces["batch"] == "full") & ~traces["optimizer"].isin(["adam", "direct"])]
    assert set(full["optimizer"]) == {"sgd", "heavy", "decay", "above"}
    start = full[full["epoch"] == 0].set_index("trial")["suboptimality"]
    # A step rounds the parameters by some eps of their size; 150 steps by no more than 150 times.
    error = (full["predicted_suboptimality"] - full["suboptimality"]).abs()
    scale = np.maximum(full["trial"].map(start), full["suboptimality"])
    assert (error / scale).max() < 1e-11
    one = traces[
        (traces["batch"] == "6") & (traces["optimizer"] == "heavy") & (traces["seed"] == 1)
    ]
    moments = oracles.SGDMoments(SMALL, ol.HeavyBall(0.2, momentum=0.8), 6, replacement=False)
    expected = moments.suboptimality(SMALL.start(torch.Generator().manual_seed(1)), 4 * 150)
    np.testing.assert_allclose(
        one["predicted_suboptimality"], expected[4 * one["epoch"]], rtol=1e-9
    )
    others = traces[traces["optimizer"].isin(["adam", "direct"])]
    assert others["predicted_suboptimality"].isna().all()


def test_the_table_of_theory_has_a_row_for_each_setting_that_has_one(results):
    found, _ = results
    table = found.theory().set_index(["optimizer", "batch"])
    assert len(table) == 8
    assert set(table.index.get_level_values(0)) == {"sgd", "heavy", "decay", "above"}
    full = table.xs("full", level="batch")
    L = oracles.stable_rate(SMALL) and 2 / oracles.stable_rate(SMALL)
    np.testing.assert_allclose(full["largest_eigenvalue"], L, rtol=1e-14)
    assert full["stable"].to_dict() == {"sgd": True, "heavy": True, "decay": True, "above": False}
    assert full.loc["heavy", "stable_rate"] == pytest.approx(3.6 / L, rel=1e-14)
    assert (full["stable_rate_of"] == "full batch").all()
    # What is predicted is met, to the epoch, where every epoch is recorded: up to 100 they are.
    reached = full.loc[["sgd", "heavy"]]
    assert (reached["measured_epochs"] >= reached["predicted_epochs"]).all()
    assert (reached["measured_epochs"] <= 1.1 * reached["predicted_epochs"] + 1).all()
    assert full.loc["sgd", "noise_floor"] == 0 < full.loc["decay", "noise_floor"]
    assert full.loc["above", "noise_floor"] == math.inf
    assert full.loc["above", ["predicted_epochs", "measured_epochs"]].tolist() == [math.inf] * 2
    mini = table.loc[("sgd", "6")]
    moments = oracles.SGDMoments(SMALL, ol.SGD(0.2), 6, replacement=False)
    assert mini["noise_floor"] == pytest.approx(moments.noise_floor(), rel=1e-9)
    assert mini["stable_rate"] == pytest.approx(moments.stable_rate(), rel=1e-9)
    assert (mini["stable_rate_of"], mini["predicted_epochs"]) == ("mean square", math.inf)
    halves = analysis.modes(found)
    own = halves[(halves["optimizer"] == "sgd") & (halves["batch"] == "full")]
    np.testing.assert_allclose(own["half_life"], oracles.half_lives(SMALL, ol.SGD(0.2)), rtol=1e-12)


def test_a_results_file_has_the_same_theory(results):
    found, loaded = results
    pd.testing.assert_frame_equal(found.theory(), loaded.theory())
    pd.testing.assert_frame_equal(analysis.modes(found), analysis.modes(loaded))
    columns = ["epoch", "suboptimality", "predicted_suboptimality"]
    pd.testing.assert_frame_equal(found.traces[columns], loaded.traces[columns])


def test_the_figure_draws_theory_dashed_beside_each_measured_line(results):
    found, _ = results
    figure = found.plot_theory()
    assert " ".join(figure.get_suptitle().split()).endswith("cpu, float64")
    assert [axes.get_title("left") for axes in figure.axes] == ["batch size 6", "full batch"]
    for axes in figure.axes:
        # Floors have two ends, curves a point an epoch.
        lines = [line for line in axes.lines if len(line.get_xdata()) > 2]
        dashed = [line for line in lines if line.get_linestyle() == "--"]
        measured = [line for line in lines if line.get_linestyle() == "-"]
        assert len(dashed) == len(measured) == 4
        for theory, seen in zip(dashed, measured, strict=True):
            assert theory.get_color() == seen.get_color()
            np.testing.assert_array_equal(theory.get_xdata(), seen.get_xdata())
    view = theory_view(found).table
    assert view.loc[view["batch"] == "full", "floor"].notna().any()  # of the weight decay
    with pytest.raises(ValueError, match="theory predicts no trial on celsius"):
        ol.compare(CELSIUS, [ol.Adam(0.1)], epochs=2).plot_theory()


def test_lines_of_several_rates_are_shaded_by_rate_and_named_at_their_ends():
    rates = (0.4, 0.05, 0.1)  # in the order of the experiment
    results = ol.compare(SMALL, [ol.SGD(rate) for rate in rates], epochs=10, recorded_epochs=1)
    (axes,) = results.plot_theory().axes
    named = {text.get_text(): text.get_color() for text in axes.texts}
    order = sorted(named, key=lambda text: lightness(named[text]))
    assert order == [f"learning rate {rate}" for rate in sorted(rates)]
    steps = np.diff([lightness(named[text]) for text in order])
    assert steps.min() > 0.15  # a step that is seen, of a range of 0.44
    two = [rule(rate) for rule in (ol.SGD, ol.HeavyBall) for rate in (0.05, 0.1)]
    figure = ol.compare(SMALL, two, epochs=10, batch_sizes=[6, "full"]).plot_theory()
    assert [axes.get_title("left") for axes in figure.axes] == [
        "SGD, batch size 6", "SGD, full batch", "HeavyBall, batch size 6", "HeavyBall, full batch"
    ]  # fmt: skip


def test_the_page_says_the_rates_that_follow_from_the_spectrum(results):
    page = render_page(results[1])
    L, mu = (getattr(problem_theory(SMALL).modes, name) for name in ("largest", "smallest"))
    assert f"full-batch descent is stable below 2/L = {2 / L:.7g}".removesuffix(".0") in page
    assert f"condition number {L / mu:.4g}".removesuffix(".0") in page
    assert 'data-table="theory"' in page
    assert 'data-table="modes"' in page
    assert "Invariances</h2>" not in page
    # The problem alone has a spectrum, whatever ran on it.
    lines = spectrum_lines(ol.compare(CELSIUS, [ol.Lstsq()], epochs=1).problems)
    assert "2/L = 1.197605e-05" in lines[0][1]


def test_the_page_shows_signatures_where_they_are_given():
    found = [signature(ol.SGD(0.1)), signature(ol.Adam(0.1))]
    page = render_page(ol.compare(CELSIUS, [ol.Lstsq()], epochs=1), found)
    assert "holds, 15.0" in page
    assert "Invariances</h2>" in page
    assert len(re.findall(r"<td[^>]*>-, ", page)) >= 3  # Adam rotates with nothing


def test_tables_of_results_without_predictions_are_empty():
    found = ol.compare(CELSIUS, [ol.Lstsq()], epochs=1)
    assert found.theory().empty
    assert list(found.theory()) == analysis.theory(found).columns.tolist()
    assert analysis.modes(found).empty


@pytest.mark.parametrize("epoch", [0, 1, 255, 256, 257, 512, 513, 1000, 10**6 + 3, 5 * 10**8])
def test_the_first_epoch_below_a_target_is_found_one_by_one_and_by_bisection(epoch):
    assert first_below(lambda epochs: -1.0 * epochs, -epoch) == epoch


def test_no_prediction_reaches_beyond_the_last_power_below_a_thousand_million():
    assert first_below(lambda epochs: -1.0 * epochs, -(256 * 2**21)) == 256 * 2**21
    assert first_below(lambda epochs: -1.0 * epochs, -(256 * 2**21) - 1) == math.inf
    assert math.isnan(first_below(lambda epochs: np.nan * epochs, 0.0))


def test_moments_that_are_too_dear_are_not_computed(monkeypatch):
    """SMALL has four modes: with momentum, a state of eight numbers."""
    theory = problem_theory(SMALL)
    plain, heavy = LinearDescent(0.1), LinearDescent(0.1, 0.5)
    for most, known in ((8, [True, True]), (7, [True, False]), (3, [False, False])):
        monkeypatch.setattr(module, "STATE", most)
        found = [theory.moments(SMALL, descent, 6) for descent in (plain, heavy)]
        assert [moments is not None for moments in found] == known
    monkeypatch.setattr(module, "STATE", 8)
    monkeypatch.setattr(module, "NUMBERS", 24 * 4 * 4 - 1)
    assert theory.moments(SMALL, plain, 6) is None
    monkeypatch.setattr(module, "NUMBERS", 24 * 4 * 4)
    assert theory.moments(SMALL, plain, 6) is not None
