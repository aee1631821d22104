"""The condition of squares after standardizing, against numpy's correlation matrix."""

import numpy as np
import pytest

import optlab as ol
from optlab.theory.standardized_condition import standardized_condition

DRAW = np.random.default_rng(2)
WIDE = DRAW.normal(size=(12, 3)) * [0.01, 1.0, 50.0] + [5.0, 0.0, 1.0]  # scales on both sides of 1
Y = DRAW.normal(size=12)


def condition(matrix, l2=0.0, *rest):
    values = np.array([*(2 * np.linalg.eigvalsh(matrix) + l2), *rest])
    return values.max() / values.min()


def test_centred_and_scaled_features_and_the_intercept():
    correlations = np.corrcoef(WIDE.T)
    # The eigenvalues are rounded to some eps of the largest, of which none is below a tenth.
    for l2 in (0.0, 0.7):
        found = standardized_condition(ol.LinearRegression(WIDE, Y, l2=l2))
        assert found == pytest.approx(condition(correlations, l2, 2.0), rel=1e-10)
    scaled = WIDE / np.sqrt((WIDE**2).mean(0))
    found = standardized_condition(ol.LinearRegression(WIDE, Y, fit_intercept=False))
    assert found == pytest.approx(condition(scaled.T @ scaled / 12), rel=1e-7)


def test_constant_and_repeated_features_do_not_count():
    more = np.column_stack([WIDE, np.full(12, 3.0), WIDE[:, 1]])
    twice = WIDE[:, [0, 1, 1, 2]]
    kept = np.linalg.eigvalsh(np.corrcoef(twice.T))[1:]
    found = standardized_condition(ol.LinearRegression(more, Y))
    assert found == pytest.approx(max(*(2 * kept), 2) / min(*(2 * kept), 2), rel=1e-10)


def test_other_problems_have_none():
    for problem in (
        ol.HuberRegression(WIDE, Y),
        ol.LinearRegression(WIDE, Y, sample_weight=np.arange(1.0, 13)),
    ):
        with pytest.raises(ValueError, match="is no linear least squares with rows alike"):
            standardized_condition(problem)
