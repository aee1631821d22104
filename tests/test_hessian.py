"""Eigenvalues of a problem's Hessian, for every kind of problem, and the forum's two systems."""

import math

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.problems.hessian import PARAMETERS, hessian
from optlab.problems.vector import flatten, unflatten
from optlab.testing import oracles

RANDOM = np.random.default_rng(1)
X, Y = RANDOM.standard_normal((9, 3)) * [1.0, 3.0, 0.1], RANDOM.standard_normal(9)
LABELS = (RANDOM.random(30) < 0.5).astype(float)
PROBLEMS = {
    "least squares": ol.LinearRegression(X, Y),
    "no intercept": ol.LinearRegression(X, Y, fit_intercept=False),
    "ridge, weights": ol.LinearRegression(X, Y, l2=0.3, sample_weight=np.arange(9.0)),
    "wide": ol.LinearRegression(X.T, Y[:3]),
    "wide ridge": ol.LinearRegression(X.T, Y[:3], l2=0.1),
    "float32": ol.LinearRegression(X.astype(np.float32), Y.astype(np.float32)),
    "logistic": ol.LogisticRegression(RANDOM.standard_normal((30, 2)), LABELS, l2=0.1),
    "quadratic": ol.Quadratic([5.0, 2.0, 0.0]),
    "noisy": ol.NoisyQuadratic([5.0, 2.0], rows=8),
    "rosenbrock": ol.Rosenbrock(),
    "exponential curve": ol.NonlinearLeastSquares.from_dataset(
        ol.datasets.nist_nonlinear("Misra1a")
    ),
    "module": ol.ModuleProblem(torch.nn.Linear(3, 2), torch.nn.MSELoss(), X, X[:, :2]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_eigenvalues_are_those_of_autograds_hessian(name):
    problem = PROBLEMS[name]
    exact = problem.to("cpu", torch.float64)
    reference = problem.reference()
    at = None if reference is None else reference.parameters
    if at is None:
        at = {k: v.double() for k, v in problem.start(torch.Generator().manual_seed(1)).items()}
    found = oracles.modes(problem, at)
    flat = flatten(at).double()
    H = torch.autograd.functional.hessian(lambda w: exact.loss(unflatten(w, at)), flat).numpy()
    scale = np.abs(H).max()
    rebuilt = found.vectors * found.eigenvalues @ found.vectors.T
    np.testing.assert_allclose(rebuilt, H, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(
        found.vectors.T @ found.vectors, np.eye(len(found.eigenvalues)), rtol=0, atol=1e-13
    )
    assert (np.diff(found.eigenvalues) <= 0).all()
    assert found.largest == pytest.approx(np.linalg.eigvalsh(H)[-1], rel=1e-12)
    assert found.quadratic == (name in {*list(PROBLEMS)[:6], "quadratic", "noisy"})
    np.testing.assert_allclose(hessian(exact, at).numpy(), H, rtol=0, atol=1e-12 * scale)
    if found.quadratic:
        w = problem.start(torch.Generator().manual_seed(2))
        gap = found.eigenvalues @ found.coordinates(w) ** 2 / 2
        assert gap == pytest.approx(problem.evaluate(w).suboptimality, rel=1e-9)


def test_zero_eigenvalues_are_zero_and_the_smallest_is_above_them():
    column = np.arange(10.0)[:, None]
    twins = oracles.modes(ol.LinearRegression(np.hstack([column, 3 * column]), column[:, 0] ** 2))
    assert twins.eigenvalues[-1] == 0.0 < twins.smallest == twins.eigenvalues[1]
    assert oracles.modes(ol.Quadratic([2.0, 0.0])).smallest == 2.0
    flat = oracles.modes(ol.LinearRegression([[0.0], [0.0]], [1.0, 2.0], fit_intercept=False))
    assert math.isnan(flat.smallest)
    assert flat.largest == 0.0
    still = ol.LinearRegression([[0.0], [0.0]], [1.0, 2.0], fit_intercept=False)
    assert oracles.stable_rate(still) == math.inf  # where nothing moves, nothing diverges


def test_small_eigenvalues_keep_the_digits_that_a_gram_matrix_loses():
    # Singular values 1 and 1e-9: the Gram matrix would say 0 or 1e-16 for 2e-18 / 4.
    Q = np.array([[1.0, 1], [1, -1], [1, 1], [1, -1]]) / 2
    problem = ol.LinearRegression(Q * [1.0, 1e-9], np.ones(4), fit_intercept=False)
    assert oracles.modes(problem).eigenvalues == pytest.approx([0.5, 0.5e-18], rel=1e-14, abs=0)


def test_the_largest_stable_rates_of_two_questions_asked_in_forums():
    """Descent "explodes", and nobody says from which rate on."""
    A, y = [[-249.69, -4.1511], [-4.1511, -0.20755]], [0.0, 10.0]
    system = ol.LinearRegression(A, y, fit_intercept=False)
    assert f"{oracles.stable_rate(system):.6e}" == "3.206177e-05"
    x = np.arange(-500.0, 501.0)
    line = ol.LinearRegression(x[:, None], 1.8 * x + 32)
    assert f"{oracles.stable_rate(line):.6e}" == "1.197605e-05"
    assert f"{oracles.modes(line).condition:.10g}" == "83500"
    for problem in (system, line):
        for share, status in ((0.99, "finished"), (1.01, "diverged")):
            rate = share * oracles.stable_rate(problem)
            ended = ol.minimize(problem, ol.ManualSGD(rate), epochs=1000, seed=1)
            assert ended.status == status, (problem, share, ended.message)


def network(*layers):
    return ol.ModuleProblem(torch.nn.Sequential(*layers), torch.nn.MSELoss(), X, X[:, :1])


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ol.LinearRegression(X, Y, l1=0.1), "has kinks"),
        (network(torch.nn.Linear(3, 1)), "give the point as parameters="),
        (network(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)), "changes buffers"),
        (ol.LinearRegression(np.ones((1, PARAMETERS)), [1.0]), "more than the 4096"),
    ],
)
def test_a_problem_without_one_hessian_is_refused(problem, words):
    with pytest.raises(ValueError, match=words):
        oracles.modes(problem)
