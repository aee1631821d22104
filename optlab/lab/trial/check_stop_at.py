"""Check before anything runs that problems have the measure that `stop_at` names."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from optlab.checks import did_you_mean
from optlab.lab.trial.record import MEASURES
from optlab.lab.trial.stop_at import StopAt
from optlab.problems import Parameters, Problem

_ALWAYS = {"loss", "suboptimality", "gradient_norm", "batch_loss"}
"""The measures that need no look at the problem: each has them."""


def check_stop_at(
    stop_at: float | StopAt | None, problems: Iterable[Problem], start: Parameters | None = None
) -> None:
    """Require that every problem has the measure that a rule names, and has not reached its limit.

    The start is drawn where none is given.

    Raises
    ------
    ValueError
        For a measure that a problem does not have, with the nearest that it has; for
        ``parameter_error`` where no parameters to compare with are known, or many are as good; for
        a limit of a further measure that the start has reached.
    """
    if stop_at is None or (rule := StopAt.of(stop_at)).measure in _ALWAYS:
        return
    for problem in problems:
        point = problem.evaluate(start or problem.start(torch.Generator()))
        if rule.measure == "parameter_error":
            if math.isnan(point.parameter_error):
                raise ValueError(
                    f"stop_at={rule} cannot be reached: problem {problem.name!r} has no unique "
                    "minimiser that is known, and so no parameter_error"
                )
        elif rule.measure not in point.more:
            names = [*MEASURES, *point.more]
            raise ValueError(
                f"stop_at names the measure {rule.measure!r}, which problem {problem.name!r} does "
                f"not have: {did_you_mean(rule.measure, names)}it has {', '.join(names)}"
            )
        elif rule.reached(value := point.more[rule.measure], scale=value):
            hint = ""
            if rule.at_least is None:
                more = f"StopAt({rule.measure!r}, at_least=...)"
                hint = f"; where more is better, as with an accuracy, use {more}"
            raise ValueError(
                f"stop_at={rule} is already reached at the start of problem {problem.name!r}, "
                f"where {rule.measure} is {value:.3g}{hint}"
            )
