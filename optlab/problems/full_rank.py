"""The rank of a least-squares problem, which some methods take to be full."""

from __future__ import annotations

import torch

from optlab.linalg import Certificate
from optlab.problems.problem import Problem, problem_dtype


def why_not_full_rank(problem: Problem) -> str | None:
    """Say why methods that take full rank for granted cannot solve a problem; None where they can.

    Judged in the dtype of the data: a design whose condition number leaves no digit of it has, for
    such methods, no full rank. None also where the reference has no certificate that tells it.

    Examples
    --------
    >>> import optlab as ol
    >>> twice = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    >>> why_not_full_rank(ol.LinearRegression(twice, [1.0, 2.0, 4.0]))
    'the rank is 1 of 2'
    """
    certificate = _certificate(problem)
    if certificate is None:
        return None
    if certificate.rank < certificate.unknowns:
        columns = certificate.unknowns - certificate.rank + certified_rank(problem)
        return f"the rank is {certified_rank(problem)} of {columns}"
    dtype = problem_dtype(problem)
    condition = certificate.condition_scaled
    if condition * torch.finfo(dtype).eps > 0.1:
        name = str(dtype).removeprefix("torch.")
        return f"the design's condition number {condition:.1e} leaves no digit in {name}"
    return None


def scaled_condition(problem: Problem) -> float:
    """Return the condition number of the design, columns scaled; 1 where nothing tells it."""
    certificate = _certificate(problem)
    return 1.0 if certificate is None else certificate.condition_scaled


def certified_rank(problem: Problem) -> int:
    """Return the rank of the design, the intercept's column left out; 0 where nothing tells it."""
    certificate, reference = _certificate(problem), problem.reference()
    if certificate is None or reference is None:
        return 0
    return certificate.rank - ("bias" in (reference.parameters or {}))


def _certificate(problem: Problem) -> Certificate | None:
    reference = problem.reference()
    return None if reference is None else reference.certificate
