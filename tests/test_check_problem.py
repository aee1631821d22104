"""`check_problem` finds planted faults by the check that names them, and blames nothing right."""

import math

import pytest
import torch

import optlab as ol
from optlab.testing import check_problem, strategies
from optlab.testing.check_problem import PROTOCOL_CHECKS
from optlab.testing.problem_checks import capability_checks, protocol_checks, reference_checks
from tests.faulty_optimizers import ZOO
from tests.kept_messages import kept_messages, message, output_of, require_kept, words_and_code
from tests.open_problem import Ripples
from tests.wrong_problems import GRADIENTS, PROBLEMS, WEIGHT, NoGradient, Right, linear

planted = pytest.mark.parametrize("fault", PROBLEMS, ids=lambda fault: fault.cls.__name__)


@planted
def test_a_planted_fault_is_caught_by_the_check_that_names_it(fault):
    report = check_problem(fault.problem())
    assert not report.ok
    assert fault.words in message(report, fault.check)
    for failure in report.failures:
        words, code = words_and_code(failure.message)
        if failure.check == fault.check:
            require_kept(f"{fault.cls.__name__} | {fault.check}", words)
        if code:  # an error has its own lines
            assert output_of(code, problem=fault.problem()).strip()


def test_every_check_of_the_modules_is_run():
    modules = (capability_checks, protocol_checks, reference_checks)
    found = {vars(one)[name] for one in modules for name in vars(one) if name.startswith("check_")}
    assert {protocol_checks.check_protocol, *PROTOCOL_CHECKS.values()} == found


def test_counts_that_are_all_zero_have_no_constant_fit_to_blame():
    counts = ol.PoissonRegression([[0.5], [-1.0], [0.25]], [0, 0, 0], l2=0.1)
    report = check_problem(counts)
    assert report.ok, report
    assert report.outcome("constant fit") == "skipped"


class OffByAMillionth(ol.LinearRegression):
    def evaluate(self, parameters):
        judged = super().evaluate(parameters)
        return judged._replace(suboptimality=(1 + 1e-6) * judged.suboptimality)


def exact_fit(cls):
    """One row and two weights: the fit is exact, and its residual is rounding, 5e-17."""
    design = strategies.Design(n=1, d=2, rank=1, seed=396)
    draws = design.draws()
    y = design.X @ draws.normal(size=2) + draws.normal(size=2)[1:]
    return cls(design.X, y, fit_intercept=False).to("cpu", torch.float32)


def test_the_rounding_of_an_exact_fits_residuals_is_no_fault():
    """They are orthogonal to no direction: the gap has a term of 2 mean(r g), 2e-21 of 5e-10."""
    problem = exact_fit(ol.LinearRegression)
    assert 0.0 < problem.reference().loss < 1e-32
    check_problem(problem, seed=3).raise_if_failed()
    report = check_problem(exact_fit(OffByAMillionth), seed=3)
    assert [failure.check for failure in report.failures] == ["suboptimality"]


class WrongNearTheReference(ol.LinearRegression):
    def evaluate(self, parameters):
        judged = super().evaluate(parameters)
        near = judged.suboptimality < 1e-3
        return judged._replace(suboptimality=judged.suboptimality * (1.01 if near else 1.0))


def test_every_point_of_a_check_is_looked_at_not_the_first_alone():
    report = check_problem(linear(WrongNearTheReference))
    assert [failure.check for failure in report.failures] == ["suboptimality"]


class ByHand(NoGradient):
    """No autograd: numpy computes the loss, and the gradient in closed form."""

    def loss(self, parameters, batch=None):
        return super().loss(parameters, batch).detach()

    def gradient(self, parameters, batch=None):
        X, y, _ = batch or self.data
        return {"w": 2 / len(y) * X.T @ self.errors(parameters, batch)}

    def evaluate(self, parameters):
        whole = self.to("cpu", torch.float64)
        point = {k: v.double() for k, v in parameters.items()}
        norm = whole.gradient(point)["w"].norm().item()
        return ol.Evaluation(whole.loss(point).item(), math.nan, norm, math.nan)


class HalfByHand(ByHand):
    def gradient(self, parameters, batch=None):
        return {"w": super().gradient(parameters, batch)["w"] / 2}


def test_a_problem_that_autograd_cannot_trace_is_checked_by_differences():
    report = check_problem(ByHand())
    report.raise_if_failed()
    assert report.outcome("closed form") == "skipped"
    wrong = check_problem(HalfByHand())
    assert {failure.check for failure in wrong.failures} >= {"central differences"}


def test_each_check_has_a_planted_fault():
    checks = {result.check for result in check_problem(linear(Right, l1=0.05)).checks}
    assert {fault.check for fault in [*GRADIENTS, *PROBLEMS]} == checks
    assert len([*GRADIENTS, *PROBLEMS]) >= 40


def test_every_message_that_is_kept_is_of_a_fault_that_is_planted():
    optimizers = {f"{name} | {fault.check}" for name, fault in ZOO.items()}
    problems = {f"{fault.cls.__name__} | {fault.check}" for fault in [*GRADIENTS, *PROBLEMS]}
    assert kept_messages().keys() == optimizers | problems


@pytest.mark.parametrize(
    "make",
    [
        NoGradient,
        lambda: linear(Right),
        lambda: linear(Right, l1=0.05, sample_weight=WEIGHT, fit_intercept=False),
        Ripples.drawn,
    ],
)
def test_what_the_faults_are_made_of_is_right(make):
    check_problem(make()).raise_if_failed()
