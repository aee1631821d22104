"""The datasets that need no argument, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from optlab.checks import did_you_mean
from optlab.datasets.dataset import Dataset
from optlab.datasets.diabetes import diabetes
from optlab.datasets.nist import NAMES, nist
from optlab.datasets.tutorial import tutorial

_NAMED: dict[str, Callable[[], Dataset]] = {
    "tutorial": tutorial,
    "diabetes": diabetes,
    **{name: partial(nist, name) for name in NAMES},
}


def names() -> list[str]:
    """Return the names of the datasets that `load` returns."""
    return list(_NAMED)


def load(name: str) -> Dataset:
    """Return a dataset by name.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.load("diabetes")
    Dataset('diabetes', n=442, d=10, float64)
    """
    if name not in _NAMED:
        hint = did_you_mean(name, _NAMED)
        raise ValueError(f"unknown dataset {name!r}: {hint}there are {', '.join(_NAMED)}")
    return _NAMED[name]()
