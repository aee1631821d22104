"""Stochastic gradient descent in one compiled loop over many epochs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.checks import check_fraction, check_not_negative
from optlab.optimizers.batches import Batches
from optlab.optimizers.fused.compiled_loops import (
    COMPILERS,
    advance_run,
    compile_loop,
    is_compiled,
    rows_and_loss,
    without_loop,
)
from optlab.optimizers.fused.fused_run import FusedRun
from optlab.optimizers.fused.joint_runs import (
    Settings,
    advance_together,
    compile_together,
)
from optlab.optimizers.linear_descent import LinearDescent, constant_descent
from optlab.optimizers.optimizer import Iterate
from optlab.optimizers.rate_text import check_rate, number_of
from optlab.optimizers.together import JointIterates
from optlab.problems import Parameters, Problem
from optlab.problems.vector import flatten


@dataclass(frozen=True)
class FusedSGD:
    r"""Stochastic gradient descent in one compiled loop, which runs many epochs at a time.

    .. math::
        g \leftarrow \nabla_w f_B(w) + \lambda w, \quad
        v \leftarrow m v + g, \quad
        w \leftarrow w - \eta v \quad (\text{Nesterov: } w \leftarrow w - \eta (g + m v))

    The same mathematics, start and order as `TorchSGD` (without momentum: as `ManualSGD`), to
    rounding: sums may be taken in another order. On the CPU the loop is compiled by numba
    (``pip install optlab[fast]``), on a CUDA device it is one Triton kernel (``optlab[gpu]``), in
    which one program makes all steps: made for small batches, where a step of torch costs its calls
    and launches. Compiling is not part of the measured seconds.

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta`, positive and finite, or ``"auto"`` or ``"1/L"``
        (`resolve_rates`).
    momentum
        :math:`m`, at least 0 and less than 1.
    nesterov
        Whether the look-ahead form is used; it needs a momentum.
    weight_decay
        :math:`\lambda`, at least 0. Unlike the problem's ``l2`` it shrinks the bias too, and the
        optimum that trials are judged against does not know of it.
    fastmath
        Whether the compiler may reorder sums and round a product and a sum once (CPU only).

    Raises
    ------
    ValueError
        For a value outside these bounds.

    See Also
    --------
    ManualSGD : The same steps, as a loop to read.
    FusedAdam : The compiled loop of Adam.
    CUDAGraph : Fewer launches for any rule on a GPU.

    Examples
    --------
    >>> import optlab as ol
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> solution = ol.minimize(problem, ol.FusedSGD(0.001), epochs=2000, batch_size=1, seed=1)
    >>> solution.parameters["weight"].item(), solution.parameters["bias"].item()
    (2.706723928451538, 4.969954013824463)

    References
    ----------
    Robbins and Monro, A Stochastic Approximation Method (1951); Sutskever, Martens, Dahl and
    Hinton, On the importance of initialization and momentum in deep learning (2013).
    """

    learning_rate: float | str = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    fastmath: bool = False
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("optlab.optimizers.fused.compiled_descent",)

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_fraction("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum greater than 0, not 0")
        check_not_negative("weight_decay", self.weight_decay)

    def linear_descent(self) -> LinearDescent | None:
        """Return the recurrence of the error on a quadratic, None while the rate is text."""
        return constant_descent(
            self.learning_rate,
            self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, another device, or a missing compiler."""
        return without_loop("FusedSGD", problem, device, COMPILERS)

    def compile(self, problem: Problem, batches: Batches) -> None:
        """Compile the loop, or load it from disk, by an epoch of one row."""
        if not is_compiled(batches):
            compile_loop(self._run(problem, batches, problem.start(torch.Generator())), batches)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters where the runner looks, and at least every 262 144 rows."""
        return advance_run(self._run(problem, batches, start), batches)

    @staticmethod
    def compile_together(
        optimizers: Sequence[FusedSGD],
        problem: Problem,
        batches: Sequence[Batches],
        starts: Sequence[Parameters],
    ) -> None:
        """Compile the loops of several trials, or load them from disk, by an epoch of one row."""
        compile_together(_settings(optimizers), problem, batches, starts)

    @staticmethod
    def iterates_together(
        optimizers: Sequence[FusedSGD],
        problem: Problem,
        batches: Sequence[Batches],
        starts: Sequence[Parameters],
    ) -> JointIterates:
        """Yield the parameters of several trials, computed side by side: the same bits."""
        return advance_together(_settings(optimizers), problem, batches, starts)

    def _run(self, problem: Problem, batches: Batches, start: Parameters) -> FusedRun:
        data, loss = rows_and_loss(problem, batches)
        theta = flatten(start)[None]
        rates, momenta = theta.new_tensor([[number_of(self.learning_rate)], [self.momentum]])
        return FusedRun(
            data, loss, theta, rates, momenta, self.weight_decay, self.nesterov, self.fastmath
        )


def _settings(optimizers: Sequence[FusedSGD]) -> list[Settings]:
    return [
        Settings(
            number_of(own.learning_rate),
            own.momentum,
            own.weight_decay,
            own.nesterov,
            own.fastmath,
        )
        for own in optimizers
    ]
