"""Tables written in every manner that the reader knows come back to the last digit."""

import bz2
import csv
import gzip
import io
import lzma
import math
import string
from dataclasses import dataclass

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from optlab.datasets.files import read_frame

LETTERS = string.ascii_letters + "_äß気"
COMPRESSIONS = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
NUMBERS = {
    "whole": st.integers(-(2**70), 2**70) | st.integers(-99, 99),
    "decimal": st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.5, 1.25, 1e-7]),
    "thousandths": st.integers(1000, 9999).map(lambda n: n / 1000),
    # Text begins with a letter: a column of numbers with one other value is taken for a mistake.
    "text": st.text("abc12 ,;|.-\t\n\"'#", max_size=6).map(lambda t: f"a{t}".strip()),
}


@dataclass(frozen=True)
class Written:
    """A table, and the manner in which it is written."""

    columns: dict
    separator: str
    decimal: str
    encoding: str
    line_end: str
    quoting: int
    compression: str
    title: str
    row_labels: bool

    def text(self):
        buffer = io.StringIO()
        writer = csv.writer(
            buffer, delimiter=self.separator, lineterminator="\n", quoting=self.quoting
        )
        labels = [""] if self.row_labels else []
        writer.writerow([*labels, *self.columns])
        for number, row in enumerate(zip(*self.columns.values(), strict=True)):
            writer.writerow([*([number] if self.row_labels else []), *map(self.cell, row)])
        title = f"{self.title}\n" if self.title else ""
        return (title + buffer.getvalue()).replace("\n", self.line_end)

    def cell(self, value):
        if isinstance(value, float):
            return repr(value).replace(".", self.decimal)
        return "" if value is None else value

    def content(self):
        return COMPRESSIONS[self.compression](self.text().encode(self.encoding))


@st.composite
def written(draw):
    names = draw(
        st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=2, max_size=4, unique=True)
    )
    rows = draw(st.integers(1, 8))
    columns = {}
    for name in names:
        values = NUMBERS[draw(st.sampled_from(sorted(NUMBERS)))]
        gaps = draw(st.booleans())
        columns[name] = draw(
            st.lists(values | st.none() if gaps else values, min_size=rows, max_size=rows)
        )
    decimal = draw(st.sampled_from(".,"))
    return Written(
        columns=columns,
        separator=draw(st.sampled_from(";\t|" if decimal == "," else ",;\t|")),
        decimal=decimal,
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        compression=draw(st.sampled_from(sorted(COMPRESSIONS))),
        title=draw(st.sampled_from(["", "Table 1"])),
        row_labels=draw(st.booleans()),
    )


def rows_with_values(columns):
    rows = zip(*columns.values(), strict=True)
    return [row for row in rows if any(value is not None for value in row)]


def assert_same(frame, table):
    """The frame holds the table's values; whole rows without a value are left out."""
    assert list(frame) == list(table.columns)
    rows = list(zip(*table.columns.values(), strict=True))
    if not table.row_labels:
        rows = rows_with_values(table.columns)
    assert len(frame) == len(rows)
    for j, name in enumerate(table.columns):
        for got, row in zip(frame[name].tolist(), rows, strict=True):
            value = row[j]
            if value is None:
                assert pd.isna(got)
            else:
                assert got == value
                assert isinstance(value, str) or math.copysign(1, got) == math.copysign(1, value)


@given(written())
def test_a_table_whose_manner_is_given_comes_back(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "given"
    path.write_bytes(table.content())
    assert_same(read_frame(path, separator=table.separator, decimal=table.decimal).frame, table)


@given(written())
def test_a_table_whose_manner_is_not_given_comes_back_or_is_refused(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "recognised"
    path.write_bytes(table.content())
    try:
        frame = read_frame(path).frame
    except ValueError as refusal:
        sentence = str(refusal)
        frame = None
    if frame is None:
        assert "\n" not in sentence
    else:
        assert_same(frame, table)
