"""Learning rates that follow the batch size, and the batch sizes of least cost."""

import pytest

import optlab as ol
from optlab.app.options import Axes
from optlab.lab.runner import Listener
from optlab.lab.tuning.rate_rule import RateRule
from optlab.report.findings.all_findings import findings
from optlab.report.views import views_of

PROBLEM = ol.LinearRegression.from_dataset(ol.datasets.load("diabetes").standardized())
SIZES = [1, 8, 64]


@pytest.fixture(scope="module")
def results():
    optimizers = {"sgd": ol.SGD(0.002), "schedule": ol.SGD(ol.schedules.Step(0.002, every=50))}
    return ol.compare(
        PROBLEM, optimizers | {"lstsq": ol.Lstsq()},
        batch_sizes=[*SIZES, "full"], epochs=60, stop_at=1e-2, rate_rule="linear",
    )  # fmt: skip


def test_each_trial_says_its_rate(results):
    rates = results.trials[results.trials["optimizer"] == "sgd"].set_index("batch")[
        "hp_learning_rate"
    ]
    assert rates.to_dict() == pytest.approx({"1": 0.002, "8": 0.016, "64": 0.128, "full": 0.884})


def test_the_numbers_are_those_of_the_scaled_rate(results):
    alone = ol.minimize(PROBLEM, ol.SGD(0.002 * 8), epochs=60, batch_size=8, stop_at=1e-2)
    row = results.trials.query("optimizer == 'sgd' and batch == '8'").iloc[0]
    assert (row["loss"], row["epochs"]) == (alone.loss, alone.epochs)


@pytest.mark.parametrize(("name", "factors"), [
    ("constant", (1, 1, 1)), ("linear", (0.125, 1, 8)), ("square root", (8**-0.5, 1, 8**0.5)),
])  # fmt: skip
def test_rules(name, factors):
    rule = RateRule.of(name, 8, SIZES)
    for size, factor in zip(SIZES, factors, strict=True):
        assert rule.applied(ol.SGD(0.1), size, rows=442).learning_rate == pytest.approx(
            0.1 * factor
        )
    largest = rule.applied(ol.SGD(0.1), 10**6, rows=80).learning_rate  # as one of all rows
    assert largest == rule.applied(ol.SGD(0.1), "full", rows=80).learning_rate


def test_wrapped_rates_follow_and_others_stay():
    rule = RateRule("linear", 1)
    assert rule.applied(ol.Averaged(ol.HeavyBall("0.5/L")), 4, 100).rule.learning_rate == "2/L"
    wrapped = ol.TorchOptimizer(ol.optimizers.registry.get("torch-adam").torch_class, lr=0.1)
    assert rule.applied(wrapped, 4, 100).options == {"lr": 0.4}
    for untouched in (ol.Lstsq(), ol.FISTA(), ol.LBFGS()):
        assert rule.applied(untouched, 4, 100) is untouched


@pytest.mark.parametrize(("arguments", "words"), [
    ({"rate_rule": "cubic"}, "rate_rule must be one of 'constant', 'linear', 'square "),
    ({"rate_rule": "tuned at each", "optimizers": ol.SGD(lambda _: 0.1)}, "put it into Tuned"),
    ({"rate_rule": "linear", "reference_batch_size": 0}, "batch_size must be a whole number"),
    ({"rate_rule": "linear", "optimizers": ol.SGD("auto")}, "SGD has learning_rate='auto'"),
    ({"rate_rule": "linear", "optimizers": ol.SGD(lambda _: 0.1)}, "that is a function"),
])  # fmt: skip
def test_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        ol.Experiment(**{"problems": PROBLEM, "optimizers": ol.SGD(0.1)} | arguments)


def test_a_store_knows_rules_apart(tmp_path):
    common = {"problems": PROBLEM, "batch_sizes": [8, 64], "epochs": 3, "repeats": 1}
    optimizers = [ol.SGD(0.002), ol.Lstsq()]
    path = tmp_path / "store.db"
    losses = []
    for rule in ("constant", "linear", "square root", "linear"):
        experiment = ol.Experiment(optimizers=optimizers, rate_rule=rule, **common)
        known = []
        listener = Listener(known=known.append)
        found = experiment.run(store=path, listener=listener)
        losses.append(found.trials.query("batch == '64'")["loss"].item())
    assert [status.done for status in known] == [3]  # the last repeats the second
    assert losses[1] == losses[3]
    assert len(set(losses)) == 3
    loaded = ol.Results.load(path)
    assert loaded.trials.query("batch == '64'")["hp_learning_rate"].item() == pytest.approx(0.016)
    assert loaded.definition["rate_rule"] == "linear from batch size 8"


def test_the_figure_has_a_panel_for_each_cost(results):
    figure = results.plot_batch_sizes()
    costs = [axes.get_ylabel().split(" ")[0] for axes in figure.axes]
    assert costs == ["steps", "epochs", "samples", "seconds"]
    sizes = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
    assert sizes[0][:2] == ["1", "8"]
    times = results.time_to_target(1e-2).query("optimizer == 'sgd' and reached == 1")
    for axes, cost in zip(figure.axes, costs, strict=True):
        assert axes.lines[0].get_ydata().tolist() == times[cost].tolist()


def test_costs_have_their_own_best_batch_sizes(results):
    """Hand-made: of SGD's settings the least of each column of the table of times."""
    times = results.time_to_target(1e-2).query("optimizer == 'sgd' and reached == 1")
    assert len(times) >= 2
    assert (times["samples"] == 442 * times["epochs"]).all()
    steps = {"1": 442, "8": 56, "64": 7, "full": 1}
    assert times["steps"].tolist() == [
        steps[b] * e for b, e in zip(times["batch"], times["epochs"], strict=True)
    ]
    (sentence, *_) = (s for s in findings(results, views_of(results)) if s.kind == "batch sizes")
    for cost in ("steps", "epochs", "samples"):
        least = times.loc[times[cost].idxmin()]
        assert sentence.numbers[cost] == (str(least["batch"]), least[cost])
    assert "the fewest steps at 64" in sentence.text
    assert "the fewest epochs at 1" in sentence.text


def test_a_rate_is_tuned_at_each_batch_size_by_the_same_search():
    line = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    results = ol.compare(
        line, {"momentum": ol.HeavyBall(0.1, 0.5), "lstsq": ol.Lstsq()}, batch_sizes=[1, "full"],
        epochs=40, stop_at=1e-2, rate_rule="tuned at each", recorded_epochs=1,
    )  # fmt: skip
    settings = results.tuning_settings()
    tried = [set(own["value"]) for _, own in settings.groupby("batch")]
    assert [len(own) for own in tried] == [20, 20]
    assert tried[0] == tried[1]
    rows = results.trials.query("stage == 'measured' and optimizer == 'momentum'")
    reached = settings[settings["reached"] == 1]
    for row in rows.to_dict("records"):
        own = reached[reached["batch"] == row["batch"]]
        best = own.loc[own["epochs"] == own["epochs"].min(), "value"]
        assert row["hp_learning_rate"] in set(best)
        assert row["hp_momentum"] == 0.5  # no part of the rule
    small, full = rows["hp_learning_rate"]
    assert small < full
    assert results.definition["rate_rule"] == "tuned at each"
    assert Axes(rate_rule="tuned-at-each").changes() == {"rate_rule": "tuned at each"}
