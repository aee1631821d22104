"""Weights of rows: a row of weight 2 counts as the same row twice, one of weight 0 as none."""

import pickle
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import optlab as ol
from optlab.lab.keys.object_hash import object_hash as problem_fingerprint
from optlab.linalg import array_blocks, streaming_least_squares
from optlab.optimizers import registry

EPS = np.finfo(np.float64).eps


@st.composite
def weighted_rows(draw, most=3):
    """X, y of whole numbers, whole weights that are not all alike, and a problem's options."""
    n, d = draw(st.integers(2, 10)), draw(st.integers(1, 3))
    whole = st.integers(-9, 9).map(float)
    X, y = (draw(hnp.arrays(np.float64, shape, elements=whole)) for shape in ((n, d), n))
    counts = draw(hnp.arrays(np.int64, n, elements=st.integers(0, most)))
    counts[draw(st.integers(0, n - 1))] = most + 1
    options = {"fit_intercept": draw(st.booleans()), "l2": draw(st.sampled_from([0.0, 0.5]))}
    return X, y, counts, options


def weighted_and_repeated(drawn):
    X, y, counts, options = drawn
    rows = np.repeat(np.arange(len(y)), counts)
    weighted = ol.LinearRegression(X, y, sample_weight=counts, **options)
    return weighted, ol.LinearRegression(X[rows], y[rows], **options)


def flat(parameters):
    return torch.cat([value.reshape(-1) for value in parameters.values()])


@given(weighted_rows())
def test_the_optimum_is_that_of_repeated_rows_to_the_certificates_digits(drawn):
    weighted, repeated = weighted_and_repeated(drawn)
    one, other = weighted.reference(), repeated.reference()
    assert one.certificate.rank == other.certificate.rank
    assert one.certificate.trusted == other.certificate.trusted
    size = flat(other.parameters).abs().max().item()
    digits = min(one.certificate.digits, other.certificate.digits)
    torch.testing.assert_close(
        flat(one.parameters), flat(other.parameters), rtol=0, atol=2 * 10**-digits * max(size, 1e-9)
    )
    # The loss is that of the certificate's residual, whose terms are of the size of y squared.
    rounding = 100 * EPS * (repeated.y @ repeated.y).item()
    assert one.loss == pytest.approx(other.loss, rel=1e-12, abs=rounding)


@given(weighted_rows(), st.integers(0, 5))
def test_loss_gradient_and_evaluation_are_those_of_repeated_rows(drawn, seed):
    weighted, repeated = weighted_and_repeated(drawn)
    point = weighted.start(torch.Generator().manual_seed(seed))
    # Terms are at most (9 d |w| + 9)^2 and their sums have at most 40 of them, each rounded once.
    tolerance = 200 * EPS * (9 * 3 * max(1.0, flat(point).abs().max().item()) + 9) ** 2
    near = {"rtol": 0, "atol": tolerance}
    torch.testing.assert_close(weighted.loss(point), repeated.loss(point), **near)
    one, other = weighted.gradient(point), repeated.gradient(point)
    torch.testing.assert_close(flat(one), flat(other), **near)
    leaves = {name: value.clone().requires_grad_() for name, value in point.items()}
    weighted.loss(leaves).backward()
    torch.testing.assert_close(flat({k: v.grad for k, v in leaves.items()}), flat(one), **near)
    first, second = weighted.evaluate(point), repeated.evaluate(point)
    # Differences of the two optima's rounding enter where the design is ill conditioned.
    assert first.loss == pytest.approx(second.loss, rel=1e-9, abs=1e-9)
    assert first.suboptimality == pytest.approx(second.suboptimality, rel=1e-9, abs=1e-9)
    assert first.gradient_norm == pytest.approx(second.gradient_norm, rel=1e-9, abs=1e-9)
    assert first.loss == pytest.approx(weighted.loss(point).item(), rel=1e-9, abs=1e-9)


