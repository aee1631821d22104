"""Logistic regression to the same accuracy: scikit-learn's LogisticRegression against optlab's.

Each contender's seconds are those of its solver alone. Its loss above the certified least one is
stated, so that nobody is fast by stopping early: scikit-learn gets the loosest of its tolerances
that brings it below the target. All compute on one thread: with as many threads as cores, a busy
neighbour would stall every product.

    python -m benchmarks.logistic_speed [--rounds 9]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression

import optlab as ol
from benchmarks.interleaved import interleaved
from benchmarks.record import Case, Record
from optlab.linalg.blas_threads import one_thread

TARGET = 1e-8  # of the start's suboptimality
L2 = 1e-3
SKLEARN = "scikit-learn lbfgs"


def made(n: int, d: int) -> ol.LogisticRegression:
    """Return a problem with columns of spread 1 to 10."""
    draw = torch.Generator().manual_seed(1)
    X = torch.randn(n, d, generator=draw, dtype=torch.float64)
    y = (X.sum(1) + 2 * torch.randn(n, generator=draw, dtype=torch.float64) > 0).double()
    return ol.LogisticRegression(X * torch.logspace(0, 1, d, dtype=torch.float64), y, l2=L2)


def by_sklearn(problem: Any, solver: str) -> tuple[Callable[[], float], float]:
    """Return a fit that returns its seconds, at the loosest tolerance that reaches the target."""
    X, y = problem.X.numpy(), problem.y.numpy()
    zero = {"weight": torch.zeros(X.shape[1]).double(), "bias": torch.zeros(()).double()}
    allowed = TARGET * problem.evaluate(zero).suboptimality
    for power in range(2, 15):
        learner = LogisticRegression(
            C=1 / (len(y) * L2), solver=solver, tol=10.0**-power, max_iter=10_000
        )
        learner.fit(X, y)
        found = {
            "weight": torch.from_numpy(learner.coef_[0]),
            "bias": torch.tensor(learner.intercept_[0]),
        }
        gap = problem.evaluate(found).suboptimality
        if gap <= allowed:
            break

    def run() -> float:
        began = time.perf_counter()
        learner.fit(X, y)
        return time.perf_counter() - began

    return run, gap


def by_optlab(problem: Any, optimizer: Any) -> tuple[Callable[[], float], float]:
    """Return a run to the target that returns its seconds, and the suboptimality it reaches."""
    zero = {"weight": torch.zeros(problem.X.shape[1]), "bias": 0.0}

    def solve() -> ol.Solution:
        return ol.minimize(problem, optimizer, start=zero, stop_at=TARGET, recorded_epochs=1)

    gap = solve().suboptimality
    return lambda: solve().seconds, gap


def measure(n: int, d: int, rounds: int) -> Case:
    """Measure one shape."""
    problem = made(n, d)
    solvers = {
        SKLEARN: by_sklearn(problem, "lbfgs"),
        "scikit-learn newton-cholesky": by_sklearn(problem, "newton-cholesky"),
        "optlab LBFGS": by_optlab(problem, ol.LBFGS()),
        "optlab Newton": by_optlab(problem, ol.Newton()),
    }
    reached = ", ".join(f"{name} {gap:.1e}" for name, (_, gap) in solvers.items())
    return Case(
        f"n = {n}, d = {d}, l2 = {L2}, to {TARGET:g} of the start's suboptimality",
        SKLEARN,
        interleaved({name: run for name, (run, _) in solvers.items()}, rounds),
        unit="fit",
        notes=[f"One thread. Loss above the least: {reached}."],
    )


def main() -> None:
    """Print a table a shape, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with one_thread():
        record = Record("logistic_speed", "How fast is logistic regression fitted?")
        for n, d in ((10_000, 20), (100_000, 50)):
            record.add(measure(n, d, rounds))
        record.save()


if __name__ == "__main__":
    main()
