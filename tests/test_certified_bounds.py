"""The parts of a certificate by themselves: each bound holds, and is no larger than it must be."""

import math
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.linalg import double_double as dd
from optlab.problems.certified.active_set_newton import Point, minimise
from optlab.problems.certified.curvature_factor import factored, gram_factored
from optlab.problems.certified.growth_bound import growth_bound
from optlab.problems.certified.kinks import Kinks, independent_rows, proven, refined
from optlab.problems.certified.linear_reference import _independent
from optlab.problems.certified.recession import recession
from optlab.problems.certified.ridge_kinks import minimise_ridge_kinks
from optlab.problems.certified.slope_search import FALLING, RISING, step_length
from optlab.problems.certified.suboptimality_bound import newton_bound
from optlab.problems.certified.vertex import minimise_kinks
from optlab.problems.losses.loss import rounded
from tests.many_digits import _Model
from tests.test_linear_models import problem_of, smooth

seeds = st.integers(0, 2**32 - 1)
PENALTIES = [{"l2": 0.1}, {"l1": 0.05}, {"l1": 0.05, "l2": 0.1, "fit_intercept": False}]


def exact_objective(problem, theta):
    with mp.workdps(50):
        return _Model(problem).objective([mp.mpf(v) for v in theta.reshape(-1).tolist()])


def near_optimum(problem, size, seed=1):
    """A point off the minimiser, with its active entries, and its suboptimality in 50 digits.

    Other tests compare the minimiser with mpmath's; its own error has no first-order effect.
    """
    objective = problem.objective
    allowed = _independent(objective).allowed
    best = flat_minimiser(problem)
    if objective.loss.outputs:  # one class's parameters without penalty stay at zero
        best = best.reshape(objective.shape)
        left = (~allowed).reshape(best.shape)
        best = torch.where(left, 0.0, best - (best * left).sum(1, keepdim=True)).reshape(-1)
    l1 = objective.per_entry(objective.l1)
    active = allowed & ((best != 0) | (l1 == 0))
    draw = torch.randn(len(best), generator=torch.Generator().manual_seed(seed)).double()
    draw = torch.where(l1 > 0, best.abs() / 3 * draw.clamp(-2, 2), draw)  # no sign changes
    theta = (best + torch.where(active, size * draw, 0.0)).reshape(objective.shape)
    point = Point((theta, 0 * theta), active, torch.where(l1 > 0, best.sign(), 0.0))
    least = exact_objective(problem, best)
    return point, allowed, float(exact_objective(problem, theta) - least)


def flat_minimiser(problem):
    found = problem.reference().parameters
    rows = found["weight"].reshape(problem.X.shape[1], -1)
    if problem.fit_intercept:
        rows = torch.cat([found["bias"].reshape(1, -1), rows])
    return rows.reshape(-1)


def hessian(objective, point):
    """The second derivatives of the smooth part in the active entries, by autograd."""

    def smooth(free):
        theta = torch.zeros(point.active.numel()).double().index_put((point.free,), free)
        theta = theta.reshape(objective.shape)
        rows = objective.loss.value(objective.design @ theta, objective.y)
        l2 = objective.l2.reshape(-1, *[1] * len(objective.loss.outputs))
        return (objective.share * rows).sum() + (l2 / 2 * theta * theta).sum()

    return torch.autograd.functional.hessian(smooth, point.theta[0].reshape(-1)[point.free])


@smooth
@pytest.mark.parametrize("options", PENALTIES, ids="+".join)
def test_newtons_bound_is_the_suboptimality_and_the_reach_of_its_ellipsoid(cls, options):
    """Near the minimum the decrement is the suboptimality; an entry errs by (2 bound / H)**.5."""
    problem = problem_of(cls, 5, rows=12, sample_weight=1 + np.arange(12) % 3, **options)
    for size, slack in ((1e-3, 0.06), (1e-6, 1e-4)):
        point, allowed, right = near_optimum(problem, size)
        bound = newton_bound(problem.objective, point, allowed)
        assert (1 - 1e-9) * right <= bound.value <= (1 + slack) * right
        inverse = torch.linalg.inv(hessian(problem.objective, point))
        widths = (2 * bound.value * inverse.diagonal()).sqrt()
        torch.testing.assert_close(bound.errors[point.free], widths, rtol=2 * slack, atol=0)
        assert not bound.errors[~point.active].any()
        assert bound.is_strict