@given(weighted_rows())
def test_the_least_squares_system_has_the_loss_up_to_the_intercepts_part(drawn):
    weighted, repeated = weighted_and_repeated(drawn)
    # A'A and A'b decide the solution; sums over the repeated rows and weighted sums are the same.
    share = len(weighted.y) / len(repeated.y)
    (A, b, _), (B, c, _) = weighted.as_least_squares(), repeated.as_least_squares()
    near = {"rtol": 0, "atol": 1e4 * EPS * 81}
    torch.testing.assert_close(A.T @ A, share * B.T @ B, **near)
    torch.testing.assert_close(A.T @ b, share * B.T @ c, **near)


@given(weighted_rows(), st.integers(-300, 300))
def test_a_power_of_two_on_all_weights_changes_no_bit(drawn, exponent):
    X, y, counts, options = drawn
    one = ol.LinearRegression(X, y, sample_weight=counts, **options)
    other = ol.LinearRegression(X, y, sample_weight=np.ldexp(counts, exponent), **options)
    assert torch.equal(one.row_weight, other.row_weight)
    assert torch.equal(flat(one.reference().parameters), flat(other.reference().parameters))
    assert one.reference().loss == other.reference().loss


@given(weighted_rows(), st.floats(1e-290, 1e290))
def test_weights_count_by_their_ratios_only(drawn, factor):
    X, y, counts, options = drawn
    one = ol.LinearRegression(X, y, sample_weight=counts, **options)
    other = ol.LinearRegression(X, y, sample_weight=counts * factor, **options)
    torch.testing.assert_close(one.row_weight, other.row_weight, rtol=4 * EPS, atol=0)
    point = one.start(torch.Generator().manual_seed(0))
    assert one.evaluate(point).loss == pytest.approx(other.evaluate(point).loss, rel=1e-9)


@pytest.mark.parametrize("value", [1, 0.3, 1e300, 1e-300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_that_are_all_alike_are_none_to_the_last_bit(value, dtype):
    data = ol.datasets.diabetes()
    X, y = data.X.astype(dtype), data.y.astype(dtype)
    plain = ol.LinearRegression(X, y)
    weighted = ol.LinearRegression(X, y, sample_weight=np.full(len(y), value))
    assert weighted.sample_weight is None
    assert weighted.row_weight is None
    start = plain.start(torch.Generator().manual_seed(0))
    assert torch.equal(plain.loss(start), weighted.loss(start))
    assert plain.evaluate(start) == weighted.evaluate(start)
    assert problem_fingerprint(plain) == problem_fingerprint(weighted)


@given(weighted_rows())
def test_a_row_of_weight_zero_is_left_out_whatever_it_holds(drawn):
    X, y, counts, options = drawn
    kept = counts > 0
    assume(len(set(counts[kept])) > 1)  # those left alike would be no weights
    X, y = X.copy(), y.copy()
    X[~kept], y[~kept] = 1e200, -1e200
    weighted = ol.LinearRegression(X, y, sample_weight=counts, **options)
    without = ol.LinearRegression(X[kept], y[kept], sample_weight=counts[kept], **options)
    assert torch.equal(flat(weighted.reference().parameters), flat(without.reference().parameters))
    point = without.start(torch.Generator().manual_seed(0))
    found, expected = (problem.evaluate(point)[:4] for problem in (weighted, without))
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0, 2.0], r"sample_weight must have shape \(3,\), not \(2,\)"),
        ([[1.0], [2.0], [3.0]], r"sample_weight must have shape \(3,\), not \(3, 1\)"),
        ([1.0, -2.0, 1.0], r"sample_weight must be finite and at least 0, not -2.0 in row 1"),
        ([1.0, 1.0, np.nan], "sample_weight must be finite and at least 0, not nan in row 2"),
        ([np.inf, 1.0, 1.0], "sample_weight must be finite and at least 0, not inf in row 0"),
        ([0.0, 0.0, 0.0], "sample_weight is 0 in every row"),
        (["a", "b", "c"], "sample_weight"),
    ],
)
def test_weights_that_are_none_are_refused_by_name(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.LinearRegression([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0], sample_weight=weights)


def test_weights_with_other_row_labels_are_refused():
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0]}, index=[5, 6, 7])
    with pytest.raises(ValueError, match="X and sample_weight have different row labels"):
        ol.LinearRegression(frame, [1.0, 3.0, 4.0], sample_weight=pd.Series([1, 2, 3]))


