"""Records, traces and arrays as rows and bytes, and back to the last bit."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.lab.store import encoding
from optlab.lab.store.encoding import (
    arrays_to_bytes,
    bytes_to_arrays,
    bytes_to_trace,
    record_to_row,
    row_to_record,
    trace_to_bytes,
)
from optlab.lab.trial.record import TraceRow
from optlab.lab.trial.recorded_parameters import RecordedParameters
from tests.planted_store import COLUMNS, record_of, row

NUMBERS = st.floats(allow_nan=True) | st.sampled_from([5e-324, -0.0, 1.7976931348623157e308])


class Unsafe:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@given(st.lists(st.tuples(*[st.integers(0, 2**62)] * 2, *[NUMBERS] * (COLUMNS - 2)), max_size=4))
def test_every_number_of_a_trace_survives(numbers):
    trace = [TraceRow(*values) for values in numbers]
    again = bytes_to_trace(trace_to_bytes(trace))
    assert [row[:2] for row in again] == [row[:2] for row in trace]
    kept, written = (np.array([row[2:COLUMNS] for row in rows]) for rows in (again, trace))
    assert kept.tobytes() == written.tobytes()


@given(NUMBERS)
def test_every_number_of_a_record_survives(value):
    record = row_to_record(record_to_row(record_of(seconds=value, started=value), {}))
    kept = np.array([record.seconds, record.started])
    np.testing.assert_array_equal(kept, [value, value])
    assert str(record.seconds) == str(value)


class LaterRow(NamedTuple):
    """A trace row as a later version may have it."""

    epoch: int
    loss: float
    more: Mapping[str, float] = {}
    steps: int = 0
    rate: float = 0.0


def test_columns_that_a_trace_gains_are_kept_and_have_defaults_in_older_files(monkeypatch):
    old = trace_to_bytes([row(3)])
    monkeypatch.setattr("optlab.lab.store.encoding.TraceRow", LaterRow)
    rows = [LaterRow(0, 1.0, {"accuracy": 0.5}, 7), LaterRow(1, 0.5, {"精度": 1.0})]
    again = bytes_to_trace(trace_to_bytes(rows))
    assert again[0].more["accuracy"] == 0.5
    assert np.isnan(again[0].more["精度"])
    assert again[1].more["精度"] == 1.0
    assert (again[0].steps, again[1].loss) == (7, 0.5)
    assert bytes_to_trace(old) == [LaterRow(3, 1.0)]


@pytest.mark.parametrize(
    "names", [["file"], ["arr_0", "arr_1", "file", "allow_pickle"], ["a/b"], []]
)
def test_parameters_may_have_any_name(names):
    arrays = {name: np.arange(3.0) + place for place, name in enumerate(names)}
    found = bytes_to_arrays(arrays_to_bytes(arrays))
    assert list(found) == names
    for name, value in arrays.items():
        assert found[name].tobytes() == value.tobytes()


def test_parameters_of_no_dimension_and_no_length_survive():
    arrays = {"bias": np.float32(2.5), "none": np.empty((0, 3))}
    found = bytes_to_arrays(arrays_to_bytes(arrays))
    assert (found["bias"].shape, found["bias"].dtype) == ((), np.float32)
    assert found["none"].shape == (0, 3)


def test_the_arrays_of_a_trial_are_decoded_once(monkeypatch):
    record = record_of(parameters={"weight": np.arange(2.0)})
    record.recorded = RecordedParameters([0, 4], [record.parameters] * 2)
    stored, calls = record_to_row(record, {}), []
    real = encoding._read_arrays
    monkeypatch.setattr(encoding, "_read_arrays", lambda blob: calls.append(blob) or real(blob))
    again = row_to_record(stored)
    assert calls == [stored["parameters"]]
    assert again.recorded.epochs == [0, 4]
    assert again.parameters.keys() == record.parameters.keys() == again.recorded.iterates[1].keys()


def test_pickles_are_refused_and_run_nothing(tmp_path):
    trap = tmp_path / "trap"
    for names, array in (["weight"], [Unsafe(trap)]), ([Unsafe(trap)], [1.0]):
        file = io.BytesIO()
        np.savez(file, np.array(names), np.array(array))
        with pytest.raises(ValueError, match="allow_pickle=False"):
            bytes_to_arrays(file.getvalue())
    assert not trap.exists()
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=True) as arrays:
        arrays["arr_0"]
    assert trap.exists()  # so the trap was one


def test_what_unpacks_into_more_than_it_takes_is_refused_before_it_is_unpacked(monkeypatch):
    file, size = io.BytesIO(), 2**27
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("arr_0.npy", bytes(size))
    assert len(file.getvalue()) < size / 500
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(ValueError, match=f"would unpack into {size} bytes"):
        bytes_to_arrays(file.getvalue())


def test_an_array_that_declares_more_than_there_is_is_refused():
    blob = trace_to_bytes([row()])
    with pytest.raises((ValueError, MemoryError)):
        bytes_to_trace(blob.replace(b"(1,)", b"(99999999999999,)"))
    with pytest.raises((ValueError, MemoryError)):
        bytes_to_trace(blob.replace(b"(1,), }     ", b"(9999999,)} "))
