"""Descend by a first-order rule whose steps are replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.epoch_graph import EpochGraph
from optlab.optimizers.first_order.descend import Rule, check_rule, move
from optlab.optimizers.first_order.sgd import SGD
from optlab.optimizers.linear_descent import LinearDescent, linear_descent
from optlab.optimizers.optimizer import Iterate, Optimizer, optimizer_name
from optlab.optimizers.schedules import as_schedule
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.capabilities import HasBuffers, gradient, has, loss_and_gradient
from optlab.problems.vector import flatten, unflatten


@dataclass(frozen=True)
class CUDAGraph:
    """Replay the steps of a first-order rule as a CUDA graph: the same kernels, without the calls.

    On a CUDA device a small eager step takes the time that Python and torch need to launch its
    kernels. Captured once, the kernels of up to 32 steps are launched by one call; they compute the
    same numbers. The steps must stay on the device: they read no tensor's value, copy nothing from
    the CPU and change no state but the parameters' and the rule's. So a `ModuleProblem` is left
    out, whose loss updates buffers and sets the state of random generators. `FusedSGD`, where it
    knows the loss, takes the launches of kernels away too. Capturing takes some milliseconds of the
    measured seconds, as each run does it.

    Parameters
    ----------
    rule
        A first-order rule of the lab, such as ``optlab.SGD(0.1)`` or ``optlab.Adam(0.1)``.

    Raises
    ------
    ValueError
        For another kind of optimizer.

    See Also
    --------
    FusedSGD : A compiled loop for linear models, on the CPU too.
    descend : The loop that is captured.

    Examples
    --------
    >>> import torch
    >>> import optlab as ol
    >>> graph = ol.CUDAGraph(ol.Adam(0.1))
    >>> graph.name
    'CUDAGraph(Adam)'
    >>> problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    >>> graph.unsupported(problem, torch.device("cpu"))
    'CUDA graphs need a CUDA device, not cpu'

    References
    ----------
    CUDA C++ Programming Guide, section CUDA Graphs; `torch.cuda.CUDAGraph`.
    """

    rule: Rule = field(default_factory=SGD)
    uses_batches: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rule(self.rule)

    @property
    def name(self) -> str:
        """The name in tables, with the rule's in brackets."""
        assert isinstance(self.rule, Optimizer)
        return f"CUDAGraph({optimizer_name(self.rule)})"

    def linear_descent(self) -> LinearDescent | None:
        """Return the rule's own."""
        return linear_descent(self.rule)

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that other devices have no CUDA graphs, or that the loss has a state of its own."""
        if device.type != "cuda":
            return f"CUDA graphs need a CUDA device, not {device}"
        if has(problem, HasBuffers):
            return (
                f"CUDA graphs replay kernels alone, but the loss of {type(problem).__name__} "
                "updates buffers and random streams of its own between them"
            )
        return None

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        descent = _Descent(self.rule, problem, batches, start)
        graph = EpochGraph(
            descent.step,
            descent.state,
            size=batches.rows_a_step,
            samples=batches.samples,
            ordered=batches.is_shuffled or batches.rows_a_step < len(batches.y),
        )
        schedule, steps, before = as_schedule(self.rule.learning_rate), batches.steps, None
        for epoch in count():
            rates = [float(schedule((epoch * steps + i) / steps)) for i in range(steps)]
            if rates != before:
                before, on_device = rates, descent.w.new_tensor(rates)
            orders = batches.orders(1)
            graph.replay(None if orders is None else orders[0], on_device)
            yield Iterate(descent.parameters, descent.loss)


class _Descent:
    """A descent on tensors that stay where they are, so that its steps can be captured."""

    def __init__(self, rule: Rule, problem: Problem, batches: Batches, start: Parameters) -> None:
        self.rule, self.problem, self.batches = rule, problem, batches
        self.w = flatten(start)
        self.parameters = unflatten(self.w, start)
        self.rule_state = rule.init(self.w)
        self.t = torch.zeros((), dtype=torch.float64, device=self.w.device)
        self.loss = self.w.new_zeros(())

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return [self.w, *self.rule_state, self.t, self.loss]

    def step(self, rows: Tensor | None, rate: Tensor, is_last: bool) -> None:
        """Make one step on some rows, or on all for None; an epoch's last one keeps its loss."""
        data = self.batches
        parts = [part for part in (data.X, data.y, data.weight) if part is not None]
        if rows is not None:
            parts = [part.index_select(0, rows) for part in parts]
        batch = Batch(*parts)
        if is_last:
            loss, slope = loss_and_gradient(self.problem, self.parameters, batch)
            self.loss.copy_(loss)
        else:
            slope = gradient(self.problem, self.parameters, batch)
        self.t += 1
        # A tensor, so that a replay does not see the number of the step that was captured.
        direction, state = self.rule.update(flatten(slope), self.rule_state, self.w, self.t)  # type: ignore[arg-type]
        for old, new in zip(self.rule_state, state, strict=True):
            old.copy_(new)
        move(self.w, direction, rate)