def weighted_problem(dtype="float64", **options):
    data = ol.datasets.synthetic(24, 3, condition=2, dtype=dtype, seed=1).standardized()
    weights = np.random.default_rng(0).integers(0, 9, 24) / 4
    y = data.y + np.random.default_rng(1).normal(0, 1, 24).astype(dtype)
    return ol.LinearRegression(data.X, y.astype(dtype), sample_weight=weights, **options)


@pytest.mark.parametrize("size", [1, 6, 24, "full"])
def test_the_mean_of_an_epochs_batch_losses_is_the_full_loss(size):
    problem = weighted_problem()
    generator = torch.Generator().manual_seed(3)
    point = problem.start(generator)
    batches = ol.Batches(problem.X, problem.y, size, generator, weight=problem.row_weight)
    epoch = list(next(iter(batches)))
    losses = [problem.loss(point, batch).item() for batch in epoch]
    assert np.mean(losses) == pytest.approx(problem.loss(point).item(), rel=100 * EPS)
    steps = [flat(problem.gradient(point, batch)) for batch in epoch]
    torch.testing.assert_close(torch.stack(steps).mean(0), flat(problem.gradient(point)))
    # Each row keeps its own weight in the shuffle.
    rows = {tuple(x.tolist()): w for x, w in zip(problem.X, problem.row_weight, strict=True)}
    for batch in epoch:
        for x, w in zip(batch.X, batch.weight, strict=True):
            assert rows[tuple(x.tolist())] == w


def test_a_batch_without_weights_is_refused():
    problem = weighted_problem()
    point = problem.start(torch.Generator().manual_seed(0))
    for call in (problem.loss, problem.gradient):
        with pytest.raises(ValueError, match="have weights, but the batch has none"):
            call(point, ol.Batch(problem.X[:2], problem.y[:2]))


# SDCA's steps are not those of repeated rows; its weighted optimum is in test_composite_methods.py.
METHODS = {name: cls for name, cls in registry.items() if cls is not ol.SDCA}


@pytest.mark.parametrize("cls", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer_takes_weights_as_repeated_rows(cls, dtype):
    problem = weighted_problem(dtype)
    counts = (4 * problem.sample_weight).long()
    repeated = ol.LinearRegression(
        *(part.repeat_interleave(counts, 0) for part in (problem.X, problem.y))
    )
    plain = ol.LinearRegression(problem.X, problem.y)
    given = {"learning_rate": 0.1, "lr": 0.1, "history_size": 5}
    taken = getattr(cls, "__dataclass_fields__", {})
    optimizer = cls(**{name: value for name, value in given.items() if name in taken})
    ours, same, ignored = (
        flat(ol.minimize(each, optimizer, epochs=20).parameters)
        for each in (problem, repeated, plain)
    )
    # 20 steps on the same loss, but for the rounding of its sums, some 100 eps each, which methods
    # that divide by differences of gradients enlarge.
    rounding = 1e4 * torch.finfo(problem.X.dtype).eps * (1 + same.norm())
    assert (ours - same).norm() <= rounding
    assert (ours - ignored).norm() > 2 * rounding


def test_the_weights_follow_the_problem():
    problem = weighted_problem("float32")
    assert (problem.row_weight.dtype, problem.sample_weight.dtype) == (torch.float32, torch.float64)
    assert problem.row_weight.double().mean().item() == pytest.approx(1, abs=1e-6)
    double = problem.to("cpu", torch.float64)
    assert double.row_weight.dtype == torch.float64
    # From the weights as given, not from those rounded to float32.
    assert torch.equal(double.to("cpu", torch.float32).row_weight, problem.row_weight)
    assert double.row_weight.mean().item() == pytest.approx(1, abs=4 * EPS)
    again = pickle.loads(pickle.dumps(problem))
    assert torch.equal(again.row_weight, problem.row_weight)
    assert torch.equal(flat(again.reference().parameters), flat(problem.reference().parameters))
    assert "weighted" in repr(problem)


def test_a_change_of_weights_or_held_out_rows_is_another_problem():
    X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0]
    held = [([[5.0]], [9.0]), ([[5.0]], [8.0])]
    problems = [
        ol.LinearRegression(X, y),
        ol.LinearRegression(X, y, sample_weight=[1, 2, 3]),
        ol.LinearRegression(X, y, sample_weight=[1, 2, 4]),
        *(ol.LinearRegression(X, y, validation=rows) for rows in held),
    ]
    assert len({problem_fingerprint(problem) for problem in problems}) == len(problems)


