"""Linear models of classes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from optlab.problems.problem import Evaluation, Parameters
from optlab.problems.smooth_linear_model import SmoothLinearModel


class LinearClassifier(SmoothLinearModel):
    """A linear model of classes: it predicts their labels, and their probabilities.

    ``classes`` holds the labels, sorted; y their positions.
    """

    takes_labels: ClassVar[bool] = True
    """Whether a dataset's target may be labels of any kind."""

    def predict(self, parameters: Parameters, X: Any = None) -> np.ndarray[Any, Any]:
        """Return the likeliest label of each row, ``(B,)``: see `LinearModel.predict`."""
        assert self.classes is not None
        eta = self.linear_predictor(parameters, self._features(X, parameters))
        labels: np.ndarray[Any, Any] = self.classes[_likeliest(eta).cpu().numpy()]
        return labels

    def predict_proba(self, parameters: Parameters, X: Any = None) -> Tensor:
        """Return the probability of each class, ``(B, K)``: see `LinearModel.predict`."""
        eta = self.linear_predictor(parameters, self._features(X, parameters))
        mean = self.loss_function.mean(eta)
        return mean if mean.ndim == 2 else torch.stack([self.loss_function.mean(-eta), mean], 1)

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a point as `LinearModel.evaluate` does, and by its accuracy.

        ``more`` has ``accuracy``, the share of fitted rows (by their weights, where they have some)
        whose label is predicted, and ``validation_accuracy``, that of the rows held out; nan where
        predictions are.
        """
        evaluation = super().evaluate(parameters)
        objective = (self._original or self).objective
        X = objective.design[:, int(self.fit_intercept) :]
        more = {"accuracy": _accuracy(parameters, X, objective.y, objective.share)}
        if (held := self.validation) is not None:
            more["validation_accuracy"] = _accuracy(parameters, held.X, held.y, held.share)
        return evaluation._replace(more=more | dict(evaluation.more))


def _likeliest(eta: Tensor) -> Tensor:
    """Return the position of the likeliest class of each row; the first of several alike."""
    return eta.argmax(1) if eta.ndim == 2 else (eta > 0).long()


def _accuracy(parameters: Parameters, X: Tensor, y: Tensor, share: Tensor | None) -> float:
    """Return the share of rows whose class is the likeliest; nan where predictions are."""
    point = {name: value.detach().to("cpu", torch.float64) for name, value in parameters.items()}
    eta = X @ point["weight"] + point.get("bias", 0.0)
    if eta.isnan().any():
        return math.nan
    hits = (_likeliest(eta) == y).double()
    return float(hits.mean() if share is None else hits @ share)
