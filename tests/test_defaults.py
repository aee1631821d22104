"""Defaults and kinds of optimizers, losses and problems are those that the documents name."""

import dataclasses
import inspect
import math

import numpy as np
import pytest
import torch

import optlab as ol
from optlab.optimizers import registry
from optlab.optimizers.linear_descent import linear_descent
from optlab.optimizers.rate_text import RateFormula
from optlab.optimizers.search_space import default_space, with_hyperparameters
from optlab.problems.losses.huber import Huber
from optlab.problems.losses.logistic import Logistic
from optlab.problems.losses.loss import Loss
from optlab.problems.losses.poisson import Poisson
from optlab.problems.losses.quantile import Quantile
from optlab.problems.losses.softmax import Softmax
from optlab.problems.losses.squared import Squared
from optlab.testing import plain_rules as plain
from optlab.testing import signature
from optlab.testing.known_rules import known_rule

DESCENT = {"learning_rate": 1e-3}
MOMENTUM = DESCENT | {"momentum": 0.9}
ADAM = DESCENT | {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
PLAIN = DESCENT | {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
FUSED = {"weight_decay": 0.0, "fastmath": False}


def defaults(cls):
    return {
        field.name: field.default
        if field.default is not dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(cls)
    }


def test_optimizers_that_visit_batches_have_these_defaults():
    expected = {
        ol.ManualSGD: DESCENT, ol.AnalyticSGD: DESCENT, ol.SGD: DESCENT, ol.SVRG: DESCENT,
        ol.HeavyBall: MOMENTUM, ol.Nesterov: MOMENTUM, ol.TorchSGD: PLAIN,
        ol.FusedSGD: PLAIN | FUSED, ol.Adam: ADAM, ol.FusedAdam: ADAM | FUSED,
        ol.AdamW: ADAM | {"weight_decay": 0.01},
        ol.AdaGrad: {"learning_rate": 0.01, "epsilon": 1e-10},
        ol.RMSprop: DESCENT | {"decay": 0.99, "epsilon": 1e-8},
        ol.Lion: {"learning_rate": 1e-4, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0},
        ol.SAGA: {"learning_rate": None}, ol.SDCA: {},
    }  # fmt: skip
    for cls, own in expected.items():
        assert defaults(cls) == own, cls
        assert cls.uses_batches is True, cls
        assert not getattr(cls, "direct", False), cls


def test_optimizers_of_all_data_have_these_defaults_and_answer_once_or_step_by_step():
    stepwise = {
        ol.CoordinateDescent: {}, ol.ExactLineSearch: {}, ol.PolyakStep: {}, ol.CGLS: {},
        ol.LSQR: {}, ol.GaussNewton: {}, ol.ProximalGradient: {}, ol.FISTA: {"restart": True},
        ol.BarzilaiBorwein: {"step": "long", "memory": 10}, ol.Newton: {"most_parameters": 2000},
        ol.LBFGS: {"history_size": 10, "learning_rate": 1.0},
        ol.LevenbergMarquardt: {"initial_radius": 1.0, "geodesic": False},
        ol.ScipyLeastSquares: {
            "method": "trf", "jacobian": "exact", "scale": "jac", "tolerance": None,
            "max_evaluations": None,
        },
        ol.ScipyMinimize: {"method": "L-BFGS-B", "tol": None, "options": {}},
    }  # fmt: skip
    at_once = {
        ol.Lstsq: {"driver": None}, ol.RefinedLstsq: {"route": "auto"}, ol.QR: {},
        ol.StreamingLstsq: {"block_rows": None, "refinement_passes": 1},
        ol.NormalEquations: {}, ol.SklearnLinearRegression: {"tol": None},
    }  # fmt: skip
    for cls, own in (stepwise | at_once).items():
        assert defaults(cls) == own, cls
        assert cls.uses_batches is False, cls
        assert getattr(cls, "direct", True) is (cls in at_once), cls
    named = {cls for _, cls in registry.items() if inspect.isclass(cls)}
    assert (stepwise | at_once).keys() <= named


def test_wrappers_and_adapters_visit_batches_as_what_they_hold():
    assert ol.Averaged(ol.SGD(0.1)).uses_batches
    assert ol.Clipped(ol.SGD(0.1), 1.0).uses_batches
    assert ol.CUDAGraph().uses_batches
    assert ol.CUDAGraph().rule == ol.SGD()


def test_optimizers_that_evaluate_the_loss_more_often_say_so():
    more = ol.BarzilaiBorwein, ol.LBFGS, ol.ProximalGradient, ol.FISTA, ol.Newton, ol.ScipyMinimize
    for cls in (*more, ol.SVRG):
        assert cls.extra_evaluations is True, cls
    for cls in (ol.SGD, ol.SAGA, ol.PolyakStep, ol.CGLS):
        assert not getattr(cls, "extra_evaluations", False), cls


def test_optimizers_say_how_far_a_stable_run_may_grow():
    never = ol.ExactLineSearch, ol.LSQR, ol.CoordinateDescent, ol.CGLS, ol.ProximalGradient
    for cls in (*never, ol.SVRG, ol.SAGA):
        assert cls().stable_growth() == 1.0, cls
    assert linear_descent(ol.HeavyBall(0.1, 0.5)).growth() == 9.0


FACTS = {  # is_of_residual, steepest, has_bounds, kink, growth, outputs
    Squared(): (True, 2.0, True, None, None, ()),
    Huber(1.5): (True, 1.0, True, None, (1.5, 1.125), ()),
    Quantile(0.25): (True, math.inf, True, (-0.75, 0.25), None, ()),
    Logistic(): (False, 0.25, True, None, None, ()),
    Poisson(): (False, math.inf, True, None, None, ()),
    Softmax(3): (False, 0.5, True, None, None, (3,)),
}


@pytest.mark.parametrize("loss", FACTS, ids=lambda loss: type(loss).__name__)
def test_losses_have_these_facts(loss):
    own = loss.is_of_residual, loss.steepest, loss.has_bounds, loss.kink, loss.growth, loss.outputs
    assert own == FACTS[loss]
    assert (Loss.is_of_residual, Loss.steepest, Loss.has_bounds) == (False, math.inf, False)


def test_problems_have_these_defaults():
    assert inspect.signature(ol.HuberRegression).parameters["delta"].default == 1.35
    assert inspect.signature(ol.QuantileRegression).parameters["quantile"].default == 0.5
    linear = inspect.signature(ol.LinearRegression).parameters
    assert [linear[name].default for name in ("fit_intercept", "l1", "l2")] == [True, 0.0, 0.0]
    assert inspect.signature(ol.NoisyQuadratic).parameters["rows"].default == 1024
    assert inspect.signature(ol.NoisyQuadratic).parameters["seed"].default == 0
    generator = torch.Generator().manual_seed(0)
    for cls in (ol.Rosenbrock, ol.Rastrigin, ol.StyblinskiTang, ol.Beale, ol.Himmelblau):
        assert sum(value.numel() for value in cls().start(generator).values()) == 2, cls
    quadratic = ol.Quadratic()
    assert quadratic.lipschitz() == 10.0
    assert quadratic.is_quadratic
    assert ol.NoisyQuadratic().is_quadratic


def test_ranges_in_which_optimizers_are_tuned():
    rates, momenta = ol.LogUniform(1e-4, 10.0), ol.OneMinus(ol.LogUniform(0.01, 1.0))
    assert default_space(ol.SGD(0.1)) == {"learning_rate": rates}
    assert default_space(ol.TorchSGD(0.1, momentum=0.5)) == {
        "learning_rate": rates, "momentum": momenta,
    }  # fmt: skip
    assert default_space(ol.TorchSGD(0.1)) == {"learning_rate": rates}  # no momentum: none is tuned
    assert default_space(ol.Averaged(ol.HeavyBall())) == {
        "rule.learning_rate": rates, "rule.momentum": momenta,
    }  # fmt: skip
    assert default_space(ol.SGD(ol.schedules.Cosine(0.1, epochs=9))) == {}
    averaged = with_hyperparameters(
        ol.Averaged(ol.HeavyBall()), {"rule.learning_rate": 0.5, "rule.momentum": 0.25}
    )
    assert averaged.rule == ol.HeavyBall(0.5, 0.25)
    with pytest.raises(ValueError, match=r"has no hyperparameter 'rat': .*it has learning_rate$"):
        with_hyperparameters(ol.SGD(0.1), {"rat": 1.0})
    with pytest.raises(ValueError, match="QR has no hyperparameter 'rate': it has none"):
        with_hyperparameters(ol.QR(), {"rate": 1.0})
    with pytest.raises(ValueError, match=r"it has none$"):
        with_hyperparameters(object(), {"rate": 1.0})


def test_a_representation_names_what_a_problem_has_and_nothing_else():
    X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0]
    plain = "LinearRegression('data', n=3, d=1, float64, cpu"
    assert repr(ol.LinearRegression(X, y)) == f"{plain})"
    every = ol.LinearRegression(
        X, y, l1=0.5, l2=0.25, fit_intercept=False, sample_weight=[1.0, 2.0, 3.0],
        validation=(X[:2], y[:2]),
    )  # fmt: skip
    assert repr(every) == f"{plain}, no intercept, l1=0.5, l2=0.25, weighted, validation=2)"
    assert repr(ol.LinearRegression(X, y, l2=2.0)) == f"{plain}, l2=2)"


def test_the_minimum_of_a_function_is_known_to_two_ulps():
    assert ol.Rosenbrock().reference().bound == 0.0
    known = ol.StyblinskiTang().reference()
    assert known.loss < -78
    assert known.bound == 2 * math.ulp(known.loss)


@pytest.mark.parametrize(
    ("cls", "rule"),
    [
        (torch.optim.AdamW, plain.adam(1e-3, 0.9, 0.999, 1e-8, weight_decay=0.01)),
        (torch.optim.Adam, plain.adam(1e-3, 0.9, 0.999, 1e-8)),
        (torch.optim.RMSprop, plain.rmsprop(1e-2, 0.99, 1e-8)),
        (torch.optim.Adagrad, plain.adagrad(1e-2, 1e-10)),
    ],
)
def test_rules_of_torch_have_its_defaults(cls, rule):
    X, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 0.0, 3.0])
    start, epochs = np.array([5.0, -3.0]), [[(X, y)]] * 3
    found = known_rule(ol.TorchOptimizer(cls)).descend(epochs, start)
    np.testing.assert_array_equal(found, rule.descend(epochs, start))


@pytest.mark.parametrize("text", ["1/L", "0.5/L", "2/(L+mu)"])
def test_a_formula_is_written_as_it_is_read(text):
    assert str(RateFormula.of(text)) == text
    assert str(RateFormula.of(text.replace("/", " / ").replace("+", " + "))) == text


def test_the_digits_of_an_invariance_are_15_where_it_is_exact():
    assert max(signature(ol.SGD(0.1)).digits.values()) == 15.0
