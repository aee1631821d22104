"""Class labels as numbers: which kinds there are, and what each refusal says."""

import numpy as np
import pandas as pd
import pytest
import torch

from optlab.problems.labels import MOST_SHOWN, _classes, _listed, _plain, check_counts, encoded


@pytest.mark.parametrize(
    ("y", "codes", "classes"),
    [
        (["b", "a", "b"], [1, 0, 1], ["a", "b"]),
        ([3, 1, 3], [1, 0, 1], [1, 3]),
        ([True, False], [1, 0], [False, True]),
        ([2.0, -1.0, 0.0], [2, 0, 1], [-1.0, 0.0, 2.0]),
        (np.array(["b", "a"], dtype=object), [1, 0], ["a", "b"]),
        (torch.tensor([5, 2, 5]), [1, 0, 1], [2, 5]),
        (pd.Series(["x", "w"], index=[7, 8]), [1, 0], ["w", "x"]),
    ],
    ids=repr,
)
def test_labels_are_their_places_among_the_sorted_classes(y, codes, classes):
    found = encoded(y)
    assert list(found.y) == codes
    assert found.classes.tolist() == classes
    assert isinstance(found.y, torch.Tensor) == isinstance(y, torch.Tensor)
    if isinstance(y, pd.Series):
        assert found.y.index.tolist() == [7, 8]


def test_labels_are_looked_up_in_classes_that_are_given():
    classes = np.array(["a", "b", "c"])
    found = encoded(["c", "a"], classes)
    assert (found.y.tolist(), found.classes is classes) == ([2, 0], True)
    assert encoded(["b", "b"], classes).y.tolist() == [1, 1]
    for label in ("d", "aa", "A"):
        with pytest.raises(
            ValueError, match=f"label '{label}' is none of the classes 'a', 'b', 'c'"
        ):
            encoded(["a", label], classes)


@pytest.mark.parametrize(
    ("y", "exactly", "said"),
    [
        ([["a", "b"]], None, r"one class label a row, \(n,\), not shape \(1, 2\)"),
        ([], None, r"not shape \(0,\)"),
        (["a", None, "b", None], None, "y has 2 missing class labels, the first in row 1 "),
        ([1.0, float("nan")], None, "y has 1 missing class labels, the first in row 1 "),
        ([1.0, 2.5, 0.5], None, r"such as 2.5 in row 1 \(rows counted from 0; 2 such values\)"),
        ([1.0, float("inf")], None, "such as inf in row 1 "),
        (["a", 1], None, "y mixes class labels of several kinds"),
        (["a", "a", "a"], None, "at least 2 classes, not 1 in 3 rows: 'a'$"),
        (["a", "b", "c"], 2, "2 classes, not 3 in 3 rows: 'a', 'b', 'c'; for more than two, use"),
        (["a", "a"], 2, "2 classes, not 1 in 2 rows: 'a'$"),
        (["a", "b"], 3, "3 classes, not 2 in 2 rows: 'a', 'b'$"),
    ],
)  # fmt: skip
def test_what_are_no_labels_is_said(y, exactly, said):
    with pytest.raises(ValueError, match=said):
        encoded(y, exactly=exactly)


def test_numbers_of_classes_that_are_right():
    assert len(encoded(["a", "b"], exactly=2).classes) == 2
    assert len(encoded(["a", "b", "c"], exactly=3).classes) == 3


def test_text_and_numbers_are_of_one_kind_each():
    assert _plain(["a", "b"]).dtype.kind == "U"
    assert _plain([1, 2]).dtype.kind == "i"
    assert _plain(["a", 1]).dtype.kind == "O"
    assert _plain(np.array([1, 2], dtype=object)).dtype.kind == "i"
    assert _plain(np.array(["a", 2], dtype=object)).dtype.kind == "O"
    assert _plain(np.array(["a", None], dtype=object)).dtype.kind == "O"
    assert _plain(np.array(["1", "2"])).dtype.kind == "U"
    assert _plain(np.array([["a", "b"]], dtype=object)).ndim == 2
    with pytest.raises(ValueError, match="y mixes class labels of several kinds"):
        _classes(np.array(["a", 2], dtype=object))


def test_six_classes_are_listed_and_more_are_cut():
    assert MOST_SHOWN == 6
    assert _listed(np.arange(6)) == "0, 1, 2, 3, 4, 5"
    assert _listed(np.arange(7)) == "0, 1, 2, 3, 4, 5, ..."


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([0.0, 1.0, 7.0], None),
        ([0.0, -1.0, 0.5], "not -1.0 in row 1 .rows counted from 0; 2 such values"),
        ([0.5, 1.0, 2.0], "not 0.5 in row 0 .rows counted from 0; 1 such values"),
    ],
)
def test_counts_are_whole_and_not_negative(y, said):
    if said is None:
        check_counts(torch.tensor(y))
        return
    with pytest.raises(ValueError, match=said):
        check_counts(torch.tensor(y))
