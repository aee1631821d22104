# ruff: noqa: E501 - a case a line
"""File kinds, one by one: each is read right, or refused in a sentence that says what to do.

The table ``data/file_kinds.md`` is made of what happens here: ``python tests/test_file_kinds.py``.
"""

import bz2
import gzip
import io
import lzma
import os
import pickle
import sqlite3
import sys
import tarfile
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from optlab.datasets.files import read_frame

pa = pytest.importorskip("pyarrow")
pytest.importorskip("openpyxl")
TABLE = Path(__file__).parent / "data" / "file_kinds.md"
PLAIN = "x,y\n0,1\n1,3\n2,5\n"
LONG = "x,y\n" + "".join(f"{k},{k * k % 1009}\n" for k in range(1000))
RIGHT = {"x": [0, 1, 2], "y": [1, 3, 5]}
HALVES = {"x": [0.5, 1.5], "y": [1, 3]}
NAN = float("nan")
CASES = []


class Case(NamedTuple):
    group: str
    kind: str
    make: object  # bytes, text, or a function of the path that writes the file
    right: object  # the columns read, or words of the error
    file: str = "data.csv"
    options: object = None
    around: object = None  # a context to read in


def case(group, kind, make, right=RIGHT, file="data.csv", around=None, **options):
    CASES.append(Case(group, kind, make, right, file, options, around))


def frame_bytes(write, frame=None):
    buffer = io.BytesIO()
    write(pd.DataFrame(RIGHT) if frame is None else frame, buffer)
    return buffer.getvalue()


def parquet(frame=None, **options):
    return frame_bytes(lambda f, b: f.to_parquet(b, **options), frame)


def excel(*sheets, header=True):
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl") as book:
        for name, frame in sheets:
            frame.to_excel(book, sheet_name=name, index=False, header=header)
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("data.csv")
        member.size = len(PLAIN)
        archive.addfile(member, io.BytesIO(PLAIN.encode()))
    return buffer.getvalue()


def sqlite(path):
    with sqlite3.connect(path) as database:
        database.execute("create table t (x, y)")
    database.close()


