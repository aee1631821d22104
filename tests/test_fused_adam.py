"""The compiled loop makes Adam's steps: a derived bound at any setting, the bits where it can."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import optlab as ol
from optlab.problems.vector import flatten
from tests.test_fused import KINDS, Rounding, points, problem_of


class WatchedAdam:
    """AdamW's rule, which keeps what the bound on another run's gap needs."""

    uses_batches = True

    def __init__(self, rule):
        self.rule, self.learning_rate, self.init = rule, rule.learning_rate, rule.init
        self.points, self.least_sum, self.steepest = [], math.inf, 0.0
        self.direction = self.gradient = self.loss_of_roots = 0.0

    def update(self, gradient, state, parameters, t):
        direction, state = self.rule.update(gradient, state, parameters, t)
        root = (state[1].double() / (1 - self.rule.beta2**t)).sqrt()
        self.points.append(parameters.clone())
        self.least_sum = min(self.least_sum, root.min().item() + self.rule.epsilon)
        self.steepest = gradient.double().abs().clamp(min=self.steepest)
        lost = (1.1 * self.steepest).square() / root.clamp(min=1e-150)
        self.loss_of_roots = max(self.loss_of_roots, lost.max().item())
        move = (direction - self.rule.weight_decay * parameters).abs().max().item()
        self.direction = max(self.direction, move)
        self.gradient = max(self.gradient, gradient.abs().max().item())
        return direction, state

    def iterates(self, problem, batches, start):
        return ol.descend(self, problem, batches, start)

    def bounds(self, rounding):
        """The largest gap of another run's points after all steps, and of its last batch loss.

        Points that lie e apart have gradients at most h = L e + their rounding apart, in each
        coordinate. The first moment is a mean of gradients: its gap is at most the largest h. The
        root of the second is a Euclidean norm of gradients with weights that add up to 1, so by the
        triangle inequality its gap too is at most the largest h. Rounding adds to a moment of
        numbers up to G at most (t + 8) eps G after t steps, each run: two roundings of a share and
        one of the sum, which the bias correction has as a mean of t. To a root of the mean of
        squares up to G^2 that adds (t + 8) eps G^2 over the root, G of its own coordinate. A
        quotient m / (r + epsilon) of numbers with
        gaps a and b, and r + epsilon at least s, and s / 2 in the other run, changes by at most
        2 (a + |m / (r + epsilon)| b) / s.
        """
        rule, problem, eps = self.rule, rounding.problem, rounding.eps
        points = torch.stack(self.points).double()
        norm = points.norm(dim=1).max().item()
        reach = rounding.largest * norm + rounding.y.double().abs().max().item() + 1
        slope = rounding.weight * rounding.steep(points) * rounding.largest * reach
        curvature = rounding.curvature(points)
        k, p, g = len(points) + 8, points.shape[1], 1.1 * self.gradient
        roots = 2 * k * eps * self.loss_of_roots
        gap = 0.0
        for _ in points:
            apart = curvature * gap + 2 * rounding.terms * eps * (slope + problem.l2 * norm)
            assume(apart + roots <= self.least_sum / 2)  # else nothing is bounded
            change = apart + 2 * k * eps * g + self.direction * (apart + roots)
            change = 2 * change / self.least_sum + 6 * eps * self.direction
            moved = math.sqrt(p) * change + rule.weight_decay * (gap + 3 * eps * norm)
            gap += rule.learning_rate * moved + 3 * eps * norm
        return gap, slope * gap + 4 * eps * rounding.terms * slope * reach


cases = st.tuples(
    st.sampled_from(KINDS), st.integers(2, 30), st.integers(1, 11), st.integers(1, 35),
    st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([0.4, 0.9, 0.999]),
    st.sampled_from([0.1, 1.0]), st.sampled_from([0.0, 0.1]), st.sampled_from([0.0, 0.2]),
    st.booleans(), st.booleans(), st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 99),
)  # fmt: skip


@given(cases, st.booleans())
def test_a_compiled_run_makes_adams_steps(drawn, fastmath):
    kind, n, d, size, beta1, beta2, epsilon, decay, l2, intercept, weighted, dtype, seed = drawn
    problem = problem_of(kind, n, d, seed, dtype, l2=l2, intercept=intercept, weighted=weighted)
    rounding = Rounding(problem, size, 0.0)
    steps, start = 3 * math.ceil(n / size), flatten(problem.start(torch.Generator()))
    # Small enough that gaps grow by less than e over the run, where directions are below 3.
    rate = epsilon / (8 * steps * math.sqrt(d + 1) * rounding.curvature(start[None].double()))
    options = {"weight_decay": decay, "beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    watched = WatchedAdam(ol.AdamW(rate, **options))
    theirs, their_losses = points(watched, problem, size, 3)
    gap, loss_gap = watched.bounds(rounding)
    moved = (theirs - theirs[0]).abs().max().item()
    assert dtype == torch.float32 or gap < moved / 1000  # else any run would do
    ours, our_losses = points(ol.FusedAdam(rate, **options, fastmath=fastmath), problem, size, 3)
    assert (ours - theirs).abs().max().item() <= gap
    assert np.abs(our_losses - their_losses).max() <= loss_gap


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta1", [0.3, 0.9])
def test_with_one_feature_and_one_row_a_step_the_bits_are_the_formulas(dtype, beta1):
    # Torch's own kernels round a product and a sum once; here each operation is rounded. Torch's
    # square root is MKL's, which on some processors is a last digit off; numpy's is exact.
    rate, beta2, epsilon, decay = 0.01, 0.999, 1e-8, 0.1
    problem = problem_of("squared", 23, 1, 5, dtype)
    generator = torch.Generator().manual_seed(1)
    w = flatten(problem.start(generator))
    batches = ol.Batches(problem.X, problem.y, 1, generator)
    m = v = torch.zeros_like(w)
    expected, t = [w], 0

    def lerp(a, b, share):
        share = torch.tensor(share, dtype=dtype)
        return a + share * (b - a) if share < 0.5 else b - (b - a) * (1 - share)

    for _ in range(5):
        for x, y, _ in next(iter(batches)):
            r, t = x[0, 0] * w[0] + w[1] - y[0], t + 1
            g = torch.stack([x[0, 0] * (r + r), r + r])
            m, v = lerp(m, g, 1 - beta1), lerp(v, g * g, 1 - beta2)
            bias1, bias2 = 1 - beta1**t, 1 - beta2**t
            root = torch.from_numpy(np.sqrt(v.numpy()))
            change = m / (root * (bias1 / math.sqrt(bias2)) + bias1 * epsilon)
            w = w - (change + decay * w) * rate
        expected.append(w)
    ours, _ = points(ol.FusedAdam(rate, beta1, beta2, epsilon, decay), problem, 1, 5)
    assert torch.equal(ours, torch.stack(expected).double())


def test_many_epochs_between_two_looks_are_adams_epochs_one_by_one(tutorial):
    one_by_one, at_once = (
        ol.minimize(tutorial, ol.FusedAdam(0.01), epochs=90, batch_size=3, recorded_epochs=recorded)
        for recorded in (1, [50])
    )
    same = one_by_one.trace.set_index("epoch").loc[at_once.trace["epoch"], "loss"]
    assert at_once.trace["loss"].tolist() == same.tolist()


def test_adam_has_a_loop_on_the_cpu_only_and_needs_numba(tutorial, monkeypatch):
    reason = ol.FusedAdam().unsupported(tutorial, torch.device("cuda"))
    assert reason == "FusedAdam has compiled loops for cpu, not cuda"
    monkeypatch.setattr("optlab.optimizers.fused.compiled_loops.find_spec", lambda _: None)
    reason = ol.FusedAdam().unsupported(tutorial, torch.device("cpu"))
    assert reason == "FusedAdam needs numba on cpu: pip install optlab[fast]"
