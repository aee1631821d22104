"""Logistic regression: log loss of two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from optlab.problems.labels import Labels, Target, encoded
from optlab.problems.linear_classifier import LinearClassifier
from optlab.problems.linear_model import ModelOptions, Values
from optlab.problems.losses.loss import Contrasts, Loss


@dataclass(frozen=True)
class Logistic(Loss):
    """Log loss ``log(1 + exp(-t eta))``, t = 1 for y = 1 and -1 for y = 0."""

    steepest: ClassVar[float] = 0.25
    has_bounds: ClassVar[bool] = True

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``log(1 + exp(-t eta))``."""
        return torch.logaddexp(torch.zeros_like(eta), (1 - 2 * y) * eta)

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``-t sigmoid(-t eta)``, which is ``sigmoid(eta) - y`` without cancellation."""
        sign = 1 - 2 * y
        return sign * torch.sigmoid(sign * eta)

    def curvature(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return ``sigmoid(z) sigmoid(-z)`` at ``z = |eta| + radius``, where it is least."""
        farthest = eta.abs() + radius
        return torch.sigmoid(farthest) * torch.sigmoid(-farthest)

    def mean(self, eta: Tensor) -> Tensor:
        """Return the probability of y = 1."""
        return torch.sigmoid(eta)

    def encoded(self, y: Any, classes: Labels | None = None) -> Target:
        """Return labels of two classes as 0 and 1."""
        return encoded(y, classes, exactly=2)

    def contrasts(self, y: Tensor) -> Contrasts:
        """Return that eta may grow where y = 1 and fall where y = 0, for ever."""
        row = torch.arange(len(y))
        return Contrasts(row, 2 * y - 1, torch.zeros(len(y), dtype=torch.bool))


class LogisticRegression(LinearClassifier):
    """Fit the log-odds of two classes by ``X @ weight + bias``, minimising their mean log loss.

    The loss of a row is ``log(1 + exp(-t eta))`` with t = 1 for the second class and -1 for the
    first. scikit-learn's LogisticRegression minimises ``C sum + ||w||**2 / 2``: our
    ``l2 = 1 / (n C)``, and with row weights ``1 / (sum(weights) C)``. Arguments: those of
    `LinearModel`; y holds labels of two classes, of any one kind (ValueError otherwise), which are
    kept sorted as ``classes``.

    See Also
    --------
    LinearModel : What all linear models share.
    SoftmaxRegression : More than two classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [0.0], [1.0], [1.0], [1.0]])
    >>> problem = LogisticRegression(X, ["no", "yes", "no", "yes", "yes"])
    >>> problem
    LogisticRegression('data', n=5, d=1, float64, cpu, classes=2, log-odds of 'yes' against 'no')
    >>> best = problem.reference()
    >>> round(best.parameters["weight"].item(), 12), best.kind  # log 2
    (0.69314718056, 'certified')
    >>> problem.predict(best.parameters, np.array([[5.0]])).tolist()
    ['yes']

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 4.4.
    """

    def __init__(self, X: Values, y: Values, **options: Unpack[ModelOptions]) -> None:
        super().__init__(X, y, Logistic(), **options)

    @property
    def quantity(self) -> str:
        """Return which class the log-odds are of: positive coefficients speak for it."""
        assert self.classes is not None
        first, second = self.classes.tolist()
        return f"log-odds of {second!r} against {first!r}"
