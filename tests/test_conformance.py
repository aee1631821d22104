"""What every registered optimizer must do; a new one is tested by being registered."""

import dataclasses
import inspect
import json
import math
import pickle
from itertools import islice, zip_longest

import pytest
import torch

import optlab as ol
from optlab.optimizers import hyperparameters, registry, unsupported
from optlab.optimizers.optimizer import is_direct
from tests.plain_problem import plain_problem

CPU = torch.device("cpu")

pytestmark = pytest.mark.parametrize(
    "cls", [pytest.param(cls, id=name) for name, cls in registry.items()]
)


@pytest.fixture(params=["float32", "float64"])
def problem(request, cls):
    # Singular values from 1 to 1 / 2: nobody's default settings have an excuse.
    data = ol.datasets.synthetic(24, 3, condition=2, dtype=request.param, seed=1)
    return plain_problem(cls(), data.standardized())


def iterates(optimizer, problem, *, batch_size=5, seed=0, start=None):
    generator = torch.Generator().manual_seed(seed)
    drawn = problem.start(generator)
    start = drawn if start is None else {name: value.clone() for name, value in start.items()}
    batches = ol.Batches(problem.X, problem.y, batch_size, generator)
    return optimizer.iterates(problem, batches, start)


def passes(cls):
    """Return how many of three passes a method may make: one over all data may end by itself."""
    if is_direct(cls()):
        return {1}
    return {3} if cls.uses_batches else {1, 2, 3}


def copied(parameters):
    return {name: value.detach().clone() for name, value in parameters.items()}


