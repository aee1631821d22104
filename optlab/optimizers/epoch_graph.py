"""The steps of an epoch captured as CUDA graphs, which are replayed epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Step: TypeAlias = Callable[[Tensor | None, Tensor, bool], None]
"""A step on some rows (None: all rows as they lie) at a rate; the flag says whether it is the last
of an epoch. It changes tensors in place, reads no tensor's value and takes its time on the device.
"""

_MOST_STEPS = 32
"""Steps in one graph: enough to hide what a launch costs, few enough to capture at once."""


class EpochGraph:
    """Replay the steps of an epoch: their kernels, launched some steps at a time.

    Parameters
    ----------
    step
        The step.
    state
        All tensors that a step changes; capturing leaves them as they are.
    size, samples
        Rows a step, and rows an epoch.
    ordered
        Whether steps are told their rows; else each epoch is one step on all rows.
    """

    def __init__(
        self, step: Step, state: Sequence[Tensor], *, size: int, samples: int, ordered: bool
    ) -> None:
        steps = -(-samples // size)
        self._natural = torch.arange(samples if ordered else 0, device=state[0].device)
        self._whole, rest = divmod(steps - 1, _MOST_STEPS)
        like, whole_rows = state[0], _MOST_STEPS * size
        last_rows = samples - self._whole * whole_rows

        def graph(rows: int, count: int, *, is_last: bool) -> _Graph:
            buffer = torch.zeros(rows, dtype=torch.int32, device=like.device) if ordered else None
            return _Graph(step, state, buffer, like.new_zeros(count), size, is_last=is_last)

        self._many = graph(whole_rows, _MOST_STEPS, is_last=False) if self._whole else None
        self._last = graph(last_rows, rest + 1, is_last=True)

    def replay(self, order: Tensor | None, rates: Tensor | None = None) -> None:
        """Make an epoch's steps in this order, (n,), at these rates, (steps,), on the device.

        Without an order the rows are visited as they lie.
        """
        order = self._natural if order is None else order
        place = step = 0
        for graph in [*[self._many] * self._whole, self._last]:
            assert graph is not None
            if graph.rows is not None:
                graph.rows.copy_(order[place : place + len(graph.rows)])
                place += len(graph.rows)
            if rates is not None:
                graph.rates.copy_(rates[step : step + len(graph.rates)])
                step += len(graph.rates)
            graph.captured.replay()


class _Graph:
    """Some steps, captured; their rows and rates are copied in before each replay."""

    def __init__(
        self,
        step: Step,
        state: Sequence[Tensor],
        rows: Tensor | None,
        rates: Tensor,
        size: int,
        *,
        is_last: bool,
    ) -> None:
        self.rows, self.rates = rows, rates
        parts = [None] if rows is None else list(rows.split(size))

        def run() -> None:
            for i, part in enumerate(parts):
                step(part, rates[i], is_last and i == len(parts) - 1)

        self.captured = _captured(run, state)


def _captured(run: Callable[[], None], state: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
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
    for value, before in zip(state, kept, strict=True):  # pragma: no cover - CUDA
        value.copy_(before)
    return graph
