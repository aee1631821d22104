"""Solvers that answer at once: the weighted and penalised minimum, and what they refuse."""

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers import unsupported

CPU, MPS = torch.device("cpu"), torch.device("mps")
X = np.random.default_rng(3).normal([1.0, 0.0], size=(9, 2))
Y = X @ [1.0, -2.0] + 3.0 + np.random.default_rng(4).normal(size=9)
WEIGHT = np.array([1.0, 2, 1, 3, 1, 1, 0.5, 1, 2])

PROBLEMS = {
    "plain": {},
    "weighted": {"sample_weight": WEIGHT},
    "penalised": {"l2": 0.7, "sample_weight": WEIGHT},
    "no intercept": {"fit_intercept": False, "l2": 0.1},
}
SOLVERS = [
    *(ol.Lstsq(driver) for driver in (None, "gels", "gelsy", "gelsd", "gelss")),
    *(ol.RefinedLstsq(route) for route in ("auto", "fast", "full")),
    *(ol.StreamingLstsq(rows, passes) for rows, passes in [(None, 1), (1, 0), (4, 2)]),
    ol.QR(), ol.NormalEquations(), ol.SklearnLinearRegression(), ol.SklearnLinearRegression(1e-9),
]  # fmt: skip


def expected(fit_intercept=True, l2=0.0, sample_weight=None):
    """The mean over rows of weighted squares, and l2 / 2 of the squared weights, at its minimum."""
    u = np.ones(9) if sample_weight is None else sample_weight / sample_weight.mean()
    A = np.column_stack([X, np.ones(9)]) if fit_intercept else X
    penalty = np.diag([l2, l2, 0.0][: A.shape[1]])
    return np.linalg.solve(2 * A.T @ (u[:, None] * A) / 9 + penalty, 2 * A.T @ (u * Y) / 9)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_the_answer_is_that_of_the_normal_equations(solver, name):
    options = PROBLEMS[name]
    problem = ol.LinearRegression(X, Y, **options)
    reason = unsupported(solver, problem, CPU)
    if isinstance(solver, ol.SklearnLinearRegression) and "l2" in options:
        assert reason == "scikit-learn's LinearRegression has no penalty"
        return
    assert reason is None
    start = problem.start(torch.Generator().manual_seed(0))
    batches = ol.Batches(*problem.data[:2], "full", torch.Generator(), weight=problem.data.weight)
    (iterate,) = solver.iterates(problem, batches, start)
    found = np.concatenate([value.numpy().reshape(-1) for value in iterate.parameters.values()])
    # The condition of the equations is below 10: some tens of roundings of numbers up to 4.
    np.testing.assert_allclose(found, expected(**options), rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ol.StreamingLstsq(block_rows=0), "block_rows must be at least 1, not 0"),
        (lambda: ol.StreamingLstsq(refinement_passes=3), "must be 0, 1 or 2, not 3"),
        (lambda: ol.StreamingLstsq(refinement_passes=-1), "must be 0, 1 or 2, not -1"),
        (lambda: ol.RefinedLstsq("slow"), "route must be one of auto, fast, full, not 'slow'"),
        (lambda: ol.SklearnLinearRegression(0.0), "tol must be positive"),
    ],
)
def test_settings_that_are_none_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize("solver", [ol.StreamingLstsq(), ol.RefinedLstsq()], ids=repr)
def test_another_loss_a_kink_and_a_device_without_float64_are_declined(solver):
    name = type(solver).__name__
    squares = ol.LinearRegression(X, Y, l2=0.1)
    for problem in (ol.LinearRegression(X, Y, l1=0.1), ol.HuberRegression(X, Y)):
        said = solver.unsupported(problem, CPU)
        assert said == f"{name} minimises squared error only, without an l1 penalty"
    assert solver.unsupported(squares, MPS) == f"{name} needs float64, which mps has not"
    assert solver.unsupported(squares, CPU) is None


def test_scikit_learn_declines_another_loss_and_device():
    solver, whose = ol.SklearnLinearRegression(), "scikit-learn's LinearRegression"
    huber = ol.HuberRegression(X, Y)
    assert solver.unsupported(huber, CPU) == f"{whose} minimises squared error only"
    lasso = ol.LinearRegression(X, Y, l1=0.1)
    assert solver.unsupported(lasso, CPU) == f"{whose} has no penalty"
    plain = ol.LinearRegression(X, Y)
    assert solver.unsupported(plain, MPS) == f"{whose} computes on the CPU, not on mps"
