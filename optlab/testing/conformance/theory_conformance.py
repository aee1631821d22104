"""Checks against the exact theory of descent with a constant rate: modes, and expected losses."""

from __future__ import annotations

import numpy as np

from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.problems.hessian import modes
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.single_run import iterates
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped
from optlab.theory.sgd_moments import SGDMoments

_RUNS, _STEPS, _BATCH = 300, 20, 5


def _theory(subject: Subject) -> LinearDescent:
    """Return the recurrence that the reference, or the optimizer itself, says of its error."""
    claim = subject.optimizer if subject.reference is None else subject.reference
    theory = linear_descent(claim)
    if theory is None or theory.weight_decay:
        raise CheckSkipped("it says no linear recurrence of its error: linear_descent()")
    subject.require(is_linear=True)
    return theory


@check("full")
def each_mode_contracts_as_theory_says(subject: Subject) -> None:
    """On all rows each eigenvector's share of the error follows its own linear recurrence."""
    theory = _theory(subject)
    run = subject.setting(count=60)
    problem = run.problem()
    found, reference = modes(problem), problem.reference()
    start = found.coordinates(run.begin(problem)) - found.coordinates(reference.parameters)
    expected = theory.errors(found.eigenvalues, start, run.count)
    points = subject.run(run)
    origin = found.coordinates(reference.parameters)
    for step, point in enumerate(points, start=1):
        seen, right = found.coordinates(point.parameters) - origin, expected[step]
        bound = 1e-10 * max(1.0, float(np.abs(expected[: step + 1]).max()))
        if not np.abs(seen - right).max() <= bound:
            worst = int(np.abs(seen - right).argmax())
            fail(
                subject,
                theory=f"by {theory} the mode of eigenvalue {found.eigenvalues[worst]:.6g} has "
                f"the error {right[worst]:.6g} after step {step}",
                seen=f"{seen[worst]:.6g}",
                tolerance=f"{bound:.1e}: 60 steps of rounding, some 1e-13, with room",
                runs=[run.but(count=step)],
            )


@check("statistical")
def the_mean_loss_is_the_exact_expectation(subject: Subject) -> None:
    """Over many seeds, the mean suboptimality of SGD is the exact expected one, step by step."""
    theory = _theory(subject)
    # One step a pass, on 5 of the 7 rows: the batches of different passes are independent.
    run = subject.setting(batch_size=_BATCH, drop_last=True, count=_STEPS)
    problem = run.problem()
    run = run.but(start=run.begin(problem))
    moments = SGDMoments(problem, theory, batch_size=_BATCH, replacement=False)
    expected = moments.suboptimality(run.begin(problem), _STEPS)
    runs = [iterates(subject.optimizer, run.but(seed=seed)) for seed in range(_RUNS)]
    design = np.c_[run.X.numpy(), np.ones(len(run.y))]
    best = np.linalg.lstsq(design, run.y.numpy(), rcond=None)[0]
    for step in range(_STEPS // 2, _STEPS + 1, _STEPS // 2):
        at = np.stack([points[step - 1].vector.numpy() for points in runs])
        seen = (((at - best) @ design.T) ** 2).mean(1)
        mean, error = float(seen.mean()), float(seen.std()) / _RUNS**0.5
        if not abs(mean - expected[step]) <= 5 * error + 1e-12:
            fail(
                subject,
                theory=f"the expected suboptimality after {step} steps on {_BATCH} of 7 rows is "
                f"{expected[step]:.6g}, by the recursion of the error's covariance",
                seen=f"{mean:.6g} in the mean of {_RUNS} seeds",
                tolerance=f"5 standard errors of {error:.2g}: one false alarm in 1.7 million",
                runs=[run],
            )
