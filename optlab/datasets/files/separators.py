"""The separator and the decimal mark of a text table: checked where given, else recognised."""

from __future__ import annotations

import csv
import re
from collections import Counter

from optlab.text import shortened

BLANKS = "blanks"  # one or more spaces or tabs
_CANDIDATES = ("\t", ";", "|", ",", BLANKS)  # from the rarest inside a field to the commonest
_SAMPLE = 200
_LONGEST = 100  # the pattern of a number takes quadratic time
_NAMES = {
    "tab": "\t", r"\t": "\t", "space": BLANKS, "spaces": BLANKS, " ": BLANKS, "blanks": BLANKS,
    "whitespace": BLANKS, r"\s+": BLANKS, "comma": ",", "semicolon": ";", "pipe": "|",
}  # fmt: skip
_NUMBERLIKE = re.compile(r"[-+]?[\d.,' \u00a0\u202f]*\d[\d.,]*([eE][-+]?\d+)?", re.ASCII)
_QUOTED_OR_BLANKS = re.compile(r'("[^"\n]*")|(^[ \t]+|[ \t]+$)|[ \t]+', re.MULTILINE)


def checked_separator(separator: str) -> str:
    """Return a separator that the caller gave, as one character or `BLANKS`, or raise."""
    chosen = _NAMES.get(separator, separator)
    if chosen != BLANKS and (
        len(chosen) != 1 or not chosen.isascii() or chosen.isalnum() or chosen in "\"'.+-_#\n\r\0"
    ):
        raise ValueError(
            f"cannot be read with separator={shortened(separator)}: give one character such as "
            "',', ';' or '|', or 'tab' or 'space'"
        )
    return chosen


def recognised_separator(text: str) -> str:
    """Return the separator that makes the most equal rows with the most numbers in them.

    The score of a candidate is the share of rows that have the commonest number of fields, times
    the share of their fields that look like numbers (the first row is left out: it is the header),
    a tenth of it where no row of names comes first. A text where no candidate makes two fields is
    a table of one column: comma.
    """
    lines = text.split("\n", 2 * _SAMPLE)[: 2 * _SAMPLE]
    scores = {candidate: _score(_sample(lines, candidate)) for candidate in _CANDIDATES}
    best = max(_CANDIDATES, key=lambda candidate: scores[candidate])  # the first of equals
    return best if scores[best] > 0 else ","


def tabs_for_blanks(text: str) -> str:
    """Return the text with a tab for each run of blanks outside quotation marks."""
    return _QUOTED_OR_BLANKS.sub(
        lambda match: match[1] or ("" if match[2] is not None else "\t"), text
    )


def checked_decimal(decimal: str) -> str:
    """Return a decimal mark that the caller gave, or raise."""
    if decimal not in {".", ","}:
        raise ValueError(f"cannot be read with decimal={shortened(decimal)}: it must be '.' or ','")
    return decimal


def recognised_decimal(text: str, separator: str) -> str:
    """Return "," where numbers have a decimal comma, else ".".

    Raises
    ------
    ValueError
        Where "1,234" may be a decimal or a thousand, and where both marks are used.
    """
    if "," not in text or (separator == "," and '"' not in text):
        return "."
    # Between commas only a number in quotation marks can have a decimal comma.
    ends = '"' if separator == "," else f'{re.escape(separator)}"\n'
    # 1,234 may be a thousand; 0,123 and 1,23 and 1,2345 and 1234,567 cannot.
    sure = _search(text, ends, r"\d*,\d{1,2}|\d*,\d{4,}|0\d*,\d{3}|\d{4,},\d{3}|,\d{3}")
    unsure = None if sure or separator == "," else _search(text, ends, r"[1-9]\d{0,2},\d{3}")
    if unsure:
        raise ValueError(
            f"holds {shortened(unsure)}, which may be a decimal or a thousand: give decimal=',' or "
            "decimal='.' (--decimal)"
        )
    point = _search(text, ends, r"\d+\.\d*|\.\d+") if sure and "." in text else None
    if point:
        raise ValueError(
            f"holds numbers with a comma ({shortened(sure)}) and with a point ({shortened(point)})"
            ": give the decimal mark, decimal=',' or decimal='.' (--decimal)"
        )
    return "," if sure else "."


def _search(text: str, ends: str, number: str) -> str | None:
    """Return the first number of a pattern that fills a field."""
    match = re.search(
        rf"(?:\A|[{ends}]) *([-+]?(?:{number})(?:[eE][-+]?\d+)?) *(?=[{ends}]|\Z)", text, re.ASCII
    )
    return match[1] if match else None


def _sample(lines: list[str], separator: str) -> list[list[str]]:
    if separator == BLANKS:
        lines = tabs_for_blanks("\n".join(lines)).split("\n")
    delimiter = "\t" if separator == BLANKS else separator
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:  # a field beyond csv's limit
        return []
    return [row for row in rows if any(row)][:_SAMPLE]


def _score(rows: list[list[str]]) -> float:
    counts = Counter(len(row) for row in rows)
    width = max(counts, key=lambda length: (counts[length], length), default=0)
    if width < 2:
        return 0.0
    cells = [cell for row in rows[1:] if len(row) == width for cell in row if cell.strip()]
    numbers = sum(map(_looks_like_number, cells))
    share = counts[width] / len(rows) * (numbers / max(1, len(cells)) + 0.01)
    return share if _begins_with_names(rows, width) else share / 10


def _begins_with_names(rows: list[list[str]], width: int) -> bool:
    """Return whether the first row of this width, or the shorter one above it, has no number."""
    first = next(i for i, row in enumerate(rows) if len(row) == width)
    if first and len(rows[first - 1]) == width - 1 > 1:  # R's header has no name for row names
        first -= 1
    return not any(map(_looks_like_number, rows[first]))


def _looks_like_number(cell: str) -> bool:
    return len(cell) < _LONGEST and _NUMBERLIKE.fullmatch(cell.strip()) is not None
