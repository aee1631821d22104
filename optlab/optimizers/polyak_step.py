"""Gradient descent with Polyak's step size, which knows the least loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class PolyakStep:
    r"""(Sub)gradient descent with Polyak's step size, from the reference's loss :math:`f_*`.

    .. math:: w \leftarrow w - \frac{\max(f(w) - f_*, 0)}{\lVert g \rVert^2} \, g

    on all data. For a convex loss no step leads away from any minimiser, and no constant of the
    problem is needed but its least loss. That difference of losses is computed in the data's dtype:
    the suboptimality stalls where it is some roundings of the loss itself.

    See Also
    --------
    BarzilaiBorwein, ExactLineSearch : Other steps without a learning rate.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.PolyakStep(), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Polyak, Minimization of unsmooth functionals (1969); Hazan and Kakade, Revisiting the Polyak
    step size (2019).
    """

    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the least loss is not known, or None."""
        reference = problem.reference()
        if reference is None:
            return "PolyakStep needs the least loss, which is not known for this problem"
        if not reference.trusted:
            return f"PolyakStep needs the least loss, which cannot be trusted: {reference.message}"
        return None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step."""
        reference = problem.reference()
        assert reference is not None
        objective, w = Objective(problem, start), flatten(start)
        while True:
            loss, g = objective.loss_and_gradient(w)
            gap, square = (loss - reference.loss).clamp(min=0), g @ g
            # Where the gradient is 0 (in this dtype), there is no direction, and no step.
            w = w - torch.where(square > 0, gap / square, 0.0) * g
            yield objective.iterate(w)
