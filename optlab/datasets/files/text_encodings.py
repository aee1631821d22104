"""The encoding of a text file: recognised where it is certain, otherwise asked for."""

from __future__ import annotations

import codecs
import re

from optlab.text import shortened

_MARKS = {
    codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip
_GUESSES = ("cp1252", "cp932", "euc_jp", "gb18030", "cp1251")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CONTROL_BYTES = bytes(byte for byte in range(32) if _CONTROL.match(chr(byte)))


def decode(content: bytes, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and a note where the encoding is not UTF-8.

    An encoding without a mark at the file's start is never guessed: names would be read wrongly
    without a word. The error shows the first such line as each likely encoding reads it.

    Raises
    ------
    ValueError
        For bytes that are not of the encoding, an unknown encoding, or control characters.
    """
    chosen = encoding or _recognised(content)
    try:
        text = content.decode(chosen)
    except UnicodeError as error:
        if encoding is not None:
            raise ValueError(
                f"is not encoded in {encoding} ({_place(content, error)}): give its own encoding"
            ) from None
        raise ValueError(_what_to_give(content, error)) from None
    except (LookupError, ValueError):
        raise ValueError(
            f"cannot be read with encoding={shortened(encoding)}: Python knows none of this name; "
            "common ones are utf-8, cp1252, cp932"
        ) from None
    text = text.removeprefix("\ufeff").rstrip("\x1a")  # DOS ended a text with Ctrl-Z
    # In UTF-8 no byte below 32 is a part of another character; deleting bytes is fast.
    clean = chosen == "utf-8" and len(content.translate(None, _CONTROL_BYTES)) == len(content)
    control = None if clean else _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        what = "a null byte" if control[0] == "\0" else f"the control character {control[0]!r}"
        raise ValueError(
            f"holds {what} in line {line}: it is damaged, or no text file, or in an encoding such "
            "as utf-16-le that must be given (--encoding)"
        )
    return text, () if chosen == "utf-8" else (f"encoding {chosen}",)


def _recognised(content: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    # Digits, separators and line ends have a zero byte in UTF-16, all at even or all at odd places.
    even, odd = content[0:4096:2].count(0), content[1:4096:2].count(0)
    if len(content) % 2 == 0 and max(even, odd) > min(len(content), 4096) / 5:
        if even == 0:
            return "utf-16-le"
        if odd == 0:
            return "utf-16-be"
    return "utf-8"


def _what_to_give(content: bytes, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError) or b"\0" in content:
        return f"is damaged, or no text file ({_place(content, error)})"
    start = content.rfind(b"\n", 0, error.start) + 1
    end = content.find(b"\n", error.start)
    line = content[start : end if end >= 0 else None][:60].rstrip(b"\r")
    readings = {}
    for guess in _GUESSES:
        try:
            whole = content.decode(guess)
        except UnicodeError:
            continue
        if not _CONTROL.search(whole):
            readings[guess] = _letters(whole), line.decode(guess, "replace")
    likely = sorted(readings, key=lambda guess: -readings[guess][0])[:3]
    if not likely:
        return f"is damaged, or no text file ({_place(content, error)})"
    shown = ", ".join(f"{readings[guess][1]!r} with encoding={guess!r}" for guess in likely)
    return (
        f"is not encoded in UTF-8 ({_place(content, error)}): that line reads {shown}; give the "
        f"right one (--encoding {likely[0]}), or save the file as UTF-8"
    )


def _letters(text: str) -> float:
    """Return the share of letters among the characters beyond ASCII: words hold few others."""
    others = [character for character in text if not character.isascii()]
    return sum(character.isalpha() for character in others) / max(1, len(others))


def _place(content: bytes, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    line = content.count(b"\n", 0, error.start) + 1
    return f"byte 0x{content[error.start]:02x} in line {line}"
