"""Losses of a linear model's prediction: derivatives, curvature within a radius, divergence."""

import math

import mpmath as mp
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab.problems.losses.huber import Huber
from optlab.problems.losses.logistic import Logistic
from optlab.problems.losses.loss import rounded
from optlab.problems.losses.poisson import Poisson
from optlab.problems.losses.quantile import Quantile
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared

EPS = 2.0**-52
LOSSES = [Squared(), Logistic(), Softmax(3), Poisson(), Huber(0.75), Quantile(0.3)]
SMOOTH = LOSSES[:-1]
named = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
smooth = pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: type(loss).__name__)
seeds = st.integers(0, 2**32 - 1)


def drawn(loss, seed, rows=7):
    """Predictions and targets of some rows, and a direction."""
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, *loss.outputs)
    eta, along = (3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in "ab")
    y = torch.randint(0, 2 if isinstance(loss, Logistic) else 3, (rows,), generator=generator)
    return eta, y if loss.outputs else y.double(), along


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


UNIT = 2.0**-104  # of a sum of pairs
L, P = math.log1p(math.exp(-2.0)), 1 / (1 + math.exp(2.0))  # log loss at 2 of y = 1, and its slope
ERRORS = [
    # loss, eta, y, slope_error, value_error
    (Squared(), -3.0, 2.0, 4 * UNIT * 5, 2.0**-50 * (25 + 30)),
    (Huber(6.0), -3.0, 2.0, 4 * UNIT * 5, 2.0**-50 * (12.5 + 15)),
    (Huber(1.0), -3.0, 2.0, 0.0, 2.0**-50 * (4.5 + 3)),
    (Logistic(), 2.0, 1.0, 2.0**-50 * P, 2.0**-50 * (L + 2 * P)),
    (Logistic(), -2.0, 0.0, 2.0**-50 * P, 2.0**-50 * (L + 2 * P)),
    (Poisson(), -1.0, 3.0, 2.0**-50 * (math.exp(-1) + 3),
     2.0**-50 * (math.exp(-1) + 6 + 3 * math.log(3))),
    (Poisson(), 2.0, 0.0, 2.0**-50 * math.exp(2), 2.0**-50 * math.exp(2)),
    (Quantile(0.25), -3.0, 2.0, None, 2.0**-50 * (1.25 + 0.75)),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "eta", "y", "slope", "value"), ERRORS, ids=str)
def test_errors_are_units_of_their_terms(loss, eta, y, slope, value):
    eta, y = tensor(eta), tensor(y)
    assert loss.value_error(eta, y).item() == pytest.approx(value, rel=1e-14, abs=0)
    if slope is None:
        return
    assert loss.slope_error(eta, y).item() == pytest.approx(slope, rel=1e-14, abs=0)
    for radius in (0.0, 0.5):
        bent = loss.curvature(eta, y, radius).item()
        right = slope * slope / bent if slope else 0.0
        found = loss.slope_error_squares(eta, y, radius).item()
        assert found == pytest.approx(right, rel=1e-14, abs=0)


def test_curvatures_within_a_radius_by_hand():
    eta, half = tensor(-1.0), tensor(0.5)
    y = tensor(0.0)
    assert Poisson().curvature(eta, y, half).item() == pytest.approx(
        math.exp(-1.5), rel=1e-14, abs=0
    )
    change = Poisson().slope_change(eta, y, half).item()
    assert change == pytest.approx(math.exp(-0.5) - math.exp(-1), rel=1e-14, abs=0)
    right = 1 / (1 + math.exp(1.5)) / (1 + math.exp(-1.5))
    assert Logistic().curvature(eta, y, half).item() == pytest.approx(right, rel=1e-14, abs=0)
    assert Logistic().slope_change(eta, y, half).item() == 0.125
    assert Squared().slope_change(eta, y, half).item() == 1.0
    for delta, bent in ((1.5, 1.0), (1.49, 0.0)):
        assert Huber(delta).curvature(eta, y, half).item() == bent
    assert Huber(1.0).curvature(eta, y).item() == 1.0
    assert Huber(1.0).slope_change(eta, y, half).item() == 0.5


