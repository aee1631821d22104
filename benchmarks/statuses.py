"""Compare the statuses of descent with the exact stability of its iteration matrix.

Random least-squares problems are solved by full-batch descent, heavy ball and Nesterov's method at
0.5 to 1.5 times the exact limit of stability, with constants of up to 1e9 times the target's
spread added to the target. On a quadratic the limit is known: with L the largest eigenvalue of the
Hessian, the learning rate must be below 2 / L, 2 (1 + m) / L and (2 + 2 m) / ((1 + 2 m) L).

A quarter of the runs are descent by mini-batches, at rates of at most 2 / h with h the largest
eigenvalue of any one row's Hessian. No step of theirs expands, so that their noise is bounded, and
they count as stable.

Two things must not happen: that a stable run is called diverged, and that an unstable one whose
last loss is above ten times its least is called finished or converged without the word that its
loss has risen. The command prints a table of what was found and exits with 1 if either happened:

    python -m benchmarks.statuses [problems] [seed]
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

import optlab as ol
from optlab.optimizers import Optimizer


@dataclass(frozen=True)
class Case:
    """A problem, and an optimizer at a known multiple of its limit of stability."""

    problem: ol.LinearRegression
    optimizer: Optimizer
    epochs: int
    dtype: str
    times_limit: float
    method: str
    offset: float
    batch_size: int | str = "full"


def draw(random: np.random.Generator) -> Case:
    """Draw a case."""
    method = str(random.choice(["descent", "heavy ball", "Nesterov", "mini-batches"]))
    offset = random.choice([0.0, 10.0 ** random.uniform(0, 9)])
    problem, X = _problem(random, offset)
    momentum = float(random.choice([0.5, 0.9, 0.99])) if method in _WITH_MOMENTUM else 0.0
    times = float(random.uniform(0.5, 1.5))
    if method == "mini-batches":
        times = float(random.uniform(0.1, 1))
    elif random.random() < 0.3:  # close to the limit, where growth is slowest
        times = 1 + float(random.choice([-1, 1])) * 10.0 ** random.uniform(-6, -1)
    options = {
        "lr": times * limit(problem, X, momentum, method),
        "momentum": momentum,
        "nesterov": method == "Nesterov",
    }
    return Case(
        problem,
        # One that knows the growth of its stable runs, or one that does not, as it has a schedule.
        ol.TorchOptimizer(torch.optim.SGD, scheduler=_constant, **options)
        if random.random() < 0.3
        else ol.TorchSGD(options.pop("lr"), **options),
        int(random.choice([2, 5, 20, 100, 300])),
        str(random.choice(["float32", "float64"])) if offset == 0 else "float64",
        times,
        method,
        offset,
        int(random.integers(1, len(X))) if method == "mini-batches" else "full",
    )


_constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0)

_WITH_MOMENTUM = ("heavy ball", "Nesterov")


def _problem(
    random: np.random.Generator, offset: float
) -> tuple[ol.LinearRegression, np.ndarray[Any, Any]]:
    """Draw a problem whose target is offset by so many of its spreads, and return its features."""
    n, d = int(random.integers(3, 30)), int(random.integers(1, 6))
    X = random.standard_normal((n, d)) * 10.0 ** random.uniform(-3, 3, d)
    X += random.choice([0.0, 1.0]) * random.standard_normal(d) * X.std(0)
    y = X @ (random.standard_normal(d) / X.std(0))
    y += random.choice([0.0, 1.0]) * random.standard_normal(n)
    intercept, l2 = random.random() < 0.8, random.choice([0.0, 0.0, 0.1])
    problem = ol.LinearRegression(X, y + offset * y.std(), fit_intercept=intercept, l2=l2)
    return problem, X


def limit(
    problem: ol.LinearRegression, X: np.ndarray[Any, Any], momentum: float, method: str
) -> float:
    """Return the largest stable learning rate, or that at which no mini-batch's step expands."""
    n, d = X.shape
    A = np.c_[X, np.ones(n)] if problem.fit_intercept else X
    if method == "mini-batches":
        return 2 / (2 * float((A * A).sum(1).max()) + problem.l2)
    penalty = np.zeros(A.shape[1])
    penalty[:d] = problem.l2
    largest = float(np.linalg.eigvalsh(2 * A.T @ A / n + np.diag(penalty))[-1])
    if method == "Nesterov":
        return (2 + 2 * momentum) / (1 + 2 * momentum) / largest
    return 2 * (1 + momentum) / largest


def verdict(case: Case, seed: int) -> tuple[str, ol.Solution]:
    """Return whether the status of a case is right, and its solution."""
    solution = ol.minimize(
        case.problem,
        case.optimizer,
        epochs=case.epochs,
        batch_size=case.batch_size,
        dtype=case.dtype,
        seed=seed,
        stop_at=1e-6,
    )
    stable, diverged = case.times_limit < 1, solution.status == "diverged"
    risen = solution.loss > 10 * float(solution.trace["loss"].min())
    if stable and diverged:
        return "stable, called diverged", solution
    if stable:
        return "stable, not called diverged", solution
    if diverged:
        return "unstable, called diverged", solution
    if not risen:
        return "unstable, not above ten times its least", solution
    said = "the loss has risen" in solution.message
    return f"unstable, risen, {'and says so' if said else 'and silent'}", solution


WRONG = ("stable, called diverged", "unstable, risen, and silent")


def main(problems: int = 2000, seed: int = 0) -> int:
    """Print how often each verdict was found for each method; return the exit status."""
    random = np.random.default_rng(seed)
    found: Counter[tuple[str, str]] = Counter()
    for number in range(problems):
        case = draw(random)
        name, solution = verdict(case, number)
        found[case.method, name] += 1
        if name in WRONG:
            print(number, name, case, solution.trace["loss"].tolist()[-5:], solution.message)
    for (method, name), count in sorted(found.items()):
        print(f"{method:14}{name:45}{count:6}")
    wrong = sum(count for (_, name), count in found.items() if name in WRONG)
    print(f"{problems} problems, {wrong} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
