"""Descend by a first-order rule whose steps are replayed as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from optlab.optimizers.batches import Batches
from optlab.optimizers.optimizer import Iterate
from optlab.problems import Batch, Parameters, Problem

_MOST_STEPS = 32
"""Steps in one graph: enough to hide what a launch costs, few enough to capture at once."""


class FirstOrderRule(Protocol):
    """A rule that changes the parameters by a gradient, without looking at tensors' values."""

    def init(self, parameters: Parameters) -> Any:
        """Return the state before the first step."""

    def update(
        self, gradient: Parameters, state: Any, parameters: Parameters
    ) -> tuple[Parameters, Any]:
        """Return the parameters and the state after a step."""


@dataclass(frozen=True)
class CUDAGraph:
    """Replay the steps of a first-order rule as a CUDA graph: the eager step without its calls.

    On a CUDA device a small eager step takes the time that Python and torch need to launch its
    kernels. Captured once, the kernels of up to 32 steps are launched by one call; they compute the
    same numbers. It works for any problem and rule; `FusedSGD`, where it knows the loss, takes the
    kernels' own launches away too. Capturing is part of the measured seconds: each run does it.

    Parameters
    ----------
    rule
        A first-order rule, as `optlab.SGD` or `optlab.Adam`.

    References
    ----------
    CUDA C++ Programming Guide, CUDA Graphs; `torch.cuda.CUDAGraph`.
    """

    rule: FirstOrderRule
    uses_batches: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The rule's name, and that it is captured."""
        return f"CUDAGraph({type(self.rule).__name__})"

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Say that other devices have no CUDA graphs."""
        return None if device.type == "cuda" else f"CUDA graphs need a CUDA device, not {device}"

    def iterates(self, problem: Problem, batches: Batches, start: Parameters) -> Iterator[Iterate]:
        """Yield the parameters after each epoch."""
        step = _Step(self.rule, problem, batches, start)
        size, device = batches.rows_a_step, batches.y.device
        whole = batches.samples // size
        together = min(whole, _MOST_STEPS)
        rows = torch.arange(together * size, device=device)
        parts = rows.split(size) if batches.is_shuffled else [None] * together

        def steps() -> None:
            for part in parts:
                step(part)

        replay = _captured(steps, step.state)
        while True:
            order = batches.orders(1)[0].to(device, torch.int64) if batches.is_shuffled else None
            for first in range(0, whole - together + 1, together):
                if order is not None:
                    rows.copy_(order[first * size : first * size + len(rows)])
                replay()
            left = batches.samples - whole // together * len(rows)
            for part in () if order is None else order[batches.samples - left : batches.samples].split(size):
                step(part)
            yield Iterate(step.parameters, step.loss)


class _Step:
    """One eager step on tensors that stay where they are, so that it can be captured."""

    def __init__(
        self, rule: FirstOrderRule, problem: Problem, batches: Batches, start: Parameters
    ) -> None:
        self.rule, self.problem, self.batches = rule, problem, batches
        self.parameters = {name: value.requires_grad_() for name, value in start.items()}
        with torch.no_grad():
            self.rule_state = rule.init(start)
        self.loss = torch.zeros_like(problem.loss(start)).detach()

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        leaves = tree.tree_leaves((self.parameters, self.rule_state, self.loss))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def __call__(self, rows: Tensor | None) -> None:
        """Make one step on some rows; None: all rows."""
        data = self.batches
        parts = [part for part in (data.X, data.y, data.weight) if part is not None]
        if rows is not None:
            parts = [part.index_select(0, rows) for part in parts]
        loss = self.problem.loss(self.parameters, Batch(*parts))
        gradient = dict(
            zip(self.parameters, torch.autograd.grad(loss, list(self.parameters.values())), strict=True)
        )
        with torch.no_grad():
            after = self.rule.update(gradient, self.rule_state, self.parameters)
            new = [*tree.tree_leaves(after), loss]
            old = tree.tree_leaves((self.parameters, self.rule_state, self.loss))
            for value, place in zip(new, old, strict=True):
                if isinstance(place, Tensor):
                    place.copy_(value)


def _captured(steps: Callable[[], None], state: list[Tensor]) -> Callable[[], None]:
    """Return a function that replays the steps; the state is as it was before."""
    kept = [value.detach().clone() for value in state]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        steps()  # libraries make their handles and workspaces now, which cannot be captured
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        steps()
    with torch.no_grad():
        for value, before in zip(state, kept, strict=True):
            value.copy_(before)
    return graph.replay
