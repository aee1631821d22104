"""Newton's method with an active set: which weights join, and which are held at zero on the way."""

import math
from dataclasses import replace

import pytest
import torch

import optlab as ol
from optlab.problems.certified import active_set_newton
from optlab.problems.certified.active_set_newton import (
    Point,
    _direction,
    _joining,
    _settled,
    minimise,
    slope_errors,
)
from optlab.problems.certified.linear_objective import Objective
from optlab.problems.certified.slope_search import step_length
from optlab.problems.losses.huber import Huber
from optlab.problems.losses.logistic import Logistic
from optlab.problems.losses.poisson import Poisson
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared

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
    ("share", "length"),
    [(1.0, 1.0), (0.51, 1.0), (0.49, 2.0), (0.4, 2.0), (0.1, 8.0), (2.0, 0.53125), (-1, 0)],
)
def test_a_step_is_as_long_as_it_is_until_its_slope_says_otherwise(share, length):
    """Along a share of Newton's step of a quadratic the slope is linear: -1 + share t of itself."""
    objective = lasso(0.0)
    zero = torch.zeros(6).double()
    newton = torch.linalg.lstsq(X, Y[:, None]).solution[:, 0]
    step = torch.arange(6), share * newton, zero
    assert step_length(objective, (zero, zero), 0 * Y, step) == pytest.approx(length, rel=1e-12)


def own(design, y, loss, l1=0.0, l2=0.0):
    design, y = (torch.tensor(part, dtype=torch.float64) for part in (design, y))
    share = torch.full_like(y, 1 / len(y))
    l1, l2 = (torch.full((design.shape[1],), s).double() for s in (l1, l2))
    return Objective(design, y, share, 0 * share, loss, l1, l2)


def settled_from(objective, start, monkeypatch, *, precise):
    """Settle from a start with all entries active; return the point and where it was on the way."""
    visited = []
    plain = active_set_newton._direction

    def seen(objective, eta, free, gradient):
        visited.append(eta[0].item())
        return plain(objective, eta, free, gradient)

    monkeypatch.setattr(active_set_newton, "_direction", seen)
    start = torch.tensor(start).double()
    point = Point((start, 0 * start), torch.ones(len(start), dtype=torch.bool), 0 * start)
    return _settled(objective, point, precise=precise), visited


@pytest.mark.parametrize(("precise", "end"), [(False, 1e-10), (True, 1e-20)])
def test_newtons_steps_end_where_the_decrement_is_a_share_of_the_loss(precise, end, monkeypatch):
    """Of counts 1 and 5 the mean loss is exp(w) - 3 w + (5 log 5) / 2 - 3, least at log 3.

    From 1 all steps are whole. A rough search ends at the first decrement below its share; a
    precise one goes on from there, once more, as long as decrements halve.
    """
    objective = own([[1.0], [1.0]], [1.0, 5.0], Poisson())
    point, visited = settled_from(objective, [1.0], monkeypatch, precise=precise)
    w, right, last = 1.0, [], math.inf
    while True:
        right.append(w)
        value = math.exp(w) - 3 * w + 5 * math.log(5) / 2 - 3
        decrement = abs(math.exp(w) - 3) / math.exp(w / 2)
        if decrement**2 <= end * value and (not precise or decrement > last / 2 or not decrement):
            break
        w, last = w - 1 + 3 * math.exp(-w), decrement
        if len(right) > 3 and precise:
            break
    assert visited[: len(right)] == pytest.approx(right, rel=1e-12)
    assert len(visited) == len(right) if not precise else len(visited) <= 7
    # An ulp of exp at 3, over 3, and the rounding of the parameter: 2e-16 each.
    assert abs(point.theta[0].item() - math.log(3)) <= (5e-16 if precise else 1e-5)


