"""Problems of every kind, small: what a method does not refuse, it must run on."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.datasets import nist_nonlinear
from optlab.problems import Batch, Evaluation, LinearRegression, Parameters, Reference
from optlab.problems.capabilities import gradient
from optlab.problems.functions.rosenbrock import Rosenbrock
from optlab.problems.losses.huber import HuberRegression
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression
from optlab.problems.losses.quantile import QuantileRegression
from optlab.problems.losses.softmax import SoftmaxRegression
from optlab.problems.module_problem import ModuleProblem
from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares
from optlab.testing.conformance.small_data import small_data


class LossAlone:
    """A problem with nothing but a loss: a matrix and a level, no closed gradient, no reference."""

    name = "a loss alone"

    def __init__(self, X: Tensor, y: Tensor) -> None:
        self.data = Batch(X, y)

    def __repr__(self) -> str:
        return "LossAlone(X, y)"

    def loss(self, parameters: Parameters, batch: Batch | None = None) -> Tensor:
        """Return the mean of squared sines."""
        X, y, _ = batch or self.data
        eta = X @ parameters["matrix"].sum(1) + parameters["level"].mean()
        return (eta.sin() - y).square().mean()

    def start(self, generator: torch.Generator) -> Parameters:
        """Draw the matrix, and set the level to zero."""
        drawn = torch.randn(self.data.X.shape[1], 2, generator=generator)
        return {"matrix": drawn.to(self.data.X), "level": self.data.X.new_zeros(4)}

    def to(self, device: Any, dtype: torch.dtype, *, copy: bool = False) -> LossAlone:
        """Return the problem on another device or in another dtype."""
        return LossAlone(*(part.to(device, dtype, copy=copy) for part in self.data[:2]))

    def reference(self) -> Reference | None:
        """Return None: there is none."""
        return None

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point by loss and gradient."""
        slopes = gradient(self, parameters).values()
        norm = math.sqrt(sum(float(slope.pow(2).sum()) for slope in slopes))
        return Evaluation(float(self.loss(parameters)), math.nan, norm, math.nan)


@cache
def odd_problems() -> dict[str, Any]:
    """Return problems that methods forget."""
    X, y = small_data(11)
    return {
        "a problem with a loss alone": LossAlone(X, y / 4),
        "a lasso": LinearRegression(X, y, l1=0.1),
        "a ridge": LinearRegression(X, y, l2=0.1),
        "fewer rows than columns": LinearRegression(X.T.contiguous(), y[:3]),
        "one row": LinearRegression(X[:1], y[:1]),
    }


@cache
def usual_problems() -> dict[str, Any]:
    """Return a problem of each kind of the lab, penalised and weighted ones too."""
    X, y = small_data(12)
    labels, counts = (y > y.median()).double(), y.abs().round()
    classes = torch.arange(len(y)) % 3
    weights = torch.tensor([2.0, 1.0, 0.0, 1.0, 3.0, 1.0, 1.0]).double()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    return {
        "weighted rows": LinearRegression(X, y, sample_weight=weights),
        "an elastic net": LinearRegression(X, y, l1=0.1, l2=0.1),
        "a logistic regression": LogisticRegression(X, labels, l2=0.1),
        "a logistic regression with l1": LogisticRegression(X, labels, l1=0.1),
        "a softmax regression": SoftmaxRegression(X, classes, l2=0.1),
        "a Poisson regression": PoissonRegression(X, counts, l2=0.1),
        "a Huber regression": HuberRegression(X, y),
        "a quantile regression": QuantileRegression(X, y),
        "a nonlinear curve": NonlinearLeastSquares.from_dataset(nist_nonlinear("Misra1a")),
        "a function of two variables": Rosenbrock(),
        "a network": ModuleProblem(
            net, torch.nn.MSELoss(), np.asarray(X.float()), np.asarray(y.float())[:, None]
        ),
    }
