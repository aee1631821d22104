"""Compiled loops make the steps of torch's, in any order of sums, at any setting."""

import math
from importlib import import_module
from itertools import islice

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.optimizers.fused import dataloader_order, joint_runs
from optlab.optimizers.fused.cached_njit import cached_njit
from optlab.optimizers.fused.fused_run import FusedRun
from optlab.optimizers.fused.linear_loss import LinearLoss
from optlab.problems.losses.huber import HuberRegression
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression
from optlab.problems.vector import flatten

KINDS = ("squared", "huber", "logistic", "poisson")


@pytest.fixture(scope="module")
def triton_descent():
    """Triton's loops, run by its interpreter on the CPU."""
    pytest.importorskip("triton")
    if torch.cuda.is_available():
        pytest.skip("on this machine the kernels are run as they are: see test_cuda.py")
    loops = import_module("optlab.optimizers.fused.triton_descent")
    interpreter = import_module("triton.runtime.interpreter")
    call, seen = interpreter.InterpretedFunction.__call__, set()

    def call_once_patched(function, *arguments, **options):
        # Each call of a function within a kernel replaces all of the language anew, in half of the
        # time; the first one replaces it for good, and each kernel what it takes back at its end.
        if function.fn not in seen:
            seen.add(function.fn)
            return call(function, *arguments, **options)
        return function.rewrite()(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter.InterpretedFunction, "__call__", call_once_patched)
        yield loops


def problem_of(kind, n, d, seed, dtype=torch.float64, *, l2=0.0, intercept=True, weighted=False):
    draw = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=draw, dtype=torch.float64).to(dtype)
    z = X.double().mean(1) + torch.randn(n, generator=draw, dtype=torch.float64)
    options = {"l2": l2, "fit_intercept": intercept, "name": kind}
    options["sample_weight"] = torch.arange(1.0, n + 1) if weighted else None
    if kind == "squared":
        return ol.LinearRegression(X, z.to(dtype), **options)
    if kind == "huber":
        return HuberRegression(X, z.to(dtype), delta=0.7, **options)
    if kind == "logistic":
        z[:2] = torch.tensor([-1.0, 1.0])  # both classes, always
        return LogisticRegression(X, (z > 0).to(dtype), **options)
    return PoissonRegression(X, z.exp().floor().to(dtype), **options)


def points(optimizer, problem, size, epochs, seed=1):
    """The flat parameters after each epoch, the start first, and the last mini-batch losses."""
    generator = torch.Generator().manual_seed(seed)
    start = problem.start(generator)
    batches = ol.Batches(*problem.data[:2], size, generator, weight=problem.data.weight)
    found, losses = [flatten(start).clone()], []
    for iterate in islice(optimizer.iterates(problem, batches, start), epochs):
        found.append(flatten(iterate.parameters).detach().clone())
        losses.append(float(iterate.batch_loss))
    return torch.stack(found).double(), np.array(losses)


class Watched:
    """A problem that keeps every point at which its loss is asked: each step's of `TorchSGD`."""

    def __init__(self, problem):
        self.problem, self.points = problem, []

    def __getattr__(self, name):
        return getattr(self.problem, name)

    def loss(self, parameters, batch=None):
        self.points.append(flatten(parameters).detach().clone())
        return self.problem.loss(parameters, batch)


