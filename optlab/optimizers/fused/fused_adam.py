"""Adam in one compiled loop over many epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.checks import check_fraction, check_not_negative, check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.fused.compiled_loops import (
    COMPILERS,
    advance_run,
    compile_loop,
    is_compiled,
    rows_and_loss,
    without_loop,
)
from optlab.optimizers.fused.fused_run import FusedRun, Moments
from optlab.optimizers.fused.joint_runs import (
    Settings,
    advance_together,
    compile_together,
)
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.optimizers.together import JointIterates
from optlab.problems import Parameters, Problem
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class FusedAdam:
    r"""Adam in one compiled loop, which runs many epochs at a time, on the CPU.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        w_t = w_{t-1} - \eta \left(
        \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} + \lambda w_{t-1}
        \right)

    elementwise: the same mathematics, start and order as `Adam`, and with a decay as `AdamW`, to
    rounding: sums may be taken in another order. The loop is compiled by numba
    (``pip install optlab[fast]``); compiling is not part of the measured seconds.

    Parameters
    ----------
    learning_rate
        :math:`\eta`, positive and finite.
    beta1, beta2
        :math:`\beta_1, \beta_2`, at least 0 and less than 1.
    epsilon
        :math:`\epsilon`, positive and finite.
    weight_decay
        :math:`\lambda`, finite and at least 0: decoupled. It shrinks the bias too, and the optimum
        that trials are judged against does not know of it.
    fastmath
        Whether the compiler may reorder sums and round a product and a sum once.

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    Adam : The same rule for every problem.
    FusedSGD : The compiled loop of gradient descent.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> ol.minimize(problem, ol.FusedAdam(0.1), epochs=2000, stop_at=1e-9).status
    <Status.CONVERGED: 'converged'>

    References
    ----------
    Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1; Loshchilov and
    Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """

    learning_rate: float | str = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    fastmath: bool = False
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("optlab.optimizers.fused.compiled_descent",)

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate, of="FusedAdam")
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)
        check_not_negative("weight_decay", self.weight_decay)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, another device, or a missing compiler."""
        return without_loop("FusedAdam", problem, device, {"cpu": COMPILERS["cpu"]})

    def compile(self, problem: Problem, batches: Batches) -> None:
        """Compile the loop, or load it from disk, by an epoch of one row."""
        if not is_compiled(batches):
            compile_loop(self._run(problem, batches, problem.start(torch.Generator())), batches)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters where the runner looks, and at least every 262 144 rows."""
        return advance_run(self._run(problem, batches, start), batches)

    @staticmethod
    def compile_together(
        optimizers: Sequence[FusedAdam],
        problem: Problem,
        batches: Sequence[Batches],
        starts: Sequence[Parameters],
    ) -> None:
        """Compile the loops of several trials, or load them from disk, by an epoch of one row."""
        compile_together(_settings(optimizers), problem, batches, starts)

    @staticmethod
    def iterates_together(
        optimizers: Sequence[FusedAdam],
        problem: Problem,
        batches: Sequence[Batches],
        starts: Sequence[Parameters],
    ) -> JointIterates:
        """Yield the parameters of several trials, computed side by side: the same bits."""
        return advance_together(_settings(optimizers), problem, batches, starts)

    def _run(self, problem: Problem, batches: Batches, start: Parameters) -> FusedRun:
        data, loss = rows_and_loss(problem, batches)
        theta = flatten(start)[None]
        rates = theta.new_tensor([number_of(self.learning_rate)])
        moments = Moments(self.beta1, self.beta2, self.epsilon)
        return FusedRun(
            data, loss, theta, rates, torch.zeros_like(rates), self.weight_decay,
            fastmath=self.fastmath, moments=moments,
        )  # fmt: skip


def _settings(optimizers: Sequence[FusedAdam]) -> list[Settings]:
    return [
        Settings(
            number_of(own.learning_rate),
            decay=own.weight_decay,
            fastmath=own.fastmath,
            moments=Moments(own.beta1, own.beta2, own.epsilon),
        )
        for own in optimizers
    ]
