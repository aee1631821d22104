"""Stochastic gradient descent in one compiled loop over many epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar

import torch

from optlab.checks import check_fraction, check_not_negative, check_positive
from optlab.optimizers.batches import Batches
from optlab.optimizers.fused.fused_run import FusedRun, Loop
from optlab.optimizers.fused.linear_loss import LinearLoss
from optlab.optimizers.linear_descent import LinearDescent
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.vector import flatten

_ROWS_AT_ONCE = 1 << 18
"""Rows visited between two iterates at most, so that a trial can be stopped meanwhile."""

_COMPILERS = {"cpu": ("numba", "fast", "compiled_descent"),
              "cuda": ("triton", "gpu", "triton_descent")}  # fmt: skip


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
        Step size :math:`\eta`, positive and finite.
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

    learning_rate: float = 0.001
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    fastmath: bool = False
    uses_batches: ClassVar[bool] = True
    imports: ClassVar[tuple[str, ...]] = ("optlab.optimizers.fused.compiled_descent",)

    def __post_init__(self) -> None:
        check_positive("learning_rate", self.learning_rate)
        check_fraction("momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum greater than 0, not 0")
        check_not_negative("weight_decay", self.weight_decay)

    def linear_descent(self) -> LinearDescent:
        """Return the recurrence of the error on a quadratic."""
        return LinearDescent(self.learning_rate, self.momentum, self.nesterov, self.weight_decay)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say why this pair cannot run: another loss, another device, or a missing compiler."""
        if LinearLoss.of(problem) is None:
            penalty = " with an l1 penalty" if getattr(problem, "l1", 0.0) else ""
            return f"FusedSGD has no compiled loop for a {type(problem).__name__}{penalty}"
        if device.type not in _COMPILERS:
            return f"FusedSGD has compiled loops for {' and '.join(_COMPILERS)}, not {device.type}"
        compiler, extra, _ = _COMPILERS[device.type]
        if find_spec(compiler) is None:
            return f"FusedSGD needs {compiler} on {device.type}: pip install optlab[{extra}]"
        return None

    def compile(self, problem: Problem, batches: Batches) -> None:
        """Compile the loop, or load it from disk, by an epoch of one row."""
        run = self._run(problem, batches, problem.start(torch.Generator()))
        orders = torch.zeros(1, 1, dtype=torch.int32, device=batches.y.device)
        loop(run, batches.rows_a_step, 1)(orders if batches.is_shuffled else None, 1)

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters where the runner looks, and at least every 262 144 rows."""
        run = self._run(problem, batches, start)
        advance = loop(run, batches.rows_a_step, batches.samples)
        parameters, loss = run.parameters(), run.losses[0]
        for epochs in batches.epochs_at_once(max(1, _ROWS_AT_ONCE // batches.samples)):
            advance(batches.orders(epochs), epochs)
            yield Iterate(parameters, loss, epochs=epochs)

    def _run(self, problem: Problem, batches: Batches, start: Parameters) -> FusedRun:
        kind = LinearLoss.of(problem)
        assert kind is not None
        data = Batch(batches.X.contiguous(), batches.y.contiguous(), batches.weight)
        theta = flatten(start)[None]
        rates, momenta = theta.new_tensor([[self.learning_rate], [self.momentum]])
        return FusedRun(
            data, kind, theta, rates, momenta, self.weight_decay, self.nesterov, self.fastmath
        )


def loop(run: FusedRun, size: int, samples: int) -> Loop:
    """Return the loop that is compiled for a run's device.

    ``size`` is the rows a step, ``samples`` the rows an epoch.
    """
    module = import_module(f"{__package__}.{_COMPILERS[run.theta.device.type][2]}")
    made: Loop = module.loop(run, size, samples)
    return made
