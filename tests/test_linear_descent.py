"""Linear recurrences of descent: against torch's own steps, and against what optimizers do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.optimizers.linear_descent import (
    LinearDescent,
    best_descent,
    best_heavy_ball,
    best_nesterov,
    linear_descent,
)
from optlab.testing import oracles

EPS = np.finfo(float).eps
momenta = st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.99])
settings = st.builds(
    LinearDescent,
    st.floats(1e-3, 0.5),
    momenta,
    st.booleans(),
    st.sampled_from([0.0, 0.1, 1.0]),
)


@given(descent=settings)
def test_errors_are_those_of_torch(descent):
    h, start = np.array([3.0, 1.0, 0.01, 0.0]), np.array([1.0, -2.0, 1.0, 1.0])
    w = torch.tensor(start, requires_grad=True)
    sgd = torch.optim.SGD(
        [w],
        lr=descent.learning_rate,
        momentum=descent.momentum,
        nesterov=descent.nesterov and descent.momentum > 0,
        weight_decay=descent.weight_decay,
    )
    errors = descent.errors(h, start, 12)
    for row in errors[1:]:
        sgd.zero_grad()
        (torch.tensor(h) * w**2 / 2).sum().backward()
        sgd.step()
        # Every step rounds numbers of the errors' size a few times; nothing amplifies it by more
        # than the errors themselves can grow.
        scale = np.abs(errors).max()
        np.testing.assert_allclose(w.detach().numpy(), row, rtol=0, atol=1e4 * EPS * scale)


@given(descent=settings, h=st.floats(0.0, 10.0))
def test_roots_solve_the_recurrence_and_their_product_is_what_momentum_leaves(descent, h):
    big, small = descent.roots(h)
    a, m = descent.learning_rate * (h + descent.weight_decay), descent.momentum
    p, q = ((1 + m) * (1 - a), m * (1 - a)) if descent.nesterov else (1 + m - a, m)
    assert abs(big) >= abs(small) * (1 - 1e-7)
    assert abs(big + small - p) <= 1e-7 * (1 + abs(p))  # a double root is known to half the digits
    assert abs(big * small - q) <= 1e-12 * (1 + abs(q))
    assert descent.contraction(h) == pytest.approx(max(abs(np.roots([1, -p, q]))), abs=1e-6)


@given(momentum=momenta, nesterov=st.booleans(), decay=st.sampled_from([0.0, 0.5]))
def test_the_limit_of_stability_is_where_a_mode_begins_to_grow(momentum, nesterov, decay):
    limit = LinearDescent(1.0, momentum, nesterov, decay).stable_rate(4.0)
    for share, grows in ((1 - 1e-9, False), (1 + 1e-9, True)):
        descent = LinearDescent(share * limit, momentum, nesterov, decay)
        assert (descent.contraction(4.0) > 1) == grows
        assert descent.is_stable(4.0) != grows


@pytest.mark.parametrize("momentum", [0.0, 0.2, 0.5, 0.9])
def test_no_rate_on_a_grid_is_better_than_the_best(momentum):
    h = [0.1, 1.0]
    for best in (best_heavy_ball(*h, momentum), best_nesterov(*h, momentum)):
        least = best.contraction(h).max()
        rates = np.geomspace(1e-2, 0.999, 200) * best.stable_rate(1.0)
        assert least <= min(best.at(rate).contraction(h).max() for rate in rates) + 1e-12


def test_the_textbooks_best_rates_and_momenta():
    h = [0.1, 1.0]
    # The textbook's rates, with the momentum that suits them best.
    k = 10.0
    assert best_descent(*h).contraction(h).max() == pytest.approx((k - 1) / (k + 1))
    heavy = best_heavy_ball(*h)
    assert heavy.contraction(h).max() == pytest.approx(
        (math.sqrt(k) - 1) / (math.sqrt(k) + 1), abs=1e-7
    )
    assert best_nesterov(*h).contraction(h).max() == pytest.approx(
        1 - 2 / math.sqrt(3 * k + 1), abs=1e-7
    )
    for best, other in ((heavy, best_heavy_ball), (best_nesterov(*h), best_nesterov)):
        least = best.contraction(h).max()
        for m in np.linspace(0, 0.95, 12):
            assert least <= other(*h, m).contraction(h).max() + 1e-7


def test_half_lives():
    descent = LinearDescent(0.1)
    assert descent.half_life([5.0, 10.0, 1.0, 0.0, 20.0, 25.0]).tolist() == [
        1.0,
        0.0,
        pytest.approx(math.log(2) / -math.log(0.9)),
        math.inf,
        math.inf,
        math.inf,
    ]
    errors = descent.errors([1.0], [1.0], 66)
    life = descent.half_life([1.0])[0]
    assert errors[66, 0] == pytest.approx(0.5 ** (66 / life))
    problem = ol.LinearRegression([[1.0], [-1.0], [1.0], [-1.0]], [1.0, 2.0, 3.0, 4.0])
    epochs = oracles.half_lives(problem, ol.ManualSGD(0.1), batch_size=3)
    assert epochs == pytest.approx(math.log(2) / -math.log(0.8) / 2)  # two steps an epoch


CONSTANT = {
    "manual": ol.ManualSGD(0.05),
    "analytic": ol.AnalyticSGD(0.05),
    "sgd": ol.SGD(0.05),
    "heavy ball": ol.HeavyBall(0.05, momentum=0.8),
    "nesterov": ol.Nesterov(0.05, momentum=0.8),
    "torch": ol.TorchSGD(0.05),
    "torch, momentum": ol.TorchSGD(0.05, momentum=0.7),
    "torch, nesterov, decay": ol.TorchSGD(0.05, 0.7, nesterov=True, weight_decay=0.2),
    "torch by class": ol.TorchOptimizer(torch.optim.SGD, lr=0.05, momentum=0.5, nesterov=True),
    "torch by class, decay": ol.TorchOptimizer(torch.optim.SGD, lr=0.05, weight_decay=0.3),
    "torch by name": ol.optimizers.registry.get("torch-sgd")(learning_rate=0.05),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_an_optimizer_follows_the_recurrence_that_it_says(name):
    optimizer = CONSTANT[name]
    random = np.random.default_rng(3)
    X, y = random.standard_normal((12, 3)), random.standard_normal(12)
    problem = ol.LinearRegression(X, y + 1, l2=0.1, sample_weight=random.uniform(1, 2, 12))
    start = problem.start(torch.Generator().manual_seed(0))
    predicted = oracles.predicted_suboptimality(problem, optimizer, start, 60)
    for epochs in (1, 2, 60):
        measured = ol.minimize(problem, optimizer, epochs=epochs, start=start).suboptimality
        # A step rounds numbers of about 1 to eps; the errors c are of that size or smaller, and the
        # suboptimality is their square.
        assert abs(measured - predicted[epochs]) <= 1e4 * EPS * max(predicted[epochs], 1e-6), name
    if name in {"analytic", "torch, nesterov, decay"}:
        final = ol.minimize(problem, optimizer, epochs=1000, start=start).parameters
        limit = oracles.descent_limit(problem, optimizer, start)
        for key in limit:
            torch.testing.assert_close(final[key], limit[key], rtol=1e-10, atol=1e-10)


def test_methods_without_a_recurrence_say_none():
    rate = ol.schedules.Cosine(0.1, epochs=10)
    sgd = torch.optim.SGD
    for optimizer in (
        ol.Adam(0.1),
        ol.SGD(rate),
        ol.HeavyBall(rate),
        ol.Nesterov(rate),
        ol.CUDAGraph(ol.Adam(0.1)),
        ol.TorchOptimizer(torch.optim.Adam, lr=0.1),
        ol.TorchOptimizer(sgd, lr=0.1, momentum=0.5, dampening=0.5),
        ol.TorchOptimizer(sgd, lr=0.1, maximize=True),
        ol.TorchOptimizer(sgd, lr=0.1, scheduler=_steps),
        ol.Lstsq(),
    ):
        assert linear_descent(optimizer) is None
        with pytest.raises(ValueError, match="no linear recurrence"):
            oracles.stable_rate(ol.Quadratic(), optimizer)
    assert linear_descent(ol.CUDAGraph(ol.HeavyBall(0.1, 0.5))) == LinearDescent(0.1, 0.5)
    fused = ol.FusedSGD(0.1, momentum=0.5, nesterov=True, weight_decay=0.1)
    assert linear_descent(fused) == LinearDescent(0.1, 0.5, nesterov=True, weight_decay=0.1)


def _steps(optimizer):
    return torch.optim.lr_scheduler.StepLR(optimizer, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LinearDescent(0.0), "learning_rate must be positive and finite, not 0.0"),
        (lambda: LinearDescent(0.1, 1.0), "momentum must be at least 0 and less than 1, not 1.0"),
        (lambda: LinearDescent(0.1, weight_decay=-1.0), "weight_decay must be finite"),
        (lambda: LinearDescent(0.1).stable_rate(-1.0), "largest must be finite and at least 0"),
        (lambda: best_descent(2.0, 1.0), "smallest must be at most largest, 1.0, not 2.0"),
        (lambda: best_heavy_ball(0.0, 1.0), "smallest must be positive"),
        (lambda: best_nesterov(1.0, math.inf), "largest must be positive and finite"),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


MODES, BEGIN = (
    np.array([0.0, 0.5, 8.0, 10.0, 12.0, 15.0]),
    np.array([1.0, -2.0, 3.0, 1.0, 2.0, 1.0]),
)


@pytest.mark.parametrize(
    "descent",
    [
        LinearDescent(0.1),
        LinearDescent(0.1, 0.5, weight_decay=1.0),
        LinearDescent(0.1, 0.5, nesterov=True),
    ],
)
def test_errors_at_some_steps_and_by_one_matrix_are_those_one_by_one(descent):
    """Some of the coefficients p are 0 or negative; 12 steps multiply the rounding by below 100."""
    errors, steps = descent.errors(MODES, BEGIN, 12), [0, 1, 2, 3, 7, 12]
    close = {"rtol": 0, "atol": 100 * EPS * np.abs(errors).max()}
    np.testing.assert_allclose(descent.errors_at(MODES, BEGIN, steps), errors[steps], **close)
    M, N = descent.step_parts()
    z = np.stack([BEGIN, np.zeros_like(BEGIN)])
    for row in errors:
        np.testing.assert_allclose(z[0], row, **close)
        z = M @ z + np.outer(N, (MODES + descent.weight_decay) * z[0])


def test_what_a_best_rate_cannot_be_made_of_is_refused():
    for best in (best_descent, best_heavy_ball, best_nesterov):
        with pytest.raises(ValueError, match=r"at most largest, 1\.0, not 2\.0"):
            best(2.0, 1.0)
        with pytest.raises(ValueError, match="smallest must be positive"):
            best(0.0, 1.0)
        with pytest.raises(ValueError, match="largest must be positive"):
            best(1.0, math.inf)
        assert best(2.0, 2.0).contraction([2.0]).max() <= 1e-7  # a double root, to half the digits