def test_an_infimum_of_zero_that_is_not_attained_ends_the_steps(monkeypatch):
    """Of separable classes the loss log(1 + exp(-w)) falls by e a step: to 1e-25 of log 2."""
    objective = own([[1.0], [-1.0]], [1.0, 0.0], Logistic())
    point, visited = settled_from(objective, [0.0], monkeypatch, precise=True)
    share = math.log1p(math.exp(-point.theta[0].item())) / math.log(2)
    assert 1e-27 < share <= 1e-25
    assert visited[-1] == point.theta[0].item()
    assert len(visited) < 70


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_entries_that_start_against_their_sign_leave_and_the_others_go_on(side):
    objective, start = lasso(0.1), at_zero(range(6))
    found = _settled(objective, start._replace(sign=side * start.sign), precise=True)
    assert 0 < found.active.sum() < 6
    assert (side * found.theta[0][found.active] > 0).all()
    assert not found.theta[0][~found.active].any()
    eta = objective.predictions(found.theta)
    gradient = objective.gradient(found.theta, eta)[0] + 0.1 * side
    assert (gradient[found.active].abs() <= 1e-14).all()


def test_where_no_row_is_bent_the_step_is_damped_by_a_share_of_unit_curvature():
    """Residuals beyond Huber's threshold: the product of the rows is 2 and 8 times 1e-8."""
    objective = own([[2.0, 0.0], [0.0, 4.0]], [9.0, 9.0], Huber(1.0))
    gradient = torch.tensor([3.0, -5.0]).double()
    eta, free = torch.zeros(2).double(), torch.arange(2)
    move, decrement, is_flat = _direction(objective, eta, free, gradient)
    torch.testing.assert_close(move, torch.tensor([-1.5e8, 0.625e8]).double(), rtol=1e-9, atol=0)
    assert (decrement, is_flat) == (math.inf, False)


def test_where_one_row_is_bent_the_step_is_damped_by_a_share_of_its_mean_curvature():
    """Of the products 2 and 8, the first is there: a mean of 1/5. Damping adds 1e-8 of that."""
    objective = own([[2.0, 0.0], [0.0, 4.0]], [0.0, 9.0], Huber(1.0))
    gradient = torch.tensor([3.0, -5.0]).double()
    eta, free = torch.zeros(2).double(), torch.arange(2)
    move, decrement, is_flat = _direction(objective, eta, free, gradient)
    right = torch.tensor([-1.5, 5 / (8 * 1e-8 / 5)]).double()
    torch.testing.assert_close(move, right, rtol=1e-8, atol=0)
    assert (decrement, is_flat) == (math.inf, False)


def test_each_share_of_damping_is_tried_in_turn(monkeypatch):
    objective = own([[2.0, 0.0], [0.0, 4.0]], [9.0, 9.0], Huber(1.0))
    tried = []
    monkeypatch.setattr(active_set_newton, "factored", tried.append)
    _direction(objective, torch.zeros(2).double(), torch.arange(2), torch.ones(2).double())
    assert [float(A.square().sum()) for A in tried] == pytest.approx([1e-7, 1e-3, 10.0], rel=1e-12)


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_along_columns_that_depend_the_step_is_their_null_direction_downhill(slope):
    """Columns x and 2 x, of norms 2 and 4: the unit null vector of the scaled ones, unscaled."""
    objective = own([[2.0, 4.0], [2.0, 4.0]], [1.0, 1.0], Squared())
    gradient = torch.tensor([slope, 0.0]).double()
    eta, free = torch.zeros(2).double(), torch.arange(2)
    move, decrement, is_flat = _direction(objective, eta, free, gradient)
    right = -slope * torch.tensor([0.5, -0.25]).double() / math.sqrt(2)
    torch.testing.assert_close(move, right, rtol=1e-12, atol=0)
    assert (decrement, is_flat) == (math.inf, True)


def test_newtons_step_and_its_decrement():
    """Of half the product 2 (2, 8): a gradient of 4 and 8 has the decrement of 16/4 + 64/16."""
    objective = own([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0], Squared())
    gradient, eta = torch.tensor([4.0, 8.0]).double(), torch.zeros(2).double()
    move, decrement, is_flat = _direction(objective, eta, torch.arange(2), gradient)
    torch.testing.assert_close(move, torch.tensor([-1.0, -0.5]).double(), rtol=1e-14, atol=0)
    assert decrement == pytest.approx(math.sqrt(8), rel=1e-14, abs=0)
    assert not is_flat


