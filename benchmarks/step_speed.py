"""A step of stochastic gradient descent by every library, beside the bounds of the machine.

All contenders make steps of the same rule on the same data, in a random order that each draws as it
does: the article's loop (a DataLoader and autograd), torch.optim.SGD in its three implementations,
a step compiled by torch.compile, a loop written by hand in numpy, scikit-learn's SGDRegressor and
SGDClassifier (batch size 1), and optlab's. Compiling is done before, and stated. On one thread: the
steps are so small that a second one costs more than it brings, most of all beside other processes.

    python -m benchmarks.step_speed [--rounds 7] [--without-compile]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import SGDClassifier, SGDRegressor
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record
from optlab.lab.measure.machine_speed import arithmetic_rate, read_bandwidth
from optlab.lab.measure.threads import set_threads
from optlab.problems.losses.logistic import LogisticRegression

RATE = 1e-3
ARTICLE = "the article's loop"
Run = tuple[Callable[[], object], int]  # and the steps that it makes


def start(problem: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a weight and a bias at 0 that require gradients."""
    d, dtype = problem.X.shape[1], problem.X.dtype
    weight = torch.zeros(d, dtype=dtype, requires_grad=True)
    return weight, torch.zeros((), dtype=dtype, requires_grad=True)


def batches(problem: Any, size: int, steps: int) -> Iterator[Any]:
    """Yield mini-batches as optlab gathers them, epoch after epoch."""
    made = ol.Batches(problem.X, problem.y, size, torch.Generator().manual_seed(1))
    return islice((batch for epoch in made for batch in epoch), steps)


def article(problem: Any, size: int, steps: int) -> Run:
    """Return the article's loop."""
    loader = DataLoader(TensorDataset(problem.X, problem.y), size, shuffle=True)
    parameters = dict(zip(("weight", "bias"), start(problem), strict=True))

    def run() -> None:
        weight, bias = parameters.values()
        for x_batch, y_batch in islice(loader, steps):
            loss = problem.loss(parameters, ol.Batch(x_batch, y_batch))
            loss.backward()
            with torch.no_grad():
                weight -= weight.grad * RATE
                bias -= bias.grad * RATE
                weight.grad.zero_()
                bias.grad.zero_()

    return run, steps


def torch_optim(problem: Any, size: int, steps: int, **implementation: bool) -> Run:
    """Return torch.optim.SGD in one of its implementations."""
    weight, bias = start(problem)
    sgd = torch.optim.SGD([weight, bias], lr=RATE, **implementation)

    def run() -> None:
        for batch in batches(problem, size, steps):
            sgd.zero_grad()
            problem.loss({"weight": weight, "bias": bias}, batch).backward()
            sgd.step()

    return run, steps