def test_an_entry_left_out_adds_the_excess_of_its_slope_over_l1():
    problem = problem_of(ol.HuberRegression, 5, rows=20, l1=0.05, l2=0.1)
    objective, reference = problem.objective, problem.reference()
    left = 1 + int(reference.parameters["weight"].abs().argmax())
    everything = torch.ones(4, dtype=torch.bool)
    allowed = torch.arange(4) != left
    point = minimise(objective, allowed, torch.zeros(4).double())
    found = newton_bound(objective, point, everything)
    theta = point.theta[0]
    at = {"bias": theta[0], "weight": theta[1:]}
    excess = problem.smooth_gradient(at)["weight"][left - 1].abs().item() / 0.05 - 1
    assert excess > 0
    value = problem.loss(at).item()
    assert found.value == pytest.approx(min(excess, 1.0) * value, rel=1e-12)
    assert not found.is_strict
    assert value - reference.loss <= found.value
    assert newton_bound(objective, point, allowed).is_strict


@pytest.mark.parametrize("options", [{}, {"l2": 0.1}, {"l1": 0.1}, {"l1": 0.1, "l2": 0.1}])
def test_a_bound_by_growth_is_the_gradient_times_the_distance_of_better_points(options):
    """By hand, for rows of equal shares: without a penalty the distance is 2 (F + b) / a."""
    problem = problem_of(ol.HuberRegression, 3, rows=12, delta=0.5, **options)
    objective, n = problem.objective, 12
    point, allowed, right = near_optimum(problem, 1e-4)
    bound = growth_bound(objective, point, allowed)
    theta = point.theta[0]
    at = {"bias": theta[0], "weight": theta[1:]}
    value = problem.loss(at).item()
    slopes = problem.smooth_gradient(at)
    G = torch.cat([slopes["bias"].reshape(1), slopes["weight"]]) + objective.l1 * point.sign
    G = torch.where(point.active, G, 0.0)
    apart = 2 * (value + 0.5**2 / 2) / 0.5
    X = objective.design
    if not options:
        product = float((G @ torch.linalg.inv(X.T @ X / n) @ G).sqrt()) * apart * n**0.5
    else:
        l1, l2 = options.get("l1", 0.0), options.get("l2", 0.0)
        by_l1 = 2 * value / l1 if l1 else math.inf
        by_l2 = 2 * math.sqrt(2 * value / l2) if l2 else math.inf
        rows, weights = X[:, 1:], G[1:]
        moved = min(by_l1 * rows.abs().max(), by_l2 * rows.norm(dim=1).max())
        product = min(by_l1 * weights.abs().max(), by_l2 * weights.norm())
        product = float(product + G[0].abs() * (apart + moved))
    assert bound.value == pytest.approx(min(value, product), rel=1e-9)
    assert right <= bound.value < value / 10
    assert bound.errors.isinf().all()
    assert not bound.is_strict
    no_growth = replace(objective, loss=ol.LogisticRegression(X[:, 1:], [0, 1] * 6).loss_function)
    eta = no_growth.predictions(point.theta)
    value = no_growth.value(point.theta, eta)
    assert value <= growth_bound(no_growth, point, allowed).value <= value * (1 + 1e-12)


@smooth
@settings(max_examples=8)
@given(seeds)
def test_the_rounding_of_an_objective_is_within_its_bound(cls, seed):
    draw = np.random.default_rng(seed)
    problem = problem_of(cls, seed, l1=0.3, l2=0.1)
    objective = problem.objective
    theta = torch.from_numpy(draw.normal(size=objective.shape) * 10.0 ** draw.uniform(-3, 0.5))
    pair = (theta, 0 * theta)
    eta = objective.predictions(pair)
    found, bound = objective.value(pair, eta), objective.value_error(pair, eta)
    assert abs(found - float(exact_objective(problem, theta))) <= bound
    size = found + float(objective.loss.slope(eta[0], objective.y).abs().max() * eta[0].abs().max())
    assert bound <= 2.0**-47 * size


