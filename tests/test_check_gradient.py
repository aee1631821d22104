"""`check_gradient` finds planted faults by the check that names them, and blames nothing right."""

import contextlib
import io
import re

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.testing import check_gradient
from optlab.testing.gradients import input_checks, precision_checks, row_checks, slope_checks
from optlab.testing.gradients.check_gradient import CHECKS
from tests.kept_messages import message, output_of, require_kept, words_and_code
from tests.wrong_problems import GRADIENTS, NoGradient, Right, linear

planted = pytest.mark.parametrize("fault", GRADIENTS, ids=lambda fault: fault.cls.__name__)


@planted
def test_a_planted_fault_is_caught_by_the_check_that_names_it(fault):
    problem = fault.problem()
    report = check_gradient(problem)
    assert not report.ok
    seen = message(report, fault.check)
    assert fault.words in seen
    assert "to see it again:" in seen
    # The code to paste runs, with nothing but the problem at hand.
    for failure in report.failures:
        words, code = words_and_code(failure.message)
        if failure.check == fault.check:
            chance = "precision" in fault.check  # what float32 loses differs between machines
            require_kept(f"{fault.cls.__name__} | {fault.check}", words, is_chance=chance)
        if code:
            assert output_of(code, problem=fault.problem()).strip()


def test_every_check_of_the_modules_is_run():
    modules = (input_checks, precision_checks, row_checks, slope_checks)
    found = {vars(one)[name] for one in modules for name in vars(one) if name.startswith("check_")}
    assert set(CHECKS.values()) == found


@pytest.mark.parametrize("make", [NoGradient, lambda: linear(Right)])
@pytest.mark.parametrize("seed", range(3))
def test_what_the_faults_are_made_of_is_right(make, seed):
    check_gradient(make(), seed=seed).raise_if_failed()


def cube(w):
    return (w**3).sum()


def cube_gradient(w):
    return 3 * w**2


def wrong_cube_gradient(w):
    return 3 * w**2 + torch.tensor([0.0, 1e-3, 0.0], dtype=w.dtype)


POINT = torch.tensor([0.5, -1.5, 2.0])


@pytest.mark.parametrize("gradient", [None, cube_gradient])
def test_a_function_of_a_tensor_is_checked(gradient):
    report = check_gradient(cube, POINT, gradient)
    report.raise_if_failed()
    assert report.subject == "gradient of cube"
    assert report.outcome("mean") == "skipped"
    assert torch.equal(POINT, torch.tensor([0.5, -1.5, 2.0]))


def test_the_code_of_a_function_imports_it_and_runs_alone(capsys):
    report = check_gradient(cube, POINT, wrong_cube_gradient)
    text = message(report, "closed form")
    assert "parameters[1] = 6.751, expected 6.75, off by 0.001; 1 of 3 entries differ" in text
    assert f"from {__name__} import wrong_cube_gradient as gradient" in text
    for failure in report.failures:
        # This module's place among the tests is known here, and not to a new interpreter.
        _, code = words_and_code(failure.message)
        own = {
            f"from {__name__} import {name} as {use}": f"{use} = {name}"
            for name, use in [("cube", "loss"), ("wrong_cube_gradient", "gradient")]
        }
        for line, short in own.items():
            assert line in code
            code = code.replace(line, short)
        exec(code, {"cube": cube, "wrong_cube_gradient": wrong_cube_gradient})
        assert "# data" not in code
    closed, taylor = capsys.readouterr().out.splitlines()[0], report.failures[-1]
    assert closed == "closed form 6.751 autograd 6.75"
    assert taylor.check == "Taylor remainder"


def test_a_function_without_autograd_is_checked_by_differences():
    def loss(w):
        return float(np.sin(w.numpy()).sum())

    good = check_gradient(loss, POINT, torch.cos)
    good.raise_if_failed()
    assert good.outcome("closed form") == "skipped"
    wrong = check_gradient(loss, POINT, torch.sin)
    assert {f.check for f in wrong.failures} == {"central differences", "Taylor remainder"}
    assert "worst entry: parameters[" in message(wrong, "central differences")
    none = check_gradient(loss, POINT)
    assert "item(), detach(), numpy" in message(none, "central differences")


