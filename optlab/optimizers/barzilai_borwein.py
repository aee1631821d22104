"""Gradient descent with Barzilai and Borwein's step sizes, made global by a line search."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from optlab.checks import check_count
from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import is_smooth
from optlab.problems.vector import flatten

Step = Literal["long", "short"]
_DECREASE = 1e-4


@dataclass(frozen=True)
class BarzilaiBorwein:
    r"""Gradient descent whose step size is a secant estimate of the inverse curvature.

    .. math:: w_{k+1} = w_k - \alpha_k g_k, \quad
        \alpha_k^{long} = \frac{s \cdot s}{s \cdot y}, \quad
        \alpha_k^{short} = \frac{s \cdot y}{y \cdot y}, \quad
        s = w_k - w_{k-1}, \; y = g_k - g_{k-1}

    on all data; :math:`1 / \alpha_0` is the curvature along :math:`g_0`, and where
    :math:`s \cdot y \le 0` the size stays. The loss goes up and down on purpose. So that the method
    converges for every smooth loss, a step is halved until

    .. math:: f(w_k - \alpha g_k) \le \max_{0 \le j < M} f(w_{k-j})
        - 10^{-4} \alpha \lVert g_k \rVert^2

    Parameters
    ----------
    step
        Which of the two sizes: ``"long"`` or ``"short"``.
    memory
        :math:`M`, how many losses a new one is compared with, at least 1 (which makes the loss fall
        at every step, at the price of speed).

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    ExactLineSearch, PolyakStep : Other steps without a learning rate.
    LBFGS : Curvature from more than one step.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial())
    >>> ol.minimize(problem, ol.BarzilaiBorwein(), epochs=500, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Barzilai and Borwein, Two-Point Step Size Gradient Methods (1988); Raydan, The Barzilai and
    Borwein Gradient Method for the Large Scale Unconstrained Minimization Problem (1997).
    """

    step: Step = "long"
    memory: int = 10
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.step not in get_args(Step):
            raise ValueError(f"step must be one of {', '.join(get_args(Step))}, not {self.step!r}")
        check_count("memory", self.memory)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that the loss has no gradient everywhere, or None."""
        if is_smooth(problem):
            return None
        return "BarzilaiBorwein needs a gradient everywhere, but the loss has kinks"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each step."""
        objective, w = Objective(problem, start), flatten(start)
        loss, g = objective.loss_and_gradient(w)
        recent = deque([loss.item()], self.memory)
        size = 1 / objective.curvature(w, g)
        while True:
            before, slope = w, g
            w, size = self._descent(objective, w, g, size, max(recent))
            loss, g = objective.loss_and_gradient(w)
            recent.append(loss.item())
            yield objective.iterate(w)
            s, y = w - before, g - slope
            up, down = (s @ s, s @ y) if self.step == "long" else (s @ y, y @ y)
            size = _ratio(up.item(), down.item(), size)

    @staticmethod
    def _descent(
        objective: Objective, w: Tensor, g: Tensor, size: float, highest: float
    ) -> tuple[Tensor, float]:
        """Return the point after one step, and its size after the line search."""
        square = (g @ g).item()
        slack = 4 * torch.finfo(w.dtype).eps * abs(highest)  # the rounding of a loss
        for _ in range(60):
            point = w - size * g
            loss = objective.loss(point).item()
            if loss <= highest - _DECREASE * size * square + slack:
                return point, size
            size /= 2
        return w, size


def _ratio(above: float, below: float, otherwise: float) -> float:
    """Return a quotient of positive numbers, or another value where they are not."""
    return above / below if above > 0 and below > 0 else otherwise
