"""CGLS, LSQR and steepest descent with exact line search, against numpy and scipy."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import lsqr

import optlab as ol
from optlab.problems.vector import flatten

EPS = np.finfo(np.float64).eps
KRYLOV = pytest.mark.parametrize("method", [ol.CGLS, ol.LSQR])


def iterates(optimizer, problem, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    start = problem.start(generator)
    batches = ol.Batches(problem.X, problem.y, "full", generator)
    return list(islice(optimizer.iterates(problem, batches, start), count))


def points(found):
    return np.array([flatten(iterate.parameters).numpy() for iterate in found])


def system(problem):
    A, b, _ = problem.as_least_squares()
    return A.numpy(), b.numpy()


@pytest.fixture(scope="module")
def ridge():
    """Condition 5, weights, an intercept, a penalty: all that the system has to hold."""
    data = ol.datasets.synthetic(30, 6, condition=5, seed=3)
    weights = np.random.default_rng(0).uniform(0.5, 2, 30)
    return ol.LinearRegression(data.X, data.y, l2=0.01, sample_weight=weights)


def test_lsqr_is_scipys_iteration_by_iteration(ridge):
    A, b = system(ridge)
    x0 = ridge.start(torch.Generator().manual_seed(0))["weight"].numpy()
    for k, point in enumerate(points(iterates(ol.LSQR(), ridge, 8)), start=1):
        x = lsqr(A, b, x0=x0, iter_lim=k, atol=0, btol=0, conlim=0)[0]
        # Eight iterations at condition 5 multiply rounding by some powers of it at most.
        np.testing.assert_allclose(point[:-1], x, rtol=0, atol=1e4 * EPS * np.linalg.norm(x0))


@KRYLOV
def test_as_many_iterations_as_unknowns_solve_a_well_conditioned_system(method, ridge):
    found = iterates(method(), ridge, 7)
    gaps = [ridge.evaluate(iterate.parameters).suboptimality for iterate in found]
    start = ridge.evaluate(ridge.start(torch.Generator().manual_seed(0))).suboptimality
    assert gaps[4] > 1e-12 * start  # one fewer than the unknowns does not
    # Rounding tilts the new direction by eps over the share of the error that is left (Paige 1971),
    # sqrt(gaps[4] / start); 100 for the sums of 30 terms, condition 5 and 6 iterations.
    assert gaps[5] <= (100 * EPS) ** 2 * start * (start / gaps[4])
    assert gaps[6] <= gaps[5]


@KRYLOV
@settings(max_examples=15)
@given(
    exponent=st.floats(0, 6),
    noise=st.sampled_from([0.0, 1.0]),
    l2=st.sampled_from([0.0, 1e-6]),
    seed=st.integers(0, 2**32),
)
def test_ill_conditioned_systems_are_solved_as_by_numpy(method, exponent, noise, l2, seed):
    data = ol.datasets.synthetic(30, 5, condition=10**exponent, noise=noise, seed=seed)
    problem = ol.LinearRegression.from_dataset(data, fit_intercept=False, l2=l2)
    A, b = system(problem)
    best = np.linalg.lstsq(A, b)[0]
    found = points(iterates(method(), problem, 60))[-1]
    # Both methods end as close as a backward stable solver (Bjorck, Elfving and Strakos 1998):
    # eps (k |x| + k^2 |r| / |A|), times the roundings of a product with A and its transpose, and
    # of the 60 iterations' sums; the start's size counts where it is larger than the solution's.
    k, norm = np.linalg.cond(A), np.linalg.norm(A, 2)
    size = max(np.linalg.norm(best), math.sqrt(5) * 3)
    bound = EPS * (k * size + k**2 * np.linalg.norm(b - A @ best) / norm)
    assert np.linalg.norm(found - best) <= (30 + 5 + 60) * bound


@KRYLOV
def test_costs_are_one_product_a_pass_and_one_for_the_start(method, ridge):
    costs = [iterate.cost for iterate in iterates(method(), ridge, 3)]
    assert costs == [(0, 0, 2), (0, 0, 3), (0, 0, 4)]


@pytest.mark.parametrize("method", [ol.CGLS, ol.LSQR, ol.ExactLineSearch])
def test_a_start_at_an_exact_solution_stays(method):
    """All residuals and gradients are exactly 0: no division by them."""
    problem = ol.LinearRegression(np.eye(3), np.zeros(3), fit_intercept=False)
    start = {"weight": torch.zeros(3).double()}
    batches = ol.Batches(problem.X, problem.y, "full", torch.Generator())
    for iterate in islice(method().iterates(problem, batches, start), 3):
        assert iterate.parameters["weight"].tolist() == [0, 0, 0]


def test_exact_line_search_goes_to_the_least_loss_along_the_gradient(ridge):
    H, best = hessian_and_optimum(ridge)
    found = points(iterates(ol.ExactLineSearch(), ridge, 30))
    eigenvalues = np.linalg.eigvalsh(H)
    rate = ((eigenvalues[-1] - eigenvalues[0]) / (eigenvalues[-1] + eigenvalues[0])) ** 2
    for before, after in pairwise(found):
        g = H @ (before - best)
        e = before - best - (g @ g) / (g @ H @ g) * g
        # Gradients of points far from the optimum cancel near it: some 100 eps of their sizes.
        scale = np.linalg.norm(best) + np.linalg.norm(before)
        np.testing.assert_allclose(after - best, e, rtol=0, atol=100 * EPS * scale * 5)
        gap, later = ((before - best) @ g, (after - best) @ H @ (after - best))
        assert later <= rate * gap + 1e-20  # Kantorovich's inequality


def hessian_and_optimum(problem):
    """The Hessian of the weighted squared error and its penalty, and the minimiser, by numpy."""
    A = np.column_stack([problem.X.numpy(), np.ones(len(problem.y))])
    u = np.ones(len(A)) if problem.row_weight is None else problem.row_weight.numpy()
    H = 2 * A.T @ (u[:, None] * A) / len(A)
    H[:-1, :-1] += problem.l2 * np.eye(len(H) - 1)
    return H, np.linalg.solve(H, 2 * A.T @ (u * problem.y.numpy()) / len(A))


def test_exact_line_search_zigzags_on_a_quadratic_as_kantorovichs_worst_case():
    """From x_i = 1 / h_i at the ends of the spectrum the rate is attained at each step."""
    problem = ol.Quadratic([10.0, 1.0], start=(0.1, 1.0))
    start = problem.start(torch.Generator())
    found = islice(ol.ExactLineSearch().iterates(problem, None, start), 10)
    losses = [problem.loss(start).item(), *(problem.loss(i.parameters).item() for i in found)]
    np.testing.assert_allclose(np.divide(losses[1:], losses[:-1]), (9 / 11) ** 2, rtol=1e-12)
