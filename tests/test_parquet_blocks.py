"""Parquet in blocks: the same checks as for a table, with rows counted over the whole file."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.datasets import ParquetBlocks, read_table


@pytest.fixture
def stored(tmp_path):
    def write(frame, **options):
        path = tmp_path / "a.parquet"
        if isinstance(frame, pa.Table):
            pq.write_table(frame, path, **options)
        else:
            frame.to_parquet(path, **options)
        return path

    return write


def joined(path, **words):
    X, y = zip(*ParquetBlocks(path, **words), strict=True)
    return np.concatenate(X), np.concatenate(y)


LINE = pd.DataFrame({"x": [0.0, 1, 2, 3], "y": [1.0, 3, 5, 7], "t": pd.Timestamp("2020-01-01")})


@pytest.mark.parametrize("reader", [ParquetBlocks, read_table])
@pytest.mark.parametrize(
    "values",
    [
        *(pa.array([1, None, 3], kind) for kind in (pa.date32(), pa.date64(), pa.time32("s"))),
        *(pa.array([1, 2, 3], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
        *(pa.array([1, None, 3], pa.timestamp(unit, "Asia/Tokyo")) for unit in ("s", "ns")),
        *(pa.array([1, None, 3], pa.duration(unit)) for unit in ("s", "ns")),
        pa.array([dt.date(2020, 1, 1), None, None]),
        pa.array(["a", None, "b"]),
        pa.array(["a", None, "b"]).dictionary_encode(),
        pa.array([[1], [2], [3]]),
        pa.array([{"a": 1}, {"a": 2}, None]),
        pa.array([b"a", b"b", b"c"]),
    ],
    ids=lambda values: str(values.type) if isinstance(values, pa.Array) else None,
)
def test_columns_that_hold_no_numbers_are_refused_by_name(stored, values, reader):
    ones = pa.array([1.0, 2, 4])
    for columns, target in (({"t": values, "y": ones}, "y"), ({"x": ones, "t": values}, "t")):
        with pytest.raises(ValueError, match=r"a\.parquet: column 't' holds"):
            reader(stored(pa.table(columns)), target=target)


def test_a_type_is_refused_before_any_value_is_read(stored):
    table = pa.table({"t": pa.array([None, None], pa.date32()), "y": pa.array([1.0, 2])})
    with pytest.raises(ValueError, match="column 't' holds dates or times"):
        ParquetBlocks(stored(table), target="y")


def test_a_period_is_a_date(stored):
    frame = pd.DataFrame({"t": pd.period_range("2020-01", periods=3, freq="M"), "y": [1.0, 2, 4]})
    for reader in (ParquetBlocks, read_table):
        with pytest.raises(ValueError, match="column 't' holds dates or times"):
            reader(stored(frame), target="y")


def test_an_index_that_pandas_stored_is_no_feature(stored):
    line = LINE[["x", "y"]]
    for frame in (line[line.x != 1], line.set_index(pd.Index([10, 25, 30, 41], name="id"))):
        blocks = ParquetBlocks(stored(frame), target="y")
        assert blocks.feature_names == read_table(blocks.path, target="y").feature_names == ("x",)
        solution = ol.linalg.streaming_least_squares(blocks)
        # Points on a line of small integers: the sums are exact, and so is the solution.
        assert (solution.weight.tolist(), solution.bias.item()) == ([2.0], 1.0)


def test_features_and_drop_choose_columns(stored):
    path = stored(LINE.assign(z=[4.0, 3, 2, 1]), row_group_size=3)
    X, y = joined(path, target="y", drop=["t"])
    np.testing.assert_array_equal(X, [[0, 4], [1, 3], [2, 2], [3, 1]])
    np.testing.assert_array_equal(joined(path, target="y", features=["z"])[0], X[:, 1:])
    np.testing.assert_array_equal(y, LINE["y"])
    with pytest.raises(ValueError, match="drop: there is no column 'T'"):
        ParquetBlocks(path, target="y", drop=["T"])
    with pytest.raises(ValueError, match=r"no column 'why'.*'x', 'y', 't', 'z'"):
        ParquetBlocks(path, target="why")


def test_a_name_twice_and_a_file_without_rows_are_refused(stored):
    ones = pa.array([1.0, 2])
    path = stored(pa.Table.from_arrays([ones, ones, ones], names=["x", "x", "y"]))
    with pytest.raises(ValueError, match="names columns twice: 'x'"):
        ParquetBlocks(path, target="y")
    with pytest.raises(ValueError, match="a header but no rows"):
        ParquetBlocks(stored(LINE[["x", "y"]][:0]), target="y")


def test_a_bad_value_is_told_by_its_row_in_the_file(stored):
    frame = pd.DataFrame({"x": np.arange(10.0), "y": 1.0})
    frame.loc[7, "x"] = np.nan
    blocks = ParquetBlocks(stored(frame, row_group_size=3), target="y")
    with pytest.raises(ValueError, match=r"'x' has 1 value missing or infinite .* row 7 \(rows"):
        list(blocks)
    blocks = ParquetBlocks(stored(frame[2:], row_group_size=3), target="y")
    with pytest.raises(ValueError, match=r"row 5 \(label 7\)"):
        list(blocks)


def test_large_integers_beside_a_gap_are_not_rounded(stored):
    frame = pd.DataFrame({"x": pd.array([2**53 + 1, None, 3], dtype="Int64"), "y": [1.0, 2, 3]})
    with pytest.raises(ValueError, match=r"holds integers beyond.*9007199254740993 in row 0"):
        read_table(stored(frame), target="y", missing="drop")


@given(
    values=st.lists(
        st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 2, 2**53 + 5), min_size=2, max_size=6
    ),
    size=st.integers(1, 4),
)
def test_integers_come_in_exactly_or_are_refused_with_their_row(tmp_path_factory, values, size):
    path = tmp_path_factory.getbasetemp() / "integers.parquet"
    pd.DataFrame({"x": values, "y": 1.0}).to_parquet(path, row_group_size=size)
    rounded = [row for row, value in enumerate(values) if int(float(value)) != value]
    if rounded:
        with pytest.raises(ValueError, match=rf"column 'x' holds integers .* row {rounded[0]} "):
            joined(path, target="y")
    else:
        assert joined(path, target="y")[0][:, 0].tolist() == values
