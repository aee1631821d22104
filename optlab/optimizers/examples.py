"""Examples of every optimizer of the lab, at several settings: what checks and tables run over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from optlab.optimizers import schedules
from optlab.optimizers.adapters.scipy_minimize import METHODS
from optlab.optimizers.adapters.sklearn_estimator import SklearnEstimator
from optlab.optimizers.adapters.torch_optimizer import TorchOptimizer
from optlab.optimizers.cuda_graph import CUDAGraph
from optlab.optimizers.first_order.adam import Adam
from optlab.optimizers.first_order.averaged import Averaged
from optlab.optimizers.first_order.clipped import Clipped
from optlab.optimizers.first_order.heavy_ball import HeavyBall
from optlab.optimizers.first_order.sgd import SGD
from optlab.optimizers.optimizer import Optimizer
from optlab.optimizers.optimizer_registry import registry

SETTINGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "manual-sgd": ({"learning_rate": 0.1},),
    "analytic-sgd": ({"learning_rate": 0.1},),
    "fused-sgd": (
        {"learning_rate": 0.1},
        {"learning_rate": 0.02, "momentum": 0.9},
        {"learning_rate": 0.02, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
        {"learning_rate": 0.1, "fastmath": True},
    ),
    "torch-sgd": (
        {"learning_rate": 0.1},
        {"learning_rate": 0.02, "momentum": 0.9},
        {"learning_rate": 0.02, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
    ),
    "sgd": ({"learning_rate": 0.1}, {"learning_rate": schedules.InverseTime(0.1, decay=0.1)}),
    "fused-adam": ({"learning_rate": 0.05, "epsilon": 0.1, "weight_decay": 0.1},),
    "heavy-ball": ({"learning_rate": 0.05, "momentum": 0.5}, {"momentum": 0.0}),
    "nesterov": (
        {"learning_rate": 0.05, "momentum": 0.5},
        {"learning_rate": schedules.Cosine(0.05, epochs=1000)},
    ),
    "adagrad": ({"learning_rate": 0.1, "epsilon": 0.1},),
    "rmsprop": ({"learning_rate": 0.01, "decay": 0.9, "epsilon": 0.1},),
    "adam": (
        {"learning_rate": 0.05, "beta1": 0.5, "beta2": 0.9, "epsilon": 0.1},
        {"learning_rate": schedules.Cosine(0.05, epochs=1000)},
    ),
    "adamw": ({"learning_rate": 0.05, "epsilon": 0.1, "weight_decay": 0.1},),
    "lion": ({"learning_rate": 0.01, "beta1": 0.5, "weight_decay": 0.1},),
    "saga": ({"learning_rate": 0.05},),
    "svrg": ({"learning_rate": 0.05},),
    "barzilai-borwein": ({"step": "short"}, {"memory": 1}),
    "fista": ({"restart": False},),
    "lstsq": tuple({"driver": driver} for driver in ("gels", "gelsy", "gelsd", "gelss")),
    "refined-lstsq": ({"route": "fast"}, {"route": "full"}),
    "streaming-lstsq": ({"block_rows": 2}, {"refinement_passes": 0}),
    "lbfgs": ({"history_size": 2, "learning_rate": 0.5},),
    "levenberg-marquardt": ({"initial_radius": 10.0},),
    "scipy-least-squares": (
        {"method": "dogbox"},
        {"method": "lm"},
        {"jacobian": "3-point", "scale": "none"},
    ),
    "sklearn": ({"tol": 1e-12},),
    "torch-adam": ({"lr": 0.05, "eps": 0.1, "weight_decay": 0.1}, {"amsgrad": True}),
    "torch-adamw": ({"lr": 0.05, "weight_decay": 0.0},),
    "torch-rmsprop": ({"momentum": 0.5, "centered": True}, {"eps": 0.1}),
    "torch-adagrad": ({"lr": 0.1, "lr_decay": 0.1},),
    "torch-lbfgs": ({"line_search_fn": "strong_wolfe", "max_iter": 3},),
    "scipy-minimize": tuple({"method": method} for method in METHODS if method != "L-BFGS-B"),
}
"""Settings beside the default ones, by the name of a registered optimizer."""


def examples() -> dict[str, Optimizer]:
    """Return every registered optimizer at its default and at other settings, and the adapters.

    A registered optimizer is here by being registered, with its default settings. Labels are code.

    Examples
    --------
    >>> [label for label in examples() if label.startswith("heavy-ball")]
    ['heavy-ball', 'heavy-ball(learning_rate=0.05, momentum=0.5)', 'heavy-ball(momentum=0.0)']
    """
    found: dict[str, Optimizer] = {}
    for name, cls in registry.items():
        found[name] = cls()
        for settings in SETTINGS.get(name, ()):
            given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
            found[f"{name}({given})"] = cls(**settings)
    return found | _wrappers() | _of_torch() | _of_sklearn()


def _wrappers() -> dict[str, Optimizer]:
    return {
        "clipped(SGD)": Clipped(SGD(0.1), max_norm=0.5),
        "clipped(Adam)": Clipped(Adam(0.05, epsilon=0.1), max_norm=0.5),
        "averaged(SGD)": Averaged(SGD(0.1)),
        "averaged(HeavyBall)": Averaged(HeavyBall(0.02), from_epoch=2),
        "cuda-graph(SGD)": CUDAGraph(SGD(0.1)),
    }


def _of_torch() -> dict[str, Optimizer]:
    """Return torch's classes by the adapter, each at other settings than the default ones."""
    optim = torch.optim
    falling = partial(optim.lr_scheduler.StepLR, step_size=50, gamma=0.9)
    made = [
        TorchOptimizer(optim.SGD, lr=0.1),
        TorchOptimizer(optim.SGD, lr=0.02, momentum=0.9, dampening=0.5),
        TorchOptimizer(optim.SGD, lr=0.1, scheduler=falling),
        TorchOptimizer(optim.Adam, lr=0.05, betas=(0.5, 0.9), eps=0.1),
        TorchOptimizer(optim.Adamax, lr=0.05),
        TorchOptimizer(optim.NAdam, lr=0.05),
        TorchOptimizer(optim.RAdam, lr=0.05),
        TorchOptimizer(optim.Adadelta, lr=1.0),
        TorchOptimizer(optim.ASGD, lr=0.05),
        TorchOptimizer(optim.Rprop, lr=0.01),
    ]
    labels = [
        f"torch {one.cls.__name__}({', '.join(f'{k}={v!r}' for k, v in one.options.items())}"
        + (", scheduler=StepLR)" if one.scheduler else ")")
        for one in made
    ]
    return dict(zip(labels, made, strict=True))


def _of_sklearn() -> dict[str, Optimizer]:
    """Return scikit-learn's estimators by the adapter."""
    # A second of import, which only those pay who use it.
    from sklearn import linear_model as sk  # noqa: PLC0415

    estimators = [
        *(sk.Ridge(solver=solver) for solver in ("svd", "cholesky", "lsqr", "sparse_cg")),
        sk.Lasso(tol=1e-10),
        sk.ElasticNet(tol=1e-10, selection="random", random_state=0),
        *(sk.LogisticRegression(solver=s) for s in ("lbfgs", "newton-cg", "newton-cholesky")),
        sk.PoissonRegressor(),
        sk.QuantileRegressor(),
        sk.SGDRegressor(),
        sk.SGDRegressor(learning_rate="constant", eta0=0.05, random_state=0),
        sk.SGDClassifier(),
    ]
    return {f"sklearn {estimator!r}": SklearnEstimator(estimator) for estimator in estimators}
