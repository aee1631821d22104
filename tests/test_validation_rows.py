"""Rows held out of the fit: the loss on them is measured, off the clock, and shown."""

import math

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.app.summary_table import print_summary

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)), RNG.normal(size=30)
HELD_X, HELD_Y = RNG.normal(size=(7, 2)), RNG.normal(size=7)
HELD_WEIGHTS = RNG.uniform(0, 2, 7)


def data(**options):
    held = ol.datasets.Dataset("held", HELD_X, HELD_Y, sample_weight=options.pop("weights", None))
    return ol.datasets.Dataset("d", X, Y, validation=held, **options)


@pytest.mark.parametrize("weights", [None, HELD_WEIGHTS])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_validation_loss_is_the_weighted_mean_squared_error_without_a_penalty(
    weights, fit_intercept
):
    problem = ol.LinearRegression.from_dataset(
        data(weights=weights), l2=0.7, fit_intercept=fit_intercept
    )
    point = problem.start(torch.Generator().manual_seed(0))
    residual = HELD_X @ point["weight"].numpy() + float(point.get("bias", 0.0)) - HELD_Y
    expected = np.average(residual**2, weights=weights)
    assert problem.evaluate(point).more == {"validation_loss": pytest.approx(expected, rel=1e-13)}
    single = {name: value.float() for name, value in point.items()}
    found = problem.to("cpu", torch.float32).evaluate(single).more["validation_loss"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_pair_of_arrays_is_held_out_like_a_dataset():
    pair = ol.LinearRegression(X, Y, validation=(HELD_X, HELD_Y))
    point = pair.start(torch.Generator().manual_seed(0))
    assert pair.evaluate(point) == ol.LinearRegression.from_dataset(data()).evaluate(point)
    assert "validation=7" in repr(pair)
    assert ol.LinearRegression(X, Y).evaluate(point).more == {}


def test_the_validation_loss_is_a_column_of_trials_and_traces(tmp_path):
    problem = ol.LinearRegression.from_dataset(data().standardized())
    store = tmp_path / "results.db"
    optimizers = [ol.ManualSGD(0.1), ol.Lstsq()]
    results = ol.compare(problem, optimizers, epochs=20, batch_sizes=["full"])
    best = problem.evaluate(problem.reference().parameters).more["validation_loss"]
    assert results.trials["validation_loss"].iloc[1] == pytest.approx(best, rel=1e-9)
    trace = results.traces.query("trial == 0")
    assert trace["validation_loss"].notna().all()
    assert trace["validation_loss"].iloc[-1] == results.trials["validation_loss"].iloc[0]
    (facts,) = ol.compare(problem, ol.Lstsq(), store=store).problems.values()
    assert facts.measures == {"validation_loss": best}
    assert ol.Results.load(store).problems[facts.name].measures == {"validation_loss": best}


def test_a_diverging_run_has_an_infinite_validation_loss():
    problem = ol.LinearRegression(X, Y, validation=(HELD_X, HELD_Y))
    point = {"weight": None, "bias": torch.tensor(0.0)}
    point["weight"] = torch.tensor([1e200, 0.0], dtype=torch.float64)
    assert math.isinf(problem.evaluate(point).more["validation_loss"])


@pytest.mark.parametrize(
    ("validation", "sentence"),
    [
        ((HELD_X[:, :1], HELD_Y), "validation: .*names for the 1 columns"),
        ((HELD_X, HELD_Y[:3]), "validation: X and y differ in length"),
        ((HELD_X * np.nan, HELD_Y), "validation: .*nan"),
        (ol.datasets.Dataset("h", HELD_X, HELD_Y, ("a", "b")), "validation must have the columns"),
    ],
)
def test_held_out_rows_that_do_not_fit_are_refused_by_name(validation, sentence):
    with pytest.raises(ValueError, match=f"(?i){sentence}"):
        ol.LinearRegression(X, Y, validation=validation)


def test_the_summary_has_the_medians_of_further_measures_at_its_end(capsys):
    plain, held = (
        ol.LinearRegression(X, Y, name="plain"),
        ol.LinearRegression(X, Y, name="held", validation=(HELD_X, HELD_Y)),
    )
    results = ol.compare([plain, held], ol.ManualSGD(0.01), batch_sizes=[3], seeds=[1, 2, 3, 4],
                         epochs=2)  # fmt: skip
    table = results.summary()
    assert [*table][-1] == "validation_loss"
    losses = results.trials.groupby("problem")["validation_loss"]
    assert len(set(losses.get_group("held"))) == 4
    without, median = table["validation_loss"]
    assert math.isnan(without)
    assert median == np.median(losses.get_group("held"))
    print_summary(table, "measures")
    heading, *rows = capsys.readouterr().out.splitlines()[2:]
    assert "validation loss" in heading
    assert f"{median:.4g}" in "\n".join(rows)
    print_summary(ol.compare(plain, ol.Lstsq()).summary(), "none")
    assert "validation" not in capsys.readouterr().out