class Rounding:
    """Bounds on the gap of two runs that add in different orders, and a rate that keeps it small.

    A row's slope is at most ``steep`` (|x| |w| + |y| + 1): 2, or exp at the largest prediction that
    was seen. With all dot products of d + 1 numbers and means of B, a gradient is right to
    (d + B + 8) eps of |x| times that, and a step rounds the point once more.

    A step of convex descent at a rate below 2 / L moves two points no further apart. With momentum
    the gap e and that of the last moves, u, follow e + m u and m u + a e, a = rate L: Nesterov's
    (I - (1 + m) rate H) e - m^2 u is no larger.
    """

    def __init__(self, problem, size, decay):
        self.problem, self.decay = problem, decay
        X, self.y, weight = problem.data
        self.X = X.double()
        self.largest = (self.X.square().sum(1).max() + 1).sqrt().item()
        self.weight = 1.0 if weight is None else weight.max().item()
        n, d = X.shape
        self.terms = d + (n if size == "full" else min(size, n)) + 8
        self.eps = torch.finfo(X.dtype).eps

    def rate(self, start):
        """A tenth of the inverse of the largest curvature at the start."""
        return 0.1 / self.curvature(start[None])

    def steep(self, points):
        if self.problem.name != "poisson":
            return 2.0
        d = self.X.shape[1]
        bias = points[:, d:] if self.problem.fit_intercept else 0.0
        # A tenth more for what lies between the two runs; y, as that is where descent leads to.
        largest = (points[:, :d] @ self.X.T + bias).max().exp().item()
        return max(2.0, 1.1 * largest, self.y.max().item())

    def curvature(self, points):
        return self.weight * self.steep(points) * self.largest**2 + self.problem.l2 + self.decay

    def bounds(self, points, rate, momentum):
        """The largest gap of the points after all steps, and of the last mini-batch's loss."""
        a, norm = rate * self.curvature(points), points.norm(dim=1).max().item()
        assert (1 + momentum) * a <= 2
        reach = self.largest * norm + self.y.double().abs().max().item() + 1
        slope, last = (
            self.weight * self.steep(at) * self.largest * reach for at in (points, points[-1:])
        )
        lost = 2 * self.eps * (self.terms * rate / (1 - momentum) * slope + norm)
        e = u = 0.0
        for _ in points:
            e, u = e + momentum * u + lost, momentum * u + a * e + lost
        return e, last * e + 2 * self.eps * self.terms * last * reach


def runs(problem, size, epochs, momentum, ahead, decay):
    """TorchSGD's points and losses, the options of its run, and the bounds on another's gaps."""
    rounding = Rounding(problem, size, decay)
    rate = rounding.rate(flatten(problem.start(torch.Generator().manual_seed(1))).double())
    watched = Watched(problem)
    theirs, losses = points(ol.TorchSGD(rate, momentum, ahead, decay), watched, size, epochs)
    gap, loss_gap = rounding.bounds(torch.stack(watched.points).double(), rate, momentum)
    assert gap < (theirs - theirs[0]).abs().max().item() / 10  # else any run would do
    return theirs, losses, rate, gap, loss_gap


cases = st.tuples(
    st.sampled_from(KINDS), st.integers(2, 30), st.integers(1, 11), st.integers(1, 35),
    st.sampled_from([0.0, 0.5]), st.booleans(), st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.2]), st.booleans(), st.booleans(),
    st.sampled_from([torch.float32, torch.float64]), st.integers(0, 99),
)  # fmt: skip


@given(cases, st.booleans())
def test_a_compiled_run_makes_torchs_steps(drawn, fastmath):
    kind, n, d, size, momentum, ahead, decay, l2, intercept, weighted, dtype, seed = drawn
    problem = problem_of(kind, n, d, seed, dtype, l2=l2, intercept=intercept, weighted=weighted)
    options = momentum, ahead and momentum > 0, decay
    theirs, their_losses, rate, gap, loss_gap = runs(problem, size, 3, *options)
    ours, our_losses = points(ol.FusedSGD(rate, *options, fastmath), problem, size, 3)
    assert (ours - theirs).abs().max().item() <= gap
    assert np.abs(our_losses - their_losses).max() <= loss_gap


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_with_one_feature_and_one_row_a_step_the_bits_are_manual_sgds(dtype, intercept, l2):
    # One product, one sum of two, the slope, and two roundings of the update: all in one order.
    problem = problem_of("squared", 23, 1, 5, dtype, l2=l2, intercept=intercept)
    theirs, _ = points(ol.ManualSGD(0.01), problem, 1, 5)
    ours, _ = points(ol.FusedSGD(0.01), problem, 1, 5)
    assert torch.equal(ours, theirs)


