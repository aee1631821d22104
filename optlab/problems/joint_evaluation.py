"""Evaluate several points of a problem, together where it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optlab.problems.capabilities import HasJointEvaluation
from optlab.problems.problem import Evaluation, Parameters, Problem

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def evaluates_together(problem: Problem) -> TypeIs[HasJointEvaluation]:
    """Return whether a problem evaluates several points together.

    A class that has an `evaluate` of its own must have `evaluate_together` of its own too:
    another's would give the numbers of another evaluation.
    """
    if "evaluate" in vars(problem):
        return False
    for owner in type(problem).__mro__:
        if "evaluate_together" in vars(owner):
            return True
        if "evaluate" in vars(owner):
            return False
    return False


def evaluate_together(problem: Problem, points: Parameters) -> Sequence[Evaluation]:
    """Evaluate several points, the parameters by name with a leading axis.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[0.0], [1.0]], [0.0, 2.0])
    >>> points = {"weight": torch.tensor([[0.0], [2.0]]), "bias": torch.zeros(2)}
    >>> [evaluation.loss for evaluation in evaluate_together(problem, points)]
    [2.0, 0.0]
    """
    if evaluates_together(problem):
        return problem.evaluate_together(points)
    each = zip(*points.values(), strict=True)
    return [problem.evaluate(dict(zip(points, point, strict=True))) for point in each]
