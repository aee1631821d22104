"""Statuses that hold: compared with the exact stability of descent, and at their edges."""

import dataclasses
import re
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from benchmarks.statuses import WRONG, draw, verdict
from optlab.lab import Budget, Trial, run_trial
from optlab.lab.trial.best_known import ReferenceLoss, best_known, judge_against_best_known
from optlab.lab.trial.stop_at import StopAt
from optlab.optimizers import registry


def test_statuses_agree_with_the_exact_stability_of_descent():
    # 2 000 problems are in benchmarks/statuses.py, which prints what it finds.
    random, found = np.random.default_rng(1), Counter()
    for number in range(80):
        case = dataclasses.replace(draw(random), epochs=min(20, 2 + number))
        name, solution = verdict(case, number)
        assert name not in WRONG, (case, solution)
        found[name] += 1
    assert min(found["stable, not called diverged"], found["unstable, called diverged"]) > 12


@given(
    momentum=st.sampled_from([0.0, 0.3, 0.9, 0.99]),
    nesterov=st.booleans(),
    near=st.floats(-9, 0),
)
def test_no_stable_run_exceeds_the_growth_that_its_optimizer_tells(momentum, nesterov, near):
    nesterov = nesterov and momentum > 0
    limit = (2 + 2 * momentum) / (1 + 2 * momentum) if nesterov else 2 * (1 + momentum)
    a = limit * (1 - 10**near)  # learning rate times eigenvalue
    growth = ol.TorchSGD(1.0, momentum=momentum, nesterov=nesterov).linear_descent().growth()
    # One eigenvector: the error of the next iterate from the last two, as torch steps.
    error, velocity, largest = 1.0, 0.0, 1.0
    for _ in range(2000):
        velocity = momentum * velocity + a * error
        error -= a * error + momentum * velocity if nesterov else velocity
        largest = max(largest, error * error)
    assert largest <= growth * (1 + 1e-9)
    if near < -6:  # and close to the limit of stability it is reached
        assert largest >= growth * 0.99


def test_an_offset_of_the_target_does_not_make_everything_converged():
    random = np.random.default_rng(0)
    X = random.standard_normal((50, 2))
    spread = X @ [0.5, -0.8] + 0.1 * random.standard_normal(50)
    for offset in 10.0 ** np.arange(0, 10, 3):
        problem = ol.LinearRegression(X, offset * spread.std() + spread)
        solution = ol.minimize(problem, ol.ManualSGD(0.1), epochs=300, stop_at=1e-3)
        assert solution.status == "converged"
        assert solution.suboptimality <= 1e-3 * spread.var()


def test_a_start_at_the_optimum_is_converged_at_epoch_0(problem):
    at_optimum = problem.reference().parameters
    for dtype in ("float64", "float32"):
        solution = ol.minimize(
            problem, ol.ManualSGD(), start=at_optimum, dtype=dtype, stop_at=1e-6, epochs=5
        )
        assert (solution.status, solution.epochs, solution.seconds) == ("converged", 0, 0.0)


def test_data_whose_squares_underflow_are_converged_to_nothing():
    tiny = ol.LinearRegression(np.arange(5.0)[:, None] * 1e-170, np.arange(5.0) * 1e-170)
    solution = ol.minimize(tiny, ol.ManualSGD(0.1), stop_at=0.1, epochs=3)
    assert solution.status == "finished"
    assert "stop_at=0.1 not reached" in solution.message


def test_a_direct_method_that_misses_says_by_how_much(problem):
    class Rough:
        uses_batches = False

        def iterates(self, problem, batches, start):
            yield ol.Iterate({name: value * 0 for name, value in start.items()})

    solution = ol.minimize(problem, Rough(), stop_at=1e-3)
    scale = min(
        solution.trace["suboptimality"][0], problem.evaluate(problem.constant_fit()).suboptimality
    )
    assert solution.status == "finished"
    assert f"is {solution.suboptimality / (1e-3 * scale):.2g} times its limit" in solution.message