@settings(max_examples=5)  # the interpreter takes some milliseconds an operation
@given(cases, st.integers(1, 5), st.sampled_from([16, 64, 256]))
@pytest.mark.parametrize("wide", [False, True], ids=["narrow", "wide"])
def test_a_kernel_makes_torchs_steps(triton_descent, wide, drawn, trials, tile):
    kind, n, d, size, momentum, ahead, decay, l2, intercept, weighted, dtype, seed = drawn
    n, size = min(n, 7), size if size < 7 else "full"
    problem = problem_of(kind, n, d, seed, dtype, l2=l2, intercept=intercept, weighted=weighted)
    ahead = ahead and momentum > 0
    theirs, their_losses, rate, gap, loss_gap = runs(problem, size, 2, momentum, ahead, decay)
    generator = torch.Generator().manual_seed(1)
    theta = flatten(problem.start(generator)).repeat(trials, 1)
    like = theta.new_full((trials,), momentum)
    run = FusedRun(
        problem.data, LinearLoss.of(problem), theta, torch.full_like(like, rate), like, decay, ahead
    )
    loop = triton_descent._wide_loop if wide else triton_descent._narrow_loop
    rows = n if size == "full" else min(size, n)
    orders = None if size == "full" else dataloader_order.draw_orders(generator, n, 2)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_TILE_BYTES", "_WIDE_TILE_BYTES"):
            patch.setattr(triton_descent, name, tile)
        patch.setattr("optlab.optimizers.epoch_graph._captured", lambda run, _: Replayed(run))
        loop(run, rows, n)(orders, 2)
    assert (theta.double() - theirs[-1]).abs().max().item() <= gap
    assert (run.losses.double() - float(their_losses[-1])).abs().max().item() <= loss_gap


class Replayed:
    """A graph on a machine that has none: what was captured is called again."""

    def __init__(self, run):
        self.replay = run


@given(
    n=st.sampled_from([1, 2, 3, 10, 227, 228, 229, 230, 624, 625, 1300]) | st.integers(1, 700),
    epochs=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
    before=st.integers(0, 700),
)
def test_compiled_orders_and_the_state_after_them_are_torchs(n, epochs, seed, before):
    ours, theirs = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    for generator in (ours, theirs):
        torch.rand(before, generator=generator)
    found = dataloader_order._draw_compiled(ours, n, epochs)
    assert torch.equal(found, dataloader_order._draw_by_torch(theirs, n, epochs))
    assert torch.equal(ours.get_state(), theirs.get_state())


def test_orders_are_torchs_where_the_compiled_ones_are_not(monkeypatch):
    seeded = (torch.Generator().manual_seed(1) for _ in range(2))
    expected = dataloader_order.draw_orders(next(seeded), 9, 3)
    agrees = dataloader_order._compiled_agrees
    assert agrees()
    with monkeypatch.context() as patch:  # a torch whose generator has changed
        agrees.cache_clear()
        real = dataloader_order._draw_by_torch
        patch.setattr(dataloader_order, "_draw_by_torch", lambda *args: real(*args).flip(1))
        assert not agrees()
        assert torch.equal(dataloader_order.draw_orders(next(seeded), 9, 3), expected.flip(1))
    agrees.cache_clear()


@pytest.mark.parametrize("n", [3, 300])
def test_epochs_and_orders_may_be_drawn_in_turns(n):
    X = torch.arange(float(n))[:, None]
    both = [ol.Batches(X, X[:, 0], 2, torch.Generator().manual_seed(3)) for _ in range(2)]
    each = iter(both[0])
    visited = [torch.cat([batch.y for batch in next(each)]) for _ in range(5)]
    orders = [both[1].orders(2), torch.cat([b.y for b in next(iter(both[1]))])[None]]
    orders.append(both[1].orders(2))
    assert torch.equal(torch.cat(orders).long(), torch.stack(visited).long())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_missing_compiler_is_named_with_its_extra(device, monkeypatch):
    monkeypatch.setattr("optlab.optimizers.fused.compiled_loops.find_spec", lambda _: None)
    problem = problem_of("squared", 5, 2, 1)
    reason = ol.FusedSGD().unsupported(problem, torch.device(device))
    compiler, extra = {"cpu": ("numba", "fast"), "cuda": ("triton", "gpu")}[device]
    assert reason == f"FusedSGD needs {compiler} on {device}: pip install optlab[{extra}]"


