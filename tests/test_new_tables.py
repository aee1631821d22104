"""Predictions for new tables, which are encoded as the table that was fitted."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.datasets import from_pandas

FRAME = pd.DataFrame({
    "id": range(8),
    "size": [30.0, 45.0, 60.0, None, 80.0, 25.0, 50.0, 70.0],
    "city": ["Oslo", "Rome", "Oslo", "Lima", None, "Lima", "Rome", "Oslo"],
    "lift": [True, False, True, True, False, False, True, False],
    "only": ["a"] * 8,
    "price": [3.0, 5.0, 6.5, 4.0, 9.0, 2.0, 5.5, 8.0],
})  # fmt: skip
WORDS = {"target": "price", "drop": "id", "categories": "one-hot", "missing": "median"}


def solved(data):
    return ol.minimize(ol.LinearRegression.from_dataset(data), ol.Lstsq())


@pytest.fixture(scope="module")
def solution():
    return solved(from_pandas(FRAME, **WORDS).standardized())


@pytest.mark.filterwarnings("ignore:.* as in the table that was fitted")
@given(
    missing=st.sampled_from(["drop", "mean", "median"]),
    standardized=st.booleans(),
    single=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_training_table_predicts_what_was_fitted(missing, standardized, single, seed):
    draw = np.random.default_rng(seed)
    n = 12
    frame = pd.DataFrame({
        "x": draw.normal(50, 20, n).astype(np.float32 if single else float),
        "level": draw.choice(["a", "b", "c"], n),
        "count": pd.array(draw.integers(0, 9, n), "Int64"),
        "y": draw.normal(size=n),
    })  # fmt: skip
    frame.loc[draw.integers(n), "x"] = np.nan
    frame.loc[draw.integers(n), "level"] = None
    data = from_pandas(frame, target="y", categories="one-hot", missing=missing)
    found = solved(data.standardized() if standardized else data)
    rows = frame.dropna() if missing == "drop" else frame
    shuffled = rows[draw.permutation(rows.columns)]
    # Standardized columns are of some eps; the inputs and the weights are of size 100 at most.
    close = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(found.predict(shuffled), found.predict(), **close)
    part = draw.permutation(len(rows))[:3]
    np.testing.assert_allclose(found.predict(rows.iloc[part]), found.predict()[part], **close)


def test_a_new_row_is_encoded_filled_and_scaled_as_the_rows_that_were_fitted(solution):
    new = pd.DataFrame({"lift": [True] * 3, "city": ["Rome", None, "Lima"], "size": [None, 60, 60]})
    # Oslo is the most frequent level and 50 the median; "only" has one level, and no coefficient.
    filled = new.assign(city=["Rome", "Oslo", "Lima"], size=[50.0, 60, 60])
    told = (
        "1 missing value of column 'size' filled with 50, 1 missing value of column 'city' filled "
        "with 'Oslo', as in the table that was fitted"
    )
    with pytest.warns(UserWarning, match=f"^{told}$") as warned:
        np.testing.assert_array_equal(solution.predict(new), solution.predict(filled))
    assert [warning.filename for warning in warned] == [__file__]
    table = solution.coefficients().set_index("name")["coefficient"]
    expected = table["intercept"] + table["lift"] + 50 * table["size"] + table["city=Rome"]
    assert float(solution.predict(filled)[0]) == pytest.approx(expected, rel=1e-12)
    encoded = pd.DataFrame({"city=Oslo": [0.0], "city=Rome": 1, "size": 50, "lift": 1})
    assert float(solution.predict(encoded)[0]) == pytest.approx(expected, rel=1e-12)
    # Numbers alone are rows of the encoded columns.
    assert float(solution.predict([[50, 0, 1, 1]])[0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"city": "Riga"}, "'city' has the level 'Riga' in row 0 .*'Lima', 'Oslo', 'Rome'"),
        ({"size": "large"}, "column 'size' holds text"),
        ({"size": np.inf}, "column 'size' has 8 infinite values"),
        ({"size": None, "Size": 1.0}, r"no column 'size': did you mean 'Size'\?"),
    ],
)  # fmt: skip
def test_a_row_that_was_not_learnt_is_refused_by_name(solution, changes, sentence):
    frame = FRAME.assign(**changes)
    if "Size" in changes:
        frame = frame.drop(columns="size")
    with pytest.raises(ValueError, match=sentence):
        solution.predict(frame)


def test_gaps_are_refused_where_none_were_filled():
    found = solved(from_pandas(FRAME, **(WORDS | {"missing": "drop"})))
    for column, place in (("size", "row 3"), ("city", "row 4")):
        frame = FRAME.fillna({"size": 50.0, "city": "Oslo"}).assign(**{column: FRAME[column]})
        with pytest.raises(ValueError, match=f"'{column}' has 1 missing value, .* {place}"):
            found.predict(frame)
    twice = pd.concat([FRAME, FRAME[["city"]]], axis=1).dropna()
    with pytest.raises(ValueError, match="two columns 'city'"):
        found.predict(twice)


def test_an_encoding_of_other_columns_is_refused():
    data = from_pandas(FRAME, **WORDS)
    with pytest.raises(ValueError, match="encoding must make the columns of X"):
        ol.datasets.Dataset("part", data.X[:, :1], data.y, encoding=data.encoding)


def kinds(rows):
    """The same rows in each form that people have them."""
    array = rows.numpy()
    return [array, array.tolist(), pd.DataFrame(array, columns=["x"])]


def test_a_curve_and_a_module_take_rows_in_every_form():
    curve = ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear("Misra1a"), start=2)
    vector = ol.NonlinearLeastSquares(
        lambda p, x: curve.model(p, x[:, None]), curve.X[:, 0], curve.y, start=curve.starts[0]
    )
    module = ol.ModuleProblem(
        torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, curve.X, curve.y[:, None]
    )
    start = curve.starts[0]
    for problem, point in ((curve, start), (module, module.start(torch.Generator()))):
        expected = problem.predict(point, curve.X[:3])
        for rows in kinds(curve.X[:3]):
            torch.testing.assert_close(problem.predict(point, rows), expected, rtol=0, atol=0)
        whole = [[100], [200]]
        exact = problem.predict(point, torch.tensor(whole).double())
        torch.testing.assert_close(problem.predict(point, whole), exact, rtol=0, atol=0)
    for rows in (curve.X[:3, 0].numpy(), curve.X[:3, 0].tolist(), curve.X[:3].numpy()):
        torch.testing.assert_close(vector.predict(start, rows), curve.predict(start)[:3])
    with pytest.raises(ValueError, match=r"X must have the columns \('x',\), not \('z',\)"):
        curve.predict(start, pd.DataFrame({"z": [1.0]}))
