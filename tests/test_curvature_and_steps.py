"""Curvatures by products, damped steps and constant fits are those of numpy's dense algebra."""

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers import curvature
from optlab.problems.curves.scaled_jacobian import ScaledJacobian

_drawn = np.random.default_rng(3)
X, Y = _drawn.normal(size=(9, 4)) + 1.0, _drawn.normal(size=9)
WEIGHT = _drawn.uniform(0.5, 2.0, 9)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_a_wide_designs_curvature_by_products_is_the_gram_matrixs(monkeypatch, intercept, weight):
    problem = ol.LinearRegression(X, Y, fit_intercept=intercept, sample_weight=weight)
    rows = np.c_[X, np.ones(9)] if intercept else X
    share = np.full(9, 1 / 9) if weight is None else weight / weight.sum()
    exact = np.linalg.eigvalsh(rows.T @ (share[:, None] * rows))[-1]
    assert curvature._gram(problem) == pytest.approx(exact, rel=1e-10)
    monkeypatch.setattr(curvature, "MOST_COLUMNS", 0)
    assert curvature._gram(problem) / curvature._MARGIN == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_constant_fit_is_the_mean_of_the_weighted_targets(weight):
    problem = ol.LinearRegression(X, Y, sample_weight=weight)
    assert problem.constant_fit()["bias"].item() == pytest.approx(np.average(Y, weights=weight))
    assert not problem.constant_fit()["weight"].any()
    assert "bias" not in ol.LinearRegression(X, Y, fit_intercept=False).constant_fit()


@pytest.mark.parametrize("damping", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rank", [4, 2])
def test_damped_steps_are_those_of_the_normal_equations(damping, rank):
    draw = np.random.default_rng(4)  # each test its own: what ran before changes nothing
    J = X[:, :rank] @ draw.normal(size=(rank, 4))
    scale, right = np.array([0.5, 1.0, 2.0, 4.0]), draw.normal(size=4)
    A = J / scale
    inverse = np.linalg.pinv(A.T @ A + damping * np.eye(4), rcond=1e-12)
    scaled = ScaledJacobian(*map(torch.as_tensor, (J, Y, scale)))
    step = -inverse @ A.T @ Y
    np.testing.assert_allclose(scaled.step(damping), step, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(scaled.solve(torch.as_tensor(right), damping), -inverse @ right,
                               rtol=1e-7, atol=1e-9)  # fmt: skip
    left = Y + A @ step
    predicted = Y @ Y - left @ left
    assert scaled.predicted(damping) == pytest.approx(predicted, rel=1e-8)
    assert scaled.reducible == pytest.approx(Y @ Y - ((Y - A @ np.linalg.pinv(A) @ Y) ** 2).sum())


def test_an_exact_step_is_that_of_the_formula_and_none_where_the_curvature_is_lost():
    problem = ol.LinearRegression(X, Y, fit_intercept=False)
    w = torch.zeros(4, dtype=torch.float64)
    g, H = -2 * X.T @ Y / 9, 2 * X.T @ X / 9
    step = next(ol.ExactLineSearch().iterates(problem, None, {"weight": w})).parameters["weight"]
    np.testing.assert_allclose(step, -g * (g @ g) / (g @ H @ g), rtol=1e-12)
    # A gradient of 1e-15 has a square in float32, times a curvature of 1e-30 it has none.
    single = torch.tensor([[1e-15]]), torch.ones(1)
    small = ol.LinearRegression(*single, fit_intercept=False).to("cpu", torch.float32)
    path = ol.ExactLineSearch().iterates(small, None, {"weight": torch.zeros(1)})
    assert next(path).parameters["weight"].item() == 0.0
