"""Softmax regression: log loss of K classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from optlab.linalg import double_double as dd
from optlab.problems.labels import Labels, Target, encoded
from optlab.problems.linear_classifier import LinearClassifier
from optlab.problems.linear_model import ModelOptions, Values
from optlab.problems.losses.loss import Contrasts, Loss, Pair


@dataclass(frozen=True, eq=False)
class Softmax(Loss):
    """Log loss ``log sum_k exp(eta_k) - eta_y`` of K outputs.

    ``possible (n, K)`` leaves out classes of single rows, for all rows at once.
    """

    K: int
    possible: Tensor | None = None
    steepest: ClassVar[float] = 0.5
    has_bounds: ClassVar[bool] = True

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of a row's prediction, (K,)."""
        return (self.K,)

    def _logits(self, eta: Tensor) -> Tensor:
        return eta if self.possible is None else eta.masked_fill(~self.possible, -torch.inf)

    def value(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``z_m + log(1 + sum_{k != m} exp(z_k - z_m))``, z_m the largest ``eta_k - eta_y``.

        Both terms are at least 0: a loss that is tiny keeps its digits.
        """
        z = self._logits(eta) - eta.gather(1, y[:, None])
        top = z.argmax(1, keepdim=True)
        most = z.gather(1, top)
        others = (z - most).exp().scatter(1, top, 0.0).sum(1)
        return most[:, 0] + others.log1p()

    def value_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return ``8 + K`` units of the value and of its arguments'."""
        size = self.value(eta, y) + (self.slope(eta, y) * eta).abs().sum(1)
        return 2.0**-52 * (8 + self.K) * size

    def slope(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return the probabilities, less 1 at y: less those of the others, without cancellation."""
        p = torch.softmax(self._logits(eta), 1)
        others = p.scatter(1, y[:, None], 0.0).sum(1, keepdim=True)
        return p.scatter(1, y[:, None], -others)

    def slope_error(self, eta: Tensor, y: Tensor) -> Tensor:
        """Return units in the last place of each probability, as many as its exponent has."""
        below = eta.amax(1, keepdim=True) - eta
        error = 2.0**-52 * (8 + self.K + below) * torch.softmax(self._logits(eta), 1)
        return error.scatter(1, y[:, None], error.sum(1, keepdim=True))

    def slope_pair(self, eta: Pair, y: Tensor) -> Pair:
        """Return the slopes as pairs, of which each row's sum is zero."""
        others = super().slope_pair(eta, y)
        high, low = (part.scatter(1, y[:, None], 0.0) for part in others)
        total = dd.pair_sum(high, low, 1)
        return high.scatter(1, y[:, None], -total[0][:, None]), low.scatter(
            1, y[:, None], -total[1][:, None]
        )

    def slope_error_squares(self, eta: Tensor, y: Tensor, radius: Tensor | float) -> Tensor:
        """Return ``sum_k d_k**2 / p_k``, as the errors of a row add up to zero."""
        p = torch.softmax(self._logits(eta), 1)
        error = self.slope_error(eta, y)
        grown = torch.exp(2 * torch.as_tensor(radius, dtype=p.dtype))
        return grown * torch.where(error > 0, error * error / p, 0.0).sum(1)

    def slope_change(self, eta: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """Return ``p (exp(2 radius) - 1)``: a probability changes by no larger factor."""
        p = torch.softmax(self._logits(eta), 1)
        change = p * torch.expm1(2 * radius.amax(1, keepdim=True))
        return change.scatter(1, y[:, None], change.sum(1, keepdim=True))

    def curvature_product(self, eta: Tensor, y: Tensor, direction: Tensor) -> Tensor:
        """Return ``p (v - p . v)``."""
        p = torch.softmax(self._logits(eta), 1)
        return p * (direction - (p * direction).sum(1, keepdim=True))

    def curvature_root(self, eta: Tensor, y: Tensor, radius: Tensor | float = 0.0) -> Tensor:
        """Return rows ``sqrt(p_k) (e_k - p)``, which shrink by at most ``exp(-radius)``.

        The third cumulant of v is at most the spread of v, 2 radius, times its variance.
        """
        p = torch.softmax(self._logits(eta), 1)
        shrink = torch.exp(-torch.as_tensor(radius, dtype=p.dtype)).reshape(-1, 1, 1)
        apart = torch.eye(self.K, dtype=p.dtype, device=p.device) - p[:, None, :]
        return shrink * p.sqrt()[:, :, None] * apart

    def divergence(self, eta: Tensor, gap: Tensor, y: Tensor, slope: Tensor) -> Tensor:
        """Return Bregman's divergence; a shift of all classes alike is taken off the gap."""
        return super().divergence(eta, gap - gap.mean(1, keepdim=True), y, slope)

    def mean(self, eta: Tensor) -> Tensor:
        """Return the classes' probabilities, ``(B, K)``."""
        return torch.softmax(eta, 1)

    def encoded(self, y: Any, classes: Labels | None = None) -> Target:
        """Return labels as positions among the sorted classes."""
        return encoded(y, classes)

    def contrasts(self, y: Tensor) -> Contrasts:
        """Return that ``eta_y - eta_k`` may grow for ever, for each other possible class k."""
        row = torch.arange(len(y)).repeat_interleave(self.K)
        other = torch.arange(self.K).repeat(len(y))
        unit = torch.eye(self.K, dtype=torch.float64)
        true = y.repeat_interleave(self.K)
        apart = other != true
        if self.possible is not None:
            apart &= self.possible.reshape(-1)
        direction = (unit[true] - unit[other])[apart]
        return Contrasts(row[apart], direction, torch.zeros(len(direction), dtype=torch.bool))

    def without(self, receding: Tensor, y: Tensor) -> tuple[Loss, Tensor]:
        """Return the loss without the receding classes of each row, and all rows."""
        possible = torch.ones((len(y), self.K), dtype=torch.bool)
        possible[torch.arange(self.K) != y[:, None]] = ~receding
        return Softmax(self.K, possible), torch.ones(len(y), dtype=torch.bool)


class SoftmaxRegression(LinearClassifier):
    """Fit the log-odds of K classes by ``X @ weight + bias``, minimising their mean log loss.

    ``weight`` has shape ``(d, K)`` and ``bias`` ``(K,)``. Adding one number to all biases changes
    nothing (nor to all weights of a feature, where there is no penalty): the reference has those
    whose mean is zero, and parameter errors are measured less these means. scikit-learn's
    LogisticRegression minimises ``C sum + ||w||**2 / 2``: our ``l2 = 1 / (n C)``, and with row
    weights ``1 / (sum(weights) C)``. Arguments: those of `LinearModel`; y holds labels of at least
    two classes, of any one kind (ValueError otherwise), which are kept sorted as ``classes``.

    See Also
    --------
    LinearModel : What all linear models share.
    LogisticRegression : Two classes.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), ["low", "mid", "high"]
    >>> problem = SoftmaxRegression(X, y, l2=0.1)
    >>> problem.predict(problem.reference().parameters, X).tolist()
    ['low', 'mid', 'high']

    References
    ----------
    Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 4.4.
    """

    def __init__(self, X: Values, y: Values, **options: Unpack[ModelOptions]) -> None:
        classes = encoded(y).classes
        assert classes is not None
        super().__init__(X, y, Softmax(len(classes)), **options)
