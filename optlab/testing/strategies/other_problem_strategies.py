"""Strategies of curves, functions, modules, and of problems of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from optlab.problems.functions.beale import Beale
from optlab.problems.functions.himmelblau import Himmelblau
from optlab.problems.functions.noisy_quadratic import NoisyQuadratic
from optlab.problems.functions.quadratic import Quadratic
from optlab.problems.functions.rastrigin import Rastrigin
from optlab.problems.functions.rosenbrock import Rosenbrock
from optlab.problems.functions.styblinski_tang import StyblinskiTang
from optlab.problems.module_problem import ModuleProblem
from optlab.problems.nonlinear_least_squares import NonlinearLeastSquares
from optlab.problems.problem import Parameters, Problem
from optlab.testing.strategies.kinds import dtypes
from optlab.testing.strategies.linear_strategies import convex_problems, least_squares


def decay(parameters: Parameters, x: Tensor) -> Tensor:
    """Return exponential decay, ``height exp(-rate x)``."""
    return parameters["height"] * torch.exp(-parameters["rate"] * x)


def saturation(parameters: Parameters, x: Tensor) -> Tensor:
    """Return Michaelis and Menten's curve, ``height x / (rate + x)``."""
    return parameters["height"] * x / (parameters["rate"] + x)


def logistic_growth(parameters: Parameters, x: Tensor) -> Tensor:
    """Return logistic growth, ``height / (1 + exp(-rate (x - 1)))``."""
    return parameters["height"] * torch.sigmoid(parameters["rate"] * (x - 1))


CURVES = {"decay": decay, "saturation": saturation, "logistic growth": logistic_growth}
"""The models of `curves` by name, each of ``height`` and ``rate``."""


@st.composite
def curves(
    draw: st.DrawFn, *, max_rows: int = 12, dtype: st.SearchStrategy[torch.dtype] | None = None
) -> NonlinearLeastSquares:
    """Strategy of small curves: `NonlinearLeastSquares` of a height and a rate, with noise.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(curves(), lambda problem: True)
    NonlinearLeastSquares('decay seed=0 noise=0', n=4, p=2, float64, cpu)
    """
    name = draw(st.sampled_from(sorted(CURVES)))
    n, seed = draw(st.integers(4, max_rows)), draw(st.integers(0, 2**16))
    noise = draw(st.sampled_from([0.0, 1e-2]))
    draws = np.random.default_rng(seed)
    height, rate = draws.uniform(1.0, 4.0), draws.uniform(0.5, 2.0)
    truth = {"height": torch.tensor(height), "rate": torch.tensor(rate)}
    x = torch.linspace(0.25, 4.0, n, dtype=torch.float64)
    y = CURVES[name]({k: v.double() for k, v in truth.items()}, x)
    problem = NonlinearLeastSquares(
        CURVES[name],
        x,
        y + noise * torch.from_numpy(draws.normal(size=n)),
        start={"height": 1.2 * height, "rate": 0.8 * rate},
        name=f"{name} seed={seed} noise={noise:g}",
    )
    return problem.to("cpu", draw(dtypes() if dtype is None else dtype))


BENCHMARKS: dict[str, Any] = {
    "rosenbrock": Rosenbrock,
    "beale": Beale,
    "himmelblau": Himmelblau,
    "rastrigin": Rastrigin,
    "styblinski-tang": StyblinskiTang,
}
"""The benchmark functions of `functions` by name."""


@st.composite
def functions(draw: st.DrawFn, *, dtype: st.SearchStrategy[torch.dtype] | None = None) -> Problem:
    """Strategy of functions with a known minimum: quadratics, and the benchmark functions.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(functions(), lambda problem: True)
    Quadratic('quadratic condition=1', d=1, float64, cpu)
    """
    # All is drawn whatever the kind, so that every kind is equally simple to shrink to.
    kind = draw(st.sampled_from(["quadratic", "noisy quadratic", *BENCHMARKS]))
    d, condition = draw(st.integers(1, 4)), draw(st.sampled_from([1.0, 10.0, 1e4]))
    rows, seed = 2 * draw(st.integers(d + 1, 8)), draw(st.integers(0, 2**16))
    eigenvalues = np.geomspace(1.0, 1.0 / condition, d)
    problem: Any
    if kind == "quadratic":
        problem = Quadratic(eigenvalues, name=f"quadratic condition={condition:g}")
    elif kind == "noisy quadratic":
        name = f"noisy quadratic condition={condition:g} seed={seed}"
        problem = NoisyQuadratic(eigenvalues, rows=rows, seed=seed, name=name)
    else:
        problem = BENCHMARKS[kind]()
    moved: Problem = problem.to("cpu", draw(dtypes() if dtype is None else dtype))
    return moved


@st.composite
def modules(
    draw: st.DrawFn, *, max_rows: int = 12, dtype: st.SearchStrategy[torch.dtype] | None = None
) -> ModuleProblem:
    """Strategy of small networks: `ModuleProblem` for numbers or classes, with one hidden layer.

    Examples
    --------
    >>> from hypothesis import Phase, find, settings
    >>> first = settings(phases=[Phase.generate], database=None)
    >>> find(modules(), lambda problem: True, settings=first)
    ModuleProblem('numbers seed=0', n=2, 4 parameters, float64, cpu)
    """
    kind = draw(st.sampled_from(["numbers", "classes"]))
    n, d = draw(st.integers(2, max_rows)), draw(st.integers(1, 3))
    hidden, seed = draw(st.integers(1, 4)), draw(st.integers(0, 2**16))
    draws = np.random.default_rng(seed)
    outputs = 1 if kind == "numbers" else 3
    layers = [_layer(draws, d, hidden), torch.nn.Tanh(), _layer(draws, hidden, outputs)]
    network = torch.nn.Sequential(*layers)
    X = torch.from_numpy(draws.normal(size=(n, d)))
    y = X[:, :1].cos() if kind == "numbers" else torch.from_numpy(draws.integers(0, 3, n))
    loss = torch.nn.MSELoss() if kind == "numbers" else torch.nn.CrossEntropyLoss()
    problem = ModuleProblem(network, loss, X, y, name=f"{kind} seed={seed}")
    return problem.to("cpu", draw(dtypes() if dtype is None else dtype))


def _layer(draws: np.random.Generator, inputs: int, outputs: int) -> torch.nn.Linear:
    """Return a linear layer in float64, whose parameters are drawn here, not by torch."""
    layer = torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs, dtype=torch.float64)
    assert isinstance(layer, torch.nn.Linear)
    for value in layer.parameters():
        drawn = draws.normal(size=tuple(value.shape)) / np.sqrt(inputs)
        value.data.copy_(torch.from_numpy(np.asarray(drawn)))
    return layer


def problems(*, dtype: st.SearchStrategy[torch.dtype] | None = None) -> st.SearchStrategy[Problem]:
    """Strategy of problems of every kind, which shrinks to a quadratic or to least squares.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(problems(), lambda problem: problem.name.startswith("n=2 "))
    LinearRegression('n=2 d=1 rank=1 condition=1 seed=0 noise=0', n=2, d=1, float64, cpu)
    """
    kinds: list[st.SearchStrategy[Any]] = [
        least_squares(dtype=dtype),
        convex_problems(dtype=dtype),
        functions(dtype=dtype),
        curves(dtype=dtype),
        modules(dtype=dtype),
    ]
    return st.one_of(kinds)
