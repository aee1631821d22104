"""Texts, numbers, durations, sizes and labels as people read them."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

DIRECT = "direct"
"""The value of the column ``batch`` for methods that use no batches."""

LABEL = re.compile(r"(.+?)\((\w+=.*)\)", re.DOTALL)
"""An optimizer's label: its method, and the hyperparameters that set it apart."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = 60


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: a file's name in an error's message may not be one."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown_path(path: Path) -> Path:
    """Return a path as it is told: relative to the folder that we are in, where it is below."""
    with suppress(OSError, ValueError):
        return path.absolute().relative_to(Path.cwd())
    return path


def method_name(optimizer: str) -> str:
    """Return the label of an optimizer without the hyperparameters that set it apart.

    Examples
    --------
    >>> method_name("Adam(learning_rate=0.1)"), method_name("Averaged(SGD)"), method_name("mine")
    ('Adam', 'Averaged(SGD)', 'mine')
    """
    found = LABEL.fullmatch(optimizer)
    return found.group(1) if found else optimizer


def without_addresses(text: str) -> str:
    """Return a repr without the addresses of objects, which say nothing, and change.

    Examples
    --------
    >>> without_addresses("<Mine object at 0x7f3246fa5c90>")
    '<Mine object>'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def shortened(value: object) -> str:
    """Return the repr of a value from outside, cut in its middle to some 60 characters.

    Examples
    --------
    >>> shortened("y"), len(shortened("y" * 1000))
    ("'y'", 60)
    """
    return _SHORT.repr(value)


def as_shown(values: Sequence[object]) -> list[str]:
    """Return the values of a setting as text: floats in six digits, where these tell them apart.

    An integer among floats is shown as one of them.

    Examples
    --------
    >>> as_shown([0.1, 1e-05 / 3, 1, "svd"]), as_shown([0.1, 0.1 + 1e-9]), as_shown([1, 2])
    (['0.1', '3.33333e-06', '1.0', "'svd'"], ['0.1', '0.100000001'], ['1', '2'])

    A number of numpy is shown as a plain one:

    >>> import numpy as np
    >>> as_shown([np.float64(0.25), np.int64(3), (np.float32(0.5),)])
    ['0.25', '3', '(0.5,)']
    """
    if any(isinstance(value, float) for value in values):
        floats = [as_float(value) for value in values]
        if len(set(map(repr, floats))) == len(set(map(repr, values))):
            values = floats
    exact = [re.sub(r"\bnp\.u?(?:int|float)\d+\(([^()]*)\)", r"\1", repr(v)) for v in values]
    short = [
        repr(float(f"{v:.6g}")) if isinstance(v, float) else text
        for v, text in zip(values, exact, strict=True)
    ]
    return short if len(set(short)) == len(set(exact)) else exact


def as_float(value: object) -> object:
    """Return an integer that a float equals as that float, and anything else as it is.

    Examples
    --------
    >>> as_float(1), as_float(True), as_float("1"), as_float(2**53 + 1)
    (1.0, True, '1', 9007199254740993)
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53:
        return float(value)
    return value


def number(value: float, digits: int = 3) -> str:
    """Return a number in a few digits, or ``-`` where there is none.

    Examples
    --------
    >>> number(1234567.0), number(1200), number(0.03456), number(2.3e-9), number(float("nan"))
    ('1.23e+06', '1200', '0.0346', '2.3e-09', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.{digits}g}"


def capitalized(text: str) -> str:
    """Return a text whose first letter is a capital, the others as they are.

    Examples
    --------
    >>> capitalized("epochs on X")
    'Epochs on X'
    """
    return text[:1].upper() + text[1:]


def pluralize(count: float, noun: str) -> str:
    """Return a count with its noun; whole numbers have all their digits.

    Examples
    --------
    >>> pluralize(1, "epoch"), pluralize(2.5, "epoch")
    ('1 epoch', '2.5 epochs')
    """
    text = number(count) if isinstance(count, float) else str(count)
    return f"{text} {noun}{'' if count == 1 else 's'}"


def format_seconds(seconds: float) -> str:
    """Return seconds with a unit that suits them, in three digits; whole from 1000 s on.

    Examples
    --------
    >>> format_seconds(0.001234), format_seconds(75.5), format_seconds(4.5e-6), format_seconds(5e-9)
    ('1.23 ms', '75.5 s', '4.5 µs', '5 ns')
    >>> format_seconds(0.9996), format_seconds(12345.6), format_seconds(float("nan"))
    ('1 s', '12346 s', '-')
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    rounded = float(f"{seconds:.3g}")
    unit, scale = ("µs", 1e-6) if rounded >= 1e-7 else ("ns", 1e-9)
    if rounded >= 1 or rounded == 0:
        unit, scale = "s", 1.0
    elif rounded >= 1e-3:
        unit, scale = "ms", 1e-3
    value = seconds / scale
    return f"{value:.0f} {unit}" if value >= 999.5 else f"{value:.3g} {unit}"


def format_bytes(size: float) -> str:
    """Return bytes in the unit that suits them, three digits.

    Examples
    --------
    >>> format_bytes(123456.0), format_bytes(2.5 * 2**30)
    ('121 KiB', '2.5 GiB')
    """
    if not math.isfinite(size):
        return "-"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"


_LABEL = {
    "optimizer": "{}",
    "batch": "at batch size {}",
    "device": "on {}",
    "dtype": "in {}",
    "seed": "with seed {}",
}


def cell_label(row: Any, columns: Sequence[str] = tuple(_LABEL)) -> str:
    """Return a cell's label, made from those of some columns that a row of a table has.

    Examples
    --------
    >>> cell_label({"optimizer": "ManualSGD", "batch": "5", "device": "cpu"})
    'ManualSGD at batch size 5 on cpu'
    >>> cell_label({"optimizer": "Lstsq", "batch": "direct", "device": "cpu"}, ["optimizer"])
    'Lstsq'
    """
    shown = [c for c in columns if c in row and (c, row[c]) != ("batch", DIRECT)]
    return " ".join(_LABEL[column].format(row[column]) for column in shown)
