"""Checks of convergence: downhill, to the reference, and staying there."""

from __future__ import annotations

import math
from itertools import islice

import torch

from optlab.testing.conformance.check import check
from optlab.testing.conformance.declared_rates import last_pass
from optlab.testing.conformance.failing import fail, shown
from optlab.testing.conformance.recorded_problem import EvaluationFailedError, recorded
from optlab.testing.conformance.single_run import DTYPES, Run, copied, iterates
from optlab.testing.conformance.subject import Subject
from optlab.testing.run_checks import CheckSkipped


def _gaps(subject: Subject, run: Run) -> tuple[float, list[float]]:
    """Return the suboptimality of the start and of each iterate."""
    problem = run.problem()
    start = problem.evaluate(run.begin(problem)).suboptimality
    return start, [problem.evaluate(p.parameters).suboptimality for p in subject.run(run)]


def _decay(subject: Subject) -> float:
    decay = getattr(subject.optimizer, "weight_decay", 0.0)
    options = getattr(subject.optimizer, "options", {})
    given = options.get("weight_decay", decay) if hasattr(options, "get") else decay
    rule = getattr(subject.optimizer, "rule", None)
    return float(given or getattr(rule, "weight_decay", 0.0) or 0.0)


@check()
def a_direct_method_solves_the_problem(subject: Subject) -> None:
    """The answer of a direct method is the reference, to the rounding of its formula."""
    subject.require(is_direct=True)
    for dtype in DTYPES:
        run = subject.setting(dtype=dtype)
        start, gaps = _gaps(subject, run)
        # An iterative solver inside stops at its own tolerance, 1e-4 for scikit-learn's.
        is_exact = subject.is_linear or subject.family.options.get("l1") is None
        exact = is_exact and not hasattr(subject.optimizer, "cls")
        relative = (1e3 * torch.finfo(DTYPES[dtype]).eps) ** 2 if exact else 1e-4
        if not gaps[-1] <= relative * start:
            fail(
                subject,
                theory="the least suboptimality is 0, at the reference "
                f"{run.problem().reference().parameters}",
                seen=f"{gaps[-1]:.3g} where the start has {start:.3g}",
                tolerance=f"{relative:.1e} of the start's, "
                + ("the square of a forward error of 1 000 eps at condition < 10" if exact else
                   "for the tolerance at which an iterative solver inside stops"),
                runs=[run],
                show=["print(run[0].parameters, problem.reference().parameters)"],
            )  # fmt: skip


@check()
def iterates_go_down(subject: Subject) -> None:
    """On all rows, 20 iterates end lower than the start."""
    if subject.is_direct:
        raise CheckSkipped("it is a direct method")
    run = subject.setting(count=20)
    start, gaps = _gaps(subject, run)
    if not gaps[-1] < start:
        fail(
            subject,
            theory="a descent method with a stable learning rate lowers the loss on all rows",
            seen=f"suboptimality {start:.6g} at the start, {gaps[-1]:.6g} after {len(gaps)}",
            tolerance="none: lower; if the learning rate is above 2 / L, choose a lower one",
            runs=[run],
            show=["print(problem.loss(start), problem.loss(run[-1].parameters))"],
        )


