"""Rows that are held out of the fit, and the loss on them."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import ArrayLike
from torch import Tensor

from optlab.datasets.dataset import Dataset
from optlab.datasets.validation import checked_design, named_columns, unwrapped
from optlab.problems.labels import Labels
from optlab.problems.losses.loss import Loss
from optlab.problems.problem import Parameters
from optlab.problems.row_weights import given_weights, shares


class ValidationRows(NamedTuple):
    """Held-out rows ``X (m, d)`` and ``y (m,)``, float64 on the CPU, and their weights' shares.

    The shares ``(m,)`` add up to 1; None where all rows count alike. ``function`` is the loss of a
    row.
    """

    X: Tensor
    y: Tensor
    share: Tensor | None
    function: Loss

    @classmethod
    def of(
        cls,
        given: Dataset | tuple[ArrayLike | Tensor, ArrayLike | Tensor],
        names: tuple[str, ...],
        loss: Loss,
        classes: Labels | None = None,
    ) -> ValidationRows:
        """Check held-out rows against the names of the columns, and the classes, that are fitted.

        Raises
        ------
        ValueError
            For other columns or classes, and for data that are none.
        """
        X: Any
        y: Any
        weights = None
        if isinstance(given, Dataset):
            if given.feature_names != names:
                raise ValueError(
                    f"validation must have the columns of X, {names}, not {given.feature_names}"
                )
            X, y, weights = given.X, given.y, given.sample_weight
        else:
            X, y = given
        try:
            X = named_columns(unwrapped(X), names)
            design = checked_design(X, loss.encoded(y, classes).y, names)
            loss.check(design.y)
        except ValueError as error:
            raise ValueError(f"validation: {error}") from None
        weight = given_weights(weights, X, len(design.y))
        X, y = (part.detach().to("cpu").double() for part in (design.X, design.y))
        y = y.long() if loss.outputs else y
        return cls(X, y, None if weight is None else shares(weight), loss)

    def loss(self, parameters: Parameters) -> float:
        """Return the (weighted) mean loss on the held-out rows, without a penalty."""
        point = {name: value.detach().to("cpu").double() for name, value in parameters.items()}
        eta = self.X @ point["weight"]
        values = self.function.value(eta + point["bias"] if "bias" in point else eta, self.y)
        return float(values.mean() if self.share is None else values @ self.share)