def test_errors_of_slopes_are_summed_over_rows_by_their_shares():
    """Of least squares: 4 units of 2**-104 of the prediction and the target."""
    objective = own([[2.0, -1.0], [0.0, 4.0]], [3.0, -1.0], Squared())
    eta, unit = torch.tensor([1.0, -2.0]).double(), 4 * 2.0**-104
    assert slope_errors(objective, eta).tolist() == [unit * 4, unit * 8]
    more = torch.tensor([1.0, 3.0]).double()
    assert slope_errors(objective, eta, more).tolist() == [1.0, 0.5 + 6.0]
    two = own([[2.0], [4.0]], [0.0, 1.0], Softmax(2))
    two = replace(two, y=two.y.long(), share=torch.tensor([0.25, 0.75]).double())
    zero = torch.zeros((2, 2)).double()  # 8 + 2 units of each probability of 1/2, twice at y
    assert slope_errors(two, zero).tolist() == [40 * 2.0**-53, 65 * 2.0**-53]


def test_a_search_begins_with_what_has_no_penalty_or_is_not_zero_and_ends_at_a_tie(monkeypatch):
    """A set of entries that comes back: once precisely, and once more to see it come back."""
    objective = own([[1.0, 1.0, 1.0, 1.0]], [1.0], Squared(), l1=0.5)
    objective.l1[0] = 0.0
    steps, start = [], torch.tensor([5.0, 2.0, 0.0, -3.0]).double()

    def settle(objective, point, precise):
        steps.append("precise" if precise else "rough")
        return point

    def join(objective, point, allowed, tolerance):
        steps.append(tolerance)
        return point

    monkeypatch.setattr(active_set_newton, "_settled", settle)
    monkeypatch.setattr(active_set_newton, "_joining", join)
    allowed = torch.tensor([True, True, True, False])
    point = minimise(objective, allowed, start)
    assert steps == ["rough", 1e-8, "rough", "precise", 1e-15, "rough", "precise"]
    assert point.active.tolist() == [True, True, False, False]
    assert point.sign.tolist() == [0.0, 1.0, 0.0, -1.0]
    assert point.theta[0].tolist() == start.tolist()
    assert not point.theta[1].any()
    steps.clear()
    monkeypatch.setattr(active_set_newton, "_joining", lambda *given: steps.append(given[3]))
    minimise(objective, allowed, start)
    assert steps == ["rough", 1e-8, "precise", 1e-15]


@pytest.mark.parametrize(("share", "length"), [(1.0, 1.0), (0.4, 2.0), (0.1, 8.0), (2.0, 0.53125)])
def test_a_penalty_is_part_of_the_slope_along_a_step(share, length):
    """Of (w - 3)**2 + w**2 + |w| the slope at 5 is 4 + 10 + 1 of curvature 4; of l1 alone 4 + 1."""
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    for l2, newton in ((2.0, -15 / 4), (0.0, -5 / 2)):
        objective = own([[1.0]], [3.0], Squared(), l1=1.0, l2=l2)
        step = torch.arange(1), share * newton * one, one
        assert step_length(objective, (5 * one, zero), 5 * one, step) == length
        uphill = torch.arange(1), -share * newton * one, one
        assert step_length(objective, (5 * one, zero), 5 * one, uphill) == 0.0
    lost = step_length(objective, (5 * one, zero), math.nan * one, step)
    assert lost == 0.0


@pytest.mark.parametrize("size", [0.1, 1.0, 8.0, 60.0])
def test_a_step_of_two_classes_is_as_long_as_that_of_their_difference(size):
    y, zero = [0.0, 1.0, 1.0], torch.zeros((1, 2)).double()
    two, one = own([[1.0]] * 3, y, Softmax(2)), own([[1.0]] * 3, y, Logistic())
    two = replace(two, y=two.y.long())
    move = size * torch.tensor([-0.25, 0.75]).double()
    found = step_length(two, (zero, zero), two.design @ zero, (torch.arange(2), move, 0 * move))
    zero, move = zero[0, :1], size * torch.ones(1).double()
    right = step_length(one, (zero, zero), one.design @ zero, (torch.arange(1), move, 0 * move))
    assert found == right > 0
