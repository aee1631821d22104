"""Wrong input that has no test of its own elsewhere: the error says what was wrong, and where."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import optlab as ol
from optlab.datasets.class_labels import text_labels
from optlab.lab.measure.devices import available_devices, unavailable
from optlab.lab.store.encoding import (
    array_to_bytes,
    arrays_to_bytes,
    bytes_to_arrays,
    bytes_to_trace,
)
from optlab.linalg import array_blocks, least_squares, streaming_least_squares
from optlab.problems.hessian import modes
from optlab.report.latex import _number as latex_number
from optlab.report.output_file import check_output
from optlab.report.page.signature_table import signature_table

X = torch.tensor([[1.0, 2.0], [3.0, 5.0], [7.0, 11.0], [0.0, 1.0]], dtype=torch.float64)
Y = torch.tensor([1.0, 0.0, 2.0, 3.0], dtype=torch.float64)
META = X.to("meta")
FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "y": [0.5, 1.0, 2.0]})

WRONG = {
    "weights' shape": (
        lambda: least_squares(X, Y, weights=Y[:3]),
        "weights must have shape (4,), not (3,)",
    ),
    "weights below 0": (
        lambda: least_squares(X, Y, weights=-Y),
        "weights must be finite, at least 0, and not all 0",
    ),
    "weights all 0": (
        lambda: least_squares(X, Y, weights=0 * Y),
        "weights must be finite, at least 0, and not all 0",
    ),
    "two devices": (
        lambda: least_squares(META, Y),
        "X and y must be on one device, not on meta and cpu",
    ),
    "no rows a block": (lambda: array_blocks(X, Y, rows=0), "rows must be at least 1, not 0"),
    "blocks' rows": (
        lambda: array_blocks(X, Y[:3]),
        "X and y must have as many rows, not 4 and 3",
    ),
    "streamed penalty": (
        lambda: streaming_least_squares([(X, Y)], l2=-1.0),
        "l2 must be finite and at least 0, not -1.0",
    ),
    "nothing to stream": (
        lambda: streaming_least_squares([(X[:, :0], Y)], fit_intercept=False),
        "X has no columns and fit_intercept is False",
    ),
    "streamed dtype": (
        lambda: streaming_least_squares([(X.long(), Y)]),
        "X must be float64 or float32, not int64",
    ),
    "streamed weights": (
        lambda: streaming_least_squares([(X, Y, Y[:2])]),
        "weights must have shape (4,), not (2,)",
    ),
    "problem on two devices": (
        lambda: ol.LinearRegression(META, Y),
        "X and y must be on one device, not on meta and cpu",
    ),
    "a list as frame": (
        lambda: ol.datasets.from_pandas([[1.0]], target="y"),
        "frame must be a pandas DataFrame, not a list",
    ),
    "seed of rows": (
        lambda: ol.datasets.from_pandas(FRAME, target="y", seed=-1),
        "seed must be a whole number of at least 0, not -1",
    ),
    "no such set": (lambda: ol.datasets.nist("Noris"), "Norris"),
    "no such curve": (lambda: ol.datasets.nist_nonlinear("Misra1z"), "Misra1a"),
    "structured array": (
        lambda: ol.LinearRegression(np.zeros(3, dtype=[("a", "f8"), ("b", "f8")]), [1.0, 2.0, 3.0]),
        "X holds records ([('a', '<f8'), ('b', '<f8')]), not numbers",
    ),
    "a trace without columns": (
        lambda: bytes_to_trace(array_to_bytes(np.zeros(3))),
        "a trace is no table of named columns",
    ),
    "a trace of text": (
        lambda: bytes_to_trace(array_to_bytes(np.zeros(1, dtype=[("epoch", "<U2")]))),
        "a trace's epoch are <U2",
    ),
    "arrays of text": (
        lambda: bytes_to_arrays(arrays_to_bytes({"a": np.array(["x"])})),
        "an array holds what is no number",
    ),
    "names alike": (
        lambda: ol.Experiment(
            problems=ol.Rosenbrock(), optimizers={1: ol.SGD(0.1), "1": ol.SGD(0.2)}
        ),
        "optimizers' names must differ as text: [1, '1']",
    ),
    "no point for a Hessian": (
        lambda: modes(ol.LogisticRegression([[0.0], [1.0], [2.0]], [0, 1, 1])),
        "has no reference parameters: give the point as parameters=",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_refused_by_a_sentence(name):
    call, words = WRONG[name]
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_an_index_is_a_column_and_a_frame_without_columns_is_empty():
    indexed = ol.LinearRegression([[1.0], [2.0], [3.0]], pd.Index([1.0, 2.0, 4.0], name="price"))
    assert indexed.y.tolist() == [1.0, 2.0, 4.0]
    with pytest.raises(ValueError, match=re.escape("the data are empty: X has shape (3, 0)")):
        ol.LinearRegression(pd.DataFrame(index=range(3)), [1.0, 2.0, 6.0])


def test_what_is_no_list_of_labels_is_none():
    assert text_labels(torch.tensor([0, 1])) is None


def test_a_trace_of_an_older_version_has_nan_where_it_recorded_nothing():
    kinds = [("epoch", "<i8"), ("steps", "<i8"), ("samples", "<i8"), ("loss", "<f8")]
    (row,) = bytes_to_trace(array_to_bytes(np.array([(3, 6, 60, 0.5)], dtype=kinds)))
    assert (row.epoch, row.steps, row.samples, row.loss) == (3, 6, 60, 0.5)
    assert np.isnan(row.gradient_norm)


def test_devices_are_those_that_torch_counts(monkeypatch):
    for module in (torch.cuda, torch.mps):
        monkeypatch.setattr(module, "is_available", lambda: True)
        monkeypatch.setattr(module, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")
    assert unavailable("cuda:2", torch.float32) == "no device cuda:2: there are 2 of cuda"
    assert unavailable("cuda:1", torch.float64) is None
    assert unavailable("mps", torch.float64) == "mps devices have no float64"
    assert unavailable("mps", torch.float32) is None
    assert {"cpu", "cuda:0", "cuda:1"} <= available_devices().keys()


def test_a_signature_tells_what_was_not_measured_and_latex_has_infinity(tmp_path):
    one = SimpleNamespace(optimizer="A", digits={"scale": 15.0, "rotation": 2.0})
    other = SimpleNamespace(optimizer="B", digits={"scale": 14.5})
    heads, rows = signature_table([one, other])
    assert heads == ["optimizer", "scale", "rotation"]
    assert rows == [["A", "holds, 15.0", "-, 2.0"], ["B", "holds, 14.5", "not measured"]]
    assert [latex_number(v) for v in (math.inf, -math.inf)] == [r"$\infty$", r"$-\infty$"]
    with pytest.raises(ValueError, match="is a folder; name a file"):
        check_output(tmp_path, "page")