@dataclasses.dataclass(frozen=True)
class Walk:
    """Yields the optimum displaced by given distances."""

    distances: tuple[float, ...]
    uses_batches = True

    def iterates(self, problem, batches, start):
        for distance in self.distances:
            optimum = problem.reference().parameters
            yield ol.Iterate({name: value + distance for name, value in optimum.items()})


def test_a_run_that_ends_above_its_least_says_so_with_the_factor_and_the_epoch(problem):
    solution = ol.minimize(problem, Walk((1.0, 1e-3, 3.0)), epochs=3)
    factor = solution.loss / solution.trace["loss"].min()
    assert solution.status == "finished"
    assert f"the loss has risen to {factor:.2g} times its least" in solution.message
    assert "at epoch 2" in solution.message
    assert (solution.best_epoch, solution.best_suboptimality) == (
        2,
        solution.trace["suboptimality"].min(),
    )
    assert f"{solution.best_suboptimality:.2g}" in repr(solution)


@given(st.lists(st.floats(1e-3, 1.0), min_size=3, max_size=20))
def test_a_loss_that_stays_below_the_constants_is_never_diverged(distances):
    problem = ol.LinearRegression(np.eye(3), np.array([100.0, 0.0, -100.0]))
    solution = ol.minimize(problem, Walk(tuple(distances)), epochs=20)
    assert solution.status == "finished"


def test_a_value_of_a_named_measure_stops_a_trial(problem):
    stop_at = StopAt("gradient_norm", value=1e-3)
    solution = ol.minimize(problem, ol.ManualSGD(0.1), stop_at=stop_at, recorded_epochs=1)
    norms = solution.trace["gradient_norm"].tolist()
    assert solution.status == "converged"
    assert norms[-1] <= 1e-3 < norms[-2]
    with pytest.raises(ValueError, match="names the measure 'accurazy', which problem"):
        ol.minimize(problem, ol.ManualSGD(), stop_at=StopAt("accurazy", value=1.0))


@pytest.mark.parametrize(
    "fields", [{}, {"share": 0.1, "value": 1.0}, {"share": 1.0}, {"value": float("inf")},
               {"measure": "", "value": 1.0}, {"share": True}, {"share": "0.1"}],
)  # fmt: skip
def test_no_rule_is_made_of_what_is_none(fields):
    with pytest.raises(ValueError, match=r"stop_at|measure"):
        StopAt(**fields)


@given(
    values=st.lists(st.one_of(st.floats(), st.just(1e-6)), min_size=1, max_size=5),
    scale=st.one_of(st.floats(min_value=0), st.just(1.0)),
)
def test_the_rule_says_the_same_of_numbers_and_of_arrays(values, scale):
    rule = StopAt(share=1e-6)
    assert rule.reached(np.array(values), scale).tolist() == [
        rule.reached(value, scale) for value in values
    ]
    assert StopAt.of(rule.definition()) == rule == StopAt.of(1e-6)


def test_a_limit_of_a_further_measure_that_the_start_has_reached_is_refused():
    held = np.eye(2), np.ones(2)
    problem = ol.LinearRegression(np.eye(2), np.ones(2), validation=held, name="p")
    start = {"weight": [0.0, 0.0], "bias": 0.5}  # misses each by 0.5
    hint = "; where more is better, as with an accuracy, use "
    hint += "StopAt('validation_loss', at_least=...)"
    for limit, more in (({"value": 0.25}, hint), ({"at_least": 0.25}, "")):
        rule = StopAt("validation_loss", **limit)
        where = f"at the start of problem 'p', where validation_loss is 0.25{more}"
        sentence = re.escape(f"stop_at={rule} is already reached {where}") + "$"
        with pytest.raises(ValueError, match=sentence):
            ol.minimize(problem, ol.ManualSGD(), start=start, stop_at=rule)
    rule = StopAt("validation_loss", value=0.2)
    assert ol.minimize(problem, ol.ManualSGD(0.1), start=start, stop_at=rule).status == "converged"
    with pytest.raises(ValueError, match="already reached at the start"):
        ol.Experiment(
            problems=problem, optimizers=ol.Adam(), stop_at=StopAt("validation_loss", value=1e9)
        )


