"""Compare the statuses of descent with the exact stability of its iteration matrix.

Random least-squares problems are solved by full-batch descent, heavy ball and Nesterov's method at
0.5 to 1.5 times the exact limit of stability, with constants of up to 1e9 times the target's
spread added to the target. On a quadratic the limit is known: with L the largest eigenvalue of the
Hessian, the learning rate must be below 2 / L, 2 (1 + m) / L and (2 + 2 m) / ((1 + 2 m) L).

Two things must not happen: that a stable run is called diverged, and that an unstable one whose
last loss is above ten times its least is called finished or converged without the word that its
loss has risen. The command prints a table of what was found and exits with 1 if either happened:

    python -m benchmarks.statuses [problems] [seed]
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

import optlab as ol


@dataclass(frozen=True)
class Case:
    """A problem, an optimizer at a known multiple of its limit of stability, and epochs."""

    problem: ol.LinearRegression
    optimizer: ol.optimizers.Optimizer
    epochs: int
    dtype: str
    times_limit: float
    method: str
    offset: float


def draw(random: np.random.Generator) -> Case:
    """Draw a case."""
    n, d = int(random.integers(3, 30)), int(random.integers(1, 6))
    X = random.standard_normal((n, d)) * 10.0 ** random.uniform(-3, 3, d)
    X += random.choice([0.0, 1.0]) * random.standard_normal(d) * X.std(0)
    y = X @ (random.standard_normal(d) / X.std(0)) + random.choice([0.0, 1.0]) * (
        random.standard_normal(n)
    )
    offset = random.choice([0.0, 10.0 ** random.uniform(0, 9)])
    intercept, l2 = random.random() < 0.8, random.choice([0.0, 0.0, 0.1])
    problem = ol.LinearRegression(X, y + offset * y.std(), fit_intercept=intercept, l2=l2)
    momentum = float(random.choice([0.0, 0.5, 0.9, 0.99]))
    nesterov = bool(momentum and random.random() < 0.5)
    times = float(random.uniform(0.5, 1.5))
    if random.random() < 0.3:  # close to the limit, where growth is slowest
        times = 1 + float(random.choice([-1, 1])) * 10.0 ** random.uniform(-6, -1)
    most = limit(X, intercept=intercept, l2=l2, momentum=momentum, nesterov=nesterov)
    method = "Nesterov" if nesterov else "heavy ball" if momentum else "descent"
    return Case(
        problem,
        _optimizer(random, lr=times * most, momentum=momentum, nesterov=nesterov),
        int(random.choice([2, 5, 20, 100, 300])),
        str(random.choice(["float32", "float64"])) if offset == 0 else "float64",
        times,
        method,
        offset,
    )


def _optimizer(
    random: np.random.Generator, *, lr: float, momentum: float, nesterov: bool
) -> ol.optimizers.Optimizer:
    """Return one that knows the growth of its stable runs, or torch's own, which does not."""
    if random.random() < 0.3:
        return ol.TorchOptimizer(torch.optim.SGD, lr=lr, momentum=momentum, nesterov=nesterov)
    return ol.TorchSGD(lr, momentum=momentum, nesterov=nesterov)


def limit(X: np.ndarray, *, intercept: bool, l2: float, momentum: float, nesterov: bool) -> float:
    """Return the largest stable learning rate."""
    n, d = X.shape
    A = np.c_[X, np.ones(n)] if intercept else X
    penalty = np.zeros(A.shape[1])
    penalty[:d] = l2
    largest = float(np.linalg.eigvalsh(2 * A.T @ A / n + np.diag(penalty))[-1])
    factor = (2 + 2 * momentum) / (1 + 2 * momentum) if nesterov else 2 * (1 + momentum)
    return factor / largest


def verdict(case: Case, seed: int) -> tuple[str, ol.Solution]:
    """Return whether the status of a case is right, and its solution."""
    solution = ol.minimize(
        case.problem, case.optimizer, epochs=case.epochs, dtype=case.dtype, seed=seed, stop_at=1e-6
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
        print(f"{method:12}{name:45}{count:6}")
    wrong = sum(count for (_, name), count in found.items() if name in WRONG)
    print(f"{problems} problems, {wrong} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
