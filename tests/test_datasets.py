import math
import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab import LinearRegression, datasets

EPS = np.finfo(np.float64).eps


def test_tutorial_is_the_articles_ten_points():
    data = datasets.tutorial()
    expected = np.array([1.0, 1.3, 3.1, 2.0, 5.0, 6.3, 6.6, 7.4, 8.0, 9.0], dtype="float32")
    np.testing.assert_array_equal(data.y, expected, strict=True)
    np.testing.assert_array_equal(data.X, np.arange(10, dtype="float32")[:, None], strict=True)


def test_diabetes_is_the_raw_data():
    data = datasets.diabetes()
    assert data.X.shape == (442, 10)
    assert data.feature_names[:3] == ("age", "sex", "bmi")
    assert data.X[0, 0] == 59.0  # years, not scikit-learn's scaled column
    assert data.y[0] == 151.0


@given(
    n=st.integers(2, 50),
    d=st.integers(1, 3),
    seed=st.integers(0, 2**32),
    offset=st.floats(0, 18).map(lambda power: 10**power),
    scale=st.floats(-300, 300).map(lambda power: 10**power),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_standardized_columns_have_mean_0_and_deviation_1(n, d, seed, offset, scale, dtype):
    if dtype == np.float32:  # 1e-37 to 1e37, so that offsets of that many spreads are in range
        scale, offset = scale**0.06, offset**0.9
    z = np.random.default_rng(seed).standard_normal((n, d))
    X = (z * scale if scale > 1e280 else (z + offset) * scale).astype(dtype)
    data = datasets.Dataset("a", X, X[:, 0])
    found = data.standardized()
    assert found.X.dtype == dtype
    # A mean of n differences is off by n eps of the largest, sqrt(n) deviations at most; dividing
    # and rounding to the data's dtype add two roundings of such an entry.
    tolerance = np.sqrt(n) * ((n + 3) * EPS + np.finfo(dtype).eps)
    exact = found.X.astype(np.float64)
    varies = X.min(0) < X.max(0)
    np.testing.assert_allclose(exact.mean(0), 0, rtol=0, atol=tolerance)
    np.testing.assert_allclose(exact.std(0), varies.astype(float), rtol=0, atol=2 * tolerance)
    np.testing.assert_array_equal(found.y, data.y)
    np.testing.assert_array_equal(data.X, X)


@pytest.mark.parametrize(
    "X",
    [
        np.array([5e-324, 1e-323, 5e-323]),
        np.array([-1.7e308, 1.7e308, 1.7e308]),
        np.array([1.7976931348623157e308, 1.7976931348623155e308, 1.7976931348623157e308]),
        np.array([1e15, 1e15 + 0.125, 1e15 + 0.25]),
        np.array([1e-45, 3e-45, 1e-44], np.float32),
        (2000 + np.arange(1e6) % 7).astype(np.float32),
    ],
    ids=lambda X: f"{X[0]} {X.dtype}",
)
def test_standardized_at_the_ends_of_the_range(X):
    found = datasets.Dataset("a", X[:, None], np.ones(len(X))).standardized()
    exact = found.X.astype(np.float64)
    tolerance = 100 * float(np.finfo(X.dtype).eps)  # values below 3 deviations here
    assert abs(exact.mean()) < tolerance
    assert exact.std() == pytest.approx(1, rel=tolerance, abs=0)


def test_the_validation_is_standardized_by_the_training_rows():
    held = datasets.Dataset("a", [[10.0, 5.0], [20.0, 7.0]], [1.0, 2.0])
    data = datasets.Dataset("a", [[1.0, 5.0], [3.0, 5.0]], [0.0, 1.0], validation=held)
    found = data.standardized()
    np.testing.assert_array_equal(found.X, [[-1, 0], [1, 0]])
    np.testing.assert_array_equal(found.validation.X, [[8, 0], [18, 2]])
    assert found.validation.known == found.known
    with pytest.raises(ValueError, match="validation must have the columns of X"):
        datasets.Dataset("a", [[1.0]], [1.0], validation=held)


@given(
    data=st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6),
    offset=st.floats(0, 15).map(lambda power: 10**power),
    weight=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=2),
    bias=st.floats(-1e3, 1e3),
)
def test_raw_coefficients_predict_what_the_standardized_ones_do(data, offset, weight, bias):
    dataset = datasets.Dataset("a", np.reshape(data, (3, 2)) + offset, np.ones(3)).standardized()
    raw = dataset.raw_coefficients(weight, bias)
    taken = {
        name: list(map(Fraction, kept)) for name, kept in dataset.known["standardized"].items()
    }
    exact, constant = [], Fraction(bias)
    for w, mean, low, deviation in zip(map(Fraction, weight), *taken.values(), strict=True):
        exact.append(w / deviation)
        constant -= exact[-1] * (mean + low)
    # Rounded once: the nearest float64 to the exact rational.
    assert raw.weight.tolist() == [float(w) for w in exact]
    assert raw.bias == float(constant)