def test_bounds_of_several_outputs_by_hand():
    """Of probabilities 1/2, 1/4 and 1/4; units are 8 + 3, and those of the exponent, log 2."""
    loss, eta, y = Softmax(3), tensor([math.log(2), 0.0, 0.0]), torch.tensor([1])
    unit, p = 2.0**-52, [0.5, 0.25, 0.25]
    assert loss.slope(eta, y)[0].tolist() == pytest.approx([0.5, -0.75, 0.25], rel=1e-14, abs=0)
    value = unit * 11 * (math.log(4) + 0.5 * math.log(2))
    assert loss.value_error(eta, y).item() == pytest.approx(value, rel=1e-14, abs=0)
    own = [11 * unit * 0.5, (11 + math.log(2)) * unit / 4, (11 + math.log(2)) * unit / 4]
    right = [own[0], sum(own), own[2]]
    assert loss.slope_error(eta, y)[0].tolist() == pytest.approx(right, rel=1e-14, abs=0)
    for radius in (0.0, 0.5, tensor(0.5)):
        squares = sum(e * e / q for e, q in zip(right, p, strict=True)) * math.exp(2 * radius)
        found = loss.slope_error_squares(eta, y, radius).item()
        assert found == pytest.approx(float(squares), rel=1e-14, abs=0)
        root = loss.curvature_root(eta, y, radius)[0]
        shrink = math.exp(-2 * radius)
        expected = shrink * (torch.diag(tensor(*p)) - torch.outer(tensor(*p), tensor(*p)))
        torch.testing.assert_close(root.T @ root, expected, rtol=1e-14, atol=1e-16)
    grown = math.expm1(1.0)
    change = loss.slope_change(eta, y, tensor([0.25, 0.5, 0.125]))[0]
    assert change.tolist() == pytest.approx([0.5 * grown, grown, 0.25 * grown], rel=1e-14, abs=0)
    assert loss.mean(eta)[0].tolist() == pytest.approx(p, rel=1e-15, abs=0)
    direction = tensor([1.0, 2.0, -4.0])
    bent = loss.curvature_product(eta, y, direction)[0].tolist()
    assert bent == pytest.approx([0.5, 0.5, -1.0], rel=1e-14, abs=0)  # the mean is 0


def test_classes_that_a_row_cannot_have_count_for_nothing():
    possible = torch.tensor([[True, False, True], [True, True, True]])
    loss, y = Softmax(3, possible), torch.tensor([0, 2])
    eta = tensor([0.0, 9.0, 0.0], [0.0, 0.0, 0.0])
    assert loss.value(eta, y).tolist() == pytest.approx(
        [math.log(2), math.log(3)], rel=1e-15, abs=0
    )
    assert loss.slope(eta, y)[0].tolist() == [-0.5, 0.0, 0.5]
    contrasts = loss.contrasts(y)
    assert contrasts.row.tolist() == [0, 1, 1]
    assert contrasts.direction.tolist() == [[1, 0, -1], [-1, 0, 1], [0, -1, 1]]
    assert not contrasts.held.any()
    assert loss.outputs == (3,)


def test_slopes_of_pairs_keep_low_parts_at_the_threshold():
    low = 2.0**-60
    for eta, *right in ((0.5, 0.5, low), (1.0, 1.0, low), (1.5, 1.0, 0.0), (-1.5, -1.0, 0.0)):
        high, rest = Huber(1.0).slope_pair((tensor(eta), tensor(low)), tensor(0.0))
        assert [high.item(), rest.item()] == right
    high, rest = Squared().slope_pair((tensor(3.0), tensor(low)), tensor(1.0))
    assert (high.item(), rest.item()) == (4.0, 2 * low)
    high, rest = Logistic().slope_pair((tensor(0.0), tensor(low)), tensor(1.0))
    assert (high.item(), rest.item()) == (-0.5, low / 4)


