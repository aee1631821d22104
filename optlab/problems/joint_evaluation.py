"""Evaluate several points of a problem, together where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from optlab.problems.capabilities import HasJointEvaluation, has
from optlab.problems.problem import Evaluation, Parameters, Problem

JointEvaluation: TypeAlias = Callable[[Parameters], Sequence[Evaluation]]


def joint_evaluation(problem: Problem) -> JointEvaluation | None:
    """Return the function by which a problem evaluates several points together, or None.

    A class that has an `evaluate` of its own must have `evaluate_together` of its own too:
    another's would give the numbers of another evaluation.
    """
    if has(problem, HasJointEvaluation) and "evaluate" not in vars(problem):
        for owner in type(problem).__mro__:
            if "evaluate_together" in vars(owner):
                return problem.evaluate_together
            if "evaluate" in vars(owner):
                return None
    return None


def evaluate_together(problem: Problem, points: Parameters) -> Iterable[Evaluation]:
    """Evaluate several points, the parameters by name with a leading axis.

    One by one, where the problem cannot together: each when it is asked for.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> problem = ol.LinearRegression([[0.0], [1.0]], [0.0, 2.0])
    >>> points = {"weight": torch.tensor([[0.0], [2.0]]), "bias": torch.zeros(2)}
    >>> [evaluation.loss for evaluation in evaluate_together(problem, points)]
    [2.0, 0.0]
    """
    if together := joint_evaluation(problem):
        return together(points)
    each = zip(*points.values(), strict=True)
    return (problem.evaluate(dict(zip(points, point, strict=True))) for point in each)
