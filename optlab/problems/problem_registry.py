"""The registry of problems by name; to add one is one line here."""

from __future__ import annotations

from typing import Any

from optlab.registry import Registry

registry: Registry[type[Any]] = Registry(
    "problem",
    "optlab.problems",
    {
        "linear": "optlab.problems.linear_regression:LinearRegression",
        "logistic": "optlab.problems.losses.logistic:LogisticRegression",
        "softmax": "optlab.problems.losses.softmax:SoftmaxRegression",
        "poisson": "optlab.problems.losses.poisson:PoissonRegression",
        "huber": "optlab.problems.losses.huber:HuberRegression",
        "quantile": "optlab.problems.losses.quantile:QuantileRegression",
        "nonlinear-least-squares": (
            "optlab.problems.nonlinear_least_squares:NonlinearLeastSquares"
        ),
        "module": "optlab.problems.module_problem:ModuleProblem",
        "quadratic": "optlab.problems.functions.quadratic:Quadratic",
        "noisy-quadratic": "optlab.problems.functions.noisy_quadratic:NoisyQuadratic",
        "rosenbrock": "optlab.problems.functions.rosenbrock:Rosenbrock",
        "beale": "optlab.problems.functions.beale:Beale",
        "himmelblau": "optlab.problems.functions.himmelblau:Himmelblau",
        "rastrigin": "optlab.problems.functions.rastrigin:Rastrigin",
        "styblinski-tang": "optlab.problems.functions.styblinski_tang:StyblinskiTang",
    },
)
"""Problem classes by name, such as ``registry.get("linear")``."""
