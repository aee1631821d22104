"""Linear models of classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from optlab.problems.problem import Parameters
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
        likeliest = self.predict_proba(parameters, X).argmax(1).cpu().numpy()
        labels: np.ndarray[Any, Any] = self.classes[likeliest]
        return labels

    def predict_proba(self, parameters: Parameters, X: Any = None) -> torch.Tensor:
        """Return the probability of each class, ``(B, K)``: see `LinearModel.predict`."""
        eta = self.linear_predictor(parameters, self._features(X, parameters))
        mean = self.loss_function.mean(eta)
        return mean if mean.ndim == 2 else torch.stack([self.loss_function.mean(-eta), mean], 1)
