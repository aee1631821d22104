"""Columns of text as numbers, where the whole column holds numbers and nothing else."""

from __future__ import annotations

import re

import pandas as pd

from optlab.datasets.files.exact_integers import exact_integers
from optlab.text import pluralize, shortened

# The words that pandas reads as missing, in any column.
_MISSING = frozenset({
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
# Marks that mean "no value" only where all other values of the column are numbers.
_MARKS = frozenset(
    {"?", "-", "--", "---", ".", "..", "...", "*", "**", "\u2013", "\u2014", "\u2026"}
)
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_NUMBER = re.compile(
    r"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|inf|infinity)", re.ASCII | re.IGNORECASE
)
_TRUTH = {"true": True, "false": False}
_TOTALS = re.compile(
    r"(grand |sub)?total\b.*|sum|average|mean|summe|gesamt|合計|計|平均", re.IGNORECASE
)


def numbers_from_text(
    values: pd.Series, name: str, decimal: str, lines: tuple[int, int]
) -> tuple[pd.Series, list[str]]:
    """Return a column of text as numbers, truth values or text, and notes on missing values.

    ``name`` is the column in notes and errors, ``lines`` are the file's lines of its first and last
    row.

    Raises
    ------
    ValueError
        For a line of units above numbers, and for a footer below them.
    """
    text = values.map(str.strip, na_action="ignore").astype(object)
    text = text.where(text != "", None)
    text, notes = _without(text, _MISSING, name)
    present = text.dropna()
    truth = present.map(lambda value: value.lower() in _TRUTH)
    if len(present) and truth.all():
        return text.map(lambda v: _TRUTH[v.lower()], na_action="ignore").astype("boolean"), notes
    plain = present if decimal == "." else present.map(_with_point)
    number = plain.map(lambda value: _NUMBER.fullmatch(value) is not None).astype(bool)
    others = present[~number]
    if len(others) and number.any() and others.isin(_MARKS).all():
        text, more = _without(text, _MARKS, name)
        notes, plain, others = [*notes, *more], plain[number], others.iloc[:0]
    if len(others):
        _refuse_units_and_footer(text, others, name, lines)
        return text.astype("str"), notes
    numbers, more = _numbers(plain, name)
    numbers = numbers.reindex(values.index)
    if numbers.dtype == object:
        numbers = exact_integers(numbers)
    return numbers, [*notes, *more]


def _numbers(plain: pd.Series, name: str) -> tuple[pd.Series, list[str]]:
    whole = plain[plain.map(_is_whole).astype(bool)]
    if len(plain) and len(whole) == len(plain):
        return plain.map(int).astype(object), []
    floats = plain.map(float).astype("float64")  # Python rounds correctly
    rounded = [v for v, f in zip(whole, floats[whole.index], strict=True) if int(v) != f]
    if not rounded:
        return floats, []
    first = shortened(int(rounded[0]))
    return floats, [f"column {shortened(name)}: {first} stands beside decimals and is rounded"]


def _is_whole(value: str) -> bool:
    # Python refuses int() of 4300 digits and more, to stay fast: such a number is a float.
    return _INTEGER.fullmatch(value) is not None and len(value) < 4000


def _with_point(value: str) -> str:
    return value.replace(",", ".") if "." not in value else "no number"


def _without(text: pd.Series, words: frozenset[str], name: str) -> tuple[pd.Series, list[str]]:
    match = text.isin(words)
    if not match.any():
        return text, []
    shown = ", ".join(map(repr, sorted(text[match].unique())))
    count = pluralize(int(match.sum()), "value")
    return text.mask(match, None), [f"column {shortened(name)}: {shown} read as missing ({count})"]


def _refuse_units_and_footer(
    text: pd.Series, others: pd.Series, name: str, lines: tuple[int, int]
) -> None:
    if len(text) < 3:
        return
    first, last = text.index[0], text.index[-1]
    few = len(others) == 1 and len(text.dropna()) > 2
    holds = f"column {shortened(name)} holds {shortened(others.iloc[-1])} in line"
    if few and others.index[0] == first:
        raise ValueError(
            f"{holds} {lines[0]} and numbers below: if that is a line of units, delete it"
        )
    total = others.index[-1] == last and bool(
        _TOTALS.fullmatch(others.iloc[-1]) and (others == others.iloc[-1]).sum() == 1
    )
    if (few and others.index[0] == last) or total:
        raise ValueError(f"{holds} {lines[1]}, the last: if that is a footer or a total, delete it")
