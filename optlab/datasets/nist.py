"""NIST's linear regression sets, whose right answers are certified to 15 digits."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from optlab.checks import did_you_mean
from optlab.datasets.dataset import Dataset
from optlab.datasets.rounding import FloatArray

NAMES = (
    "Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley",
    "Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5",
)  # fmt: skip
"""The sets, in NIST's order of difficulty."""


def nist(name: str) -> Dataset:
    """Return one of NIST's 11 certified linear regression sets.

    Polynomial sets come with their powers as columns, each correctly rounded to float64. What that
    rounding took off is in ``known["X_low"]`` and ``known["y_low"]``, so that ``X + X_low`` has
    twice the digits: Filip is lost to the rounding of its tenth powers before any solver sees it,
    and `optlab.linalg.least_squares` takes these parts.

    ``known["certified"]`` holds ``parameters``, ``standard_deviations`` (both ``weight (d,)`` and,
    where the model has an intercept, ``bias``), ``residual_sd`` and ``r_squared``, as NIST prints
    them; ``known["exact"]`` the parameters solved in rational arithmetic, as strings of 30 digits.

    Returns
    -------
    Dataset
        With the certified coefficients.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    See Also
    --------
    nist_nonlinear : Nonlinear sets.
    optlab.linalg.least_squares : The reference solver that they test.

    References
    ----------
    NIST Statistical Reference Datasets, NIST Standard Reference Database 140,
    doi:10.18434/T43G6C. The numbers are NIST's; no licence is asserted for them.

    Examples
    --------
    >>> import optlab as ol
    >>> longley = ol.datasets.nist("Longley")
    >>> longley
    Dataset('Longley', n=16, d=6, float64)
    >>> longley.known["certified"]["parameters"]["bias"].item()
    -3482258.63459582
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES)
        raise ValueError(f"unknown NIST set {name!r}: {hint}there are {', '.join(NAMES)}")
    about = _certified()[name]
    header, *lines = _folder().joinpath(f"{name}.csv").read_text("utf-8").split()
    rows = [[Fraction(Decimal(number)) for number in line.split(",")] for line in lines]
    columns, feature_names = _design(about["design"], rows, header.split(",")[1:])
    X, X_low = _rounded(columns)
    y, y_low = _rounded([[row[0] for row in rows]])
    return Dataset(
        name=name,
        X=X,
        y=y[:, 0],
        feature_names=feature_names,
        fit_intercept=bool(about["design"]["intercept"]),
        source="NIST Standard Reference Database 140, doi:10.18434/T43G6C",
        known={
            "X_low": X_low,
            "y_low": y_low[:, 0],
            "certified": {
                "parameters": _named(about["coef"], about),
                "standard_deviations": _named(about["coef_sd"], about),
                "residual_sd": float(about["residual_sd"]),
                "r_squared": float(about["r_squared"]),
            },
            "exact": about["exact"]["coef"],
        },
    )


def _folder() -> Any:
    return files("optlab.datasets").joinpath("nist_data")


@cache
def _certified() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_folder().joinpath("certified.json").read_text("utf-8"))
    return found


def _design(
    design: dict[str, Any], rows: list[list[Fraction]], names: list[str]
) -> tuple[list[list[Fraction]], tuple[str, ...]]:
    """Return the columns without the intercept's, exactly, and their names."""
    if design["kind"] != "polynomial":
        return [[row[j] for row in rows] for j in range(1, len(names) + 1)], tuple(names)
    powers = range(1, int(design["degree"]) + 1)
    columns = [[row[1] ** power for row in rows] for power in powers]
    return columns, tuple("x" if power == 1 else f"x^{power}" for power in powers)


def _rounded(columns: list[list[Fraction]]) -> tuple[FloatArray, FloatArray]:
    """Return exact columns as the nearest float64 and what that left, itself rounded."""
    high = np.array([[float(value) for value in column] for column in columns]).T
    low = [[float(value - Fraction(float(value))) for value in column] for column in columns]
    return np.ascontiguousarray(high), np.ascontiguousarray(np.array(low).T)


def _named(values: list[str], about: dict[str, Any]) -> dict[str, FloatArray]:
    numbers = np.array([float(value) for value in values])
    if not about["design"]["intercept"]:
        return {"weight": numbers}
    return {"weight": numbers[1:], "bias": numbers[0]}
