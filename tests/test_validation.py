"""Validation of arrays, tensors and data frames: exact values, or an error with the place."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.datasets import Dataset, from_pandas

Y3 = [1.0, 2.0, 4.0]
STAMPS = [dt.datetime(2020, 1, day) for day in (1, 2, 3)]


def arrow(values):
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


def entries(column):
    """Let a column in as a feature by each entry; yield how, and what came in (or the error)."""
    frame = pd.DataFrame({"t": column})
    y = np.arange(1.0, len(frame) + 1)
    for name, enter in {
        "problem": lambda: ol.LinearRegression(frame, y).X[:, 0],
        "array": lambda: ol.LinearRegression(frame.to_numpy(), y).X[:, 0],
        "target": lambda: ol.LinearRegression.from_dataset(Dataset("a", y[:, None], frame["t"])).y,
        "frame": lambda: from_pandas(frame.assign(y=y), target="y").X[:, 0],
        "frame's target": lambda: from_pandas(frame.assign(x=y), target="t").y,
    }.items():
        try:
            yield name, enter().tolist()
        except ValueError as error:
            yield name, error


DATES = {
    **{f"M8[{unit}]": pd.Series(STAMPS, dtype=f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")},
    **{f"m8[{unit}]": pd.Series([1, 2, 3], dtype=f"m8[{unit}]") for unit in ("s", "ns")},
    "tz-aware": pd.Series(STAMPS).dt.tz_localize("Asia/Tokyo"),
    "period": pd.Series(pd.period_range("2020-01", periods=3, freq="M")),
    "dates": pd.Series([stamp.date() for stamp in STAMPS], dtype=object),
    "datetimes": pd.Series(STAMPS, dtype=object),
    "times": pd.Series([dt.time(hour) for hour in (1, 2, 3)], dtype=object),
    "timedeltas": pd.Series([dt.timedelta(hours=hour) for hour in (1, 2, 3)], dtype=object),
    "numpy's": pd.Series([np.datetime64("2020-01-01"), 1.0, 2.0], dtype=object),
    "numpy's timedelta": pd.Series([np.timedelta64(1, "h"), 1.0, 2.0], dtype=object),
    "NaT among numbers": pd.Series([1.0, pd.NaT, 2.0], dtype=object),
    **{
        f"Arrow {stored}": arrow(pa.array([1, 2, 3], stored))
        for stored in (
            pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("us"),
            pa.timestamp("ns", "UTC"), pa.duration("s"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("gap", [False, True], ids=["whole", "gap"])
@pytest.mark.parametrize("column", DATES.values(), ids=DATES)
def test_dates_and_durations_are_refused_by_name_at_every_entry(column, gap):
    column = column.copy()
    if gap:
        column.iloc[1] = pd.NaT
    for door, outcome in entries(column):
        assert isinstance(outcome, ValueError), door
        assert any(word in str(outcome) for word in ("holds dates or times", "holds durations"))
        assert "turn them into numbers first" in str(outcome)
        assert "'t'" in str(outcome) or door in {"array", "target"}


def each(names, values):
    return dict.fromkeys(names.split(), values)


NUMBERS = {
    **each("int8 int16 int32 Int8 Int16 Int32 int8[pyarrow]", st.integers(-100, 100)),
    **each("uint8 uint16 uint32 UInt8 UInt16 UInt32 uint32[pyarrow]", st.integers(0, 200)),
    **each(
        "int64 Int64 int64[pyarrow]",
        st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 2, 2**53 + 9),
    ),
    **each(
        "uint64 UInt64 uint64[pyarrow]",
        st.integers(0, 2**64 - 1) | st.integers(2**64 - 4096, 2**64 - 1),
    ),
    **each("float16 halffloat[pyarrow]", st.floats(-6e4, 6e4, width=16)),
    **each("float32 Float32 float[pyarrow]", st.floats(-(2.0**126), 2.0**126, width=32)),
    **each("float64 Float64 double[pyarrow] Sparse[float] longdouble", st.floats(-1e300, 1e300)),
    **each("bool boolean bool[pyarrow]", st.booleans()),
    **each("object", st.integers(-(2**70), 2**70) | st.floats(-1e300, 1e300) | st.booleans()),
}


@pytest.mark.parametrize("dtype", NUMBERS)
@settings(max_examples=12)  # five doors each, and thirty dtypes
@given(data=st.data())
def test_numbers_of_every_dtype_come_in_exactly_or_are_refused_by_name(dtype, data):
    values = data.draw(st.lists(NUMBERS[dtype], min_size=3, max_size=3))
    nullable = dtype == "object" or dtype[0].isupper() or "pyarrow" in dtype or dtype == "boolean"
    gap = nullable and dtype != "Sparse[float]" and data.draw(st.booleans())
    stored = [None, *values[1:]] if gap else values
    column = pd.Series(stored, dtype=np.longdouble if dtype == "longdouble" else dtype)
    for door, outcome in entries(column):
        if gap:
            assert isinstance(outcome, ValueError), door
            if "float64 rounds" not in str(outcome):  # what is there is looked at first
                assert "row 0" in str(outcome)
                assert "missing" in str(outcome) or "NaN" in str(outcome)
        elif isinstance(outcome, ValueError):
            assert any(Fraction(float(value)) != Fraction(value) for value in values)
            assert "float64 rounds" in str(outcome)
            assert "'t'" in str(outcome) or door in {"array", "target"}
        else:
            assert [Fraction(x) for x in outcome] == [Fraction(value) for value in values]


@given(
    offset=st.integers(0, 10**18),
    steps=st.lists(st.integers(0, 9), min_size=3, max_size=9),
    places=st.integers(0, 3),
)
def test_decimals_keep_nine_digits_of_their_differences_or_are_refused(offset, steps, places):
    column = [Decimal(offset) + Decimal(step).scaleb(-places) for step in steps]
    exact = [Fraction(value) for value in column]
    spread = max(exact) - min(exact)
    for door, outcome in entries(pd.Series(column, dtype=object)):
        rounding = max(abs(Fraction(float(value)) - value) for value in exact)
        if isinstance(outcome, ValueError):
            assert rounding, door
        else:
            assert rounding <= spread / 2**32 or not spread
            assert outcome == [float(value) for value in column]


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.array([[2**53 + 1], [2**53 + 3], [2**53 + 5]]), "column 0 of X holds integers beyond"),
        (torch.tensor([[2**53 + 1], [0], [1]]), "9007199254740993 in row 0"),
        ([[1.5], [2**53 + 1], [3]], "9007199254740993 in row 1"),
        ([[1.5], [2**64 + 1], [3]], "18446744073709551617 in row 1"),
        ([[1.5], [10**400], [3]], "would become inf"),
        (np.array([[2**64 - 1], [0], [1]], np.uint64), "18446744073709551615 in row 0"),
        (np.array([[1], [2], [3]], np.longdouble) + np.ldexp(np.longdouble(1), -60), "more digits"),
    ],
)
def test_integers_that_float64_rounds_are_refused(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.LinearRegression(X, Y3)


def test_large_integers_that_float64_holds_come_in():
    X = [[2**60], [2**61], [-(2**63)]]
    for form in (X, np.array(X), torch.tensor(X), pd.DataFrame(X)):
        assert ol.LinearRegression(form, Y3).X.tolist() == X


def test_masked_values_are_refused_and_a_mask_of_nothing_is_not():
    X = np.ma.masked_array([[1.0], [999.0], [3.0]], mask=[[0], [1], [0]])
    for form in (X, list(X), [list(row) for row in X], tuple(X)):
        with pytest.raises(ValueError, match="X has 1 masked value"):
            ol.LinearRegression(form, Y3)
    with pytest.raises(ValueError, match=r"y has 1 masked value, the first at index \(1,\)"):
        ol.LinearRegression(X.data, X[:, 0])
    whole = np.ma.masked_array([[1.0], [2.0], [3.0]], mask=False)
    assert ol.LinearRegression(whole, Y3).X.tolist() == whole.tolist()


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (pd.Series(["1", "2", "3"]), "numbers written as text: convert them with pd.to_numeric"),
        (pd.Series(["1", "b", "c"]), "'b' in row 1, 2 such values"),
        (pd.Series(["1", "b", "c"], dtype="string[pyarrow]"), "holds text"),
        (pd.Series([1, "b", 3.0], dtype=object), "'b' in row 1, 1 such value"),
        (pd.Series([b"a", b"b", b"c"]), "holds text"),
        (pd.Series([1, 2, 3]).astype("category"), "holds categories"),
        (pd.Series([1j, 2, 3]), "holds complex numbers"),
        (pd.Series([1j, 2, 3], dtype=object), "holds complex numbers"),
        (pd.Series([[1], [2, 3], []]), "holds objects"),
        (pd.Series(pd.IntervalIndex.from_breaks([0, 1, 2, 3])), "holds objects"),
        (arrow(pa.array([[1], [2], []])), "holds objects"),
        (arrow(pa.array(["a", "b", "a"]).dictionary_encode()), "holds categories"),
    ],
)
def test_what_is_no_number_is_refused_by_name_at_every_entry(column, sentence):
    for door, outcome in entries(column):
        if door != "array":  # an array has lost the column's own dtype
            assert isinstance(outcome, ValueError), door
            # A dataset keeps class labels, as text; a regression's target refuses them as such.
            assert sentence in str(outcome) or (door == "target" and "holds text" in str(outcome))


def test_a_row_is_told_by_number_and_label():
    frame = pd.DataFrame({"x": [0.0, 1, np.nan, 3], "y": [*Y3, 5]}, index=[4, 5, 70, 7])[1:]
    with pytest.raises(ValueError, match=r"row 1 \(label 70\), column 'x'"):
        ol.LinearRegression(frame[["x"]], frame["y"])
    with pytest.raises(ValueError, match=r"column 'x': 1 missing, the first in row 1 \(label 70\)"):
        from_pandas(frame, target="y")


def test_missing_values_are_counted_in_each_column():
    frame = pd.DataFrame({"a": [np.nan, 1, np.nan], "b": [1, np.inf, 2]})
    with pytest.raises(ValueError, match=r"3 values .* \(column 'a': 2, column 'b': 1\); .* row 0"):
        ol.LinearRegression(frame, Y3)


def test_a_data_frame_gives_its_names_and_may_not_give_one_twice():
    frame = pd.DataFrame([[1, 2.0], [2, 3.0], [3, 5.0]], columns=[0, "b"])
    assert ol.LinearRegression(frame, Y3).feature_names == ("0", "b")
    assert Dataset("a", frame, Y3).feature_names == ("0", "b")
    assert Dataset("a", frame, Y3, ("p", "q")).feature_names == ("p", "q")
    for names in (["a", "a"], [1, "1"]):
        with pytest.raises(ValueError, match="names columns twice"):
            ol.LinearRegression(frame.set_axis(names, axis=1), Y3)


def test_rows_of_other_labels_are_not_put_side_by_side():
    frame = pd.DataFrame({"x": [1.0, 2, 3]})
    y = pd.Series(Y3, index=[2, 1, 0])
    with pytest.raises(ValueError, match=r"different row labels: 0 and 2 in row 0.*y\.loc"):
        ol.LinearRegression(frame, y)
    assert ol.LinearRegression(frame, y.loc[frame.index]).y.tolist() == Y3[::-1]
    filtered = frame[frame.x != 2]
    assert ol.LinearRegression(filtered, y.loc[filtered.index]).y.tolist() == [4, 1]


def test_arrow_tables_come_in_as_frames_do():
    table = pa.table({"a": pa.array([1, 2, 3]), "b": pa.array([1.0, 2, 5])})
    problem = ol.LinearRegression(table, pa.array(Y3))
    assert (problem.feature_names, problem.X.tolist()) == (("a", "b"), [[1, 1], [2, 2], [3, 5]])
    with pytest.raises(ValueError, match="holds dates"):
        ol.LinearRegression(pa.table({"a": STAMPS}), Y3)


def test_sparse_and_ragged_data_are_refused():
    with pytest.raises(ValueError, match=r"X must be dense: pass X.toarray\(\)"):
        ol.LinearRegression(scipy.sparse.eye_array(3), Y3)
    with pytest.raises(ValueError, match="X must be a dense tensor"):
        ol.LinearRegression(torch.eye(3).to_sparse(), Y3)
    with pytest.raises(ValueError, match="X is no rectangular array"):
        ol.LinearRegression([[1, 2], [3]], [1, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8, torch.bool])
def test_small_dtypes_of_torch_become_float64(dtype):
    X = torch.tensor([[0], [1], [1]]).to(dtype)
    problem = ol.LinearRegression(X, Y3)
    assert (problem.X.dtype, problem.X.tolist()) == (torch.float64, [[0], [1], [1]])


@given(st.lists(st.floats(-1e38, 1e38), min_size=3, max_size=3))
def test_a_float64_target_is_never_rounded_to_float32_features(y):
    problem = ol.LinearRegression(np.ones((3, 1), np.float32), y)
    assert problem.y.tolist() == y
    single = all(float(np.float32(value)) == value for value in y)
    assert problem.X.dtype == problem.y.dtype == (torch.float32 if single else torch.float64)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1, -1, 0], "at least 0, not -1.0 in row 1"),
        ([1, np.inf, 0], "finite and at least 0, not inf in row 1"),
        ([0, 0, 0], "0 in every row"),
        ([1, 2], r"must have shape \(3,\), not \(2,\)"),
        (["a", "b", "c"], "sample_weight holds text"),
    ],
)
def test_row_weights_are_finite_and_not_all_zero(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        Dataset("a", np.eye(3), Y3, sample_weight=weights)