def test_standardizing_twice_is_undone_as_one():
    data = datasets.Dataset("a", np.array([[1e9], [1e9 + 1], [1e9 + 5]]), np.ones(3))
    once, twice = data.standardized(), data.standardized().standardized()
    one, two = (found.raw_coefficients([3.0], 1.0) for found in (once, twice))
    # The second deviation and mean are 1 and 0 but for the roundings of three values.
    assert two.weight[0] == pytest.approx(one.weight[0], rel=8 * EPS, abs=0)
    assert two.bias == pytest.approx(one.bias, rel=16 * EPS, abs=0)


def test_raw_coefficients_are_those_of_a_fit_to_the_raw_columns():
    data = datasets.diabetes()
    fit = LinearRegression.from_dataset(data.standardized()).reference().parameters
    raw = LinearRegression.from_dataset(data).reference().parameters
    weight, bias = data.standardized().raw_coefficients(fit["weight"], fit["bias"])
    # Both optima are good to 12 digits and more (their certificates say so).
    np.testing.assert_allclose(weight, raw["weight"], rtol=1e-11)
    assert bias == pytest.approx(raw["bias"].item(), rel=1e-11, abs=0)
    assert data.raw_coefficients(weight, bias).bias == bias
    with pytest.raises(ValueError, match=r"weight must have shape \(10,\), not \(1,\)"):
        data.standardized().raw_coefficients([1.0])
    tiny = datasets.Dataset("a", [[0.0], [1e-310]], [0.0, 1.0]).standardized()
    with pytest.raises(ValueError, match="beyond the range of float64"):
        tiny.raw_coefficients([1.0])


def test_a_constant_column_is_centred_and_not_divided_by_zero():
    # The mean of 0.1, three times, is not 0.1: the deviation comes out tiny, not zero.
    X = np.column_stack([np.full(3, 0.1), np.arange(3)])
    found = datasets.Dataset("a", X, np.arange(3.0)).standardized()
    assert abs(found.X[:, 0]).max() <= 4 * EPS * 0.1  # the rounding of that mean
    assert found.X[:, 1].std() == pytest.approx(1, rel=10 * EPS, abs=0)


def test_standardized_keeps_what_was_taken_out():
    data = datasets.diabetes()
    taken = data.standardized().known["standardized"]
    for j, column in enumerate(data.X.T.tolist()):
        exact = sum(map(Fraction, column)) / len(column)
        # Both parts together are the mean but for a sum of n differences, of the deviation's size.
        mean = Fraction(taken["mean"][j]) + Fraction(taken["mean_low"][j])
        assert abs(mean - exact) <= len(column) * EPS * taken["deviation"][j]
        assert taken["deviation"][j] == pytest.approx(statistics.pstdev(column), rel=4 * EPS, abs=0)


