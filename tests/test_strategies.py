"""Strategies draw right problems of every kind, the same for the same draw, and shrink well."""

import dataclasses
import itertools
import subprocess

import numpy as np
import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import optlab as ol
from optlab.lab.keys.object_hash import object_hash
from optlab.optimizers.optimizer_registry import registry
from optlab.testing import check_gradient, strategies
from optlab.testing.strategies.linear_strategies import CONVEX
from tests.commands import program
from tests.wrong_problems import PenaltyForgotten

double = st.just(torch.float64)
once = settings(phases=[Phase.generate], database=None, max_examples=500)


@settings(max_examples=12)
@given(strategies.problems(), st.integers(0, 100))
def test_problems_of_every_kind_have_right_gradients(problem, seed):
    check_gradient(problem, seed=seed).raise_if_failed()


@given(strategies.designs())
def test_a_design_has_the_rank_and_the_condition_that_it_says(design):
    values = np.linalg.svd(design.X, compute_uv=False)
    # An SVD's values are right to some eps of the largest, sqrt(n).
    error = 1e-14 * np.sqrt(design.n) * max(design.n, design.d)
    expected = np.sqrt(design.n) * np.geomspace(1, 1 / design.condition, design.rank)
    np.testing.assert_allclose(values[: design.rank], expected, rtol=0, atol=error)
    assert (values[design.rank :] <= error).all()
    assert design.X.shape == (design.n, design.d)
    np.testing.assert_array_equal(design.X, type(design)(**vars(design)).X)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda design: design.n < design.d,
        lambda design: design.rank < min(design.n, design.d),
        lambda design: design.condition == 1e4,
        lambda design: design.n == 12,
    ],
)
def test_designs_of_each_shape_and_rank_are_drawn(wanted):
    assert wanted(find(strategies.designs(), wanted, settings=once))


def hashes(strategy):
    """Return hashes of what a strategy draws in derandomized tests."""
    found = []

    @settings(derandomize=True, database=None, max_examples=15, phases=[Phase.generate])
    @given(strategy)
    def test(drawn):
        found.append(object_hash(drawn))

    test()
    return found


@pytest.mark.parametrize("make", [strategies.problems, strategies.modules, strategies.designs])
def test_the_same_draw_is_the_same_object_whatever_torchs_generator_does(make):
    before = torch.get_rng_state()
    first = hashes(make())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert hashes(make()) == first
    assert len(set(first)) > 10
    torch.set_rng_state(before)


def test_a_failure_shrinks_to_few_rows_and_default_draws():
    found = find(strategies.least_squares(), lambda problem: len(problem.y) > 4)
    assert found.name == "n=5 d=1 rank=1 condition=1 seed=0 noise=0"
    wide = find(strategies.convex_problems(), lambda p: p.X.shape[1] > 2 and p.l1 > 0)
    assert wide.name == "lasso n=2 d=3 rank=2 condition=1 seed=0"


def test_a_planted_fault_shrinks_to_a_small_example():
    def is_wrong(problem):
        own = PenaltyForgotten(problem.X, problem.y, l2=problem.l2)
        point = own.start(torch.Generator().manual_seed(0))
        leaf = point["weight"].clone().requires_grad_()
        (slope,) = torch.autograd.grad(own.loss(point | {"weight": leaf}), leaf)
        return not torch.allclose(own.gradient(point)["weight"], slope)

    ridge = strategies.convex_problems(kinds=["ridge"], weighted=False, dtype=double)
    assert find(ridge, is_wrong).name == "ridge n=2 d=1 rank=1 condition=1 seed=0"


@pytest.mark.parametrize("kind", CONVEX)
def test_each_convex_kind_is_drawn_with_and_without_weights(kind):
    for weighted in (False, True):
        problem = find(
            strategies.convex_problems(kinds=[kind], weighted=weighted),
            lambda problem: len(problem.y) > 2, settings=once,
        )  # fmt: skip
        assert (problem.data.weight is not None) == weighted
        assert problem.reference().message


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind 'riddge': did you mean 'ridge'"):
        find(strategies.convex_problems(kinds=["riddge"]), lambda problem: True)


