"""The plain rules, and their known mistakes, are the sums that their recurrences stand for."""

import math

import numpy as np
import pytest

from optlab.testing import plain_rules as plain
from optlab.testing.plain_rules import LOOP_MISTAKES, explained

draw = np.random.default_rng(1)
GRADIENTS, POINTS = draw.normal(size=(5, 3)), draw.normal(size=(5, 3))
M, RHO, B1, B2, EPS, DECAY = 0.8, 0.7, 0.6, 0.9, 0.03, 0.05


def geometric(beta, values):
    """``sum_i beta**(t - i) v_i`` over the steps i up to t, or 0 where there are none."""
    return sum((beta ** (len(values) - 1 - i) * v for i, v in enumerate(values)), np.zeros(3))


def mean(beta, values):
    return (1 - beta) * geometric(beta, values)


def adam(g, w, t, *, late=0, first=True, second=True, squares=lambda g: g * g):
    m, v = mean(B1, g), mean(B2, squares(g))
    bias1 = 1 - B1 ** (t + late) if first else 1.0
    bias2 = 1 - B2 ** (t + late) if second else 1.0
    return m, v, bias1, bias2


def adam_step(g, w, t, **kind):
    m, v, bias1, bias2 = adam(g, w, t, **kind)
    with np.errstate(all="ignore"):
        return m / bias1 / (np.sqrt(v / bias2) + EPS) + DECAY * w


def adam_of(formula):
    """Adam's direction where the two moments are put together otherwise."""
    return lambda g, w, t: formula(*adam(g, w, t)) + DECAY * w


def swapped(g, w, t):
    m, v = mean(B2, g) / (1 - B2**t), mean(B1, g * g) / (1 - B1**t)
    return m / (np.sqrt(v) + EPS) + DECAY * w


def coupled(g, w, t):
    g = g + DECAY * POINTS[: len(g)]
    m, v = mean(B1, g) / (1 - B1**t), mean(B2, g * g) / (1 - B2**t)
    return m / (np.sqrt(v) + EPS)


def lion(b1, b2):
    return lambda g, w, t: np.sign(b1 * mean(b2, g[:-1]) + (1 - b1) * g[-1]) + DECAY * w