@smooth
def test_the_parts_of_an_objective_are_its_derivatives(cls):
    problem = problem_of(cls, 2, rows=12, l2=0.3, sample_weight=1 + np.arange(12) % 3)
    point, _, _ = near_optimum(problem, 0.1)
    objective = problem.objective
    eta, free = objective.predictions(point.theta)[0], point.free
    right = hessian(objective, point)
    torch.testing.assert_close(objective.hessian(eta, free), right)
    rows = objective.root(eta, free)
    torch.testing.assert_close(rows.T @ rows, right)
    bases = torch.randn((2, len(free)), generator=torch.Generator().manual_seed(0)).double()
    moves = [
        torch.zeros(point.active.numel()).double().index_put((free,), one).reshape(objective.shape)
        for one in bases
    ]
    lengths = torch.stack([objective.design @ one for one in moves]).norm(dim=0)
    torch.testing.assert_close(objective.reach(bases, free), lengths)
    factor = objective.factor(eta, free)
    G = bases.T
    solved_for = torch.linalg.solve(right, G)
    for k in range(2):
        torch.testing.assert_close(factor.solve(G[:, k]), solved_for[:, k])
        assert factor.dual(G[:, k]).norm() ** 2 == pytest.approx(float(G[:, k] @ solved_for[:, k]))
    whitening = factor.whitening()
    torch.testing.assert_close(whitening.T @ whitening, torch.linalg.inv(right))
    assert 1 - 1e-10 < factor.floor <= 1


@settings(max_examples=20)
@given(seeds)
def test_a_factors_floor_is_proven_and_near_one_where_columns_are_well_conditioned(seed):
    """The least singular value of A S R^-1 in 40 digits is at least the floor."""
    draw = np.random.default_rng(seed)
    p = int(draw.integers(1, 4))
    A = draw.normal(size=(p + 2, p)) * 2.0 ** draw.integers(-30, 30, p)
    A[:, -1] += draw.choice([0.0, 1.0]) * A[:, 0] * (1 + 1e-6)
    A = torch.from_numpy(A)
    with mp.workdps(40):
        for factor in (factored(A), gram_factored(A.T @ A, len(A))):
            if factor is None:
                continue
            B = mp.matrix((A * factor.scale).tolist()) * mp.matrix(factor.R.tolist()) ** -1
            least = min(mp.svd_r(B, compute_uv=False))
            assert factor.floor <= least
            assert 0.5 < factor.floor <= 1
            assert (factor.scale.log2() == factor.scale.log2().round()).all()


def test_no_factor_of_columns_that_depend_on_each_other():
    x = torch.linspace(1.0, 2.0, 6, dtype=torch.float64)
    dependent = torch.stack([x, x * 2.54, x.square()], 1)
    apart = torch.stack([x, x + 1e-7 * x.square()], 1)
    assert factored(dependent) is None
    assert gram_factored(dependent.T @ dependent, 6) is None
    assert factored(apart) is not None
    assert gram_factored(apart.T @ apart, 6) is None  # its condition is squared
    for useless in (0 * dependent, dependent[:2], math.inf * dependent):
        assert factored(useless) is None
    assert gram_factored(torch.zeros((2, 2)).double(), 6) is None
    assert gram_factored(torch.zeros((0, 0)).double(), 6) is None
    nothing = factored(torch.zeros((3, 0)).double())
    assert nothing.floor == 1.0
    assert nothing.whitening().shape == (0, 0)


@smooth
@settings(max_examples=6)
@given(seeds)
def test_a_step_ends_where_the_slope_is_a_share_of_the_first(cls, seed):
    draw = np.random.default_rng(seed)
    problem = problem_of(cls, seed, l1=0.05, l2=0.1)
    objective = problem.objective
    theta = torch.from_numpy(draw.normal(size=objective.shape))
    flat, l1 = theta.reshape(-1), objective.per_entry(objective.l1)
    free, sign = torch.arange(len(flat)), torch.where(l1 > 0, flat.sign(), 0.0)

    def slopes(at):
        pair = (at.reshape(theta.shape), 0 * theta)
        return objective.gradient(pair, objective.predictions(pair))[0] + l1 * sign

    move = -slopes(flat) * 10.0 ** draw.uniform(-3, 3)
    first = float(slopes(flat) @ move)
    eta = objective.design @ theta
    length = step_length(objective, (theta, 0 * theta), eta, (free, move, sign))
    assert length > 0
    share = float(slopes(flat + length * move) @ move) / -first
    assert FALLING - 1e-9 <= share <= RISING + 1e-9
    uphill = step_length(objective, (theta, 0 * theta), eta, (free, -move, sign))
    assert uphill == 0.0