@pytest.mark.parametrize("size", [1, 5, 2, 6, "full"])
def test_batch_sizes_have_one_all_uneven_more_and_full(size):
    # Of 5 rows, 2 is no divisor and 6 is more.
    assert find(strategies.batch_sizes(5), lambda drawn: drawn == size, settings=once) == size


rows = ol.LinearRegression(np.arange(7.0)[:, None], np.arange(7.0) ** 2, sample_weight=range(1, 8))


@given(strategies.epochs(rows), strategies.batches(rows), strategies.points(rows))
def test_an_epoch_is_each_row_once_and_a_batch_is_rows_of_the_data(epoch, batch, point):
    assert sorted(itertools.chain(*(part.y.tolist() for part in epoch))) == rows.y.tolist()
    weight = dict(zip(rows.y.tolist(), rows.row_weight.tolist(), strict=True))
    for part in [*epoch, batch]:
        assert part.weight.tolist() == [weight[y] for y in part.y.tolist()]
        assert (part.X[:, 0] ** 2).tolist() == part.y.tolist()
        assert rows.loss(point, part).isfinite()
    mean = sum(len(part.y) * rows.loss(point, part) for part in epoch) / 7
    torch.testing.assert_close(mean, rows.loss(point), rtol=1e-12, atol=1e-12)


CLASSES = [cls for _, cls in registry.items()]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_hyperparameters_are_what_they_say(cls):
    @settings(max_examples=10)
    @given(st.data())
    def test(data):
        cls(**data.draw(strategies.valid_hyperparameters(cls)))
        for strategy in (strategies.edge_hyperparameters, strategies.invalid_hyperparameters):
            try:
                drawn = data.draw(strategy(cls))
            except ValueError as error:
                assert str(error).startswith(cls.__name__)  # noqa: PT017 - a class without numbers
                continue
            if strategy is strategies.edge_hyperparameters:
                cls(**drawn)
            else:
                with pytest.raises((ValueError, TypeError, IndexError)):  # torch's own
                    cls(**drawn)

    test()


@pytest.mark.parametrize("cls", [ol.SGD, ol.HeavyBall, ol.Nesterov, ol.TorchSGD, ol.FusedSGD])
def test_every_hyperparameter_takes_more_than_its_default(cls):
    names = set()

    @settings(max_examples=60)
    @given(strategies.valid_hyperparameters(cls))
    def test(drawn):
        names.update(drawn)

    test()
    assert names == {field.name for field in dataclasses.fields(cls)}


quadratic = ol.Quadratic([1.0, 4.0], start=[1.0, 1.0])


@pytest.mark.parametrize("cls", [ol.SGD, ol.HeavyBall, ol.Nesterov])
def test_runs_at_the_edge_of_stability_do_what_the_strategy_says(cls):
    @settings(max_examples=6)
    @given(strategies.stability_hyperparameters(cls, quadratic))
    def test(drawn):
        keywords, is_stable = drawn
        x, optimizer = torch.ones(2, dtype=torch.float64), cls(**keywords)
        batches = ol.Batches(*quadratic.data[:2], "full", torch.Generator())
        run = optimizer.iterates(quadratic, batches, {"x": x})
        sizes = [float(next(run).parameters["x"].norm()) for _ in range(1200)]
        assert (max(sizes[-50:]) < max(sizes[:50])) == is_stable

    test()


def test_what_has_no_limit_or_no_default_is_refused():
    with pytest.raises(ValueError, match="Adam"):
        strategies.stability_hyperparameters(ol.Adam, quadratic)
    with pytest.raises(ValueError, match="Averaged has no default of rule"):
        strategies.valid_hyperparameters(ol.Averaged)
    with pytest.raises(ValueError, match="cls must be a dataclass of hyperparameters"):
        strategies.valid_hyperparameters(dict)


def test_only_strategies_need_hypothesis_and_they_name_the_extra():
    code = """
import sys
sys.modules["hypothesis"] = None
from optlab.testing import Report, check_gradient, check_problem
try:
    from optlab.testing import strategies
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [program("python"), "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (
        "optlab.testing.strategies need hypothesis: pip install 'optlab[testing]'"
    )


def test_batch_sizes_go_to_twice_the_rows():
    assert find(strategies.batch_sizes(10), lambda size: size != "full" and size > 11) == 12
    assert find(strategies.batch_sizes(10), lambda size: size == 20) == 20