def torch_compile(problem: Any, size: int, steps: int) -> tuple[Run, float]:
    """Return a step compiled by torch.compile, gradient and update, and the seconds it took."""

    def step(weight: torch.Tensor, bias: torch.Tensor, X: torch.Tensor, y: torch.Tensor) -> Any:
        def loss(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            return problem.loss({"weight": weight, "bias": bias}, ol.Batch(X, y))

        gradients = torch.func.grad(loss, argnums=(0, 1))(weight, bias)
        return weight - RATE * gradients[0], bias - RATE * gradients[1]

    compiled = torch.compile(step)
    weight, bias = (value.detach() for value in start(problem))
    began = time.perf_counter()
    compiled(weight, bias, problem.X[:size].clone(), problem.y[:size].clone())
    seconds = time.perf_counter() - began

    def run() -> None:
        w, b = weight, bias
        for batch in batches(problem, size, steps):
            w, b = compiled(w, b, batch.X, batch.y)

    return (run, steps), seconds


def numpy_loop(problem: Any, size: int, steps: int) -> Run:
    """Return a loop as one writes it by hand in numpy."""
    X, y, n = problem.X.numpy(), problem.y.numpy(), len(problem.y)
    is_logistic = isinstance(problem, LogisticRegression)
    draw = np.random.default_rng(1)

    def run() -> None:
        w, b, made = np.zeros(X.shape[1]), 0.0, 0
        while made < steps:
            order = draw.permutation(n)
            for i in range(0, n, size):
                rows = order[i : i + size]
                A, t = X[rows], y[rows]
                z = A @ w + b
                r = 1 / (1 + np.exp(-z)) - t if is_logistic else 2 * (z - t)
                w -= RATE / len(rows) * (r @ A)
                b -= RATE * r.mean()
                made += 1
                if made == steps:
                    return

    return run, steps


def of_optlab(problem: Any, optimizer: Any, size: int, epochs: int) -> Run:
    """Return some epochs of an optimizer of optlab's, in one look."""
    if callable(compile_ := getattr(optimizer, "compile", None)):
        generator = torch.Generator().manual_seed(1)
        compile_(problem, ol.Batches(problem.X, problem.y, size, generator))
    made = ol.Batches(problem.X, problem.y, size, torch.Generator().manual_seed(1))
    made.looks = range(epochs, 10**9, epochs)
    iterates = optimizer.iterates(problem, made, problem.start(torch.Generator()))

    def run() -> None:
        done = 0
        while done < epochs:
            done += next(iterates).epochs

    return run, epochs * made.steps


def sklearn_sgd(problem: Any, epochs: int) -> Run:
    """Return scikit-learn's own loop, which makes a step a row."""
    X, y = problem.X.numpy(), problem.y.numpy()
    options = {"penalty": None, "learning_rate": "constant", "max_iter": epochs, "tol": None}
    if isinstance(problem, LogisticRegression):
        learner: Any = SGDClassifier(loss="log_loss", eta0=RATE, random_state=1, **options)
    else:
        learner = SGDRegressor(eta0=2 * RATE, random_state=1, **options)  # of half the square
    return lambda: learner.fit(X, y), epochs * len(y)


def contenders(problem: Any, size: int) -> dict[str, Run]:
    """Return everything but torch.compile."""
    steps, fast = 300, 40 if size == 1 else 100
    runs = {
        ARTICLE: article(problem, size, steps),
        "torch.optim.SGD": torch_optim(problem, size, steps),
        "torch.optim.SGD(foreach=True)": torch_optim(problem, size, steps, foreach=True),
        "torch.optim.SGD(fused=True)": torch_optim(problem, size, steps, fused=True),
        "numpy by hand": numpy_loop(problem, size, 3 * steps),
        "AnalyticSGD": of_optlab(problem, ol.AnalyticSGD(RATE), size, 1),
        "FusedSGD": of_optlab(problem, ol.FusedSGD(RATE), size, fast),
        "FusedSGD(fastmath=True)": of_optlab(problem, ol.FusedSGD(RATE, fastmath=True), size, fast),
    }
    if size == 1:
        name = "SGDClassifier" if isinstance(problem, LogisticRegression) else "SGDRegressor"
        runs[f"scikit-learn {name}"] = sklearn_sgd(problem, 10)
    return runs


def problems() -> Iterator[tuple[str, Any, int]]:
    """Yield each case: its name, problem and batch size."""
    n, d = 10_000, 20
    draw = torch.Generator().manual_seed(1)
    X = torch.randn(n, d, generator=draw, dtype=torch.float64)
    noise = torch.randn(n, generator=draw, dtype=torch.float64)
    linear = ol.LinearRegression(X, X.sum(1) + noise, name="linear")
    yield "squared loss, n = 10 000, d = 20, float64", linear, 1
    yield "squared loss, n = 10 000, d = 20, float64", linear, 32
    logistic = LogisticRegression(X, (X.sum(1) + noise > 0).double(), name="logistic")
    yield "logistic loss, n = 10 000, d = 20, float64", logistic, 1


def measure(name: str, problem: Any, size: int, rounds: int, *, with_compile: bool) -> Case:
    """Measure one case."""
    runs, notes = contenders(problem, size), []
    if with_compile:
        compiled, seconds = torch_compile(problem, size, 300)
        runs["torch.compile of a step"] = compiled
        notes.append(f"torch.compile took {seconds:.1f} s, which is not in its steps.")
    else:
        notes.append("torch.compile was left out, as asked.")
    d, threads = problem.X.shape[1], torch.get_num_threads()
    return Case(
        f"{name}, batch size {size}",
        ARTICLE,
        interleaved({contender: run for contender, (run, _) in runs.items()}, rounds),
        work={contender: steps for contender, (_, steps) in runs.items()},
        unit="step",
        bounds={
            "reading the rows": 8 * size * (d + 1) / read_bandwidth(threads),
            "arithmetic": 4 * size * (d + 1) / arithmetic_rate(torch.float64, threads),
        },
        notes=notes,
    )


def main() -> None:
    """Print a table a case, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without-compile", action="store_true")
    asked = parser.parse_args()
    set_threads(1)
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what compiling takes the first time
    record = Record("step_speed", "How fast is a step of stochastic gradient descent?")
    for name, problem, size in problems():
        with_compile = not asked.without_compile
        record.add(measure(name, problem, size, asked.rounds, with_compile=with_compile))
    record.save()


if __name__ == "__main__":
    main()