@check("full")
def iterates_reach_the_reference_or_still_descend(subject: Subject) -> None:
    """After 600 iterates on all rows the method is at the reference, or still on its way down.

    Of a schedule that ends, at its end: where the rate is a hundredth of the largest.
    """
    if subject.is_direct:
        raise CheckSkipped("it is a direct method")
    if _decay(subject):
        raise CheckSkipped("its weight decay moves the minimum")
    run = subject.setting(count=last_pass(subject, 600, share=0.01))
    start, gaps = _gaps(subject, run)
    half, last = gaps[len(gaps) // 2], gaps[-1]
    if not (last <= 1e-6 * start or last < 0.999 * half):
        fail(
            subject,
            theory="the suboptimality tends to 0 on all rows, where there is no noise",
            seen=f"{start:.3g} at the start, {half:.6g} and {last:.6g} after {len(gaps) // 2} and "
            f"{len(gaps)} iterates: it has come to rest elsewhere",
            hint="if its learning rate ends at 0, this is meant: give a reference with the same "
            "schedule, or expect this failure (expected_failures, --expect-failure)",
            tolerance="1e-6 of the start's, or still falling by 0.1 % over the second half",
            runs=[run],
            show=["print(run[-1].parameters, problem.reference().parameters)"],
        )


@check()
def stays_at_the_optimum(subject: Subject) -> None:
    """Begun at an optimum that fits every row exactly, the method has no step to make."""
    if subject.is_direct:
        raise CheckSkipped("it is a direct method")
    if _decay(subject):
        raise CheckSkipped("its weight decay moves the minimum")
    if not subject.is_linear:
        raise CheckSkipped("it does not minimise plain linear regression, where rows fit exactly")
    run = subject.setting(batch_size=4, count=20)
    # Multiples of 1/8 times whole numbers: residuals are exactly 0 in every order of sums, for
    # 8 rows are centred exactly too.
    X = torch.cat([run.X, -run.X.sum(0)[None]])
    best = {"weight": torch.tensor([3.0, -2.0, 1.0]).double(), "bias": torch.tensor(1.0).double()}
    run = run.but(X=X, y=X @ best["weight"] + best["bias"], start=best)
    expected = torch.tensor([3.0, -2.0, 1.0, 1.0]).double()
    points = subject.run(run)
    # A solver that centres its data or scales them rounds: some eps, never a step.
    bound = 1e3 * torch.finfo(torch.float64).eps
    gap = float((points[-1].vector - expected).abs().max())
    if not gap <= bound:
        fail(
            subject,
            theory=f"at {shown(expected)} every row's residual and gradient is exactly 0",
            seen=f"{shown(points[-1].vector)} after {len(points)} passes in batches of 4",
            tolerance=f"{bound:.1e}, for methods that centre or scale the data",
            runs=[run],
        )


@check()
def what_is_not_a_number_is_passed_on(subject: Subject) -> None:
    """A loss of NaN is told: the method raises, yields NaN, or stays, and goes nowhere else."""
    if subject.is_direct:
        raise CheckSkipped("it is a direct method; problems refuse data that are NaN")
    run = subject.setting(count=3)
    problem = run.problem()
    problem.X[2, 1] = math.nan
    start = run.begin(problem)
    try:
        points = iterates(subject.optimizer, run, problem)
    except Exception:
        return  # whatever it raises says that something is wrong
    at = torch.cat([value.double().reshape(-1) for value in start.values()])
    moved = [p for p in points if p.vector.isfinite().all() and not torch.equal(p.vector, at)]
    if moved:
        vector = moved[-1].vector
        fail(
            subject,
            theory="with X[2, 1] = NaN the gradient on all rows is NaN, and so is a step along it",
            seen=f"the iterate {shown(vector)}, finite and elsewhere than the start: the NaN was "
            "swallowed, and the trial would be recorded as finished",
            tolerance="none",
            runs=[run],
            show=["# with problem.X[2, 1] = torch.nan before the run", "print(run[-1].parameters)"],
        )


@check()
def an_error_of_the_problem_is_passed_on(subject: Subject) -> None:
    """An error that the problem raises ends the run: one that goes on would count as finished."""
    run = subject.setting(batch_size=3)
    _, calls = subject.record(run)
    problem, made = recorded(run.problem(), fails_from=len(calls))
    batches = run.batches(problem)
    found = subject.optimizer.iterates(problem, batches, run.begin(problem))
    try:
        points = [copied(iterate, batches) for iterate in islice(found, 3)]
    except EvaluationFailedError:
        return
    except Exception as error:
        if isinstance(error.__context__, EvaluationFailedError):
            return  # told in words of its own
        raise
    if all(call.kind != "refused" for call in made):
        raise CheckSkipped("it evaluates nothing after its first iterate")
    fail(
        subject,
        theory=f"the problem raises from evaluation {len(calls) + 1} on, so the run raises",
        seen=f"{len(points)} iterates and no error: it was swallowed",
        tolerance="none",
    )
