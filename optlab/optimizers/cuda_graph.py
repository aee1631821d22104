"""Descend by a first-order rule whose steps are replayed as a CUDA graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optimizers.batches import Batches
from optlab.optimizers.first_order.descend import Rule, check_rule, move
from optlab.optimizers.first_order.sgd import SGD
from optlab.optimizers.optimizer import Iterate, Optimizer, optimizer_name
from optlab.optimizers.schedules import as_schedule
from optlab.problems import Batch, Parameters, Problem
from optlab.problems.capabilities import gradient, loss_and_gradient
from optlab.problems.vector import flatten, unflatten

_MOST_STEPS = 32
"""Steps in one graph: enough to hide what a launch costs, few enough to capture at once."""


@dataclass(frozen=True)
class CUDAGraph:
    """Replay the steps of a first-order rule as a CUDA graph: the same kernels, without the calls.

    On a CUDA device a small eager step takes the time that Python and torch need to launch its
    kernels. Captured once, the kernels of up to 32 steps are launched by one call; they compute the
    same numbers. It works for any problem and rule whose steps do not read a tensor's value;
    `FusedSGD`, where it knows the loss, takes the launches of kernels away too. Capturing takes
    some milliseconds of the measured seconds, as each run does it.

    Parameters
    ----------
    rule
        A first-order rule of the lab, such as ``optlab.SGD(0.1)`` or ``optlab.Adam(0.1)``.

    Raises
    ------
    ValueError
        For another kind of optimizer.

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

    def stable_growth(self) -> float:
        """Return the rule's own."""
        growth = getattr(self.rule, "stable_growth", None)
        return math.nan if growth is None else float(growth())

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that other devices have no CUDA graphs."""
        return None if device.type == "cuda" else f"CUDA graphs need a CUDA device, not {device}"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        descent = _Descent(self.rule, problem, batches, start)
        size = batches.rows_a_step
        whole, rest = divmod(batches.steps - 1, _MOST_STEPS)  # the last graph holds the last step
        many = _Graph(descent, _MOST_STEPS * size, _MOST_STEPS) if whole else None
        last = _Graph(descent, batches.samples - whole * _MOST_STEPS * size, rest + 1)
        schedule, steps, t = as_schedule(self.rule.learning_rate), batches.steps, 0
        is_full = batches.batch_size == "full"
        while True:
            order = None if is_full else batches.orders(1)[0].to(batches.y.device)
            place = 0
            for graph in [*[many] * whole, last]:
                assert graph is not None
                rates = [float(schedule((t + i) / steps)) for i in range(graph.steps)]
                graph.replay(None if order is None else order[place : place + graph.rows], rates)
                t, place = t + graph.steps, place + graph.rows
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

    def step(self, rows: Tensor | None, rate: Tensor, *, is_last: bool) -> None:
        """Make one step on some rows, or on all for None; the last one of a graph keeps its loss."""
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


class _Graph:
    """Some steps of a descent, captured: their rows and rates are copied in before each replay."""

    def __init__(self, descent: _Descent, rows: int, steps: int) -> None:
        self.rows, self.steps = rows, steps
        device = descent.w.device
        self._rows = torch.zeros(rows, dtype=torch.int32, device=device)
        self._rates = torch.zeros(steps, dtype=descent.w.dtype, device=device)
        self._old_rates: list[float] = []
        size = descent.batches.rows_a_step
        parts = [None] if descent.batches.batch_size == "full" else self._rows.split(size)

        def run() -> None:
            for i, part in enumerate(parts):
                descent.step(part, self._rates[i], is_last=i == steps - 1)

        self._graph = _captured(run, descent.state)

    def replay(self, rows: Tensor | None, rates: list[float]) -> None:
        """Make the steps on these rows, in order, at these rates; None where each takes all rows."""
        if rows is not None:
            self._rows.copy_(rows)
        if rates != self._old_rates:
            self._rates.copy_(self._rates.new_tensor(rates))
            self._old_rates = rates
        self._graph.replay()


def _captured(run: Callable[[], None], state: list[Tensor]) -> torch.cuda.CUDAGraph:
    """Return what a function does as a graph, and leave the state as it was before."""
    kept = [value.clone() for value in state]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()  # libraries make their handles and workspaces now, which cannot be captured
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    for value, before in zip(state, kept, strict=True):
        value.copy_(before)
    return graph
