"""Limited-memory BFGS of torch over all data, with its strong Wolfe line search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.checks import check_count
from optlab.optimizers.batches import Batches
from optlab.optimizers.objective import Objective
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.problems import Parameters, Problem
from optlab.problems.capabilities import is_smooth
from optlab.problems.vector import flatten

_MOST_EVALUATIONS = 26
"""Of one iteration: the line search of torch makes at most 25."""


@dataclass(frozen=True)
class LBFGS:
    r"""Limited-memory BFGS: a quasi-Newton method on all data, by `torch.optim.LBFGS`.

    .. math:: w \leftarrow w - t B \nabla f(w)

    where B approximates the inverse Hessian by the last steps and changes of the gradient, and t
    satisfies the strong Wolfe conditions. Each iterate is one iteration; every evaluation of its
    line search is counted as a loss and a gradient. It ends where an iteration changes nothing.

    Parameters
    ----------
    history_size
        Steps that are kept for B: at least 1.
    learning_rate
        The first length that the line search tries: positive and finite.

    Raises
    ------
    ValueError
        For a history that is no whole number of at least 1, and a learning rate that is not
        positive and finite.

    See Also
    --------
    Newton : With the Hessian itself.
    ScipyMinimize : scipy's BFGS and L-BFGS-B.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.LBFGS(), epochs=20, stop_at=1e-12).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Liu and Nocedal, On the limited memory BFGS method for large scale optimization (1989).
    """

    history_size: int = 10
    learning_rate: float | str = 1.0
    uses_batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extra_evaluations: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)

    def __post_init__(self) -> None:
        check_count("history_size", self.history_size)
        check_rate("learning_rate", self.learning_rate, of="LBFGS")

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: a loss with kinks."""
        return None if is_smooth(problem) else "LBFGS needs a loss without kinks"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each iteration."""
        objective = Objective(problem, start)
        w = flatten(start).detach().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [w],
            lr=number_of(self.learning_rate),
            max_iter=1,
            max_eval=_MOST_EVALUATIONS,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=self.history_size,
            line_search_fn="strong_wolfe",
        )
        evaluated: list[tuple[Tensor, Tensor, Tensor]] = []

        def closure() -> float:
            at = w.detach()
            # An iteration begins where the line search before it has been.
            seen = [entry for entry in evaluated if torch.equal(entry[0], at)]
            if not seen:
                loss, gradient = objective.loss_and_gradient(at)
                evaluated.append((at.clone(), loss, gradient))
                seen = evaluated[-1:]
            w.grad = seen[0][2].clone()
            return float(seen[0][1])

        while True:
            before = w.detach().clone()
            optimizer.step(closure)
            yield objective.iterate(w.detach().clone())
            if torch.equal(w, before):
                return
            del evaluated[:-_MOST_EVALUATIONS]
