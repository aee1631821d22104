"""Coefficients in the units of the data, with their standard errors."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.app.summary_table import print_coefficients
from optlab.lab import ProblemSummary
from optlab.report.views.accuracy import parameters_view


def made(seed, offset, scale, **options):
    draw = np.random.default_rng(seed)
    X = offset + scale * draw.normal(size=(40, 3)) * [1.0, 5.0, 0.2]
    y = X @ [1.0, -2.0, 3.0] + 4.0 + draw.normal(size=40)
    return ol.datasets.Dataset("d", X, y, ("a", "b", "c"), **options)


def table(data, **options):
    return ol.LinearRegression.from_dataset(data, **options).coefficients()


@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 3.0, 1e3]),
    st.sampled_from([1e-3, 1.0, 1e4]),
    st.booleans(),
)
def test_raw_coefficients_are_those_of_the_raw_columns(seed, offset, scale, weighted):
    weights = np.random.default_rng(seed).uniform(0.1, 3, 40) if weighted else None
    data = made(seed, offset, scale, sample_weight=weights)
    raw, found = table(data), table(data.standardized())
    assert found["name"].tolist() == ["intercept", "a", "b", "c"]
    # A column rounded at standardizing is off by eps of its spread: 40 rows, and the offset over
    # the spread (at most 1e3 / 2e-4) multiplies what the intercept bears.
    rel = 1e-9 * max(1.0, offset / (0.2 * scale))
    np.testing.assert_allclose(found["coefficient"][1:], raw["as_fitted"][1:], rtol=rel)
    np.testing.assert_allclose(found["standard_error"], raw["standard_error_as_fitted"], rtol=rel)
    gap = abs(found["coefficient"][0] - raw["as_fitted"][0])
    assert gap <= rel * abs(raw["as_fitted"] * [1, offset, offset, offset]).sum() + rel
    np.testing.assert_allclose(raw.iloc[:, 1:3], raw.iloc[:, 3:], rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_standard_errors_are_the_textbooks(weighted):
    weights = np.random.default_rng(5).uniform(0.1, 3, 40) if weighted else None
    data = made(1, 3.0, 1.0, sample_weight=weights)
    W = np.diag(np.ones(40) if weights is None else weights)
    A = np.column_stack([np.ones(40), data.X])
    covariance = np.linalg.inv(A.T @ W @ A)
    c = covariance @ A.T @ W @ data.y
    r = data.y - A @ c
    expected = np.sqrt((r @ W @ r) / (40 - 4) * covariance.diagonal())
    found = table(data)
    np.testing.assert_allclose(found["as_fitted"], c, rtol=1e-9)
    np.testing.assert_allclose(found["standard_error_as_fitted"], expected, rtol=1e-9)


def test_rows_of_weight_zero_are_no_observations():
    weights = np.random.default_rng(5).uniform(0.1, 3, 40)
    weights[::4] = 0.0
    data = made(1, 3.0, 1.0, sample_weight=weights)
    kept = weights > 0
    without = ol.datasets.Dataset("d", data.X[kept], data.y[kept], ("a", "b", "c"),
                                  sample_weight=weights[kept])  # fmt: skip
    pd.testing.assert_frame_equal(table(data), table(without))


def test_standard_errors_are_missing_where_they_mean_nothing():
    data = made(1, 0.0, 1.0).standardized()
    errors = ["standard_error_as_fitted", "standard_error"]
    assert table(data)[errors].notna().all(axis=None)
    assert table(data, l2=0.1)[errors].isna().all(axis=None)
    few = ol.datasets.Dataset("few", data.X[:4], data.y[:4])
    assert table(few)[errors].isna().all(axis=None)
    twice = ol.datasets.Dataset("twice", np.column_stack([data.X, data.X[:, 0]]), data.y)
    assert table(twice.standardized())[errors].isna().all(axis=None)
    problem = ol.LinearRegression.from_dataset(data)
    start = {name: 0 * value for name, value in problem.reference().parameters.items()}
    assert problem.coefficients(start)[errors].isna().all(axis=None)


def test_a_fit_without_an_intercept_has_one_in_raw_units_only():
    data = made(1, 10.0, 1.0)
    assert table(data, fit_intercept=False)["name"].tolist() == ["a", "b", "c"]
    found = table(data.standardized(), fit_intercept=False)
    assert found["name"].tolist() == ["intercept", "a", "b", "c"]
    assert np.isnan(found["as_fitted"][0])
    raw = data.standardized().raw_coefficients(found["as_fitted"][1:].to_numpy())
    assert found["coefficient"].tolist() == [raw.bias, *raw.weight]
    assert found["standard_error"].notna().all()


def test_coefficients_beyond_float64_are_missing():
    found = table(made(1, 0.0, 1e-308).standardized())
    assert found["as_fitted"].notna().all()
    assert found["coefficient"].isna().all()


def test_a_results_file_keeps_coefficients_and_provenance(tmp_path):
    data = made(1, 3.0, 1.0).standardized()
    problem = ol.LinearRegression.from_dataset(data)
    store = tmp_path / "results.db"
    results = ol.compare(problem, ol.Lstsq(), store=store)
    for found in (results, ol.Results.load(store)):
        (facts,) = found.problems.values()
        pd.testing.assert_frame_equal(facts.coefficient_table(), problem.coefficients())
        assert list(facts.provenance) == list(data.provenance) != []
    named = parameters_view(results).extra["reference"]["parameter"]
    assert list(named) == ["a", "b", "c", "intercept"]


def test_a_summarys_coefficients_are_values_that_json_can_hold():
    problem = ol.LinearRegression.from_dataset(made(1, 3.0, 1.0), l2=1.0)
    facts = ProblemSummary.of("p", problem)
    assert json.loads(json.dumps(facts.coefficients, allow_nan=False)) == facts.coefficients
    assert facts.coefficient_table()["standard_error_as_fitted"].isna().all()


@pytest.mark.parametrize(("d", "more"), [(19, ""), (20, "and 1 more\n"), (30, "and 11 more\n")])
def test_the_terminal_shows_twenty_coefficients_and_counts_the_others(capsys, d, more):
    problem = ol.LinearRegression.from_dataset(ol.datasets.synthetic(50, d, condition=2, seed=1))
    facts = {"p": ProblemSummary.of("p", problem)}
    print_coefficients(facts, every=False)  # nothing was done to the data
    assert capsys.readouterr().out == ""
    print_coefficients(facts, every=True)
    out = capsys.readouterr().out
    assert "(50 rows fitted)" in out
    assert sum(line.startswith("│") for line in out.splitlines()) == 20
    assert out.endswith("┘\n" + more)


def test_without_an_intercept_there_is_a_row_a_column_but_in_the_units_of_the_data():
    data = made(2, 3.0, 2.0)
    columns = ["name", "coefficient", "standard_error", "as_fitted", "standard_error_as_fitted"]
    raw = table(data, fit_intercept=False)
    assert list(raw) == columns
    assert raw.index.tolist() == [0, 1, 2]
    assert raw["name"].tolist() == ["a", "b", "c"]
    scaled = table(data.standardized(), fit_intercept=False)
    assert list(scaled) == columns
    assert scaled["name"].tolist() == ["intercept", "a", "b", "c"]
    assert scaled.notna().sum(axis=1).tolist() == [3, 5, 5, 5]
