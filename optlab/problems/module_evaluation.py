"""Evaluate a torch module's parameters in eval mode, off the clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from optlab.problems.problem import Batch, Evaluation, Parameters
from optlab.problems.random_stream import RandomStream

ROWS = 1024
"""Rows that go through the module at once: what it computes for more need not fit in memory."""

Function = Callable[[Tensor, Tensor], Any]


class ModuleEvaluation:
    """Evaluate points in eval mode and float64 on the CPU: see `ModuleProblem.evaluate`.

    Parameters
    ----------
    module, loss
        In float64 on the CPU, the module in eval mode.
    training, held_out
        The rows that are fitted, and those that are not (None where there are none).
    measures
        Functions of output and y, by name.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Function,
        training: Batch,
        held_out: Batch | None,
        measures: Mapping[str, Function],
    ) -> None:
        self.module, self.loss, self.measures = module, loss, measures
        self.training, self.held_out = training, held_out
        self._own = dict(module.named_parameters()) | dict(module.named_buffers())

    def __call__(self, parameters: Parameters) -> Evaluation:
        """Return losses and measures at a point, and the norm of the training loss's gradient."""
        point = self.point(parameters)
        # Code that draws in eval mode draws the same each time, and nobody else notices.
        with RandomStream(0, torch.device("cpu")).active(), torch.enable_grad():
            output = self.output(point, self.training.X).requires_grad_()
            loss = self.loss(output, self.training.y)
            more = self._measures("", output, self.training.y)
            if self.held_out is not None:
                held = self.output(point, self.held_out.X)
                more["validation_loss"] = self.loss(held, self.held_out.y).item()
                more |= self._measures("validation_", held, self.held_out.y)
            norm = self._gradient_norm(point, output, loss)
        return Evaluation(loss.item(), math.nan, norm, math.nan, more)

    def point(self, parameters: Parameters) -> Parameters:
        """Return parameters and buffers as the module has them here, copied.

        Code that changes its buffers in eval mode too does not change the run's.
        """
        return {
            name: value.detach().to("cpu", self._own[name].dtype, copy=True)
            for name, value in parameters.items()
        }

    def output(self, point: Parameters, X: Tensor) -> Tensor:
        """Return the module's output for all rows, computed some rows at a time."""
        with torch.no_grad():
            parts = [functional_call(self.module, point, (rows,)) for rows in X.split(ROWS)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _measures(self, prefix: str, output: Tensor, y: Tensor) -> dict[str, float]:
        output = output.detach()
        return {prefix + name: float(value(output, y)) for name, value in self.measures.items()}

    def _gradient_norm(self, point: Parameters, output: Tensor, loss: Tensor) -> float:
        """Return the norm of the gradient, by the chain rule through the output.

        The loss's gradient by the output is taken once, for all rows, so that a loss that is no
        plain mean of rows is right too; then it goes back through the module some rows at a time.
        """
        trained = [name for name, own in self._own.items() if own.requires_grad]
        leaves = [point[name].requires_grad_() for name in trained]
        (by_output,) = torch.autograd.grad(loss, output)
        total = [torch.zeros_like(leaf) for leaf in leaves]
        parts = zip(self.training.X.split(ROWS), by_output.split(ROWS), strict=True)
        for X, weight in parts:
            part = functional_call(self.module, point, (X,))
            slopes = torch.autograd.grad(
                part, leaves, weight, allow_unused=True, materialize_grads=True
            )
            total = [a + b for a, b in zip(total, slopes, strict=True)]
        return math.sqrt(sum(float(slope.square().sum()) for slope in total))