X = torch.tensor([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
DATA = ol.Batch(X, X.sum(1) + 1, torch.tensor([0.5, 1.0, 1.5, 1.0, 1.0]))


def weighted(parameters, batch):
    errors = batch.X @ parameters["w"] + parameters["b"] - batch.y
    return (batch.weight * errors**2).mean()


def slopes(parameters, batch):
    errors = batch.X @ parameters["w"] + parameters["b"] - batch.y
    scaled = 2 * batch.weight * errors / len(errors)
    return {"w": batch.X.T @ scaled, "b": scaled.sum()}


def test_a_function_of_parameters_and_a_batch_is_checked_over_batches():
    point = {"w": torch.tensor([0.3, -0.7]), "b": torch.tensor(0.1)}
    report = check_gradient(weighted, point, slopes, data=DATA)
    report.raise_if_failed()
    assert report.outcome("batch average") == "passed"
    assert not [r for r in report.checks if r.outcome == "skipped"]

    def unweighted(parameters, batch):
        return slopes(parameters, batch._replace(weight=torch.ones_like(batch.y)))

    text = message(check_gradient(weighted, point, unweighted, data=DATA), "closed form")
    assert "# data: those that were given" in text
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        _, code = words_and_code(text)
        code = code.replace(f"from {__name__} import weighted as loss\n", "")
        exec(code, {"loss": weighted, "gradient": unweighted, "data": DATA})
    assert shown.getvalue().startswith("closed form")


def test_a_gradient_of_ones_own_is_checked_for_a_problem():
    problem = linear(Right)

    def own(point, rows):
        return problem.gradient(point, rows)

    check_gradient(problem, gradient=own).raise_if_failed()
    report = check_gradient(problem, gradient=lambda point, rows: point)
    assert not report.ok


@pytest.mark.parametrize("at", [0.0, 1e-9, 0.25])
def test_kinks_blame_nobody(at):
    point = torch.tensor([at, 0.0, 1.0], dtype=torch.float64)
    report = check_gradient(lambda w: w.abs().sum() + (w - 0.25).relu().sum(), point)
    report.raise_if_failed()


def test_a_fault_that_is_expected_is_none_until_it_is_mended():
    reason = {"closed form": "the factor is agreed", "central differences": "it is",
              "Taylor remainder": "it is"}  # fmt: skip
    report = check_gradient(cube, POINT, lambda w: w**2, expected_failures=reason)
    assert report.ok
    assert report.outcome("closed form") == "expected failure"
    mended = check_gradient(cube, POINT, cube_gradient, expected_failures=reason)
    assert "no longer expect it to" in message(mended, "closed form")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3,), "loss must be a problem or a function of the parameters, not 3"),
        ((cube,), "parameters must be a tensor of real numbers, or a dict of such tensors"),
        ((cube, torch.tensor([1, 2])), "parameters must be a tensor of real numbers"),
        ((cube, {}), "parameters must be a tensor of real numbers"),
        ((cube, POINT, 3), "gradient must be a function of the parameters, not 3"),
        ((linear(Right), POINT), "parameters and data are a function's: a problem has its own"),
    ],
)
def test_what_cannot_be_checked_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_gradient(*arguments)


def test_networks_with_batch_norm_and_dropout_are_checked_as_far_as_can_be():
    X = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(12, 2)
    layers = [torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Tanh(),
              torch.nn.Dropout(0.5), torch.nn.Linear(3, 1)]  # fmt: skip
    network = torch.nn.Sequential(*layers).double()
    report = check_gradient(ol.ModuleProblem(network, torch.nn.MSELoss(), X, X[:, :1] ** 2))
    report.raise_if_failed()
    assert report.outcome("central differences") == "passed"
    assert report.outcome("batch average") == "skipped"


def refuses_float32(w):
    if w.dtype == torch.float32:
        raise TypeError("float64 only")
    return (w**3).sum()


