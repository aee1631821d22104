"""Check a problem: protocol, mean loss, gradients, capabilities, reference, copies."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from optlab.checks import check_not_negative
from optlab.problems.problem import Problem
from optlab.testing.gradients.check_gradient import CHECKS as GRADIENT_CHECKS
from optlab.testing.problem_checks import capability_checks, protocol_checks, reference_checks
from optlab.testing.problem_checks.problem_subject import ProblemSubject, frozen
from optlab.testing.report import Report
from optlab.testing.run_checks import run_checks

PROTOCOL_CHECKS: Mapping[str, Callable[[ProblemSubject], object]] = {
    "start": protocol_checks.check_start,
    "copies": protocol_checks.check_copies,
    "evaluation": protocol_checks.check_evaluation,
    "immutable": protocol_checks.check_immutable,
    "torch's defaults": protocol_checks.check_defaults,
    "pickle": protocol_checks.check_pickle,
    "summary": protocol_checks.check_summary,
    "reference": reference_checks.check_reference,
    "suboptimality": reference_checks.check_suboptimality,
    "smooth gradient": capability_checks.check_smooth_gradient,
    "proximal": capability_checks.check_proximal,
    "Hessian product": capability_checks.check_hessian_product,
    "residuals": capability_checks.check_residuals,
    "least squares": capability_checks.check_least_squares,
    "Lipschitz constant": capability_checks.check_lipschitz,
    "smooth and quadratic": capability_checks.check_claims,
    "constant fit": capability_checks.check_constant_fit,
}
"""The checks of a problem by name, beside those of its gradient."""


def check_problem(
    problem: Any, *, expected_failures: Mapping[str, str] | None = None, seed: int = 0
) -> Report:
    """Check a problem against its whole protocol, on the CPU, in float32 and float64.

    - ``"protocol"``: its members are there and return what `Problem` says.
    - All checks of `check_gradient`: the loss is a mean over rows, batch by batch; gradients are
      right; inputs stay as they are; float64 is float64.
    - ``"start"``: drawn from the generator alone, one start a seed in every dtype.
    - ``"copies"``: `to` makes copies in the dtype asked for, over data of their own.
    - ``"evaluation"``: the loss and gradient norm in float64, whatever the point's dtype.
    - ``"immutable"``: no call changes data or parameters, or uses torch's global generator;
      ``"torch's defaults"``: torch's default dtype makes no difference.
    - ``"pickle"``: copies and pickles judge alike and are known again; ``"summary"``.
    - ``"reference"``: no point is below it but for its bound; ``"suboptimality"``: the loss less
      the reference's, and at least 0.
    - Capabilities that the problem has, against autograd and their definitions: ``"smooth
      gradient"``, ``"proximal"``, ``"Hessian product"``, ``"residuals"``, ``"least squares"``,
      ``"Lipschitz constant"``, ``"smooth and quadratic"``, ``"constant fit"``.

    Parameters
    ----------
    problem
        The problem. Its data stay as they are; a reference solution is solved for.
    expected_failures
        A reason for each check that is known to fail.
    seed
        Of starts and random directions, a whole number of at least 0.

    Returns
    -------
    A report: ``report.ok``, ``report.failures``, ``report.raise_if_failed()``. What is no problem
    has the one failure ``"protocol"``.

    See Also
    --------
    check_gradient : Its gradient alone.
    check_optimizer : Checks of optimizers.

    Examples
    --------
    >>> import optlab as ol
    >>> from optlab.testing import check_problem
    >>> check_problem(ol.Quadratic([10.0, 1.0])).ok
    True
    >>> print(check_problem(object()))
    object: 1 of 1 checks failed (0 passed)
    FAILED protocol: object is no problem: it has no name, data, loss, start, to, reference, \
evaluate; ol.LinearRegression(X, y) makes one, README.md shows how to write one
    """
    check_not_negative("seed", seed)
    protocol = {"protocol": functools.partial(protocol_checks.check_protocol, problem)}
    first = run_checks(type(problem).__name__, protocol)
    if not first.ok:
        return first
    subject = ProblemSubject(problem, int(seed), frozen(problem.data))
    checks: dict[str, Callable[[], object]] = dict(protocol)
    checks |= {name: _of_gradient(check, subject) for name, check in GRADIENT_CHECKS.items()}
    checks |= {name: functools.partial(check, subject) for name, check in PROTOCOL_CHECKS.items()}
    return run_checks(_name(problem), checks, expected_failures)


def _of_gradient(check: Callable[[Any], object], subject: ProblemSubject) -> Callable[[], object]:
    """Return a check of the gradient; a copy that cannot be made fails it, not the report."""
    return lambda: check(subject.gradients)


def _name(problem: Problem) -> str:
    return f"{type(problem).__name__} {problem.name!r}"
