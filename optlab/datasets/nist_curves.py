"""NIST's nonlinear regression sets, whose right answers are certified to 11 digits."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from optlab.checks import did_you_mean
from optlab.datasets.dataset import Dataset
from optlab.datasets.nist_models import MODELS

NONLINEAR_NAMES = tuple(MODELS)
"""The sets, in NIST's order of difficulty."""


def nist_nonlinear(name: str) -> Dataset:
    """Return one of NIST's 27 nonlinear regression sets, with its model, starts and answers.

    `optlab.NonlinearLeastSquares.from_dataset` makes the problem of it. Nelson's model is one of
    log(y), so that its target is log(y).

    ``known`` holds

    - ``model``, called as ``model(parameters, X)`` with parameters ``b1``, ``b2``, ...;
    - ``starts``, NIST's two, the first far away and the second nearer, as dicts of floats;
    - ``certified``: ``parameters``, ``standard_deviations`` (dicts of floats), ``rss`` (the sum of
      squared residuals) and ``residual_sd``, as NIST prints them, 11 digits;
    - ``exact`` and ``exact_float64_data``: the same as strings of 30 digits, computed in arithmetic
      of 100 digits for the decimals as NIST prints them, and for these rounded to float64: the
      data of this dataset. Rounding the data alone leaves 12.2 digits of Lanczos2's parameters;
    - ``level`` (``lower``, ``average`` or ``higher`` difficulty) and ``formula``, as NIST has them.

    Returns
    -------
    Dataset
        ``X`` and ``y``, float64; ``known`` has the model, the two starts and the certified answers.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    See Also
    --------
    nist : Linear sets.
    optlab.NonlinearLeastSquares : The problem that it makes.

    References
    ----------
    NIST Statistical Reference Datasets, NIST Standard Reference Database 140,
    doi:10.18434/T43G6C. Data, starts and certified values are NIST's; no licence is asserted.

    Examples
    --------
    >>> import optlab as ol
    >>> misra1a = ol.datasets.nist_nonlinear("Misra1a")
    >>> misra1a
    Dataset('Misra1a', n=14, d=1, float64)
    >>> misra1a.known["starts"][0]
    {'b1': 500.0, 'b2': 0.0001}
    >>> misra1a.known["certified"]["parameters"]["b1"], misra1a.known["exact"]["parameters"]["b1"]
    (238.94212918, '2.38942129178861708329483496815e+2')
    """
    if name not in MODELS:
        hint = did_you_mean(name, MODELS)
        raise ValueError(f"unknown NIST set {name!r}: {hint}there are {', '.join(MODELS)}")
    about = _certified()[name]
    header, *lines = _folder().joinpath(f"{name}.csv").read_text("utf-8").split()
    table = np.array([[float(number) for number in line.split(",")] for line in lines])
    log = name == "Nelson"  # math.log is within an ulp on every platform
    y = np.array([math.log(value) for value in table[:, 0]]) if log else table[:, 0].copy()
    return Dataset(
        name=name,
        X=table[:, 1:].copy(),
        y=y,
        feature_names=tuple(header.split(",")[1:]),
        target_name="log(y)" if log else "y",
        fit_intercept=False,
        source="NIST Standard Reference Database 140, doi:10.18434/T43G6C",
        known={
            "model": MODELS[name],
            "starts": tuple(_floats(about[start]) for start in ("start1", "start2")),
            "certified": {
                "parameters": _floats(about["certified"]["parameters"]),
                "standard_deviations": _floats(about["certified"]["sd"]),
                "rss": float(about["certified"]["rss"]),
                "residual_sd": float(about["certified"]["residual_sd"]),
            },
            "exact": _strings(about["exact"]),
            "exact_float64_data": _strings(about["exact_float64_data"]),
            "level": about["level"],
            "formula": about["formula"],
        },
    )


def _folder() -> Any:
    return files("optlab.datasets").joinpath("nist_data", "nonlinear")


@cache
def _certified() -> dict[str, Any]:
    answers: dict[str, Any] = json.loads(_folder().joinpath("certified.json").read_text("utf-8"))
    return answers


def _named(values: list[str]) -> dict[str, str]:
    return {f"b{number}": value for number, value in enumerate(values, start=1)}


def _floats(values: list[str]) -> dict[str, float]:
    return {name: float(value) for name, value in _named(values).items()}


def _strings(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": _named(answer["parameters"]),
        "standard_deviations": _named(answer["sd"]),
        "rss": answer["rss"],
        "residual_sd": answer["residual_sd"],
    }