def test_a_function_without_float32_is_checked_in_float64():
    report = check_gradient(refuses_float32, POINT, cube_gradient)
    report.raise_if_failed()
    assert report.outcome("single precision") == "skipped"
    wrong = check_gradient(refuses_float32, POINT, wrong_cube_gradient)
    assert "closed form" in {failure.check for failure in wrong.failures}


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda w: w.square(), "a tensor of shape (3,) in torch.float64"),
        (lambda w: w.float().sum(), "a tensor of shape () in torch.float32"),
        (lambda w: w.log().sum(), "nan at the point given"),
    ],
)
def test_a_loss_that_is_not_one_finite_number_of_its_dtype_fails(loss, words):
    report = check_gradient(loss, POINT)
    assert words in message(report, "value")


def test_a_loss_that_is_finite_nowhere_has_no_slopes_to_check():
    report = check_gradient(lambda w: w.log().sum(), -torch.ones(3))
    assert report.outcome("central differences") == "skipped"
    assert report.outcome("Taylor remainder") == "skipped"


class NotADict(NoGradient):
    def gradient(self, parameters, batch=None):
        return [2 * parameters["w"]]


class OtherName(NoGradient):
    def gradient(self, parameters, batch=None):
        return {"v": 2 * parameters["w"]}


class PlainNumber(NoGradient):
    def gradient(self, parameters, batch=None):
        return {"w": 1.0}


class LossOfFloat(NoGradient):
    def loss(self, parameters, batch=None):
        return float(super().loss(parameters, batch))


@pytest.mark.parametrize(
    ("cls", "check", "words"),
    [
        (NotADict, "gradient shapes", "list, for the parameters ['w']"),
        (OtherName, "gradient shapes", "['v'], for the parameters ['w']"),
        (PlainNumber, "gradient shapes", "w as float"),
        (LossOfFloat, "value", "a float"),
    ],
)
def test_a_gradient_or_loss_of_another_kind_is_named(cls, check, words):
    assert words in message(check_gradient(cls()), check)


LONG = torch.linspace(-1.0, 1.0, 100)


@pytest.mark.parametrize("is_at_start", [True, False])
def test_the_code_of_many_parameters_takes_them_from_where_they_are(is_at_start):
    """A gradient that is wrong at the point given, or everywhere else: 100 numbers are too long."""

    def gradient(w):
        right = 3 * w**2
        at_start = torch.equal(w, LONG.to(w))
        return right + 1e-3 if at_start == is_at_start else right

    text = message(check_gradient(cube, LONG, gradient), "closed form")
    _, code = words_and_code(text)
    assert ("near(" in code) != is_at_start
    code = code.replace(f"from {__name__} import cube as loss", "")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(code, {"parameters": LONG.double(), "loss": cube, "gradient": gradient})
    closed, autograd = map(float, re.findall(r"-?\d[\d.e+-]*", shown.getvalue()))
    assert closed - autograd == pytest.approx(1e-3)


def test_a_parameter_without_entries_is_no_fault():
    def loss(parameters):
        return parameters["b"] ** 2 + parameters["w"].sum()

    def gradient(parameters):
        return {"b": 2 * parameters["b"], "w": torch.ones_like(parameters["w"])}

    point = {"b": torch.tensor(1.5), "w": torch.zeros(0)}
    check_gradient(loss, point, gradient).raise_if_failed()

    def wrong(parameters):
        return gradient(parameters) | {"b": 3 * parameters["b"]}

    assert ".reshape((0,))" in message(check_gradient(loss, point, wrong), "closed form")


class Spoils(NoGradient):
    """Its loss changes its own data."""

    def loss(self, parameters, batch=None):
        self.X.mul_(1.5)
        return super().loss(parameters, batch)


def test_a_loss_that_changes_data_changes_a_copy_of_them():
    problem = Spoils(X=torch.ones((4, 2), dtype=torch.float64), y=torch.ones(4).double())
    assert not check_gradient(problem).ok
    assert torch.equal(problem.X, torch.ones((4, 2)).double())