def kinks_of(draw, n=9, p=2, l2=0.0):
    A, b = torch.from_numpy(draw.normal(size=(n, p))), torch.from_numpy(draw.normal(size=n))
    c = torch.from_numpy(draw.uniform(0.1, 1.0, n))
    low, high = -torch.from_numpy(draw.uniform(0.2, 1.0, n)), torch.full((n,), 0.7).double()
    return Kinks(A, b, (c, 0 * c), low, high, torch.full((p,), l2).double())


def kinked(kinks, theta):
    """The objective in 50 digits."""
    with mp.workdps(50):
        total = mp.mpf(0)
        parts = (kinks.A, kinks.b, kinks.c[0], kinks.low, kinks.high)
        theta = [mp.mpf(t) for t in theta.tolist()]
        for row, b, c, low, high in zip(*(part.tolist() for part in parts), strict=True):
            r = mp.mpf(b) - mp.fdot(map(mp.mpf, row), theta)
            total += c * max(mp.mpf(high) * r, mp.mpf(low) * r)
        return total + mp.fsum(
            mp.mpf(s) / 2 * t * t for s, t in zip(kinks.l2.tolist(), theta, strict=True)
        )


@settings(max_examples=10)
@given(seeds)
def test_a_vertex_is_the_least_of_all_vertices_and_its_bound_is_rounding(seed):
    """The minimum of a piecewise linear function is at a point where p rows are zero."""
    kinks = kinks_of(np.random.default_rng(seed))
    vertex = minimise_kinks(kinks)
    found = kinked(kinks, vertex.theta[0])
    pairs = [(i, j) for i in range(9) for j in range(i)]
    others = [torch.linalg.solve(kinks.A[list(p)], kinks.b[list(p)]) for p in pairs]
    least = min(kinked(kinks, other) for other in others)
    assert abs(found - least) <= 1e-13
    assert vertex.bound <= 1e-24
    assert vertex.is_unique
    low, high = kinks.low - 1e-12, kinks.high + 1e-12
    assert ((low <= vertex.slope[0]) & (vertex.slope[0] <= high)).all()
    pull = kinks.A.T @ (kinks.c[0] * vertex.slope[0])
    assert pull.abs().max() <= 1e-13
    residual = kinks.b - kinks.A @ vertex.theta[0]
    torch.testing.assert_close(vertex.residual[0], residual, rtol=0, atol=1e-13)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_slopes_of_the_minimum_prove_how_far_another_point_is_above_it(l2):
    """With slopes that balance, the terms (max(..) - a r) are the whole difference, without l2."""
    kinks = kinks_of(np.random.default_rng(3), l2=l2)
    vertex = minimise_kinks(kinks._replace(l2=0 * kinks.l2))
    theta = vertex.theta[0] + 0.3
    residual = kinks.b - kinks.A @ theta
    basis = torch.arange(2)
    pairs = ((theta, 0 * theta), (residual, 0 * residual), vertex.slope)
    found = proven(kinks, basis, *pairs)
    above = kinked(kinks, theta)
    if not l2:
        assert found.bound == pytest.approx(float(above - kinked(kinks, vertex.theta[0])), rel=1e-9)
        return
    # Slopes that do not balance the penalty leave its pull, over all points that are no worse.
    gap = float(above) - float((l2 / 2 * theta * theta).sum())
    gap -= float((kinks.c[0] * vertex.slope[0] * residual).sum())
    rows = (kinks.c[0] * torch.minimum(kinks.high, -kinks.low)).sqrt()
    H = (rows[:, None] * kinks.A).T @ (rows[:, None] * kinks.A) + l2 * torch.eye(2).double()
    error = kinks.A.T @ (kinks.c[0] * vertex.slope[0]) - l2 * theta
    value = 1.01 * float(above)
    apart = 2 * value / float(rows.min()) + 2 * math.sqrt(2 * value)
    right = gap + math.sqrt(error @ torch.linalg.solve(H, error)) * apart
    assert found.bound == pytest.approx(min(value, right), rel=1e-9)


def test_slopes_outside_their_range_are_clipped_before_they_prove_anything():
    kinks = kinks_of(np.random.default_rng(3))
    vertex = minimise_kinks(kinks)
    wrong = vertex.slope[0] + torch.where(torch.arange(9) == 0, 5.0, 0.0)
    found = proven(kinks, torch.arange(2), vertex.theta, vertex.residual, (wrong, 0 * wrong))
    assert (found.slope[0] <= kinks.high).all()
    assert found.bound > 1e-3