@pytest.mark.parametrize(
    ("eta", "gap", "right"),
    [
        (0.0, 0.5, 0.125),
        (0.0, 3.0, 2.5),
        (3.0, 2.0, 0.0),
        (3.0, -2.5, 0.125),
        (3.0, -5.0, 4.0),
        (-3.0, 5.0, 4.0),
        (-2.0, -1.0, 0.0),
        (0.5, -0.5, 0.125),
    ],
)
def test_hubers_divergence_by_hand(eta, gap, right):
    """Of the threshold 1: l(eta + gap) - l(eta) - slope gap, l = r**2 / 2 or |r| - 1/2."""
    loss, at, y = Huber(1.0), tensor(eta), tensor(0.0)
    found = loss.divergence(at, tensor(gap), y, loss.slope(at, y)).item()
    assert found == pytest.approx(right, abs=1e-15)


def test_a_kinks_divergence_is_what_both_sides_leave():
    """Slopes in the residual of -3/4 and 1/4; the balancing slope in the prediction is 0.125."""
    loss, zero = Quantile(0.25), tensor(0.0, 0.0)
    found = loss.divergence(zero, tensor(2.0, -2.0), zero, tensor(0.125, 0.125))
    assert found.tolist() == [2 * (0.75 - 0.125), 2 * (0.25 + 0.125)]
    assert loss.value(zero, tensor(2.0, -2.0)).tolist() == [0.5, 1.5]
    assert loss.slope(zero, tensor(2.0, -2.0)).tolist() == [-0.25, 0.75]


def test_the_least_upper_bounds_of_curvatures():
    bounds = {Squared: 2.0, Logistic: 0.25, Softmax: 0.5, Huber: 1.0, Poisson: math.inf}
    for loss, steepest in bounds.items():
        assert loss.steepest == steepest
        assert vars(loss)["has_bounds"] is True
    assert vars(Quantile)["has_bounds"] is True
    of_residual = [cls for cls in (*bounds, Quantile) if cls.is_of_residual]
    assert of_residual == [Squared, Huber, Quantile]


