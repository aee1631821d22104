"""A linear model's coefficients as a table, in the units of the fit and in those of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from optlab.datasets.raw_units import raw_coefficients
from optlab.linalg import Certificate
from optlab.problems.problem import Parameters

Vector = np.ndarray[Any, np.dtype[np.float64]]

INTERCEPT = "intercept"


def coefficient_table(
    parameters: Parameters,
    feature_names: Sequence[str],
    standardized: Mapping[str, Vector] | None,
    certificate: Certificate | None,
) -> pd.DataFrame:
    """Return a row for each coefficient: see `optlab.LinearRegression.coefficients`.

    Without a certificate, standard errors are NaN.
    """
    weight = parameters["weight"].detach().cpu().double().numpy()
    has_bias = "bias" in parameters
    bias = float(parameters["bias"]) if has_bias else 0.0
    errors = certificate.standard_errors if certificate is not None else None
    unknown = np.full(len(weight) + 1, math.nan)
    try:
        raw_weight, raw_bias = raw_coefficients(weight, bias, standardized, "the problem")
        raw = np.array([raw_bias, *raw_weight])
        raw_errors = unknown if errors is None else _raw_errors(certificate, standardized, has_bias)
    except ValueError:  # beyond the range of float64
        raw, raw_errors = unknown, unknown
    fitted = unknown if errors is None else np.array([errors["bias"], *errors["weight"].tolist()])
    table = pd.DataFrame(
        {
            "name": [INTERCEPT, *feature_names],
            "coefficient": raw,
            "standard_error": raw_errors,
            "as_fitted": [bias, *weight],
            "standard_error_as_fitted": fitted,
        }
    )
    if has_bias:
        return table
    if standardized is None:
        return table[1:].reset_index(drop=True)
    # There is an intercept in the units of the data only.
    table.loc[0, ["as_fitted", "standard_error_as_fitted"]] = math.nan
    return table


def _raw_errors(
    certificate: Certificate | None, standardized: Mapping[str, Vector] | None, has_bias: bool
) -> Vector:
    """Return the standard errors of the raw bias and weights: linear in the ones fitted."""
    assert certificate is not None
    p = certificate.unknowns
    first = int(has_bias)
    scale, mean = np.ones(p - first), np.zeros(p - first)
    if standardized is not None:
        scale, mean = standardized["deviation"], standardized["mean"]
    of_bias = np.concatenate([np.ones(first), -mean / scale])
    of_weights = np.eye(p)[first:] / scale[:, None]
    rows = [of_bias, *of_weights]
    return np.array([certificate.standard_error(row) for row in rows], dtype=np.float64)
