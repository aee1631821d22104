"""Differences along a line by hand: noise, steps, kinks, orders of remainders, rounding bounds."""

import math

import numpy as np
import pytest
import torch

from optlab.testing.gradients.entry_difference import entry_difference
from optlab.testing.gradients.line import EPS, Line, rounding_noise


def test_noise_is_the_deviation_of_independent_errors():
    alternating = np.array([1.0, -1.0] * 5)  # fourth differences of 16 in size
    assert rounding_noise(alternating) == pytest.approx(16 / math.sqrt(70), rel=1e-15)
    steps = np.arange(9.0)
    assert rounding_noise(steps**3) == 0.0
    assert rounding_noise(steps**4) == pytest.approx(24 / math.sqrt(70), rel=1e-15)
    draw = np.random.default_rng(0).normal(size=4000)
    assert rounding_noise(3 * draw) == pytest.approx(3, rel=0.05)


def test_rounding_is_eight_of_the_larger_of_noise_and_ulps():
    assert Line(lambda t: 3 * t - 2).rounding == 16 * EPS
    assert Line(lambda _: 0.0).rounding == 8 * 2.0**-1074
    noisy = Line(lambda t: float(round(t * 2.0**40) % 2) * 2.0**-30)
    assert noisy.rounding == pytest.approx(8 * 2.0**-30 * 8 / math.sqrt(70), rel=1e-12)
    asked = []
    line = Line(lambda t: asked.append(t) or 1.0)
    assert line.rounding == 8 * EPS
    assert asked[:9] == [k * 2.0**-40 for k in range(9)]


def test_the_difference_of_the_least_bound_is_within_it():
    cubic = Line(lambda t: t + t**3).central_difference()
    assert cubic.value == pytest.approx(1 + cubic.step**2, abs=1e-16)
    assert cubic.step**2 <= cubic.bound <= 5e-16
    # Slopes are 1 + h^2, exact in these steps: a third of two of them is apart by h^2.
    steep = Line(lambda t: t + 1e6 * t**3)
    slope = steep.central_difference()
    bound = 4e6 * slope.step**2 + steep.rounding / slope.step
    assert slope.bound == pytest.approx(bound, rel=0.02)
    for scale in (1.0, 1e3):
        line = Line(lambda t, scale=scale: scale * math.exp(2 * t))
        slope = line.central_difference()
        assert abs(slope.value - 2 * scale) <= slope.bound <= 2e-9 * scale
        # Of truncation 4 h^2 8 / 6 and rounding r / h: the least is at h = (3 r / 32)^(1/3).
        best = (3 * line.rounding / scale / 32) ** (1 / 3)
        assert best / 4 <= slope.step <= 4 * best
        rest = 4 * 4 / 3 * slope.step**2 * scale  # twice the next step's, as it was twice as wide
        assert slope.bound == pytest.approx(rest + line.rounding / slope.step, rel=0.3)
    lost = Line(lambda _: math.nan).central_difference()
    assert math.isnan(lost.value)
    assert lost[1:] == (math.inf, 2.0**-28)
    near = Line(lambda t: 1 / t if abs(t) > 2.0**-10 else t).central_difference()
    assert near.value == 1.0
    assert near.step < 2.0**-11


@pytest.mark.parametrize("seed", range(3))
def test_of_slopes_without_any_order_each_bound_has_its_own_gaps(seed):
    # phi(h) = h s(h), so that the difference of step h is s(h), without rounding.
    steps = [2.0**-k for k in range(4, 29)]
    s = dict(zip(steps, np.random.default_rng(seed).uniform(1, 2, 25).tolist(), strict=True))
    found = Line(lambda t: t * s.get(abs(t), 1.0)).central_difference()
    slopes = list(s.values())
    bounds = {
        4 * max(abs(c - b) / 3, abs(b - a) / 12): (c, h)
        for a, b, c, h in zip(slopes, slopes[1:], slopes[2:], steps[2:], strict=False)
    }
    assert found.bound == pytest.approx(min(bounds), rel=1e-12)
    assert (found.value, found.step) == bounds[min(bounds)]


@pytest.mark.parametrize(
    ("function", "has_kink"),
    [
        (abs, True), (lambda t: max(t, 0.0), True), (math.exp, False), (lambda t: 5 * t, False),
        (lambda t: 1e-3 * abs(t) + math.exp(t), True), (lambda t: t * abs(t), False),
        (lambda t: 100 * t * t, False), (lambda t: 1 + 1e-9 * abs(t), False),
        (lambda t: 1 + 1e-7 * abs(t), True), (lambda t: -abs(t), True),
    ],
)  # fmt: skip
def test_a_kink_is_a_difference_of_slopes_that_no_step_shrinks(function, has_kink):
    assert Line(function).has_kink is has_kink


def test_the_remainder_is_of_second_order_for_the_slope_alone():
    line = Line(math.exp)
    assert line.remainder_order(1.0) == pytest.approx(2.0, abs=0.1)
    assert line.remainder_order(1.001) < 1.2
    assert Line(lambda t: 3 * t).remainder_order(3.0) == math.inf
    assert Line(lambda t: t**3).remainder_order(0.0) == pytest.approx(3.0, abs=0.01)
    assert Line(abs).remainder_order(0.0) == pytest.approx(1.0, abs=1e-9)
    # A kink at h0: beside it the remainder of the slope at 0 is that of the other side.
    kinked = Line(lambda t: max(0.0, t - 2.0**-20) + math.exp(t))
    assert kinked.remainder_order(1.0) > 1.5
    far = Line(lambda t: math.inf if t > 0.01 else math.exp(t))
    assert far.remainder_order(1.0) == pytest.approx(2.0, abs=0.1)


def test_values_are_taken_at_both_sides_of_25_halved_steps():
    asked = []
    line = Line(lambda t: asked.append(t) or t)
    line.central_difference()
    steps = [2.0**-k for k in range(4, 29)]
    pairs = [t for h in steps for t in (h, -h)]
    assert [t for t in asked if abs(t) >= 2.0**-28] == pairs
    assert torch.tensor(asked).isfinite().all()


@pytest.mark.parametrize(
    ("factor", "rows", "cause"),
    [
        (-1.0, 5, "the sign is wrong"), (5.0, 5, "a sum over the 5 rows, not a mean"),
        (2.0, 2, "a sum over the 2 rows, not a mean"), (3.0, 5, "every entry is 3 times what"),
        (1.5, 1, "every entry is 1.5 times what"),
    ],
)  # fmt: skip
def test_a_gradient_that_is_a_multiple_says_of_what(factor, rows, cause):
    right = {"w": torch.tensor([1.0, -2.0, 4.0]).double()}
    bound = {"w": torch.full((3,), 1e-12).double()}
    found = entry_difference({"w": factor * right["w"]}, right, bound, right, rows)
    assert found.cause.startswith(cause)
