"""The losses that compiled loops know: functions of the linear prediction, by a number."""

from __future__ import annotations

from typing import Any, NamedTuple

from optlab.problems import Problem
from optlab.problems.linear_regression import LinearRegression
from optlab.problems.losses.huber import Huber, HuberRegression
from optlab.problems.losses.logistic import LogisticRegression
from optlab.problems.losses.poisson import PoissonRegression

SQUARED, HUBER, LOGISTIC, POISSON = range(4)
"""The kinds of loss, as compiled loops know them: see `optlab.problems.losses`."""

_KINDS: dict[type, int] = {
    LinearRegression: SQUARED,
    HuberRegression: HUBER,
    LogisticRegression: LOGISTIC,
    PoissonRegression: POISSON,
}


class LinearLoss(NamedTuple):
    """The loss of a linear model as numbers: its kind, Huber's ``delta``, the penalty ``l2``."""

    kind: int
    delta: float
    l2: float

    @classmethod
    def of(cls, problem: Problem) -> LinearLoss | None:
        """Return a problem's loss, or None where no compiled loop knows it.

        A person's subclass may have another loss: only optlab's own classes are known.
        """
        kind = _KINDS.get(type(problem))
        model: Any = problem
        if kind is None or model.l1:
            return None
        loss = getattr(model, "loss_function", None)
        delta = loss.delta if isinstance(loss, Huber) else 1.0
        return cls(kind, delta, model.l2)