def test_a_loss_or_a_device_without_a_compiled_loop_is_refused():
    class Mine(ol.LinearRegression):
        """A loss of a person's own."""

    mine = Mine([[1.0], [2.0]], [1.0, 2.0])
    assert "no compiled loop for a Mine" in ol.FusedSGD().unsupported(mine, torch.device("cpu"))
    no_model = ol.FusedSGD().unsupported(ol.Quadratic([1.0]), torch.device("cpu"))
    assert no_model == "FusedSGD has no compiled loop for a Quadratic"
    problem = problem_of("squared", 5, 2, 1)
    assert "not mps" in ol.FusedSGD().unsupported(problem, torch.device("mps"))


def test_many_epochs_between_two_looks_are_the_epochs_one_by_one(tutorial):
    one_by_one, at_once, two = (
        ol.minimize(tutorial, ol.FusedSGD(0.01), epochs=90, batch_size=3, recorded_epochs=recorded)
        for recorded in (1, 90, [7, 50])
    )
    assert one_by_one.trace["epoch"].tolist() == list(range(91))
    assert at_once.trace["epoch"].tolist() == [0, 1, 90]
    assert two.trace["epoch"].tolist() == [0, 1, 7, 50, 90]
    for solution in (at_once, two):
        same = one_by_one.trace.set_index("epoch").loc[solution.trace["epoch"], "loss"]
        assert solution.trace["loss"].tolist() == same.tolist()


def test_compiling_is_reported_and_is_not_in_the_seconds(tutorial):
    trials = ol.compare(tutorial, [ol.FusedSGD(0.01), ol.ManualSGD(0.01)], epochs=2).trials
    compiled = trials.set_index("optimizer")["compile_seconds"]
    assert compiled["FusedSGD"] > 0
    assert math.isnan(compiled["ManualSGD"])


@given(
    st.sampled_from([ol.SGD(0.01), ol.Adam(0.01), ol.HeavyBall(ol.schedules.Cosine(0.01, 3))]),
    st.integers(2, 90), st.integers(1, 100), st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_steps_of_a_graph_are_the_rules(rule, n, size, shuffle, weighted):
    problem = problem_of("squared", n, 3, 1, weighted=weighted)
    found = []
    for optimizer in (rule, ol.CUDAGraph(rule)):
        generator = torch.Generator().manual_seed(1)
        start = problem.start(generator)
        X, y, weight = problem.data
        batches = ol.Batches(X, y, min(size, n), generator, weight=weight, shuffle=shuffle)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("optlab.optimizers.epoch_graph._captured", lambda run, _: Replayed(run))
            iterates = list(islice(optimizer.iterates(problem, batches, start), 3))
        found.append([*flatten(iterates[-1].parameters), iterates[-1].batch_loss])
    # The same operations, but for powers of Adam's betas that are taken by another routine.
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_without_a_place_for_a_cache_loops_are_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(lambda x: x)
    assert cached_njit(lambda x: x + 1)(1) == 2


def test_trials_without_momentum_and_those_with_one_have_loops_of_their_own():
    problem = problem_of("squared", 6, 2, 1)
    X, y, weight = problem.data
    momenta = (0.0, 0.9, 0.0, 1.0)
    starts = [problem.start(torch.Generator().manual_seed(1)) for _ in momenta]
    batches = [
        ol.Batches(X, y, 1, torch.Generator().manual_seed(1), weight=weight) for _ in momenta
    ]
    groups = joint_runs._groups(
        [joint_runs.Settings(0.1, momentum) for momentum in momenta], problem, batches, starts
    )
    assert [(group.trials, group.run.momenta.tolist()) for group in groups] == [
        ([0, 2], [0.0, 0.0]),
        ([1, 3], pytest.approx([0.9, 1.0])),
    ]
