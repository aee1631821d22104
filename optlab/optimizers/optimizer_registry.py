"""The registry of optimizers by name; to add one is one line here."""

from __future__ import annotations

from typing import Any

from optlab.registry import Registry

registry: Registry[type[Any]] = Registry(
    "optimizer",
    "optlab.optimizers",
    {
        "manual-sgd": "optlab.optimizers.manual_sgd:ManualSGD",
        "analytic-sgd": "optlab.optimizers.analytic_sgd:AnalyticSGD",
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
        "sklearn": "optlab.optimizers.sklearn_linear_regression:SklearnLinearRegression",
    },
)
"""Optimizer classes by name, such as ``registry.get("lstsq")``."""

register = registry.register
