"""Linear models whose loss has a slope everywhere: the penalty may still have kinks."""

from __future__ import annotations

import math
from functools import cached_property

import torch

from optlab.problems.largest_eigenvalue import largest_eigenvalue
from optlab.problems.linear_model import LinearModel
from optlab.problems.problem import Batch, Parameters
from optlab.problems.row_weights import times


class SmoothLinearModel(LinearModel):
    """A linear model with a differentiable loss: curvature, and a proximal step for the l1 penalty.

    The smooth part is the mean loss and the l2 penalty.
    """

    def smooth_loss(self, parameters: Parameters, batch: Batch | None = None) -> torch.Tensor:
        """Mean loss over a batch (all data where none is given), plus the l2 penalty."""
        loss = self._mean_loss(parameters, batch)
        return loss + self.l2 / 2 * parameters["weight"].pow(2).sum() if self.l2 else loss

    def smooth_gradient(self, parameters: Parameters, batch: Batch | None = None) -> Parameters:
        """Gradient of `smooth_loss` in closed form."""
        return self._smooth_gradient(parameters, batch)

    def proximal(self, parameters: Parameters, step: float | torch.Tensor) -> Parameters:
        """Return the minimiser of ``||v - parameters||**2 / 2 + step l1 ||weight of v||_1``."""
        return parameters | {"weight": self.penalty.proximal(parameters["weight"], step)}

    def hessian_product(
        self, parameters: Parameters, direction: Parameters, batch: Batch | None = None
    ) -> Parameters:
        """Return the Hessian of `smooth_loss` times a direction: ``X'D X v / B + l2 v``."""
        X, y, row_weight = self._rows(batch)
        along = self.linear_predictor(direction, X)
        eta = self.linear_predictor(parameters, X)
        bent = self.loss_function.curvature_product(eta, y, along)
        if row_weight is not None:
            bent = times(row_weight, bent)
        weight = X.T @ bent * (1 / len(y))
        if self.l2:
            weight = weight + self.l2 * direction["weight"]
        return {"weight": weight} | ({"bias": bent.mean(0)} if self.fit_intercept else {})

    def lipschitz(self) -> float:
        """Return an upper bound of the Hessian's largest eigenvalue; infinite for counts.

        That is the steepest curvature of the loss times the largest eigenvalue of ``X'X / n`` (the
        intercept's column and the rows' weights in it), plus l2. The eigenvalue is computed on the
        device of the data, at the first call.
        """
        steepest = self.loss_function.steepest
        return steepest * self._largest_eigenvalue + self.l2 if steepest < math.inf else math.inf

    @cached_property
    def _largest_eigenvalue(self) -> float:
        return largest_eigenvalue(self.X, self.row_weight, intercept=self.fit_intercept)
