"""Decompression of files in memory: gzip, bzip2, xz, zip and zstd, known by their first bytes."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from optlab.text import shortened

_STREAMS: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMADecompressor),
}
_ZSTD = b"\x28\xb5\x2f\xfd"
_DEPTH = 3  # a .gz inside a .zip is seen; more layers are an attack or a mistake


def decompress(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a file's content uncompressed, and a note for each compression taken off.

    Raises
    ------
    ValueError
        For a damaged or truncated file, an archive of several files, a password, or where the
        package that is needed is missing.
    """
    notes: list[str] = []
    for _ in range(_DEPTH):
        layer = _decompress_once(content)
        if layer is None:
            return content, tuple(notes)
        content, note = layer
        notes.append(note)
        if not content.strip():
            raise ValueError("holds nothing: what is compressed in it is empty")
    raise ValueError(f"is compressed more than {_DEPTH - 1} times over: decompress it first")


def _decompress_once(content: bytes) -> tuple[bytes, str] | None:
    for magic, (kind, new) in _STREAMS.items():
        if content.startswith(magic):
            return _all_streams(content, kind, new), f"decompressed ({kind})"
    if content.startswith(_ZSTD):
        return _zstd(content), "decompressed (zstd)"
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_member(content)
    return None


def _all_streams(content: bytes, kind: str, new: Callable[[], Any]) -> bytes:
    """Return the streams of a file one after another; unlike `bz2.decompress`, none is ignored."""
    parts = []
    while content:
        decompressor = new()
        try:
            parts.append(decompressor.decompress(content))
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            raise ValueError(_damaged(kind)) from None
        if not decompressor.eof:
            raise ValueError(f"ends too early for {kind}: copy or download it again")
        content = decompressor.unused_data.lstrip(b"\0")  # tapes and disks pad with zeros
    return b"".join(parts)


def _zstd(content: bytes) -> bytes:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional: the extra `parquet`
    except ImportError:
        raise ValueError(
            "is compressed with zstd, which needs pyarrow: pip install 'optlab[parquet]', or "
            "decompress it with `zstd -d`"
        ) from None
    try:
        data: bytes = pa.CompressedInputStream(pa.BufferReader(content), "zstd").read()
    except (OSError, pa.ArrowException):
        raise ValueError(_damaged("zstd")) from None
    return data


def _zip_member(content: bytes) -> tuple[bytes, str] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and not _is_litter(m)]
            names = [member.filename for member in members]
            if is_document(names):
                return None
            if len(members) != 1:
                inside = ", ".join(map(shortened, names[:5])) + (", ..." if len(names) > 5 else "")
                what = f"{len(members)} files ({inside})" if members else "no file"
                raise ValueError(f"is a zip archive that holds {what}: unpack it and name one file")
            if members[0].flag_bits & 1:
                raise ValueError("is a zip archive with a password: unpack it first")
            return archive.read(members[0]), f"decompressed (zip: {shortened(names[0])})"
    except NotImplementedError:
        raise ValueError("is a zip archive of an unusual method: unpack it first") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError,
            OverflowError, IndexError, UnicodeDecodeError, struct.error):  # fmt: skip
        raise ValueError(_damaged("zip")) from None


def is_document(names: list[str]) -> bool:
    """Return whether a zip archive with these members is one document, such as a workbook."""
    parts = ("xl/", "word/", "ppt/", "[Content_Types].xml", "mimetype")
    return any(name.startswith(parts) or name.endswith(".npy") for name in names)


def _is_litter(member: zipfile.ZipInfo) -> bool:
    return member.filename.startswith("__MACOSX/") or member.filename.endswith(".DS_Store")


def _damaged(kind: str) -> str:
    return f"is damaged ({kind}): copy or download it again"