class Misjudged(ol.LinearRegression):
    """A problem whose reference is a point that is not its minimiser."""

    def reference(self):
        right = super().reference()
        moved = {name: value + 0.05 for name, value in right.parameters.items()}
        return dataclasses.replace(right, parameters=moved, loss=self.loss(moved).item())

    def evaluate(self, parameters):
        point, loss = super().evaluate(parameters), self.reference().loss
        return point._replace(suboptimality=max(0.0, point.loss - loss))


@pytest.mark.parametrize("kind", [ol.LinearRegression, Misjudged])
def test_nobody_is_converged_against_a_reference_that_another_trial_beat(kind):
    random = np.random.default_rng(0)
    X = random.standard_normal((30, 2))
    problem = kind(X, X @ [1.0, 2.0] + random.standard_normal(30), name="p")
    stop_at = StopAt(share=1e-6)
    records = [
        run_trial(Trial(number, "p", name, "full", "cpu", "float64", 0), problem, optimizer,
                  Budget(epochs=400, stop_at=stop_at, recorded_epochs=1))
        for number, (name, optimizer) in enumerate(
            {"descent": ol.ManualSGD(0.05), "lstsq": ol.Lstsq()}.items()
        )
    ]  # fmt: skip
    assert [record.status for record in records] == ["converged", "converged"]
    messages = [record.message for record in records]
    judge_against_best_known(records, {"p": ReferenceLoss.of(problem)}, stop_at)
    if kind is ol.LinearRegression:
        assert best_known(records, ReferenceLoss.of(problem)) is None
        assert [record.message for record in records] == messages
        return
    assert best_known(records, ReferenceLoss.of(problem)).record is records[1]
    assert [record.status for record in records] == ["finished", "converged"]
    assert all("lstsq (trial 1) has a loss" in record.message for record in records)


def test_the_least_loss_is_recorded_beside_the_last():
    problem = ol.LinearRegression(np.eye(2), np.array([100.0, -50.0]))
    trials = ol.compare(problem, Walk((1.0, 0.5, 2.0)), epochs=3, recorded_epochs=1).trials
    traces = ol.minimize(problem, Walk((1.0, 0.5, 2.0)), epochs=3).trace
    assert trials["best_suboptimality"][0] == traces["suboptimality"].min()
    assert trials["best_epoch"][0] == 2


def test_steps_count_mini_batches(problem):
    trace = ol.minimize(problem, ol.ManualSGD(), batch_size=6, epochs=3, recorded_epochs=1).trace
    assert trace["steps"].tolist() == [0, 4, 8, 12]


@pytest.mark.parametrize(
    ("times", "status"), [(0.5, "finished"), (1.99, "finished"), (2.5, "diverged")]
)
def test_the_mean_of_a_descent_is_diverged_only_where_the_descent_is(problem, times, status):
    rate = times / problem.lipschitz()
    descent, mean = (
        ol.minimize(problem, rule, epochs=60, recorded_epochs=1)
        for rule in (ol.SGD(rate), ol.Averaged(ol.SGD(rate)))
    )
    assert descent.status == mean.status == status
    if times == 1.99:  # the mean of points on both sides of the minimum swings: its loss may rise
        assert (np.diff(mean.trace["loss"]) > 0).any()


def descents(learning_rate, momentum, nesterov):
    """Every optimizer whose steps on full batches are these."""
    rate, torchs = {"learning_rate": learning_rate}, {"momentum": momentum, "nesterov": nesterov}
    yield from (ol.TorchSGD(**rate, **torchs), ol.FusedSGD(**rate, **torchs))
    for cls in (partial(ol.TorchOptimizer, torch.optim.SGD), registry.get("torch.optim:SGD")):
        yield cls(lr=learning_rate, **torchs)
    yield (ol.Nesterov if nesterov else ol.HeavyBall)(**rate, momentum=momentum)
    if not momentum:
        for cls in (ol.ManualSGD, ol.AnalyticSGD, ol.SGD, ol.SVRG, ol.SAGA):
            yield cls(**rate)