def zstd(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


def without(package):
    return mock.patch.dict(sys.modules, {package: None})


def unreadable():  # a root user may read everything, so that permissions cannot be tested
    return mock.patch.object(
        Path, "read_bytes", side_effect=PermissionError(13, "Permission denied")
    )


# fmt: off
G = "Separators and decimal marks"
case(G, "comma, decimal point", "x,y\n0.5,1\n1.5,3\n", HALVES)
case(G, "semicolon, decimal comma", "x;y\n0,5;1\n1,5;3\n", HALVES)
case(G, "semicolon, decimal point", "x;y\n0.5;1\n1.5;3\n", HALVES)
case(G, "tab", PLAIN.replace(",", "\t"), file="data.tsv")
case(G, "tab, decimal comma", "x\ty\n0,5\t1\n1,5\t3\n", HALVES)
case(G, "vertical bar", PLAIN.replace(",", "|"))
case(G, "one space", PLAIN.replace(",", " "), file="data.dat")
case(G, "aligned by spaces", "   x   y\n 0.5   1\n 1.5   3\n", HALVES)
case(G, "spaces, decimal comma", "x y\n0,5 1\n1,5 3\n", HALVES)
case(G, "a table of Markdown", "| x | y |\n|---|---|\n| 0 | 1 |\n| 1 | 3 |\n| 2 | 5 |\n", file="data.md")
case(G, "comma and space", PLAIN.replace(",", ", "))
case(G, "another separator, given", PLAIN.replace(",", ":"), separator=":")
case(G, "separator of two characters, given", PLAIN.replace(",", "::"), "one character", separator="::")
case(G, "`sep=;` in the first line (Excel)", "sep=;\nx;y\n0,5;1\n1,5;3\n", HALVES)
case(G, "comma, decimal commas in quotation marks", 'x,y\n"0,5",1\n"1,5",3\n', HALVES)
case(G, "comma, decimal commas without them", "x,y\n0,5,1,0\n1,5,3,0\n", "decimal commas")
case(G, "1,234: a decimal or a thousand?", "x;y\n1,234;1\n2,345;3\n", "a decimal or a thousand")
case(G, "1,234, decimal mark given", "x;y\n1,234;1\n2,345;3\n", {"x": [1.234, 2.345], "y": [1, 3]}, decimal=",")
case(G, "decimal comma and decimal point", "x;y\n0,5;1.5\n1,5;3\n", "with a comma")
case(G, "1.234,5 (thousands): stays text", "x;y\n1.234,5;1,5\n2.345,5;3\n", {"x": ["1.234,5", "2.345,5"], "y": [1.5, 3.0]})

G = "Encodings and line ends"
case(G, "UTF-8 with a byte order mark", PLAIN.encode("utf-8-sig"))
case(G, "UTF-16 with a byte order mark", b"\xff\xfe" + PLAIN.encode("utf-16-le"))
case(G, "UTF-16, big-endian, with a byte order mark", b"\xfe\xff" + PLAIN.encode("utf-16-be"))
case(G, "UTF-16 without a mark", PLAIN.encode("utf-16-le"))
case(G, "Latin-1", "größe,y\n0,1\n1,3\n".encode("latin-1"), "encoding='cp1252'")
case(G, "Latin-1, given", "größe,y\n0,1\n1,3\n".encode("latin-1"), {"größe": [0, 1], "y": [1, 3]}, encoding="latin-1")
case(G, "cp932 (Japanese Windows)", "気温,y\n0,1\n1,3\n".encode("cp932"), "'気温,y' with encoding='cp932'")
case(G, "cp932, given", "気温,y\n0,1\n1,3\n".encode("cp932"), {"気温": [0, 1], "y": [1, 3]}, encoding="cp932")
case(G, "an encoding that Python does not know", PLAIN, "knows none", encoding="utf-88")
case(G, "an encoding given that is another", "größe,y\n0,1\n".encode("latin-1"), "is not encoded in utf-8", encoding="utf-8")
case(G, "line ends of Windows", PLAIN.replace("\n", "\r\n"))
case(G, "line ends of old Macs", PLAIN.replace("\n", "\r"))
case(G, "no line end at the end", PLAIN.rstrip())
case(G, "a null byte", "x,y\n0,1\n1,\0\n2,5\n", "a null byte in line 3")

G = "Compression"
case(G, "gzip", gzip.compress(PLAIN.encode()), file="data.csv.gz")
case(G, "bzip2", bz2.compress(PLAIN.encode()), file="data.csv.bz2")
case(G, "bzip2 in two streams", bz2.compress(PLAIN[:8].encode()) + bz2.compress(PLAIN[8:].encode()))
case(G, "xz", lzma.compress(PLAIN.encode()), file="data.csv.xz")
case(G, "zip", zipped({"data.csv": PLAIN}), file="data.zip")
case(G, "zip of several files", zipped({"a.csv": PLAIN, "b.csv": PLAIN}), "2 files ('a.csv', 'b.csv')", "data.zip")
case(G, "zip with macOS's own files", zipped({"data.csv": PLAIN, "__MACOSX/data.csv": "x"}), file="data.zip")
case(G, "zstd", zstd(PLAIN.encode()), file="data.csv.zst")
case(G, "zstd without pyarrow", zstd(PLAIN.encode()), "pip install 'optlab[parquet]'", "data.csv.zst", without("pyarrow"))
case(G, "gzip without the ending", gzip.compress(PLAIN.encode()), file="data")
case(G, "`.gz`, not compressed", PLAIN, file="data.csv.gz")
case(G, "gzip, cut", gzip.compress(LONG.encode())[:60], "ends too early", "data.csv.gz")
case(G, "gzip, damaged", gzip.compress(LONG.encode())[:30] + b"\xff" * 40, "is damaged (gzip)", "data.csv.gz")
case(G, "bzip2, cut", bz2.compress(LONG.encode())[:40], "ends too early", "data.csv.bz2")
case(G, "xz, cut", lzma.compress(LONG.encode())[:70], "ends too early", "data.csv.xz")
case(G, "zip, cut", zipped({"data.csv": LONG})[:80], "is damaged (zip)", "data.zip")
case(G, "zstd, cut", zstd(LONG.encode())[:-5], "is damaged (zstd)", "data.csv.zst")
case(G, "tar.gz", tarred(), "tar archive", "data.tar.gz")

G = "Parquet, Feather, Excel"
case(G, "Parquet", parquet(), file="data.parquet")
case(G, "Parquet, `.PARQUET`", parquet(), file="DATA.PARQUET")
case(G, "Parquet without an ending", parquet(), file="data")
case(G, "Parquet in gzip", gzip.compress(parquet()), file="data.parquet.gz")
case(G, "Parquet with an index that pandas stored", parquet(pd.DataFrame(RIGHT, index=pd.Index([5, 7, 9], name="id"))), file="data.pq")
case(G, "Parquet, a name twice", lambda path: pa.parquet.write_table(pa.table([[0], [1]], names=["x", "x"]), path), "twice: 'x'", "data.parquet")
case(G, "Parquet, names that are numbers", parquet(pd.DataFrame({0: [0, 1], 1: [1, 3]})), {"0": [0, 1], "1": [1, 3]}, "data.parquet")
case(G, "Parquet, large whole numbers and gaps", parquet(pd.DataFrame({"x": pd.array([2**53 + 1, None], "Int64")})), {"x": [2**53 + 1, None]}, "data.parquet")
case(G, "Parquet, truth values and gaps", parquet(pd.DataFrame({"x": pd.array([True, None], "boolean")})), {"x": [True, None]}, "data.parquet")
case(G, "Parquet, cut", parquet()[:-20], "is damaged (Parquet)", "data.parquet")
case(G, "Parquet without pyarrow", parquet(), "pip install 'optlab[parquet]'", "data.parquet", without("pyarrow"))
case(G, "CSV called `.parquet`", PLAIN, file="data.parquet")
case(G, "Feather", frame_bytes(lambda f, b: f.to_feather(b)), file="data.feather")
case(G, "Feather, cut", frame_bytes(lambda f, b: f.to_feather(b))[:-30], "is damaged (Feather)", "data.feather")
case(G, "Excel, one sheet", excel(("Sheet1", pd.DataFrame(RIGHT))), file="data.xlsx")
case(G, "Excel, a title above the header", excel(("S", pd.DataFrame([["Results", None], ["x", "y"], [0, 1], [1, 3], [2, 5]])), header=False), file="data.xlsx")
case(G, "Excel with dates, gaps and pandas' index", frame_bytes(lambda f, b: f.to_excel(b), pd.DataFrame({"day": pd.to_datetime(["2020-01-01", None]), "n": [1, None], "ok": [True, False]})), {"day": [pd.Timestamp("2020-01-01"), None], "n": [1, None], "ok": [True, False]}, "data.xlsx")
case(G, "Excel, several sheets", excel(("a", pd.DataFrame(RIGHT)), ("b", pd.DataFrame(RIGHT))), "2 sheets ('a', 'b')", "data.xlsx")
case(G, "Excel, several sheets, one given", excel(("a", pd.DataFrame({"z": [1]})), ("b", pd.DataFrame(RIGHT))), file="data.xlsx", sheet="b")
case(G, "Excel, a sheet that is not there", excel(("a", pd.DataFrame(RIGHT))), "has no sheet 'b'", "data.xlsx", sheet="b")
case(G, "Excel without openpyxl", excel(("a", pd.DataFrame(RIGHT))), "save the sheet as CSV", "data.xlsx", without("openpyxl"))
case(G, "Excel, damaged", zipped({"xl/workbook.xml": "<w/>"}), "damaged Excel", "data.xlsx")
case(G, "Excel, old (`.xls`)", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .xlsx", "data.xls")

G = "Other formats"
case(G, "JSON", '[{"x": 0, "y": 1}]', "is JSON", "data.json")
case(G, "JSON lines", '{"x": 0, "y": 1}\n{"x": 1, "y": 3}\n', "is JSON", "data.jsonl")
case(G, "an HTML page", "<!DOCTYPE html><html><body>Please log in", "HTML page")
case(G, "XML", '<?xml version="1.0"?><a/>', "is XML", "data.xml")
case(G, "PDF", b"%PDF-1.7\n", "PDF", "data.pdf")
case(G, "a pickle", pickle.dumps(RIGHT), "pickle", "data.pkl")
case(G, "NumPy's `.npy`", frame_bytes(lambda f, b: np.save(b, f.to_numpy())), "NumPy array", "data.npy")
case(G, "NumPy's `.npz`", frame_bytes(lambda f, b: np.savez(b, x=f.to_numpy())), "NumPy arrays", "data.npz")
case(G, "SQLite", sqlite, "SQLite", "data.db")
case(G, "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5", "data.h5")
case(G, "an image", b"\x89PNG\r\n\x1a\n" + bytes(100), "image", "data.png")
case(G, "ARFF", "@relation r\n@attribute x numeric\n@data\n1\n", "ARFF", "data.arff")
case(G, "svmlight", "1 1:0.5 2:3\n2 1:1.5\n", "svmlight", "data.txt")
case(G, "a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull")
case(G, "random bytes", bytes(range(128, 256)), "no text file", "data.bin")

G = "Headers"
case(G, "numbers: no header", "0.5,1.5\n2,3\n4,5\n", "is there a header?")
case(G, "whole numbers: no header", "0,1\n2,3\n4,5\n", "is there a header?")
case(G, "years beside a name", "land,2019,2020\na,1,2\nb,3,4\n", {"land": ["a", "b"], "2019": [1, 3], "2020": [2, 4]})
case(G, "a title above", "Table 1: results\n" + PLAIN)
case(G, "two titles above", "Results\nTable 1\n" + PLAIN)
case(G, "a title and a blank line above", "Table 1: results\n\n" + PLAIN)
case(G, "a title with trailing commas", "Table 1,\n" + PLAIN)
case(G, "comments above (`#`)", "# made by X\n# in 2020\n" + PLAIN)
case(G, "names in a comment (`# x,y`)", "# " + PLAIN)
case(G, "names in a comment, blanks (`# x y`)", "# " + PLAIN.replace(",", " "))
case(G, "a line of units below", "x,y\nm,s\n0,1\n1,3\n2,5\n", "a line of units")
case(G, "names `NA`, `None`, `nan`", "NA,None,nan\n0,1,2\n1,3,5\n", {"NA": [0, 1], "None": [1, 3], "nan": [2, 5]})
case(G, "names in quotation marks, with spaces around", '" x ","y "\n0,1\n1,3\n2,5\n')
case(G, "a line break in a name", '"speed\n[m/s]",y\n0,1\n1,3\n', {"speed [m/s]": [0, 1], "y": [1, 3]})
case(G, "a name twice", "x,x\n0,1\n1,3\n", "twice: 'x'")
case(G, "a column without a name", "x,,y\n0,0.5,1\n1,0.5,3\n", "column 2 has no name")
case(G, "row names of R (`write.table`)", '"x","y"\n"1",0,1\n"2",1,3\n"3",2,5\n')
case(G, "row names of R, blanks", '"x" "y"\n"Mazda RX4" 0 1\n"Fiat 128" 1 3\n"Volvo" 2 5\n')
case(G, "row names of R (`write.csv`)", '"","x","y"\n"a",0,1\n"b",1,3\n"c",2,5\n')
case(G, "row names without quotation marks", "x,y\n1,0,1\n2,1,3\n3,2,5\n", "row name")
case(G, "pandas' index column", ",x,y\n0,0,1\n1,1,3\n2,2,5\n")
case(G, "pandas' index column, named", "Unnamed: 0,x,y\n0,0,1\n1,1,3\n2,2,5\n")
case(G, "pandas' index of a filtered frame", ",x,y\n3,0,1\n7,1,3\n8,2,5\n")
case(G, "pandas' index of dates", ",x,y\n2020-01-01,0,1\n2020-01-02,1,3\n2020-01-03,2,5\n")
case(G, "`#` counts the rows", "#,x,y\n1,0,1\n2,1,3\n3,2,5\n")
case(G, "no name at all", ",,\n,,\n", "holds no name")
case(G, "only a header", "x,y\n", {"x": [], "y": []})

G = "Rows"
case(G, "trailing commas", "x,y,\n0,1,\n1,3,\n2,5,\n")
case(G, "trailing commas in the header only", "x,y,\n0,1\n1,3\n2,5\n")
case(G, "trailing commas in the rows only", "x,y\n0,1,\n1,3,\n2,5,\n")
case(G, "a longer row", "x,y\n0,1\n1,3,4\n2,5\n", "3 fields in line 3")
case(G, "a shorter row", "x,y\n0,1\n1\n2,5\n", "1 field in line 3")
case(G, "blank lines", PLAIN.replace("\n", "\n\n"))
case(G, "rows of commas (Excel)", PLAIN + ",\n,\n")
case(G, "a footer", PLAIN + "Source: somebody\n", "a footer")
case(G, "a footer of two lines", PLAIN + "\nSource: somebody\nin 2020\n", "a footer")
case(G, "a line of totals", PLAIN + "Total,9\n", "a footer or a total")
case(G, "a total below names", "land,y\na,1\nb,3\nTotal,4\n", "a footer or a total")
case(G, "a quotation mark that is not closed", 'x,y\n0,1\n"1,3\n2,5\n', "line 3")
case(G, "one column", "x\n0\n1\n", {"x": [0, 1]})
case(G, "10 000 columns", ",".join(f"x{j}" for j in range(10_000)) + "\n" + ",".join("1" * 10_000) + "\n", {f"x{j}": [1] for j in range(10_000)})

G = "Values"
case(G, "numbers in quotation marks", '"x","y"\n"0","1"\n"1","3"\n"2","5"\n')
case(G, "missing: empty, `NA`, `N/A`, `null`", "x,y\n,NA\n1,3\nN/A,null\n", {"x": [NAN, 1, NAN], "y": [NAN, 3, NAN]})
case(G, "missing: `-` and `?` among numbers", "x,y\n-,1\n1,3\n2,?\n", {"x": [NAN, 1, 2], "y": [1, 3, NAN]})
case(G, "`-` and `?` among words stay", "x,y\n-,1\na,3\n?,5\n", {"x": ["-", "a", "?"], "y": [1, 3, 5]})
case(G, "whole numbers beyond 2^53", f"x\n{2**53 + 1}\n3\n", {"x": [2**53 + 1, 3]})
case(G, "whole numbers beyond 2^53, with a gap", f"x,y\n{2**53 + 1},1\n,3\n", {"x": [2**53 + 1, None], "y": [1, 3]})
case(G, "whole numbers beyond 2^64", f"x\n{2**64 + 1}\n-3\n", {"x": [2**64 + 1, -3]})
case(G, "whole numbers beyond 2^53 beside decimals", f"x\n{2**53 + 1}\n0.5\n", {"x": [2.0**53, 0.5]})
case(G, "decimals of many digits: rounded correctly", "x\n0.1000000000000000055511151231257827021\n9007199254740992.99999\n", {"x": [0.1, 2.0**53]})
case(G, "`1e5`, `1E+05`, `.5`, `5.`", "x,y\n1e5,.5\n1E+05,5.\n", {"x": [1e5, 1e5], "y": [0.5, 5.0]})
case(G, "`inf`, `-Infinity`", "x,y\ninf,1\n-Infinity,3\n", {"x": [float("inf"), float("-inf")], "y": [1, 3]})
case(G, "truth values, with a gap", "x,y\nTrue,1\nfalse,3\n,5\n", {"x": [True, False, None], "y": [1, 3, 5]})
case(G, "`5 %`, `$5`, `0x1F`, `1 234,5`, `1_000`: stay text", "a;b;c;d;e\n5 %;$5;0x1F;1 234,5;1_000\n6 %;$6;0x2F;2 345,5;2_000\n", {"a": ["5 %", "6 %"], "b": ["$5", "$6"], "c": ["0x1F", "0x2F"], "d": ["1 234,5", "2 345,5"], "e": ["1_000", "2_000"]})
case(G, "dates: stay text", "x,y\n2020-01-01,1\n2020-01-02,3\n", {"x": ["2020-01-01", "2020-01-02"], "y": [1, 3]})

G = "Places"
case(G, "an empty file", "", "is empty")
case(G, "only blank lines", "\n\n", "is empty")
case(G, "only comments", "# nothing\n", "holds no table")
case(G, "a folder", Path.mkdir, "is a folder", "folder")
case(G, "an address", None, "download it first", "https://example.org/data.csv")
case(G, "an address of a cloud", None, "download it first", "s3://bucket/data.parquet")
case(G, "no such file", lambda path: path.with_name("data.csv").write_text(PLAIN), "did you mean 'data.csv'?", "dat.csv")
case(G, "no such folder", None, "there is no folder", "nowhere/data.csv")
case(G, "no permission", PLAIN, "check its permissions", around=unreadable())
case(G, "a pipe", os.mkfifo, "a pipe or a device", "pipe")
case(G, "an option for another kind", PLAIN, "sheet='a'", sheet="a")
# fmt: on


def outcome(case, folder):
    """Read a case's file: the frame and its notes, or the error's sentence, without the folder."""
    path = case.file if "://" in case.file else folder / case.file
    if callable(case.make):
        case.make(path)
    elif case.make is not None:
        path.write_bytes(case.make if isinstance(case.make, bytes) else case.make.encode())
    with case.around or nullcontext():
        try:
            return read_frame(path, **(case.options or {}))
        except ValueError as error:
            return str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "the folder")


def described(result):
    if isinstance(result, str):
        return "**refused:** " + result
    return "read" + "".join(f"; {note}" for note in result.notes)


def all_outcomes(folder):
    places = [folder / str(number) for number in range(len(CASES))]
    for place in places:
        place.mkdir()
    return [outcome(case, place) for case, place in zip(CASES, places, strict=True)]


def table(results):
    lines, group = [HEADER], None
    for case, result in zip(CASES, results, strict=True):
        if case.group != group:
            group = case.group
            lines += ["", f"## {group}", "", "| the file | what happens |", "|---|---|"]
        options = ", ".join(f"`{name}={value!r}`" for name, value in (case.options or {}).items())
        kind = case.kind + (f" ({options})" if options else "")
        happens = described(result).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {kind} | {happens} |")
    return "\n".join(lines) + "\n"


HEADER = """# File kinds

What `optlab.datasets.files.read_frame` does with each of these files: it reads the right values, and
notes each choice that it made, or it refuses in a sentence. `tests/test_file_kinds.py` checks the
values and makes this table: `python tests/test_file_kinds.py` writes it anew."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return all_outcomes(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=lambda n: f"{CASES[n].group}: {CASES[n].kind}"
)
def test_each_kind_is_read_right_or_refused(number, outcomes):
    case, result = CASES[number], outcomes[number]
    if isinstance(case.right, str):
        assert isinstance(result, str), result
        assert case.right in result
        assert result.startswith(case.file)
        assert "\n" not in result
        return
    assert not isinstance(result, str), result
    assert isinstance(result.frame.index, pd.RangeIndex)
    assert result.frame.columns.tolist() == list(case.right)
    for name, values in case.right.items():
        got = result.frame[name].tolist()
        assert len(got) == len(values)
        assert all(same(a, b) for a, b in zip(got, values, strict=True)), (name, got)


def same(got, right):
    if right is None or pd.isna(right):
        return bool(pd.isna(got))
    return got == right and isinstance(got, str) == isinstance(right, str)


def test_the_table_of_file_kinds_is_up_to_date(outcomes):
    assert TABLE.read_text(encoding="utf-8") == table(outcomes)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        TABLE.write_text(table(all_outcomes(Path(temporary))), encoding="utf-8")