def test_dataset_checks_its_arrays_at_the_door():
    with pytest.raises(ValueError, match="y must have shape"):
        datasets.Dataset("a", np.ones((2, 1)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="3 feature names for the 1 columns"):
        datasets.Dataset("a", np.ones((2, 1)), np.ones(2), feature_names=("a", "b", "c"))


def test_a_problem_of_a_dataset_has_its_names_and_its_intercept():
    data = datasets.Dataset("a", [[1.0], [2.0]], [1, 2], ("size",), fit_intercept=False)
    problem = LinearRegression.from_dataset(data)
    assert (problem.name, problem.feature_names, problem.fit_intercept) == ("a", ("size",), False)
    assert LinearRegression.from_dataset(data, fit_intercept=True).fit_intercept


@given(
    n=st.integers(5, 60),
    d=st.integers(1, 8),
    exponent=st.floats(0, 10),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_synthetic_has_the_singular_values_asked_for(n, d, exponent, seed, data):
    full = min(n - 1, d)
    rank = data.draw(st.none() | st.integers(1, full))
    condition = 10**exponent
    X = datasets.synthetic(n, d, condition=condition, rank=rank, seed=seed).X
    r = full if rank is None else rank
    expected = np.geomspace(1, 1 / condition, r) if r > 1 else np.ones(1)
    found = np.linalg.svd(X, compute_uv=False) / math.sqrt(n)
    # Orthonormal to some n eps each way, a product of d terms, and the svd's own n eps: singular
    # values move by no more than the matrix does (Weyl), relative to the largest, which is 1.
    tolerance = 10 * n * EPS
    np.testing.assert_allclose(found[:r], expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found[r:], 0, atol=tolerance)
    # Centred before QR: means of sqrt(n) sized columns, of singular values at most 1.
    np.testing.assert_allclose(X.mean(0), 0, atol=tolerance * math.sqrt(n))


def test_synthetic_without_noise_lies_on_the_plane_it_knows():
    data = datasets.synthetic(30, 4, noise=0, seed=1)
    plane = data.X @ data.known["weight"] + data.known["bias"]
    np.testing.assert_array_equal(data.y, plane)


def test_synthetic_noise_has_the_deviation_asked_for():
    with_noise, without = (datasets.synthetic(20000, 2, noise=s, seed=1).y for s in (3.0, 0.0))
    # The deviation of 20 000 normals is within 3 / sqrt(40 000) = 0.015 of 3 in 68 of 100 seeds;
    # this seed is fixed, and 0.1 is more than 6 times that.
    assert abs((with_noise - without).std() - 3) < 0.1


def test_synthetic_of_one_seed_is_the_same_and_of_another_is_not():
    a, b, c = (datasets.synthetic(10, 2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.y, b.y)
    assert not np.array_equal(a.X, c.X)


def test_synthetic_keeps_the_dtype_asked_for():
    data = datasets.synthetic(10, 2, dtype=np.float32)
    assert (data.X.dtype, data.y.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"n": 1, "d": 1}, "n must be at least 2"),
        ({"n": 5, "d": 0}, "d at least 1"),
        ({"n": 5, "d": 2, "condition": 0.5}, "condition must be finite and at least 1"),
        ({"n": 5, "d": 2, "condition": math.inf}, "condition must be finite"),
        ({"n": 5, "d": 2, "noise": -1}, "noise must be finite and at least 0"),
        ({"n": 5, "d": 2, "noise": math.nan}, "noise must be finite"),
        ({"n": 5, "d": 2, "rank": 0}, "rank must be from 1 to .* 2, not 0"),
        ({"n": 5, "d": 8, "rank": 5}, "rank must be from 1 to .* 4, not 5"),
    ],
)
def test_synthetic_refuses_what_cannot_be(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.synthetic(**arguments)


@pytest.fixture
def table(tmp_path):
    def write(text, name="points.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_csv_is_read_with_its_names(table):
    data = datasets.read_table(table("x, y,z\n0,1,2.5\n1,3,1e-3\n"), target="y")
    assert (data.name, data.feature_names, data.target_name) == ("points", ("x", "z"), "y")
    np.testing.assert_array_equal(data.X, [[0, 2.5], [1, 1e-3]])
    np.testing.assert_array_equal(data.y, [1, 3])
    assert data.X.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parquet_is_read_in_its_own_dtype(tmp_path, dtype):
    frame = pd.DataFrame({"x": [0.1, 0.2], "y": [1.0, 3.0]}, dtype=dtype)
    frame.to_parquet(tmp_path / "points.parquet")
    data = datasets.read_table(tmp_path / "points.parquet", target="y")
    np.testing.assert_array_equal(data.X, frame[["x"]].to_numpy(), strict=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x,size\n1,2\n", "there is no column 'y'; the columns are 'x', 'size'"),
        ("x,y\n", "has a header but no rows"),
        ("y\n1\n", "no feature is left to fit the target 'y' by"),
        ("x,y\n1,2\ninf,2\n", "'x' has 1 infinite value, the first in row 1"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_what_is_wrong_and_where(table, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        datasets.read_table(table(text), target="y")


@pytest.mark.parametrize("name", datasets.names())
def test_every_named_dataset_loads_and_says_where_it_comes_from(name):
    data = datasets.load(name)
    assert data.name == name
    assert data.source


def test_an_unknown_dataset_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown dataset 'diabets': did you mean 'diabetes'"):
        datasets.load("diabets")
    with pytest.raises(ValueError, match="unknown dataset 'qqq': there are tutorial"):
        datasets.load("qqq")
