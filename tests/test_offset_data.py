"""Bounds and suboptimalities of linear models, in exact arithmetic, on data that lose digits."""

import mpmath as mp
import numpy as np
import pytest
import torch

import optlab as ol
from tests.many_digits import DIGITS, _Model, solved

NOISE = np.random.default_rng(0).normal(size=6)


def assert_bound_holds(problem):
    reference, exact = problem.reference(), solved(problem)
    assert reference.kind == "certified"
    with mp.workdps(DIGITS):
        assert abs(reference.loss - exact.loss) <= reference.bound


@pytest.mark.parametrize(
    ("cls", "options"),
    [(ol.QuantileRegression, {}), (ol.HuberRegression, {}), (ol.LinearRegression, {"l1": 1e-30})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_loss_of_residuals_that_are_rounding_alone_is_within_its_bound(cls, options):
    """Of y = 1e12 + x as float64 rounds it, predictions have no digit of the residuals."""
    problem = cls(NOISE[:, None], 1e12 + NOISE, **options)
    assert_bound_holds(problem)
    assert problem.reference().loss > 1e-11


@pytest.mark.parametrize("cls", [ol.SoftmaxRegression, ol.LogisticRegression])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 1, 0, 1]])
def test_log_losses_below_rounding_are_within_their_bound(cls, labels):
    problem = cls([[-2.0], [-1.0], [1.0], [2.0]], labels, l2=1e-20)
    assert_bound_holds(problem)
