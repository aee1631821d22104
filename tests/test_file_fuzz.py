"""Damaged files: a right frame or a ValueError of one line, and nothing else."""

import bz2
import csv
import gzip
import io
import lzma
import math
import random
import zipfile

import numpy as np
import pandas as pd
import pytest

from optlab.datasets.files import read_frame

pa = pytest.importorskip("pyarrow")
pytest.importorskip("openpyxl")

TOKENS = [
    b",", b";", b"\t", b"|", b" ", b'"', b"\n", b"\r", b"#", b"\0", b"-", b".", b"sep=;\n", b"NA",
    b"nan", b"1e999", b"9" * 30, b"True", b"\xff", b"\x0b", b"\x1c", b"\xe2\x80\xa8", b"\xc2\x85",
    b"9" * 5000, b"-" * 5000, b" " * 5000,  # a pattern that tries all its parts would hang
]  # fmt: skip


def mutated(content, generator):
    """Change, insert, delete, cut or repeat bytes, one to twenty times."""
    content = bytearray(content)
    for _ in range(generator.choice([1, 1, 1, 2, 5, 20])):
        at = generator.randrange(max(1, len(content)))
        far = at + generator.randrange(1, 40)
        change = generator.randrange(6)
        if change == 0:
            content[at : at + 1] = bytes([generator.randrange(256)])
        elif change == 1:
            content[at : at + 1] = bytes(
                b ^ 1 << generator.randrange(8) for b in content[at : at + 1]
            )
        elif change == 2:
            content[at:at] = generator.choice(TOKENS)
        elif change == 3:
            del content[at:far]
        elif change == 4:
            content[at:at] = content[at:far]
        elif generator.random() < 0.3:
            del content[at:]
    return bytes(content)


def text_table():
    generator = random.Random(1)
    lines = ["name,x,y,z"]
    for row in range(25):
        whole = generator.randrange(10 ** generator.randrange(1, 20))
        gap = "" if row % 7 == 3 else row / 8
        lines.append(
            f'"{generator.choice("abc")}, {row}",{generator.uniform(-9, 9)!r},{whole},{gap}'
        )
    return "\n".join(lines) + "\n"


TEXT = text_table()
FRAME = pd.DataFrame(
    {
        "x": np.random.default_rng(0).normal(size=40),
        "y": np.arange(40),
        "day": pd.date_range("2020-01-01", periods=40),
        "kind": pd.Categorical(["u", "v"] * 20),
    }
)


def written(method, **options):
    buffer = io.BytesIO()
    getattr(FRAME, method)(buffer, **options)
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", TEXT)
    return buffer.getvalue()


def attempts(content, count, tmp_path, seed=0):
    """Yield each mutation that is read, with its frame; the others must be refused in a line."""
    generator = random.Random(seed)
    path = tmp_path / "data"
    for _ in range(count):
        changed = mutated(content, generator)
        path.write_bytes(changed)
        refusal = None
        try:
            result = read_frame(path)
        except ValueError as error:
            refusal = error
        if refusal is None:
            yield changed, result
            continue
        sentence = str(refusal).removeprefix(str(path))
        assert type(refusal) is ValueError
        assert len(sentence) < min(600, len(str(refusal)))
        assert "\n" not in sentence


def cells_of(text, notes):
    """Read a text by `csv` alone: rows of fields, without blank lines, comments and titles."""
    separator = next((n for n in notes if n.startswith("separator")), "separator ','").split()[1]
    separator = {"tab": "\t", "tab,": "\t"}.get(separator, separator.strip("',") or ",")
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    lines = [line for line in text.split("\n") if not line.startswith(("#", "sep="))]
    rows = csv.reader(lines_kept(lines), delimiter=separator, skipinitialspace=True)
    return [row for row in rows if any(cell.strip() for cell in row)]


def lines_kept(lines):
    return (f"{line}\n" for line in lines)


def is_value_of(value, cell):
    """Return whether a frame's value is what a text says: its number, itself or nothing."""
    cell = cell.strip()
    if pd.isna(value):
        return cell in {"", "NA", "nan", "-", ".", "NaN"}
    if isinstance(value, str):
        return value == cell
    if isinstance(value, bool | np.bool_):
        return cell.lower() == str(bool(value)).lower()
    if isinstance(value, int | np.integer):
        return int(cell) == int(value)
    return float(cell) == value or (math.isinf(value) and math.isinf(float(cell)))


def test_mutations_of_csv_are_refused_or_read_to_the_last_digit(tmp_path):
    read = 0
    for changed, (frame, notes) in attempts(TEXT.encode(), 200, tmp_path):
        if any("decimal comma" in note or "blanks" in note or "rounded" in note for note in notes):
            continue
        rows = cells_of(changed.decode(), notes)
        header = next(row for row in rows if set(frame) <= {cell.strip() for cell in row})
        below = rows[rows.index(header) + 1 :]
        assert len(below) == len(frame)
        names = [cell.strip() for cell in header]
        offset = len(below[0]) - len(names) if below and below[0][-1] else 0
        for name in frame:
            column = names.index(name) + offset
            for value, row in zip(frame[name].tolist(), below, strict=True):
                assert is_value_of(value, row[column]), (name, value, row, notes)
        read += 1
    assert read > 20


def test_mutations_of_gzip_are_refused_or_change_nothing(tmp_path):
    (tmp_path / "right").write_text(TEXT)
    right = read_frame(tmp_path / "right").frame
    read = [
        frame
        for changed, (frame, _) in attempts(gzip.compress(TEXT.encode(), mtime=0), 100, tmp_path)
        if changed.startswith(b"\x1f\x8b")  # else it is another text
    ]
    assert read  # a changed name or time in gzip's header changes no data
    for frame in read:
        pd.testing.assert_frame_equal(frame, right, check_exact=True)


def test_mutations_of_parquet_are_refused_or_change_no_number(tmp_path):
    content = written("to_parquet", write_page_checksum=True)
    for changed, (frame, _) in attempts(content, 200, tmp_path):
        if not changed.startswith(b"PAR1"):  # cut down to a short text
            continue
        assert len(frame) == len(FRAME)
        for name in {"x", "y"} & set(frame):
            np.testing.assert_array_equal(frame[name], FRAME[name])


OTHERS = {
    "UTF-16": TEXT.encode("utf-16"),
    "decimal comma": TEXT.replace(", ", " ").replace(",", ";").replace(".", ",").encode(),
    "bzip2": bz2.compress(TEXT.encode()),
    "xz": lzma.compress(TEXT.encode()),
    "zip": zipped(),
    "zstd": pa.Codec("zstd").compress(TEXT.encode(), asbytes=True),
    "Feather": written("to_feather"),
    "Excel": written("to_excel"),
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_mutations_of_other_kinds_end_in_a_frame_or_a_sentence(content, tmp_path):
    for _, (frame, _) in attempts(content, 25, tmp_path):
        assert isinstance(frame, pd.DataFrame)
