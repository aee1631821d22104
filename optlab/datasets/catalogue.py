"""The registry of the datasets that need no argument, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from optlab.datasets.dataset import Dataset
from optlab.datasets.nist import NAMES, nist
from optlab.datasets.nist_curves import NONLINEAR_NAMES, nist_nonlinear
from optlab.registry import Registry

Loader: TypeAlias = Callable[[], Dataset]

registry: Registry[Loader] = Registry(
    "dataset",
    "optlab.datasets",
    {
        "tutorial": "optlab.datasets.tutorial:tutorial",
        "diabetes": "optlab.datasets.diabetes:diabetes",
        **{name: partial(nist, name) for name in NAMES},
        **{name: partial(nist_nonlinear, name) for name in NONLINEAR_NAMES},
    },
    callable,
)
"""Functions without arguments that return a dataset, by name."""


def names() -> list[str]:
    """Return the names of the datasets that `load` returns.

    Returns
    -------
    list of str
        In the order in which they are listed.

    See Also
    --------
    load : Returns one of them.
    """
    return registry.names()


def load(name: str) -> Dataset:
    """Return a dataset by name.

    Returns
    -------
    Dataset
        The one of that name.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    See Also
    --------
    names : What there is.

    Examples
    --------
    >>> import optlab as ol
    >>> ol.datasets.load("diabetes")
    Dataset('diabetes', n=442, d=10, float64)
    """
    return registry.get(name)()
