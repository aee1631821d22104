"""The predictions and the coefficients of a fitted model, in the units of the data."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import torch

from optlab.datasets.table_encoding import TableEncoding
from optlab.datasets.validation import checked_features, unwrapped
from optlab.problems.problem import Parameters, Problem

AT_MINIMUM = 1e-6
"""Parameters of at most this relative distance to the minimiser have its standard errors."""


def predict(problem: Problem, parameters: Parameters, X: Any = None) -> Any:
    """Return a problem's predictions of rows in the units of the data: see `Solution.predict`.

    Raises
    ------
    ValueError
        For a problem that predicts nothing, and for rows that do not fit its features.

    Warns
    -----
    UserWarning
        Which missing values of a table were filled, and by what.
    """
    method = getattr(problem, "predict", None)
    if method is None:
        raise ValueError(
            f"{problem.name!r} predicts nothing: {type(problem).__name__} has no model"
        )
    X = _encoded(problem, unwrapped(X))
    scaling = getattr(problem, "standardized", None)
    if X is not None and scaling is not None:
        rows = checked_features(X, problem.feature_names).double()  # type: ignore[attr-defined] # of every linear model
        mean, low, deviation = (
            torch.as_tensor(scaling[name]) for name in ("mean", "mean_low", "deviation")
        )
        X = (rows - mean - low) / deviation
    with torch.no_grad():
        return method(parameters, X)


def _encoded(problem: Problem, X: Any) -> Any:
    """Return a table's rows as the columns fitted, if it has not these, and anything else as is."""
    encoding: TableEncoding | None = getattr(problem, "encoding", None)
    if encoding is None or not isinstance(X, pd.DataFrame):
        return X
    own = {str(column) for column in X.columns}
    is_encoded = own.issuperset(encoding.encoded_names) and not own.issuperset(encoding.raw_names)
    if is_encoded:
        return X
    encoded = encoding.transform(X)
    if filled := encoding.gaps(X):
        warnings.warn(f"{filled}, as in the table that was fitted", stacklevel=4)
    return encoded


def coefficients(problem: Problem, parameters: Parameters, distance: float) -> pd.DataFrame:
    """Return a linear model's table of coefficients: see `Solution.coefficients`.

    ``distance`` is the parameters' relative distance to the reference's, NaN where it is not known.

    Raises
    ------
    ValueError
        For a problem that is no linear model.
    """
    tabulate = getattr(problem, "coefficients", None)
    if tabulate is None:
        raise ValueError(
            f"{problem.name!r} has no coefficients: {type(problem).__name__} is no linear model; "
            "solution.parameters has its parameters"
        )
    table: pd.DataFrame = tabulate(parameters)
    if distance <= AT_MINIMUM:
        own = tabulate()
        for name in ("standard_error_as_fitted", "standard_error"):
            table[name] = own[name]
    return table
