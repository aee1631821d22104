"""Tables as people have them: columns chosen, gaps filled, categories encoded, rows held out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

import optlab as ol
from optlab.datasets import from_pandas, read_table

FRAME = pd.DataFrame(
    {
        "id": [7, 8, 9, 10],
        "size": [1.0, None, 3.0, 5.0],
        "city": ["Kobe", "Ube", None, "Ube"],
        "price": [1.0, 2.0, 3.0, 4.0],
        "count": [1, 2, 0, 1],
    }
)


def test_columns_are_chosen_by_name():
    numbers = FRAME.drop(columns=["city", "size"])
    assert from_pandas(numbers, target="price").feature_names == ("id", "count")
    assert from_pandas(numbers, target="price", drop=["id"]).feature_names == ("count",)
    assert from_pandas(numbers, target="price", drop="id").feature_names == ("count",)
    chosen = from_pandas(FRAME, target="price", features=["count", "id"])
    assert chosen.feature_names == ("count", "id")
    assert chosen.X.tolist() == [[1, 7], [2, 8], [0, 9], [1, 10]]
    assert "columns left out: 'size', 'city'" in chosen.provenance
    assert from_pandas(FRAME, target="price", features="id").feature_names == ("id",)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"target": "prize"}, r"target: there is no column 'prize' \(did you mean 'price'\?\)"),
        ({"features": ["sise"]}, r"features: there is no column 'sise' \(did you mean 'size'\?\)"),
        ({"drop": ["Id"]}, r"drop: there is no column 'Id' \(did you mean 'id'\?\)"),
        ({"weights": "counts"}, r"weights: there is no column 'counts' \(did you mean 'count'\?\)"),
        ({"features": ["price"]}, "'price' is named in target and in features"),
        ({"features": ["id"], "drop": ["id"]}, "'id' is named in features and in drop"),
        ({"features": ["id", "id"]}, "features names columns twice: 'id'"),
        ({"features": []}, "no feature is left"),
        ({"missing": "zero"}, "missing must be one of error, drop, mean, median, not 'zero'"),
        ({"categories": "ordinal"}, "categories must be one of error, one-hot, not 'ordinal'"),
        ({"validation": 1}, "validation must be a share between 0 and 1"),
        ({"validation": 20}, "validation must be a share between 0 and 1"),
        ({"features": "id", "validation": 0.01}, "leaves 4 to fit and 0 held out"),
        ({"features": "id", "weights": "size"}, r"1 of 4 rows have missing values \(column 'size'"),
        ({"target": "city", "categories": "one-hot"}, "column 'city' holds text"),
        ({}, "column 'city' holds text, not numbers .*'Kobe' in row 0, 3 such values, and 1 miss"),
        ({"features": "size"}, r"1 of 4 rows .* \(column 'size': 1 missing, the first in row 1\)"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_pandas(FRAME, **{"target": "price"} | words)


def test_the_index_is_no_feature_and_says_so():
    frame = FRAME[["id", "count", "price"]].set_index("id")
    data = from_pandas(frame, target="price")
    assert data.feature_names == ("count",)
    assert "the index 'id' is no feature" in data.provenance
    with pytest.raises(ValueError, match=r"no column 'id' \(it is the index: .*reset_index"):
        from_pandas(frame, target="id")


def test_columns_named_by_numbers_are_found():
    data = from_pandas(pd.DataFrame({0: [1.0, 2, 4], 1: [1.0, 3, 5]}), target=1)
    assert (data.feature_names, data.target_name) == (("0",), "1")


def test_rows_with_gaps_are_left_out_and_counted():
    data = from_pandas(FRAME, target="price", missing="drop", categories="one-hot")
    assert data.X.tolist() == [[7, 1, 0, 1], [10, 5, 1, 1]]
    assert data.feature_names == ("id", "size", "city=Ube", "count")
    assert any(note.startswith("left out: 2 of 4 rows") for note in data.provenance)
    with pytest.raises(ValueError, match=r"3 of 3 rows .*no row is left"):
        from_pandas(pd.DataFrame({"x": [None] * 3, "y": [1.0, 2, 3]}), target="y", missing="drop")


@given(
    values=st.lists(st.none() | st.floats(-1e9, 1e9), min_size=4, max_size=12),
    strategy=st.sampled_from(["mean", "median"]),
    validation=st.sampled_from([None, 0.3]),
    seed=st.integers(0, 9),
)
def test_gaps_are_filled_as_scikit_learn_does_by_training_rows(values, strategy, validation, seed):
    frame = pd.DataFrame({"x": values, "row": np.arange(5.0, len(values) + 5)}, dtype=float)
    frame["y"] = 1.0
    words = {"target": "y", "missing": strategy, "validation": validation, "seed": seed}
    data = from_pandas(frame.drop(columns="x"), **words)
    parts = [data, *([data.validation] if data.validation else [])]
    train, *rest = ((part.X[:, 0] - 5).astype(int) for part in parts)
    if frame["x"].isna()[train].all():
        with pytest.raises(ValueError, match="'x' has no value in the training rows"):
            from_pandas(frame, **words)
        return
    found = from_pandas(frame, **words)
    imputer = SimpleImputer(strategy=strategy).fit(frame.loc[train, ["x"]].to_numpy())
    for part, rows in zip([found, found.validation], [train, *rest], strict=False):
        expected = imputer.transform(frame.loc[rows, ["x"]].to_numpy())[:, 0]
        # Twelve numbers summed after a scaling by a power of two, which moves no rounding.
        np.testing.assert_array_equal(part.X[:, 0], expected)


def test_a_missing_target_is_never_made_up():
    frame = FRAME.assign(price=[1.0, None, 3.0, 4.0])
    data = from_pandas(frame, target="price", missing="mean", categories="one-hot")
    assert data.y.tolist() == [1, 3, 4]
    assert data.X[:, 1].tolist() == [1, 3, 5]
    assert data.X[:, 2].tolist() == [0, 0, 1]  # the missing city is filled with one of two levels
    assert data.provenance[1] == (
        "left out: 1 of 4 rows have missing values (column 'price': 1 missing, the first in row 1)"
    )


@pytest.mark.parametrize("kind", ["str", "object", "category", "string[pyarrow]"])
def test_categories_are_encoded_as_scikit_learn_does(kind):
    cities = pd.Series(["b", "a", "c", "a", "b"]).astype(kind)
    data = from_pandas(pd.DataFrame({"c": cities, "y": range(5)}), target="y", categories="one-hot")
    expected = OneHotEncoder(drop="first", sparse_output=False).fit_transform(
        cities.to_numpy(object)[:, None]
    )
    np.testing.assert_array_equal(data.X, expected)
    assert data.feature_names == ("c=b", "c=c")
    assert data.provenance[0] == (
        "column 'c' encoded as 2 columns of 0 and 1 ('b', 'c'); all 0 is 'a'"
    )


@pytest.mark.parametrize(
    "dates",
    [
        ["2020-01-31", "2020-02-01", None],
        ["2020-01-31 12:00", "2020-02-01T00:00Z", None],
        ["31.1.2020", "1.2.2020", None],
        ["1/31/2020", "2/1/2020", None],
        ["2020年1月31日", "2020年2月1日", None],
        ["23:59", "00:01:30", None],
    ],
)
@pytest.mark.parametrize("kind", ["str", "object", "string[pyarrow]"])
def test_dates_written_as_text_are_dates_and_no_categories(dates, kind):
    frame = pd.DataFrame({"t": pd.Series(dates, dtype=kind), "y": [1.0, 2, 3]})
    with pytest.raises(ValueError, match=r"'t' holds dates or times.*, 2 such values, and 1 miss"):
        from_pandas(frame, target="y", categories="one-hot", missing="drop")
    level = frame.assign(t=frame["t"].astype("category"))
    assert from_pandas(level, target="y", categories="one-hot", missing="drop").X.shape == (2, 1)


def test_a_column_of_one_level_is_left_out_and_says_so():
    frame = pd.DataFrame({"c": ["a"] * 3, "x": [1.0, 2, 4], "y": [1.0, 2, 5]})
    data = from_pandas(frame, target="y", categories="one-hot")
    assert data.feature_names == ("x",)
    assert data.provenance == ("column 'c' left out: it has one level only, 'a'",)
    with pytest.raises(ValueError, match="one level only"):
        from_pandas(frame, target="y", features="c", categories="one-hot")


def test_the_order_of_a_categorical_is_kept():
    sizes = pd.Categorical(["S", "L", "M", "L"], categories=["S", "M", "L", "XL"])
    data = from_pandas(pd.DataFrame({"c": sizes, "y": range(4)}), target="y", categories="one-hot")
    assert data.feature_names == ("c=M", "c=L")


def test_a_level_that_only_the_validation_has_is_told():
    frame = pd.DataFrame({"c": list("aabbaabbaz"), "y": np.arange(10.0) ** 2})
    for seed in range(10):
        data = from_pandas(frame, target="y", categories="one-hot", validation=0.3, seed=seed)
        if data.feature_names == ("c=b",):
            break
    unseen = data.validation.X[data.validation.y == 81]
    assert unseen.tolist() == [[0]]
    assert "column 'c': 1 held-out row with a level that no training row has, taken as 'a'" in (
        data.provenance
    )


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ([f"name {k}" for k in range(1200)], "1200 levels in 1200 rows"),
        (["1.5"] * 1190 + ["?"] * 10, "holds numbers but for 10 texts, such as '?'"),
        ([1, "1", "b", "c"] * 300, "levels that read the same"),
        ([None] * 1200, "1200 of 1200 rows have missing values"),
        (pd.to_datetime(["2020-01-01"] * 1200), "holds dates or times"),
    ],
)
def test_columns_that_are_no_categories_are_refused(column, sentence):
    frame = pd.DataFrame({"c": column, "y": np.arange(1200.0)})
    with pytest.raises(ValueError, match=sentence):
        from_pandas(frame, target="y", categories="one-hot")


def test_weights_are_no_feature_and_stay_with_their_rows():
    frame = FRAME.assign(price=FRAME["count"] * 10)
    words = {"features": ["id"], "weights": "count", "validation": 0.5, "seed": 3}
    data = from_pandas(frame, target="price", **words)
    for part in (data, data.validation):
        np.testing.assert_array_equal(part.sample_weight, part.y / 10)
    assert "row weights are column 'count'" in data.provenance
    with pytest.raises(ValueError, match=r"sample_weight must be finite and at least 0, not -1"):
        from_pandas(frame.assign(count=-1), target="price", features=["id"], weights="count")


@given(n=st.integers(3, 60), share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_the_validation_is_a_share_of_the_rows_and_the_rest_trains(n, share, seed):
    frame = pd.DataFrame({"x": np.arange(n) * 3.0, "y": np.arange(n) * 1.0})
    count = round(share * n)
    if not 0 < count < n:
        with pytest.raises(ValueError, match="each part needs at least one"):
            from_pandas(frame, target="y", validation=share, seed=seed)
        return
    data = from_pandas(frame, target="y", validation=share, seed=seed)
    assert len(data.validation.y) == count
    assert sorted([*data.y, *data.validation.y]) == frame["y"].tolist()
    again = from_pandas(frame, target="y", validation=share, seed=seed)
    np.testing.assert_array_equal(again.validation.y, data.validation.y)
    assert f"{count} of {n} rows held out at random (seed {seed})" in data.provenance


@given(seed=st.integers(0, 99), data=st.data())
def test_the_held_out_rows_change_nothing_that_is_trained_on(seed, data):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(generator.standard_normal((12, 2)), columns=["a", "y"])
    frame["c"] = [*"ababab", *"ababab"]
    frame.loc[[1, 5], "a"] = np.nan
    words = {"target": "y", "missing": "mean", "categories": "one-hot", "validation": 0.25}
    one = from_pandas(frame, **words, seed=seed)
    held = frame["y"].isin(one.validation.y)
    changed = frame.copy()
    changed.loc[held, "a"] = data.draw(st.floats(-1e6, 1e6))
    changed.loc[held, "c"] = data.draw(st.sampled_from("abz"))
    other = from_pandas(changed, **words, seed=seed)
    for left, right in ((one, other), (one.standardized(), other.standardized())):
        np.testing.assert_array_equal(left.X, right.X)
        assert left.feature_names == right.feature_names
    for name, value in one.standardized().known["standardized"].items():
        np.testing.assert_array_equal(value, other.standardized().known["standardized"][name])


def test_odd_columns_are_told():
    n = np.arange(1.0, 9)
    frame = pd.DataFrame({"Unnamed: 0": n - 1, "x": n**2, "twice": n**2, "one": 1.0})
    frame["sum"] = 3 * frame["x"] - 2 * frame["Unnamed: 0"] + 7
    notes = from_pandas(frame.assign(y=n), target="y").provenance
    assert notes == (
        notes[0],
        "column 'twice' equals column 'x': their weights are not unique",
        "column 'one' is constant (1): it takes no part in the fit",
        notes[-1],
    )
    assert notes[0] == (
        "column 'Unnamed: 0' counts the rows, 0 to 7: if it is an index, "
        "drop=['Unnamed: 0'] (--drop) leaves it out"
    )
    assert notes[-1].startswith("columns that depend linearly on the others: ")
    numbered = pd.DataFrame({"id": np.arange(1001, 1001 + len(n)), "half": n + 0.5, "y": n**2})
    first, *others = from_pandas(numbered, target="y").provenance
    assert first.startswith(f"column 'id' counts the rows, 1001 to {1000 + len(n)}: if it is an")
    assert not any("'half' counts" in note for note in others)
    few = from_pandas(pd.DataFrame(np.eye(3)).assign(y=n[:3]), target="y").provenance
    assert "3 rows for 3 features and an intercept: the weights are not unique" in few


@given(offset=st.floats(0, 12).map(lambda power: 10**power), seed=st.integers(0, 99))
def test_independent_columns_are_not_called_dependent(offset, seed):
    X = np.random.default_rng(seed).standard_normal((20, 3)) + offset
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=1.0)
    assert from_pandas(frame, target="y").provenance == ()


def test_float32_stays_where_all_columns_are():
    frame = FRAME[["size", "price"]].astype("float32")
    data = from_pandas(frame, target="price", missing="median")
    assert (data.X.dtype, data.y.dtype, data.X[1, 0]) == (np.float32, np.float32, 3)
    other = from_pandas(frame.assign(price=0.1), target="price", missing="drop")
    assert (other.X.dtype, other.y[0]) == (np.float64, 0.1)
    assert "the target 'price' needs float64: features become float64 too" in other.provenance


def test_a_file_goes_the_way_of_a_frame(tmp_path):
    path = tmp_path / "cities.csv"
    FRAME.to_csv(path, index=False)
    words = {"target": "price", "missing": "mean", "categories": "one-hot", "validation": 0.25}
    words |= {"weights": "count", "drop": ["id"], "seed": 1}
    read, made = read_table(path, **words), from_pandas(FRAME, **words)
    assert (read.name, read.source, made.name) == ("cities", str(path), "table")
    for one, other in ((read, made), (read.validation, made.validation)):
        np.testing.assert_array_equal(one.X, other.X)
        np.testing.assert_array_equal(one.sample_weight, other.sample_weight)
    assert read.provenance == made.provenance
    with pytest.raises(ValueError, match=r"cities.csv: drop: there is no column 'i'"):
        read_table(path, target="price", drop=["i"])


def test_what_was_done_stands_on_the_card():
    data = from_pandas(FRAME, target="price", features="id", validation=0.5).standardized()
    assert repr(data) == "Dataset('table, standardized', n=2, d=1, float64, validation=2)"
    assert (
        "2 of 4 rows held out at random (seed 0); each feature standardized" in data._repr_html_()
    )


def test_the_index_column_of_a_saved_frame_is_told_and_need_not_be_a_feature(tmp_path):
    path = tmp_path / "saved.csv"
    path.write_text("Unnamed: 0,x,y,y2\n0,0,1,3\n1,1,3,1\n2,2,5,8\n3,3,7,2\n")
    data = read_table(path, target="y")
    assert any("'Unnamed: 0' counts the rows" in note for note in data.provenance)
    chosen = read_table(path, target="y", features=["x"])
    optimum = ol.LinearRegression.from_dataset(chosen).reference().parameters
    assert (optimum["weight"].tolist(), optimum["bias"].item()) == ([2.0], 1.0)


@pytest.mark.parametrize("texts", [["12,5 %", "8 %"], ["€ 1.200", "€ 80"], ["5$", "1,000$"]])
def test_numbers_with_a_sign_are_no_categories(texts):
    frame = pd.DataFrame({"t": texts * 30, "y": range(60)})
    for categories in ("error", "one-hot"):
        with pytest.raises(ValueError, match=r"column 't' holds text.*take it off first"):
            ol.datasets.from_pandas(frame, target="y", categories=categories)


def test_identifiers_are_no_categories():
    frame = pd.DataFrame({"name": [f"n{i}" for i in range(60)], "y": range(60)})
    with pytest.raises(ValueError, match=r"60 levels in 60 rows.*identifier"):
        ol.datasets.from_pandas(frame, target="y", categories="one-hot")


def test_a_target_of_text_is_not_to_be_encoded():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})
    with pytest.raises(ValueError, match=r"'y' holds text.*it is the target, which must be"):
        ol.datasets.from_pandas(frame, target="y", categories="one-hot")


@pytest.mark.parametrize("kind", ["str", object, "category", "string"])
def test_a_target_of_text_can_be_class_labels(kind):
    names = ["no", "yes", None, "yes", "no", "yes"]
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "y": pd.Series(names, dtype=kind)})
    data = ol.datasets.from_pandas(frame, target="y", labels=True, missing="drop", validation=0.2)
    given = dict(zip(frame["x"], names, strict=True))
    for part in (data, data.validation):
        assert part.y.dtype.kind == "U"
        assert [given[x] for x in part.X[:, 0]] == part.y.tolist()
    again = data.standardized()
    assert again.y.tolist() == data.y.tolist()
    assert again.validation.y.tolist() == data.validation.y.tolist()
    assert repr(data) == "Dataset('table', n=4, d=1, float64, classes=2, validation=1)"
    with pytest.raises(ValueError, match="1 of 6 rows have missing values"):
        ol.datasets.from_pandas(frame, target="y", labels=True)
    with pytest.raises(ValueError, match="y holds text, not numbers"):
        ol.LinearRegression.from_dataset(data)


def test_labels_that_are_numbers_stay_numbers():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    assert ol.datasets.from_pandas(frame, target="y", labels=True).y.tolist() == [0.0, 1.0]


def test_a_dataset_refuses_missing_labels():
    with pytest.raises(ValueError, match="1 missing class labels, the first in row 1"):
        ol.datasets.Dataset("a", [[1.0], [2.0]], ["yes", None])


def test_all_that_is_refused_is_told_at_once_with_the_options_that_settle_it():
    frame = pd.DataFrame({
        "id": [5, 3, 9, 1], "sold": ["2023-01-01", "2023-02-01", "2023-03-01", "2023-04-01"],
        "city": ["Oslo", "Rome", None, "Oslo"], "size": [1.0, None, 3.0, 4.0], "y": [1, 2, 4, 3],
    })  # fmt: skip
    with pytest.raises(ValueError, match="'sold' holds dates") as told:
        from_pandas(frame, target="y", drop=iter(["id"]))
    *_, gaps, together = str(told.value).splitlines()
    assert "\ncolumn 'city' holds text" in str(told.value)
    assert gaps == "column 'size' has 1 missing value"
    keywords = "drop=['id', 'sold'], categories='one-hot', missing='median'"
    assert together == (
        f"together: --drop id,sold --categories one-hot --missing median, or {keywords}"
    )
    options = {"drop": ["id", "sold"], "categories": "one-hot", "missing": "median"}
    assert from_pandas(frame, target="y", **options).feature_names == ("city=Rome", "size")
    # No options settle a column of objects: its own sentence says what to do.
    with pytest.raises(ValueError, match="'x' holds complex") as told:
        from_pandas(frame.assign(x=1j), target="y")
    assert "together" not in str(told.value)