def test_a_system_is_solved_to_the_digits_of_pairs():
    draw = np.random.default_rng(1)
    B = torch.from_numpy(draw.normal(size=(4, 4)) * 2.0 ** draw.integers(-20, 20, (4, 1)))
    right = torch.from_numpy(draw.normal(size=4))
    high, low = refined(B, (right, 0 * right))
    with mp.workdps(50):
        exact = mp.lu_solve(mp.matrix(B.tolist()), mp.matrix(right.tolist()))
        for k in range(4):
            found = mp.mpf(float(high[k])) + mp.mpf(float(low[k]))
            assert abs(found / exact[k] - 1) <= 1e-27


def test_independent_rows_are_as_many_as_the_rank():
    rows = torch.tensor([[1.0, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0]]).double()
    chosen = independent_rows(rows)
    assert len(chosen) == 2
    assert torch.linalg.matrix_rank(rows[chosen]) == 2
    assert len(independent_rows(rows[:0])) == 0


def test_a_recession_names_the_direction_and_keeps_the_rows_that_it_leaves():
    X = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    weights = [1.0, 1.0, 2.0, 2.0, 2.0]
    for cls in (ol.LogisticRegression, ol.SoftmaxRegression):
        objective = cls(X, [0, 1, 1, 1, 1], sample_weight=weights).objective
        found = recession(objective)
        assert found.rows == 3
        along = objective.design @ found.direction
        along = along if along.ndim == 1 else along[:, 1] - along[:, 0]
        torch.testing.assert_close(along[:2], torch.zeros(2).double(), rtol=0, atol=1e-9)
        assert (along[2:] > 0.4).all()
        zero = (torch.zeros(found.rest.shape).double(),) * 2
        left = found.rest.value(zero, found.rest.predictions(zero))
        assert left == pytest.approx(2 / 8 * math.log(2), rel=1e-14)
        penalised = cls(X, [0, 1, 1, 1, 1], l2=0.1, fit_intercept=False).objective
        assert recession(penalised) is None
    assert recession(ol.HuberRegression(X, X[:, 0]).objective) is None


def test_predictions_of_pairs_keep_the_digits_of_both_parts():
    problem = problem_of(ol.SoftmaxRegression, 1)
    objective = problem.objective
    theta = torch.randn(objective.shape, generator=torch.Generator().manual_seed(0)).double()
    low = 1e-18 * theta
    high, rest = objective.predictions((theta, low))
    plain = objective.design @ theta
    torch.testing.assert_close(high, plain)
    only_low = objective.design @ low
    with_low = dd.pair_add(
        (high, rest), tuple(-part for part in objective.predictions((theta, 0 * low)))
    )
    torch.testing.assert_close(with_low[0] + with_low[1], only_low, rtol=1e-9, atol=0)
    back = objective.transposed((plain, 0 * plain))
    torch.testing.assert_close(back[0], objective.design.T @ plain)


@pytest.mark.parametrize(("l2", "theta"), [(0.1, 1.0), (1.0, 1 / 3)])
def test_a_ridge_median_stays_at_a_row_or_where_the_slopes_balance(l2, theta):
    """Between the rows 0 and 1 the three slopes of 1/3 leave -1/3 + l2 theta, beyond 1 its sum."""
    one = torch.ones(3, dtype=torch.float64)
    rows = torch.tensor([0.0, 1.0, 10.0], dtype=torch.float64)
    kinks = Kinks(one[:, None], rows, (one / 3, 0 * one), -one, one, l2 * one[:1])
    found = minimise_ridge_kinks(kinks)
    assert rounded(found.theta).item() == pytest.approx(theta, rel=1e-15, abs=0)
    assert found.bound <= 1e-15 * float(kinked(kinks, found.theta[0]))


def test_a_median_between_two_rows_leaves_the_unpenalised_parameter_where_it_is():
    """Any level from -1 to 1 has the loss 1; the other column is zero, and so is its parameter."""
    one = torch.ones(2, dtype=torch.float64)
    A = torch.stack([one, 0 * one], 1)
    rows, l2 = torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.0, 1.0]).double()
    found = minimise_ridge_kinks(Kinks(A, rows, (one / 2, 0 * one), -one, one, l2))
    level, other = rounded(found.theta).tolist()
    assert -1 <= level <= 1
    assert other == 0
    assert found.bound <= 1e-15
