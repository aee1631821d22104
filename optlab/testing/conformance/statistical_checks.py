"""Checks by many runs: the mean of random quantities is the theory's, within sampling error."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.rule_checks import _claim, _linear
from optlab.testing.conformance.single_run import Run, iterates
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped

_RUNS, _STEPS, _BATCH = 300, 20, 5


def _design(run: Run) -> tuple[Any, Any]:
    """Return X with the intercept's column, and the least-squares solution."""
    X = np.c_[run.X.numpy(), np.ones(len(run.y))]
    return X, np.linalg.lstsq(X, run.y.numpy(), rcond=None)[0]


def exact_suboptimality(run: Run, rate: float, size: int, steps: int) -> list[float]:
    r"""Return the expected suboptimality of SGD after each step, batches without replacement.

    With :math:`Z = (w - w_*, 1)` a step on the rows S is :math:`Z' = T_S Z`, linear, so that
    :math:`E[Z Z'] \leftarrow \mathrm{mean}_S \, T_S E[Z Z'] T_S'` over all subsets of ``size``
    rows, and the suboptimality is :math:`\mathrm{tr}(H \, E[Z Z']) / 2`, exactly.
    """
    X, best = _design(run)
    y, p = run.y.numpy(), X.shape[1]
    start = run.begin(run.problem())
    z = np.r_[start["weight"].numpy(), float(start["bias"])] - best
    maps = []
    for rows in combinations(range(len(y)), size):
        part, residual = X[list(rows)], X[list(rows)] @ best - y[list(rows)]
        T = np.eye(p + 1)
        T[:p, :p] -= rate * 2 * part.T @ part / size
        T[:p, p] = -rate * 2 * part.T @ residual / size
        maps.append(T)
    every = np.stack(maps)
    H = 2 * X.T @ X / len(y)
    moment, found = np.outer(np.r_[z, 1.0], np.r_[z, 1.0]), []
    for _ in range(steps):
        moment = (every @ moment @ every.transpose(0, 2, 1)).mean(0)
        found.append(float(np.trace(H @ moment[:p, :p]) / 2))
    return found


@check("statistical")
def the_mean_loss_is_the_exact_expectation(subject: Subject) -> None:
    """Over many seeds, the mean suboptimality of SGD is the exact expected one, step by step."""
    _, rule = _claim(subject)
    linear = _linear(rule)
    if linear is None or linear[1]:
        raise CheckSkipped("there is no exact expected loss of its rule")
    subject.require(is_linear=True)
    # One step a pass, on 5 of the 7 rows: the batches of different passes are independent.
    run = subject.setting(batch_size=_BATCH, drop_last=True, count=_STEPS)
    run = run.but(start=run.begin(run.problem()))
    expected = exact_suboptimality(run, linear[0], _BATCH, _STEPS)
    X, best = _design(run)
    runs = [iterates(subject.optimizer, run.but(seed=seed)) for seed in range(_RUNS)]
    for step in range(10, _STEPS + 1, 10):
        at = np.stack([points[step - 1].vector.numpy() for points in runs])
        seen = (((at - best) @ X.T) ** 2).mean(1)
        mean, error = float(seen.mean()), float(seen.std()) / _RUNS**0.5
        if not abs(mean - expected[step - 1]) <= 5 * error + 1e-12:
            fail(
                subject,
                theory=f"the expected suboptimality after {step} steps on {_BATCH} of 7 rows is "
                f"{expected[step - 1]:.6g}, the covariance recursion over all 21 batches",
                seen=f"{mean:.6g} in the mean of {_RUNS} seeds",
                tolerance=f"5 standard errors of {error:.2g}: one false alarm in 1.7 million",
                runs=[run],
            )
