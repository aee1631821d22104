"""The registry of optimizers by name; to add one is one line here."""

from __future__ import annotations

from typing import Any

import torch

from optlab.registry import Registry


def _of_torch(found: Any) -> Any:
    """Return a torch optimizer's class as one of ours, and anything else as it is."""
    # Imported here, as the adapter itself imports this package.
    from optlab.optimizers.adapters.torch_methods import torch_method  # noqa: PLC0415

    is_torch = isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
    return torch_method(found) if is_torch else found


registry: Registry[type[Any]] = Registry(
    "optimizer",
    "optlab.optimizers",
    {
        "manual-sgd": "optlab.optimizers.manual_sgd:ManualSGD",
        "analytic-sgd": "optlab.optimizers.analytic_sgd:AnalyticSGD",
        "fused-adam": "optlab.optimizers.fused.fused_adam:FusedAdam",
        "fused-sgd": "optlab.optimizers.fused.fused_sgd:FusedSGD",
        "torch-sgd": "optlab.optimizers.torch_sgd:TorchSGD",
        "sgd": "optlab.optimizers.first_order.sgd:SGD",
        "heavy-ball": "optlab.optimizers.first_order.heavy_ball:HeavyBall",
        "nesterov": "optlab.optimizers.first_order.nesterov:Nesterov",
        "adagrad": "optlab.optimizers.first_order.adagrad:AdaGrad",
        "rmsprop": "optlab.optimizers.first_order.rmsprop:RMSprop",
        "adam": "optlab.optimizers.first_order.adam:Adam",
        "adamw": "optlab.optimizers.first_order.adamw:AdamW",
        "lion": "optlab.optimizers.first_order.lion:Lion",
        "coordinate-descent": "optlab.optimizers.coordinate_descent:CoordinateDescent",
        "saga": "optlab.optimizers.saga:SAGA",
        "sdca": "optlab.optimizers.sdca:SDCA",
        "svrg": "optlab.optimizers.svrg:SVRG",
        "exact-line-search": "optlab.optimizers.exact_line_search:ExactLineSearch",
        "barzilai-borwein": "optlab.optimizers.barzilai_borwein:BarzilaiBorwein",
        "polyak-step": "optlab.optimizers.polyak_step:PolyakStep",
        "proximal-gradient": "optlab.optimizers.proximal_gradient:ProximalGradient",
        "fista": "optlab.optimizers.fista:FISTA",
        "cgls": "optlab.optimizers.cgls:CGLS",
        "lsqr": "optlab.optimizers.lsqr:LSQR",
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
        "torch-adam": "torch.optim:Adam",
        "torch-adamw": "torch.optim:AdamW",
        "torch-rmsprop": "torch.optim:RMSprop",
        "torch-adagrad": "torch.optim:Adagrad",
        "torch-lbfgs": "torch.optim:LBFGS",
        "scipy-minimize": "optlab.optimizers.adapters.scipy_minimize:ScipyMinimize",
    },
    convert=_of_torch,
)
"""Optimizer classes by name, such as ``registry.get("lstsq")``, or by place, ``module:Class``.

Classes of `torch.optim` become optimizers here, with torch's arguments as hyperparameters.
"""

register = registry.register
