"""File formats known by their first bytes: those that can be read, and those that cannot."""

from __future__ import annotations

import io
import re
import zipfile

_SAVE = "save the table as CSV or Parquet"

_READABLE = {
    b"PAR1": "Parquet", b"ARROW1\0\0": "Feather", b"FEA1": "Feather", b"\xff\xff\xff\xff": "Arrow",
}  # fmt: skip

_REFUSED = {
    b"PARE": f"is an encrypted Parquet file: {_SAVE}, without encryption",
    b"\xd0\xcf\x11\xe0": "is an old Excel file (.xls) or one with a password: save it as .xlsx "
    "without a password, or as CSV",
    b"%PDF": f"is a PDF document: {_SAVE}",
    b"SQLite format 3\0": f"is a SQLite database: {_SAVE} (pandas.read_sql)",
    b"\x89HDF\r\n\x1a\n": f"is an HDF5 file: {_SAVE} (pandas.read_hdf)",
    b"\x93NUMPY": f"is a NumPy array (.npy): {_SAVE}, or pass the array itself",
    b"\x89PNG": "is an image (PNG), not a table",
    b"\xff\xd8\xff": "is an image (JPEG), not a table",
    b"GIF8": "is an image (GIF), not a table",
    b"MATLAB 5.0": f"is a MATLAB file: {_SAVE} (scipy.io.loadmat)",
    b"<stata_dta>": f"is a Stata file: {_SAVE} (pandas.read_stata)",
    b"$FL2": f"is an SPSS file: {_SAVE} (pandas.read_spss)",
    b"RDX": f"is an R data file: {_SAVE} (write.csv in R)",
    b"RDA": f"is an R data file: {_SAVE} (write.csv in R)",
    b"X\n\0\0": f"is an R data file: {_SAVE} (write.csv in R)",
    b"ORC": f"is an ORC file: {_SAVE}",
    b"Obj\x01": f"is an Avro file: {_SAVE}",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive: unpack it first",
    b"Rar!": "is a RAR archive: unpack it first",
    b"\x04\x22\x4d\x18": "is compressed with LZ4: decompress it first",
    b"\x1f\x9d": "is compressed with `compress` (.Z): decompress it first",
    b"\x7fELF": "is a program, not a table",
    b"MZ\x90": "is a program, not a table",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

_TEXT_FORMATS = {
    r"\{\s*[\"}]|\[\s*[\[{\"\d\-\]]": f"is JSON, not a delimited text: {_SAVE} (pandas.read_json)",
    r"<!doctype|<html|<head|<table|<body": "is an HTML page, not a table: the download may have "
    "asked for a login; fetch the data file itself",
    r"<\?xml|<[a-z]+[ >]": f"is XML, not a delimited text: {_SAVE} (pandas.read_xml)",
    r"version https://git-lfs": "is a Git LFS pointer, not the data: run `git lfs pull`",
    r"(%.*\n|\s)*@relation": f"is an ARFF file: {_SAVE} (scipy.io.arff.loadarff)",
    r"%%MatrixMarket": f"is a Matrix Market file: {_SAVE} (scipy.io.mmread)",
    r"[-+]?\d[\d.]*( +\d+:[-+\d.e]+)+ *\n": "is in the svmlight format (index:value): read it with "
    "sklearn.datasets.load_svmlight_file and pass the arrays",
}


def file_format(content: bytes) -> str | None:
    """Return "Parquet", "Feather", "Arrow" or "Excel", or None for what may be text.

    Raises
    ------
    ValueError
        For a format that is known but not read, with a sentence that says what to do.
    """
    for magic, sentence in _REFUSED.items():
        if content.startswith(magic):
            raise ValueError(sentence)
    if _PICKLE.match(content):
        raise ValueError("is a pickle, which could run any program when read: save it as Parquet")
    if content[257:262] == b"ustar":
        raise ValueError("is a tar archive: unpack it and name one file")
    if content.startswith(b"PK\x03\x04"):
        return _document(content)
    for magic, name in _READABLE.items():
        if content.startswith(magic):
            return name
    return None


def _document(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    if any(name.startswith("xl/") for name in names):
        return "Excel"
    if any(name.endswith(".npy") for name in names):
        raise ValueError(f"holds NumPy arrays (.npz): {_SAVE}, or pass the arrays themselves")
    raise ValueError(f"is an office document, not a table: {_SAVE}")


def refuse_text_format(text: str) -> None:
    """Raise ValueError for JSON, HTML and other text that is no table of fields and separators."""
    start = text[:2000].lstrip()
    for pattern, sentence in _TEXT_FORMATS.items():
        if re.match(pattern, start, re.IGNORECASE):
            raise ValueError(sentence)
