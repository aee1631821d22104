"""The registry of optimizers by name; to add one is one line here."""

from __future__ import annotations

from typing import Any

from optlab.registry import Registry

registry: Registry[type[Any]] = Registry(
    "optimizer",
    "optlab.optimizers",
    {
        "manual-sgd": "optlab.optimizers.manual_sgd:ManualSGD",
        "torch-sgd": "optlab.optimizers.torch_sgd:TorchSGD",
        "lstsq": "optlab.optimizers.lstsq:Lstsq",
        "refined-lstsq": "optlab.optimizers.refined_lstsq:RefinedLstsq",
        "streaming-lstsq": "optlab.optimizers.streaming_lstsq:StreamingLstsq",
        "normal-equations": "optlab.optimizers.normal_equations:NormalEquations",
        "qr": "optlab.optimizers.qr:QR",
        "newton": "optlab.optimizers.newton:Newton",
        "lbfgs": "optlab.optimizers.lbfgs:LBFGS",
        "gauss-newton": "optlab.optimizers.gauss_newton:GaussNewton",
        "levenberg-marquardt": "optlab.optimizers.levenberg_marquardt:LevenbergMarquardt",
        "scipy-least-squares": ("optlab.optimizers.adapters.scipy_least_squares:ScipyLeastSquares"),
        "sklearn": "optlab.optimizers.sklearn_linear_regression:SklearnLinearRegression",
    },
)
"""Optimizer classes by name, such as ``registry.get("lstsq")``."""

register = registry.register