HEAVY, NESTEROV = (
    lambda g, w, t: geometric(M, g),
    lambda g, w, t: g[-1] + M * geometric(M, g),
)
MOMENTUM = {
    "a dampened gradient, (1 - m) g, in the velocity": lambda g, w, t: mean(M, g),
    "the momentum applied twice": lambda g, w, t: g[-1] + M**2 * geometric(M, g[:-1]),
    "no momentum": lambda g, w, t: g[-1],
}
ADAM = {
    "epsilon inside the root": adam_of(lambda m, v, a, b: m / a / np.sqrt(v / b + EPS)),
    "epsilon beside the root without its bias correction": adam_of(
        lambda m, v, a, b: m / a / ((np.sqrt(v) + EPS) / math.sqrt(b))
    ),
    "no bias correction": lambda g, w, t: adam_step(g, w, t, first=False, second=False),
    "a bias correction of the first moment only": lambda g, w, t: adam_step(g, w, t, second=False),
    "a bias correction of the second moment only": lambda g, w, t: adam_step(g, w, t, first=False),
    "a bias correction off by one step (t + 1)": lambda g, w, t: adam_step(g, w, t, late=1),
    "a bias correction off by one step (t - 1)": lambda g, w, t: adam_step(g, w, t, late=-1),
    "no root of the second moment": adam_of(lambda m, v, a, b: m / a / (v / b + EPS)),
    "a second moment of gradients, not of their squares": (
        lambda g, w, t: adam_step(g, w, t, squares=lambda g: g)
    ),
    "coupled decay": coupled,
    "beta1 and beta2 swapped": swapped,
}
RULES = {
    "SGD(0.1)": (plain.sgd(0.1), lambda g, w, t: g[-1], {}),
    "heavy ball(0.1, momentum=0.8)": (
        plain.momentum(0.1, M), HEAVY, MOMENTUM | {"nesterov in place of heavy ball": NESTEROV},
    ),
    "nesterov(0.1, momentum=0.8)": (
        plain.momentum(0.1, M, nesterov=True), NESTEROV,
        MOMENTUM | {"heavy ball in place of nesterov": HEAVY},
    ),
    "AdaGrad(0.1, epsilon=0.03)": (
        plain.adagrad(0.1, EPS),
        lambda g, w, t: g[-1] / (np.sqrt((g * g).sum(0)) + EPS),
        {
            "epsilon inside the root": lambda g, w, t: g[-1] / np.sqrt((g * g).sum(0) + EPS),
            "no root of the squares": lambda g, w, t: g[-1] / ((g * g).sum(0) + EPS),
        },
    ),
    "RMSprop(0.1, decay=0.7, epsilon=0.03)": (
        plain.rmsprop(0.1, RHO, EPS),
        lambda g, w, t: g[-1] / (np.sqrt(mean(RHO, g * g)) + EPS),
        {
            "epsilon inside the root": lambda g, w, t: g[-1] / np.sqrt(mean(RHO, g * g) + EPS),
            "a bias correction": (
                lambda g, w, t: g[-1] / (np.sqrt(mean(RHO, g * g) / (1 - RHO**t)) + EPS)
            ),
            "the mean square of the step before": (
                lambda g, w, t: g[-1] / (np.sqrt(mean(RHO, (g * g)[: max(t - 1, 1)])) + EPS)
            ),
        },
    ),
    "Adam(0.1, 0.6, 0.9, epsilon=0.03, weight_decay=0.05)": (
        plain.adam(0.1, B1, B2, EPS, weight_decay=DECAY), adam_step, ADAM,
    ),
    "Lion(0.1, 0.6, 0.9, weight_decay=0.05)": (
        plain.lion(0.1, B1, B2, DECAY), lion(B1, B2),
        {
            "the sign of the new momentum": lambda g, w, t: np.sign(mean(B2, g)) + DECAY * w,
            "a gradient mixed with the new momentum": (
                lambda g, w, t: np.sign(B1 * mean(B2, g) + (1 - B1) * g[-1]) + DECAY * w
            ),
            "beta1 and beta2 swapped": lion(B2, B1),
        },
    ),
    "SGD(0.1), weight_decay=0.05": (
        plain.decayed(plain.sgd(0.1), DECAY), lambda g, w, t: g[-1] + DECAY * w, {},
    ),
    "clipped SGD(0.1), max_norm=1": (
        plain.clipped(plain.sgd(0.1), 1.0),
        lambda g, w, t: g[-1] / max(1.0, math.sqrt((g[-1] ** 2).sum())), {},
    ),
}  # fmt: skip


