"""Checks of honesty: a problem that a method does not refuse, it runs on."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch

from optlab.optimizers import unsupported
from optlab.testing.conformance.check import check
from optlab.testing.conformance.failing import fail
from optlab.testing.conformance.kinds_of_problem import odd_problems, usual_problems
from optlab.testing.conformance.protocol_conformance import _wrong
from optlab.testing.conformance.subject import CPU, Subject
from optlab.testing.conformance.watched_batches import WatchedBatches
from optlab.testing.run_checks import CheckFailedError


def _run_on(subject: Subject, what: str, problem: Any) -> None:
    """Fail where a method that does not refuse a problem cannot make two iterates on it."""
    reason: Any = unsupported(subject.optimizer, problem, CPU)
    if reason is not None:
        if not isinstance(reason, str) or not reason.strip():
            fail(
                subject,
                theory="unsupported(problem, device) returns a sentence, or None",
                seen=f"{reason!r} for {what}",
            )
        return
    generator = torch.Generator().manual_seed(1)
    start = problem.start(generator)
    expected = {k: (tuple(v.shape), v.dtype) for k, v in start.items()}
    X, y, weight = problem.data
    batches = WatchedBatches(X, y, min(3, len(y)), generator, weight=weight)
    try:
        for iterate in islice(subject.optimizer.iterates(problem, batches, start), 2):
            if wrong := _wrong(iterate, expected):
                fail(
                    subject,
                    theory=f"on {what} the parameters are {expected}",
                    seen=wrong,
                )
    except CheckFailedError:
        raise
    except Exception as error:
        fail(
            subject,
            theory=f"needs and unsupported do not refuse {what} ({problem!r}), so it runs",
            seen=f"{type(error).__name__}: {error}",
            tolerance="none: a pair that cannot run is refused in a sentence",
        )


@check()
def needs_are_honest(subject: Subject) -> None:
    """A problem of a loss alone, with a kink, or with too few rows runs, or is refused."""
    for what, problem in odd_problems().items():
        _run_on(subject, what, problem)


@check("full")
def every_kind_of_problem_runs_or_is_refused(subject: Subject) -> None:
    """Each kind of problem of the lab runs, or is refused in a sentence."""
    for what, problem in usual_problems().items():
        _run_on(subject, what, problem)