@pytest.mark.parametrize(("times", "status"), [(0.99, "finished"), (1.025, "diverged")])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.5, False), (0.5, True)])
def test_one_descent_has_one_status_whoever_makes_it(problem, momentum, nesterov, times, status):
    limit = (2 + 2 * momentum) / (1 + 2 * momentum) if nesterov else 2 * (1 + momentum)
    rate = times * limit / problem.lipschitz()
    ends = [
        ol.minimize(problem, optimizer, epochs=40, recorded_epochs=1)
        for optimizer in descents(rate, momentum, nesterov)
    ]
    assert {(end.status, end.epochs) for end in ends} == {(status, ends[0].epochs)}
    # By the proof, not by a loss beyond all bounds, which comes much later.
    assert max(end.loss / end.trace["loss"][0] for end in ends) < 1e3


@pytest.mark.parametrize("make", [ol.Quadratic, ol.NoisyQuadratic])
def test_descent_beyond_the_limit_is_diverged_on_every_quadratic(make):
    problem = make([10.0, 1.0])
    for rate, status in ((0.195, "finished"), (0.205, "diverged")):  # the limit is 2 / 10
        solution = ol.minimize(problem, ol.SGD(rate), epochs=60, seed=1)
        assert solution.status == status
        assert solution.loss < 1e3 * solution.trace["loss"][0]
    # From the optimum the noise's mean, which is zero to rounding, moves the point a little.
    options = {"start": {"x": torch.zeros(2).double()}, "batch_size": len(problem.data.y)}
    assert ol.minimize(problem, ol.SGD(0.1), epochs=60, **options).status == "finished"


def test_a_run_that_ends_above_the_best_constant_says_so_and_what_to_try():
    random = np.random.default_rng(0)
    z = random.standard_normal((40, 2))
    raw = ol.LogisticRegression(z * 300 + 1000, z[:, 0] > 0, l2=0.1)
    above = "the loss is above that of the best constant prediction: "
    sgd = ol.minimize(raw, ol.SGD(1e-12), epochs=2)
    tries = "standardize the features, or try more epochs, or another learning rate"
    assert sgd.message.endswith(above + tries)
    newton = ol.minimize(raw, ol.Newton(), epochs=1)
    assert newton.message.endswith(above + "standardize the features, or try more epochs")
    scaled = ol.LogisticRegression(z, z[:, 0] > 0, l2=0.1)
    slow = ol.minimize(scaled, ol.Adam(1e-9), epochs=100, stop_at=1e-3)
    fell = "in 100 epochs the suboptimality fell by 0.0% only"
    assert slow.message.endswith(f"; try another learning rate ({fell})")
    start = {"weight": [-9.0, 9.0], "bias": 0.0}
    newton = ol.minimize(scaled, ol.SGD(1e-12), epochs=1, start=start)
    assert newton.message.endswith(above + "try more epochs, or another learning rate")
    assert above not in ol.minimize(scaled, ol.Newton()).message


def test_a_method_that_stops_by_itself_at_an_absurd_fit_says_so():
    curve = ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear("Misra1a"), start=1)
    start = {"b1": 1.0, "b2": -0.19}  # exp(0.19 * 760) = 1e62
    solution = ol.minimize(curve, ol.LevenbergMarquardt(), start=start)
    assert solution.loss > 1e9 * curve.data.y.var()
    above = "the loss is above that of the best constant prediction: try another start"
    assert solution.message.endswith(above)


def test_only_what_has_a_learning_rate_is_told_to_change_it():
    class Rateless(Walk):
        """Walks away from the optimum, with no learning rate."""

    problem = ol.LinearRegression(np.eye(3), [1.0, -1.0, 0.0])
    solution = ol.minimize(problem, Rateless((1e-3, np.nan)), epochs=3)
    assert (solution.status, "learning rate" in solution.message) == ("diverged", False)