@smooth
@settings(max_examples=10)
@given(seeds)
def test_slope_and_curvature_are_autograds(loss, seed):
    eta, y, along = drawn(loss, seed)

    point = eta.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.value(point, y).sum(), point, create_graph=True)
    (bent,) = torch.autograd.grad((slope * along).sum(), point)
    torch.testing.assert_close(loss.slope(eta, y), slope.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(loss.curvature_product(eta, y, along), bent, rtol=1e-11, atol=1e-12)
    roots = loss.curvature_root(eta, y)
    columns = along.reshape(len(y), -1, 1)
    product = (roots.mT @ (roots @ columns)).reshape(along.shape)
    torch.testing.assert_close(product, bent, rtol=1e-11, atol=1e-12)


@smooth
@settings(max_examples=10)
@given(seeds, st.floats(1e-6, 2.0))
def test_curvature_and_slope_within_a_radius_are_bounded_as_claimed(loss, seed, radius):
    eta, y, along = drawn(loss, seed)
    size = torch.full((len(y),), radius, dtype=torch.float64)
    wide = size if eta.ndim == 1 else size[:, None].expand_as(eta)
    roots = loss.curvature_root(eta, y, size)
    columns = along.reshape(len(y), -1, 1)
    least = (roots @ columns).square().sum((1, 2))
    change = loss.slope_change(eta, y, wide)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(5):
        share = 2 * torch.rand(eta.shape, generator=generator, dtype=torch.float64) - 1
        near = eta + radius * share
        bent = loss.curvature_product(near, y, along) * along
        assert ((bent if bent.ndim == 1 else bent.sum(1)) >= least - 1e-12).all()
        assert ((loss.slope(near, y) - loss.slope(eta, y)).abs() <= change + 1e-12).all()


@smooth
@settings(max_examples=10)
@given(seeds)
def test_bounds_within_a_small_radius_are_near_what_they_bound(loss, seed):
    """Curvatures change by a factor of exp(3 radius) at most, but at Huber's threshold."""
    eta, y, along = drawn(loss, seed)
    radius = 1e-3
    size = torch.full((len(y),), radius, dtype=torch.float64)
    wide = size if eta.ndim == 1 else size[:, None].expand_as(eta)
    bent = (loss.curvature_product(eta, y, along) * along).reshape(len(y), -1).sum(1)
    least = (loss.curvature_root(eta, y, size) @ along.reshape(len(y), -1, 1)).square().sum((1, 2))
    far = torch.ones_like(size, dtype=torch.bool)
    if isinstance(loss, Huber):
        far = ((eta - y).abs() - loss.delta).abs() > radius
    assert (least >= 0.997 * bent - 1e-15)[far].all()
    change = loss.slope_change(eta, y, wide)
    if eta.ndim == 2:
        assert (change <= 2.01 * radius).all()
        assert (change.sum(1) <= 4.02 * radius).all()
    elif loss.steepest < math.inf:
        torch.testing.assert_close(change, loss.steepest * wide)
    else:
        assert (change <= 1.01 * (loss.slope(eta + wide, y) - loss.slope(eta, y))).all()


@named
@settings(max_examples=10)
@given(seeds)
def test_rounding_bounds_are_some_units_in_the_last_place(loss, seed):
    eta, y, _ = drawn(loss, seed)
    value, slope = loss.value(eta, y), loss.slope(eta, y)
    scale = (eta.abs() + 1).reshape(len(y), -1).amax(1) * (value.exp() + y.abs() + 1)
    error = loss.value_error(eta, y)
    assert (error >= 2.0**-52 * value.abs()).all()
    assert (error <= 2.0**-46 * scale * (1 + slope.abs().reshape(len(y), -1).amax(1))).all()
    if loss.kink is None:
        squares = loss.slope_error_squares(eta, y, 0.0)
        slope_error = loss.slope_error(eta, y)
        bent = loss.curvature(eta, y) if eta.ndim == 1 else torch.softmax(eta, 1)
        parts = torch.where(slope_error > 0, slope_error**2 / bent, 0.0)
        torch.testing.assert_close(squares, parts.reshape(len(y), -1).sum(1))


def test_a_loss_that_grows_is_at_least_its_line_and_touches_it_beyond_the_threshold():
    loss, eta = Huber(0.75), torch.linspace(-5, 5, 101, dtype=torch.float64)
    y = torch.full_like(eta, 0.5)
    slope, offset = loss.growth
    gap = loss.value(eta, y) - (slope * (y - eta).abs() - offset)
    assert (gap >= -1e-15).all()
    assert gap[(y - eta).abs() > 0.75].abs().max() <= 1e-15
    assert all(other.growth is None for other in LOSSES if not isinstance(other, Huber))


@pytest.mark.parametrize(
    ("size", "steps"), [(0.5, 1), (7.5, 1), (8.5, 2), (63.0, 2), (100.0, 3), (0.0, 1)]
)
def test_thresholds_fall_by_eights_from_the_size_of_the_targets(size, steps):
    for delta in (1.0, 0.25):
        path = list(Huber(delta).path(delta * torch.tensor([size / 2, -size]).double()))
        assert [loss.delta for loss in path] == [delta * 8.0**k for k in reversed(range(steps))]
    assert Huber().delta == 1.35
    assert [*Squared().path(torch.ones(2))] == [Squared()]


def test_contrasts_are_the_directions_in_which_a_rows_loss_falls_for_ever():
    y = torch.tensor([0.0, 1.0, 2.0]).double()
    assert Squared().contrasts(y) is None
    two = Logistic().contrasts(y[:2])
    assert (two.direction.tolist(), two.held.tolist()) == ([-1.0, 1.0], [False, False])
    counts = Poisson().contrasts(y)
    assert (counts.direction.tolist(), counts.held.tolist()) == ([-1.0] * 3, [False, True, True])
    loss = Softmax(3)
    three = loss.contrasts(y.long())
    assert three.row.tolist() == [0, 0, 1, 1, 2, 2]
    assert three.direction[:3].tolist() == [[1, -1, 0], [1, 0, -1], [-1, 1, 0]]
    receding = torch.tensor([True, False, False, False, True, True])
    left, rows = loss.without(receding, y.long())
    assert rows.all()
    eta = torch.tensor([[1.0, 2.0, 3.0]]).double().expand(3, 3)
    e = [math.exp(k) for k in (1, 2, 3)]
    right = [math.log(e[0] + e[2]) - 1, math.log(sum(e)) - 2, 0.0]
    torch.testing.assert_close(left.value(eta, y.long()), torch.tensor(right).double())
    assert left.contrasts(y.long()).row.tolist() == [0, 1, 1]


def exact_divergence(loss, eta, gap, y):
    """The definition, in 60 digits, for a row of one output."""
    with mp.workdps(60):
        a, b, t = mp.mpf(eta), mp.mpf(eta) + mp.mpf(gap), mp.mpf(y)

        def value(z):
            match loss:
                case Squared():
                    return (z - t) ** 2
                case Logistic():
                    return mp.log1p(mp.exp((1 - 2 * t) * z))
                case Poisson():
                    return mp.exp(z) - t * z
                case Huber():
                    r, d = z - t, mp.mpf(loss.delta)
                    return r * r / 2 if abs(r) <= d else d * abs(r) - d * d / 2

        r, d = a - t, mp.mpf(getattr(loss, "delta", 1))
        slope = {
            "Squared": lambda: 2 * r,
            "Logistic": lambda: 1 / (1 + mp.exp(-a)) - t,
            "Poisson": lambda: mp.exp(a) - t,
            "Huber": lambda: r if abs(r) <= d else d * mp.sign(r),
        }[type(loss).__name__]()
        return value(b) - value(a) - slope * (b - a)


@pytest.mark.parametrize("loss", [Squared(), Logistic(), Poisson(), Huber(0.75)],
                         ids=lambda loss: type(loss).__name__)  # fmt: skip
@settings(max_examples=15)
@given(seeds, st.floats(-14, 1))
def test_divergence_has_its_digits_for_gaps_of_any_size(loss, seed, size):
    eta, y, along = drawn(loss, seed, rows=3)
    gap = along * 10.0**size
    found = loss.divergence(eta, gap, y, loss.slope(eta, y))
    for row in range(3):
        right = exact_divergence(loss, eta[row].item(), gap[row].item(), y[row].item())
        # A gap that enters a zone of Huber's by rounding alone changes it by eps of its square.
        nothing = EPS * gap[row].item() ** 2 * 8
        assert abs(found[row].item() - right) <= 1e-11 * abs(right) + nothing


@settings(max_examples=15)
@given(seeds, st.floats(-12, 0), st.integers(2, 5))
def test_divergence_of_several_outputs_has_its_digits(seed, size, outputs):
    """Against the definition in 60 digits: gaps of classes up to 1 apart by up to 2."""
    loss = Softmax(outputs)
    eta, y, along = drawn(loss, seed, rows=3)
    y = y % outputs
    gap = along.sign() - along.sign().mean(1, keepdim=True)
    gap = gap / gap.abs().max().clamp(min=1.0) * 10.0**size
    found = loss.divergence(eta, gap, y, loss.slope(eta, y))
    for row in range(3):
        with mp.workdps(60):
            a, g = ([mp.mpf(v) for v in part[row].tolist()] for part in (eta, gap))
            weights = [mp.exp(v) for v in a]
            mean = mp.fsum(w * v for w, v in zip(weights, g, strict=True)) / mp.fsum(weights)
            ahead = mp.fsum(w * mp.exp(v) for w, v in zip(weights, g, strict=True))
            right = mp.log(ahead / mp.fsum(weights)) - mean
        # Products p (v - p . v) v cancel: each rounds by some eps of the gap's square.
        assert abs(found[row].item() - right) <= 64 * EPS * (right + max(map(abs, g)) ** 2)


@named
@settings(max_examples=10)
@given(seeds)
def test_divergence_is_never_negative_and_is_that_of_the_values(loss, seed):
    eta, y, along = drawn(loss, seed)
    slope = loss.slope(eta, y)
    found = loss.divergence(eta, along, y, slope)
    flat = slope * along if slope.ndim == 1 else (slope * along).sum(1)
    values = loss.value(eta + along, y), loss.value(eta, y)
    assert (found >= 0).all()
    size = sum(value.abs() for value in values) + flat.abs() + 1
    assert ((found - (values[0] - values[1] - flat)).abs() <= 1e-13 * size).all()


@smooth
@settings(max_examples=10)
@given(seeds)
def test_slopes_of_pairs_are_right_within_their_bound(loss, seed):
    """Against the slope in 60 digits; for softmax of one row at a time."""
    eta, y, _ = drawn(loss, seed, rows=3)
    low = eta * 2.0**-55
    found = loss.slope_pair((eta, low), y)
    bound = loss.slope_error(eta, y)
    with mp.workdps(60):
        for row in range(3):
            parts = (part[row].reshape(-1).tolist() for part in (eta, low))
            e = [mp.mpf(a) + mp.mpf(b) for a, b in zip(*parts, strict=True)]
            t = mp.mpf(y[row].item())
            match loss:
                case Squared():
                    right = [2 * (e[0] - t)]
                case Logistic():
                    right = [1 / (1 + mp.exp(-e[0])) - t]
                case Poisson():
                    right = [mp.exp(e[0]) - t]
                case Huber():
                    right = [max(-mp.mpf(loss.delta), min(mp.mpf(loss.delta), e[0] - t))]
                case Softmax():
                    total = mp.fsum(mp.exp(v) for v in e)
                    right = [mp.exp(v) / total - (k == int(t)) for k, v in enumerate(e)]
            pairs = (part[row].reshape(-1).tolist() for part in found)
            for a, b, value, most in zip(
                *pairs, right, bound[row].reshape(-1).tolist(), strict=True
            ):
                assert abs(mp.mpf(a) + mp.mpf(b) - value) <= most


def test_softmax_slopes_of_a_row_add_up_to_zero():
    loss = Softmax(4)
    eta, y, _ = drawn(loss, 5, rows=50)
    high, low = loss.slope_pair((eta, 0 * eta), y)
    for row in range(50):
        assert abs(math.fsum([*high[row].tolist(), *low[row].tolist()])) <= 1e-30


@pytest.mark.parametrize("eta", [800.0, -800.0, 40.0])
def test_far_predictions_have_finite_losses_and_slopes(eta):
    for loss in (Logistic(), Softmax(3)):
        far = torch.full((1, *loss.outputs), eta, dtype=torch.float64)
        if loss.outputs:
            far[:, 1:] = 0.0
        y = torch.zeros(1, dtype=torch.long) if loss.outputs else torch.zeros(1).double()
        assert loss.value(far, y).isfinite().all()
        assert rounded(loss.slope_pair((far, 0 * far), y)).isfinite().all()


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan, math.inf, "1"])
def test_a_threshold_that_is_not_positive_is_refused(delta):
    with pytest.raises(ValueError, match="delta must be positive and finite"):
        Huber(delta)


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.5, 1.5, math.nan, "0.5", True])
def test_a_quantile_outside_0_to_1_is_refused(quantile):
    with pytest.raises(ValueError, match="quantile must be between 0 and 1"):
        Quantile(quantile)
