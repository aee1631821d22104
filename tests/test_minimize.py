import math
import re

import numpy as np
import pytest
import torch

import optlab as ol


def test_the_solution_is_judged_as_the_problem_judges_its_parameters(problem):
    solution = ol.minimize(problem, ol.ManualSGD(0.1), epochs=30, batch_size=5, seed=3)
    point = problem.evaluate(solution.parameters)
    found = (solution.loss, solution.suboptimality, solution.parameter_error)
    assert found == (point.loss, point.suboptimality, point.parameter_error)
    assert (solution.status, solution.epochs) == (ol.Status.FINISHED, 30)


def test_the_trace_ends_with_the_solution(problem):
    solution = ol.minimize(problem, ol.ManualSGD(0.1), epochs=30, recorded_epochs=10)
    trace = solution.trace
    assert trace["epoch"].tolist() == [0, 1, 11, 21, 30]
    assert trace["loss"].iloc[-1] == solution.loss
    assert trace["seconds"].is_monotonic_increasing
    assert "trial" not in trace


def test_minimize_and_compare_give_the_same_bits(problem):
    solution = ol.minimize(problem, ol.TorchSGD(0.1), epochs=20, batch_size=3, seed=5)
    results = ol.compare(problem, ol.TorchSGD(0.1), epochs=20, batch_sizes=[3], seeds=[5])
    for name, value in results.parameters(0).items():
        np.testing.assert_array_equal(solution.parameters[name].numpy(), value, strict=True)


def test_another_seed_gives_another_start(problem):
    a, b = (ol.minimize(problem, ol.ManualSGD(), epochs=1, seed=seed) for seed in (1, 2))
    assert a.trace["loss"][0] != b.trace["loss"][0]


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_a_start_of_ones_own_is_where_it_starts_and_stays_as_it_is(problem, kind):
    start = {"weight": kind([1.0, -2.0]), "bias": 0.5}
    before = [*start["weight"]]
    solution = ol.minimize(problem, ol.ManualSGD(0.1), start=start, epochs=3, batch_size=5, seed=3)
    point = {"weight": torch.tensor([1.0, -2.0]), "bias": torch.tensor(0.5)}
    assert solution.trace["loss"][0] == problem.evaluate(point).loss
    assert [*start["weight"]] == before


def test_a_start_of_ones_own_changes_nothing_of_the_order(problem):
    drawn = problem.start(torch.Generator().manual_seed(3))
    options = {"epochs": 5, "batch_size": 4, "seed": 3}
    a = ol.minimize(problem, ol.ManualSGD(0.1), **options)
    b = ol.minimize(problem, ol.ManualSGD(0.1), **options, start=drawn)
    assert all(torch.equal(a.parameters[name], b.parameters[name]) for name in drawn)


def test_without_shuffling_the_rows_are_visited_as_they_stand(problem):
    seen = []

    class Looks:
        uses_batches = True

        def iterates(self, problem, batches, start):
            for epoch in batches:
                seen.append([batch.y.tolist() for batch in epoch])
                yield ol.Iterate(start)

    ol.minimize(problem, Looks(), epochs=2, batch_size=8, shuffle=False)
    y = problem.y.tolist()
    assert seen == [[y[:8], y[8:16], y[16:]]] * 2


@pytest.mark.parametrize("dtype", ["float32", torch.float32])
def test_parameters_have_the_dtype_computed_in(problem, dtype):
    solution = ol.minimize(problem, ol.ManualSGD(), epochs=2, dtype=dtype)
    assert solution.parameters["weight"].dtype == torch.float32
    assert ol.minimize(problem, ol.ManualSGD(), epochs=2).parameters["bias"].dtype == torch.float64


def test_a_batch_size_above_n_is_one_batch_of_all(problem):
    solution = ol.minimize(problem, ol.ManualSGD(), epochs=2, batch_size=1000)
    assert solution.trace["samples"].tolist() == [0, 20, 40]


def test_the_solution_shows_what_it_is(problem):
    text = repr(ol.minimize(problem, ol.Lstsq()))
    assert text.startswith("Solution(finished: answered in one pass; loss ")
    assert "weight=[" in text


def test_what_an_optimizer_raises_is_raised(problem):
    class Broken:
        uses_batches = True

        def iterates(self, problem, batches, start):
            raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        ol.minimize(problem, Broken())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1 or 'full', not 0"),
        ({"stop_at": 0.0}, "stop_at must be above 0 and below 1"),
        ({"recorded_epochs": 0}, "recorded_epochs must be"),
        (
            {"start": {"weight": [0.0, 0.0]}},
            "start must name the parameters ['bias', 'weight'], not",
        ),
        ({"start": [0.0]}, "start must name the parameters ['bias', 'weight'], not [0.0]"),
        (
            {"start": {"weight": [0.0], "bias": 0.0}},
            "start['weight'] must have shape (2,), not (1,)",
        ),
        (
            {"start": {"weight": [0.0, 0.0], "bias": math.inf}},
            "start['bias'] must be finite, not inf",
        ),
        ({"start": {"weight": ["a", "b"], "bias": 0.0}}, "start['weight'] must be numbers"),
        ({"optimizer": ol.ManualSGD}, "did you mean an object of it, such as ol.ManualSGD()"),
    ],
)
def test_bad_arguments_are_refused_by_name_and_value(problem, arguments, sentence):
    arguments = {"problem": problem, "optimizer": ol.ManualSGD()} | arguments
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ol.minimize(**arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_a_value_error_with_the_reason(problem):
    with pytest.raises(ValueError, match=r"ManualSGD cannot run here: no .* device"):
        ol.minimize(problem, ol.ManualSGD(), device="cuda")