@dataclass(frozen=True)
class ChangesWeights:
    uses_batches: ClassVar[bool] = True

    def iterates(self, problem, batches, start):
        for epoch in batches:
            for batch in epoch:
                batch.weight.zero_()
            yield ol.Iterate(start)


def test_an_optimizer_that_changes_the_weights_fails():
    with pytest.raises(RuntimeError, match="ChangesWeights changed the problem's data"):
        ol.minimize(weighted_problem(), ChangesWeights(), epochs=2)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([1, 7, 1000]))
def test_large_weighted_data_are_solved_like_repeated_rows(seed, spread):
    draw = np.random.default_rng(seed)
    X, y = draw.normal(spread, 1, (600, 12)), draw.normal(0, 1, 600)
    counts = draw.integers(0, 4, 600)
    weighted, repeated = weighted_and_repeated((X, y, counts, {}))
    one, other = weighted.reference(), repeated.reference()
    digits = min(one.certificate.digits, other.certificate.digits)
    size = flat(other.parameters).abs().max().item()
    gap = (flat(one.parameters) - flat(other.parameters)).abs().max().item()
    assert gap <= 2 * 10**-digits * size


@pytest.mark.parametrize("name", ["Longley", "Norris", "Filip", "NoInt1", "Wampler4"])
def test_nist_sets_with_rows_twice_by_weight_keep_all_digits(name):
    data = ol.datasets.nist(name)
    counts = 1 + np.arange(len(data.y)) % 3
    options = {"fit_intercept": data.fit_intercept}
    weighted, repeated = weighted_and_repeated((data.X, data.y, counts, options))
    one, other = weighted.reference(), repeated.reference()
    assert one.certificate.trusted
    assert torch.equal(flat(one.parameters), flat(other.parameters))


@given(weighted_rows(), st.integers(1, 5), st.integers(0, 2))
def test_streamed_blocks_with_weights_are_solved_like_repeated_rows(drawn, height, passes):
    X, y, counts, options = drawn
    rows = np.repeat(np.arange(len(y)), counts)
    how = options | {"refinement_passes": passes}
    one = streaming_least_squares(array_blocks(X, y, height, counts.astype(float)), **how)
    other = streaming_least_squares(array_blocks(X[rows], y[rows], height), **how)
    assert one.certificate.rank == other.certificate.rank
    digits = min(one.certificate.digits, other.certificate.digits)
    (a, b), (c, d) = ((s.weight, s.bias) for s in (one, other))
    size = max(c.abs().max().item(), abs(d.item()), 1e-9)
    assert max((a - c).abs().max().item(), abs(b - d).item()) <= 2 * 10**-digits * size


def test_streamed_weights_that_are_none_are_refused():
    X, y, weights = np.ones((3, 1)), np.arange(3.0), np.array([1.0, -1.0, 1.0])
    with pytest.raises(ValueError, match="weights must be finite and at least 0"):
        streaming_least_squares(array_blocks(X, y, weights=weights))
    with pytest.raises(ValueError, match="weights must have 3 rows"):
        array_blocks(X, y, weights=weights[:2])
    blocks = iter([(X, y, abs(weights))])
    with pytest.raises(ValueError, match="the weights' sum is needed first"):
        streaming_least_squares(blocks, l2=1.0, refinement_passes=0)
    with pytest.raises(ValueError, match="no rows"):
        streaming_least_squares([(X, y, 0 * weights)])


def test_an_epoch_of_batches_without_weights_has_none():
    problem = ol.LinearRegression([[0.0], [1.0]], [1.0, 2.0])
    batches = ol.Batches(problem.X, problem.y, 1, torch.Generator())
    assert [batch.weight for epoch in islice(batches, 2) for batch in epoch] == [None] * 4
