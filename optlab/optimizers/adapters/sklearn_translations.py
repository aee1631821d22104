"""Translate a problem into the arguments with which scikit-learn's estimators minimise it.

Our objective is ``f = mean loss + l1 ||w||_1 + l2/2 ||w||^2``, without a penalty on the intercept.
Each function returns the arguments with which its estimator minimises a positive multiple of f, or
a sentence that says why there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optlab.problems import LinearRegression
from optlab.problems.losses.huber import HuberRegression
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression
from optlab.problems.losses.quantile import QuantileRegression
from optlab.problems.losses.softmax import SoftmaxRegression

Options = Mapping[str, Any]
Arguments = dict[str, Any]


def ridge(problem: Any, _: Options) -> Arguments | str:
    """Translate to ``sum of squares + alpha ||w||^2``, which is n f at ``alpha = n l2 / 2``."""
    if not isinstance(problem, LinearRegression):
        return "scikit-learn's Ridge minimises squared error only"
    if problem.l1:
        return f"scikit-learn's Ridge has no l1 penalty, and the problem has l1={problem.l1:g}"
    return {"alpha": len(problem.y) * problem.l2 / 2}


def lasso(problem: Any, _: Options) -> Arguments | str:
    """Translate to ``half the mean of squares + alpha ||w||_1``, f / 2 at ``alpha = l1 / 2``."""
    if not isinstance(problem, LinearRegression):
        return "scikit-learn's Lasso minimises squared error only"
    if problem.l2:
        return f"scikit-learn's Lasso has no l2 penalty, and the problem has l2={problem.l2:g}"
    if not problem.l1:
        return "scikit-learn's Lasso needs an l1 penalty, and the problem has none"
    return {"alpha": problem.l1 / 2}


def elastic_net(problem: Any, _: Options) -> Arguments | str:
    """Translate to ``half the mean + alpha (r ||w||_1 + (1 - r)/2 ||w||^2)``, which is f / 2."""
    if not isinstance(problem, LinearRegression):
        return "scikit-learn's ElasticNet minimises squared error only"
    if not problem.l1:
        return "scikit-learn's ElasticNet needs an l1 penalty, and the problem has none: take Ridge"
    return {"alpha": (problem.l1 + problem.l2) / 2, "l1_ratio": _ratio(problem)}


def logistic(problem: Any, options: Options) -> Arguments | str:
    """Translate to ``C sum of losses + r ||w||_1 + (1 - r)/2 ||w||^2``, which is n C f."""
    if isinstance(problem, SoftmaxRegression) and problem.loss_function.outputs == (2,):
        return (
            "scikit-learn's LogisticRegression has one weight a feature for two classes, and "
            "SoftmaxRegression two: take optlab.LogisticRegression"
        )
    if not isinstance(problem, LogisticRegression | SoftmaxRegression):
        return "scikit-learn's LogisticRegression minimises log loss only"
    solver = options.get("solver", "lbfgs")
    if solver == "liblinear":
        if problem.fit_intercept:
            return (
                "scikit-learn's solver liblinear penalises the intercept, and the problem does not"
            )
        if isinstance(problem, SoftmaxRegression):
            return "scikit-learn's solver liblinear fits one class against the rest, no softmax"
        if not (problem.l1 or problem.l2) or (problem.l1 and problem.l2):
            return "scikit-learn's solver liblinear needs an l1 or an l2 penalty, one of the two"
    elif problem.l1 and solver != "saga":
        return f"scikit-learn's solver {solver} has no l1 penalty: take solver='saga'"
    strength = problem.l1 + problem.l2
    if not strength:
        return {"C": np.inf}
    return {"C": 1 / (len(problem.y) * strength), "l1_ratio": _ratio(problem)}


def poisson(problem: Any, _: Options) -> Arguments | str:
    """Translate to ``mean of half the deviance + alpha/2 ||w||^2``, f at ``alpha = l2``."""
    if not isinstance(problem, PoissonRegression):
        return "scikit-learn's PoissonRegressor minimises the Poisson deviance only"
    if problem.l1:
        return (
            f"scikit-learn's PoissonRegressor has no l1 penalty, and the problem has "
            f"l1={problem.l1:g}"
        )
    return {"alpha": problem.l2}


def quantile(problem: Any, _: Options) -> Arguments | str:
    """Translate to ``mean pinball loss + alpha ||w||_1``, which is f at ``alpha = l1``."""
    loss: Any = getattr(problem, "loss_function", None)
    if not isinstance(problem, QuantileRegression):
        return "scikit-learn's QuantileRegressor minimises the pinball loss only"
    if problem.l2:
        return (
            f"scikit-learn's QuantileRegressor has no l2 penalty, and the problem has "
            f"l2={problem.l2:g}"
        )
    return {"alpha": problem.l1, "quantile": loss.quantile}


def huber(problem: Any, _: Options) -> Arguments | str:
    """Say why HuberRegressor minimises no problem of ours."""
    return (
        "scikit-learn's HuberRegressor estimates a scale of the residuals together with the "
        "weights, which is another problem than a fixed threshold; SGDRegressor minimises this one"
        if isinstance(problem, HuberRegression)
        else "scikit-learn's HuberRegressor minimises Huber's loss with a scale that it estimates"
    )


def sgd_regressor(problem: Any, options: Options) -> Arguments | str:
    """Translate to ``mean loss + alpha (r ||w||_1 + (1 - r)/2 ||w||^2)``, a multiple of f.

    Its squared error is half of ours, and its absolute error twice our pinball loss of the median.
    """
    times = 1.0
    arguments: Arguments = {}
    loss: Any = getattr(problem, "loss_function", None)
    if isinstance(problem, LinearRegression):
        times, arguments = 0.5, {"loss": "squared_error"}
    elif isinstance(problem, HuberRegression):
        arguments = {"loss": "huber", "epsilon": loss.delta}
    elif isinstance(problem, QuantileRegression) and loss.quantile == 0.5:
        times, arguments = 2.0, {"loss": "epsilon_insensitive", "epsilon": 0.0}
    else:
        return (
            "scikit-learn's SGDRegressor minimises squared error, Huber's loss and the absolute "
            "error (the quantile 0.5) only"
        )
    return _sgd_penalty(problem, options, times, arguments, "invscaling")


def sgd_classifier(problem: Any, options: Options) -> Arguments | str:
    """Translate to ``mean log loss + alpha (r ||w||_1 + (1 - r)/2 ||w||^2)``, which is f."""
    if not isinstance(problem, LogisticRegression):
        return "scikit-learn's SGDClassifier is translated for log loss of two classes only"
    return _sgd_penalty(problem, options, 1.0, {"loss": "log_loss"}, "optimal")


def _sgd_penalty(
    problem: Any, options: Options, times: float, arguments: Arguments, default: str
) -> Arguments | str:
    strength = times * (problem.l1 + problem.l2)
    if not strength:
        if options.get("learning_rate", default) == "optimal":
            return "scikit-learn's learning_rate='optimal' needs a penalty: choose another"
        return arguments | {"penalty": None}
    return arguments | {"penalty": "elasticnet", "alpha": strength, "l1_ratio": _ratio(problem)}


def _ratio(problem: Any) -> float:
    ratio: float = problem.l1 / (problem.l1 + problem.l2)
    return ratio


TRANSLATIONS: Mapping[str, Callable[[Any, Options], Arguments | str]] = {
    "Ridge": ridge,
    "Lasso": lasso,
    "ElasticNet": elastic_net,
    "LogisticRegression": logistic,
    "PoissonRegressor": poisson,
    "QuantileRegressor": quantile,
    "HuberRegressor": huber,
    "SGDRegressor": sgd_regressor,
    "SGDClassifier": sgd_classifier,
}
"""The translations by the estimator's class."""

OF_THE_PROBLEM = {
    "alpha", "C", "l1_ratio", "penalty", "fit_intercept", "quantile", "epsilon", "class_weight",
    "positive", "intercept_scaling", "dual", "loss",
}  # fmt: skip
"""Arguments of estimators that say which problem is solved, not how."""
