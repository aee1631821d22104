"""The losses that compiled loops know: a function of the linear prediction, by a number."""

from __future__ import annotations

from typing import NamedTuple

from optlab.problems import LinearRegression, Problem

SQUARED, HUBER, LOGISTIC, POISSON = range(4)
"""The kinds of loss, as kernels know them; ``z`` is the prediction of a row:

=========  ====================================  =====================
kind       loss of a row                         its derivative in z
=========  ====================================  =====================
squared    (z - y)^2                             2 (z - y)
Huber      r^2 / 2, delta (abs(r) - delta / 2)   r clipped to [-delta, delta]
logistic   log(1 + exp(z)) - y z                 1 / (1 + exp(-z)) - y
Poisson    exp(z) - y z                          exp(z) - y
=========  ====================================  =====================
"""


class LinearLoss(NamedTuple):
    """The loss of a linear model as numbers: its kind, Huber's ``delta``, the penalty ``l2``."""

    kind: int
    delta: float
    l2: float

    @classmethod
    def of(cls, problem: Problem) -> LinearLoss | None:
        """Return a problem's loss, or None where no compiled loop knows it."""
        if type(problem) is LinearRegression:
            return cls(SQUARED, 1.0, problem.l2)
        return None