def same_bits(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_is_a_frozen_dataclass_of_hyperparameters(cls):
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert isinstance(cls(), ol.Optimizer)
    assert isinstance(cls.uses_batches, bool)


def test_is_made_without_arguments_and_compares_by_value(cls):
    assert cls() == cls()
    assert hash(cls()) == hash(cls())


def test_hyperparameters_are_json_and_make_the_same_optimizer_again(cls):
    text = json.dumps(hyperparameters(cls()), allow_nan=False)
    assert cls(**json.loads(text)) == cls()


def test_pickles(cls):
    assert pickle.loads(pickle.dumps(cls())) == cls()


def test_docstring_says_what_it_computes_with_an_example_and_the_source(cls):
    doc = inspect.getdoc(cls)
    assert doc.partition("\n")[0].endswith(".")
    assert "Examples\n--------\n>>> " in doc
    assert "References\n----------\n" in doc


def test_supports_a_plain_problem_on_the_cpu(cls, problem):
    assert unsupported(cls(), problem, CPU) is None


def test_default_settings_improve_on_the_start_or_solve(cls, problem):
    start = problem.evaluate(problem.start(torch.Generator().manual_seed(0))).suboptimality
    points = islice(iterates(cls(), problem, batch_size="full"), 20)
    gaps = [problem.evaluate(iterate.parameters).suboptimality for iterate in points]
    if cls.uses_batches:
        # A full-batch step at a small rate goes downhill every time, the first ones included.
        assert gaps == sorted(gaps, reverse=True)
        assert gaps[0] < start
    elif not is_direct(cls()):
        assert gaps[-1] < start / 2  # each has its own theory, tested beside it
    else:
        # Relative to the start's: the square of a forward error of some 100 eps at condition 4.
        (gap,) = gaps
        assert gap <= (100 * torch.finfo(problem.X.dtype).eps) ** 2 * start


def test_yields_iterates_of_the_starts_names_shapes_and_dtype(cls, problem):
    start = problem.start(torch.Generator())
    found = list(islice(iterates(cls(), problem), 3))
    assert len(found) in passes(cls)
    for iterate in found:
        assert isinstance(iterate, ol.Iterate)
        assert iterate.parameters.keys() == start.keys()
        for name, value in iterate.parameters.items():
            assert (value.shape, value.dtype) == (start[name].shape, problem.X.dtype)
        if iterate.batch_loss is not None:
            assert iterate.batch_loss.shape == ()
            assert not iterate.batch_loss.requires_grad


def test_a_problem_without_intercept_gets_no_bias(cls):
    data = ol.datasets.Dataset("data", [[1.0, 2.0], [3.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0])
    problem = plain_problem(cls(), data, fit_intercept=False)
    iterate = next(iter(iterates(cls(), problem, batch_size=2)))
    assert iterate.parameters.keys() == {"weight"}


def test_batch_loss_is_that_of_the_last_mini_batch_before_its_update(cls, problem):
    start = problem.start(torch.Generator().manual_seed(0))
    iterate = next(iter(iterates(cls(), problem, batch_size="full")))
    if cls.uses_batches:
        # With one batch an epoch that is the loss at the start: the same sum, the same bits. A
        # compiled loop adds in another order: a sum of k products loses at most k eps of its size.
        X, y, _ = problem.data
        size = (X.abs() @ start["weight"].abs() + y.abs()).square().mean().item()
        lost = 2 * (sum(X.shape) + 4) * torch.finfo(X.dtype).eps * size
        gap = abs(iterate.batch_loss.item() - problem.loss(start).item())
        assert gap <= (lost if hasattr(cls, "compile") else 0)
    else:
        assert iterate.batch_loss is None


def test_the_same_seed_gives_the_same_bits(cls, problem):
    a, b = (
        [copied(iterate.parameters) for iterate in islice(iterates(cls(), problem, seed=3), 5)]
        for _ in range(2)
    )
    assert all(map(same_bits, a, b))


def test_another_order_of_batches_gives_another_iterate_only_where_batches_are_used(cls, problem):
    start = problem.start(torch.Generator())
    a, b = (
        copied(next(iter(iterates(cls(), problem, seed=seed, start=start))).parameters)
        for seed in (1, 2)
    )
    assert same_bits(a, b) != cls.uses_batches


def test_begins_where_it_is_told_to(cls, problem):
    first = problem.start(torch.Generator().manual_seed(1))
    second = {name: value + 1 for name, value in first.items()}
    a, b = (
        copied(next(iter(iterates(cls(), problem, start=start))).parameters)
        for start in (first, second)
    )
    # Direct methods need no start: theirs must make no difference.
    assert same_bits(a, b) == is_direct(cls())


NORMALISED = {"AdaGrad", "Adagrad", "RMSprop", "Adam", "AdamW", "Lion"}


def wander(cls, problem):
    """Bound the suboptimality after 20 steps of a rule that gives rounding errors full length.

    These rules divide a mean of gradients by a root mean square of them, or take its sign. By
    Cauchy-Schwarz a coordinate then moves at most c rates a step: c = 1 for AdaGrad and Lion,
    1 / sqrt(1 - 0.99) = 10 for RMSprop, 7.3 for Adam (at 0.9 and 0.999); AdamW's decay adds 0.01
    of each coordinate, all below 100. The suboptimality is at most L / 2 times the distance's
    square, L at most the trace of the Hessian.
    """
    rate = getattr(cls(), "learning_rate", getattr(cls(), "lr", 0.0))
    if cls.__name__.removeprefix("Torch").removeprefix("Fused") not in NORMALISED:
        return 0.0
    X = problem.X.double()
    distance = 20 * (10 + 1) * rate * math.sqrt(X.shape[1] + 1)
    return (X.pow(2).sum(1).mean().item() + 1) * distance**2


def test_stays_at_the_optimum(cls, problem):
    dtype = problem.X.dtype
    optimum = {name: value.to(dtype) for name, value in problem.reference().parameters.items()}
    far = problem.evaluate(problem.start(torch.Generator().manual_seed(0))).suboptimality
    for iterate in islice(iterates(cls(), problem, batch_size="full", start=optimum), 20):
        gap = problem.evaluate(iterate.parameters).suboptimality
        # 20 steps of rounding, some 10 eps each, squared.
        assert gap <= (200 * torch.finfo(dtype).eps) ** 2 * far + wander(cls, problem)


def test_changes_neither_the_data_nor_the_global_generator(cls, problem):
    X, y, state = problem.X.clone(), problem.y.clone(), torch.get_rng_state()
    list(islice(iterates(cls(), problem), 5))
    assert torch.equal(problem.X, X)
    assert torch.equal(problem.y, y)
    assert torch.equal(torch.get_rng_state(), state)


def test_two_runs_of_one_optimizer_do_not_disturb_each_other(cls, problem):
    optimizer = cls()
    alone = [copied(iterate.parameters) for iterate in islice(iterates(optimizer, problem), 3)]
    one, other = iterates(optimizer, problem), iterates(optimizer, problem, seed=9)
    beside = []
    for iterate, _ in islice(zip_longest(one, other), len(alone)):
        beside.append(copied(iterate.parameters))
    assert all(map(same_bits, alone, beside))


def test_is_run_by_the_lab(cls, problem):
    solution = ol.minimize(problem, cls(), epochs=3, batch_size=5)
    assert solution.status == ol.Status.FINISHED
    assert solution.epochs in passes(cls)