def directions(make):
    direction = make()
    with np.errstate(all="ignore"):
        return [direction(GRADIENTS[t - 1], POINTS[t - 1], t) for t in range(1, 6)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_and_its_mistakes_are_the_sums_of_their_formulas(name):
    rule, right, mistakes = RULES[name]
    assert rule.name == name
    assert dict(rule.mistakes).keys() == mistakes.keys()
    makes = {"": (rule.make, right)} | {
        mistake: (make, mistakes[mistake]) for mistake, make in rule.mistakes
    }
    for mistake, (make, formula) in makes.items():
        with np.errstate(all="ignore"):
            expected = [formula(GRADIENTS[:t], POINTS[t - 1], t) for t in range(1, 6)]
        np.testing.assert_allclose(directions(make), expected, rtol=1e-10, err_msg=mistake)


def test_coupled_decay_is_right_where_it_is_asked_for_and_decoupled_decay_a_mistake():
    rule = plain.adam(0.1, B1, B2, EPS, weight_decay=DECAY, coupled=True)
    expected = [coupled(GRADIENTS[:t], POINTS[t - 1], t) for t in range(1, 6)]
    np.testing.assert_allclose(directions(rule.make), expected, rtol=1e-12)
    mistake = dict(rule.mistakes)["decoupled decay"]
    expected = [adam_step(GRADIENTS[:t], POINTS[t - 1], t) for t in range(1, 6)]
    np.testing.assert_allclose(directions(mistake), expected, rtol=1e-12)


X, Y = draw.normal(size=(2, 3, 1)), draw.normal(size=(2, 3))
EPOCHS = [[(x[:2], y[:2]), (x[2:], y[2:])] for x, y in zip(X, Y, strict=True)]
START, RATE = np.array([0.5, -0.25]), 0.1


def slope(w, rows):
    """The gradient of the mean squared error of weight and bias, row by row."""
    x, y = rows
    gaps = [w[0] * a[0] + w[1] - b for a, b in zip(x, y, strict=True)]
    return 2 * np.array([np.mean([g * a[0] for g, a in zip(gaps, x, strict=True)]), np.mean(gaps)])


def path(*, scale=lambda rows: 1.0, rate=RATE, direction=lambda g, all_: g, bias=0.0):
    w, taken, seen = START, [], []
    for epoch in EPOCHS:
        for rows in epoch:
            taken.append(scale(len(rows[1])) * slope(w, rows))
            w = w - rate * direction(taken[-1], taken)
            w = w * np.array([1.0, 1 - rate * bias])
        seen.append(w)
    return seen


PATHS = {
    "": path(),
    "the sign of the gradient": path(scale=lambda rows: -1),
    "the gradient without its factor 2": path(scale=lambda rows: 0.5),
    "a step twice as long": path(rate=0.2),
    "the gradient's sum in place of its mean": path(scale=lambda rows: rows),
    "the nominal batch size for the short batch": path(scale=lambda rows: rows / 2),
    "the learning rate used twice": path(rate=0.01),
    "gradients that add up (no zero_)": path(direction=lambda g, taken: sum(taken)),
    "the gradient of the step before (stale)": path(
        direction=lambda g, taken: taken[-2] if len(taken) > 1 else g
    ),
    "weight decay of the bias, 0.01": path(bias=0.01),
    "weight decay of the bias, 0.1": path(bias=0.1),
}


@pytest.mark.parametrize("mistake", [None, *LOOP_MISTAKES], ids=lambda m: m and m.name)
def test_a_mistake_of_the_loop_makes_its_steps_and_is_told_by_them(mistake):
    name, rule = mistake.name if mistake else "", plain.sgd(RATE)
    if name == "a state that is made anew in each epoch":
        rule = plain.momentum(RATE, M)
        first, second = EPOCHS
        middle = rule.descend([first], START)[-1]
        expected = [middle, rule.descend([second], middle)[-1]]
    else:
        expected = PATHS[name]
    found = rule.descend(EPOCHS, START, mistake=mistake)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    if mistake:
        assert explained(rule, EPOCHS, START, expected[-1], 1e-9) == name
    off = expected[-1] + np.array([0.0, 1e-6])
    assert explained(rule, EPOCHS, START, off, 1e-9) is None


def test_without_an_intercept_there_is_no_bias_and_a_schedule_is_followed():
    rates = []

    def rate(epoch):
        rates.append(epoch)
        return 0.1 / (1 + epoch)

    found = plain.sgd(rate).descend(EPOCHS, START[:1], intercept=False)
    assert rates == [0.0, 0.5, 1.0, 1.5]
    w = START[0]
    for (x, y), epoch in zip([*EPOCHS[0], *EPOCHS[1]], rates, strict=True):
        w = w - 0.1 / (1 + epoch) * 2 * np.mean(
            [(w * a[0] - b) * a[0] for a, b in zip(x, y, strict=True)]
        )
    np.testing.assert_allclose(found[-1], [w], rtol=1e-12)


def test_settings_that_are_left_out_are_the_usual_ones():
    assert [rule(0.1).name for rule in (plain.adagrad, plain.rmsprop, plain.adam, plain.lion)] == [
        "AdaGrad(0.1, epsilon=1e-10)", "RMSprop(0.1, decay=0.99, epsilon=1e-08)",
        "Adam(0.1, 0.9, 0.999, epsilon=1e-08)", "Lion(0.1, 0.9, 0.99, weight_decay=0)",
    ]  # fmt: skip
