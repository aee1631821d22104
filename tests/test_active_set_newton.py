"""Newton's method with an active set: which weights join, and which are held at zero on the way."""

import pytest
import torch

import optlab as ol
from optlab.problems.certified import active_set_newton
from optlab.problems.certified.active_set_newton import Point, _joining, _settled, minimise
from optlab.problems.certified.slope_search import step_length

DRAW = torch.Generator().manual_seed(11)
X = torch.randn(30, 6, generator=DRAW).double()
Y = X @ torch.tensor([3.0, -2.0, 1.0, 0.0, 0.0, 0.5]).double() + 0.1
SLOPES = -2 * X.T @ Y / 30  # of the mean square at zero


def lasso(l1, loss=ol.LinearRegression, **options):
    return loss(X, Y, l1=l1, fit_intercept=False, **options).objective


def at_zero(active=()):
    zero = torch.zeros(6).double()
    mask = torch.zeros(6, dtype=torch.bool)
    mask[list(active)] = True
    return Point((zero, zero.clone()), mask, torch.where(mask, 1.0, 0.0).double())


ALL = torch.ones(6, dtype=torch.bool)


def test_entries_join_whose_slope_exceeds_l1_the_largest_first_a_quarter_at_once():
    order = SLOPES.abs().argsort(descending=True)
    sizes = SLOPES.abs()[order]
    assert _joining(lasso(float(sizes[0]) * (1 + 1e-12)), at_zero(), ALL, 1e-15) is None
    found = _joining(lasso(float(sizes[0]) * (1 - 1e-9)), at_zero(), ALL, 1e-15)
    assert found.free.tolist() == [int(order[0])]
    assert found.sign[order[0]] == -SLOPES[order[0]].sign()
    within = lasso(float(sizes[0]) * (1 - 1e-9))  # by less than the tolerance, a share of l1
    assert _joining(within, at_zero(), ALL, 1e-8) is None
    assert _joining(within, at_zero(), ALL, 1e-10) is not None
    many = lasso(float(sizes[5]) / 2)
    first = _joining(many, at_zero(), ALL, 1e-8)
    assert first.free.tolist() == [int(order[0])]  # of none active: one
    four = [k for k in range(6) if k not in {int(order[0]), int(order[1])}]
    second = _joining(many, at_zero(four), ALL, 1e-8)
    assert second.active.all()  # of four active: two
    assert (second.sign[four] == 1).all()
    assert (second.sign[order[:2]] == -SLOPES[order[:2]].sign()).all()
    assert _joining(many, at_zero(range(6)), ALL, 1e-8) is None
    allowed = ALL.clone()
    allowed[order[0]] = False
    assert _joining(many, at_zero(), allowed, 1e-8).free.tolist() == [int(order[1])]


def test_the_errors_of_slopes_count_twice_before_an_entry_joins(monkeypatch):
    l1 = float(SLOPES.abs().max()) - 0.1
    for error, joins in ((0.049, True), (0.051, False)):
        bound = torch.full((6,), error).double()
        monkeypatch.setattr(active_set_newton, "slope_errors", lambda *_, bound=bound: bound)
        assert (_joining(lasso(l1), at_zero(), ALL, 1e-15) is not None) is joins


@pytest.mark.parametrize("seed", range(8))
def test_weights_keep_their_sign_or_are_held_at_zero(seed):
    """From random starts: steps end where the first weight crosses zero, whatever rounds there."""
    draw = torch.Generator().manual_seed(seed)
    start = torch.randn(6, generator=draw).double()
    point = Point((start, torch.zeros_like(start)), ALL.clone(), start.sign())
    objective = lasso(0.3, ol.HuberRegression if seed % 2 else ol.LinearRegression)
    settled = _settled(objective, point, precise=True)
    theta, free = settled.theta[0], settled.active
    assert (theta[free] * start.sign()[free] > 0).all()
    assert (settled.sign[free] == start.sign()[free]).all()
    assert not settled.sign[~free].any()
    assert not theta[~free].any()
    assert not settled.theta[1][~free].any()
    eta = objective.predictions(settled.theta)
    gradient = objective.gradient(settled.theta, eta)[0] + 0.3 * settled.sign
    assert (gradient[free].abs() <= 1e-14).all()


@pytest.mark.parametrize("start", [0.0, 2.0])
def test_the_minimiser_has_no_slope_above_l1_and_is_the_same_from_any_start(start):
    objective = lasso(0.4)
    found = minimise(objective, ALL, torch.full((6,), start).double())
    eta = objective.predictions(found.theta)
    gradient = objective.gradient(found.theta, eta)[0]
    assert found.active.tolist() == [True, True, True, False, False, True]
    on = found.active
    torch.testing.assert_close(gradient[on], -0.4 * found.sign[on], rtol=1e-14, atol=0)
    assert (gradient[~on].abs() < 0.4).all()
    allowed = ALL.clone()
    allowed[0] = False
    held = minimise(objective, allowed, torch.zeros(6).double())
    assert held.theta[0][0] == 0
    assert not held.active[0]


@pytest.mark.parametrize(
    ("share", "length"), [(1.0, 1.0), (0.5, 1.0), (0.4, 2.0), (0.1, 8.0), (2.0, 0.53125), (-1, 0)]
)
def test_a_step_is_as_long_as_it_is_until_its_slope_says_otherwise(share, length):
    """Along a share of Newton's step of a quadratic the slope is linear: -1 + share t of itself."""
    objective = lasso(0.0)
    zero = torch.zeros(6).double()
    newton = torch.linalg.lstsq(X, Y[:, None]).solution[:, 0]
    step = torch.arange(6), share * newton, zero
    assert step_length(objective, (zero, zero), 0 * Y, step) == pytest.approx(length, rel=1e-12)
